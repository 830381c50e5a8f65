/* sched/inbox.c: each job comes out once and whole, in the order its producer put it, and no taker
 * sleeps while one is there. */
#include "sched/inbox.h"

#include "sched/park.h"
#include "tests/model/jobs.h"

static struct sk_inbox inbox;
static struct sk_park park;
static int last[MODEL_THREADS][2]; /* [taker][producer]: the latest job that it took of that one */

/* Producer 0 makes jobs 1 .. 4, producer 1 makes 5 .. 8. */
static int producer_of(int i)
{
    return (i - 1) / 4;
}

MODEL_UNCHECKED static void start(void)
{
    model_jobs_reset();
    sk_inbox_init(&inbox);
    sk_init(&park.epoch, 0);
    sk_init(&park.waiters, 0);
    for (int t = 0; t < MODEL_THREADS; t++)
        last[t][0] = last[t][1] = 0;
}

static void put(int i)
{
    sk_inbox_put(&inbox, model_jobs_make(i), SK_LANE_NORMAL);
}

static void put_1_2(void)
{
    put(1);
    put(2);
}

static void put_5(void)
{
    put(5);
}

static void put_5_6(void)
{
    put(5);
    put(6);
}

MODEL_UNCHECKED static void check_order(int i)
{
    int *before = &last[model_self()][producer_of(i)];
    model_check(*before < i); /* first in, first out */
    *before = i;
}

static int take(void)
{
    int i = model_jobs_take(sk_inbox_take(&inbox));
    if (i != 0 && model_self() >= 0)
        check_order(i);
    return i;
}

static void take_1(void)
{
    take();
}

static void take_2(void)
{
    take();
    take();
}

static void take_3(void)
{
    take_2();
    take();
}

/* In a quiet inbox take gives all there is, then nothing. */
MODEL_UNCHECKED static void take_rest(void)
{
    int rest[2] = { 0, 0 };
    for (int i = take(); i != 0; i = take()) {
        model_check(rest[producer_of(i)] < i);
        rest[producer_of(i)] = i;
        for (int t = 0; t < MODEL_THREADS; t++)
            model_check(last[t][producer_of(i)] < i);
    }
    model_check(sk_inbox_empty(&inbox));
    model_check(model_newest(&inbox.lock.word) == 0);
}

MODEL_UNCHECKED static bool came_out(int i)
{
    return model_jobs[i].times == 1;
}

static void finish_1_2(void)
{
    take_rest();
    model_check(came_out(1) && came_out(2));
}

static void finish_1_2_5(void)
{
    finish_1_2();
    model_check(came_out(5));
}

static void finish_1_2_5_6(void)
{
    finish_1_2_5();
    model_check(came_out(6));
}

/* --- lanes --- */

static void put_low_then_high(void)
{
    sk_inbox_put(&inbox, model_jobs_make(1), SK_LANE_LOW);
    sk_inbox_put(&inbox, model_jobs_make(2), SK_LANE_HIGH);
}

static void start_with_both(void)
{
    start();
    put_low_then_high();
}

static void take_high_first(void)
{
    model_check(model_jobs_take(sk_inbox_take(&inbox)) == 2);
    model_check(model_jobs_take(sk_inbox_take(&inbox)) == 1);
}

static void take_by_lane(void)
{
    model_jobs_take(sk_inbox_take(&inbox));
    model_jobs_take(sk_inbox_take(&inbox));
}

static void finish_lanes(void)
{
    take_by_lane();
    model_check(came_out(1) && came_out(2));
}

/* --- sleeping on it, as a worker does --- */

static void put_and_notify(void)
{
    put(1);
    sk_park_notify(&park, 1);
}

static void put_and_notify_twice(void)
{
    put_and_notify();
    put(5);
    sk_park_notify(&park, 1);
}

static void take_or_sleep(void)
{
    while (take() == 0) {
        uint32_t token = sk_park_prepare(&park);
        if (sk_inbox_empty(&inbox)) {
            sk_park_wait(&park, token, SK_NO_DEADLINE);
        } else {
            sk_park_cancel(&park);
            sk_pause();
        }
    }
}

static void finish_1(void)
{
    model_check(came_out(1));
    model_check(model_newest(&park.waiters) == 0);
}

static void finish_1_5(void)
{
    finish_1();
    model_check(came_out(5));
}

static const struct model_test tests[] = {
    { .name = "fifo_of_one_producer",
      .setup = start,
      .thread = { put_1_2, take_2 },
      .finish = finish_1_2,
      .bound = 4 },
    { .name = "two_producers_one_taker",
      .setup = start,
      .thread = { put_1_2, put_5_6, take_3 },
      .finish = finish_1_2_5_6,
      .bound = 3 },
    { .name = "one_producer_two_takers",
      .setup = start,
      .thread = { put_1_2, take_2, take_1 },
      .finish = finish_1_2 },
    { .name = "two_producers_two_takers",
      .setup = start,
      .thread = { put_1_2, put_5, take_1, take_1 },
      .finish = finish_1_2_5 },
    { .name = "high_lane_first",
      .setup = start_with_both,
      .thread = { take_high_first },
      .finish = finish_lanes },
    { .name = "lanes_lose_nothing",
      .setup = start,
      .thread = { put_low_then_high, take_by_lane },
      .finish = finish_lanes,
      .bound = 3 },
    { .name = "taker_sleeps",
      .setup = start,
      .thread = { put_and_notify, take_or_sleep },
      .finish = finish_1,
      .bound = 4 },
    { .name = "two_takers_sleep",
      .setup = start,
      .thread = { put_and_notify_twice, take_or_sleep, take_or_sleep },
      .finish = finish_1_5 },
};

MODEL_MAIN("inbox", tests)
