/* skua_executor_stats: once all have ended, the numbers add up. */
#include "tests/support/harness.h"

#include "base/atomic.h"
#include "base/compiler.h"
#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

static skua_stats stats_of(skua_executor *ex)
{
    skua_stats stats;
    assert_status(skua_executor_stats(ex, &stats), SKUA_OK);
    return stats;
}

static void each_task_is_counted_where_it_stands(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t n = (size_t)skt_workers(state);
    struct skt_gate gate;
    skua_future *fs[30];
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, (int)n);
    for (int i = 0; i < 30; i++)
        fs[i] = skua_submit(ex, i < 10 ? skt_fails : skt_nothing, NULL);
    skua_stats stats = stats_of(ex);
    assert_int_equal(stats.workers, n);
    assert_int_equal(stats.running, n);
    assert_int_equal(stats.pending, 30);
    for (int i = 0; i < 5; i++)
        assert_true(skua_cancel(fs[i]));
    stats = stats_of(ex);
    assert_int_equal(stats.pending, 25);
    assert_int_equal(stats.cancelled, 5);
    skt_gate_open(&gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    stats = stats_of(ex);
    assert_int_equal(stats.running, 0);
    assert_int_equal(stats.pending, 0);
    assert_int_equal(stats.finished, 20 + n);
    assert_int_equal(stats.failed, 5);
    assert_int_equal(stats.cancelled, 5);
    assert_int_equal(stats.restarts, 0);
    for (int i = 0; i < 30; i++) {
        skua_exception(fs[i], 0);
        skua_release(fs[i]);
    }
    skua_close(ex);
    skt_gate_fini(&gate);
}

/* Half of its tasks wait for one another, so they run in their waiters. */
static int tree(void *arg, void *result)
{
    int depth = *(int *)arg - 1;
    (void)result;
    if (depth < 0)
        return 0;
    skua_task task = { .fn = tree, .arg = &depth, .arg_size = sizeof depth };
    skua_future *a = skua_submit_task(skua_default(), &task);
    skua_future *b = skua_submit_task(skua_default(), &task);
    skua_result(a, NULL, 0, SKUA_FOREVER);
    skua_result(b, NULL, 0, SKUA_FOREVER);
    skua_release(a);
    skua_release(b);
    return 0;
}

static void a_result_that_was_read_has_been_counted(void **state)
{
    skua_executor *ex = skt_pool(state);
    int depth = 7;
    const skua_task task = { .fn = tree, .arg = &depth, .arg_size = sizeof depth };
    skua_future *f = skua_submit_task(ex, &task);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    const skua_stats stats = stats_of(ex);
    assert_int_equal(stats.finished, 255);
    assert_int_equal(stats.pending + stats.running + stats.failed + stats.cancelled, 0);
    skua_release(f);
    skua_close(ex);
}

static int stops_when_asked(void *arg, void *result)
{
    (void)result;
    skt_latch_raise(arg);
    while (!skua_stopping())
        sk_pause();
    return SKUA_CANCELLED;
}

static void refused_tasks_do_not_count_and_stopped_ones_are_cancelled(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_latch begun;
    skt_latch_init(&begun);
    skua_future *f = skua_submit(ex, stops_when_asked, &begun);
    skt_latch_wait(&begun, 1);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skua_release(f);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    skt_log_start();
    skua_release(skua_submit(ex, skt_nothing, NULL));
    skt_log_stop();
    const skua_stats stats = stats_of(ex);
    assert_int_equal(stats.cancelled, 1);
    assert_int_equal(stats.finished + stats.failed + stats.pending + stats.running, 0);
    skua_close(ex);
    skt_latch_fini(&begun);
}

static void null_arguments_are_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_stats stats;
    assert_status(skua_executor_stats(NULL, &stats), SKUA_INVALID);
    assert_status(skua_executor_stats(ex, NULL), SKUA_INVALID);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(each_task_is_counted_where_it_stands),
        SKT_EACH(a_result_that_was_read_has_been_counted),
        SKT_EACH(refused_tasks_do_not_count_and_stopped_ones_are_cancelled),
        SKT_EACH(null_arguments_are_refused),
    };
    return skt_main(argc, argv, "stats", tests, SKT_COUNT(tests));
}
