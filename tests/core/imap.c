/* skua_imap: bit by bit, in order, and never further ahead than allowed. */
#include "tests/support/harness.h"

#include <string.h>

#include "base/atomic.h"
#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

enum {
    ENDLESS = 1 << 30
};

/* Gives 0, 1, 2, ... up to n; notes how it was called. */
struct numbers {
    int n;
    size_t yielded;   /* by the iterator, as the test goes on */
    size_t max_ahead; /* of i over yielded, so far */
    size_t next;      /* the i that must come */
    bool ended, wrong;
};

static bool next_number(void *ctx, size_t i, void *item)
{
    struct numbers *numbers = ctx;
    numbers->wrong |= numbers->ended || i != numbers->next++;
    if (i == (size_t)numbers->n) {
        numbers->ended = true;
        return false;
    }
    if (i + 1 > numbers->yielded + numbers->max_ahead)
        numbers->max_ahead = i + 1 - numbers->yielded;
    *(int *)item = (int)i;
    return true;
}

static skua_iter *squares_of(skua_executor *ex, struct numbers *numbers, const skua_map_options *o)
{
    skua_iter *it =
        skua_imap(ex, skt_square, next_number, numbers, sizeof(int), sizeof(int), o, SKUA_FOREVER);
    assert_non_null(it);
    return it;
}

static void check_next(skua_iter *it, struct numbers *numbers)
{
    size_t i = SIZE_MAX;
    int value = -1;
    skua_future *f = skua_next(it, &i);
    assert_non_null(f);
    assert_int_equal(i, numbers->yielded);
    assert_status(skua_result(f, &value, sizeof value, 0), SKUA_OK);
    assert_int_equal(value, (int)(i * i));
    numbers->yielded++;
}

static void items_come_in_order_whatever_chunk_and_ahead(void **state)
{
    static const size_t chunks[] = { 0, 1, 3, 7, 100, 1000 }, aheads[] = { 0, 1, 4, 64, 5000 };
    skua_executor *ex = skt_pool(state);
    for (size_t c = 0; c < SKT_COUNT(chunks); c++) {
        for (size_t a = 0; a < SKT_COUNT(aheads); a++) {
            const skua_map_options o = { .chunk = chunks[c], .ahead = aheads[a] };
            struct numbers numbers = { .n = 200 };
            skua_iter *it = squares_of(ex, &numbers, &o);
            for (int i = 0; i < 200; i++)
                check_next(it, &numbers);
            assert_null(skua_next(it, NULL));
            assert_null(skua_next(it, NULL));
            assert_status(skua_iter_close(it), SKUA_OK);
            assert_false(numbers.wrong);
            const size_t workers = (size_t)skt_workers(state);
            assert_true(numbers.max_ahead <= (aheads[a] != 0 ? aheads[a] : 2 * workers));
        }
    }
    skua_close(ex);
}

static void an_endless_source_is_pulled_no_further_than_ahead(void **state)
{
    skua_executor *ex = skt_pool(state);
    const skua_map_options o = { .ahead = 4, .chunk = 3 };
    struct numbers numbers = { .n = ENDLESS };
    skua_iter *it = squares_of(ex, &numbers, &o);
    for (int i = 0; i < 50; i++)
        check_next(it, &numbers);
    assert_true(numbers.max_ahead <= 4);
    assert_true(numbers.next <= 54);
    assert_status(skua_iter_close(it), SKUA_OK);
    skua_close(ex);
}

static void an_empty_source_ends_at_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct numbers numbers = { .n = 0 };
    skua_iter *it = squares_of(ex, &numbers, NULL);
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    assert_false(numbers.wrong);
    skua_close(ex);
}

static int fails_at_5(void *arg, void *result)
{
    if (*(int *)arg == 5)
        return skua_fail(55, "five");
    return skt_square(arg, result);
}

static void a_failing_item_spoils_no_other_of_its_chunk(void **state)
{
    skua_executor *ex = skt_pool(state);
    const skua_map_options o = { .ahead = 10, .chunk = 10 };
    struct numbers numbers = { .n = 10 };
    skua_iter *it = skua_imap(ex, fails_at_5, next_number, &numbers, sizeof(int), sizeof(int), &o,
                              SKUA_FOREVER);
    for (int i = 0; i < 10; i++) {
        if (i != 5) {
            check_next(it, &numbers);
            continue;
        }
        const skua_error *error = skua_exception(skua_next(it, NULL), 0);
        assert_status(error->status, SKUA_FAILED);
        assert_int_equal(error->code, 55);
        assert_string_equal(error->message, "five");
        numbers.yielded++;
    }
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    skua_close(ex);
}

static void its_future_lives_until_the_next_one_unless_retained(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct numbers numbers = { .n = 3 };
    skua_iter *it = squares_of(ex, &numbers, NULL);
    skua_next(it, NULL);
    skua_future *kept = skua_retain(skua_next(it, NULL));
    skua_next(it, NULL);
    assert_status(skua_iter_close(it), SKUA_OK);
    int value = 0;
    assert_status(skua_result(kept, &value, sizeof value, 0), SKUA_OK);
    assert_int_equal(value, 1);
    skua_release(kept);
    skua_close(ex);
}

static int through_gate(void *arg, void *result)
{
    (void)result;
    return skt_gate_task(*(void **)arg, NULL);
}

struct gates {
    struct skt_gate *gate;
    size_t n;
};

static bool next_gate(void *ctx, size_t i, void *item)
{
    struct gates *gates = ctx;
    *(struct skt_gate **)item = gates->gate;
    return i < gates->n;
}

static void after_its_timeout_it_waits_no_longer_but_gives_what_is_done(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    struct gates gates = { &gate, 2 };
    skt_gate_init(&gate);
    skua_iter *it = skua_imap(ex, through_gate, next_gate, &gates, sizeof(void *), 0, NULL, 0.02);
    assert_null(skua_next(it, NULL));
    skt_gate_open(&gate);
    /* Another task of the one worker ends after item 0: it is done then, however late. */
    skt_latch_wait(&gate.began, 1);
    skua_future *f = NULL;
    for (const double end = skt_now() + 20; f == NULL && skt_now() < end; skt_pause(0.001))
        f = skua_next(it, NULL);
    assert_non_null(f);
    assert_status(skua_result(f, NULL, 0, 0), SKUA_OK);
    skua_iter_close(it);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void a_timeout_is_told_by_close(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    struct gates gates = { &gate, 100 };
    skt_gate_init(&gate);
    skua_iter *it = skua_imap(ex, through_gate, next_gate, &gates, sizeof(void *), 0,
                              &(skua_map_options){ .ahead = 100 }, 0.02);
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_TIMEOUT);
    assert_non_null(strstr(skua_last_error()->message, "item 0"));
    skt_gate_open(&gate);
    skua_close(ex);
    /* What had not begun was cancelled by closing. */
    assert_true(skt_latch_count(&gate.began) <= skt_workers(state));
    skt_gate_fini(&gate);
}

static void closed_early_it_cancels_what_has_not_begun(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    struct numbers numbers = { .n = ENDLESS };
    skua_iter *it = skua_imap(ex, skt_count, next_number, &numbers, sizeof(int), 0,
                              &(skua_map_options){ .ahead = 20, .chunk = 5 }, SKUA_FOREVER);
    skua_stats stats;
    assert_status(skua_executor_stats(ex, &stats), SKUA_OK);
    assert_int_equal(stats.pending, 20);
    assert_status(skua_iter_close(it), SKUA_OK);
    assert_status(skua_executor_stats(ex, &stats), SKUA_OK);
    assert_int_equal(stats.cancelled, 20);
    skt_gate_open(&gate);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void after_a_shutdown_accepted_items_come_then_the_end(void **state)
{
    skua_executor *ex = skt_pool(state);
    const skua_map_options o = { .ahead = 6 };
    struct numbers numbers = { .n = ENDLESS };
    skua_iter *it = squares_of(ex, &numbers, &o);
    check_next(it, &numbers);
    check_next(it, &numbers);
    assert_status(skua_shutdown(ex, 0, 0), SKUA_OK);
    const size_t accepted = numbers.next;
    while (numbers.yielded < accepted)
        check_next(it, &numbers);
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_SHUTDOWN);
    assert_status(skua_last_error()->status, SKUA_SHUTDOWN);
    skua_close(ex);
}

static void cancelled_by_a_shutdown_its_items_come_as_cancelled(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    struct numbers numbers = { .n = ENDLESS };
    const skua_map_options o = { .ahead = 6, .chunk = 2 };
    skua_iter *it = squares_of(ex, &numbers, &o);
    assert_status(skua_shutdown(ex, SKUA_CANCEL_FUTURES, 0), SKUA_OK);
    for (int i = 0; i < 6; i++)
        assert_true(skua_cancelled(skua_next(it, NULL)));
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_SHUTDOWN);
    skt_gate_open(&gate);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static int sum_inside(void *arg, void *result)
{
    struct numbers numbers = { .n = 100 };
    skua_iter *it = skua_imap(arg, skt_square, next_number, &numbers, sizeof(int), sizeof(int),
                              &(skua_map_options){ .chunk = 4, .ahead = 8 }, SKUA_FOREVER);
    int value;
    for (skua_future *f; (f = skua_next(it, NULL)) != NULL;) {
        if (skua_result(f, &value, sizeof value, 0) == SKUA_OK)
            *(int *)result += value;
    }
    return skua_iter_close(it);
}

static void it_works_inside_a_task_also_after_the_shutdown_began(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *f = skua_submit_task(
        ex, &(skua_task){ .fn = sum_inside, .arg = ex, .result_size = sizeof(int) });
    assert_status(skua_shutdown(ex, 0, 0), SKUA_OK);
    skt_gate_open(&gate);
    int sum = 0;
    assert_status(skua_result(f, &sum, sizeof sum, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sum, 328350);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void a_bound_on_pending_tasks_holds_for_it_too(void **state)
{
    skua_executor *ex =
        skua_thread_pool(&(skua_options){ .workers = skt_workers(state), .max_pending = 3 });
    const skua_map_options o = { .chunk = 10, .ahead = 50 };
    struct numbers numbers = { .n = 200 };
    skua_iter *it = squares_of(ex, &numbers, &o);
    for (int i = 0; i < 200; i++)
        check_next(it, &numbers);
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    skua_close(ex);
}

static void a_huge_window_takes_memory_for_its_items_alone(void **state)
{
    skua_executor *ex = skt_pool(state);
    const skua_map_options all = { .chunk = SIZE_MAX, .ahead = SIZE_MAX };
    struct numbers numbers = { .n = 50 };
    skua_iter *it = squares_of(ex, &numbers, &all);
    for (int i = 0; i < 50; i++)
        check_next(it, &numbers);
    assert_null(skua_next(it, NULL));
    assert_status(skua_iter_close(it), SKUA_OK);
    skua_close(ex);
}

static void a_full_pool_does_not_hold_it_beyond_its_timeout(void **state)
{
    skua_executor *ex =
        skua_thread_pool(&(skua_options){ .workers = skt_workers(state), .max_pending = 1 });
    struct skt_gate gate;
    skt_gate_init(&gate);
    for (int i = 1; i <= skt_workers(state); i++) {
        skua_release(skua_submit(ex, skt_gate_task, &gate));
        skt_latch_wait(&gate.began, i);
    }
    skua_future *filler = skua_submit(ex, skt_nothing, NULL);
    struct numbers numbers = { .n = ENDLESS };
    const double start = skt_now();
    skua_iter *it =
        skua_imap(ex, skt_square, next_number, &numbers, sizeof(int), sizeof(int), NULL, 0.05);
    assert_non_null(it);
    assert_null(skua_next(it, NULL));
    assert_true(skt_now() - start < 0.05 + skt_wake_limit());
    assert_int_equal(numbers.next, 0);
    assert_status(skua_iter_close(it), SKUA_TIMEOUT);
    skt_gate_open(&gate);
    assert_status(skua_result(filler, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(filler);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static int broken(void *arg)
{
    (void)arg;
    return 1;
}

static void on_a_broken_pool_it_ends_with_its_status(void **state)
{
    skua_executor *ex =
        skua_thread_pool(&(skua_options){ .workers = skt_workers(state), .init = broken });
    struct numbers numbers = { .n = ENDLESS };
    skua_iter *it = squares_of(ex, &numbers, NULL);
    for (skua_future *f; (f = skua_next(it, NULL)) != NULL;)
        assert_status(skua_result(f, NULL, 0, 0), SKUA_BROKEN_THREAD_POOL);
    assert_status(skua_iter_close(it), SKUA_BROKEN_THREAD_POOL);
    skua_close(ex);
}

static void arguments_that_make_no_sense_are_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct numbers numbers = { .n = 1 };
    assert_null(skua_imap(NULL, skt_square, next_number, &numbers, 4, 4, NULL, 1));
    assert_non_null(strstr(skua_last_error()->message, "executor"));
    assert_null(skua_imap(ex, NULL, next_number, &numbers, 4, 4, NULL, 1));
    assert_non_null(strstr(skua_last_error()->message, "function"));
    assert_null(skua_imap(ex, skt_square, NULL, &numbers, 4, 4, NULL, 1));
    assert_non_null(strstr(skua_last_error()->message, "source"));
    assert_null(skua_imap(ex, skt_square, next_number, &numbers, SIZE_MAX, 4, NULL, 1));
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_int_equal(numbers.next, 0);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(items_come_in_order_whatever_chunk_and_ahead),
        SKT_EACH(an_endless_source_is_pulled_no_further_than_ahead),
        SKT_EACH(an_empty_source_ends_at_once),
        SKT_EACH(a_failing_item_spoils_no_other_of_its_chunk),
        SKT_EACH(its_future_lives_until_the_next_one_unless_retained),
        SKT_EACH(after_its_timeout_it_waits_no_longer_but_gives_what_is_done),
        SKT_EACH(a_timeout_is_told_by_close),
        SKT_EACH(closed_early_it_cancels_what_has_not_begun),
        SKT_EACH(after_a_shutdown_accepted_items_come_then_the_end),
        SKT_EACH(cancelled_by_a_shutdown_its_items_come_as_cancelled),
        SKT_EACH(it_works_inside_a_task_also_after_the_shutdown_began),
        SKT_EACH(a_bound_on_pending_tasks_holds_for_it_too),
        SKT_EACH(a_huge_window_takes_memory_for_its_items_alone),
        SKT_EACH(a_full_pool_does_not_hold_it_beyond_its_timeout),
        SKT_EACH(on_a_broken_pool_it_ends_with_its_status),
        SKT_EACH(arguments_that_make_no_sense_are_refused),
    };
    return skt_main(argc, argv, "imap", tests, SKT_COUNT(tests));
}
