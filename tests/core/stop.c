/* Asking a running task to end: skua_stop(), time limits, skua_stopping(). */
#include "tests/support/harness.h"

#include <float.h>
#include <math.h>
#include <sched.h>

#include "tests/support/gate.h"

struct polite {
    struct skt_latch began;
    int code; /* what it returns once it was asked to stop */
};

static int stop_when_asked(void *arg, void *result)
{
    struct polite *p = arg;
    (void)result;
    skt_latch_raise(&p->began);
    while (!skua_stopping())
        sched_yield();
    return p->code;
}

static skua_future *submit_polite(skua_executor *ex, struct polite *p, int code, double limit)
{
    skt_latch_init(&p->began);
    p->code = code;
    skua_future *f =
        skua_submit_task(ex, &(skua_task){ .fn = stop_when_asked, .arg = p, .time_limit = limit });
    skt_latch_wait(&p->began, 1);
    return f;
}

static void a_stopped_task_that_obeys_is_cancelled(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct polite p;
    skua_future *f = submit_polite(ex, &p, SKUA_CANCELLED, 0);
    assert_false(skua_cancel(f));
    skua_stop(f);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    assert_true(skua_cancelled(f));
    assert_true(skua_done(f));
    skua_stop(f);
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&p.began);
}

static void a_stopped_task_that_succeeds_all_the_same_is_ok(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct polite p;
    skua_future *f = submit_polite(ex, &p, 0, 0);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_false(skua_cancelled(f));
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&p.began);
}

static void a_stopped_task_that_fails_has_failed(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct polite p;
    skua_future *f = submit_polite(ex, &p, 12, 0);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    assert_int_equal(skua_exception(f, 0)->code, 12);
    assert_false(skua_cancelled(f));
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&p.began);
}

static void stopping_a_pending_task_cancels_it(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    skua_future *f = skua_submit(ex, skt_count, &runs);
    skua_stop(f);
    assert_true(skua_cancelled(f));
    assert_status(skua_result(f, NULL, 0, 0), SKUA_CANCELLED);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&runs), 0);
    skua_release(f);
    skt_gate_fini(&gate);
}

static int tell_stopping(void *arg, void *result)
{
    (void)arg;
    *(int *)result = skua_stopping();
    return 0;
}

static void a_stop_is_for_one_task_only(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state) - 1);
    assert_false(skua_stopping());
    struct polite p;
    skua_future *stopped = submit_polite(ex, &p, SKUA_CANCELLED, 0);
    skua_future *next = skt_submit_int(ex, tell_stopping, 0);
    skua_stop(stopped);
    int stopping = -1;
    assert_status(skua_result(next, &stopping, sizeof stopping, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(stopping, 0);
    assert_status(skua_result(stopped, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skt_gate_open(&gate);
    skua_release(stopped);
    skua_release(next);
    skua_close(ex);
    skt_gate_fini(&gate);
    skt_latch_fini(&p.began);
}

static void a_task_past_its_limit_that_obeys_has_expired(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct polite p;
    const double start = skt_now();
    skua_future *f = submit_polite(ex, &p, SKUA_CANCELLED, 0.05);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_EXPIRED);
    const double took = skt_now() - start;
    assert_true(took >= 0.05);
    assert_true(took < 0.05 + skt_wake_limit());
    assert_status(skua_exception(f, 0)->status, SKUA_EXPIRED);
    assert_false(skua_cancelled(f));
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&p.began);
}

static void a_task_past_its_limit_that_succeeds_is_ok(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct polite p;
    skua_future *f = submit_polite(ex, &p, 0, 0.01);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&p.began);
}

static void a_task_past_its_limit_that_fails_has_failed(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct polite p;
    const int codes[] = { 12, SKUA_EXPIRED, SKUA_TIMEOUT };
    for (size_t i = 0; i < SKT_COUNT(codes); i++) {
        skua_future *f = submit_polite(ex, &p, codes[i], 0.01);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
        assert_int_equal(skua_exception(f, 0)->code, codes[i]);
        skua_release(f);
        skt_latch_fini(&p.began);
    }
    skua_close(ex);
}

static int give_up_unasked(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return SKUA_CANCELLED;
}

static void a_limit_too_large_to_count_never_passes(void **state)
{
    skua_executor *ex = skt_pool(state);
    const double huge[] = { 1e10, 1e300, DBL_MAX, INFINITY };
    for (size_t i = 0; i < SKT_COUNT(huge); i++) {
        int stopping = -1;
        skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = tell_stopping,
                                                            .result_size = sizeof stopping,
                                                            .time_limit = huge[i] });
        assert_status(skua_result(f, &stopping, sizeof stopping, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(stopping, 0);
        skua_release(f);
        f = skua_submit_task(ex, &(skua_task){ .fn = give_up_unasked, .time_limit = huge[i] });
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
        assert_int_equal(skua_exception(f, 0)->code, SKUA_CANCELLED);
        assert_false(skua_cancelled(f));
        skua_release(f);
    }
    skua_close(ex);
}

static int outlast_the_limit(void *arg, void *result)
{
    (void)result;
    while (!skua_stopping())
        sched_yield();
    skt_gate_task(arg, NULL);
    return SKUA_CANCELLED;
}

static void a_stop_after_the_limit_cancels_all_the_same(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skua_submit_task(
        ex, &(skua_task){ .fn = outlast_the_limit, .arg = &gate, .time_limit = 0.01 });
    skt_latch_wait(&gate.began, 1);
    skua_stop(f);
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    assert_true(skua_cancelled(f));
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void stop_beats_a_limit_that_is_far_away(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct polite p;
    skua_future *f = submit_polite(ex, &p, SKUA_CANCELLED, 3600);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&p.began);
}

static void a_limit_counts_running_and_not_pending_time(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    const double limit = 0.2 * skt_slow_factor();
    skua_future *f = skua_submit_task(
        ex, &(skua_task){ .fn = tell_stopping, .result_size = sizeof(int), .time_limit = limit });
    skt_pause(1.5 * limit); /* not synchronisation: the limit passes while the task is pending */
    skt_gate_open(&gate);
    int stopping = -1;
    assert_status(skua_result(f, &stopping, sizeof stopping, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(stopping, 0);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

/* Runs loops until it is asked to stop. */
struct stopping_loop {
    skua_executor *ex;
    struct skt_latch began;
};

static int tell_that_it_began(size_t begin, size_t end, void *ctx)
{
    (void)begin;
    (void)end;
    skt_latch_raise(&((struct stopping_loop *)ctx)->began);
    return 0;
}

static int loop_until_asked(void *arg, void *result)
{
    struct stopping_loop *l = arg;
    (void)result;
    while (!skua_stopping())
        if (skua_for(l->ex, 0, 4, tell_that_it_began, l, NULL) != SKUA_OK)
            return 1;
    return SKUA_CANCELLED;
}

static void a_task_that_runs_loops_is_still_asked_to_stop(void **state)
{
    struct stopping_loop l = { .ex = skt_pool(state) };
    skt_latch_init(&l.began);
    skua_future *f = skua_submit(l.ex, loop_until_asked, &l);
    skt_latch_wait(&l.began, 1);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skua_release(f);
    skua_close(l.ex);
    skt_latch_fini(&l.began);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_stopped_task_that_obeys_is_cancelled),
        SKT_EACH(a_stopped_task_that_succeeds_all_the_same_is_ok),
        SKT_EACH(a_stopped_task_that_fails_has_failed),
        SKT_EACH(stopping_a_pending_task_cancels_it),
        SKT_EACH(a_stop_is_for_one_task_only),
        SKT_EACH(a_task_past_its_limit_that_obeys_has_expired),
        SKT_EACH(a_task_past_its_limit_that_succeeds_is_ok),
        SKT_EACH(a_task_past_its_limit_that_fails_has_failed),
        SKT_EACH(a_limit_too_large_to_count_never_passes),
        SKT_EACH(a_stop_after_the_limit_cancels_all_the_same),
        SKT_EACH(stop_beats_a_limit_that_is_far_away),
        SKT_EACH(a_limit_counts_running_and_not_pending_time),
        SKT_EACH(a_task_that_runs_loops_is_still_asked_to_stop),
    };
    return skt_main(argc, argv, "stop", tests, SKT_COUNT(tests));
}
