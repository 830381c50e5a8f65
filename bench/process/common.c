/* What several parts of the benchmark use: pools, and the task that gives a number back. */
#include <skua/skua.h>
#include <string.h>
#include <time.h>

#include "bench/process/parts.h"
#include "bench/process/pinning.h"

skua_executor *bench_pool(struct bench_campaign *c, int workers)
{
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = workers });
    if (ex == NULL)
        bench_campaign_fail(c, "no pool of %d: %s", workers, skua_last_error()->message);
    return ex;
}

skua_executor *bench_pool_apart(struct bench_campaign *c)
{
    if (c->unpinned)
        return bench_pool(c, 1);
    bench_pin_maker();
    skua_executor *ex = bench_pool(c, 1);
    bench_pin_callers();
    return ex;
}

int bench_echo(void *arg, void *result)
{
    memcpy(result, arg, sizeof(uint64_t));
    return 0;
}

skua_future *bench_echo_submit(skua_executor *ex, uint64_t number)
{
    return skua_submit_task(ex, &(skua_task){ .fn = bench_echo,
                                              .arg = &number,
                                              .arg_size = sizeof number,
                                              .result_size = sizeof number });
}

bool bench_echo_take(struct bench_campaign *c, skua_future *f, uint64_t number)
{
    uint64_t got = ~number;
    const skua_status status = skua_result(f, &got, sizeof got, BENCH_PATIENCE);
    if (status != SKUA_OK)
        bench_campaign_fail(c, "an empty task: %s", skua_last_error()->message);
    else if (got != number)
        bench_campaign_fail(c, "an empty task gave another number back");
    skua_release(f);
    return status == SKUA_OK && got == number;
}

void bench_rest(double seconds)
{
    const struct timespec t = { (time_t)seconds,
                                (long)(1e9 * (seconds - (double)(time_t)seconds)) };
    nanosleep(&t, NULL);
}
