/* skua_scan. The problem: a prefix needs all that comes before it, so a parallel scan must look at
 * most of the range twice. Two sweeps over the whole range take two workers as long as one sweep
 * takes one, and read memory twice.
 *
 * The idea: pieces are taken from left to right. Who comes to a piece whose prefix is known does it
 * for good at once; who comes to another folds it, and does it for good as soon as its prefix is
 * known, while it is still in the cache. So one worker sees everything once, and p workers together
 * make 2 p / (p + 1) steps a piece, the least that is possible (Roch, Traore and Bernard, "On-line
 * adaptive parallel prefix computation", 2006). It is the single-pass scan of Merrill and Garland
 * ("Single-pass parallel prefix scan with decoupled look-back", 2016), but without their waiting:
 * what is still to be done when the pieces have run out is a loop of its own.
 *
 * With SKUA_STATIC each worker folds the pieces of its own block, and does them for good in that
 * second loop: each page twice, but by its own worker.
 *
 * The front. `front` is the first piece whose prefix is not in its accumulator yet; that prefix is
 * `carry`. One thread at a time holds the front, and alone touches carry; nobody waits for it.
 *
 *     OPEN -> FOLDED     by who took the piece; its accumulator holds the piece
 *     OPEN -> DONE       by the holder: piece == front, done for good with carry as *acc
 *     FOLDED -> READY    by the holder: piece == front, its accumulator now holds its prefix
 *     READY -> DONE      by who took it to do it for good
 *
 * States change under the lock. The holder gives the front up only where state[front] is not
 * FOLDED, and who sets FOLDED takes the front if that piece is the front and it is not held: so a
 * folded front is never left lying, and when all pieces were taken, none is OPEN or FOLDED.
 *
 * Reproducible: which pieces are seen once depends on who is faster, and the bits depend on it. So
 * then it is the first piece alone, for any number of workers. */
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "core/accs.h"
#include "core/executor.h"
#include "core/future.h"
#include "core/loop.h"

enum piece_state {
    OPEN,
    FOLDED,
    READY,
    DONE
};

struct scan {
    /* constant while it runs */
    struct sk_loop loop; /* its units are the pieces */
    skua_executor *ex;
    skua_pass *pass;
    skua_join *join;
    void *ctx;
    bool at_home;      /* a unit is the piece of its number; else the next piece */
    bool reproducible; /* only the first piece is seen once */
    struct sk_accs accs;
    char *carry, *spare; /* the holder's: the prefix of the front, and room to swap */
    skua_status status;  /* the caller's */
    /* under the lock */
    struct sk_lock lock;
    bool held;         /* somebody holds the front */
    uint32_t next;     /* the next piece to take, where a unit is not a piece */
    uint32_t front;    /* pieces before it are READY or DONE */
    uint32_t done;     /* pieces before it are DONE, or it is at the front */
    uint32_t nr_ready; /* pieces that are READY */
    unsigned char *state;
};

/* ---- the front ------------------------------------------------------------------------------- */

static uint32_t next_piece(struct scan *s)
{
    sk_lock_lock(&s->lock);
    uint32_t piece = s->next++;
    sk_lock_unlock(&s->lock);
    return piece;
}

/* Whether the piece is the front and the calling thread is its holder now. */
static bool take_front(struct scan *s, uint32_t piece)
{
    if (s->reproducible && piece > 0)
        return false;
    sk_lock_lock(&s->lock);
    bool taken = s->front == piece && !s->held;
    s->held = s->held || taken;
    sk_lock_unlock(&s->lock);
    return taken;
}

/* The piece is folded. Returns whether it is the front and the calling thread is its holder now. */
static bool piece_folded(struct scan *s, uint32_t piece)
{
    sk_lock_lock(&s->lock);
    s->state[piece] = FOLDED;
    bool taken = s->front == piece && !s->held;
    s->held = s->held || taken;
    sk_lock_unlock(&s->lock);
    return taken;
}

/* The holder goes past the piece at the front. Returns whether the next one is FOLDED; if not, the
 * front is given up. */
static bool pass_front(struct scan *s, enum piece_state state)
{
    sk_lock_lock(&s->lock);
    s->state[s->front++] = (unsigned char)state;
    s->nr_ready += state == READY;
    s->held = s->front < s->loop.nr_units && s->state[s->front] == FOLDED;
    bool more = s->held;
    sk_lock_unlock(&s->lock);
    return more;
}

/* The holder: the accumulator of the front, which is FOLDED, becomes its prefix. False if joining
 * failed: then the scan has, and the front stays held. */
static bool join_front(struct scan *s)
{
    char *acc = sk_accs_at(&s->accs, s->front); /* the holder alone writes front */
    memcpy(s->spare, s->carry, s->accs.size);
    struct sk_words *kept = sk_error_begin_call();
    bool good = sk_loop_join(&s->loop, s->front, s->join, s->carry, acc, s->ctx);
    sk_error_leave_call(kept);
    memcpy(acc, s->spare, s->accs.size);
    return good;
}

/* Takes the first piece that is READY. */
static bool take_ready(struct scan *s, uint32_t *piece)
{
    sk_lock_lock(&s->lock);
    bool found = s->nr_ready > 0;
    if (found) {
        while (s->state[s->done] == DONE)
            s->done++;
        *piece = s->done++;
        s->state[*piece] = DONE;
        s->nr_ready--;
    }
    sk_lock_unlock(&s->lock);
    return found;
}

/* ---- pieces ---------------------------------------------------------------------------------- */

/* The pass has more arguments than a guarded call passes on. */
struct sight {
    const struct scan *scan;
    size_t from, to;
    void *acc;
    bool last;
};

static int call_pass(const struct sight *sight)
{
    const struct scan *s = sight->scan;
    return s->pass(sight->from, sight->to, s->ctx, sight->acc, sight->last);
}

static bool see(struct scan *s, uint32_t piece, void *acc, bool last)
{
    size_t from = sk_loop_index(&s->loop, piece);
    const struct sight sight = { s, from, sk_loop_index(&s->loop, piece + 1), acc, last };
    struct sk_words *kept = sk_error_begin_call();
    int code = sk_error_call("a scan's pass", (sk_guard_fn *)call_pass, (uintptr_t)&sight, 0, 0, 0);
    if (SK_UNLIKELY(code != 0))
        sk_loop_fail(&s->loop, from, code);
    sk_error_leave_call(kept);
    return code == 0;
}

/* Does a piece for good, or folds it, and brings the front on. */
static bool do_piece(struct scan *s, uint32_t piece)
{
    bool is_front = take_front(s, piece);
    bool more;
    if (is_front) {
        if (!see(s, piece, s->carry, true))
            return false;
        more = pass_front(s, DONE);
    } else {
        if (!see(s, piece, sk_accs_start(&s->accs, piece), false))
            return false;
        more = piece_folded(s, piece);
    }
    while (more) {
        if (!join_front(s))
            return false;
        more = pass_front(s, READY);
    }
    return true;
}

static bool do_ready_pieces(struct scan *s)
{
    uint32_t piece;
    while (take_ready(s, &piece)) {
        if (!see(s, piece, sk_accs_at(&s->accs, piece), true))
            return false;
    }
    return true;
}

static bool run_units(void *ctx, uint32_t first, uint32_t end)
{
    struct scan *s = ctx;
    skua_future *before = sk_future_set_current(s->loop.task);
    bool good = true;
    for (uint32_t unit = first; unit < end && good; unit++)
        good = s->at_home ? do_piece(s, unit) : do_piece(s, next_piece(s)) && do_ready_pieces(s);
    sk_future_set_current(before);
    return good;
}

/* The second loop. The state of a piece is its unit's alone. */
static bool run_last_units(void *ctx, uint32_t first, uint32_t end)
{
    struct scan *s = ctx;
    skua_future *before = sk_future_set_current(s->loop.task);
    bool good = true;
    for (uint32_t unit = first; unit < end && good; unit++)
        good = s->state[unit] != READY || see(s, unit, sk_accs_at(&s->accs, unit), true);
    sk_future_set_current(before);
    return good;
}

/* ---- the scan -------------------------------------------------------------------------------- */

static void run_loops(void *ctx)
{
    struct scan *s = ctx;
    s->status = sk_loop_run(&s->loop, s->ex, run_units, s);
    if (s->status != SKUA_OK)
        return;
    sk_assert(s->front == s->loop.nr_units && !s->held);
    if (s->nr_ready > 0)
        s->status = sk_loop_run(&s->loop, s->ex, run_last_units, s);
}

/* An accumulator for each piece, and two for the holder of the front. */
static skua_status scan_open(struct scan *s, size_t acc_size, const skua_loop *o)
{
    uint32_t pieces = s->loop.nr_units;
    sk_lock_init(&s->lock, SK_RANK_LEAF);
    skua_status status = sk_accs_open(&s->accs, pieces + 2, acc_size, o, "skua_scan");
    if (status != SKUA_OK)
        return status;
    s->carry = sk_accs_at(&s->accs, pieces);
    s->spare = sk_accs_at(&s->accs, pieces + 1);
    s->state = sk_calloc(pieces, sizeof *s->state);
    if (s->state == NULL) {
        sk_accs_close(&s->accs);
        return sk_error_set(SKUA_NO_MEMORY, "skua_scan: no memory for %u pieces", (unsigned)pieces);
    }
    return SKUA_OK;
}

static void scan_close(struct scan *s)
{
    sk_free(s->state);
    sk_accs_close(&s->accs);
}

skua_status skua_scan(skua_executor *ex, size_t begin, size_t end, skua_pass *pass, skua_join *join,
                      void *ctx, void *acc, size_t acc_size, const skua_loop *o)
{
    static const char what[] = "skua_scan";
    skua_status status = sk_loop_check(ex, begin, end, o, what,
                                       pass == NULL   ? "pass"
                                       : join == NULL ? "join"
                                                      : NULL);
    if (status == SKUA_OK)
        status = sk_accs_check(acc, acc_size, what);
    if (status != SKUA_OK || begin == end)
        return status;
    skua_schedule schedule = o != NULL ? o->schedule : SKUA_AUTO;
    int workers = sk_executor_sched(ex)->nr_workers;
    struct scan s = { .ex = ex, .pass = pass, .join = join, .ctx = ctx };
    s.at_home = schedule == SKUA_STATIC;
    s.reproducible = o != NULL && o->reproducible;
    sk_loop_init(&s.loop, begin, end, sk_accs_piece(end - begin, acc_size, workers, o), schedule,
                 true);
    status = scan_open(&s, acc_size, o);
    if (status != SKUA_OK)
        return status;
    memcpy(s.carry, acc, acc_size);
    status = sk_loop_sequence(ex, run_loops, &s);
    if (status == SKUA_OK)
        status = s.status;
    if (status == SKUA_OK)
        memcpy(acc, s.carry, acc_size);
    scan_close(&s);
    return status;
}
