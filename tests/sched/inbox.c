/* The inbox: the first lane goes first, each lane is a queue, and each job comes out once. */
#include "sched/inbox.h"

#include <sched.h>

#include "tests/support/harness.h"

enum {
    NR_PRODUCERS = 4,
    NR_TAKERS = 2,
    MAX_JOBS = 10000 /* of each producer */
};

struct item {
    struct sk_job job;
    int payload; /* plain: written before the put, read by who takes */
    SK_ATOMIC(uint8_t) times;
};

static struct item items[NR_PRODUCERS][MAX_JOBS];
static struct sk_inbox inbox;

static void put(int i, enum sk_lane lane)
{
    sk_inbox_put(&inbox, &items[0][i].job, lane);
}

static int number(struct sk_job *job)
{
    return job == NULL ? -1 : (int)(SK_CONTAINER_OF(job, struct item, job) - items[0]);
}

static int take(void)
{
    return number(sk_inbox_take(&inbox));
}

static void an_empty_inbox_gives_nothing(void **state)
{
    (void)state;
    sk_inbox_init(&inbox);
    assert_true(sk_inbox_empty(&inbox));
    assert_int_equal(take(), -1);
    for (int lane = 0; lane < SK_NR_LANES; lane++) {
        put(0, (enum sk_lane)lane);
        assert_false(sk_inbox_empty(&inbox));
        assert_int_equal(take(), 0);
        assert_true(sk_inbox_empty(&inbox));
        assert_int_equal(take(), -1);
    }
}

static void a_lane_is_a_queue(void **state)
{
    (void)state;
    sk_inbox_init(&inbox);
    for (int lane = 0; lane < SK_NR_LANES; lane++) {
        for (int i = 0; i < 100; i++)
            put(i, (enum sk_lane)lane);
        for (int i = 0; i < 100; i++)
            assert_int_equal(take(), i);
        assert_int_equal(take(), -1);
    }
}

static void it_stays_a_queue_when_puts_and_takes_alternate(void **state)
{
    (void)state;
    uint32_t seed = 1;
    int nr_put = 0, nr_taken = 0;
    sk_inbox_init(&inbox);
    while (nr_taken < 1000) {
        for (uint32_t n = skt_random(&seed) % 5; n > 0 && nr_put < 1000; n--)
            put(nr_put++, SK_LANE_NORMAL);
        for (uint32_t n = skt_random(&seed) % 5; n > 0 && nr_taken < nr_put; n--)
            assert_int_equal(take(), nr_taken++);
        assert_int_equal(sk_inbox_empty(&inbox), nr_taken == nr_put);
    }
}

static void a_higher_lane_goes_first(void **state)
{
    (void)state;
    sk_inbox_init(&inbox);
    put(0, SK_LANE_LOW);
    put(1, SK_LANE_NORMAL);
    put(2, SK_LANE_HIGH);
    put(3, SK_LANE_LOW);
    put(4, SK_LANE_NORMAL);
    put(5, SK_LANE_HIGH);
    const int order[] = { 2, 5, 1, 4, 0, 3 };
    for (size_t i = 0; i < SKT_COUNT(order); i++)
        assert_int_equal(take(), order[i]);
    assert_int_equal(take(), -1);
}

static void a_higher_lane_overtakes_what_came_before(void **state)
{
    (void)state;
    sk_inbox_init(&inbox);
    put(0, SK_LANE_LOW);
    put(1, SK_LANE_LOW);
    assert_int_equal(take(), 0);
    put(2, SK_LANE_NORMAL);
    put(3, SK_LANE_NORMAL);
    assert_int_equal(take(), 2);
    put(4, SK_LANE_HIGH);
    assert_int_equal(take(), 4);
    assert_int_equal(take(), 3);
    assert_int_equal(take(), 1);
    assert_true(sk_inbox_empty(&inbox));
}

/* The lock is held as by a taker in the middle of its work. */
static void another_taker_in_the_way_leaves_it_not_empty(void **state)
{
    (void)state;
    sk_inbox_init(&inbox);
    put(0, SK_LANE_NORMAL);
    sk_lock_lock(&inbox.lock);
    const int got = take();
    const bool empty = sk_inbox_empty(&inbox);
    put(1, SK_LANE_NORMAL); /* never blocks */
    sk_lock_unlock(&inbox.lock);
    assert_int_equal(got, -1);
    assert_false(empty);
    assert_int_equal(take(), 0);
    assert_int_equal(take(), 1);
    sk_lock_lock(&inbox.lock); /* a taker may have the last job in its hands */
    const bool still_empty = sk_inbox_empty(&inbox);
    sk_lock_unlock(&inbox.lock);
    assert_false(still_empty);
}

/* ---- several threads ------------------------------------------------------------------------- */

static SK_ATOMIC(int) nr_left, nr_wrong;

static enum sk_lane lane_of(int i)
{
    return (enum sk_lane)(i % SK_NR_LANES);
}

static void *produce(void *arg)
{
    struct item *own = arg;
    for (int i = 0; i < skt_rounds(MAX_JOBS); i++) {
        own[i].payload = i + 1;
        sk_inbox_put(&inbox, &own[i].job, lane_of(i));
    }
    return NULL;
}

/* What one taker gets of one producer and lane comes in the order of the puts. */
static void *take_all(void *arg)
{
    int before[NR_PRODUCERS][SK_NR_LANES] = { 0 };
    (void)arg;
    while (sk_load_rlx(&nr_left) > 0) {
        struct sk_job *job = sk_inbox_take(&inbox);
        if (job == NULL) {
            sched_yield();
            continue;
        }
        const int payload = SK_CONTAINER_OF(job, struct item, job)->payload;
        const int producer = number(job) / MAX_JOBS, i = number(job) % MAX_JOBS;
        int *last = &before[producer][lane_of(i)];
        sk_add_rlx(&nr_wrong, payload != i + 1 || payload <= *last);
        *last = payload;
        sk_add_rlx(&items[producer][i].times, 1);
        sk_sub_rlx(&nr_left, 1);
    }
    return NULL;
}

static void each_job_comes_out_once_and_in_order(void **state)
{
    (void)state;
    pthread_t producers[NR_PRODUCERS], takers[NR_TAKERS];
    const int n = skt_rounds(MAX_JOBS);
    sk_inbox_init(&inbox);
    sk_store_rlx(&nr_left, n * NR_PRODUCERS);
    for (int i = 0; i < NR_TAKERS; i++)
        takers[i] = skt_thread(take_all, NULL);
    for (int i = 0; i < NR_PRODUCERS; i++)
        producers[i] = skt_thread(produce, items[i]);
    for (int i = 0; i < NR_PRODUCERS; i++)
        skt_join(producers[i]);
    for (int i = 0; i < NR_TAKERS; i++)
        skt_join(takers[i]);
    for (int p = 0; p < NR_PRODUCERS; p++) {
        for (int i = 0; i < n; i++) {
            if (sk_load_rlx(&items[p][i].times) != 1)
                fail_msg("job %d of producer %d comes out %d times", i, p,
                         (int)sk_load_rlx(&items[p][i].times));
        }
    }
    assert_int_equal(sk_load_rlx(&nr_wrong), 0);
    assert_true(sk_inbox_empty(&inbox));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(an_empty_inbox_gives_nothing),
        SKT_TEST(a_lane_is_a_queue),
        SKT_TEST(it_stays_a_queue_when_puts_and_takes_alternate),
        SKT_TEST(a_higher_lane_goes_first),
        SKT_TEST(a_higher_lane_overtakes_what_came_before),
        SKT_TEST(another_taker_in_the_way_leaves_it_not_empty),
        SKT_TEST(each_job_comes_out_once_and_in_order),
    };
    return skt_main(argc, argv, "inbox", tests, SKT_COUNT(tests));
}
