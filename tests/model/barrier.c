/* core/barrier.c: all writes of a round are seen after it, rounds follow each other, and nobody
 * waits for a member that has left. */
#include "core/barrier.h"

#include "base/spin.h"
#include "sched/worker.h"
#include "tests/model/checker.h"

#define MAX_MEMBERS 3

static struct sk_barrier barrier;
static int nr_members;
static int value[MAX_MEMBERS]; /* plain: the barrier alone orders them */
static SK_ATOMIC(uint32_t) blocked;

/* --- what is stood in for --- */

const struct sk_spin_limits sk_join_spin = { 0, 0 };

void sk_worker_block_begin(void)
{
    sk_add_rlx(&blocked, 1u);
}

void sk_worker_block_end(void)
{
    sk_sub_rlx(&blocked, 1u);
}

void sk_circle_enter_one(struct sk_wait *wait, const struct sk_awaited *awaited)
{
    (void)wait;
    (void)awaited;
}

void sk_circle_leave(struct sk_wait *wait)
{
    (void)wait;
}

/* --- members --- */

MODEL_UNCHECKED static void start(int members)
{
    nr_members = members;
    sk_barrier_init(&barrier, (uint32_t)members);
    sk_init(&blocked, 0);
    for (int i = 0; i < MAX_MEMBERS; i++)
        value[i] = 0;
}

static void start_2(void)
{
    start(2);
}

static void start_3(void)
{
    start(3);
}

/* The round's last number before it goes round. */
static void start_2_late(void)
{
    start(2);
    sk_init(&barrier.word, UINT32_MAX / 8 * 8);
}

static void meet(skua_status wanted)
{
    skua_status status = sk_barrier_wait(&barrier, NULL);
    model_check(status == wanted);
}

/* Each writes, all meet, each reads what all have written: a data race if they have not met. */
static void exchange(void)
{
    value[model_self()] = 1;
    meet(SKUA_OK);
    for (int i = 0; i < nr_members; i++)
        model_check(value[i] == 1);
    sk_barrier_leave(&barrier, false);
}

/* In each round another one writes the same variable, and all read it at the end. */
static void take_turns(int rounds)
{
    for (int round = 0; round < rounds; round++) {
        if (model_self() == round % nr_members)
            value[0]++;
        meet(SKUA_OK);
    }
    model_check(value[0] == rounds);
    sk_barrier_leave(&barrier, false);
}

static void two_rounds(void)
{
    take_turns(2);
}

static void three_rounds(void)
{
    take_turns(3);
}

static void nobody_is_blocked(void)
{
    model_check(model_newest(&blocked) == 0);
}

/* --- members that leave --- */

static void fail_after_one(void)
{
    meet(SKUA_OK);
    value[0] = 99; /* what those who are told must see */
    sk_barrier_leave(&barrier, true);
}

static void find_failed_after_one(void)
{
    meet(SKUA_OK);
    meet(SKUA_FAILED);
    model_check(value[0] == 99);
    meet(SKUA_FAILED);
    sk_barrier_leave(&barrier, false);
}

static void leave_after_one(void)
{
    meet(SKUA_OK);
    sk_barrier_leave(&barrier, false);
}

static void find_left_after_one(void)
{
    meet(SKUA_OK);
    meet(SKUA_DEADLOCK);
    sk_barrier_leave(&barrier, true); /* it is not the first: others hear of the first */
}

static void leave_at_once(void)
{
    sk_barrier_leave(&barrier, false);
}

static void find_left_at_once(void)
{
    meet(SKUA_DEADLOCK);
    meet(SKUA_DEADLOCK);
    sk_barrier_leave(&barrier, true);
}

/* --- misuse that must be found --- */

static void go_without_a_word(void)
{
    meet(SKUA_OK);
}

static void write_without_meeting(void)
{
    value[0] = 1;
    meet(SKUA_OK);
    value[0] = 2; /* the others read it */
    sk_barrier_leave(&barrier, false);
}

static const struct model_test tests[] = {
    { .name = "two_exchange",
      .setup = start_2,
      .thread = { exchange, exchange },
      .finish = nobody_is_blocked,
      .bound = 4,
      .flags = MODEL_SPURIOUS },
    { .name = "two_members_three_rounds",
      .setup = start_2,
      .thread = { three_rounds, three_rounds },
      .finish = nobody_is_blocked,
      .bound = 3 },
    { .name = "the_rounds_number_goes_round",
      .setup = start_2_late,
      .thread = { two_rounds, two_rounds },
      .finish = nobody_is_blocked,
      .bound = 3 },
    { .name = "three_exchange",
      .setup = start_3,
      .thread = { exchange, exchange, exchange },
      .finish = nobody_is_blocked },
    { .name = "three_members_two_rounds",
      .setup = start_3,
      .thread = { two_rounds, two_rounds, two_rounds },
      .finish = nobody_is_blocked,
      .random_runs = 2000000 },
    { .name = "one_of_two_fails",
      .setup = start_2,
      .thread = { fail_after_one, find_failed_after_one },
      .finish = nobody_is_blocked,
      .bound = 4,
      .flags = MODEL_SPURIOUS },
    { .name = "one_of_three_fails",
      .setup = start_3,
      .thread = { fail_after_one, find_failed_after_one, find_failed_after_one },
      .finish = nobody_is_blocked,
      .bound = 1 },
    { .name = "one_of_three_leaves_after_a_round",
      .setup = start_3,
      .thread = { leave_after_one, find_left_after_one, find_left_after_one },
      .finish = nobody_is_blocked,
      .random_runs = 2000000 },
    { .name = "one_of_three_leaves_at_once",
      .setup = start_3,
      .thread = { leave_at_once, find_left_at_once, find_left_at_once },
      .finish = nobody_is_blocked },
    { .name = "going_without_a_word_is_found",
      .setup = start_2,
      .thread = { go_without_a_word, find_left_after_one },
      .fails = "lost wake-up" },
    { .name = "writing_after_the_round_is_found",
      .setup = start_2,
      .thread = { write_without_meeting, exchange },
      .fails = "data race" },
};

MODEL_MAIN("barrier", tests)
