/* One task and its future: states, results, errors, timeouts. */
#include "tests/support/harness.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/gate.h"

#define NR_READERS 8

static void a_future_is_pending_then_running_then_done(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state) - 1);
    skua_future *first = skt_gate_submit(&gate, ex);
    skua_future *second = skua_submit(ex, skt_nothing, NULL);
    assert_true(skua_running(first));
    assert_false(skua_done(first));
    assert_false(skua_running(second));
    assert_false(skua_done(second));
    assert_false(skua_cancelled(second));
    skt_gate_open(&gate);
    assert_status(skua_result(second, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_result(first, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_true(skua_done(first));
    assert_false(skua_running(first));
    assert_false(skua_cancelled(first));
    assert_true(skua_done(second));
    skua_release(first);
    skua_release(second);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void *read_often(void *arg)
{
    skua_future *f = arg;
    int wrong = 0;
    for (int i = 0; i < 100; i++) {
        int value = 0;
        wrong += skua_result(f, &value, sizeof value, SKUA_FOREVER) != SKUA_OK || value != 49;
    }
    return (void *)(intptr_t)wrong;
}

static void a_result_is_read_as_often_as_asked_by_many_threads(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skt_submit_int(ex, skt_square, 7);
    pthread_t threads[NR_READERS];
    for (int i = 0; i < NR_READERS; i++)
        threads[i] = skt_thread(read_often, f);
    for (int i = 0; i < NR_READERS; i++) {
        void *wrong = NULL;
        assert_int_equal(pthread_join(threads[i], &wrong), 0);
        assert_null(wrong);
    }
    assert_null(skua_exception(f, 0));
    skua_release(f);
    skua_close(ex);
}

static int fail_line;

static int fail_with_words(void *arg, void *result)
{
    (void)arg;
    (void)result;
    fail_line = __LINE__ + 1;
    return skua_fail(7, "x=%d", 3);
}

static void a_failure_tells_its_code_words_and_place(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, fail_with_words, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    const skua_error *e = skua_exception(f, 0);
    assert_non_null(e);
    assert_status(e->status, SKUA_FAILED);
    assert_int_equal(e->code, 7);
    assert_string_equal(e->message, "x=3");
    const char *colon = strrchr(e->where, ':');
    assert_non_null(colon);
    assert_non_null(strstr(e->where, "future.c:"));
    assert_int_equal(atoi(colon + 1), fail_line);
    assert_in_range(e->worker, 0, skt_workers(state) - 1);
    assert_int_equal(e->fault, SKUA_FAULT_NONE);
    assert_int_equal(e->signal, 0);
    assert_string_equal(e->backtrace, "");
    skua_release(f);
    skua_close(ex);
}

static int return_code(void *arg, void *result)
{
    (void)result;
    return *(int *)arg;
}

static void a_failure_needs_no_words(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skt_submit_int(ex, return_code, 5);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    assert_int_equal(e->code, 5);
    assert_non_null(e->message);
    assert_string_equal(e->where, "");
    skua_release(f);
    skua_close(ex);
}

static void whatever_number_a_task_returns_it_has_failed(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int codes[] = { SKUA_TIMEOUT,  SKUA_CANCELLED, SKUA_EXPIRED, SKUA_SHUTDOWN, 1,
                          SKUA_DEADLOCK, SKUA_INVALID,   INT_MIN,      INT_MAX };
    for (size_t i = 0; i < SKT_COUNT(codes); i++) {
        skua_future *f = skt_submit_int(ex, return_code, codes[i]);
        int value;
        assert_status(skua_result(f, &value, sizeof value, SKUA_FOREVER), SKUA_FAILED);
        assert_false(skua_cancelled(f));
        assert_status(skua_exception(f, 0)->status, SKUA_FAILED);
        assert_int_equal(skua_exception(f, 0)->code, codes[i]);
        skua_release(f);
    }
    skua_close(ex);
}

static int fail_but_return_zero(void *arg, void *result)
{
    (void)arg;
    (void)result;
    skua_fail(9, "words for nobody");
    return 0;
}

static int fail_with_zero(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return skua_fail(0, "zero");
}

static int fail_at_length(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return skua_fail(1, "%01000d", 1);
}

static void words_of_a_task_that_returned_0_are_dropped(void **state)
{
    (void)state;
    skua_executor *ex = skt_pool_of(1);
    skua_future *f = skua_submit(ex, fail_but_return_zero, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    f = skt_submit_int(ex, return_code, 4);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    assert_int_equal(e->code, 4);
    assert_null(strstr(e->message, "words for nobody"));
    skua_release(f);
    skua_close(ex);
}

static void a_failure_with_code_0_has_code_1(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, fail_with_zero, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    assert_int_equal(skua_exception(f, 0)->code, 1);
    skua_release(f);
    skua_close(ex);
}

static void long_words_are_cut_at_400_bytes(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, fail_at_length, NULL);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    assert_in_range(strlen(e->message), 395, 400);
    skua_release(f);
    skua_close(ex);
}

static void a_wrong_size_is_refused_at_once_and_harms_nothing(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *f = skt_submit_int(ex, skt_square, 6);
    char out[2 * sizeof(int)];
    memset(out, 0x5a, sizeof out);
    assert_status(skua_result(f, out, sizeof(int) - 1, SKUA_FOREVER), SKUA_INVALID);
    assert_status(skua_result(f, out, sizeof out, SKUA_FOREVER), SKUA_INVALID);
    assert_status(skua_result(f, NULL, sizeof(int), SKUA_FOREVER), SKUA_INVALID);
    assert_status(skua_last_error()->status, SKUA_INVALID);
    for (size_t i = 0; i < sizeof out; i++)
        assert_int_equal(out[i], 0x5a);
    skt_gate_open(&gate);
    int value = 0;
    assert_status(skua_result(f, &value, sizeof value, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(value, 36);
    assert_status(skua_result(f, out, sizeof out, 0), SKUA_INVALID);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void zero_negative_and_nan_timeouts_poll(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    const double polls[] = { 0, -0.0, -1, -1e300, -INFINITY, NAN };
    for (size_t i = 0; i < SKT_COUNT(polls); i++) {
        const double start = skt_now();
        assert_status(skua_result(f, NULL, 0, polls[i]), SKUA_TIMEOUT);
        assert_status(skua_exception(f, polls[i])->status, SKUA_TIMEOUT);
        assert_true(skt_now() - start < skt_wake_limit());
    }
    assert_true(skua_running(f));
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_null(skua_exception(f, NAN));
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void a_timeout_ends_the_wait_and_not_the_task(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    const double start = skt_now();
    assert_status(skua_result(f, NULL, 0, 0.05), SKUA_TIMEOUT);
    const double waited = skt_now() - start;
    assert_true(waited >= 0.05);
    assert_true(waited < 0.05 + skt_wake_limit());
    assert_false(skua_done(f));
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void *open_later(void *gate)
{
    skt_pause(0.02); /* not synchronisation: lets the wait begin, else there is nothing to see */
    skt_gate_open(gate);
    return NULL;
}

static void huge_timeouts_wait_for_the_task(void **state)
{
    skua_executor *ex = skt_pool(state);
    const double huge[] = { 1e10, 1e19, 1e300, DBL_MAX, INFINITY };
    for (size_t i = 0; i < SKT_COUNT(huge); i++) {
        struct skt_gate gate;
        skt_gate_init(&gate);
        skua_future *f = skt_gate_submit(&gate, ex);
        const pthread_t opener = skt_thread(open_later, &gate);
        assert_status(skua_result(f, NULL, 0, huge[i]), SKUA_OK);
        skt_join(opener);
        skua_release(f);
        skt_gate_fini(&gate);
    }
    skua_close(ex);
}

static void null_is_harmless(void **state)
{
    (void)state;
    skua_release(NULL);
    skua_close(NULL);
    skua_stop(NULL);
    assert_status(skua_iter_close(NULL), SKUA_OK);
    assert_null(skua_retain(NULL));
    assert_false(skua_cancel(NULL));
    assert_false(skua_cancelled(NULL));
    assert_false(skua_running(NULL));
    assert_false(skua_done(NULL));
    assert_int_equal(skua_workers(NULL), 0);
    assert_status(skua_result(NULL, NULL, 0, 0), SKUA_INVALID);
    const skua_error *e = skua_exception(NULL, 0);
    assert_non_null(e);
    assert_status(e->status, SKUA_INVALID);
}

static void a_reference_keeps_the_result(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skt_submit_int(ex, skt_square, 9);
    assert_ptr_equal(skua_retain(f), f);
    skua_release(f);
    int value = 0;
    assert_status(skua_result(f, &value, sizeof value, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(value, 81);
    skua_release(f);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_future_is_pending_then_running_then_done),
        SKT_EACH(a_result_is_read_as_often_as_asked_by_many_threads),
        SKT_EACH(a_failure_tells_its_code_words_and_place),
        SKT_EACH(a_failure_needs_no_words),
        SKT_EACH(whatever_number_a_task_returns_it_has_failed),
        SKT_TEST(words_of_a_task_that_returned_0_are_dropped),
        SKT_EACH(a_failure_with_code_0_has_code_1),
        SKT_EACH(long_words_are_cut_at_400_bytes),
        SKT_EACH(a_wrong_size_is_refused_at_once_and_harms_nothing),
        SKT_EACH(zero_negative_and_nan_timeouts_poll),
        SKT_EACH(a_timeout_ends_the_wait_and_not_the_task),
        SKT_EACH(huge_timeouts_wait_for_the_task),
        SKT_TEST(null_is_harmless),
        SKT_EACH(a_reference_keeps_the_result),
    };
    return skt_main(argc, argv, "future", tests, SKT_COUNT(tests));
}
