/* The end of a pool and those it concerns: callbacks, whoever runs them, have ended when a shutdown
 * that waits returns, and whoever sleeps on a future that a shutdown cancels is woken. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

static void count_callback(skua_future *f, void *ctx)
{
    (void)f;
    skt_count(ctx, NULL);
}

/* A callback that waits at a gate. */
struct held {
    struct skt_gate gate;
    SK_ATOMIC(int) nr_over;
};

static void held_init(struct held *h)
{
    skt_gate_init(&h->gate);
    sk_init(&h->nr_over, 0);
}

static void hold_callback(skua_future *f, void *ctx)
{
    struct held *h = ctx;
    skua_exception(f, 0);
    skt_gate_task(&h->gate, NULL);
    sk_add_acq_rel(&h->nr_over, 1);
}

struct ender {
    skua_executor *ex;
    skua_future *f;
    int flags;
    skua_status status;
    struct skt_latch returned;
};

static void *shut_down(void *arg)
{
    struct ender *e = arg;
    e->status = skua_shutdown(e->ex, e->flags, SKUA_FOREVER);
    skt_latch_raise(&e->returned);
    return NULL;
}

/* While one thread runs the callbacks of what its shutdown cancelled, another one waits. */
static void check_cancelling_shutdown(skua_executor *ex, int flags)
{
    struct skt_gate gate;
    struct held h;
    skt_gate_init(&gate);
    held_init(&h);
    skt_gate_hold(&gate, ex, skua_workers(ex));
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(f, hold_callback, &h), SKUA_OK);
    struct ender e = { .ex = ex, .flags = flags };
    skt_latch_init(&e.returned);
    const pthread_t thread = skt_thread(shut_down, &e);
    skt_latch_wait(&h.gate.began, 1);
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0.05), SKUA_TIMEOUT);
    assert_int_equal(skt_latch_count(&e.returned), 0);
    skt_gate_open(&h.gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(&h.nr_over), 1);
    skt_join(thread);
    assert_status(e.status, SKUA_OK);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
    skt_gate_fini(&h.gate);
    skt_latch_fini(&e.returned);
}

static void shutdown_waits_for_callbacks_that_another_shutdown_runs(void **state)
{
    check_cancelling_shutdown(skt_pool(state), SKUA_CANCEL_FUTURES);
    check_cancelling_shutdown(skt_pool(state), SKUA_KILL);
    check_cancelling_shutdown(skt_pool(state), SKUA_WAIT | SKUA_CANCEL_FUTURES);
}

static int fail_when_told(void *told)
{
    skt_latch_wait(told, 1);
    return 1;
}

static void shutdown_waits_for_callbacks_of_a_broken_pool(void **state)
{
    struct skt_latch told;
    struct held h;
    skt_latch_init(&told);
    held_init(&h);
    skua_executor *ex = skua_thread_pool(&(skua_options){
        .workers = skt_workers(state), .init = fail_when_told, .init_arg = &told });
    assert_non_null(ex);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(f, hold_callback, &h), SKUA_OK);
    skt_latch_raise(&told);
    skt_latch_wait(&h.gate.began, 1);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0.05), SKUA_TIMEOUT);
    skt_gate_open(&h.gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(&h.nr_over), 1);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&h.gate);
    skt_latch_fini(&told);
}

static void a_wait_after_a_shutdown_without_one_waits(void **state)
{
    const int first[] = { 0, SKUA_CANCEL_FUTURES };
    for (size_t i = 0; i < SKT_COUNT(first); i++) {
        skua_executor *ex = skt_pool(state);
        struct skt_gate gate;
        skt_gate_init(&gate);
        skua_future *f = skt_gate_submit(&gate, ex);
        assert_status(skua_shutdown(ex, first[i], SKUA_FOREVER), SKUA_OK);
        assert_status(skua_shutdown(ex, SKUA_WAIT, 0.02), SKUA_TIMEOUT);
        struct ender e = { .ex = ex, .flags = SKUA_WAIT };
        skt_latch_init(&e.returned);
        const pthread_t thread = skt_thread(shut_down, &e);
        assert_status(skua_shutdown(ex, SKUA_WAIT, 0.02), SKUA_TIMEOUT);
        assert_int_equal(skt_latch_count(&e.returned), 0);
        skt_gate_open(&gate);
        assert_true(skt_latch_wait_for(&e.returned, 1, skt_wake_limit()));
        skt_join(thread);
        assert_status(e.status, SKUA_OK);
        assert_true(skua_done(f));
        skua_release(f);
        skua_close(ex);
        skt_gate_fini(&gate);
        skt_latch_fini(&e.returned);
    }
}

struct notes {
    SK_ATOMIC(int) calls;
    SK_ATOMIC(int) elsewhere;
    pthread_t here;
};

static void note_thread(skua_future *f, void *ctx)
{
    struct notes *n = ctx;
    (void)f;
    sk_add_acq_rel(&n->calls, 1);
    sk_add_acq_rel(&n->elsewhere, !pthread_equal(pthread_self(), n->here));
}

static void callbacks_of_what_shutdown_cancels_run_here_before_it_returns(void **state)
{
    const int flags[] = { SKUA_CANCEL_FUTURES, SKUA_KILL, SKUA_CANCEL_FUTURES | SKUA_KILL };
    for (size_t k = 0; k < SKT_COUNT(flags); k++) {
        skua_executor *ex = skt_pool(state);
        struct skt_gate gate;
        struct notes notes = { .here = pthread_self() };
        skt_gate_init(&gate);
        skt_gate_hold(&gate, ex, skt_workers(state));
        skua_future *fs[20];
        for (int i = 0; i < 20; i++) {
            fs[i] = skua_submit(ex, skt_nothing, NULL);
            assert_status(skua_add_done_callback(fs[i], note_thread, &notes), SKUA_OK);
        }
        assert_status(skua_shutdown(ex, flags[k], 0), SKUA_OK);
        assert_int_equal(sk_load_acq(&notes.calls), 20);
        assert_int_equal(sk_load_acq(&notes.elsewhere), 0);
        assert_status(skua_shutdown(ex, flags[k], 0), SKUA_OK);
        skt_gate_open(&gate);
        skua_close(ex);
        assert_int_equal(sk_load_acq(&notes.calls), 20);
        for (int i = 0; i < 20; i++) {
            assert_true(skua_cancelled(fs[i]));
            skua_release(fs[i]);
        }
        skt_gate_fini(&gate);
    }
}

static void kill_before_any_task_and_twice_is_fine(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_shutdown(ex, SKUA_KILL, 0), SKUA_OK);
    assert_status(skua_shutdown(ex, SKUA_KILL | SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_shutdown(ex, SKUA_KILL, 0), SKUA_OK);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_result(f, NULL, 0, 0), SKUA_SHUTDOWN);
    assert_false(skua_cancelled(f));
    skua_release(f);
    skua_close(ex);
}

enum way {
    BY_RESULT,
    BY_EXCEPTION,
    BY_FIRST_COMPLETED,
    BY_FIRST_EXCEPTION,
    BY_ALL_COMPLETED,
    BY_NEXT,
    NR_WAYS
};

struct waiter {
    enum way way;
    skua_future *f;
    struct skt_latch *begins, *returned;
    bool right;
};

static void *sleep_on_future(void *arg)
{
    struct waiter *w = arg;
    skua_iter *it = w->way == BY_NEXT ? skua_as_completed(&w->f, 1, SKUA_FOREVER) : NULL;
    skt_latch_raise(w->begins);
    if (w->way == BY_RESULT)
        w->right = skua_result(w->f, NULL, 0, SKUA_FOREVER) == SKUA_CANCELLED;
    else if (w->way == BY_EXCEPTION)
        w->right = skua_exception(w->f, SKUA_FOREVER)->status == SKUA_CANCELLED;
    else if (w->way == BY_NEXT)
        w->right = skua_next(it, NULL) == w->f;
    else
        w->right =
            skua_wait(&w->f, 1, (skua_when)(w->way - BY_FIRST_COMPLETED), SKUA_FOREVER) == SKUA_OK;
    if (it != NULL)
        w->right &= skua_next(it, NULL) == NULL && skua_iter_close(it) == SKUA_OK;
    skt_latch_raise(w->returned);
    return NULL;
}

/* Puts a waiter of each kind to sleep on a pending future, has it cancelled, and holds the first
 * callback until all of them have returned. */
static void check_all_wake(skua_executor *ex, void *(*end)(void *arg), int flags)
{
    struct skt_gate gate;
    struct skt_latch begins, returned;
    struct held h;
    skt_gate_init(&gate);
    skt_latch_init(&begins);
    skt_latch_init(&returned);
    held_init(&h);
    skt_gate_hold(&gate, ex, skua_workers(ex));
    struct ender e = { .ex = ex, .f = skua_submit(ex, skt_nothing, NULL), .flags = flags };
    skt_latch_init(&e.returned);
    assert_status(skua_add_done_callback(e.f, hold_callback, &h), SKUA_OK);
    struct waiter waiters[NR_WAYS];
    pthread_t threads[NR_WAYS];
    for (int i = 0; i < NR_WAYS; i++) {
        waiters[i] = (struct waiter){ (enum way)i, e.f, &begins, &returned, false };
        threads[i] = skt_thread(sleep_on_future, &waiters[i]);
    }
    skt_latch_wait(&begins, NR_WAYS);
    skt_pause(0.02); /* not synchronisation: lets the waits go to sleep, the harder case */
    assert_int_equal(skt_latch_count(&returned), 0);
    const pthread_t ender = skt_thread(end, &e);
    assert_true(skt_latch_wait_for(&returned, NR_WAYS, skt_wake_limit()));
    assert_int_equal(sk_load_acq(&h.nr_over), 0);
    for (int i = 0; i < NR_WAYS; i++) {
        skt_join(threads[i]);
        assert_true(waiters[i].right);
    }
    skt_gate_open(&h.gate);
    skt_join(ender);
    assert_int_equal(sk_load_acq(&h.nr_over), 1);
    skt_gate_open(&gate);
    skua_release(e.f);
    skua_close(ex);
    skt_gate_fini(&gate);
    skt_gate_fini(&h.gate);
    skt_latch_fini(&begins);
    skt_latch_fini(&returned);
    skt_latch_fini(&e.returned);
}

static void *cancel(void *arg)
{
    const struct ender *e = arg;
    return (void *)(intptr_t)!skua_cancel(e->f);
}

static void shutdown_wakes_every_waiter_before_callbacks_run(void **state)
{
    check_all_wake(skt_pool(state), shut_down, SKUA_CANCEL_FUTURES);
    check_all_wake(skt_pool(state), shut_down, SKUA_KILL);
}

static void cancel_wakes_every_waiter_before_callbacks_run(void **state)
{
    check_all_wake(skt_pool(state), cancel, 0);
}

static void shut_down_and_wait(skua_future *f, void *ctx)
{
    struct ender *e = ctx;
    (void)f;
    e->status = skua_shutdown(e->ex, SKUA_WAIT, SKUA_FOREVER);
}

static void a_callback_in_cancel_that_waits_for_its_pool_is_told_of_the_deadlock(void **state)
{
    struct ender e = { .ex = skt_pool(state) };
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, e.ex, skt_workers(state));
    skua_future *f = skua_submit(e.ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(f, shut_down_and_wait, &e), SKUA_OK);
    assert_true(skua_cancel(f));
    assert_status(e.status, SKUA_DEADLOCK);
    skua_future *late = skua_submit(e.ex, skt_nothing, NULL);
    assert_status(skua_result(late, NULL, 0, 0), SKUA_SHUTDOWN);
    skt_gate_open(&gate);
    assert_status(skua_shutdown(e.ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_release(late);
    skua_close(e.ex);
    skt_gate_fini(&gate);
}

static void a_callback_added_after_the_end_may_wait_for_the_pool(void **state)
{
    struct ender e = { .ex = skt_pool(state), .status = SKUA_INVALID };
    SK_ATOMIC(int) calls;
    sk_init(&calls, 0);
    skua_future *f = skua_submit(e.ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(f, count_callback, &calls), SKUA_OK);
    assert_status(skua_shutdown(e.ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(&calls), 1);
    assert_status(skua_add_done_callback(f, shut_down_and_wait, &e), SKUA_OK);
    assert_status(e.status, SKUA_OK);
    skua_release(f);
    skua_close(e.ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(shutdown_waits_for_callbacks_that_another_shutdown_runs),
        SKT_EACH(shutdown_waits_for_callbacks_of_a_broken_pool),
        SKT_EACH(a_wait_after_a_shutdown_without_one_waits),
        SKT_EACH(callbacks_of_what_shutdown_cancels_run_here_before_it_returns),
        SKT_EACH(kill_before_any_task_and_twice_is_fine),
        SKT_EACH(shutdown_wakes_every_waiter_before_callbacks_run),
        SKT_EACH(cancel_wakes_every_waiter_before_callbacks_run),
        SKT_EACH(a_callback_in_cancel_that_waits_for_its_pool_is_told_of_the_deadlock),
        SKT_EACH(a_callback_added_after_the_end_may_wait_for_the_pool),
    };
    return skt_main(argc, argv, "shutdown_callbacks", tests, SKT_COUNT(tests));
}
