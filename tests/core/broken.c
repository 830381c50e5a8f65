/* A pool breaks while others wait for it: nobody waits for ever, and all are told why. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

/* An init that fails in every worker once the test lets it. */
static int fail_when_told(void *told)
{
    skt_latch_wait(told, 1);
    return 1;
}

static skua_executor *pool_that_breaks(void **state, struct skt_latch *told, size_t max_pending)
{
    skt_latch_init(told);
    skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = skt_workers(state),
                                                          .init = fail_when_told,
                                                          .init_arg = told,
                                                          .max_pending = max_pending });
    assert_non_null(ex);
    return ex;
}

enum way {
    BY_RESULT,
    BY_EXCEPTION,
    BY_FIRST_COMPLETED,
    BY_FIRST_EXCEPTION,
    BY_ALL_COMPLETED,
    BY_NEXT,
    BY_MAP,
    BY_CALL,
    NR_WAYS,
    BY_SHUTDOWN = NR_WAYS /* alone: it would have the others refused */
};

struct waiter {
    enum way way;
    skua_executor *ex;
    skua_future *f;
    struct skt_latch *begins, *returned;
    skua_status status;
};

static int call_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static skua_status iterate(skua_future *f)
{
    skua_iter *it = skua_as_completed(&f, 1, SKUA_FOREVER);
    while (skua_next(it, NULL) != NULL)
        continue;
    return skua_iter_close(it);
}

static skua_status wait_in_some_way(const struct waiter *w)
{
    int in[4] = { 1, 2, 3, 4 }, out[4];
    switch (w->way) {
    case BY_RESULT:
        return skua_result(w->f, NULL, 0, SKUA_FOREVER);
    case BY_EXCEPTION:
        return skua_exception(w->f, SKUA_FOREVER)->status;
    case BY_NEXT:
        return iterate(w->f);
    case BY_MAP:
        return skua_map(w->ex, skt_square, in, sizeof *in, out, sizeof *out, 4, NULL, SKUA_FOREVER);
    case BY_CALL:
        return (skua_status)skua_call(w->ex, call_nothing, NULL);
    case BY_SHUTDOWN:
        return skua_shutdown(w->ex, SKUA_WAIT, SKUA_FOREVER);
    default:
        return skua_wait(&w->f, 1, (skua_when)(w->way - BY_FIRST_COMPLETED), SKUA_FOREVER);
    }
}

static void *wait_in_thread(void *arg)
{
    struct waiter *w = arg;
    skt_latch_raise(w->begins);
    w->status = wait_in_some_way(w);
    skt_latch_raise(w->returned);
    return NULL;
}

static bool tells_of_the_break(enum way way)
{
    return way == BY_RESULT || way == BY_EXCEPTION || way == BY_MAP || way == BY_CALL;
}

static void who_waits_for_a_pool_that_breaks_is_woken_and_told(void **state)
{
    struct skt_latch told, begins, returned;
    skua_executor *ex = pool_that_breaks(state, &told, 0);
    skt_latch_init(&begins);
    skt_latch_init(&returned);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    struct waiter waiters[NR_WAYS];
    pthread_t threads[NR_WAYS];
    for (int i = 0; i < NR_WAYS; i++) {
        waiters[i] = (struct waiter){ (enum way)i, ex, f, &begins, &returned, SKUA_DEADLOCK };
        threads[i] = skt_thread(wait_in_thread, &waiters[i]);
    }
    skt_latch_wait(&begins, NR_WAYS);
    skt_pause(0.02); /* not synchronisation: lets the waits go to sleep, the harder case */
    assert_int_equal(skt_latch_count(&returned), 0);
    skt_latch_raise(&told);
    assert_true(skt_latch_wait_for(&returned, NR_WAYS, skt_wake_limit()));
    for (int i = 0; i < NR_WAYS; i++) {
        skt_join(threads[i]);
        const skua_status wanted =
            tells_of_the_break((enum way)i) ? SKUA_BROKEN_THREAD_POOL : SKUA_OK;
        if (waiters[i].status != wanted)
            fail_msg("way %d: %s", i, skua_strstatus(waiters[i].status));
    }
    assert_false(skua_cancelled(f));
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&told);
    skt_latch_fini(&begins);
    skt_latch_fini(&returned);
}

static void who_waits_for_the_end_of_a_pool_that_breaks_is_woken(void **state)
{
    struct skt_latch told, begins, returned;
    skua_executor *ex = pool_that_breaks(state, &told, 0);
    skt_latch_init(&begins);
    skt_latch_init(&returned);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    struct waiter w = { BY_SHUTDOWN, ex, f, &begins, &returned, SKUA_DEADLOCK };
    const pthread_t thread = skt_thread(wait_in_thread, &w);
    skt_latch_wait(&begins, 1);
    skt_pause(0.02); /* not synchronisation: lets the wait go to sleep, the harder case */
    assert_int_equal(skt_latch_count(&returned), 0);
    skt_latch_raise(&told);
    assert_true(skt_latch_wait_for(&returned, 1, skt_wake_limit()));
    skt_join(thread);
    assert_status(w.status, SKUA_OK);
    assert_status(skua_result(f, NULL, 0, 0), SKUA_BROKEN_THREAD_POOL);
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&told);
    skt_latch_fini(&begins);
    skt_latch_fini(&returned);
}

static void *submit_in_thread(void *arg)
{
    struct waiter *w = arg;
    skt_latch_raise(w->begins);
    skua_future *f = skua_submit(w->ex, skt_nothing, NULL);
    w->status = skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    skt_latch_raise(w->returned);
    return NULL;
}

static void who_waits_for_room_in_a_pool_that_breaks_is_woken_and_told(void **state)
{
    struct skt_latch told, begins, returned;
    skua_executor *ex = pool_that_breaks(state, &told, 1);
    skt_latch_init(&begins);
    skt_latch_init(&returned);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    struct waiter waiters[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        waiters[i] = (struct waiter){ .ex = ex, .begins = &begins, .returned = &returned };
        threads[i] = skt_thread(submit_in_thread, &waiters[i]);
    }
    skt_latch_wait(&begins, 4);
    skt_pause(0.02); /* not synchronisation: lets the submissions go to sleep, the harder case */
    assert_int_equal(skt_latch_count(&returned), 0);
    skt_latch_raise(&told);
    assert_true(skt_latch_wait_for(&returned, 4, skt_wake_limit()));
    for (int i = 0; i < 4; i++) {
        skt_join(threads[i]);
        assert_status(waiters[i].status, SKUA_BROKEN_THREAD_POOL);
    }
    assert_status(skua_result(f, NULL, 0, 0), SKUA_BROKEN_THREAD_POOL);
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&told);
    skt_latch_fini(&begins);
    skt_latch_fini(&returned);
}

static void a_broken_pool_may_be_shut_down_in_every_way_and_often(void **state)
{
    const int flags[] = { SKUA_KILL, SKUA_CANCEL_FUTURES,   0,
                          SKUA_WAIT, SKUA_WAIT | SKUA_KILL, SKUA_WAIT | SKUA_CANCEL_FUTURES };
    for (size_t first = 0; first < SKT_COUNT(flags); first++) {
        struct skt_latch told;
        skua_executor *ex = pool_that_breaks(state, &told, 0);
        skua_future *f = skua_submit(ex, skt_nothing, NULL);
        skt_latch_raise(&told);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_BROKEN_THREAD_POOL);
        for (size_t i = 0; i < 2 * SKT_COUNT(flags); i++)
            assert_status(skua_shutdown(ex, flags[(first + i) % SKT_COUNT(flags)], SKUA_FOREVER),
                          SKUA_OK);
        skua_release(f);
        skua_close(ex);
        skt_latch_fini(&told);
    }
}

static SK_ATOMIC(int) nr_dropped;

static void count_drop(void *result)
{
    (void)result;
    sk_add_acq_rel(&nr_dropped, 1);
}

static void what_a_broken_pool_refuses_is_a_failure_and_drops_nothing(void **state)
{
    struct skt_latch told;
    skua_executor *ex = pool_that_breaks(state, &told, 0);
    sk_store_rel(&nr_dropped, 0);
    const skua_task task = { .fn = skt_nothing, .result_size = 8, .drop = count_drop };
    skua_future *f = skua_submit_task(ex, &task);
    skt_latch_raise(&told);
    char out[8] = "untaken";
    assert_status(skua_result(f, out, sizeof out, SKUA_FOREVER), SKUA_BROKEN_THREAD_POOL);
    assert_string_equal(out, "untaken");
    assert_true(skua_is_broken(skua_exception(f, 0)->status));
    assert_status(skua_wait(&f, 1, SKUA_FIRST_EXCEPTION, 0), SKUA_OK);
    assert_false(skua_cancel(f));
    skua_release(f);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&nr_dropped), 0);
    skt_latch_fini(&told);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(who_waits_for_a_pool_that_breaks_is_woken_and_told),
        SKT_EACH(who_waits_for_the_end_of_a_pool_that_breaks_is_woken),
        SKT_EACH(who_waits_for_room_in_a_pool_that_breaks_is_woken_and_told),
        SKT_EACH(a_broken_pool_may_be_shut_down_in_every_way_and_often),
        SKT_EACH(what_a_broken_pool_refuses_is_a_failure_and_drops_nothing),
    };
    return skt_main(argc, argv, "broken", tests, SKT_COUNT(tests));
}
