/* sched/park.c: no wake-up is lost, and nobody stays counted as a waiter. */
#include "sched/park.h"

#include "sched/deque.h"
#include "tests/model/jobs.h"

static struct sk_park park;
static SK_ATOMIC(uint32_t) tokens; /* the work: each sleeper wants one */
static SK_ATOMIC(uint32_t) open;
static struct sk_deque deque;

static void start(void)
{
    sk_init(&park.epoch, 0);
    sk_init(&park.waiters, 0);
    sk_init(&tokens, 0);
    sk_init(&open, 0);
}

/* The word's last values before it goes round. */
static void start_late(void)
{
    start();
    sk_init(&park.epoch, UINT32_MAX);
}

static void nobody_waits(void)
{
    model_check(model_newest(&park.waiters) == 0);
    model_check(model_newest(&tokens) == 0);
}

static void one_is_left(void)
{
    model_check(model_newest(&park.waiters) == 0);
    model_check(model_newest(&tokens) <= 1);
}

/* --- one token, one wake --- */

static void put_token(void)
{
    sk_add_sc(&tokens, 1);
    sk_park_notify(&park, 1);
}

static void put_two_tokens(void)
{
    put_token();
    put_token();
}

static void put_two_notify_once(void)
{
    sk_add_sc(&tokens, 2);
    sk_park_notify(&park, 2);
}

static bool take_token(void)
{
    uint32_t n = sk_load_sc(&tokens);
    while (n > 0) {
        if (sk_cas_acq_rel(&tokens, &n, n - 1))
            return true;
    }
    return false;
}

/* False if the deadline passed. */
static bool wait_for_token(int64_t deadline_ns)
{
    while (!take_token()) {
        uint32_t token = sk_park_prepare(&park);
        if (take_token()) {
            sk_park_cancel(&park);
            return true;
        }
        if (!sk_park_wait(&park, token, deadline_ns))
            return take_token();
    }
    return true;
}

static void get_token(void)
{
    model_check(wait_for_token(SK_NO_DEADLINE));
}

static void get_token_in_time(void)
{
    wait_for_token(1500000000);
}

/* --- one event for all --- */

static void open_for_all(void)
{
    sk_store_sc(&open, 1u);
    sk_park_notify(&park, INT32_MAX);
}

static void wait_for_open(void)
{
    while (sk_load_sc(&open) == 0) {
        uint32_t token = sk_park_prepare(&park);
        if (sk_load_sc(&open) != 0) {
            sk_park_cancel(&park);
            return;
        }
        sk_park_wait(&park, token, SK_NO_DEADLINE);
    }
}

/* --- misuse that the protocol forbids --- */

static void wait_without_recheck(void)
{
    while (!take_token()) {
        uint32_t token = sk_park_prepare(&park);
        sk_park_wait(&park, token, SK_NO_DEADLINE);
    }
}

static void put_token_by_release(void)
{
    uint32_t n = 0;
    sk_cas_rel(&tokens, &n, 1);
    sk_park_notify(&park, 1);
}

/* --- a deque behind it --- */

static void start_with_deque(void)
{
    start();
    model_jobs_reset();
    model_check(sk_deque_init(&deque, 2) == 0);
}

static void push_and_notify(void)
{
    sk_deque_push(&deque, model_jobs_make(1));
    sk_park_notify(&park, 1);
}

static void push_notify_pop(void)
{
    push_and_notify();
    sk_deque_push(&deque, model_jobs_make(2));
    sk_park_notify(&park, 1);
    model_jobs_take(sk_deque_pop(&deque));
}

static bool steal(void)
{
    bool lost;
    int i;
    do {
        i = model_jobs_take(sk_deque_steal(&deque, &lost));
    } while (i == 0 && lost);
    return i != 0;
}

static void steal_or_sleep(void)
{
    while (!steal()) {
        uint32_t token = sk_park_prepare(&park);
        if (steal()) {
            sk_park_cancel(&park);
            return;
        }
        sk_park_wait(&park, token, SK_NO_DEADLINE);
    }
}

/* As idle workers do: the last look only looks. */
static void look_or_sleep(void)
{
    while (!steal()) {
        uint32_t token = sk_park_prepare(&park);
        if (sk_deque_empty(&deque))
            sk_park_wait(&park, token, SK_NO_DEADLINE);
        else
            sk_park_cancel(&park);
    }
}

static void finish_deque_1(void)
{
    model_jobs_check_all(1);
    nobody_waits();
    sk_deque_fini(&deque);
}

static void finish_deque_2(void)
{
    model_jobs_check_all(2);
    nobody_waits();
    sk_deque_fini(&deque);
}

static const struct model_test tests[] = {
    { .name = "one_producer_one_sleeper",
      .setup = start,
      .thread = { put_token, get_token },
      .finish = nobody_waits,
      .bound = 5,
      .flags = MODEL_SPURIOUS },
    { .name = "epoch_goes_round",
      .setup = start_late,
      .thread = { put_two_tokens, get_token },
      .finish = one_is_left,
      .bound = 4 },
    { .name = "two_producers_one_sleeper",
      .setup = start,
      .thread = { put_token, put_token, get_token },
      .finish = one_is_left,
      .bound = 3 },
    { .name = "one_producer_two_sleepers",
      .setup = start,
      .thread = { put_two_tokens, get_token, get_token },
      .finish = nobody_waits,
      .bound = 3 },
    { .name = "two_producers_two_sleepers",
      .setup = start,
      .thread = { put_token, put_token, get_token, get_token },
      .finish = nobody_waits },
    { .name = "one_notify_for_two",
      .setup = start,
      .thread = { put_two_notify_once, get_token, get_token },
      .finish = nobody_waits,
      .bound = 3 },
    { .name = "notify_all",
      .setup = start,
      .thread = { open_for_all, wait_for_open, wait_for_open },
      .finish = nobody_waits,
      .bound = 3,
      .flags = MODEL_SPURIOUS },
    { .name = "deadline_passes_or_not",
      .setup = start,
      .thread = { put_token, get_token_in_time },
      .finish = one_is_left,
      .bound = 4 },
    { .name = "deadline_passes_beside_another",
      .setup = start,
      .thread = { put_two_tokens, get_token_in_time, get_token },
      .finish = one_is_left },
    { .name = "forgotten_recheck_is_found",
      .setup = start,
      .thread = { put_token, wait_without_recheck },
      .fails = "lost wake-up" },
    { .name = "publishing_by_release_is_found",
      .setup = start,
      .thread = { put_token_by_release, get_token },
      .fails = "lost wake-up" },
    { .name = "thief_sleeps_on_deque",
      .setup = start_with_deque,
      .thread = { push_and_notify, steal_or_sleep },
      .finish = finish_deque_1,
      .bound = 4 },
    { .name = "thief_looks_and_sleeps",
      .setup = start_with_deque,
      .thread = { push_and_notify, look_or_sleep },
      .finish = finish_deque_1,
      .bound = 4 },
    { .name = "two_thieves_sleep_on_deque",
      .setup = start_with_deque,
      .thread = { push_notify_pop, steal_or_sleep },
      .finish = finish_deque_2,
      .bound = 3 },
};

MODEL_MAIN("park", tests)
