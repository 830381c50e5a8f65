/* How long after its time_limit a task ends that takes no notice of it: from the moment it begins,
 * by its own account in shared memory, until the caller knows how it ended, less the limit. */
#include <skua/skua.h>
#include <stdatomic.h>

#include "bench/kernels/kernel.h"
#include "bench/process/parts.h"
#include "bench/process/pinning.h"

static const double LIMIT = 10e-3; /* seconds */

struct clock {
    _Atomic int64_t begun_ns;
};

static int spin(void *arg, void *result)
{
    struct clock *clock = arg;
    (void)result;
    atomic_store(&clock->begun_ns, bench_now_ns());
    for (volatile bool forever = true; forever;)
        continue;
    return 0;
}

static bool once(struct bench_campaign *c, skua_executor *pool, struct clock *clock, double *over)
{
    if (!bench_echo_take(c, bench_echo_submit(pool, 1), 1))
        return false;
    skua_future *f =
        skua_submit_task(pool, &(skua_task){ .fn = spin, .arg = clock, .time_limit = LIMIT });
    const skua_error *error = skua_exception(f, BENCH_PATIENCE);
    *over = 1e-9 * (double)(bench_now_ns() - atomic_load(&clock->begun_ns)) - LIMIT;
    const bool good = error != NULL && error->status == SKUA_EXPIRED;
    if (!good)
        bench_campaign_fail(c, "a task past its time_limit ended as: %s",
                            error != NULL ? error->message : "a result");
    skua_release(f);
    bench_rest(3e-3);
    return good;
}

void bench_overshoot(struct bench_campaign *c)
{
    struct bench_figure *figure =
        bench_figure_add(c, BENCH_SECONDS, 0.5e-3, "time_limit of 10 ms: how far it is passed");
    skua_executor *pool = bench_pool_apart(c);
    struct clock *clock = pool != NULL ? skua_shared_alloc(pool, sizeof *clock) : NULL;
    const int n = bench_campaign_count(c, 21, 101);
    double over;
    for (int i = 0; clock != NULL && i < n && once(c, pool, clock, &over); i++)
        bench_figure_sample(figure, over);
    if (pool != NULL)
        skua_shared_free(pool, clock);
    skua_close(pool);
    bench_pin_undo();
}
