/* What one abort() costs the other tasks: one that sleeps, one that aborts, twenty that are empty,
 * on two workers. How many of the 22 futures fail; and how long it is from knowing of the abort
 * until the next task that is submitted has been answered. In Python that takes a new pool. */
#include <skua/skua.h>
#include <stdlib.h>

#include "bench/kernels/kernel.h"
#include "bench/process/parts.h"

enum {
    TASKS = 22
};

static int nap(void *arg, void *result)
{
    (void)arg;
    (void)result;
    bench_rest(0.05);
    return 0;
}

static int bad(void *arg, void *result)
{
    (void)arg;
    (void)result;
    abort();
}

static bool once(struct bench_campaign *c, skua_executor *pool, double *failed, double *seconds)
{
    skua_future *f[TASKS];
    f[0] = skua_submit(pool, nap, NULL);
    f[1] = skua_submit(pool, bad, NULL);
    for (int i = 2; i < TASKS; i++)
        f[i] = bench_echo_submit(pool, (uint64_t)i);
    const skua_error *error = skua_exception(f[1], BENCH_PATIENCE);
    const double begin = bench_now();
    bool good = bench_echo_take(c, bench_echo_submit(pool, 1), 1);
    *seconds = bench_now() - begin;
    if (error == NULL || error->status != SKUA_CRASHED) {
        bench_campaign_fail(c, "abort() ended as: %s", error != NULL ? error->message : "a result");
        good = false;
    }
    *failed = 0;
    for (int i = 0; i < TASKS; i++) {
        *failed += skua_exception(f[i], BENCH_PATIENCE) != NULL;
        skua_release(f[i]);
    }
    bench_rest(5e-3);
    return good;
}

void bench_abort(struct bench_campaign *c, struct bench_python *python)
{
    struct bench_figure *failed =
        bench_figure_add(c, BENCH_COUNT, 1, "one abort() in 22 tasks: futures that fail");
    struct bench_figure *python_failed =
        bench_figure_add(c, BENCH_COUNT, 0, "  Python: futures that fail");
    struct bench_figure *next =
        bench_figure_add(c, BENCH_SECONDS, 0, "abort() known: until a next task is answered");
    struct bench_figure *python_next =
        bench_figure_add(c, BENCH_SECONDS, 0, "  Python: until a new pool has answered");
    skua_executor *pool = bench_pool(c, 2);
    const int rounds = bench_campaign_count(c, 3, 11);
    for (int i = 0; pool != NULL && i < rounds; i++) {
        double value[2];
        if (!once(c, pool, &value[0], &value[1]))
            break;
        bench_figure_sample(failed, value[0]);
        bench_figure_sample(next, value[1]);
        if (!bench_python_ask(python, value, "abort"))
            continue;
        bench_figure_sample(python_failed, value[0]);
        bench_figure_sample(python_next, value[1]);
    }
    bench_figure_leave_out(python_failed, "%s", python->why);
    bench_figure_leave_out(python_next, "%s", python->why);
    skua_close(pool);
}
