/* Statuses, the last error of a thread, the log hook. */
#include "tests/support/harness.h"

#include <string.h>

#include "base/log.h"
#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

static void each_status_has_its_name(void **state)
{
    (void)state;
    assert_string_equal(skua_strstatus(SKUA_OK), "SKUA_OK");
    assert_string_equal(skua_strstatus(SKUA_FAILED), "SKUA_FAILED");
    assert_string_equal(skua_strstatus(SKUA_CANCELLED), "SKUA_CANCELLED");
    assert_string_equal(skua_strstatus(SKUA_TIMEOUT), "SKUA_TIMEOUT");
    assert_string_equal(skua_strstatus(SKUA_EXPIRED), "SKUA_EXPIRED");
    assert_string_equal(skua_strstatus(SKUA_CRASHED), "SKUA_CRASHED");
    assert_string_equal(skua_strstatus(SKUA_BROKEN_THREAD_POOL), "SKUA_BROKEN_THREAD_POOL");
    assert_string_equal(skua_strstatus(SKUA_BROKEN_PROCESS_POOL), "SKUA_BROKEN_PROCESS_POOL");
    assert_string_equal(skua_strstatus(SKUA_SHUTDOWN), "SKUA_SHUTDOWN");
    assert_string_equal(skua_strstatus(SKUA_INVALID_STATE), "SKUA_INVALID_STATE");
    assert_string_equal(skua_strstatus(SKUA_INVALID), "SKUA_INVALID");
    assert_string_equal(skua_strstatus(SKUA_DEADLOCK), "SKUA_DEADLOCK");
    assert_string_equal(skua_strstatus(SKUA_NO_MEMORY), "SKUA_NO_MEMORY");
    assert_string_equal(skua_strstatus((skua_status)1), "unknown skua_status");
    assert_string_equal(skua_strstatus((skua_status)-13), "unknown skua_status");
    assert_string_equal(skua_strstatus((skua_status)-1000000), "unknown skua_status");
}

static void broken_pools_have_two_statuses(void **state)
{
    (void)state;
    for (int s = 1; s >= SKUA_NO_MEMORY - 1; s--)
        assert_int_equal(skua_is_broken((skua_status)s),
                         s == SKUA_BROKEN_THREAD_POOL || s == SKUA_BROKEN_PROCESS_POOL);
}

static void *look_at_fresh_error(void *arg)
{
    (void)arg;
    const skua_error *e = skua_last_error();
    const bool wrong = e == NULL || e->status != SKUA_OK || e->message == NULL ||
                       e->where == NULL || e->backtrace == NULL;
    return (void *)(intptr_t)wrong;
}

static void a_thread_without_failures_has_an_ok_error(void **state)
{
    (void)state;
    assert_status(skua_result(NULL, NULL, 0, 0), SKUA_INVALID);
    void *wrong = NULL;
    assert_int_equal(pthread_join(skt_thread(look_at_fresh_error, NULL), &wrong), 0);
    assert_null(wrong);
    assert_status(skua_last_error()->status, SKUA_INVALID);
}

static void *fail_here(void *arg)
{
    skua_wait(arg, 1, (skua_when)77, 0);
    return (void *)(intptr_t)(skua_last_error()->status != SKUA_INVALID);
}

static void each_thread_has_its_own_last_error(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *fs[] = { skt_gate_submit(&gate, ex) };
    assert_status(skua_result(fs[0], NULL, 0, 0), SKUA_TIMEOUT);
    void *wrong = NULL;
    assert_int_equal(pthread_join(skt_thread(fail_here, fs), &wrong), 0);
    assert_null(wrong);
    assert_status(skua_last_error()->status, SKUA_TIMEOUT);
    assert_true(strlen(skua_last_error()->message) > 0);
    skt_gate_open(&gate);
    assert_status(skua_result(fs[0], NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_last_error()->status, SKUA_TIMEOUT);
    skua_release(fs[0]);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void a_failed_task_leaves_its_words_as_the_last_error(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, skt_fails, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    skua_release(f);
    skua_close(ex);
    assert_status(skua_last_error()->status, SKUA_FAILED);
    assert_int_equal(skua_last_error()->code, 7);
    assert_string_equal(skua_last_error()->message, "broken on purpose");
}

static void a_message_does_not_change_under_its_reader(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, skt_fails, NULL);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    skua_future *g = skua_submit(NULL, NULL, NULL);
    assert_status(skua_result(NULL, NULL, 0, 0), SKUA_INVALID);
    assert_string_equal(e->message, "broken on purpose");
    assert_int_equal(e->code, 7);
    skua_release(g);
    skua_close(ex);
    assert_string_equal(e->message, "broken on purpose");
    skua_release(f);
}

static int sum_pieces(size_t begin, size_t end, void *ctx)
{
    (void)ctx;
    return begin < end ? 0 : 1;
}

/* Fails, and then waits for another task and runs a loop before it says so. */
static int fail_and_tidy_up(void *arg, void *result)
{
    skua_executor *ex = arg;
    (void)result;
    int code = skua_fail(7, "the words of %s", "the first failure");
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    if (skua_result(f, NULL, 0, SKUA_FOREVER) != SKUA_OK)
        code = 8;
    skua_release(f);
    return skua_for(ex, 0, 100, sum_pieces, NULL, NULL) == SKUA_OK ? code : 9;
}

static void words_outlast_waits_and_loops_inside_the_task(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, fail_and_tidy_up, ex);
    const skua_error *error = skua_exception(f, SKUA_FOREVER);
    assert_non_null(error);
    assert_int_equal(error->code, 7);
    assert_string_equal(error->message, "the words of the first failure");
    assert_non_null(strstr(error->where, "error.c:"));
    skua_release(f);
    skua_close(ex);
}

static void a_closed_default_pool_is_made_anew(void **state)
{
    (void)state;
    skua_close(skua_default());
    skua_future *f = skua_submit(skua_default(), skt_nothing, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
}

static void log_lines_go_to_the_hook(void **state)
{
    (void)state;
    skt_log_start();
    sk_log(SKUA_LOG_WARNING, "line %d", 1);
    sk_log(SKUA_LOG_INFO, "%s", "line two");
    skt_log_stop();
    assert_int_equal(skt_log_lines(), 2);
    assert_true(skt_log_has("line 1\n"));
    assert_true(skt_log_has("line two\n"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(each_status_has_its_name),
        SKT_TEST(broken_pools_have_two_statuses),
        SKT_TEST(a_thread_without_failures_has_an_ok_error),
        SKT_EACH(each_thread_has_its_own_last_error),
        SKT_EACH(a_failed_task_leaves_its_words_as_the_last_error),
        SKT_EACH(a_message_does_not_change_under_its_reader),
        SKT_EACH(words_outlast_waits_and_loops_inside_the_task),
        SKT_TEST(a_closed_default_pool_is_made_anew),
        SKT_TEST(log_lines_go_to_the_hook),
    };
    return skt_main(argc, argv, "error", tests, SKT_COUNT(tests));
}
