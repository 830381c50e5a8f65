/* Callbacks may use all of skua: submit, cancel, wait, release the last reference, shut down. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

struct use {
    skua_executor *ex;
    skua_future *other;
    skua_future *made;
    SK_ATOMIC(int) runs;
    skua_status status;
    bool cancelled;
    struct skt_latch over;
};

/* Runs fn as a callback on one of the pool's workers; returns when the callback has ended. */
static void run_as_callback(skua_executor *ex, void (*fn)(skua_future *, void *), struct use *use)
{
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    assert_status(skua_add_done_callback(f, fn, use), SKUA_OK);
    skt_gate_open(&gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skt_gate_fini(&gate);
}

static void submit_two(skua_future *f, void *ctx)
{
    struct use *use = ctx;
    (void)f;
    skua_release(skua_submit(use->ex, skt_count, &use->runs));
    use->made = skua_submit(use->ex, skt_count, &use->runs);
}

static void a_callback_may_submit(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct use use = { .ex = other };
    run_as_callback(ex, submit_two, &use);
    assert_status(skua_result(use.made, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(use.made);
    skua_close(other);
    assert_int_equal(sk_load_acq(&use.runs), 2);
    skua_close(ex);
}

static void submit_and_wait(skua_future *f, void *ctx)
{
    struct use *use = ctx;
    (void)f;
    skua_future *made = skua_submit(use->ex, skt_count, &use->runs);
    use->status = skua_result(made, NULL, 0, SKUA_FOREVER);
    skua_release(made);
    skt_latch_raise(&use->over);
}

static void a_callback_may_wait_for_a_task_of_its_own_pool(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct use use = { .ex = ex, .status = SKUA_INVALID };
    skt_latch_init(&use.over);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    assert_status(skua_add_done_callback(f, submit_and_wait, &use), SKUA_OK);
    skt_gate_open(&gate);
    skt_latch_wait(&use.over, 1);
    skua_release(f);
    skua_close(ex);
    assert_status(use.status, SKUA_OK);
    assert_int_equal(sk_load_acq(&use.runs), 1);
    skt_gate_fini(&gate);
    skt_latch_fini(&use.over);
}

static void cancel_other(skua_future *f, void *ctx)
{
    struct use *use = ctx;
    (void)f;
    use->cancelled = skua_cancel(use->other);
}

static void a_callback_may_cancel(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, other, 1);
    struct use use = { .ex = ex, .other = skua_submit(other, skt_nothing, NULL) };
    run_as_callback(ex, cancel_other, &use);
    assert_true(use.cancelled);
    assert_true(skua_cancelled(use.other));
    skua_release(use.other);
    skt_gate_open(&gate);
    skua_close(other);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void wait_for_itself(skua_future *f, void *ctx)
{
    struct use *use = ctx;
    skua_future *const one[] = { f };
    use->status = skua_wait(one, 1, SKUA_ALL_COMPLETED, SKUA_FOREVER);
}

static void release_it(skua_future *f, void *ctx)
{
    struct use *use = ctx;
    use->status = skua_result(f, NULL, 0, 0);
    skua_release(use->other);
}

static void a_callback_may_release_the_last_reference(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    struct use use = { .other = skt_gate_submit(&gate, ex), .status = SKUA_INVALID };
    struct use later = { .status = SKUA_INVALID };
    assert_status(skua_add_done_callback(use.other, release_it, &use), SKUA_OK);
    assert_status(skua_add_done_callback(use.other, wait_for_itself, &later), SKUA_OK);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_status(use.status, SKUA_OK);
    assert_status(later.status, SKUA_OK);
    skt_gate_fini(&gate);
}

static void a_callback_in_cancel_may_release_the_last_reference(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    struct use use = { .other = skua_submit(ex, skt_nothing, NULL) };
    assert_status(skua_add_done_callback(use.other, release_it, &use), SKUA_OK);
    assert_true(skua_cancel(use.other));
    assert_status(use.status, SKUA_CANCELLED);
    skt_gate_open(&gate);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void shutdown_without_wait(skua_future *f, void *ctx)
{
    struct use *use = ctx;
    (void)f;
    use->status = skua_shutdown(use->ex, 0, 0);
}

static void shutdown_and_wait(skua_future *f, void *ctx)
{
    struct use *use = ctx;
    (void)f;
    use->status = skua_shutdown(use->ex, SKUA_WAIT, SKUA_FOREVER);
}

static void a_callback_may_shut_its_pool_down(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct use use = { .ex = ex, .status = SKUA_INVALID };
    run_as_callback(ex, shutdown_without_wait, &use);
    assert_status(use.status, SKUA_OK);
    skua_close(ex);
}

static void a_callback_that_waits_for_its_own_pool_is_told_of_the_deadlock(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct use use = { .ex = ex, .status = SKUA_INVALID };
    run_as_callback(ex, shutdown_and_wait, &use);
    assert_status(use.status, SKUA_DEADLOCK);
    skua_close(ex);
}

static void shut_down_and_wait(skua_future *f, void *ctx)
{
    struct {
        skua_executor *ex;
        skua_status status;
    } *s = ctx;
    (void)f;
    s->status = skua_shutdown(s->ex, SKUA_WAIT, SKUA_FOREVER);
}

static void a_callback_of_a_task_that_shutdown_cancels_is_told_of_the_deadlock(void **state)
{
    struct {
        skua_executor *ex;
        skua_status status;
    } s = { skt_pool(state), SKUA_OK };
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, s.ex, skt_workers(state));
    skua_future *f = skua_submit(s.ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(f, shut_down_and_wait, &s), SKUA_OK);
    assert_status(skua_shutdown(s.ex, SKUA_CANCEL_FUTURES, 0), SKUA_OK);
    assert_true(skua_cancelled(f));
    assert_status(s.status, SKUA_DEADLOCK);
    skt_gate_open(&gate);
    skua_release(f);
    skua_close(s.ex);
    skt_gate_fini(&gate);
}

static void in_a_callback_its_future_is_done(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct use use = { .status = SKUA_INVALID };
    run_as_callback(ex, wait_for_itself, &use);
    assert_status(use.status, SKUA_OK);
    skua_close(ex);
}

static void chain_next(skua_future *f, void *ctx)
{
    struct use *use = ctx;
    (void)f;
    if (sk_load_acq(&use->runs) < 1000) {
        skua_future *next = skua_submit(use->ex, skt_count, &use->runs);
        skua_add_done_callback(next, chain_next, use);
        skua_release(next);
    } else {
        skt_latch_raise(&use->over);
    }
}

static void callbacks_may_chain_a_thousand_tasks(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct use use = { .ex = ex };
    skt_latch_init(&use.over);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(f, chain_next, &use), SKUA_OK);
    skua_release(f);
    skt_latch_wait(&use.over, 1);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&use.runs), 1000);
    skt_latch_fini(&use.over);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_callback_may_submit),
        SKT_EACH(a_callback_may_wait_for_a_task_of_its_own_pool),
        SKT_EACH(a_callback_may_cancel),
        SKT_EACH(a_callback_may_release_the_last_reference),
        SKT_EACH(a_callback_in_cancel_may_release_the_last_reference),
        SKT_EACH(a_callback_may_shut_its_pool_down),
        SKT_EACH(a_callback_that_waits_for_its_own_pool_is_told_of_the_deadlock),
        SKT_EACH(a_callback_of_a_task_that_shutdown_cancels_is_told_of_the_deadlock),
        SKT_EACH(in_a_callback_its_future_is_done),
        SKT_EACH(callbacks_may_chain_a_thousand_tasks),
    };
    return skt_main(argc, argv, "callback_uses", tests, SKT_COUNT(tests));
}
