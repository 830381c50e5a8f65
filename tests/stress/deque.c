/* The deque under three thieves: while it grows from the smallest capacity each job is given out
 * once, and an empty one gives nothing. */
#include "sched/deque.h"

#include <sched.h>

#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    NR_THIEVES = 3,
    NR_JOBS = 1000000,
    NR_ROUNDS = 10,     /* each job is pushed and taken once a round */
    NR_STOLEN = 100000, /* of all, within */
    SECONDS = 10,
    MAX_BURST = 8192,
    NR_POPS = 1000000
};

static struct sk_job jobs[NR_JOBS];
static SK_ATOMIC(uint8_t) taken[NR_JOBS];

static struct {
    struct sk_deque deque;
    struct skt_latch began; /* risen by each thief */
    SK_ATOMIC(bool) over;
    SK_ATOMIC(uint64_t) sum;
    SK_ATOMIC(int) nr_foreign, nr_stolen;
} scene;

static void scene_begin(void)
{
    assert_int_equal(sk_deque_init(&scene.deque, 2), 0);
    skt_latch_init(&scene.began);
    sk_store_rlx(&scene.over, false);
    sk_store_rlx(&scene.sum, 0);
    sk_store_rlx(&scene.nr_foreign, 0);
}

static void scene_end(void)
{
    sk_deque_fini(&scene.deque);
    skt_latch_fini(&scene.began);
}

/* Counts a job that was given out, into the taker's own sum. */
static void take(const struct sk_job *job, uint64_t *sum)
{
    if (job < jobs || job >= jobs + NR_JOBS) {
        sk_add_rlx(&scene.nr_foreign, 1);
        return;
    }
    sk_add_rlx(&taken[job - jobs], 1);
    *sum += (uint64_t)(job - jobs) + 1;
}

static void *steal_until_over(void *arg)
{
    uint64_t sum = 0;
    bool last = false;
    skt_latch_raise(&scene.began);
    while (!last) {
        struct sk_job *job;
        bool lost;
        last = sk_load_acq(&scene.over); /* then one last look finds it empty */
        do {
            job = sk_deque_steal(&scene.deque, &lost);
            if (job != NULL) {
                take(job, &sum);
                sk_add_rlx(&scene.nr_stolen, 1);
            }
        } while (job != NULL || lost);
        sched_yield();
    }
    sk_add_rlx(&scene.sum, sum);
    return arg;
}

static int pop_some(uint32_t n, uint64_t *sum)
{
    int nr = 0;
    for (struct sk_job *job; n-- > 0 && (job = sk_deque_pop(&scene.deque)) != NULL; nr++)
        take(job, sum);
    return nr;
}

/* The owner: pushes n jobs in random bursts, and pops some in between. */
static void push_and_pop(int n, uint32_t *seed)
{
    uint64_t sum = 0;
    int pushed = 0;
    while (pushed < n) {
        uint32_t burst = skt_random(seed) % (skt_random(seed) % 16 == 0 ? MAX_BURST : 16) + 1;
        for (; burst > 0 && pushed < n; burst--, pushed++) {
            if (sk_deque_push(&scene.deque, &jobs[pushed]) != 0)
                return; /* the sum will not be right */
        }
        pop_some(skt_random(seed) % 16, &sum);
    }
    while (pop_some(UINT32_MAX, &sum) != 0)
        continue;
    sk_add_rlx(&scene.sum, sum);
}

static void each_job_is_given_out_once_while_the_deque_grows(void **state)
{
    (void)state;
    const int n = skt_rounds(NR_JOBS);
    uint32_t seed = 1;
    const int nr_stolen = skt_rounds(NR_STOLEN);
    sk_store_rlx(&scene.nr_stolen, 0);
    int nr_growths = 0;
    const double enough = skt_now() + SECONDS; /* one core gives thieves few turns */
    for (int round = 0;
         round < NR_ROUNDS || (sk_load_rlx(&scene.nr_stolen) < nr_stolen && skt_now() < enough);
         round++) {
        pthread_t thieves[NR_THIEVES];
        scene_begin();
        for (int i = 0; i < n; i++)
            sk_store_rlx(&taken[i], 0);
        for (int t = 0; t < NR_THIEVES; t++)
            thieves[t] = skt_thread(steal_until_over, NULL);
        skt_latch_wait(&scene.began, NR_THIEVES);
        push_and_pop(n, &seed);
        nr_growths += sk_load_rlx(&scene.deque.buffer)->capacity > 2;
        sk_store_rel(&scene.over, true);
        for (int t = 0; t < NR_THIEVES; t++)
            skt_join(thieves[t]);
        const uint64_t count = (uint64_t)n;
        assert_true(sk_load_rlx(&scene.sum) == count * (count + 1) / 2);
        assert_int_equal(sk_load_rlx(&scene.nr_foreign), 0);
        for (int i = 0; i < n; i++) {
            if (sk_load_rlx(&taken[i]) != 1)
                fail_msg("job %d given out %d times", i, (int)sk_load_rlx(&taken[i]));
        }
        assert_true(sk_deque_empty(&scene.deque));
        scene_end();
    }
    assert_true(nr_growths > 0); /* how far it grows in a round is up to the thieves */
}

/* ---- nothing in, nothing out ----------------------------------------------------------------- */

static void a_fresh_deque_gives_nothing_and_then_what_is_pushed(void **state)
{
    (void)state;
    bool lost = true;
    scene_begin();
    for (int i = 0; i < NR_POPS; i++)
        assert_null(sk_deque_pop(&scene.deque));
    assert_null(sk_deque_steal(&scene.deque, &lost));
    assert_false(lost);
    for (int i = 0; i < 100; i++)
        assert_int_equal(sk_deque_push(&scene.deque, &jobs[i]), 0);
    assert_ptr_equal(sk_deque_steal(&scene.deque, &lost), &jobs[0]);
    for (int i = 99; i > 0; i--)
        assert_ptr_equal(sk_deque_pop(&scene.deque), &jobs[i]);
    assert_null(sk_deque_pop(&scene.deque));
    assert_true(sk_deque_empty(&scene.deque));
    scene_end();
}

/* The deque is empty nearly always: owner and thieves compete for its only job. */
static void the_only_job_goes_to_one(void **state)
{
    (void)state;
    const int n = skt_rounds(NR_JOBS);
    pthread_t thieves[NR_THIEVES];
    uint64_t sum = 0;
    uint32_t seed = 2;
    scene_begin();
    for (int i = 0; i < n; i++)
        sk_store_rlx(&taken[i], 0);
    for (int t = 0; t < NR_THIEVES; t++)
        thieves[t] = skt_thread(steal_until_over, NULL);
    skt_latch_wait(&scene.began, NR_THIEVES);
    for (int i = 0; i < n; i++) {
        assert_int_equal(sk_deque_push(&scene.deque, &jobs[i]), 0);
        for (uint32_t pauses = skt_random(&seed) % 8; pauses > 0; pauses--)
            sk_pause();
        pop_some(2, &sum);
    }
    sk_store_rel(&scene.over, true);
    for (int t = 0; t < NR_THIEVES; t++)
        skt_join(thieves[t]);
    for (int i = 0; i < n; i++)
        assert_int_equal(sk_load_rlx(&taken[i]), 1);
    assert_int_equal(sk_load_rlx(&scene.nr_foreign), 0);
    scene_end();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(each_job_is_given_out_once_while_the_deque_grows),
        SKT_TEST(a_fresh_deque_gives_nothing_and_then_what_is_pushed),
        SKT_TEST(the_only_job_goes_to_one),
    };
    return skt_main(argc, argv, "deque", tests, SKT_COUNT(tests));
}
