/* The problem: a parallel loop that costs no more than a static one when it is balanced and no more
 * than a stealing one when it is not.
 *
 * The idea: static first, steal the rest. Each seat begins with its own contiguous block of units,
 * the same in every loop of the same shape, so data stay where they were first touched. It takes
 * pieces from the front of its block; who has run dry steals half of the back of a near victim's
 * block. Submitting pieces as jobs was rejected: n queue operations for what is one broadcast.
 *
 * Handing out. Each worker has a mail word: 0, a region, or region | 1.
 *
 *     0 -> R        by the caller, or by a worker in R for its children in a tree of eight branches
 *     R -> R|1      by the worker: it is in R now
 *     R -> 0        by the caller: withdrawn, as the worker did not come in time
 *     R|1 -> 0      by the worker: its last access to R as a participant
 *
 * The caller waits for each word not to hold R, in the order of the tree, so parents before
 * children: a parent leaves R only after it has handed R on. Mail is a hint of who is idle.
 * Workers that were busy at the start come later by roaming: they enter through the gate, a count
 * of users with a closed bit, which the caller closes at the end.
 *
 * Regions are never freed while workers live: after R|1 -> 0 the worker still looks at R->done, the
 * eventcount of the caller, and a spurious wake-up of a later loop is all that can come of it.
 *
 * Static loops (SK_REGION_BLOCKS) give each block to its own worker. The caller waits for an idle
 * worker to come for its block, but does the block of one that is busy with something else: two
 * static loops that wait for each other's workers would wait for ever. */
#include "sched/region.h"

#include "base/assert.h"
#include "base/mem.h"
#include "base/spin.h"
#include "base/time.h"
#include "sched/circle.h"
#include "sched/sched.h"
#include "sched/worker.h"

enum {
    FAN_OUT = 8,         /* branches of the tree in which a region is handed out */
    PIECE_NS = 10000,    /* a paced piece is to take this long: 0.3 % go into clock and swap */
    GROWTH = 8,          /* a piece grows at most so much over the one before */
    UNSURE_NS = 1000000, /* between two looks at mail that nobody might take */
    GATE_CLOSED = 1,
    GATE_USER = 2
};

struct sk_region_block {
    SK_CACHE_ALIGNED SK_ATOMIC(uint64_t) range; /* sched/range.h */
};

struct sk_region {
    /* written by the opener before it hands the region out */
    struct sk_region_work work;
    struct sk_sched *sched;
    int caller_seat;
    struct sk_region *outer;             /* in the opener's chain */
    SK_ATOMIC(struct sk_region *) inner; /* set once */
    /* written by participants */
    SK_CACHE_ALIGNED SK_ATOMIC(uint32_t) gate; /* GATE_CLOSED | users * GATE_USER */
    SK_ATOMIC(bool) stop;                      /* no piece is to begin */
    struct sk_park done;                       /* where the caller sleeps */
    struct sk_awaited awaited;                 /* circle.c's */
    struct sk_region_block block[];            /* one a seat */
};

/* How large the next piece shall be, found from how long the last ones took. */
struct pace {
    uint32_t want;
    int64_t since; /* when the piece began; 0: the clock was not read */
};

/* ---- chains ---------------------------------------------------------------------------------- */

static struct sk_region *region_open(struct sk_sched *sched, struct sk_region *outer)
{
    size_t size =
        sizeof(struct sk_region) + (size_t)sched->nr_workers * sizeof(struct sk_region_block);
    struct sk_region *r = sk_alloc_lines(size);
    if (r != NULL) {
        r->sched = sched;
        r->outer = outer;
        sk_init(&r->gate, GATE_CLOSED);
    }
    return r;
}

/* The region inside the innermost one in use; NULL if out of memory. */
static struct sk_region *chain_push(struct sk_region_chain *chain, struct sk_sched *sched)
{
    struct sk_region *outer = chain->open;
    SK_ATOMIC(struct sk_region *) *link = outer != NULL ? &outer->inner : &chain->first;
    struct sk_region *r = sk_load_rlx(link); /* relaxed: the opener alone writes it */
    if (r == NULL) {
        r = region_open(sched, outer);
        if (r == NULL)
            return NULL;
        sk_store_rel(link, r); /* C1: publishes the closed gate; pairs with C2 */
    }
    chain->open = r;
    return r;
}

static void chain_pop(struct sk_region_chain *chain)
{
    chain->open = chain->open->outer;
}

void sk_region_chain_fini(struct sk_region_chain *chain)
{
    struct sk_region *r = sk_load_rlx(&chain->first);
    while (r != NULL) {
        struct sk_region *inner = sk_load_rlx(&r->inner);
        sk_free(r);
        r = inner;
    }
    sk_store_rlx(&chain->first, NULL);
}

/* ---- working --------------------------------------------------------------------------------- */

static uint32_t piece_size(const struct sk_region *r, const struct pace *pace, uint32_t left)
{
    if (r->work.mode == SK_REGION_BLOCKS)
        return UINT32_MAX;
    if (r->work.mode == SK_REGION_UNITS)
        return 1;
    uint32_t least = pace->want / GROWTH;
    uint32_t half = left / 2;
    uint32_t most = half > least ? half : least;
    uint32_t size = pace->want < most ? pace->want : most;
    return size > 0 ? size : 1;
}

static void pace_update(struct pace *pace, uint32_t size)
{
    int64_t now = sk_now_ns();
    int64_t took = now - pace->since;
    uint64_t fit = took > 0 ? (uint64_t)size * PIECE_NS / (uint64_t)took : UINT64_MAX;
    uint64_t most = (uint64_t)size * GROWTH;
    uint64_t want = fit < most ? fit : most;
    pace->want = want < 1 ? 1 : want > SK_RANGE_MAX ? SK_RANGE_MAX : (uint32_t)want;
    pace->since = now;
}

/* Does pieces of a block until it is empty or the region stops. Returns the units done. */
static uint32_t work_block(struct sk_region *r, int index, struct pace *pace)
{
    SK_ATOMIC(uint64_t) *block = &r->block[index].range;
    bool paced = r->work.mode == SK_REGION_PACED;
    uint32_t done = 0, left = sk_range_left(block);
    struct sk_range piece;
    while (!sk_load_rlx(&r->stop)) { /* relaxed: a late look does one piece more */
        if (paced && left > 1 && pace->since == 0)
            pace->since = sk_now_ns();
        if (!sk_range_take(block, piece_size(r, pace, left), &piece, &left))
            break;
        if (!r->work.run(r->work.ctx, piece.begin, piece.end))
            sk_store_rlx(&r->stop, true);
        done += piece.end - piece.begin;
        if (paced && left > 0)
            pace_update(pace, piece.end - piece.begin);
    }
    return done;
}

/* Fills the seat's own, empty block from the nearest victim that has something; *direct is set
 * where another thread of the seat had filled it, and holds units for the caller to do itself. */
static bool steal_units(struct sk_region *r, int seat, enum sk_tier *tier, struct sk_range *direct)
{
    const struct sk_victims *victims = &r->sched->victims[seat];
    struct sk_range got;
    for (int i = 0; i < victims->nr; i++) {
        if (!sk_range_steal(&r->block[victims->worker[i]].range, &got))
            continue;
        *tier = SK_TIER_SMT;
        while (i >= victims->end[*tier])
            (*tier)++;
        *direct = (struct sk_range){ 0, 0 };
        if (!sk_range_put(&r->block[seat].range, got))
            *direct = got;
        return true;
    }
    return false;
}

/* Works in the seat's block, then in others'. Returns whether anything was done. */
static bool participate(struct sk_region *r, int seat, struct sk_stats *stats)
{
    struct pace pace = { 1, 0 };
    uint32_t home = work_block(r, seat, &pace), away = 0;
    enum sk_tier tier;
    struct sk_range direct;
    if (r->work.mode == SK_REGION_UNITS)
        pace.want = 1;
    while (r->work.mode != SK_REGION_BLOCKS && !sk_load_rlx(&r->stop) &&
           steal_units(r, seat, &tier, &direct)) {
        pace.since = 0;
        if (direct.begin != direct.end && !r->work.run(r->work.ctx, direct.begin, direct.end))
            sk_store_rlx(&r->stop, true);
        away += work_block(r, seat, &pace) + (direct.end - direct.begin);
        if (stats != NULL)
            sk_stats_add(&stats->steals[tier], 1);
    }
    if (stats != NULL && home + away > 0) {
        sk_stats_add(&stats->home_units, home);
        sk_stats_add(&stats->away_units, away);
    }
    return home + away > 0;
}

/* Takes part for the caller, who waits for it. */
static bool participate_for(struct sk_region *r, int seat, struct sk_stats *stats)
{
    struct sk_stint stint;
    sk_circle_begin(&stint, &r->awaited);
    bool done = participate(r, seat, stats);
    sk_circle_end(&stint);
    return done;
}

/* ---- handing out ----------------------------------------------------------------------------- */

/* Puts the region into a worker's mail; false if that worker is not free to come. */
static bool hand_to(struct sk_region *r, int seat)
{
    struct sk_worker *worker = r->sched->workers[seat];
    uintptr_t nothing = 0;
    /* Relaxed looks: a wrong guess costs a withdrawal, or a worker that roams in instead. */
    if (sk_range_left(&r->block[seat].range) == 0 || sk_load_rlx(&worker->lent) != 0 ||
        sk_load_rlx(&worker->state) == SK_WORKER_BUSY || sk_load_rlx(&worker->mail) != 0)
        return false;
    if (!sk_cas_sc(&worker->mail, &nothing, (uintptr_t)r)) /* M1: publishes r; pairs with M2 */
        return false;
    sk_park_notify(&worker->park, 1);
    return true;
}

/* Hands the region to the subtree below `rank`; the caller has rank 0. */
static void hand_out(struct sk_region *r, int rank)
{
    int n = r->sched->nr_workers;
    for (int child = FAN_OUT * rank + 1; child <= FAN_OUT * rank + FAN_OUT && child < n; child++) {
        if (!hand_to(r, (r->caller_seat + child) % n))
            hand_out(r, child); /* it will not hand the region on, so this is done for it */
    }
}

void sk_region_answer(struct sk_worker *worker)
{
    uintptr_t mail = sk_load_rlx(&worker->mail);
    if (mail == 0 || !sk_cas_acq(&worker->mail, &mail, mail | 1)) /* M2: pairs with M1 */
        return;
    struct sk_region *r = (struct sk_region *)mail; /* NOLINT: a tagged pointer */
    int n = r->sched->nr_workers;
    hand_out(r, (worker->seat - r->caller_seat + n) % n);
    participate_for(r, worker->seat, &worker->stats);
    sk_xchg_sc(&worker->mail, 0); /* M3: the pieces are done; pairs with M4. Before N2 of done. */
    sk_park_notify(&r->done, 1);
}

/* ---- roaming --------------------------------------------------------------------------------- */

static bool gate_enter(struct sk_region *r)
{
    uint32_t gate = sk_load_rlx(&r->gate);
    while ((gate & GATE_CLOSED) == 0) {
        if (sk_cas_acq(&r->gate, &gate, gate + GATE_USER)) /* T1: pairs with T3 */
            return true;
    }
    return false;
}

static void gate_leave(struct sk_region *r)
{
    sk_sub_sc(&r->gate, GATE_USER); /* T2: the pieces are done; pairs with T4. Before N2 of done. */
    sk_park_notify(&r->done, 1);
}

static bool has_units(struct sk_region *r)
{
    for (int i = 0; i < r->sched->nr_workers; i++) {
        if (sk_range_left(&r->block[i].range) != 0)
            return true;
    }
    return false;
}

/* Takes part as a roamer: busy, since a static loop inside a piece must not wait for this worker to
 * come for its block. */
static bool participate_busy(struct sk_region *r, int own_seat, struct sk_worker *self)
{
    if (self == NULL)
        return participate_for(r, own_seat, NULL);
    uint32_t before = sk_load_rlx(&self->state);
    sk_store_rlx(&self->state, SK_WORKER_BUSY);
    bool done = participate_for(r, own_seat, &self->stats);
    sk_store_rlx(&self->state, before);
    return done;
}

/* Helps with one region of a chain, from `r` inwards, if inside(ctx) once it is in its gate. */
static bool help_chain(struct sk_region *r, int own_seat, struct sk_worker *self,
                       bool (*inside)(const void *ctx), const void *ctx)
{
    for (; r != NULL; r = sk_load_acq(&r->inner)) { /* C2 */
        if ((sk_load_rlx(&r->gate) & GATE_CLOSED) != 0 || !has_units(r) || !gate_enter(r))
            continue;
        bool fits = r->work.mode != SK_REGION_BLOCKS && !sk_load_rlx(&r->stop);
        bool done = fits && inside(ctx) && participate_busy(r, own_seat, self);
        gate_leave(r);
        if (done)
            return true;
    }
    return false;
}

static struct sk_region *first_of(struct sk_region_chain *chain)
{
    return sk_load_acq(&chain->first); /* C2: pairs with C1 */
}

static bool anywhere(const void *ctx)
{
    (void)ctx;
    return true;
}

bool sk_region_help(struct sk_worker *worker, struct sk_region_chain *chain)
{
    return help_chain(first_of(chain), worker->seat, worker, anywhere, NULL);
}

/* A region that is open while the span lasts, and lies deeper than those from before it, was opened
 * in it. If it was opened after the span, its gate publishes that it has ended. */
static bool span_lasts(const void *ctx)
{
    struct sk_split_span *span = (struct sk_split_span *)(uintptr_t)ctx;
    return sk_load_acq(&span->split) != NULL;
}

bool sk_region_help_inside(struct sk_worker *worker, struct sk_split_span *span,
                           struct sk_region *outer)
{
    struct sk_split *split = sk_load_acq(&span->split);
    if (split == NULL)
        return false;
    struct sk_worker *other = SK_CONTAINER_OF(split, struct sk_worker, split);
    struct sk_region *first =
        outer != NULL ? sk_load_acq(&outer->inner) : first_of(&other->regions); /* C2 */
    return help_chain(first, worker->seat, worker, span_lasts, span);
}

/* ---- the caller ------------------------------------------------------------------------------ */

static bool still_in(struct sk_region *r, int seat)
{
    uintptr_t mail = sk_load_sc(&r->sched->workers[seat]->mail); /* M4: pairs with M3 */
    return (mail & ~(uintptr_t)1) == (uintptr_t)r;
}

static bool still_used(struct sk_region *r)
{
    return sk_load_sc(&r->gate) != GATE_CLOSED; /* T4: pairs with T2 */
}

/* Sleeps until seat's worker may have left the region; seat < 0: until the roamers may have. */
static void sleep_for(struct sk_region *r, int seat, bool sure)
{
    uint32_t token = sk_park_prepare(&r->done);
    if (seat >= 0 ? still_in(r, seat) : still_used(r)) {
        struct sk_wait wait;
        sk_worker_block_begin();
        sk_circle_enter_one(&wait, &r->awaited);
        sk_park_wait(&r->done, token, sure ? SK_NO_DEADLINE : sk_now_ns() + UNSURE_NS);
        sk_circle_leave(&wait);
        sk_worker_block_end();
    } else {
        sk_park_cancel(&r->done);
    }
}

/* Whether a seat's worker is in a region: then whatever is open in its chain was begun in there. */
struct presence {
    struct sk_region *region;
    SK_ATOMIC(uintptr_t) * mail;
};

static bool is_present(const void *ctx)
{
    const struct presence *p = ctx;
    return sk_load_acq(p->mail) == ((uintptr_t)p->region | 1);
}

static void wait_for_seat(struct sk_region *r, int own_seat, int seat, struct sk_worker *self)
{
    struct sk_worker *worker = r->sched->workers[seat];
    const struct presence presence = { r, &worker->mail };
    struct sk_spin spin = { 0, 0 };
    while (still_in(r, seat)) {
        uintptr_t posted = (uintptr_t)r;
        bool begun = sk_load_rlx(&worker->mail) != posted;
        bool waits_for_it = r->work.mode == SK_REGION_BLOCKS && !sk_load_rlx(&r->stop) &&
                            sk_load_rlx(&worker->state) != SK_WORKER_BUSY;
        if (!begun && !waits_for_it && sk_cas_rlx(&worker->mail, &posted, 0))
            return; /* relaxed: the worker has seen nothing of it */
        if (begun && help_chain(first_of(&worker->regions), own_seat, self, is_present, &presence))
            spin = (struct sk_spin){ 0, 0 };
        else if (sk_spin_turn(&spin, sk_join_spin))
            sleep_for(r, seat, begun);
    }
}

/* Static loops: does the blocks of ranks 1 .. last whose workers have not been given the region. */
static void do_left_blocks(struct sk_region *r, int last)
{
    struct pace pace = { 1, 0 };
    for (int rank = 1; rank <= last && rank < r->sched->nr_workers; rank++) {
        int seat = (r->caller_seat + rank) % r->sched->nr_workers;
        if (!still_in(r, seat))
            work_block(r, seat, &pace);
    }
}

static void finish(struct sk_region *r, int own_seat, struct sk_worker *self)
{
    int n = r->sched->nr_workers;
    bool blocks = r->work.mode == SK_REGION_BLOCKS;
    if (blocks)
        do_left_blocks(r, FAN_OUT); /* the others may yet be given it by their parents */
    for (int rank = 1; rank < n; rank++)
        wait_for_seat(r, own_seat, (own_seat + rank) % n, self);
    if (blocks)
        do_left_blocks(r, n);
    uint32_t gate = sk_load_rlx(&r->gate);
    while (!sk_cas_acq_rel(&r->gate, &gate, gate | GATE_CLOSED)) {
    }
    struct sk_spin spin = { 0, 0 };
    while (still_used(r)) {
        if (sk_spin_turn(&spin, sk_join_spin))
            sleep_for(r, -1, true);
    }
}

static void set_blocks(struct sk_region *r)
{
    uint64_t n = (uint64_t)r->sched->nr_workers, units = r->work.nr_units;
    for (uint64_t i = 0; i < n; i++)
        sk_store_rlx(&r->block[i].range,
                     sk_range_pack((uint32_t)(units * i / n), (uint32_t)(units * (i + 1) / n)));
}

static void run_alone(const struct sk_region_work *work)
{
    uint32_t step = work->mode == SK_REGION_UNITS ? 1 : work->nr_units;
    for (uint32_t i = 0; i < work->nr_units; i += step) {
        if (!work->run(work->ctx, i, i + step))
            return;
    }
}

static void run_in_seat(struct sk_sched *sched, const struct sk_region_work *work, int seat,
                        struct sk_region_chain *chain, struct sk_worker *self)
{
    struct sk_region *r = NULL;
    if (sched->nr_workers > 1 && work->nr_units > 1 && chain != NULL)
        r = chain_push(chain, sched);
    if (r == NULL) {
        run_alone(work);
        return;
    }
    r->work = *work;
    r->caller_seat = seat;
    sk_store_rlx(&r->stop, false);
    set_blocks(r);
    sk_store_rel(&r->gate, 0); /* T3: publishes the work; pairs with T1 */
    hand_out(r, 0);
    participate(r, seat, self != NULL ? &self->stats : NULL);
    finish(r, seat, self);
    chain_pop(chain);
}

bool sk_region_run(struct sk_sched *sched, const struct sk_region_work *work)
{
    struct sk_worker *worker = sk_worker_self();
    struct sk_guest *guest = sk_guest_self(sched), visit;
    if (guest != NULL) {
        struct sk_guest *before = sk_worker_act_as(guest);
        run_in_seat(sched, work, guest->seat, guest->chain, NULL);
        sk_worker_act_as(before);
    } else if (worker != NULL && worker->sched == sched) {
        struct sk_guest *before = sk_worker_act_as(NULL);
        run_in_seat(sched, work, worker->seat, &worker->regions, worker);
        sk_worker_act_as(before);
    } else {
        if (!sk_guest_enter(&visit, sched))
            return false;
        run_in_seat(sched, work, visit.seat, visit.chain, NULL);
        sk_guest_leave(&visit);
    }
    return true;
}

bool sk_region_sequence(struct sk_sched *sched, void (*fn)(void *ctx), void *ctx)
{
    struct sk_worker *worker = sk_worker_self();
    struct sk_guest visit;
    bool inside = sk_guest_self(sched) != NULL || (worker != NULL && worker->sched == sched);
    if (!inside && !sk_guest_enter(&visit, sched))
        return false;
    fn(ctx);
    if (!inside)
        sk_guest_leave(&visit);
    return true;
}
