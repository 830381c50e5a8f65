/* Futures that their maker ends. */
#include "tests/support/harness.h"

#include <string.h>

#include "base/atomic.h"
#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

static void a_new_future_is_neither_running_nor_done_nor_cancelled(void **state)
{
    (void)state;
    skua_future *f = skua_future_new(sizeof(int));
    assert_false(skua_running(f));
    assert_false(skua_done(f));
    assert_false(skua_cancelled(f));
    assert_status(skua_result(f, NULL, 0, 0), SKUA_TIMEOUT);
    skua_release(f);
}

static void a_result_set_before_it_runs_ends_it(void **state)
{
    int value = 5, got = 0;
    (void)state;
    skua_future *f = skua_future_new(sizeof value);
    assert_status(skua_set_result(f, &value, sizeof value), SKUA_OK);
    assert_true(skua_done(f));
    assert_false(skua_set_running_or_notify_cancel(f));
    assert_status(skua_last_error()->status, SKUA_INVALID_STATE);
    assert_status(skua_result(f, &got, sizeof got, 0), SKUA_OK);
    assert_int_equal(got, 5);
    assert_null(skua_exception(f, 0));
    skua_release(f);
}

static void the_first_of_two_results_stays(void **state)
{
    int first = 1, second = 2, got = 0;
    const skua_error error = { .code = 3 };
    (void)state;
    skua_future *f = skua_future_new(sizeof(int));
    assert_true(skua_set_running_or_notify_cancel(f));
    assert_true(skua_running(f));
    assert_false(skua_set_running_or_notify_cancel(f));
    assert_status(skua_set_result(f, &first, sizeof first), SKUA_OK);
    assert_status(skua_set_result(f, &second, sizeof second), SKUA_INVALID_STATE);
    assert_status(skua_set_exception(f, &error), SKUA_INVALID_STATE);
    assert_status(skua_result(f, &got, sizeof got, 0), SKUA_OK);
    assert_int_equal(got, 1);
    skua_release(f);
}

static void a_cancelled_future_takes_no_result(void **state)
{
    int value = 1;
    (void)state;
    skua_future *f = skua_future_new(sizeof value);
    assert_true(skua_cancel(f));
    assert_false(skua_set_running_or_notify_cancel(f));
    assert_status(skua_set_result(f, &value, sizeof value), SKUA_INVALID_STATE);
    assert_status(skua_set_exception(f, &(skua_error){ .code = 1 }), SKUA_INVALID_STATE);
    assert_true(skua_cancelled(f));
    assert_status(skua_result(f, &value, sizeof value, 0), SKUA_CANCELLED);
    skua_release(f);
}

static void a_running_future_is_not_cancelled(void **state)
{
    (void)state;
    skua_future *f = skua_future_new(0);
    assert_true(skua_set_running_or_notify_cancel(f));
    assert_false(skua_cancel(f));
    assert_true(skua_running(f));
    assert_status(skua_set_result(f, NULL, 0), SKUA_OK);
    assert_false(skua_cancel(f));
    skua_release(f);
}

static void an_exception_is_copied_with_its_words(void **state)
{
    char message[] = "no such device", where[] = "gpu.c:7", trace[] = "main\n";
    (void)state;
    skua_future *f = skua_future_new(sizeof(double));
    const skua_error error = {
        .code = 19, .worker = 4, .message = message, .where = where, .backtrace = trace
    };
    assert_status(skua_set_exception(f, &error), SKUA_OK);
    memset(message, 'x', sizeof message - 1);
    memset(where, 'x', sizeof where - 1);
    memset(trace, 'x', sizeof trace - 1);
    const skua_error *got = skua_exception(f, 0);
    assert_status(got->status, SKUA_FAILED);
    assert_int_equal(got->code, 19);
    assert_int_equal(got->worker, 4);
    assert_string_equal(got->message, "no such device");
    assert_string_equal(got->where, "gpu.c:7");
    assert_string_equal(got->backtrace, "main\n");
    double x = 1;
    assert_status(skua_result(f, &x, sizeof x, 0), SKUA_FAILED);
    assert_true(x == 1);
    skua_release(f);
    /* What was said stays readable after the future has gone. */
    assert_string_equal(skua_last_error()->message, "no such device");
    assert_string_equal(skua_last_error()->where, "gpu.c:7");
}

static void an_exception_without_strings_has_empty_ones(void **state)
{
    (void)state;
    skua_future *f = skua_future_new(0);
    assert_status(skua_set_exception(f, &(skua_error){ .status = SKUA_CRASHED, .signal = 11 }),
                  SKUA_OK);
    const skua_error *got = skua_exception(f, 0);
    assert_status(got->status, SKUA_CRASHED);
    assert_int_equal(got->signal, 11);
    assert_string_equal(got->message, "");
    assert_string_equal(got->where, "");
    assert_string_equal(got->backtrace, "");
    skua_release(f);
}

static void what_is_no_failure_of_a_task_is_refused_as_an_exception(void **state)
{
    static const int wrong[] = { SKUA_TIMEOUT, SKUA_CANCELLED, SKUA_DEADLOCK, 1, -99 };
    (void)state;
    skua_future *f = skua_future_new(0);
    for (size_t i = 0; i < SKT_COUNT(wrong); i++) {
        const skua_error error = { .status = (skua_status)wrong[i] };
        assert_status(skua_set_exception(f, &error), SKUA_INVALID);
        assert_non_null(strstr(skua_last_error()->message, "SKUA_FAILED"));
        assert_false(skua_done(f));
    }
    assert_status(skua_set_exception(f, NULL), SKUA_INVALID);
    assert_status(skua_set_exception(f, &(skua_error){ .code = 1 }), SKUA_OK);
    assert_int_equal(skua_exception(f, 0)->code, 1);
    skua_release(f);
}

static void a_result_of_another_size_is_refused_and_loses_nothing(void **state)
{
    int value = 7, got = 0;
    (void)state;
    skua_future *f = skua_future_new(sizeof value);
    assert_status(skua_set_result(f, &value, sizeof value - 1), SKUA_INVALID);
    assert_status(skua_set_result(f, NULL, sizeof value), SKUA_INVALID);
    assert_status(skua_set_result(NULL, &value, sizeof value), SKUA_INVALID);
    assert_false(skua_done(f));
    assert_status(skua_set_result(f, &value, sizeof value), SKUA_OK);
    assert_status(skua_result(f, &got, sizeof got + 1, 0), SKUA_INVALID);
    assert_status(skua_result(f, &got, sizeof got, 0), SKUA_OK);
    assert_int_equal(got, 7);
    skua_release(f);
    assert_null(skua_future_new(SIZE_MAX));
    assert_status(skua_last_error()->status, SKUA_NO_MEMORY);
}

static void a_pools_own_future_cannot_be_ended_from_outside(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    assert_false(skua_set_running_or_notify_cancel(f));
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_status(skua_set_result(f, NULL, 0), SKUA_INVALID);
    assert_status(skua_set_exception(f, &(skua_error){ .code = 1 }), SKUA_INVALID);
    assert_false(skua_done(f));
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void a_failure_that_nobody_read_is_said_once(void **state)
{
    (void)state;
    skt_log_start();
    skua_future *f = skua_future_new(0);
    assert_status(skua_set_exception(f, &(skua_error){ .code = 1, .message = "lost words" }),
                  SKUA_OK);
    skua_release(f);
    assert_int_equal(skt_log_lines(), 1);
    assert_true(skt_log_has("lost words"));
    skt_log_stop();
}

static void *end_it(void *arg)
{
    static const int value = 6;
    assert_status(skua_set_result(arg, &value, sizeof value), SKUA_OK);
    return NULL;
}

static int wait_for_it(void *arg, void *result)
{
    return skua_result(arg, result, sizeof(int), SKUA_FOREVER);
}

static int raise_it(void *arg, void *result)
{
    (void)result;
    skt_latch_raise(arg);
    return 0;
}

/* With one worker the pool goes on only if the waiting task gives its core away. */
static void a_task_that_waits_for_it_gives_its_core_away_and_is_woken(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_latch ran;
    skt_latch_init(&ran);
    skua_future *bare = skua_future_new(sizeof(int)), *waiters[8];
    for (int i = 0; i < 8; i++)
        waiters[i] = skua_submit_task(
            ex, &(skua_task){ .fn = wait_for_it, .arg = bare, .result_size = sizeof(int) });
    skua_future *f = skua_submit(ex, raise_it, &ran);
    skt_latch_wait(&ran, 1);
    pthread_t thread = skt_thread(end_it, bare);
    for (int i = 0; i < 8; i++) {
        int value = 0;
        assert_status(skua_result(waiters[i], &value, sizeof value, 10 * skt_wake_limit()),
                      SKUA_OK);
        assert_int_equal(value, 6);
        skua_release(waiters[i]);
    }
    skt_join(thread);
    skua_release(f);
    skua_release(bare);
    skua_close(ex);
    skt_latch_fini(&ran);
}

static void waits_take_them_beside_futures_of_pools(void **state)
{
    skua_executor *one = skt_pool(state), *two = skt_pool(state);
    skua_future *fs[] = { skt_submit_int(one, skt_square, 3), skua_future_new(0),
                          skt_submit_int(two, skt_square, 4), NULL };
    fs[3] = fs[1];
    assert_status(skua_wait(fs, 4, SKUA_ALL_COMPLETED, 0.001), SKUA_TIMEOUT);
    assert_status(skua_wait(fs, 4, SKUA_FIRST_COMPLETED, SKUA_FOREVER), SKUA_OK);
    skua_iter *it = skua_as_completed(fs, 4, SKUA_FOREVER);
    size_t i;
    assert_non_null(skua_next(it, &i));
    assert_non_null(skua_next(it, &i));
    assert_status(skua_set_result(fs[1], NULL, 0), SKUA_OK);
    assert_ptr_equal(skua_next(it, &i), fs[1]);
    assert_int_equal(i, 1);
    assert_null(skua_next(it, &i));
    assert_status(skua_iter_close(it), SKUA_OK);
    assert_status(skua_wait(fs, 4, SKUA_ALL_COMPLETED, 0), SKUA_OK);
    for (i = 0; i < 3; i++)
        skua_release(fs[i]);
    skua_close(one);
    skua_close(two);
}

static struct {
    skua_future *f;
    SK_ATOMIC(int) nr_ended, nr_cancelled;
} race;

static void *race_to_end(void *arg)
{
    (void)arg;
    if (skua_set_result(race.f, NULL, 0) == SKUA_OK)
        sk_add_acq_rel(&race.nr_ended, 1);
    return NULL;
}

static void *race_to_fail(void *arg)
{
    (void)arg;
    if (skua_set_exception(race.f, &(skua_error){ .code = 1 }) == SKUA_OK)
        sk_add_acq_rel(&race.nr_ended, 1);
    return NULL;
}

static void *race_to_cancel(void *arg)
{
    (void)arg;
    if (skua_cancel(race.f))
        sk_add_acq_rel(&race.nr_cancelled, 1);
    return NULL;
}

static void one_of_result_exception_and_cancel_wins(void **state)
{
    (void)state;
    for (int round = skt_rounds(500); round > 0; round--) {
        sk_store_rel(&race.nr_ended, 0);
        sk_store_rel(&race.nr_cancelled, 0);
        race.f = skua_future_new(0);
        pthread_t threads[] = { skt_thread(race_to_end, NULL), skt_thread(race_to_fail, NULL),
                                skt_thread(race_to_cancel, NULL) };
        for (size_t i = 0; i < SKT_COUNT(threads); i++)
            skt_join(threads[i]);
        assert_int_equal(sk_load_acq(&race.nr_ended) + sk_load_acq(&race.nr_cancelled), 1);
        assert_int_equal(skua_cancelled(race.f), sk_load_acq(&race.nr_cancelled));
        skua_exception(race.f, 0);
        skua_release(race.f);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_new_future_is_neither_running_nor_done_nor_cancelled),
        SKT_TEST(a_result_set_before_it_runs_ends_it),
        SKT_TEST(the_first_of_two_results_stays),
        SKT_TEST(a_cancelled_future_takes_no_result),
        SKT_TEST(a_running_future_is_not_cancelled),
        SKT_TEST(an_exception_is_copied_with_its_words),
        SKT_TEST(an_exception_without_strings_has_empty_ones),
        SKT_TEST(what_is_no_failure_of_a_task_is_refused_as_an_exception),
        SKT_TEST(a_result_of_another_size_is_refused_and_loses_nothing),
        SKT_EACH(a_pools_own_future_cannot_be_ended_from_outside),
        SKT_TEST(a_failure_that_nobody_read_is_said_once),
        SKT_EACH(a_task_that_waits_for_it_gives_its_core_away_and_is_woken),
        SKT_EACH(waits_take_them_beside_futures_of_pools),
        SKT_TEST(one_of_result_exception_and_cancel_wins),
    };
    return skt_main(argc, argv, "custom_futures", tests, SKT_COUNT(tests));
}
