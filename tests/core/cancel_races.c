/* A thread inside skua_cancel() while others end the pool: the pool is not gone, and a shutdown
 * that waits has not ended, before it has done with the pool and with the callbacks. */
#include "tests/support/harness.h"

#include <sched.h>

#include "tests/support/gate.h"

struct canceller {
    skua_executor *ex;
    skua_future *f;
    struct skt_gate callback; /* where the callback waits */
    SK_ATOMIC(bool) over;
};

static void hold_callback(skua_future *f, void *ctx)
{
    struct canceller *c = ctx;
    (void)f;
    skt_gate_task(&c->callback, NULL);
    sk_store_rel(&c->over, true);
}

static void *cancel(void *arg)
{
    struct canceller *c = arg;
    return (void *)(intptr_t)!skua_cancel(c->f);
}

/* A future that another thread is just cancelling, its callback held. */
static pthread_t begin_to_cancel(struct canceller *c, skua_executor *ex)
{
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_init(&c->callback);
    skua_future *held[8];
    const int workers = skua_workers(ex);
    for (int i = 0; i < workers; i++)
        held[i] = skt_gate_submit(&gate, ex);
    c->ex = ex;
    c->f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(c->f, hold_callback, c), SKUA_OK);
    const pthread_t thread = skt_thread(cancel, c);
    skt_latch_wait(&c->callback.began, 1);
    skt_gate_open(&gate);
    for (int i = 0; i < workers; i++) {
        assert_status(skua_result(held[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(held[i]);
    }
    skt_gate_fini(&gate);
    return thread;
}

static void shutdown_waits_for_callbacks_that_a_cancel_runs(void **state)
{
    struct canceller c = { .over = false };
    const pthread_t thread = begin_to_cancel(&c, skt_pool(state));
    const skua_status early = skua_shutdown(c.ex, SKUA_WAIT, 0.05);
    const bool over = sk_load_acq(&c.over);
    skt_gate_open(&c.callback);
    const skua_status late = skua_shutdown(c.ex, SKUA_WAIT, SKUA_FOREVER);
    const bool over_late = sk_load_acq(&c.over);
    skt_join(thread);
    skua_release(c.f);
    skua_close(c.ex);
    skt_gate_fini(&c.callback);
    assert_status(early, SKUA_TIMEOUT);
    assert_false(over);
    assert_status(late, SKUA_OK);
    assert_true(over_late);
}

static void *close_pool(void *arg)
{
    struct canceller *c = arg;
    skua_close(c->ex);
    return (void *)(intptr_t)!sk_load_acq(&c->over);
}

static void close_waits_for_callbacks_that_a_cancel_runs(void **state)
{
    struct canceller c = { .over = false };
    const pthread_t thread = begin_to_cancel(&c, skt_pool(state));
    const pthread_t closer = skt_thread(close_pool, &c);
    skt_pause(0.02); /* not synchronisation: gives a close that does not wait time to show */
    skt_gate_open(&c.callback);
    void *early = NULL;
    assert_int_equal(pthread_join(closer, &early), 0);
    skt_join(thread);
    skua_release(c.f);
    skt_gate_fini(&c.callback);
    assert_null(early);
}

/* So many iterators watch the future that the cancel still tells them of the end when the pool,
 * which has nothing else to do, is closed. Only a sanitizer sees a pool that is gone. */
static void a_pool_may_be_closed_as_soon_as_its_last_task_is_cancelled(void **state)
{
    enum {
        NR_ITERATORS = 20000
    };
    static skua_iter *its[NR_ITERATORS];
    skua_executor *ex =
        skua_thread_pool(&(skua_options){ .workers = skt_workers(state), .max_pending = 100 });
    assert_non_null(ex);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    struct canceller c = { .ex = ex, .f = skua_submit(ex, skt_nothing, NULL) };
    for (int i = 0; i < NR_ITERATORS; i++)
        its[i] = skua_as_completed(&c.f, 1, SKUA_FOREVER);
    const pthread_t thread = skt_thread(cancel, &c);
    while (!skua_cancelled(c.f))
        sched_yield();
    skt_gate_open(&gate);
    skua_close(ex);
    skt_join(thread);
    for (int i = 0; i < NR_ITERATORS; i++) {
        assert_ptr_equal(skua_next(its[i], NULL), c.f);
        assert_status(skua_iter_close(its[i]), SKUA_OK);
    }
    skua_release(c.f);
    skt_gate_fini(&gate);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(shutdown_waits_for_callbacks_that_a_cancel_runs),
        SKT_EACH(close_waits_for_callbacks_that_a_cancel_runs),
        SKT_EACH(a_pool_may_be_closed_as_soon_as_its_last_task_is_cancelled),
    };
    return skt_main(argc, argv, "cancel_races", tests, SKT_COUNT(tests));
}
