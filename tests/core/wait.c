/* skua_wait(): many futures at once. */
#include "tests/support/harness.h"

#include <math.h>

#include "tests/support/gate.h"

#define NR_TASKS 1000

static const skua_when modes[] = { SKUA_FIRST_COMPLETED, SKUA_FIRST_EXCEPTION, SKUA_ALL_COMPLETED };

static void nothing_to_wait_for_returns_at_once(void **state)
{
    (void)state;
    skua_future *const nulls[3] = { NULL, NULL, NULL };
    for (size_t i = 0; i < SKT_COUNT(modes); i++) {
        assert_status(skua_wait(nulls, 0, modes[i], SKUA_FOREVER), SKUA_OK);
        assert_status(skua_wait(nulls, 3, modes[i], SKUA_FOREVER), SKUA_OK);
        assert_status(skua_wait(nulls, 3, modes[i], 0), SKUA_OK);
    }
}

static void unknown_modes_and_a_null_array_are_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *const fs[] = { skua_submit(ex, skt_nothing, NULL) };
    assert_status(skua_wait(fs, 1, (skua_when)3, 0), SKUA_INVALID);
    assert_status(skua_wait(fs, 1, (skua_when)-1, 0), SKUA_INVALID);
    assert_status(skua_wait(fs, 0, (skua_when)77, 0), SKUA_INVALID);
    assert_status(skua_wait(NULL, 1, SKUA_ALL_COMPLETED, 0), SKUA_INVALID);
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_status(skua_wait(fs, 1, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    skua_release(fs[0]);
    skua_close(ex);
}

static void the_same_future_counts_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    skua_future *const fs[] = { f, NULL, f, f };
    for (size_t i = 0; i < SKT_COUNT(modes); i++)
        assert_status(skua_wait(fs, 4, modes[i], 0), SKUA_TIMEOUT);
    skt_gate_open(&gate);
    for (size_t i = 0; i < SKT_COUNT(modes); i++)
        assert_status(skua_wait(fs, 4, modes[i], SKUA_FOREVER), SKUA_OK);
    assert_ptr_equal(fs[0], f);
    assert_null(fs[1]);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void first_completed_returns_when_one_is_done(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_future *held = skt_gate_submit(&gate, ex);
    skua_future *const fs[] = { held, NULL, f };
    assert_status(skua_wait(fs, 3, SKUA_FIRST_COMPLETED, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_wait(fs, 3, SKUA_FIRST_COMPLETED, 0), SKUA_OK);
    assert_status(skua_wait(fs, 1, SKUA_FIRST_COMPLETED, 0), SKUA_TIMEOUT);
    assert_false(skua_done(held));
    skt_gate_open(&gate);
    skua_release(f);
    skua_release(held);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void *open_later(void *gate)
{
    skt_pause(0.02); /* not synchronisation: lets the wait begin, the harder case */
    skt_gate_open(gate);
    return NULL;
}

static void first_completed_is_woken_by_the_first(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct skt_gate gate, first;
    skt_gate_init(&gate);
    skt_gate_init(&first);
    skua_future *const fs[] = { skt_gate_submit(&gate, ex), skt_gate_submit(&first, other) };
    const double start = skt_now();
    const pthread_t opener = skt_thread(open_later, &first);
    assert_status(skua_wait(fs, 2, SKUA_FIRST_COMPLETED, SKUA_FOREVER), SKUA_OK);
    assert_true(skt_now() - start < skt_wake_limit());
    assert_true(skua_done(fs[1]));
    assert_false(skua_done(fs[0]));
    skt_join(opener);
    skt_gate_open(&gate);
    skua_release(fs[0]);
    skua_release(fs[1]);
    skua_close(ex);
    skua_close(other);
    skt_gate_fini(&gate);
    skt_gate_fini(&first);
}

static void first_exception_with_results_only_waits_for_all(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct skt_gate early, late;
    skt_gate_init(&early);
    skt_gate_init(&late);
    skua_future *const fs[] = { skt_gate_submit(&early, ex), skt_gate_submit(&late, other) };
    skt_gate_open(&early);
    assert_status(skua_result(fs[0], NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_wait(fs, 2, SKUA_FIRST_EXCEPTION, 0), SKUA_TIMEOUT);
    assert_status(skua_wait(fs, 2, SKUA_FIRST_EXCEPTION, 0.02), SKUA_TIMEOUT);
    skt_gate_open(&late);
    assert_status(skua_wait(fs, 2, SKUA_FIRST_EXCEPTION, SKUA_FOREVER), SKUA_OK);
    assert_true(skua_done(fs[1]));
    skua_release(fs[0]);
    skua_release(fs[1]);
    skua_close(ex);
    skua_close(other);
    skt_gate_fini(&early);
    skt_gate_fini(&late);
}

static int fail_at_gate(void *arg, void *result)
{
    skt_gate_task(arg, result);
    return skua_fail(1, "after the gate");
}

static void first_exception_returns_when_one_fails(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct skt_gate held, failing;
    skt_gate_init(&held);
    skt_gate_init(&failing);
    skua_future *const fs[] = { skt_gate_submit(&held, ex),
                                skua_submit(other, fail_at_gate, &failing) };
    skt_latch_wait(&failing.began, 1);
    const double start = skt_now();
    const pthread_t opener = skt_thread(open_later, &failing);
    assert_status(skua_wait(fs, 2, SKUA_FIRST_EXCEPTION, SKUA_FOREVER), SKUA_OK);
    assert_true(skt_now() - start < skt_wake_limit());
    assert_true(skua_done(fs[1]));
    assert_false(skua_done(fs[0]));
    assert_status(skua_wait(fs, 2, SKUA_FIRST_EXCEPTION, 0), SKUA_OK);
    assert_status(skua_result(fs[1], NULL, 0, 0), SKUA_FAILED);
    skt_join(opener);
    skt_gate_open(&held);
    skua_release(fs[0]);
    skua_release(fs[1]);
    skua_close(ex);
    skua_close(other);
    skt_gate_fini(&held);
    skt_gate_fini(&failing);
}

static void first_exception_ignores_cancelled_futures(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state) - 1);
    skua_future *const fs[] = { skt_gate_submit(&gate, ex), skua_submit(ex, skt_nothing, NULL) };
    assert_true(skua_cancel(fs[1]));
    assert_status(skua_wait(fs, 2, SKUA_FIRST_EXCEPTION, 0), SKUA_TIMEOUT);
    assert_status(skua_wait(fs, 2, SKUA_FIRST_COMPLETED, 0), SKUA_OK);
    skt_gate_open(&gate);
    assert_status(skua_wait(fs, 2, SKUA_FIRST_EXCEPTION, SKUA_FOREVER), SKUA_OK);
    skua_release(fs[0]);
    skua_release(fs[1]);
    skua_close(ex);
    skt_gate_fini(&gate);
}

struct canceller {
    skua_future **fs;
    int n;
};

static void *cancel_later(void *arg)
{
    const struct canceller *c = arg;
    skt_pause(0.02); /* not synchronisation: lets the wait begin, the harder case */
    for (int i = 0; i < c->n; i++)
        skua_cancel(c->fs[i]);
    return NULL;
}

static void first_exception_goes_on_when_one_is_cancelled_and_ends_when_all_are(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *fs[3];
    for (int i = 0; i < 3; i++)
        fs[i] = skua_submit(ex, skt_nothing, NULL);
    for (int n = 1; n <= 3; n += 2) {
        struct canceller c = { fs, n };
        const double start = skt_now();
        const pthread_t thread = skt_thread(cancel_later, &c);
        const skua_status status =
            skua_wait(fs, 3, SKUA_FIRST_EXCEPTION, n < 3 ? 0.06 : SKUA_FOREVER);
        assert_string_equal(skua_strstatus(status), n < 3 ? "SKUA_TIMEOUT" : "SKUA_OK");
        assert_true(skt_now() - start < 0.06 + skt_wake_limit());
        skt_join(thread);
    }
    for (size_t i = 0; i < SKT_COUNT(modes); i++)
        assert_status(skua_wait(fs, 3, modes[i], 0), SKUA_OK);
    for (int i = 0; i < 3; i++) {
        assert_true(skua_cancelled(fs[i]));
        skua_release(fs[i]);
    }
    skt_gate_open(&gate);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void a_poll_is_exact_in_every_mode(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *held = skt_gate_submit(&gate, ex);
    skua_future *good = skua_submit(other, skt_nothing, NULL);
    skua_future *bad = skua_submit(other, skt_fails, NULL);
    skua_future *const two[] = { good, bad };
    assert_status(skua_wait(two, 2, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    skua_future *const with_good[] = { held, good }, *const with_bad[] = { held, good, bad };
    assert_status(skua_wait(with_good, 1, SKUA_FIRST_COMPLETED, 0), SKUA_TIMEOUT);
    assert_status(skua_wait(with_good, 2, SKUA_FIRST_COMPLETED, 0), SKUA_OK);
    assert_status(skua_wait(with_good, 2, SKUA_FIRST_EXCEPTION, 0), SKUA_TIMEOUT);
    assert_status(skua_wait(with_bad, 3, SKUA_FIRST_EXCEPTION, 0), SKUA_OK);
    assert_status(skua_wait(with_bad, 3, SKUA_ALL_COMPLETED, 0), SKUA_TIMEOUT);
    assert_status(skua_exception(bad, 0)->status, SKUA_FAILED);
    skt_gate_open(&gate);
    assert_status(skua_wait(with_bad, 3, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    for (int i = 0; i < 3; i++)
        skua_release(with_bad[i]);
    skua_close(ex);
    skua_close(other);
    skt_gate_fini(&gate);
}

static void a_poll_is_exact_for_what_is_done(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *held = skt_gate_submit(&gate, ex);
    const double polls[] = { 0, -1, -INFINITY, NAN };
    const double start = skt_now();
    for (size_t i = 0; i < SKT_COUNT(polls); i++)
        assert_status(skua_wait(&held, 1, SKUA_ALL_COMPLETED, polls[i]), SKUA_TIMEOUT);
    assert_true(skt_now() - start < skt_wake_limit());
    skt_gate_open(&gate);
    assert_status(skua_result(held, NULL, 0, SKUA_FOREVER), SKUA_OK);
    for (size_t i = 0; i < SKT_COUNT(polls); i++)
        assert_status(skua_wait(&held, 1, SKUA_ALL_COMPLETED, polls[i]), SKUA_OK);
    skua_release(held);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void a_wait_keeps_its_length(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *held = skt_gate_submit(&gate, ex);
    const double start = skt_now();
    assert_status(skua_wait(&held, 1, SKUA_ALL_COMPLETED, 0.05), SKUA_TIMEOUT);
    const double waited = skt_now() - start;
    assert_true(waited >= 0.05);
    assert_true(waited < 0.05 + skt_wake_limit());
    skt_gate_open(&gate);
    assert_status(skua_wait(&held, 1, SKUA_ALL_COMPLETED, 1e300), SKUA_OK);
    skua_release(held);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void futures_of_several_pools_mix(void **state)
{
    skua_executor *one = skt_pool(state), *two = skt_pool_of(1);
    skua_future *fs[101];
    for (int i = 0; i < 100; i++)
        fs[i] = skua_submit(i % 2 != 0 ? one : two, skt_nothing, NULL);
    fs[100] = skua_submit(NULL, NULL, NULL);
    assert_status(skua_wait(fs, 101, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    for (int i = 0; i < 101; i++) {
        assert_true(skua_done(fs[i]));
        assert_int_equal(skua_exception(fs[i], 0) != NULL, i == 100);
        skua_release(fs[i]);
    }
    skua_close(one);
    skua_close(two);
}

static void all_of_a_thousand_are_done_after_the_wait(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *fs[NR_TASKS];
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < NR_TASKS; i++)
            fs[i] = skua_submit(ex, skt_nothing, NULL);
        assert_status(skua_wait(fs, NR_TASKS, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
        for (int i = 0; i < NR_TASKS; i++) {
            assert_true(skua_done(fs[i]));
            skua_release(fs[i]);
        }
    }
    skua_close(ex);
}

struct crowd {
    skua_future **fs;
    skua_when when;
};

static void *wait_in_crowd(void *arg)
{
    const struct crowd *c = arg;
    return (void *)(intptr_t)skua_wait(c->fs, 16, c->when, SKUA_FOREVER);
}

static void many_threads_wait_for_the_same_futures(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *fs[16];
    for (int i = 0; i < 16; i++)
        fs[i] = skua_submit(ex, skt_nothing, NULL);
    struct crowd crowd[9];
    pthread_t threads[9];
    for (int i = 0; i < 9; i++) {
        crowd[i] = (struct crowd){ fs, modes[i % 3] };
        threads[i] = skt_thread(wait_in_crowd, &crowd[i]);
    }
    skt_gate_open(&gate);
    for (int i = 0; i < 9; i++) {
        void *status = &gate;
        assert_int_equal(pthread_join(threads[i], &status), 0);
        assert_null(status);
    }
    for (int i = 0; i < 16; i++)
        skua_release(fs[i]);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void a_wait_that_timed_out_may_be_repeated(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *fs[8];
    for (int i = 0; i < 8; i++)
        fs[i] = skua_submit(ex, skt_nothing, NULL);
    for (int i = 0; i < 200; i++)
        assert_status(skua_wait(fs, 8, modes[i % 3], 1e-5), SKUA_TIMEOUT);
    skt_gate_open(&gate);
    assert_status(skua_wait(fs, 8, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    for (int i = 0; i < 8; i++)
        skua_release(fs[i]);
    skua_close(ex);
    skt_gate_fini(&gate);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(nothing_to_wait_for_returns_at_once),
        SKT_EACH(unknown_modes_and_a_null_array_are_refused),
        SKT_EACH(the_same_future_counts_once),
        SKT_EACH(first_completed_returns_when_one_is_done),
        SKT_EACH(first_completed_is_woken_by_the_first),
        SKT_EACH(first_exception_with_results_only_waits_for_all),
        SKT_EACH(first_exception_returns_when_one_fails),
        SKT_EACH(first_exception_ignores_cancelled_futures),
        SKT_EACH(first_exception_goes_on_when_one_is_cancelled_and_ends_when_all_are),
        SKT_EACH(a_poll_is_exact_in_every_mode),
        SKT_EACH(a_poll_is_exact_for_what_is_done),
        SKT_EACH(a_wait_keeps_its_length),
        SKT_EACH(futures_of_several_pools_mix),
        SKT_EACH(all_of_a_thousand_are_done_after_the_wait),
        SKT_EACH(many_threads_wait_for_the_same_futures),
        SKT_EACH(a_wait_that_timed_out_may_be_repeated),
    };
    return skt_main(argc, argv, "wait", tests, SKT_COUNT(tests));
}
