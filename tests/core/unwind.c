/* pthread_exit() inside the user's functions: it is the failure of that task, loop, item or call,
 * and of nothing else. With children open: unwind_children.c. Exceptions: throw.c. */
#include "tests/support/harness.h"

#include <string.h>

#include "base/guard.h"
#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

#define EXITED "called pthread_exit()"

static void assert_exited(const skua_error *error)
{
    assert_non_null(error);
    assert_status(error->status, SKUA_FAILED);
    if (strstr(error->message, EXITED) == NULL)
        fail_msg("'%s' does not say '%s'", error->message, EXITED);
}

/* --- tasks --- */

static int exits(void *arg, void *result)
{
    (void)arg;
    (void)result;
    pthread_exit(NULL);
}

static void an_exit_is_the_failure_of_its_task_alone(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, exits, NULL), *g = skt_submit_int(ex, skt_square, 9);
    int value = 0;
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    assert_exited(skua_exception(f, 0));
    assert_string_equal(skua_exception(f, 0)->where, "");
    assert_status(skua_result(g, &value, sizeof value, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(value, 81);
    skua_release(f);
    skua_release(g);
    skua_close(ex);
}

static void the_words_name_the_task(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_task task = { .fn = exits, .name = "leaver" };
    skua_future *f = skua_submit_task(ex, &task);
    assert_exited(skua_exception(f, SKUA_FOREVER));
    assert_non_null(strstr(skua_exception(f, 0)->message, "leaver"));
    skua_release(f);
    skua_close(ex);
}

static void a_thousand_exits_in_a_row_leave_the_pool_whole(void **state)
{
    skua_executor *ex = skt_pool(state);
    SK_ATOMIC(int) counter;
    sk_init(&counter, 0);
    for (int i = 0; i < skt_rounds(1000); i++) {
        skua_future *f = skua_submit(ex, exits, NULL), *g = skua_submit(ex, skt_count, &counter);
        assert_exited(skua_exception(f, SKUA_FOREVER));
        assert_status(skua_result(g, NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(f);
        skua_release(g);
    }
    assert_int_equal(sk_load_acq(&counter), skt_rounds(1000));
    assert_int_equal(skua_workers(ex), skt_workers(state));
    skua_close(ex);
}

static void many_exits_at_once_leave_the_pool_whole(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *fs[200];
    for (int i = 0; i < 200; i++)
        fs[i] = i % 2 == 0 ? skua_submit(ex, exits, NULL) : skua_submit(ex, skt_nothing, NULL);
    for (int i = 0; i < 200; i++) {
        const skua_status status = skua_result(fs[i], NULL, 0, SKUA_FOREVER);
        assert_int_equal(status, i % 2 == 0 ? SKUA_FAILED : SKUA_OK);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

static int cancels_its_thread(void *arg, void *result)
{
    (void)arg;
    (void)result;
    pthread_cancel(pthread_self());
    pthread_testcancel();
    return 0;
}

static void a_cancelled_thread_is_the_failure_of_its_task(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < 3; i++) { /* also in the threads that come after */
        skua_future *f = skua_submit(ex, cancels_its_thread, NULL);
        assert_exited(skua_exception(f, SKUA_FOREVER));
        skua_release(f);
    }
    skua_close(ex);
}

static void raise_latch(void *arg)
{
    skt_latch_raise(arg);
}

static int exits_with_handler(void *arg, void *result)
{
    pthread_cleanup_push(raise_latch, arg);
    exits(NULL, result);
    pthread_cleanup_pop(0);
    return 0;
}

static void cleanup_handlers_run(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_latch latch;
    skt_latch_init(&latch);
    skua_future *f = skua_submit(ex, exits_with_handler, &latch);
    assert_exited(skua_exception(f, SKUA_FOREVER));
    assert_int_equal(skt_latch_count(&latch), 1);
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&latch);
}

static int waits_for_one_that_exits(void *arg, void *result)
{
    skua_future *f = skua_submit(skua_default(), exits, NULL);
    const skua_error *error = skua_exception(f, SKUA_FOREVER);
    const bool exited = error != NULL && strstr(error->message, EXITED) != NULL;
    (void)arg;
    *(int *)result = skua_worker() >= 0 && exited ? 5 : 6;
    skua_release(f);
    return 0;
}

static void a_task_that_waits_for_one_that_exits_goes_on(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(100); i++) {
        int value = 0;
        skua_future *f = skt_submit_int(ex, waits_for_one_that_exits, 0);
        assert_status(skua_result(f, &value, sizeof value, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(value, 5);
        skua_release(f);
    }
    skua_close(ex);
}

/* --- loops and maps --- */

static int body_exits_at_500(size_t begin, size_t end, void *ctx)
{
    SK_ATOMIC(int) *running = ctx;
    sk_add_acq_rel(running, 1);
    const bool leaves = begin <= 500 && 500 < end;
    sk_sub_acq_rel(running, 1);
    return leaves ? exits(NULL, NULL) : 0;
}

static int body_counts(size_t begin, size_t end, void *ctx)
{
    sk_add_acq_rel((SK_ATOMIC(int) *)ctx, (int)(end - begin));
    return 0;
}

static void loops_fail_when_a_body_exits(skua_executor *ex)
{
    const skua_schedule schedules[] = { SKUA_AUTO, SKUA_STATIC, SKUA_DYNAMIC };
    for (size_t i = 0; i < SKT_COUNT(schedules); i++) {
        SK_ATOMIC(int) running, count;
        sk_init(&running, 0);
        sk_init(&count, 0);
        const skua_loop how = { .schedule = schedules[i], .grain = 10 };
        assert_status(skua_for(ex, 0, 1000, body_exits_at_500, &running, &how), SKUA_FAILED);
        assert_exited(skua_last_error());
        assert_int_equal(sk_load_acq(&running), 0);
        assert_status(skua_for(ex, 0, 1000, body_counts, &count, &how), SKUA_OK);
        assert_int_equal(sk_load_acq(&count), 1000);
    }
}

static void a_loop_fails_when_a_body_exits(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(50); i++)
        loops_fail_when_a_body_exits(ex);
    skua_close(ex);
}

static int task_with_loops(void *arg, void *result)
{
    (void)result;
    loops_fail_when_a_body_exits(arg);
    return 0;
}

static int pass_exits_at_500(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    (void)ctx;
    *(size_t *)acc += end - begin;
    return last && begin <= 500 && 500 < end ? exits(NULL, NULL) : 0;
}

static void scan_join_exits(void *left, const void *right, void *ctx)
{
    (void)left;
    (void)right;
    (void)ctx;
    exits(NULL, NULL);
}

static int pass_counts(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    (void)ctx;
    (void)last;
    *(size_t *)acc += end - begin;
    return 0;
}

static void add(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(size_t *)left += *(const size_t *)right;
}

static int scans_fail_when_a_pass_or_join_exits(void *arg)
{
    const skua_loop how = { .grain = 10, .reproducible = true };
    size_t sum = 3;
    assert_status(skua_scan(arg, 0, 1000, pass_exits_at_500, add, NULL, &sum, sizeof sum, &how),
                  SKUA_FAILED);
    assert_exited(skua_last_error());
    assert_status(
        skua_scan(arg, 0, 1000, pass_counts, scan_join_exits, NULL, &sum, sizeof sum, &how),
        SKUA_FAILED);
    assert_exited(skua_last_error());
    assert_int_equal(sum, 3);
    assert_status(skua_scan(arg, 0, 1000, pass_counts, add, NULL, &sum, sizeof sum, &how), SKUA_OK);
    assert_int_equal(sum, 1003);
    return 0;
}

static int compare_or_exit(const void *a, const void *b, void *ctx)
{
    if (sk_sub_acq_rel((SK_ATOMIC(int) *)ctx, 1) == 1)
        exits(NULL, NULL);
    return *(const int *)a - *(const int *)b;
}

static int a_sort_fails_when_a_comparison_exits(void *arg)
{
    static int x[20000];
    for (int until = 1; until < 200000; until *= 7) {
        SK_ATOMIC(int) left;
        sk_init(&left, until);
        for (int i = 0; i < 20000; i++)
            x[i] = i * 7919 % 20011;
        assert_status(skua_sort(arg, x, 20000, sizeof *x, compare_or_exit, &left), SKUA_FAILED);
        assert_exited(skua_last_error());
    }
    return 0;
}

static void a_scan_or_sort_fails_when_its_function_exits(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_int_equal(skua_call(ex, scans_fail_when_a_pass_or_join_exits, ex), 0);
    assert_int_equal(skua_call(ex, a_sort_fails_when_a_comparison_exits, ex), 0);
    skua_close(ex);
}

/* The others wait at a barrier that can never be complete. */
static int last_member_exits(int rank, int members, void *ctx)
{
    SK_ATOMIC(int) *nr_told = ctx;
    if (rank == members - 1)
        pthread_exit(NULL);
    if (skua_team_barrier() == SKUA_FAILED)
        sk_add_acq_rel(nr_told, 1);
    return 0;
}

static int team_in_task(void *arg, void *result)
{
    skua_executor *ex = skua_default();
    (void)result;
    return skua_team(ex, skua_workers(ex), last_member_exits, arg);
}

static void a_team_fails_when_a_member_exits(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int round = skt_rounds(20); round > 0; round--) {
        SK_ATOMIC(int) nr_told;
        sk_init(&nr_told, 0);
        skua_future *f = skua_submit(ex, team_in_task, &nr_told);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
        assert_non_null(strstr(skua_exception(f, 0)->message, "pthread_exit"));
        assert_int_equal(sk_load_acq(&nr_told), skt_workers(state) - 1);
        skua_release(f);
    }
    skua_close(ex);
}

static void a_loop_inside_a_task_fails_when_a_body_exits(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(20); i++) {
        skua_future *f = skua_submit(ex, task_with_loops, ex);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(f);
    }
    skua_close(ex);
}

static int fold_exits(size_t begin, size_t end, void *ctx, void *acc)
{
    (void)begin;
    (void)end;
    (void)acc;
    return exits(ctx, NULL);
}

static int fold_adds(size_t begin, size_t end, void *ctx, void *acc)
{
    (void)ctx;
    *(size_t *)acc += end - begin;
    return 0;
}

static void join_exits(void *left, const void *right, void *ctx)
{
    (void)left;
    (void)right;
    exits(ctx, NULL);
}

static void join_adds(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(size_t *)left += *(const size_t *)right;
}

static void a_reduction_fails_when_a_function_of_it_exits(void **state)
{
    skua_executor *ex = skt_pool(state);
    size_t sum = 0;
    assert_status(skua_reduce(ex, 0, 5000, fold_exits, join_adds, NULL, &sum, sizeof sum, NULL),
                  SKUA_FAILED);
    assert_exited(skua_last_error());
    assert_status(skua_reduce(ex, 0, 5000, fold_adds, join_exits, NULL, &sum, sizeof sum, NULL),
                  SKUA_FAILED);
    assert_exited(skua_last_error());
    sum = 1;
    assert_status(skua_reduce(ex, 0, 5000, fold_adds, join_adds, NULL, &sum, sizeof sum, NULL),
                  SKUA_OK);
    assert_int_equal(sum, 5001);
    skua_close(ex);
}

static int item_exits_at_37(void *arg, void *result)
{
    const int i = *(int *)arg;
    if (i == 37)
        return exits(NULL, NULL);
    return skt_square(arg, result);
}

static void a_map_fails_when_an_item_exits(void **state)
{
    skua_executor *ex = skt_pool(state);
    int in[100], out[100] = { 0 };
    for (int i = 0; i < 100; i++)
        in[i] = i;
    assert_status(skua_map(ex, item_exits_at_37, in, sizeof *in, out, sizeof *out, 100, NULL, 60),
                  SKUA_FAILED);
    assert_exited(skua_last_error());
    for (int i = 0; i < 37; i++)
        assert_int_equal(out[i], i * i);
    assert_int_equal(out[37], 0);
    skua_close(ex);
}

/* --- calls, callbacks, initializers, and what else is called --- */

static int call_exits(void *arg)
{
    return exits(arg, NULL);
}

static int calls_one_that_exits(void *arg)
{
    const int code = skua_call(arg, call_exits, NULL);
    return code == SKUA_FAILED && strstr(skua_last_error()->message, EXITED) != NULL ? 3 : 4;
}

static void a_call_fails_when_its_function_exits(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status((skua_status)skua_call(ex, call_exits, NULL), SKUA_FAILED);
    assert_exited(skua_last_error());
    assert_int_equal(skua_call(ex, calls_one_that_exits, ex), 3);
    skua_close(ex);
}

static void callback_exits(skua_future *f, void *ctx)
{
    (void)f;
    exits(ctx, NULL);
}

static void callback_counts(skua_future *f, void *ctx)
{
    (void)f;
    skt_count(ctx, NULL);
}

static void a_callback_that_exits_is_told_and_the_others_run(void **state)
{
    skua_executor *ex = skt_pool(state);
    SK_ATOMIC(int) count;
    struct skt_gate gate;
    sk_init(&count, 0);
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    skt_log_start();
    skua_add_done_callback(f, callback_counts, &count);
    skua_add_done_callback(f, callback_exits, NULL);
    skua_add_done_callback(f, callback_counts, &count);
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&count), 2);
    assert_int_equal(skt_log_lines(), 1);
    assert_true(skt_log_has(EXITED));
    skt_log_stop();
    skua_release(f);
    skt_gate_fini(&gate);
}

static int init_exits(void *arg)
{
    return exits(arg, NULL);
}

static void an_initializer_that_exits_breaks_the_pool(void **state)
{
    skua_executor *ex =
        skua_thread_pool(&(skua_options){ .workers = skt_workers(state), .init = init_exits });
    assert_non_null(ex);
    for (int i = 0; i < 2; i++) { /* accepted before it broke, maybe, and refused after */
        skua_future *f = skua_submit(ex, skt_nothing, NULL);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_BROKEN_THREAD_POOL);
        assert_non_null(strstr(skua_exception(f, 0)->message, EXITED));
        skua_release(f);
    }
    skua_close(ex);
}

static void drop_exits(void *result)
{
    exits(result, NULL);
}

static void a_drop_function_that_exits_is_told(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int value = 3;
    skua_task task = { .fn = skt_square,
                       .arg = (void *)(uintptr_t)&value,
                       .result_size = sizeof value };
    task.arg_size = sizeof value;
    task.drop = drop_exits;
    skt_log_start();
    skua_release(skua_submit_task(ex, &task));
    skua_close(ex);
    assert_int_equal(skt_log_lines(), 1);
    assert_true(skt_log_has(EXITED));
    skt_log_stop();
}

/* --- the thread that is spent is replaced --- */

static SK_ATOMIC(int) nr_inits, nr_ended;
static pthread_key_t of_worker;

static void thread_ended(void *arg)
{
    (void)arg;
    sk_add_acq_rel(&nr_ended, 1);
}

static int init_worker(void *arg)
{
    (void)arg;
    sk_add_acq_rel(&nr_inits, 1);
    return pthread_setspecific(of_worker, &nr_inits);
}

static int has_its_key(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return pthread_getspecific(of_worker) == &nr_inits ? 0 : 1;
}

static void a_new_thread_with_its_own_init_takes_over(void **state)
{
    const int n = skt_workers(state), exits_wanted = 5;
    sk_store_rel(&nr_inits, 0);
    sk_store_rel(&nr_ended, 0);
    assert_int_equal(pthread_key_create(&of_worker, thread_ended), 0);
    skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = n, .init = init_worker });
    for (int i = 0; i < exits_wanted; i++) {
        skua_future *f = skua_submit(ex, exits, NULL), *g = skua_submit(ex, has_its_key, NULL);
        assert_exited(skua_exception(f, SKUA_FOREVER));
        assert_status(skua_result(g, NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(f);
        skua_release(g);
    }
    skua_close(ex);
    /* One that exited last before the shutdown may have had nobody after it; but not a single
     * worker, as it ran has_its_key() after the last exit. */
    assert_in_range(sk_load_acq(&nr_inits), n == 1 ? 1 + exits_wanted : n, n + exits_wanted);
    assert_int_equal(sk_load_acq(&nr_ended), sk_load_acq(&nr_inits));
    pthread_key_delete(of_worker);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(an_exit_is_the_failure_of_its_task_alone),
        SKT_EACH(the_words_name_the_task),
        SKT_EACH(a_thousand_exits_in_a_row_leave_the_pool_whole),
        SKT_EACH(many_exits_at_once_leave_the_pool_whole),
        SKT_EACH(a_cancelled_thread_is_the_failure_of_its_task),
        SKT_EACH(cleanup_handlers_run),
        SKT_EACH(a_task_that_waits_for_one_that_exits_goes_on),
        SKT_EACH(a_loop_fails_when_a_body_exits),
        SKT_EACH(a_scan_or_sort_fails_when_its_function_exits),
        SKT_EACH(a_team_fails_when_a_member_exits),
        SKT_EACH(a_loop_inside_a_task_fails_when_a_body_exits),
        SKT_EACH(a_reduction_fails_when_a_function_of_it_exits),
        SKT_EACH(a_map_fails_when_an_item_exits),
        SKT_EACH(a_call_fails_when_its_function_exits),
        SKT_EACH(a_callback_that_exits_is_told_and_the_others_run),
        SKT_EACH(an_initializer_that_exits_breaks_the_pool),
        SKT_EACH(a_drop_function_that_exits_is_told),
        SKT_EACH(a_new_thread_with_its_own_init_takes_over),
    };
    if (!SK_GUARD_CATCHES_EXIT) {
        print_message("skipped: pthread_exit() cannot be caught here\n");
        return 77;
    }
    return skt_main(argc, argv, "core/unwind", tests, SKT_COUNT(tests));
}
