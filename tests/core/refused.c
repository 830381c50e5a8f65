/* Submissions that make no sense come back as futures that are done, with the reason. */
#include "tests/support/harness.h"

#include <math.h>
#include <string.h>

#include "tests/support/gate.h"

static void free_it(void *result)
{
    (void)result;
}

static SK_ATOMIC(int) nr_called;

static void count_call(skua_future *f, void *ctx)
{
    (void)f;
    (void)ctx;
    sk_add_acq_rel(&nr_called, 1);
}

/* Looks at a refused future in each way, and releases it. */
static void check_refused(skua_future *f)
{
    assert_non_null(f);
    assert_true(skua_done(f));
    assert_false(skua_running(f));
    assert_false(skua_cancelled(f));
    assert_false(skua_cancel(f));
    skua_stop(f);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    assert_status(e->status, SKUA_INVALID);
    assert_true(strlen(e->message) > 0);
    skua_future *const one[] = { f };
    assert_status(skua_wait(one, 1, SKUA_ALL_COMPLETED, 0), SKUA_OK);
    skua_iter *it = skua_as_completed(one, 1, 0);
    assert_ptr_equal(skua_next(it, NULL), f);
    assert_status(skua_iter_close(it), SKUA_OK);
    sk_store_rel(&nr_called, 0);
    assert_status(skua_add_done_callback(f, count_call, NULL), SKUA_OK);
    assert_int_equal(sk_load_acq(&nr_called), 1);
    assert_ptr_equal(skua_retain(f), f);
    skua_release(f);
    skua_release(f);
}

static void nothing_to_run_is_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    check_refused(skua_submit(NULL, skt_nothing, NULL));
    check_refused(skua_submit(ex, NULL, NULL));
    check_refused(skua_submit(NULL, NULL, NULL));
    check_refused(skua_submit_task(NULL, &(skua_task){ .fn = skt_nothing }));
    check_refused(skua_submit_task(ex, NULL));
    check_refused(skua_submit_task(ex, &(skua_task){ .name = "no function" }));
    skua_close(ex);
}

static void priorities_that_do_not_exist_are_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int unknown[] = { -2, 2, 100 };
    for (size_t i = 0; i < SKT_COUNT(unknown); i++) {
        skua_task task = { .fn = skt_nothing, .priority = (skua_priority)unknown[i] };
        check_refused(skua_submit_task(ex, &task));
    }
    skua_close(ex);
}

static void limits_that_are_no_time_are_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    const double bad[] = { -1, -1e-9, -INFINITY, NAN };
    for (size_t i = 0; i < SKT_COUNT(bad); i++)
        check_refused(
            skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .time_limit = bad[i] }));
    skua_future *f =
        skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .time_limit = INFINITY });
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(ex);
}

static void sizes_that_make_no_sense_are_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    char byte = 0;
    check_refused(skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .arg_size = 8 }));
    check_refused(skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .drop = free_it }));
    check_refused(skua_submit_task(
        ex, &(skua_task){ .fn = skt_nothing, .arg = &byte, .arg_size = SIZE_MAX }));
    check_refused(skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .result_size = SIZE_MAX }));
    check_refused(skua_submit_task(ex, &(skua_task){ .fn = skt_nothing,
                                                     .arg = &byte,
                                                     .arg_size = SIZE_MAX / 2 + 1,
                                                     .result_size = SIZE_MAX / 2 + 1 }));
    skua_close(ex);
}

static void a_refusal_has_its_own_words_for_each_reason(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *a = skua_submit(ex, NULL, NULL);
    skua_future *b =
        skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .priority = (skua_priority)9 });
    const skua_error *no_function = skua_exception(a, 0), *no_priority = skua_exception(b, 0);
    assert_non_null(no_function);
    assert_non_null(no_priority);
    assert_string_not_equal(no_function->message, no_priority->message);
    skua_release(a);
    skua_release(b);
    skua_close(ex);
}

static void a_refused_future_outlives_its_pool(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, NULL, NULL);
    skua_close(ex);
    check_refused(f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(nothing_to_run_is_refused),
        SKT_EACH(priorities_that_do_not_exist_are_refused),
        SKT_EACH(limits_that_are_no_time_are_refused),
        SKT_EACH(sizes_that_make_no_sense_are_refused),
        SKT_EACH(a_refusal_has_its_own_words_for_each_reason),
        SKT_EACH(a_refused_future_outlives_its_pool),
    };
    return skt_main(argc, argv, "refused", tests, SKT_COUNT(tests));
}
