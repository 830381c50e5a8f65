/* The deque: the owner's end is a stack, the thieves' a queue, and each job comes out once. */
#include "sched/deque.h"

#include <errno.h>

#include "base/mem.h"
#include "tests/support/harness.h"

enum {
    NR_THIEVES = 2,
    MAX_JOBS = 200000
};

struct item {
    struct sk_job job;
    int payload; /* plain: written before the push, read by who gets the job */
    SK_ATOMIC(uint8_t) times;
};

static struct item items[MAX_JOBS];
static struct sk_deque deque;

static void push(int i)
{
    assert_int_equal(sk_deque_push(&deque, &items[i].job), 0);
}

/* The index of what was got, or -1. */
static int number(struct sk_job *job)
{
    return job == NULL ? -1 : (int)(SK_CONTAINER_OF(job, struct item, job) - items);
}

static int pop(void)
{
    return number(sk_deque_pop(&deque));
}

static int steal(void)
{
    bool lost = true;
    const int i = number(sk_deque_steal(&deque, &lost));
    assert_false(lost);
    return i;
}

static void begin(int64_t capacity)
{
    assert_int_equal(sk_deque_init(&deque, capacity), 0);
}

static void an_empty_deque_gives_nothing(void **state)
{
    (void)state;
    begin(4);
    assert_true(sk_deque_empty(&deque));
    assert_int_equal(pop(), -1);
    assert_int_equal(steal(), -1);
    push(0);
    assert_false(sk_deque_empty(&deque));
    assert_int_equal(pop(), 0);
    assert_true(sk_deque_empty(&deque));
    assert_int_equal(pop(), -1);
    assert_null(sk_deque_steal(&deque, NULL));
    sk_deque_fini(&deque);
}

static void pop_takes_the_youngest(void **state)
{
    (void)state;
    begin(8);
    for (int i = 0; i < 5; i++)
        push(i);
    for (int i = 4; i >= 0; i--)
        assert_int_equal(pop(), i);
    assert_int_equal(pop(), -1);
    sk_deque_fini(&deque);
}

static void steal_takes_oldest(void **state)
{
    (void)state;
    begin(8);
    for (int i = 0; i < 5; i++)
        push(i);
    for (int i = 0; i < 5; i++)
        assert_int_equal(steal(), i);
    assert_int_equal(steal(), -1);
    assert_true(sk_deque_empty(&deque));
    sk_deque_fini(&deque);
}

static void both_ends_meet_at_the_last_job(void **state)
{
    (void)state;
    begin(2);
    for (int i = 0; i < 100; i++) {
        push(3 * i);
        push(3 * i + 1);
        push(3 * i + 2);
        assert_int_equal(steal(), 3 * i);
        assert_int_equal(pop(), 3 * i + 2);
        assert_int_equal(i % 2 == 0 ? pop() : steal(), 3 * i + 1);
        assert_int_equal(pop(), -1);
        assert_int_equal(steal(), -1);
    }
    sk_deque_fini(&deque);
}

static void any_capacity_is_enough(void **state)
{
    (void)state;
    for (int64_t capacity = 0; capacity <= 9; capacity++) {
        begin(capacity);
        for (int i = 0; i < 20; i++)
            push(i);
        for (int i = 0; i < 10; i++)
            assert_int_equal(steal(), i);
        for (int i = 19; i >= 10; i--)
            assert_int_equal(pop(), i);
        sk_deque_fini(&deque);
    }
}

/* The jobs lie across the end of the buffer when it grows, at each offset. */
static void growth_keeps_all(void **state)
{
    (void)state;
    for (int offset = 0; offset < 8; offset++) {
        begin(8);
        for (int i = 0; i < offset; i++) {
            push(i);
            assert_int_equal(steal(), i);
        }
        for (int i = 0; i < 1000; i++)
            push(i);
        for (int i = 0; i < 500; i++)
            assert_int_equal(steal(), i);
        for (int i = 999; i >= 500; i--)
            assert_int_equal(pop(), i);
        assert_int_equal(pop(), -1);
        sk_deque_fini(&deque);
    }
}

/* ---- without memory -------------------------------------------------------------------------- */

static bool refuse(size_t size)
{
    (void)size;
    return false;
}

static void without_memory_a_push_leaves_job_and_deque_alone(void **state)
{
    (void)state;
    begin(2);
    push(0);
    push(1);
    sk_mem_set_hook(refuse);
    const int first = sk_deque_push(&deque, &items[2].job);
    const int again = sk_deque_push(&deque, &items[2].job);
    sk_mem_set_hook(NULL);
    assert_int_equal(first, -ENOMEM);
    assert_int_equal(again, -ENOMEM);
    assert_int_equal(steal(), 0);
    push(2); /* there is room again */
    push(3); /* and memory */
    assert_int_equal(pop(), 3);
    assert_int_equal(pop(), 2);
    assert_int_equal(pop(), 1);
    assert_int_equal(pop(), -1);
    sk_deque_fini(&deque);
}

static void without_memory_there_is_no_deque(void **state)
{
    (void)state;
    sk_mem_set_hook(refuse);
    const int error = sk_deque_init(&deque, 4);
    sk_mem_set_hook(NULL);
    assert_int_equal(error, -ENOMEM);
    sk_deque_fini(&deque);
    deque = (struct sk_deque){ 0 };
    sk_deque_fini(&deque); /* zeroed: nothing to do */
}

/* ---- one owner, two thieves ------------------------------------------------------------------ */

static SK_ATOMIC(bool) all_pushed;
static SK_ATOMIC(int) nr_wrong; /* jobs that did not show what was written before the push */

static void count(struct sk_job *job)
{
    struct item *item = SK_CONTAINER_OF(job, struct item, job);
    sk_add_rlx(&nr_wrong, item->payload != 2 * number(job) + 1);
    sk_add_rlx(&item->times, 1);
}

static void *steal_all(void *arg)
{
    int before = -1;
    bool over = false;
    (void)arg;
    while (!over) {
        over = sk_load_acq(&all_pushed) && sk_deque_empty(&deque);
        struct sk_job *job = sk_deque_steal(&deque, NULL);
        if (job == NULL)
            continue;
        over = false;
        sk_add_rlx(&nr_wrong, number(job) <= before); /* pushed in order, so stolen in order */
        before = number(job);
        count(job);
    }
    return NULL;
}

static void own(int n)
{
    uint32_t seed = 1;
    for (int i = 0; i < n; i++) {
        items[i].payload = 2 * i + 1;
        push(i);
        for (uint32_t pops = skt_random(&seed) % 4; pops > 1; pops--) {
            struct sk_job *job = sk_deque_pop(&deque);
            if (job != NULL)
                count(job);
        }
    }
    sk_store_rel(&all_pushed, true);
    for (struct sk_job *job; (job = sk_deque_pop(&deque)) != NULL;)
        count(job);
}

static void each_job_comes_out_once(void **state)
{
    (void)state;
    pthread_t thieves[NR_THIEVES];
    const int n = skt_rounds(MAX_JOBS);
    begin(2);
    sk_store_rlx(&all_pushed, false);
    for (int i = 0; i < NR_THIEVES; i++)
        thieves[i] = skt_thread(steal_all, NULL);
    own(n);
    for (int i = 0; i < NR_THIEVES; i++)
        skt_join(thieves[i]);
    for (int i = 0; i < n; i++) {
        if (sk_load_rlx(&items[i].times) != 1)
            fail_msg("job %d of %d comes out %d times", i, n, (int)sk_load_rlx(&items[i].times));
    }
    assert_int_equal(sk_load_rlx(&nr_wrong), 0);
    sk_deque_fini(&deque);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(an_empty_deque_gives_nothing),
        SKT_TEST(pop_takes_the_youngest),
        SKT_TEST(steal_takes_oldest),
        SKT_TEST(both_ends_meet_at_the_last_job),
        SKT_TEST(any_capacity_is_enough),
        SKT_TEST(growth_keeps_all),
        SKT_TEST(without_memory_a_push_leaves_job_and_deque_alone),
        SKT_TEST(without_memory_there_is_no_deque),
        SKT_TEST(each_job_comes_out_once),
    };
    return skt_main(argc, argv, "deque", tests, SKT_COUNT(tests));
}
