/* What a task is given and what it leaves: copied arguments, result memory, drop, and the line for
 * a failure that nobody looked at. */
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

#define NR_TASKS 1000

static void each_task_sees_the_argument_of_its_own_submission(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *fs[NR_TASKS];
    for (int i = 0; i < NR_TASKS; i++)
        fs[i] = skua_submit_task(ex, &(skua_task){ .fn = skt_square,
                                                   .arg = &i,
                                                   .arg_size = sizeof i,
                                                   .result_size = sizeof(int) });
    for (int i = 0; i < NR_TASKS; i++) {
        int value = -1;
        assert_status(skua_result(fs[i], &value, sizeof value, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(value, i * i);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

static int tell_pointer(void *arg, void *result)
{
    *(void **)result = arg;
    return 0;
}

static int tell_no_result(void *arg, void *result)
{
    *(void **)arg = result;
    return 0;
}

static void without_sizes_a_task_gets_the_pointer_itself(void **state)
{
    skua_executor *ex = skt_pool(state);
    void *seen = NULL;
    int here;
    skua_task task = { .fn = tell_pointer, .arg = &here, .result_size = sizeof seen };
    skua_future *f = skua_submit_task(ex, &task);
    assert_status(skua_result(f, &seen, sizeof seen, SKUA_FOREVER), SKUA_OK);
    assert_ptr_equal(seen, &here);
    skua_release(f);

    seen = &here;
    f = skua_submit(ex, tell_no_result, &seen);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_null(seen);
    skua_release(f);
    skua_close(ex);
}

struct page {
    unsigned char bytes[4096];
};

static int dirty_the_result(void *arg, void *result)
{
    (void)arg;
    memset(result, 0xff, sizeof(struct page));
    return 0;
}

static int write_one_byte(void *arg, void *result)
{
    (void)arg;
    ((struct page *)result)->bytes[17] = 1;
    return 0;
}

static void result_bytes_that_are_not_written_are_zero(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < 50; i++) {
        skua_task task = { .fn = dirty_the_result, .result_size = sizeof(struct page) };
        skua_future *f = skua_submit_task(ex, &task);
        struct page page;
        assert_status(skua_result(f, &page, sizeof page, SKUA_FOREVER), SKUA_OK);
        skua_release(f);
        task.fn = write_one_byte;
        f = skua_submit_task(ex, &task);
        assert_status(skua_result(f, &page, sizeof page, SKUA_FOREVER), SKUA_OK);
        for (size_t k = 0; k < sizeof page.bytes; k++)
            assert_int_equal(page.bytes[k], k == 17);
        skua_release(f);
    }
    skua_close(ex);
}

static int sum_the_page(void *arg, void *result)
{
    const struct page *page = arg;
    for (size_t k = 0; k < sizeof page->bytes; k++)
        *(int *)result += page->bytes[k];
    return 0;
}

static void a_large_argument_is_copied_whole(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct page *page = malloc(sizeof *page);
    assert_non_null(page);
    memset(page, 2, sizeof *page);
    skua_task task = {
        .fn = sum_the_page, .arg = page, .arg_size = sizeof *page, .result_size = sizeof(int)
    };
    skua_future *f = skua_submit_task(ex, &task);
    free(page);
    int sum = 0;
    assert_status(skua_result(f, &sum, sizeof sum, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sum, 8192);
    skua_release(f);
    skua_close(ex);
}

static SK_ATOMIC(int) nr_dropped;

static int make_memory(void *arg, void *result)
{
    if (arg != NULL)
        skt_gate_task(arg, NULL);
    *(void **)result = malloc(16);
    return 0;
}

static int make_nothing(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return skua_fail(2, "no memory for you");
}

static void drop_memory(void *result)
{
    free(*(void **)result);
    sk_add_acq_rel(&nr_dropped, 1);
}

static skua_future *submit_with_drop(skua_executor *ex, skua_fn *fn, void *arg)
{
    return skua_submit_task(
        ex,
        &(skua_task){ .fn = fn, .arg = arg, .result_size = sizeof(void *), .drop = drop_memory });
}

static void a_result_that_nobody_took_is_dropped_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    sk_store_rel(&nr_dropped, 0);
    skua_future *f = submit_with_drop(ex, make_memory, NULL);
    assert_null(skua_exception(f, SKUA_FOREVER));
    skua_retain(f);
    skua_release(f);
    assert_int_equal(sk_load_acq(&nr_dropped), 0);
    skua_release(f);

    struct skt_gate gate;
    skt_gate_init(&gate);
    f = submit_with_drop(ex, make_memory, &gate);
    skt_latch_wait(&gate.began, 1);
    skua_release(f);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&nr_dropped), 2);
    skt_gate_fini(&gate);
}

static int give_seven(void *arg, void *result)
{
    (void)arg;
    *(int *)result = 7;
    return 0;
}

static void waiting_alone_takes_nothing(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = give_seven, .result_size = 4 });
    int value = 0;
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_result(f, &value, sizeof value, 0), SKUA_OK);
    assert_int_equal(value, 7);
    skua_release(f);
    skua_close(ex);
}

static void a_result_that_was_taken_is_not_dropped_and_taken_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    sk_store_rel(&nr_dropped, 0);
    skua_future *f = submit_with_drop(ex, make_memory, NULL);
    void *mine = NULL, *again = &mine;
    assert_status(skua_result(f, &mine, sizeof mine, SKUA_FOREVER), SKUA_OK);
    assert_non_null(mine);
    assert_status(skua_result(f, &again, sizeof again, SKUA_FOREVER), SKUA_INVALID_STATE);
    assert_ptr_equal(again, &mine);
    skua_release(f);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&nr_dropped), 0);
    free(mine);
}

static void a_task_that_failed_or_never_ran_drops_nothing(void **state)
{
    skua_executor *ex = skt_pool(state);
    sk_store_rel(&nr_dropped, 0);
    skua_future *f = submit_with_drop(ex, make_nothing, NULL);
    void *out = NULL;
    assert_status(skua_result(f, &out, sizeof out, SKUA_FOREVER), SKUA_FAILED);
    skua_release(f);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    f = submit_with_drop(ex, make_memory, NULL);
    assert_true(skua_cancel(f));
    skua_release(f);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&nr_dropped), 0);
    skt_gate_fini(&gate);
}

static void a_future_released_while_pending_still_runs_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    for (int i = 0; i < NR_TASKS; i++)
        skua_release(skua_submit(ex, skt_count, &runs));
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&runs), NR_TASKS);
    skt_gate_fini(&gate);
}

static void a_failure_that_nobody_read_is_told_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    skt_log_start();
    char name[] = "the-name";
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = skt_fails, .name = name });
    memset(name, '?', sizeof name - 1);
    skua_retain(f);
    skua_release(f);
    skua_future *const one[] = { f };
    assert_status(skua_wait(one, 1, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(skt_log_lines(), 0);
    skua_release(f);
    skua_close(ex);
    assert_int_equal(skt_log_lines(), 1);
    assert_true(skt_log_has("broken on purpose"));
    assert_true(skt_log_has("the-name"));
    skt_log_stop();
}

static void a_poll_that_found_nothing_has_not_read_the_failure(void **state)
{
    skua_executor *ex = skt_pool(state);
    skt_log_start();
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *f = skua_submit(ex, skt_fails, NULL);
    assert_status(skua_result(f, NULL, 0, 0), SKUA_TIMEOUT);
    assert_status(skua_exception(f, 0)->status, SKUA_TIMEOUT);
    skua_release(f);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(skt_log_lines(), 1);
    skt_gate_fini(&gate);
    skt_log_stop();
}

static void read_in_callback(skua_future *f, void *ctx)
{
    (void)ctx;
    skua_exception(f, 0);
}

static void a_failure_that_was_read_is_not_told(void **state)
{
    skua_executor *ex = skt_pool(state);
    skt_log_start();
    skua_future *f = skua_submit(ex, skt_fails, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    skua_release(f);
    f = skua_submit(ex, skt_fails, NULL);
    assert_non_null(skua_exception(f, SKUA_FOREVER));
    skua_release(f);
    f = skua_submit(ex, skt_fails, NULL);
    assert_status(skua_add_done_callback(f, read_in_callback, NULL), SKUA_OK);
    skua_release(f);
    skua_release(skua_submit(ex, skt_nothing, NULL));
    skua_close(ex);
    assert_int_equal(skt_log_lines(), 0);
    skt_log_stop();
}

static void a_cancelled_task_is_no_unread_failure(void **state)
{
    skua_executor *ex = skt_pool(state);
    skt_log_start();
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_true(skua_cancel(f));
    skua_release(f);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(skt_log_lines(), 0);
    skt_gate_fini(&gate);
    skt_log_stop();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(each_task_sees_the_argument_of_its_own_submission),
        SKT_EACH(without_sizes_a_task_gets_the_pointer_itself),
        SKT_EACH(result_bytes_that_are_not_written_are_zero),
        SKT_EACH(a_large_argument_is_copied_whole),
        SKT_EACH(a_result_that_nobody_took_is_dropped_once),
        SKT_EACH(waiting_alone_takes_nothing),
        SKT_EACH(a_result_that_was_taken_is_not_dropped_and_taken_once),
        SKT_EACH(a_task_that_failed_or_never_ran_drops_nothing),
        SKT_EACH(a_future_released_while_pending_still_runs_once),
        SKT_EACH(a_failure_that_nobody_read_is_told_once),
        SKT_EACH(a_poll_that_found_nothing_has_not_read_the_failure),
        SKT_EACH(a_failure_that_was_read_is_not_told),
        SKT_EACH(a_cancelled_task_is_no_unread_failure),
    };
    return skt_main(argc, argv, "payload", tests, SKT_COUNT(tests));
}
