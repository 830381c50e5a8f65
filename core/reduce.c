/* skua_reduce: the range is cut into fixed pieces, each folded into an accumulator of its own, by
 * whoever comes to it; then the accumulators are joined from left to right by the caller. So the
 * result does not depend on who did what: with pieces that depend on the range, the grain and
 * acc_size alone (reproducible) it is the same for any number of workers, as in Demmel and
 * Nguyen's "Parallel reproducible summation" (2015), but by fixing the order of ordinary
 * additions.
 *
 * The number of pieces is a compromise: many balance the load, few cost less to join. Measured on
 * dot products (2 cores of an EPYC VM, gcc 12, 2026-11): at 1e7 elements 4096 pieces cost less
 * than 1 % over 64. Not reproducible, 32 a worker are enough. */
#include <string.h>

#include "base/mem.h"
#include "core/executor.h"
#include "core/future.h"
#include "core/loop.h"
#include "sched/call.h"

enum {
    PIECES_A_WORKER = 32,
    PIECES_MIN = 512,             /* reproducible: of a short range */
    PIECES_MAX = 4096,            /* reproducible: of a long one */
    INDICES_A_PIECE = 1024,       /* between the two */
    ACC_BYTES = 64 * 1024 * 1024, /* all accumulators together, */
    ACC_PIECES = 16,              /* unless they are huge */
    ACC_ALIGN = 64,               /* neighbours on two workers do not share a line */
    STACK_BYTES = 4096            /* accumulators that need no allocation */
};

struct reduction {
    struct sk_loop loop;
    skua_fold *fold;
    void *ctx;
    const void *identity;
    size_t acc_size, stride;
    char *accs; /* nr_units of them, stride bytes apart */
};

static size_t clamp(size_t x, size_t least, size_t most)
{
    return x < least ? least : x > most ? most : x;
}

/* Indices in a piece. */
static size_t piece_size(size_t n, size_t acc_size, int workers, const skua_loop *o)
{
    size_t pieces = o != NULL && o->reproducible
                        ? clamp(n / INDICES_A_PIECE, PIECES_MIN, PIECES_MAX)
                        : (size_t)workers * PIECES_A_WORKER;
    size_t room = ACC_BYTES / acc_size;
    pieces = pieces < room ? pieces : clamp(room, ACC_PIECES, pieces);
    size_t size = n / pieces + (n % pieces != 0);
    return o != NULL && o->grain > size ? o->grain : size;
}

static bool run_units(void *ctx, uint32_t first, uint32_t end)
{
    struct reduction *r = ctx;
    skua_future *before = sk_future_set_current(r->loop.task);
    int code = 0;
    for (uint32_t unit = first; unit < end && code == 0; unit++) {
        char *acc = r->accs + unit * r->stride;
        size_t from = sk_loop_index(&r->loop, unit);
        if (r->identity != NULL)
            memcpy(acc, r->identity, r->acc_size);
        else
            memset(acc, 0, r->acc_size);
        struct sk_words *kept = sk_error_begin_call();
        code = sk_error_call("a loop body", (sk_guard_fn *)r->fold, from,
                             sk_loop_index(&r->loop, unit + 1), (uintptr_t)r->ctx, (uintptr_t)acc);
        if (SK_UNLIKELY(code != 0))
            sk_loop_fail(&r->loop, from, code);
        sk_error_leave_call(kept);
    }
    sk_future_set_current(before);
    return code == 0;
}

/* Joins the accumulator of a unit onto acc; false if the function did not return. */
static bool join_unit(struct reduction *r, skua_join *join, void *acc, uint32_t unit)
{
    struct sk_call call;
    sk_call_guarded(&call, (sk_guard_fn *)join, (uintptr_t)acc,
                    (uintptr_t)(r->accs + unit * r->stride), (uintptr_t)r->ctx, 0);
    if (sk_call_returned(&call))
        return true;
    struct sk_words *kept = sk_error_begin_call();
    sk_loop_fail(&r->loop, sk_loop_index(&r->loop, unit), sk_error_left(&call, "a join"));
    sk_error_leave_call(kept);
    return false;
}

static skua_status fold_and_join(struct reduction *r, skua_executor *ex, skua_join *join, void *acc)
{
    skua_status status = sk_loop_run(&r->loop, ex, run_units, r);
    for (uint32_t unit = 0; status == SKUA_OK && unit < r->loop.nr_units; unit++) {
        if (!join_unit(r, join, acc, unit))
            status = sk_error_copy(&r->loop.failure.error);
    }
    return status;
}

skua_status skua_reduce(skua_executor *ex, size_t begin, size_t end, skua_fold *fold,
                        skua_join *join, void *ctx, void *acc, size_t acc_size, const skua_loop *o)
{
    skua_status status = sk_loop_check(ex, begin, end, o, "skua_reduce",
                                       fold == NULL   ? "fold"
                                       : join == NULL ? "join"
                                                      : NULL);
    if (status != SKUA_OK)
        return status;
    if (acc == NULL || acc_size == 0)
        return sk_error_set(SKUA_INVALID,
                            "skua_reduce: acc is %s and acc_size %zu; it needs a place "
                            "of at least 1 byte",
                            acc == NULL ? "NULL" : "given", acc_size);
    if (begin == end)
        return SKUA_OK;
    struct reduction r = { .fold = fold, .ctx = ctx, .acc_size = acc_size };
    r.identity = o != NULL ? o->identity : NULL;
    int workers = sk_executor_sched(ex)->nr_workers;
    sk_loop_init(&r.loop, begin, end, piece_size(end - begin, acc_size, workers, o),
                 o != NULL ? o->schedule : SKUA_AUTO, true);
    _Alignas(ACC_ALIGN) char small[STACK_BYTES];
    bool fits = acc_size <= SIZE_MAX / 2;
    r.stride = fits ? (acc_size + ACC_ALIGN - 1) / ACC_ALIGN * ACC_ALIGN : 0;
    if (fits && r.loop.nr_units <= STACK_BYTES / r.stride)
        r.accs = small;
    else if (fits && r.loop.nr_units <= SIZE_MAX / 2 / r.stride)
        r.accs = sk_alloc_lines(r.loop.nr_units * r.stride);
    if (r.accs == NULL)
        return sk_error_set(SKUA_NO_MEMORY,
                            "skua_reduce: no memory for %u accumulators of %zu bytes",
                            (unsigned)r.loop.nr_units, acc_size);
    status = fold_and_join(&r, ex, join, acc);
    if (r.accs != small)
        sk_free(r.accs);
    return status;
}
