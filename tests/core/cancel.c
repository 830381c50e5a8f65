/* Cancelling what has not begun. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

static void a_cancelled_task_is_done_at_once_and_never_runs(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    skua_future *f = skua_submit(ex, skt_count, &runs);
    assert_true(skua_cancel(f));
    assert_true(skua_done(f));
    assert_true(skua_cancelled(f));
    assert_false(skua_running(f));
    const double start = skt_now();
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    assert_status(skua_exception(f, SKUA_FOREVER)->status, SKUA_CANCELLED);
    assert_true(skt_now() - start < skt_wake_limit());
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&runs), 0);
    assert_true(skua_cancelled(f));
    skua_release(f);
    skt_gate_fini(&gate);
}

enum way {
    BY_RESULT,
    BY_EXCEPTION,
    BY_WAIT,
    BY_NEXT,
    NR_WAYS
};

struct waiter {
    enum way way;
    skua_future *f;
    struct skt_latch *begins;
    struct skt_latch *returned;
    bool right;
};

static void *wait_in_some_way(void *arg)
{
    struct waiter *w = arg;
    skua_future *const one[] = { w->f };
    skua_iter *it = w->way == BY_NEXT ? skua_as_completed(one, 1, SKUA_FOREVER) : NULL;
    skt_latch_raise(w->begins);
    switch (w->way) {
    case BY_RESULT:
        w->right = skua_result(w->f, NULL, 0, SKUA_FOREVER) == SKUA_CANCELLED;
        break;
    case BY_EXCEPTION:
        w->right = skua_exception(w->f, SKUA_FOREVER)->status == SKUA_CANCELLED;
        break;
    case BY_WAIT:
        w->right = skua_wait(one, 1, SKUA_ALL_COMPLETED, SKUA_FOREVER) == SKUA_OK;
        break;
    default:
        w->right = skua_next(it, NULL) == w->f && skua_next(it, NULL) == NULL;
        w->right &= skua_iter_close(it) == SKUA_OK;
    }
    skt_latch_raise(w->returned);
    return NULL;
}

static void cancel_wakes_a_waiter_at_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    struct skt_latch begins, returned;
    skt_gate_init(&gate);
    skt_latch_init(&begins);
    skt_latch_init(&returned);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    struct waiter waiters[NR_WAYS];
    pthread_t threads[NR_WAYS];
    for (int i = 0; i < NR_WAYS; i++) {
        waiters[i] = (struct waiter){ (enum way)i, f, &begins, &returned, false };
        threads[i] = skt_thread(wait_in_some_way, &waiters[i]);
    }
    skt_latch_wait(&begins, NR_WAYS);
    skt_pause(0.02); /* not synchronisation: lets the waits go to sleep, the harder case */
    assert_int_equal(skt_latch_count(&returned), 0);
    assert_true(skua_cancel(f));
    assert_true(skt_latch_wait_for(&returned, NR_WAYS, skt_wake_limit()));
    for (int i = 0; i < NR_WAYS; i++) {
        skt_join(threads[i]);
        assert_true(waiters[i].right);
    }
    skt_gate_open(&gate);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
    skt_latch_fini(&begins);
    skt_latch_fini(&returned);
}

static void count_callback(skua_future *f, void *ctx)
{
    (void)f;
    skt_count(ctx, NULL);
}

static void cancel_twice_is_true_and_calls_back_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    SK_ATOMIC(int) calls;
    sk_init(&calls, 0);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(f, count_callback, &calls), SKUA_OK);
    assert_true(skua_cancel(f));
    assert_true(skua_cancel(f));
    skt_gate_open(&gate);
    skua_close(ex);
    assert_true(skua_cancel(f));
    assert_int_equal(sk_load_acq(&calls), 1);
    skua_release(f);
    skt_gate_fini(&gate);
}

static void cancel_changes_nothing_once_a_task_has_begun(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    assert_false(skua_cancel(f));
    assert_true(skua_running(f));
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_false(skua_cancel(f));
    assert_false(skua_cancelled(f));
    assert_status(skua_result(f, NULL, 0, 0), SKUA_OK);
    skua_release(f);

    f = skua_submit(ex, skt_fails, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    assert_false(skua_cancel(f));
    assert_status(skua_result(f, NULL, 0, 0), SKUA_FAILED);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void cancel_is_true_exactly_when_the_task_never_runs(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int rounds = skt_rounds(10000);
    uint32_t seed = 7;
    int nr_cancelled = 0;
    for (int i = 0; i < rounds; i++) {
        SK_ATOMIC(int) runs;
        sk_init(&runs, 0);
        skua_future *f = skua_submit(ex, skt_count, &runs);
        for (uint32_t spin = skt_random(&seed) % 2000; spin > 0 && !skua_done(f); spin--)
            continue;
        const bool cancelled = skua_cancel(f);
        nr_cancelled += cancelled;
        const skua_status status = skua_result(f, NULL, 0, SKUA_FOREVER);
        assert_string_equal(skua_strstatus(status), cancelled ? "SKUA_CANCELLED" : "SKUA_OK");
        assert_int_equal(skua_cancelled(f), cancelled);
        assert_int_equal(sk_load_acq(&runs), !cancelled);
        skua_release(f);
    }
    print_message("%d of %d cancelled\n", nr_cancelled, rounds);
    skua_close(ex);
}

static int cancel_other(void *arg, void *result)
{
    (void)result;
    return skua_cancel(arg) ? 0 : 1;
}

static void a_task_may_cancel_a_sibling(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate, others;
    skt_gate_init(&gate);
    skt_gate_init(&others);
    skt_gate_hold(&others, ex, skt_workers(state) - 1);
    skt_gate_hold(&gate, ex, 1);
    skua_future *victim =
        skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .priority = SKUA_LOW });
    skua_future *f = skua_submit(ex, cancel_other, victim);
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_result(victim, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skt_gate_open(&others);
    skua_release(f);
    skua_release(victim);
    skua_close(ex);
    skt_gate_fini(&gate);
    skt_gate_fini(&others);
}

static void a_thousand_cancelled_tasks_do_not_hold_up_the_rest(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    skua_future *fs[1000];
    for (int i = 0; i < 1000; i++)
        fs[i] = skua_submit(ex, skt_count, &runs);
    for (int i = 0; i < 1000; i++)
        if (i % 4 != 0)
            assert_true(skua_cancel(fs[i]));
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&runs), 250);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(skua_cancelled(fs[i]), i % 4 != 0);
        skua_release(fs[i]);
    }
    skt_gate_fini(&gate);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_cancelled_task_is_done_at_once_and_never_runs),
        SKT_EACH(cancel_wakes_a_waiter_at_once),
        SKT_EACH(cancel_twice_is_true_and_calls_back_once),
        SKT_EACH(cancel_changes_nothing_once_a_task_has_begun),
        SKT_EACH(cancel_is_true_exactly_when_the_task_never_runs),
        SKT_EACH(a_task_may_cancel_a_sibling),
        SKT_EACH(a_thousand_cancelled_tasks_do_not_hold_up_the_rest),
    };
    return skt_main(argc, argv, "cancel", tests, SKT_COUNT(tests));
}
