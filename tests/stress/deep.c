/* Waits inside tasks, thousands deep: each task has the next one run and waits for it. They end
 * with a result or an error, without overflowing a stack. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

struct level {
    const struct tower *tower;
    int left, side;
};

/* How a level has the next one run and waits for it; SKUA_OK if that came to the bottom. */
typedef skua_status step(const struct level *next);

struct tower {
    skua_executor *ex[2];
    step *step;
    double timeout;
};

static int climb(void *arg, void *result)
{
    const struct level *l = arg;
    (void)result;
    if (l->left == 0)
        return 0;
    const struct level next = { l->tower, l->left - 1, l->side };
    return l->tower->step(&next);
}

static int climb_call(void *arg)
{
    return climb(arg, NULL);
}

static skua_future *submit(const struct level *l)
{
    const skua_task task = { .fn = climb, .arg = (void *)(uintptr_t)l, .arg_size = sizeof *l };
    return skua_submit_task(l->tower->ex[l->side], &task);
}

/* What is told on: how the wait ended, or else what the task returned. */
static skua_status ended(skua_future *f, skua_status status)
{
    const skua_error *e = skua_exception(f, 0);
    if ((status == SKUA_OK || status == SKUA_FAILED) && e != NULL)
        status = (skua_status)e->code;
    skua_release(f);
    return status;
}

static skua_status by_result(const struct level *next)
{
    skua_future *f = submit(next);
    return ended(f, skua_result(f, NULL, 0, next->tower->timeout));
}

static skua_status by_wait(const struct level *next)
{
    skua_future *f = submit(next);
    return ended(f, skua_wait(&f, 1, SKUA_ALL_COMPLETED, next->tower->timeout));
}

static skua_status by_wait_for_first(const struct level *next)
{
    skua_future *f = submit(next);
    return ended(f, skua_wait(&f, 1, SKUA_FIRST_COMPLETED, next->tower->timeout));
}

static skua_status by_next(const struct level *next)
{
    skua_future *f = submit(next);
    skua_iter *it = skua_as_completed(&f, 1, next->tower->timeout);
    while (skua_next(it, NULL) != NULL)
        continue;
    return ended(f, skua_iter_close(it));
}

static skua_status by_map(const struct level *next)
{
    struct level items[2] = { *next, *next };
    const skua_map_options o = { .chunk = 1 };
    items[1].left = 0;
    return skua_map(next->tower->ex[0], climb, items, sizeof *items, NULL, 0, 2, &o,
                    next->tower->timeout);
}

static skua_status by_call(const struct level *next)
{
    struct level l = *next;
    return (skua_status)skua_call(next->tower->ex[0], climb_call, &l);
}

static skua_status by_other_pool(const struct level *next)
{
    struct level other = *next;
    other.side = !next->side;
    return by_result(&other);
}

/* How a tower came down. */
static skua_status build(void **state, step *how, int depth, double timeout)
{
    struct tower tower = { { skt_pool(state), skt_pool(state) }, how, timeout };
    const struct level first = { &tower, depth, 0 };
    skua_future *f = submit(&first);
    const skua_status status = ended(f, skua_result(f, NULL, 0, SKUA_FOREVER));
    skua_close(tower.ex[0]);
    skua_close(tower.ex[1]);
    return status;
}

static void a_thousand_waits_deep_there_is_a_result(void **state)
{
    step *const steps[] = { by_result, by_wait, by_wait_for_first, by_next, by_map, by_call };
    for (size_t i = 0; i < SKT_COUNT(steps); i++)
        assert_status(build(state, steps[i], 1000, SKUA_FOREVER), SKUA_OK);
}

static void ten_thousand_waits_deep_there_is_a_result(void **state)
{
    step *const steps[] = { by_result, by_wait, by_wait_for_first, by_next, by_map };
    for (size_t i = 0; i < SKT_COUNT(steps); i++)
        assert_status(build(state, steps[i], skt_slow_factor() > 1 ? 2000 : 10000, SKUA_FOREVER),
                      SKUA_OK);
}

static void five_hundred_waits_over_two_pools_give_a_result(void **state)
{
    assert_status(build(state, by_other_pool, skt_slow_factor() > 1 ? 100 : 500, SKUA_FOREVER),
                  SKUA_OK);
}

/* Each level needs a thread of its own, and a pool has no more than about a thousand. */
static void where_threads_run_out_the_deepest_wait_is_told(void **state)
{
    if (skt_slow_factor() > 1) {
        print_message("skipped: thousands of threads are too many for this build\n");
        skip();
    }
    assert_status(build(state, by_other_pool, 10000, SKUA_FOREVER), SKUA_DEADLOCK);
}

static void with_timeouts_threads_may_run_out_too(void **state)
{
    const int depth = skt_slow_factor() > 1 ? 100 : 10000;
    const skua_status status = build(state, by_result, depth, 0.5);
    assert_true(status == SKUA_OK || status == SKUA_TIMEOUT || status == SKUA_DEADLOCK);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_thousand_waits_deep_there_is_a_result),
        SKT_EACH(ten_thousand_waits_deep_there_is_a_result),
        SKT_EACH(five_hundred_waits_over_two_pools_give_a_result),
        SKT_AT(where_threads_run_out_the_deepest_wait_is_told, 1),
        SKT_AT(with_timeouts_threads_may_run_out_too, 1),
    };
    return skt_main(argc, argv, "deep", tests, SKT_COUNT(tests));
}
