/* The eventcount: no wake-up is lost between looking and sleeping, and deadlines are kept. */
#include "sched/park.h"

#include <limits.h>
#include <sched.h>

#include "base/time.h"
#include "tests/support/harness.h"

enum {
    NR_SLEEPERS = 3,
    NR_TURNS = 20000
};

static struct sk_park park;

static int64_t in_a_while(void)
{
    return sk_deadline_ns(20 * skt_slow_factor());
}

static void a_notification_before_the_wait_is_not_lost(void **state)
{
    (void)state;
    for (int n = 1; n <= 3; n++) {
        const uint32_t token = sk_park_prepare(&park);
        for (int i = 0; i < n; i++)
            sk_park_notify(&park, 1);
        assert_true(sk_park_wait(&park, token, in_a_while()));
        assert_int_equal(sk_load_rlx(&park.waiters), 0);
    }
}

static void a_notification_counts_even_after_the_deadline(void **state)
{
    (void)state;
    const uint32_t token = sk_park_prepare(&park);
    sk_park_notify(&park, 1);
    assert_true(sk_park_wait(&park, token, 0));
    assert_int_equal(sk_load_rlx(&park.waiters), 0);
}

static void a_deadline_ends_the_wait_and_not_before(void **state)
{
    (void)state;
    uint32_t token = sk_park_prepare(&park);
    assert_false(sk_park_wait(&park, token, 0));
    token = sk_park_prepare(&park);
    assert_false(sk_park_wait(&park, token, sk_now_ns() - 1));
    const int64_t deadline = sk_deadline_ns(0.02);
    token = sk_park_prepare(&park);
    assert_false(sk_park_wait(&park, token, deadline));
    assert_true(sk_now_ns() >= deadline);
    assert_int_equal(sk_load_rlx(&park.waiters), 0);
}

static void notifying_nobody_is_nothing(void **state)
{
    (void)state;
    const uint32_t epoch = sk_load_rlx(&park.epoch);
    for (int i = 0; i < 10; i++)
        sk_park_notify(&park, INT_MAX);
    assert_int_equal(sk_load_rlx(&park.epoch), epoch);
    const uint32_t token = sk_park_prepare(&park);
    assert_false(sk_park_wait(&park, token, sk_deadline_ns(0.001))); /* not of earlier ones */
}

static void who_cancels_is_not_counted(void **state)
{
    (void)state;
    sk_park_prepare(&park);
    const uint32_t token = sk_park_prepare(&park);
    assert_int_equal(sk_load_rlx(&park.waiters), 2);
    sk_park_cancel(&park);
    assert_int_equal(sk_load_rlx(&park.waiters), 1);
    sk_park_cancel(&park);
    assert_int_equal(sk_load_rlx(&park.waiters), 0);
    sk_park_notify(&park, 1);
    assert_int_equal(sk_load_rlx(&park.epoch), token);
}

/* ---- several threads ------------------------------------------------------------------------- */

static SK_ATOMIC(uint32_t) turn; /* whose turn it is, by parity; what is slept for */
static SK_ATOMIC(int) nr_in_time;
static uint32_t plain_turn; /* written by who has the turn, read by the next */

/* Waits until the turn is `wanted` at least. False if the deadline passed. */
static bool wait_for_turn(uint32_t wanted)
{
    bool in_time = true;
    while (in_time && sk_load_acq(&turn) < wanted) {
        const uint32_t token = sk_park_prepare(&park);
        if (sk_load_sc(&turn) >= wanted)
            sk_park_cancel(&park);
        else
            in_time = sk_park_wait(&park, token, in_a_while());
    }
    return in_time;
}

static void *sleep_for_one(void *arg)
{
    (void)arg;
    if (wait_for_turn(1))
        sk_add_rlx(&nr_in_time, 1);
    return NULL;
}

static void a_notification_of_all_wakes_all(void **state)
{
    (void)state;
    for (int round = 0; round < skt_rounds(50); round++) {
        pthread_t sleepers[NR_SLEEPERS];
        sk_store_rlx(&nr_in_time, 0);
        sk_store_rlx(&turn, 0u);
        for (int i = 0; i < NR_SLEEPERS; i++)
            sleepers[i] = skt_thread(sleep_for_one, NULL);
        const double limit = skt_now() + 10 * skt_slow_factor();
        while (sk_load_rlx(&park.waiters) < (uint32_t)(round % (NR_SLEEPERS + 1)) &&
               skt_now() < limit)
            sched_yield();
        sk_store_sc(&turn, 1u);
        sk_park_notify(&park, INT_MAX);
        for (int i = 0; i < NR_SLEEPERS; i++)
            skt_join(sleepers[i]);
        assert_int_equal(sk_load_rlx(&nr_in_time), NR_SLEEPERS);
        assert_int_equal(sk_load_rlx(&park.waiters), 0);
    }
}

/* One of the two takes the even turns, the other the odd ones. A lost wake-up stops both. */
static void *take_turns(void *arg)
{
    const uint32_t first = (uint32_t)(uintptr_t)arg;
    for (uint32_t t = first; t < (uint32_t)skt_rounds(NR_TURNS); t += 2) {
        if (!wait_for_turn(t) || plain_turn != t)
            return NULL;
        plain_turn = t + 1;
        sk_store_sc(&turn, t + 1);
        sk_park_notify(&park, 1);
    }
    sk_add_rlx(&nr_in_time, 1);
    return NULL;
}

static void two_threads_that_wake_each_other_never_stop(void **state)
{
    (void)state;
    sk_store_rlx(&turn, 0u);
    sk_store_rlx(&nr_in_time, 0);
    plain_turn = 0;
    const pthread_t even = skt_thread(take_turns, (void *)(uintptr_t)0);
    const pthread_t odd = skt_thread(take_turns, (void *)(uintptr_t)1);
    skt_join(even);
    skt_join(odd);
    assert_int_equal(sk_load_rlx(&nr_in_time), 2);
    assert_true(sk_load_rlx(&turn) >= (uint32_t)skt_rounds(NR_TURNS));
}

/* Each sleeper that a notification of one wakes wakes the next. */
static void *wake_the_next(void *arg)
{
    sleep_for_one(arg);
    sk_park_notify(&park, 1);
    return NULL;
}

static void a_notification_of_one_wakes_one_at_least(void **state)
{
    (void)state;
    pthread_t sleepers[NR_SLEEPERS];
    sk_store_rlx(&nr_in_time, 0);
    sk_store_rlx(&turn, 0u);
    for (int i = 0; i < NR_SLEEPERS; i++)
        sleepers[i] = skt_thread(wake_the_next, NULL);
    const double limit = skt_now() + 10 * skt_slow_factor();
    while (sk_load_rlx(&park.waiters) < NR_SLEEPERS && skt_now() < limit)
        sched_yield();
    sk_store_sc(&turn, 1u);
    sk_park_notify(&park, 1);
    for (int i = 0; i < NR_SLEEPERS; i++)
        skt_join(sleepers[i]);
    assert_int_equal(sk_load_rlx(&nr_in_time), NR_SLEEPERS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_notification_before_the_wait_is_not_lost),
        SKT_TEST(a_notification_counts_even_after_the_deadline),
        SKT_TEST(a_deadline_ends_the_wait_and_not_before),
        SKT_TEST(notifying_nobody_is_nothing),
        SKT_TEST(who_cancels_is_not_counted),
        SKT_TEST(a_notification_of_all_wakes_all),
        SKT_TEST(two_threads_that_wake_each_other_never_stop),
        SKT_TEST(a_notification_of_one_wakes_one_at_least),
    };
    return skt_main(argc, argv, "park", tests, SKT_COUNT(tests));
}
