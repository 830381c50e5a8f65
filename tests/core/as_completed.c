/* skua_as_completed(): futures handed out as they get done. */
#include "tests/support/harness.h"

#include <math.h>
#include <string.h>

#include "tests/support/gate.h"

#define NR_TASKS 500

static void done_ones_come_first_in_array_order(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *fs[8];
    for (int i = 1; i < 8; i++)
        fs[i] = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_wait(fs + 1, 7, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    fs[0] = skt_gate_submit(&gate, ex);
    skua_iter *it = skua_as_completed(fs, 8, SKUA_FOREVER);
    assert_non_null(it);
    size_t index = 99;
    for (size_t i = 1; i < 8; i++) {
        assert_ptr_equal(skua_next(it, &index), fs[i]);
        assert_int_equal(index, i);
    }
    skt_gate_open(&gate);
    assert_ptr_equal(skua_next(it, &index), fs[0]);
    assert_int_equal(index, 0);
    assert_null(skua_next(it, &index));
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    for (int i = 0; i < 8; i++)
        skua_release(fs[i]);
    skua_close(ex);
    skt_gate_fini(&gate);
}

/* One worker ends them one by one, in the order of their priorities. */
static void the_rest_come_in_the_order_in_which_they_end(void **state)
{
    (void)state;
    skua_executor *ex = skt_pool_of(1);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, 1);
    const skua_priority priorities[] = { SKUA_LOW, SKUA_NORMAL, SKUA_HIGH, SKUA_LOW, SKUA_HIGH };
    const int order[] = { 2, 4, 1, 0, 3 };
    skua_future *fs[5];
    for (int i = 0; i < 5; i++)
        fs[i] = skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .priority = priorities[i] });
    skua_iter *it = skua_as_completed(fs, 5, SKUA_FOREVER);
    skt_gate_open(&gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    for (int i = 0; i < 5; i++)
        assert_ptr_equal(skua_next(it, NULL), fs[order[i]]);
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    for (int i = 0; i < 5; i++)
        skua_release(fs[i]);
    skua_close(ex);
    skt_gate_fini(&gate);
}

/* The test ends them itself, so that the order is the same with any number of workers. */
static void cancelled_ones_come_in_the_order_in_which_they_were_cancelled(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    const int order[] = { 2, 4, 1, 0, 3 };
    skua_future *fs[5];
    for (int i = 0; i < 5; i++)
        fs[i] = skua_submit(ex, skt_nothing, NULL);
    skua_iter *it = skua_as_completed(fs, 5, SKUA_FOREVER);
    for (int i = 0; i < 5; i++)
        assert_true(skua_cancel(fs[order[i]]));
    size_t index = 99;
    for (int i = 0; i < 5; i++) {
        assert_ptr_equal(skua_next(it, &index), fs[order[i]]);
        assert_int_equal(index, order[i]);
    }
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    skt_gate_open(&gate);
    for (int i = 0; i < 5; i++)
        skua_release(fs[i]);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void one_that_ends_after_the_timeout_still_comes(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    skua_future *const fs[] = { f, f, NULL, f };
    skua_iter *first = skua_as_completed(fs, 4, 0.001), *second = skua_as_completed(fs, 4, NAN);
    assert_null(skua_next(first, NULL));
    assert_null(skua_next(second, NULL));
    assert_status(skua_iter_close(second), SKUA_TIMEOUT);
    assert_non_null(strstr(skua_last_error()->message, "1 of 1"));
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    size_t index = 99;
    assert_ptr_equal(skua_next(first, &index), f);
    assert_int_equal(index, 0);
    assert_null(skua_next(first, NULL));
    assert_status(skua_iter_close(first), SKUA_OK);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void each_comes_once_with_its_index(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *fs[NR_TASKS];
    char seen[NR_TASKS] = { 0 };
    for (int i = 0; i < NR_TASKS; i++)
        fs[i] = i % 7 == 3 ? NULL : skt_submit_int(ex, skt_square, i);
    skua_iter *it = skua_as_completed(fs, NR_TASKS, SKUA_FOREVER);
    size_t index = 0;
    for (skua_future *f; (f = skua_next(it, &index)) != NULL;) {
        assert_true(index < NR_TASKS);
        assert_ptr_equal(f, fs[index]);
        assert_true(skua_done(f));
        assert_int_equal(seen[index]++, 0);
        int value = 0;
        assert_status(skua_result(f, &value, sizeof value, 0), SKUA_OK);
        assert_int_equal(value, index * index);
    }
    assert_status(skua_iter_close(it), SKUA_OK);
    for (int i = 0; i < NR_TASKS; i++) {
        assert_int_equal(seen[i], i % 7 != 3);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

static void equal_ones_come_once_with_the_first_index(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, skt_nothing, NULL), *g = skua_submit(ex, skt_nothing, NULL);
    skua_future *const fs[] = { NULL, f, g, f, g, f };
    skua_iter *it = skua_as_completed(fs, 6, SKUA_FOREVER);
    size_t first = 99, second = 99;
    skua_future *a = skua_next(it, &first);
    skua_future *b = skua_next(it, &second);
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    assert_ptr_not_equal(a, b);
    assert_int_equal(first, a == f ? 1 : 2);
    assert_int_equal(second, b == f ? 1 : 2);
    skua_release(f);
    skua_release(g);
    skua_close(ex);
}

static void nothing_to_iterate_is_an_end_at_once(void **state)
{
    (void)state;
    skua_future *const nulls[] = { NULL, NULL };
    for (size_t n = 0; n <= 2; n += 2) {
        skua_iter *it = skua_as_completed(nulls, n, SKUA_FOREVER);
        assert_non_null(it);
        assert_null(skua_next(it, NULL));
        assert_status(skua_iter_close(it), SKUA_OK);
    }
    assert_null(skua_next(NULL, NULL));
    assert_null(skua_as_completed(NULL, 1, 0));
    assert_status(skua_last_error()->status, SKUA_INVALID);
}

static void the_clock_starts_at_the_call(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    const double length = 0.2 * skt_slow_factor();
    skua_iter *it = skua_as_completed(&f, 1, length);
    skt_pause(1.1 * length); /* not synchronisation: lets the iterator's time pass */
    const double start = skt_now();
    assert_null(skua_next(it, NULL));
    assert_true(skt_now() - start < length);
    assert_status(skua_iter_close(it), SKUA_TIMEOUT);
    skt_gate_open(&gate);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void a_done_future_is_handed_out_however_late(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *fs[5];
    for (int i = 0; i < 5; i++)
        fs[i] = skua_submit(ex, skt_nothing, NULL);
    const double timeouts[] = { 0.01, 0, -1 };
    for (size_t k = 0; k < SKT_COUNT(timeouts); k++) {
        skua_iter *it = skua_as_completed(fs, 5, timeouts[k]);
        assert_status(skua_wait(fs, 5, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
        skt_pause(0.02); /* not synchronisation: lets the iterator's time pass */
        for (int i = 0; i < 5; i++)
            assert_non_null(skua_next(it, NULL));
        assert_null(skua_next(it, NULL));
        assert_status(skua_iter_close(it), SKUA_OK);
    }
    for (int i = 0; i < 5; i++)
        skua_release(fs[i]);
    skua_close(ex);
}

static void a_timeout_tells_how_many_are_unfinished(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *fs[4] = { skua_submit(ex, skt_nothing, NULL), skua_submit(ex, skt_nothing, NULL) };
    assert_status(skua_wait(fs, 2, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    fs[2] = skt_gate_submit(&gate, ex);
    fs[3] = skt_gate_submit(&gate, other);
    const double start = skt_now();
    skua_iter *it = skua_as_completed(fs, 4, 0.05);
    assert_ptr_equal(skua_next(it, NULL), fs[0]);
    assert_ptr_equal(skua_next(it, NULL), fs[1]);
    assert_null(skua_next(it, NULL));
    assert_true(skt_now() - start >= 0.05);
    assert_status(skua_iter_close(it), SKUA_TIMEOUT);
    assert_non_null(strstr(skua_last_error()->message, "2 of 4"));
    assert_true(skua_running(fs[2]));
    skt_gate_open(&gate);
    assert_status(skua_wait(fs, 4, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    for (int i = 0; i < 4; i++)
        skua_release(fs[i]);
    skua_close(ex);
    skua_close(other);
    skt_gate_fini(&gate);
}

static void an_iterator_may_be_closed_early_and_begun_again(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *fs[50];
    for (int i = 0; i < 50; i++)
        fs[i] = skua_submit(ex, skt_nothing, NULL);
    skua_iter *it = skua_as_completed(fs, 50, SKUA_FOREVER);
    assert_non_null(it);
    assert_status(skua_iter_close(it), SKUA_OK);
    it = skua_as_completed(fs, 50, SKUA_FOREVER);
    skt_gate_open(&gate);
    for (int i = 0; i < 10; i++)
        assert_non_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    it = skua_as_completed(fs, 50, SKUA_FOREVER);
    for (int i = 0; i < 50; i++)
        assert_non_null(skua_next(it, NULL));
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    for (int i = 0; i < 50; i++)
        skua_release(fs[i]);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void each_may_be_released_as_it_comes(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int round = 0; round < 5; round++) {
        skua_future *fs[NR_TASKS];
        for (int i = 0; i < NR_TASKS; i++)
            fs[i] = skt_submit_int(ex, skt_square, i);
        skua_iter *it = skua_as_completed(fs, NR_TASKS, SKUA_FOREVER);
        memset(fs, 0, sizeof fs);
        int n = 0;
        for (skua_future *f; (f = skua_next(it, NULL)) != NULL; n++)
            skua_release(f);
        assert_int_equal(n, NR_TASKS);
        assert_status(skua_iter_close(it), SKUA_OK);
    }
    skua_close(ex);
}

static void futures_cancelled_by_shutdown_come_too(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    const int workers = skt_workers(state);
    skt_gate_hold(&gate, ex, workers);
    skua_future *fs[50];
    for (int i = 0; i < 50; i++)
        fs[i] = skua_submit(ex, skt_nothing, NULL);
    skua_iter *it = skua_as_completed(fs, 50, SKUA_FOREVER);
    assert_status(skua_shutdown(ex, SKUA_CANCEL_FUTURES, 0), SKUA_OK);
    for (int i = 0; i < 50; i++) {
        skua_future *f = skua_next(it, NULL);
        assert_non_null(f);
        assert_true(skua_cancelled(f));
    }
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    skt_gate_open(&gate);
    for (int i = 0; i < 50; i++)
        skua_release(fs[i]);
    skua_close(ex);
    skt_gate_fini(&gate);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(done_ones_come_first_in_array_order),
        SKT_TEST(the_rest_come_in_the_order_in_which_they_end),
        SKT_EACH(cancelled_ones_come_in_the_order_in_which_they_were_cancelled),
        SKT_EACH(one_that_ends_after_the_timeout_still_comes),
        SKT_EACH(each_comes_once_with_its_index),
        SKT_EACH(equal_ones_come_once_with_the_first_index),
        SKT_TEST(nothing_to_iterate_is_an_end_at_once),
        SKT_EACH(the_clock_starts_at_the_call),
        SKT_EACH(a_done_future_is_handed_out_however_late),
        SKT_EACH(a_timeout_tells_how_many_are_unfinished),
        SKT_EACH(an_iterator_may_be_closed_early_and_begun_again),
        SKT_EACH(each_may_be_released_as_it_comes),
        SKT_EACH(futures_cancelled_by_shutdown_come_too),
    };
    return skt_main(argc, argv, "as_completed", tests, SKT_COUNT(tests));
}
