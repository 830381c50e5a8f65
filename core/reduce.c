/* skua_reduce: the range is cut into fixed pieces, each folded into an accumulator of its own, by
 * whoever comes to it; then the accumulators are joined from left to right by the caller. So the
 * result does not depend on who did what: with pieces that depend on the range, the grain and
 * acc_size alone (reproducible) it is the same for any number of workers, as in Demmel and
 * Nguyen's "Parallel reproducible summation" (2015), but by fixing the order of ordinary
 * additions. */
#include "core/accs.h"
#include "core/executor.h"
#include "core/future.h"
#include "core/loop.h"

struct reduction {
    struct sk_loop loop;
    skua_fold *fold;
    void *ctx;
    struct sk_accs accs; /* one a unit */
};

static bool run_units(void *ctx, uint32_t first, uint32_t end)
{
    struct reduction *r = ctx;
    skua_future *before = sk_future_set_current(r->loop.task);
    int code = 0;
    for (uint32_t unit = first; unit < end && code == 0; unit++) {
        char *acc = sk_accs_start(&r->accs, unit);
        size_t from = sk_loop_index(&r->loop, unit);
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

static skua_status fold_and_join(struct reduction *r, skua_executor *ex, skua_join *join, void *acc)
{
    skua_status status = sk_loop_run(&r->loop, ex, run_units, r);
    for (uint32_t unit = 0; status == SKUA_OK && unit < r->loop.nr_units; unit++) {
        if (!sk_loop_join(&r->loop, unit, join, acc, sk_accs_at(&r->accs, unit), r->ctx))
            status = sk_error_copy(&r->loop.failure.error);
    }
    return status;
}

skua_status skua_reduce(skua_executor *ex, size_t begin, size_t end, skua_fold *fold,
                        skua_join *join, void *ctx, void *acc, size_t acc_size, const skua_loop *o)
{
    static const char what[] = "skua_reduce";
    skua_status status = sk_loop_check(ex, begin, end, o, what,
                                       fold == NULL   ? "fold"
                                       : join == NULL ? "join"
                                                      : NULL);
    if (status == SKUA_OK)
        status = sk_accs_check(acc, acc_size, what);
    if (status != SKUA_OK || begin == end)
        return status;
    struct reduction r;
    r.fold = fold;
    r.ctx = ctx;
    int workers = sk_executor_sched(ex)->nr_workers;
    sk_loop_init(&r.loop, begin, end, sk_accs_piece(end - begin, acc_size, workers, o),
                 o != NULL ? o->schedule : SKUA_AUTO, true);
    status = sk_accs_open(&r.accs, r.loop.nr_units, acc_size, o, what);
    if (status != SKUA_OK)
        return status;
    status = fold_and_join(&r, ex, join, acc);
    sk_accs_close(&r.accs);
    return status;
}
