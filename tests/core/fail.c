/* Memory runs out: the k-th allocation fails, for every k, over the whole interface. What comes
 * back is success or SKUA_NO_MEMORY, and nothing hangs, crashes or leaks. */
#include "tests/support/harness.h"

#include <string.h>

#include "base/mem.h"
#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

#define MAX_FAILURES 3000

static SK_ATOMIC(int) nr_asked;
static SK_ATOMIC(int) fail_at;   /* this request, counted from 1 */
static SK_ATOMIC(bool) for_ever; /* and all after it */

static bool allow(size_t size)
{
    (void)size;
    const int n = 1 + sk_add_acq_rel(&nr_asked, 1);
    const int at = sk_load_acq(&fail_at);
    return n < at || (n > at && !sk_load_acq(&for_ever));
}

static void failing_from(int k, bool ever)
{
    sk_store_rel(&nr_asked, 0);
    sk_store_rel(&fail_at, k);
    sk_store_rel(&for_ever, ever);
    sk_mem_set_hook(allow);
}

static void check(skua_status status)
{
    if (status != SKUA_OK && status != SKUA_NO_MEMORY)
        fail_msg("request %d failed: %s", sk_load_acq(&fail_at), skua_strstatus(status));
}

static int touch(size_t begin, size_t end, void *ctx)
{
    sk_add_rlx((SK_ATOMIC(size_t) *)ctx, end - begin);
    return 0;
}

static int fold(size_t begin, size_t end, void *ctx, void *acc)
{
    (void)ctx;
    *(size_t *)acc += end - begin;
    return 0;
}

static void join(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(size_t *)left += *(const size_t *)right;
}

static int pass(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    (void)ctx;
    (void)last;
    *(size_t *)acc += end - begin;
    return 0;
}

static int falling(const void *a, const void *b, void *ctx)
{
    (void)ctx;
    return *(const int *)b - *(const int *)a;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static int spawn_some(void *arg)
{
    skua_child children[20];
    int rc = 0;
    for (int i = 0; i < 20; i++)
        skua_spawn(&children[i], nothing, arg);
    for (int i = 0; i < 20; i++)
        rc |= skua_sync(&children[i]);
    return rc;
}

static void count_callback(skua_future *f, void *ctx)
{
    skua_exception(f, 0);
    skt_count(ctx, NULL);
}

static void use_tasks(skua_executor *ex)
{
    char bytes[300] = { 0 };
    SK_ATOMIC(int) calls;
    sk_init(&calls, 0);
    skua_future *fs[4];
    const skua_task task = { .fn = skt_nothing,
                             .arg = bytes,
                             .arg_size = sizeof bytes,
                             .result_size = sizeof bytes,
                             .name = "a task with a name",
                             .time_limit = 1000 };
    fs[0] = skua_submit(ex, skt_nothing, NULL);
    fs[1] = skua_submit_task(ex, &task);
    fs[2] = skua_submit(ex, skt_fails, NULL);
    fs[3] = skua_submit(ex, skt_nothing, NULL);
    int expected = 0;
    for (int i = 0; i < 4; i++) {
        assert_non_null(fs[i]);
        const skua_status status = skua_add_done_callback(fs[i], count_callback, &calls);
        check(status);
        expected += status == SKUA_OK;
    }
    skua_cancel(fs[3]);
    check(skua_wait(fs, 4, SKUA_FIRST_EXCEPTION, SKUA_FOREVER));
    skua_iter *it = skua_as_completed(fs, 4, SKUA_FOREVER);
    if (it != NULL) {
        while (skua_next(it, NULL) != NULL)
            continue;
        check(skua_iter_close(it));
    } else {
        check(skua_last_error()->status);
    }
    check(skua_result(fs[0], NULL, 0, SKUA_FOREVER));
    check(skua_result(fs[1], bytes, sizeof bytes, SKUA_FOREVER));
    const skua_status failed = skua_result(fs[2], NULL, 0, SKUA_FOREVER);
    assert_true(failed == SKUA_FAILED || failed == SKUA_NO_MEMORY);
    assert_non_null(skua_exception(fs[2], 0)->message);
    const skua_status cancelled = skua_result(fs[3], NULL, 0, SKUA_FOREVER);
    assert_true(cancelled == SKUA_CANCELLED || cancelled == SKUA_OK || cancelled == SKUA_NO_MEMORY);
    for (int i = 0; i < 4; i++)
        skua_release(fs[i]);
    check(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER));
    assert_int_equal(sk_load_acq(&calls), expected);
}

static void use_loops(skua_executor *ex)
{
    SK_ATOMIC(size_t) sum;
    sk_init(&sum, 0);
    const skua_status loop = skua_for(ex, 0, 100, touch, &sum, &(skua_loop){ .grain = 1 });
    check(loop);
    if (loop == SKUA_OK)
        assert_int_equal(sk_load_rlx(&sum), 100);
    for (int reproducible = 0; reproducible < 2; reproducible++) {
        size_t total = 0;
        const skua_loop o = { .reproducible = reproducible != 0, .grain = 1 };
        const skua_status status =
            skua_reduce(ex, 0, 1000, fold, join, NULL, &total, sizeof total, &o);
        check(status);
        if (status == SKUA_OK)
            assert_int_equal(total, 1000);
    }
    int in[50], out[50];
    for (int i = 0; i < 50; i++)
        in[i] = i;
    const skua_status map =
        skua_map(ex, skt_square, in, sizeof *in, out, sizeof *out, 50, NULL, SKUA_FOREVER);
    check(map);
    for (int i = 0; i < 50 && map == SKUA_OK; i++)
        assert_int_equal(out[i], i * i);
    check((skua_status)skua_call(ex, spawn_some, NULL));
}

static bool next_int(void *ctx, size_t i, void *item)
{
    *(int *)item = (int)i;
    return i < *(size_t *)ctx;
}

static void use_imap(skua_executor *ex)
{
    size_t n = 30;
    const skua_map_options o = { .chunk = 4, .ahead = 12 };
    skua_iter *it =
        skua_imap(ex, skt_square, next_int, &n, sizeof(int), sizeof(int), &o, SKUA_FOREVER);
    if (it == NULL) {
        check(skua_last_error()->status);
        return;
    }
    size_t i, next = 0;
    for (skua_future *f; (f = skua_next(it, &i)) != NULL; next++) {
        int value = -1;
        assert_int_equal(i, next);
        check(skua_result(f, &value, sizeof value, 0));
        assert_int_equal(value, (int)(i * i));
    }
    const skua_status status = skua_iter_close(it);
    check(status);
    assert_true(status != SKUA_OK || next == n);
}

static void end_at_once(void *self, const skua_task *task, skua_future *f)
{
    (void)self;
    (void)task;
    const skua_error error = { .code = 5, .message = "words to copy" };
    const skua_status status = skua_set_exception(f, &error);
    check(status);
    if (status != SKUA_OK)
        assert_status(skua_set_result(f, NULL, 0), SKUA_OK);
}

static void use_custom(void)
{
    skua_future *f = skua_future_new(100);
    skua_executor *ex = skua_executor_new(&(skua_executor_ops){ .submit = end_at_once }, NULL);
    if (f == NULL || ex == NULL)
        check(skua_last_error()->status);
    if (f != NULL)
        assert_true(skua_cancel(f));
    if (ex != NULL) {
        skua_future *g = skua_submit(ex, skt_nothing, NULL);
        assert_true(skua_done(g));
        assert_int_equal(skua_exception(g, 0) != NULL, skua_result(g, NULL, 0, 0) != SKUA_OK);
        skua_release(g);
    }
    skua_release(f);
    skua_close(ex);
}

/* What cannot be done for want of memory has changed nothing. */
static void use_scan_and_sort(skua_executor *ex)
{
    for (int reproducible = 0; reproducible < 2; reproducible++) {
        size_t total = 7;
        const skua_loop o = { .reproducible = reproducible != 0, .grain = 1 };
        const skua_status status =
            skua_scan(ex, 0, 1000, pass, join, NULL, &total, sizeof total, &o);
        check(status);
        assert_int_equal(total, status == SKUA_OK ? 1007 : 7);
    }
    int x[5000];
    for (int i = 0; i < 5000; i++)
        x[i] = i;
    const skua_status status = skua_sort(ex, x, 5000, sizeof *x, falling, NULL);
    check(status);
    for (int i = 0; i < 5000; i++)
        assert_int_equal(x[i], status == SKUA_OK ? 4999 - i : i);
}

static int wait_inside(void *arg, void *result)
{
    (void)result;
    skua_future *f = skua_submit(arg, skt_nothing, NULL);
    const skua_status status = skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    return status == SKUA_OK || status == SKUA_NO_MEMORY ? 0 : 1;
}

static void use_inside(skua_executor *ex)
{
    skua_future *f = skua_submit(ex, wait_inside, ex);
    check(skua_result(f, NULL, 0, SKUA_FOREVER));
    skua_release(f);
}

static void use_everything(int workers)
{
    skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = workers, .name = "poor" });
    if (ex == NULL) {
        assert_status(skua_last_error()->status, SKUA_NO_MEMORY);
        return;
    }
    use_inside(ex);
    use_loops(ex);
    use_imap(ex);
    use_scan_and_sort(ex);
    use_tasks(ex);
    skua_close(ex);
    use_custom();
}

static void every_allocation_may_fail(int workers, bool ever)
{
    skt_log_start();
    int k = 1;
    for (; k < MAX_FAILURES; k++) {
        failing_from(k, ever);
        use_everything(workers);
        sk_mem_set_hook(NULL);
        if (sk_load_acq(&nr_asked) < k)
            break;
    }
    skt_log_stop();
    print_message("%d allocations made to fail\n", k - 1);
    assert_true(k > 1);
    assert_true(k < MAX_FAILURES);
    use_everything(workers);
}

static void a_single_failed_allocation_is_an_error_or_harmless(void **state)
{
    every_allocation_may_fail(skt_workers(state), false);
}

static void once_memory_has_run_out_everything_ends_in_an_error(void **state)
{
    every_allocation_may_fail(skt_workers(state), true);
}

static void a_submission_without_memory_gives_a_future_that_says_so(void **state)
{
    skua_executor *ex = skt_pool(state);
    char bytes[100] = { 0 };
    const skua_task task = {
        .fn = skt_nothing, .arg = bytes, .arg_size = sizeof bytes, .result_size = 1 << 20
    };
    failing_from(1, true);
    skua_future *f = skua_submit_task(ex, &task), *g = skua_submit_task(ex, &task);
    sk_mem_set_hook(NULL);
    assert_non_null(f);
    assert_true(skua_done(f));
    assert_status(skua_exception(f, 0)->status, SKUA_NO_MEMORY);
    assert_true(strlen(skua_exception(f, 0)->message) > 0);
    assert_false(skua_cancel(f));
    assert_ptr_equal(skua_retain(f), f);
    skua_release(f);
    SK_ATOMIC(int) calls;
    sk_init(&calls, 0);
    assert_status(skua_add_done_callback(f, count_callback, &calls), SKUA_OK);
    assert_int_equal(sk_load_acq(&calls), 1);
    skua_future *const both[] = { f, g };
    assert_status(skua_wait(both, 2, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_exception(g, 0)->status, SKUA_NO_MEMORY);
    skua_release(f);
    skua_release(g);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_single_failed_allocation_is_an_error_or_harmless),
        SKT_EACH(once_memory_has_run_out_everything_ends_in_an_error),
        SKT_TEST(a_submission_without_memory_gives_a_future_that_says_so),
    };
    return skt_main(argc, argv, "fail", tests, SKT_COUNT(tests));
}
