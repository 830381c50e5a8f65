/* The end of a pool: shutdown in all its forms, and close. */
#include "tests/support/harness.h"

#include <sched.h>

#include "tests/support/gate.h"

static void after_shutdown_submissions_are_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_shutdown(ex, 0, 0), SKUA_OK);
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    skua_future *f = skua_submit(ex, skt_count, &runs);
    assert_non_null(f);
    assert_true(skua_done(f));
    assert_false(skua_cancelled(f));
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_SHUTDOWN);
    assert_status(skua_exception(f, 0)->status, SKUA_SHUTDOWN);
    skua_release(f);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&runs), 0);
}

static int piece(size_t begin, size_t end, void *ctx)
{
    sk_add_acq_rel((SK_ATOMIC(int) *)ctx, (int)(end - begin));
    return 0;
}

static int fold_piece(size_t begin, size_t end, void *ctx, void *acc)
{
    (void)ctx;
    *(int *)acc += (int)(end - begin);
    return 0;
}

static void join(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(int *)left += *(const int *)right;
}

static int count_call(void *arg)
{
    return skt_count(arg, NULL);
}

static void after_shutdown_loops_and_calls_from_outside_are_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    int sum = 0;
    assert_status(skua_for(ex, 0, 100, piece, &runs, NULL), SKUA_SHUTDOWN);
    assert_status(skua_reduce(ex, 0, 100, fold_piece, join, NULL, &sum, sizeof sum, NULL),
                  SKUA_SHUTDOWN);
    assert_status((skua_status)skua_call(ex, count_call, &runs), SKUA_SHUTDOWN);
    assert_status(skua_last_error()->status, SKUA_SHUTDOWN);
    assert_int_equal(sk_load_acq(&runs), 0);
    skua_close(ex);
}

static void shutdown_without_wait_returns_at_once_and_all_still_run(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    for (int i = 0; i < 100; i++)
        skua_release(skua_submit(ex, skt_count, &runs));
    for (int i = 0; i < 3; i++)
        assert_status(skua_shutdown(ex, 0, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(&runs), 0);
    skt_gate_open(&gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(&runs), 100);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0), SKUA_OK);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void a_wait_that_times_out_may_be_repeated(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, 1);
    const double start = skt_now();
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0), SKUA_TIMEOUT);
    assert_status(skua_shutdown(ex, SKUA_WAIT, -1), SKUA_TIMEOUT);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0.05), SKUA_TIMEOUT);
    const double waited = skt_now() - start;
    assert_true(waited >= 0.05);
    assert_true(waited < 0.05 + skt_wake_limit());
    skt_gate_open(&gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 1e300), SKUA_OK);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void count_callback(skua_future *f, void *ctx)
{
    skt_count(ctx, NULL);
    skua_exception(f, 0);
}

struct waiter {
    skua_future *f;
    struct skt_latch *begins;
    struct skt_latch *returned;
    skua_status status;
};

static void *wait_for_result(void *arg)
{
    struct waiter *w = arg;
    skt_latch_raise(w->begins);
    w->status = skua_result(w->f, NULL, 0, SKUA_FOREVER);
    skt_latch_raise(w->returned);
    return NULL;
}

static void cancel_futures_wakes_and_calls_back_for_each(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    struct skt_latch begins, returned;
    skt_gate_init(&gate);
    skt_latch_init(&begins);
    skt_latch_init(&returned);
    skt_gate_hold(&gate, ex, skt_workers(state) - 1);
    skua_future *running = skt_gate_submit(&gate, ex);
    SK_ATOMIC(int) calls;
    sk_init(&calls, 0);
    skua_future *fs[50];
    struct waiter waiters[4];
    pthread_t threads[4];
    for (int i = 0; i < 50; i++) {
        fs[i] = skua_submit(ex, skt_nothing, NULL);
        assert_status(skua_add_done_callback(fs[i], count_callback, &calls), SKUA_OK);
    }
    for (int i = 0; i < 4; i++) {
        waiters[i] = (struct waiter){ fs[i * 16], &begins, &returned, SKUA_OK };
        threads[i] = skt_thread(wait_for_result, &waiters[i]);
    }
    skt_latch_wait(&begins, 4);
    assert_status(skua_shutdown(ex, SKUA_WAIT | SKUA_CANCEL_FUTURES, 0), SKUA_TIMEOUT);
    assert_true(skt_latch_wait_for(&returned, 4, skt_wake_limit()));
    assert_int_equal(sk_load_acq(&calls), 50);
    for (int i = 0; i < 50; i++) {
        assert_true(skua_cancelled(fs[i]));
        skua_release(fs[i]);
    }
    for (int i = 0; i < 4; i++) {
        skt_join(threads[i]);
        assert_status(waiters[i].status, SKUA_CANCELLED);
    }
    assert_true(skua_running(running));
    skt_gate_open(&gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT | SKUA_CANCEL_FUTURES, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_result(running, NULL, 0, 0), SKUA_OK);
    skua_release(running);
    skua_close(ex);
    skt_gate_fini(&gate);
    skt_latch_fini(&begins);
    skt_latch_fini(&returned);
}

static int obey(void *arg, void *result)
{
    (void)result;
    skt_latch_raise(arg);
    while (!skua_stopping())
        sched_yield();
    return SKUA_CANCELLED;
}

static void kill_asks_the_running_ones_to_stop(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int workers = skt_workers(state);
    struct skt_latch began;
    skt_latch_init(&began);
    skua_future *fs[16];
    for (int i = 0; i < 2 * workers; i++)
        fs[i] = skua_submit(ex, obey, &began);
    skt_latch_wait(&began, workers);
    const int flags = SKUA_WAIT | SKUA_CANCEL_FUTURES | SKUA_KILL;
    assert_status(skua_shutdown(ex, flags, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_shutdown(ex, flags, SKUA_FOREVER), SKUA_OK);
    for (int i = 0; i < 2 * workers; i++) {
        assert_status(skua_result(fs[i], NULL, 0, 0), SKUA_CANCELLED);
        assert_true(skua_cancelled(fs[i]));
        skua_release(fs[i]);
    }
    assert_int_equal(skt_latch_count(&began), workers);
    skua_close(ex);
    skt_latch_fini(&began);
}

static void unknown_flags_and_no_pool_are_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_shutdown(NULL, 0, 0), SKUA_INVALID);
    assert_status(skua_shutdown(ex, 8, 0), SKUA_INVALID);
    assert_status(skua_shutdown(ex, -1, 0), SKUA_INVALID);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(ex);
}

static void futures_outlive_their_pool(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *good = skt_submit_int(ex, skt_square, 12);
    skua_future *bad = skua_submit(ex, skt_fails, NULL);
    skua_close(ex);
    int value = 0;
    assert_status(skua_result(good, &value, sizeof value, 0), SKUA_OK);
    assert_int_equal(value, 144);
    assert_string_equal(skua_exception(bad, 0)->message, "broken on purpose");
    SK_ATOMIC(int) calls;
    sk_init(&calls, 0);
    assert_status(skua_add_done_callback(good, count_callback, &calls), SKUA_OK);
    assert_int_equal(sk_load_acq(&calls), 1);
    skua_release(good);
    skua_release(bad);
}

struct inside {
    struct skt_gate gate;
    skua_executor *ex;
    SK_ATOMIC(int) runs;
    skua_status shutdown, submit, loop, reduce, map;
    int spawned, called, sum;
    bool same_default;
};

static int use_own_pool(void *arg, void *result)
{
    struct inside *in = arg;
    skt_gate_task(&in->gate, result);
    skua_future *f = skua_submit(in->ex, skt_count, &in->runs);
    in->submit = skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    in->same_default = skua_default() == in->ex;
    in->loop = skua_for(in->ex, 0, 100, piece, &in->runs, NULL);
    in->reduce =
        skua_reduce(in->ex, 0, 100, fold_piece, join, NULL, &in->sum, sizeof in->sum, NULL);
    int items[10], squares[10];
    for (int i = 0; i < 10; i++)
        items[i] = i;
    in->map = skua_map(in->ex, skt_square, items, sizeof *items, squares, sizeof *squares, 10, NULL,
                       SKUA_FOREVER);
    skua_child child;
    skua_spawn(&child, count_call, &in->runs);
    in->spawned = skua_sync(&child);
    in->called = skua_call(in->ex, count_call, &in->runs);
    return 0;
}

static void a_running_task_keeps_its_loops_and_maps_but_cannot_submit(void **state)
{
    struct inside in = { .ex = skt_pool(state) };
    skt_gate_init(&in.gate);
    skua_future *f = skua_submit(in.ex, use_own_pool, &in);
    skt_latch_wait(&in.gate.began, 1);
    assert_status(skua_shutdown(in.ex, 0, 0), SKUA_OK);
    skt_gate_open(&in.gate);
    assert_status(skua_shutdown(in.ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_result(f, NULL, 0, 0), SKUA_OK);
    assert_status(in.submit, SKUA_SHUTDOWN);
    assert_status(in.loop, SKUA_OK);
    assert_status(in.reduce, SKUA_OK);
    assert_status(in.map, SKUA_OK);
    assert_int_equal(in.spawned, 0);
    assert_int_equal(in.called, 0);
    assert_int_equal(in.sum, 100);
    assert_true(in.same_default);
    assert_int_equal(sk_load_acq(&in.runs), 102);
    skua_release(f);
    skua_close(in.ex);
    skt_gate_fini(&in.gate);
}

static int shut_own_pool_down(void *arg, void *result)
{
    struct inside *in = arg;
    (void)result;
    in->shutdown = skua_shutdown(in->ex, SKUA_WAIT, SKUA_FOREVER);
    skua_future *f = skua_submit(in->ex, skt_count, &in->runs);
    in->submit = skua_result(f, NULL, 0, 0);
    skua_release(f);
    return 0;
}

static void a_worker_that_waits_for_its_own_pool_is_told_of_the_deadlock(void **state)
{
    struct inside in = { .ex = skt_pool(state) };
    skua_future *f = skua_submit(in.ex, shut_own_pool_down, &in);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(in.shutdown, SKUA_DEADLOCK);
    assert_status(in.submit, SKUA_SHUTDOWN);
    skua_release(f);
    skua_close(in.ex);
}

static int close_own_pool(void *arg, void *result)
{
    struct inside *in = arg;
    (void)result;
    for (int i = 0; i < 50; i++)
        skua_release(skua_submit(in->ex, skt_count, &in->runs));
    skua_close(in->ex);
    return 0;
}

static void closed_by_a_worker_it_is_freed_when_its_last_task_has_ended(void **state)
{
    const int before = skt_nr_threads();
    struct inside in = { .ex = skt_pool(state) };
    skua_future *f = skua_submit(in.ex, close_own_pool, &in);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    assert_true(skt_threads_become(before));
    assert_int_equal(sk_load_acq(&in.runs), 50);
}

static void close_leaves_no_thread_behind(void **state)
{
    const int before = skt_nr_threads();
    for (int i = skt_rounds(100); i > 0; i--) {
        skua_executor *ex = skt_pool(state);
        if (i % 2 != 0)
            skua_release(skua_submit(ex, skt_nothing, NULL));
        skua_close(ex);
    }
    assert_true(skt_threads_become(before));
}

static void *shutdown_and_wait(void *arg)
{
    return (void *)(intptr_t)skua_shutdown(arg, SKUA_WAIT, SKUA_FOREVER);
}

static void several_threads_may_shut_down_at_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        threads[i] = skt_thread(shutdown_and_wait, ex);
    skt_gate_open(&gate);
    for (int i = 0; i < 4; i++) {
        void *status = &gate;
        assert_int_equal(pthread_join(threads[i], &status), 0);
        assert_null(status);
    }
    skua_close(ex);
    skt_gate_fini(&gate);
}

/* A callback that stays until the test lets it go. */
static void stay(skua_future *f, void *ctx)
{
    (void)f;
    skt_gate_task(ctx, NULL);
}

static void *cancel_it(void *arg)
{
    return (void *)(intptr_t)skua_cancel(arg);
}

static void it_waits_for_callbacks_of_what_another_thread_cancelled(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate, callback;
    skt_gate_init(&gate);
    skt_gate_init(&callback);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(f, stay, &callback), SKUA_OK);
    pthread_t canceller = skt_thread(cancel_it, f);
    skt_latch_wait(&callback.began, 1);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skt_gate_open(&gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0.1), SKUA_TIMEOUT);
    skt_gate_open(&callback);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    skua_close(ex);
    skt_join(canceller);
    skua_release(f);
    skt_gate_fini(&gate);
    skt_gate_fini(&callback);
}

static void a_pool_may_be_closed_while_its_futures_are_cancelled(void **state)
{
    for (int round = skt_rounds(300); round > 0; round--) {
        skua_executor *ex = skt_pool(state);
        struct skt_gate gate;
        skt_gate_init(&gate);
        skt_gate_hold(&gate, ex, skt_workers(state));
        skua_future *f = skua_submit(ex, skt_nothing, NULL);
        pthread_t canceller = skt_thread(cancel_it, f);
        skt_gate_open(&gate);
        skua_close(ex);
        skt_join(canceller);
        assert_true(skua_done(f));
        skua_release(f);
        skt_gate_fini(&gate);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(after_shutdown_submissions_are_refused),
        SKT_EACH(after_shutdown_loops_and_calls_from_outside_are_refused),
        SKT_EACH(shutdown_without_wait_returns_at_once_and_all_still_run),
        SKT_EACH(a_wait_that_times_out_may_be_repeated),
        SKT_EACH(cancel_futures_wakes_and_calls_back_for_each),
        SKT_EACH(kill_asks_the_running_ones_to_stop),
        SKT_EACH(unknown_flags_and_no_pool_are_refused),
        SKT_EACH(futures_outlive_their_pool),
        SKT_EACH(a_running_task_keeps_its_loops_and_maps_but_cannot_submit),
        SKT_EACH(a_worker_that_waits_for_its_own_pool_is_told_of_the_deadlock),
        SKT_EACH(closed_by_a_worker_it_is_freed_when_its_last_task_has_ended),
        SKT_EACH(close_leaves_no_thread_behind),
        SKT_EACH(several_threads_may_shut_down_at_once),
        SKT_EACH(it_waits_for_callbacks_of_what_another_thread_cancelled),
        SKT_EACH(a_pool_may_be_closed_while_its_futures_are_cancelled),
    };
    return skt_main(argc, argv, "shutdown", tests, SKT_COUNT(tests));
}
