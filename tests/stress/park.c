/* The eventcount: whatever is published reaches a sleeper, whatever the gaps and wherever the epoch
 * stands. */
#include "sched/park.h"

#include <sched.h>
#include <stdlib.h>

#include "base/time.h"
#include "tests/support/harness.h"

enum {
    NR_ROUNDS = 1000000,
    ROUNDS_A_PARK = 16, /* where the epoch goes round in each of many */
    NR_TAKERS = 3,
    GAP_NS = 200000
};

/* Each park is used for some rounds, after which both sides go on to the next. */
static struct {
    struct sk_park *parks;
    uint32_t rounds_a_park;
    uint32_t nr_rounds;
    SK_ATOMIC(uint32_t) published; /* the last round that was begun */
    SK_ATOMIC(uint32_t) seen;      /* the last round that the sleeper saw */
    SK_ATOMIC(bool) stalled;
} play;

static int64_t stall_limit(void)
{
    return sk_deadline_ns(1.0 * skt_slow_factor());
}

static struct sk_park *park_of(uint32_t round)
{
    return &play.parks[round / play.rounds_a_park];
}

/* Idles for a random time: mostly not at all, at times up to 200 us. */
static void random_gap(uint32_t *seed)
{
    const uint32_t random = skt_random(seed);
    const int64_t most = random % 64 == 0 ? GAP_NS : random % 4 == 0 ? 2000 : 0;
    const int64_t end = most != 0 ? sk_now_ns() + (int64_t)(skt_random(seed) % (uint32_t)most) : 0;
    while (most != 0 && sk_now_ns() < end)
        sk_pause();
}

static void *sleep_for_each_round(void *arg)
{
    uint32_t seed = 7;
    for (uint32_t round = 1; round < play.nr_rounds; round++) {
        if (skt_random(&seed) % 4 == 0)
            random_gap(&seed);
        while (sk_load_acq(&play.published) < round) {
            const uint32_t token = sk_park_prepare(park_of(round));
            if (sk_load_sc(&play.published) >= round)
                sk_park_cancel(park_of(round));
            else if (!sk_park_wait(park_of(round), token, stall_limit()) &&
                     sk_load_sc(&play.published) >= round)
                sk_store_rel(&play.stalled, true); /* it was published, and nobody told */
        }
        sk_store_rel(&play.seen, round);
    }
    return arg;
}

static bool wait_until_seen(uint32_t round)
{
    const int64_t limit = stall_limit();
    while (sk_load_acq(&play.seen) < round) {
        if (sk_now_ns() > limit)
            return false;
        sched_yield();
    }
    return true;
}

static void play_rounds(int nr_rounds, int rounds_a_park, uint32_t epoch)
{
    const size_t nr_parks = (size_t)(nr_rounds / rounds_a_park + 1);
    uint32_t seed = 3, nr_late = 0;
    play.parks = calloc(nr_parks, sizeof *play.parks);
    assert_non_null(play.parks);
    for (size_t i = 0; i < nr_parks; i++)
        sk_init(&play.parks[i].epoch, epoch);
    play.rounds_a_park = (uint32_t)rounds_a_park;
    play.nr_rounds = (uint32_t)nr_rounds;
    sk_store_rlx(&play.published, 0);
    sk_store_rlx(&play.seen, 0);
    sk_store_rlx(&play.stalled, false);
    pthread_t sleeper = skt_thread(sleep_for_each_round, NULL);
    for (uint32_t round = 1; round < play.nr_rounds; round++) {
        sk_store_sc(&play.published, round);
        sk_park_notify(park_of(round), 1);
        if (skt_random(&seed) % 8 == 0) {
            nr_late += !wait_until_seen(round);
            random_gap(&seed);
        }
    }
    skt_join(sleeper);
    for (size_t i = 0; i < nr_parks; i++)
        assert_int_equal(sk_load_rlx(&play.parks[i].waiters), 0);
    free(play.parks);
    assert_int_equal(nr_late, 0);
    assert_false(sk_load_rlx(&play.stalled));
}

static void a_sleeper_sees_each_round_after_any_gap(void **state)
{
    (void)state;
    play_rounds(skt_rounds(NR_ROUNDS), NR_ROUNDS, 0);
}

static void no_round_is_lost_where_the_epoch_goes_round(void **state)
{
    (void)state;
    play_rounds(skt_rounds(NR_ROUNDS / 4), ROUNDS_A_PARK, UINT32_MAX - 2);
}

/* ---- several sleepers ------------------------------------------------------------------------ */

static struct {
    struct sk_park park;
    SK_ATOMIC(int) credits; /* to be taken by any of the sleepers */
    SK_ATOMIC(int) nr_taken;
    SK_ATOMIC(bool) over;
} pot;

static bool take_credit(void)
{
    int credits = sk_load_sc(&pot.credits);
    while (credits > 0) {
        if (sk_cas_sc(&pot.credits, &credits, credits - 1))
            return true;
    }
    return false;
}

static void *take_credits(void *arg)
{
    while (true) {
        while (take_credit())
            sk_add_acq_rel(&pot.nr_taken, 1);
        const uint32_t token = sk_park_prepare(&pot.park);
        const bool over = sk_load_sc(&pot.over);
        if (over || sk_load_sc(&pot.credits) > 0)
            sk_park_cancel(&pot.park);
        else
            sk_park_wait(&pot.park, token, SK_NO_DEADLINE);
        if (over && sk_load_sc(&pot.credits) == 0)
            return arg;
    }
}

static void one_of_many_sleepers_comes_for_each_credit(void **state)
{
    (void)state;
    const int n = skt_rounds(NR_ROUNDS / 4);
    uint32_t seed = 5;
    int nr_stalls = 0;
    pthread_t takers[NR_TAKERS];
    pot.park = (struct sk_park){ .epoch = UINT32_MAX - 2 };
    for (int t = 0; t < NR_TAKERS; t++)
        takers[t] = skt_thread(take_credits, NULL);
    for (int i = 1; i <= n; i++) {
        sk_add_sc(&pot.credits, 1);
        sk_park_notify(&pot.park, 1);
        const int64_t limit = skt_random(&seed) % 8 == 0 ? stall_limit() : 0;
        while (limit != 0 && sk_load_acq(&pot.nr_taken) < i && sk_now_ns() < limit)
            sched_yield();
        nr_stalls += limit != 0 && sk_load_acq(&pot.nr_taken) < i;
    }
    sk_store_sc(&pot.over, true);
    sk_park_notify(&pot.park, NR_TAKERS);
    for (int t = 0; t < NR_TAKERS; t++)
        skt_join(takers[t]);
    assert_int_equal(nr_stalls, 0);
    assert_int_equal(sk_load_acq(&pot.nr_taken), n);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_sleeper_sees_each_round_after_any_gap),
        SKT_TEST(no_round_is_lost_where_the_epoch_goes_round),
        SKT_TEST(one_of_many_sleepers_comes_for_each_credit),
    };
    return skt_main(argc, argv, "park", tests, SKT_COUNT(tests));
}
