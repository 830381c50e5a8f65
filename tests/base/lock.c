/* The lock: one thread at a time, what one wrote the next one sees, and nobody is left asleep. */
#define _GNU_SOURCE
#include "base/lock.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/support/child.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    NR_THREADS = 4,
    NR_SECTIONS = 40000
};

static struct sk_lock lock = SK_LOCK_INIT(SK_RANK_LEAF);
static long counter; /* plain, under lock */
static bool inside;  /* plain, under lock: somebody is in the section */
static bool overlap; /* plain, under lock */

static void section(void)
{
    overlap |= inside;
    inside = true;
    counter++;
    inside = false;
}

static void *enter_often(void *arg)
{
    for (int i = 0; i < skt_rounds(NR_SECTIONS); i++) {
        const bool tries = arg != NULL && i % 2 != 0;
        while (tries && !sk_lock_try_lock(&lock))
            sched_yield();
        if (!tries)
            sk_lock_lock(&lock);
        section();
        sk_lock_unlock(&lock);
    }
    return NULL;
}

static void run_threads(void *arg)
{
    pthread_t threads[NR_THREADS];
    counter = 0;
    overlap = false;
    for (int i = 0; i < NR_THREADS; i++)
        threads[i] = skt_thread(enter_often, arg);
    for (int i = 0; i < NR_THREADS; i++)
        skt_join(threads[i]);
    assert_false(overlap);
    assert_int_equal(counter, (long)NR_THREADS * skt_rounds(NR_SECTIONS));
    assert_int_equal(sk_load_acq(&lock.word), 0);
}

static void one_thread_at_a_time_is_inside(void **state)
{
    (void)state;
    run_threads(NULL);
}

static void try_lock_excludes_as_lock_does(void **state)
{
    (void)state;
    run_threads(&lock);
}

static void *try_once(void *arg)
{
    SK_ATOMIC(int) *got = arg;
    const bool locked = sk_lock_try_lock(&lock);
    sk_store_rlx(got, locked);
    if (locked)
        sk_lock_unlock(&lock);
    return NULL;
}

static void try_lock_declines_what_is_held_and_takes_what_is_free(void **state)
{
    (void)state;
    SK_ATOMIC(int) got;
    sk_init(&got, -1);
    assert_true(sk_lock_try_lock(&lock));
    skt_join(skt_thread(try_once, &got));
    assert_int_equal(sk_load_rlx(&got), 0);
    assert_false(sk_lock_try_lock(&lock));
    sk_lock_unlock(&lock);
    skt_join(skt_thread(try_once, &got));
    assert_int_equal(sk_load_rlx(&got), 1);
}

static void *enter_once(void *arg)
{
    sk_lock_lock(&lock);
    section();
    sk_lock_unlock(&lock);
    skt_latch_raise(arg);
    return NULL;
}

/* The word is 2 once somebody has set out to sleep. */
static void unlock_hands_over_to_all_who_sleep(void **state)
{
    (void)state;
    pthread_t threads[NR_THREADS];
    struct skt_latch through;
    skt_latch_init(&through);
    counter = 0;
    sk_lock_lock(&lock);
    for (int i = 0; i < NR_THREADS; i++)
        threads[i] = skt_thread(enter_once, &through);
    const double limit = skt_now() + 10 * skt_slow_factor();
    while (sk_load_rlx(&lock.word) != 2 && skt_now() < limit)
        sched_yield();
    const uint32_t word = sk_load_rlx(&lock.word);
    const int nr_through = skt_latch_count(&through);
    sk_lock_unlock(&lock);
    assert_int_equal(word, 2);
    assert_int_equal(nr_through, 0);
    assert_true(skt_latch_wait_for(&through, NR_THREADS, 10 * skt_slow_factor()));
    for (int i = 0; i < NR_THREADS; i++)
        skt_join(threads[i]);
    assert_int_equal(counter, NR_THREADS);
    skt_latch_fini(&through);
}

static void init_gives_a_free_lock(void **state)
{
    (void)state;
    struct sk_lock fresh = { 2, 0 };
    sk_lock_init(&fresh, SK_RANK_INBOX);
    assert_int_equal(fresh.rank, SK_RANK_INBOX);
    assert_true(sk_lock_try_lock(&fresh));
    sk_lock_unlock(&fresh);
}

/* ---- ranks ----------------------------------------------------------------------------------- */

static int take_two(void *arg)
{
    const enum sk_lock_rank *ranks = arg;
    struct sk_lock first, second;
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    sk_lock_init(&first, ranks[0]);
    sk_lock_init(&second, ranks[1]);
    sk_lock_lock(&first);
    sk_lock_lock(&second);
    sk_lock_unlock(&second);
    sk_lock_unlock(&first);
    return 0;
}

static void ranks_rise_or_a_debug_build_stops(void **state)
{
    (void)state;
    enum sk_lock_rank rising[] = { SK_RANK_GLOBAL, SK_RANK_LEAF };
    enum sk_lock_rank equal[] = { SK_RANK_POOL, SK_RANK_POOL };
    enum sk_lock_rank falling[] = { SK_RANK_LEAF, SK_RANK_GLOBAL };
#ifdef NDEBUG
    const int stop = 0;
#else
    const int stop = SIGABRT;
#endif
    assert_int_equal(skt_fork(take_two, rising).status, 0);
    assert_int_equal(skt_fork(take_two, equal).signal, stop);
    assert_int_equal(skt_fork(take_two, falling).signal, stop);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(one_thread_at_a_time_is_inside),
        SKT_TEST(try_lock_excludes_as_lock_does),
        SKT_TEST(try_lock_declines_what_is_held_and_takes_what_is_free),
        SKT_TEST(unlock_hands_over_to_all_who_sleep),
        SKT_TEST(init_gives_a_free_lock),
        SKT_TEST(ranks_rise_or_a_debug_build_stops),
    };
    return skt_main(argc, argv, "lock", tests, SKT_COUNT(tests));
}
