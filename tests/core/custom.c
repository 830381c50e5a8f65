/* Executors of the user's own. */
#include "tests/support/harness.h"

#include <string.h>

#include "base/atomic.h"
#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

enum {
    MAX_HELD = 64
};

/* Keeps tasks until it is told to run them. */
struct shelf {
    const skua_task *tasks[MAX_HELD];
    skua_future *futures[MAX_HELD];
    int n, nr_shutdowns, nr_frees, last_flags;
};

static void shelf_submit(void *self, const skua_task *task, skua_future *f)
{
    struct shelf *shelf = self;
    shelf->tasks[shelf->n] = task;
    shelf->futures[shelf->n++] = skua_retain(f);
}

static void shelf_run(struct shelf *shelf)
{
    for (int i = 0; i < shelf->n; i++) {
        const skua_task *task = shelf->tasks[i];
        skua_future *f = shelf->futures[i];
        char result[64] = { 0 };
        if (skua_set_running_or_notify_cancel(f)) {
            int code = task->fn(task->arg, task->result_size > 0 ? result : NULL);
            if (code == 0)
                skua_set_result(f, task->result_size > 0 ? result : NULL, task->result_size);
            else
                skua_set_exception(f, &(skua_error){ .code = code, .message = task->name });
        }
        skua_release(f);
    }
    shelf->n = 0;
}

static skua_status shelf_shutdown(void *self, int flags, double timeout)
{
    struct shelf *shelf = self;
    shelf->nr_shutdowns++;
    shelf->last_flags = flags;
    if ((flags & SKUA_CANCEL_FUTURES) != 0) {
        for (int i = 0; i < shelf->n; i++)
            skua_cancel(shelf->futures[i]);
    }
    if ((flags & SKUA_WAIT) == 0)
        return SKUA_OK;
    if (timeout <= 0 && shelf->n > 0)
        return SKUA_TIMEOUT;
    shelf_run(shelf);
    return SKUA_OK;
}

static void shelf_free(void *self)
{
    ((struct shelf *)self)->nr_frees++;
}

static const skua_executor_ops shelf_ops = { shelf_submit, shelf_shutdown, shelf_free };

static void its_tasks_end_when_it_says_so(void **state)
{
    struct shelf shelf = { .n = 0 };
    (void)state;
    skua_executor *ex = skua_executor_new(&shelf_ops, &shelf);
    int arg = 9;
    char name[] = "nine";
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = skt_square,
                                                        .arg = &arg,
                                                        .arg_size = sizeof arg,
                                                        .result_size = sizeof(int),
                                                        .name = name });
    skua_future *g = skua_submit(ex, skt_fails, NULL);
    arg = 1;
    name[0] = 'x';
    assert_int_equal(shelf.n, 2);
    assert_string_equal(shelf.tasks[0]->name, "nine");
    assert_false(skua_done(f));
    shelf_run(&shelf);
    int value = 0;
    assert_status(skua_result(f, &value, sizeof value, 0), SKUA_OK);
    assert_int_equal(value, 81);
    assert_status(skua_result(g, NULL, 0, 0), SKUA_FAILED);
    skua_release(f);
    skua_release(g);
    skua_close(ex);
    assert_int_equal(shelf.nr_frees, 1);
    assert_int_equal(shelf.nr_shutdowns, 1);
    assert_int_equal(shelf.last_flags, SKUA_WAIT);
}

static void after_its_shutdown_submissions_are_refused(void **state)
{
    struct shelf shelf = { .n = 0 };
    (void)state;
    skua_executor *ex = skua_executor_new(&shelf_ops, &shelf);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0), SKUA_TIMEOUT);
    assert_status(skua_shutdown(ex, SKUA_CANCEL_FUTURES, 0), SKUA_OK);
    assert_true(skua_cancelled(f));
    skua_future *late = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_result(late, NULL, 0, 0), SKUA_SHUTDOWN);
    assert_int_equal(shelf.n, 1);
    skua_release(f);
    skua_release(late);
    skua_close(ex);
    assert_int_equal(shelf.n, 0);
}

static void what_makes_no_sense_never_reaches_it(void **state)
{
    struct shelf shelf = { .n = 0 };
    (void)state;
    skua_executor *ex = skua_executor_new(&shelf_ops, &shelf);
    skua_future *f = skua_submit(ex, NULL, NULL);
    assert_status(skua_result(f, NULL, 0, 0), SKUA_INVALID);
    skua_release(f);
    assert_int_equal(shelf.n, 0);
    assert_status(skua_shutdown(ex, 64, 0), SKUA_INVALID);
    assert_int_equal(shelf.nr_shutdowns, 0);
    skua_close(ex);
    assert_null(skua_executor_new(NULL, NULL));
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_null(skua_executor_new(&(skua_executor_ops){ .free = shelf_free }, NULL));
    assert_status(skua_last_error()->status, SKUA_INVALID);
}

static int touch(size_t begin, size_t end, void *ctx)
{
    *(size_t *)ctx += end - begin;
    return 0;
}

static int fold(size_t begin, size_t end, void *ctx, void *acc)
{
    (void)acc;
    return touch(begin, end, ctx);
}

static void join(void *left, const void *right, void *ctx)
{
    (void)left;
    (void)right;
    ++*(size_t *)ctx;
}

static int call(void *arg)
{
    ++*(size_t *)arg;
    return 0;
}

static void loops_and_calls_want_a_thread_pool(void **state)
{
    struct shelf shelf = { .n = 0 };
    skua_stats stats;
    size_t n = 0, acc = 0;
    (void)state;
    skua_executor *ex = skua_executor_new(&shelf_ops, &shelf);
    assert_status(skua_for(ex, 0, 10, touch, &n, NULL), SKUA_INVALID);
    assert_non_null(strstr(skua_last_error()->message, "thread pool"));
    assert_status(skua_reduce(ex, 0, 10, fold, join, &n, &acc, sizeof acc, NULL), SKUA_INVALID);
    assert_int_equal(skua_call(ex, call, &n), SKUA_INVALID);
    assert_status(skua_executor_stats(ex, &stats), SKUA_INVALID);
    assert_int_equal(skua_workers(ex), 0);
    assert_int_equal(n, 0);
    skua_close(ex);
}

/* Runs each task at once, in the thread that submits it. */
static void at_once_submit(void *self, const skua_task *task, skua_future *f)
{
    struct shelf shelf = { .n = 0 };
    (void)self;
    shelf_submit(&shelf, task, f);
    shelf_run(&shelf);
}

static void by_run_task_submit(void *self, const skua_task *task, skua_future *f)
{
    *(bool *)self = task->fn != NULL && skua_run_task(f);
}

static int stops_or_fails(void *arg, void *result)
{
    *(int *)result = 3;
    if (*(int *)arg == 0)
        return skua_fail(5, "five");
    while (!skua_stopping())
        continue;
    return SKUA_CANCELLED;
}

static void a_task_that_it_runs_has_words_a_limit_and_a_result(void **state)
{
    bool ran = false;
    int arg = 0, value = 6;
    (void)state;
    skua_executor *ex =
        skua_executor_new(&(skua_executor_ops){ .submit = by_run_task_submit }, &ran);
    skua_task task = { .fn = stops_or_fails,
                       .arg = &arg,
                       .arg_size = sizeof arg,
                       .result_size = sizeof(int),
                       .name = "runner" };
    skua_future *f = skua_submit_task(ex, &task);
    assert_true(ran);
    const skua_error *error = skua_exception(f, 0);
    assert_int_equal(error->code, 5);
    assert_string_equal(error->message, "five");
    assert_string_equal(error->task, "runner");
    assert_int_equal(error->worker, -1);
    assert_false(skua_run_task(f));
    assert_status(skua_last_error()->status, SKUA_INVALID_STATE);
    skua_release(f);
    arg = 1;
    task.time_limit = 0.01;
    f = skua_submit_task(ex, &task);
    assert_status(skua_exception(f, 0)->status, SKUA_EXPIRED);
    skua_release(f);
    task.fn = skt_square;
    arg = 6;
    f = skua_submit_task(ex, &task);
    assert_status(skua_result(f, &value, sizeof value, 0), SKUA_OK);
    assert_int_equal(value, 36);
    skua_release(f);
    skua_close(ex);
    f = skua_future_new(0);
    assert_false(skua_run_task(f));
    assert_status(skua_last_error()->status, SKUA_INVALID);
    skua_release(f);
}

static int maps_on_a_pool(void *arg, void *result)
{
    int in[10], out[10];
    for (int i = 0; i < 10; i++)
        in[i] = i;
    skua_executor *pool = *(skua_executor **)arg;
    skua_status status =
        skua_map(pool, skt_square, in, sizeof(int), out, sizeof(int), 10, NULL, SKUA_FOREVER);
    *(int *)result = out[9];
    return status;
}

static void a_task_that_it_runs_may_map_on_a_pool(void **state)
{
    bool ran = false;
    int value = 0;
    skua_executor *pool = skt_pool(state);
    skua_executor *ex =
        skua_executor_new(&(skua_executor_ops){ .submit = by_run_task_submit }, &ran);
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = maps_on_a_pool,
                                                        .arg = &pool,
                                                        .arg_size = sizeof pool,
                                                        .result_size = sizeof(int) });
    assert_true(ran);
    assert_status(skua_result(f, &value, sizeof value, 0), SKUA_OK);
    assert_int_equal(value, 81);
    skua_release(f);
    skua_close(ex);
    skua_close(pool);
}

static int submit_inner_that_fails(void *arg, void *result)
{
    (void)result;
    skua_future *f = skua_submit(arg, skt_fails, NULL);
    skua_exception(f, 0);
    skua_release(f);
    return 9;
}

static void words_said_in_it_are_not_those_of_the_task_that_submits(void **state)
{
    skua_executor *pool = skt_pool(state);
    skua_executor *ex = skua_executor_new(&(skua_executor_ops){ .submit = at_once_submit }, NULL);
    skua_future *f = skua_submit(pool, submit_inner_that_fails, ex);
    const skua_error *error = skua_exception(f, SKUA_FOREVER);
    assert_int_equal(error->code, 9);
    assert_string_equal(error->message, "the task returned 9");
    skua_release(f);
    skua_close(ex);
    skua_close(pool);
}

static int fails_at_odd(void *arg, void *result)
{
    *(int *)result = *(int *)arg * 2;
    return *(int *)arg % 2 != 0 ? 100 + *(int *)arg : 0;
}

static void map_works_on_it_and_reports_the_lowest_failing_item(void **state)
{
    int in[20], out[20] = { 0 };
    (void)state;
    skua_executor *ex = skua_executor_new(&(skua_executor_ops){ .submit = at_once_submit }, NULL);
    for (int i = 0; i < 20; i++)
        in[i] = i;
    assert_status(skua_map(ex, skt_square, in, sizeof(int), out, sizeof(int), 20, NULL, 10),
                  SKUA_OK);
    for (int i = 0; i < 20; i++)
        assert_int_equal(out[i], i * i);
    in[0] = 4;
    skt_log_start();
    assert_status(skua_map(ex, fails_at_odd, in, sizeof(int), out, sizeof(int), 20, NULL, 10),
                  SKUA_FAILED);
    assert_int_equal(skua_last_error()->code, 101);
    assert_int_equal(out[0], 8);
    assert_int_equal(skt_log_lines(), 0);
    skt_log_stop();
    skua_close(ex);
}

static void its_shared_memory_is_cleared(void **state)
{
    skua_executor *ex = skt_pool(state);
    int *numbers = skua_shared_alloc(ex, 1000 * sizeof *numbers);
    assert_non_null(numbers);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(numbers[i], 0);
    skua_future *f = skua_submit(ex, skt_count, numbers);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(numbers[0], 1);
    skua_release(f);
    skua_shared_free(ex, numbers);
    skua_shared_free(ex, NULL);
    assert_null(skua_shared_alloc(ex, 0));
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_null(skua_shared_alloc(NULL, 1));
    assert_null(skua_shared_alloc(ex, SIZE_MAX));
    assert_status(skua_last_error()->status, SKUA_NO_MEMORY);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(its_tasks_end_when_it_says_so),
        SKT_TEST(after_its_shutdown_submissions_are_refused),
        SKT_TEST(what_makes_no_sense_never_reaches_it),
        SKT_TEST(loops_and_calls_want_a_thread_pool),
        SKT_TEST(a_task_that_it_runs_has_words_a_limit_and_a_result),
        SKT_EACH(a_task_that_it_runs_may_map_on_a_pool),
        SKT_EACH(words_said_in_it_are_not_those_of_the_task_that_submits),
        SKT_TEST(map_works_on_it_and_reports_the_lowest_failing_item),
        SKT_EACH(its_shared_memory_is_cleared),
    };
    return skt_main(argc, argv, "custom", tests, SKT_COUNT(tests));
}
