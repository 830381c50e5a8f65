/* Sleeping on a word: a wake ends the sleep, a changed word does not sleep, a deadline is kept. */
#include "base/futex.h"

#include <limits.h>
#include <sched.h>

#include "base/mem.h"
#include "base/time.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    NR_SLEEPERS = 3
};

static SK_ATOMIC(uint32_t) word;
static struct skt_latch woken;

static int64_t in_a_while(void)
{
    return sk_deadline_ns(20 * skt_slow_factor());
}

static void a_deadline_that_has_passed_does_not_sleep(void **state)
{
    (void)state;
    sk_store_rlx(&word, 7u);
    const int64_t passed[] = { 0, -1, INT64_MIN, 1, sk_now_ns() - 1 };
    for (size_t i = 0; i < SKT_COUNT(passed); i++) {
        bool in_time = true;
        for (int tries = 0; in_time && tries < 1000; tries++) /* it may return for nothing */
            in_time = sk_futex_wait(&word, 7, passed[i]);
        assert_false(in_time);
    }
}

static void a_deadline_ends_the_sleep_and_not_before(void **state)
{
    (void)state;
    sk_store_rlx(&word, 7u);
    const int64_t deadline = sk_deadline_ns(0.02);
    while (sk_futex_wait(&word, 7, deadline)) {
    }
    assert_true(sk_now_ns() >= deadline);
}

static void a_changed_word_does_not_sleep(void **state)
{
    (void)state;
    sk_store_rlx(&word, 7u);
    assert_true(sk_futex_wait(&word, 6, SK_NO_DEADLINE));
    assert_true(sk_futex_wait(&word, UINT32_MAX, SK_NO_DEADLINE));
    assert_true(sk_futex_wait(&word, 8, in_a_while()));
}

static void *sleep_once(void *arg)
{
    (void)arg;
    if (sk_futex_wait(&word, 7, in_a_while()))
        skt_latch_raise(&woken);
    return NULL;
}

/* Nothing but a wake can end this sleep: the word stays as it is. */
static void a_wake_ends_a_sleep(void **state)
{
    (void)state;
    sk_store_rlx(&word, 7u);
    skt_latch_init(&woken);
    const pthread_t sleeper = skt_thread(sleep_once, NULL);
    const double limit = skt_now() + 10 * skt_slow_factor();
    while (skt_latch_count(&woken) == 0 && skt_now() < limit) {
        sk_futex_wake(&word, 1);
        sched_yield();
    }
    skt_join(sleeper);
    assert_int_equal(skt_latch_count(&woken), 1);
    skt_latch_fini(&woken);
}

static void *sleep_until_changed(void *arg)
{
    (void)arg;
    bool in_time = true;
    while (in_time && sk_load_acq(&word) == 7)
        in_time = sk_futex_wait(&word, 7, in_a_while());
    if (in_time)
        skt_latch_raise(&woken);
    return NULL;
}

static void a_change_and_one_wake_reach_all_sleepers(void **state)
{
    (void)state;
    pthread_t sleepers[NR_SLEEPERS];
    sk_store_rlx(&word, 7u);
    skt_latch_init(&woken);
    for (int i = 0; i < NR_SLEEPERS; i++)
        sleepers[i] = skt_thread(sleep_until_changed, NULL);
    sk_store_rel(&word, 8u);
    sk_futex_wake(&word, INT_MAX);
    for (int i = 0; i < NR_SLEEPERS; i++)
        skt_join(sleepers[i]);
    assert_int_equal(skt_latch_count(&woken), NR_SLEEPERS);
    skt_latch_fini(&woken);
}

static void a_wake_may_come_when_the_memory_is_gone(void **state)
{
    (void)state;
    const size_t size = 1 << 16;
    SK_ATOMIC(uint32_t) *gone = sk_pages_alloc(size);
    assert_non_null(gone);
    sk_pages_free((void *)gone, size);
    sk_futex_wake(gone, 1);
    sk_futex_wake(gone, INT_MAX);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_deadline_that_has_passed_does_not_sleep),
        SKT_TEST(a_deadline_ends_the_sleep_and_not_before),
        SKT_TEST(a_changed_word_does_not_sleep),
        SKT_TEST(a_wake_ends_a_sleep),
        SKT_TEST(a_change_and_one_wake_reach_all_sleepers),
        SKT_TEST(a_wake_may_come_when_the_memory_is_gone),
    };
    return skt_main(argc, argv, "futex", tests, SKT_COUNT(tests));
}
