/* sched/deque.c: each job comes out once, whole, and none is lost. Capacity 2 is the smallest. */
#include "sched/deque.h"

#include "base/mem.h"
#include "tests/model/jobs.h"

static struct sk_deque deque;
static bool no_memory;

static void start(void)
{
    model_jobs_reset();
    no_memory = false;
    model_check(sk_deque_init(&deque, 2) == 0);
}

static void push(int i)
{
    model_check(sk_deque_push(&deque, model_jobs_make(i)) == 0);
}

static int pop(void)
{
    return model_jobs_take(sk_deque_pop(&deque));
}

static int steal(void)
{
    bool lost = false;
    int i = model_jobs_take(sk_deque_steal(&deque, &lost));
    model_check(i == 0 || !lost);
    return i;
}

/* What is left after the threads; then all n jobs must have come out. */
static void finish(int n)
{
    while (pop() != 0)
        ;
    model_jobs_check_all(n);
    model_check(sk_deque_empty(&deque));
    model_check(steal() == 0);
    sk_deque_fini(&deque);
}

static void finish_1(void)
{
    finish(1);
}

static void finish_2(void)
{
    finish(2);
}

static void finish_3(void)
{
    finish(3);
}

static void finish_4(void)
{
    finish(4);
}

static void finish_5(void)
{
    finish(5);
}

static void steal_1(void)
{
    steal();
}

static void steal_2(void)
{
    int first = steal();
    int second = steal();
    model_check(first == 0 || second == 0 || first < second); /* the oldest first */
}

static void push_2_pop_3(void)
{
    push(1);
    push(2);
    pop();
    pop();
    pop();
}

static void push_pop_twice(void)
{
    push(1);
    pop();
    push(2);
    pop();
}

static void pop_empty_then_push(void)
{
    model_check(pop() == 0);
    push(1);
    pop();
    model_check(pop() == 0);
}

static void grow_and_pop(void)
{
    push(1);
    push(2);
    push(3);
    pop();
}

static void grow_drain_refill(void)
{
    push(1);
    push(2);
    push(3);
    pop();
    pop();
    pop();
    push(4);
}

static void grow_twice(void)
{
    for (int i = 1; i <= 5; i++)
        push(i);
}

/* Slots are used again: index 2 lies where 0 was. */
static void wrap(void)
{
    push(1);
    push(2);
    pop();
    push(3);
    push(4);
}

/* Thieves move top on: the owner goes round without growing where it sees that. */
static void wrap_behind_thief(void)
{
    push(1);
    push(2);
    push(3);
    push(4);
}

static void start_with_1(void)
{
    start();
    push(1);
}

static void start_with_2(void)
{
    start();
    push(1);
    push(2);
}

static void pop_last(void)
{
    pop();
}

static void pop_both(void)
{
    pop();
    pop();
}

/* A lone thief that finds nothing or loses must have a reason: it or somebody took the job. */
static void thief_or_owner_gets_it(void)
{
    model_jobs_check_all(1);
    finish(1);
}

static bool refuse(size_t size)
{
    (void)size;
    return !no_memory;
}

static void start_poor(void)
{
    start();
    sk_mem_set_hook(refuse);
}

/* A push that cannot grow leaves all as it was. */
static void push_without_memory(void)
{
    push(1);
    push(2);
    no_memory = true;
    if (sk_deque_push(&deque, model_jobs_make(3)) != 0)
        model_jobs_take(&model_jobs[3].job);
    pop();
}

static const struct model_test tests[] = {
    { .name = "owner_and_thief",
      .setup = start,
      .thread = { push_2_pop_3, steal_2 },
      .finish = finish_2 },
    { .name = "owner_and_two_thieves",
      .setup = start,
      .thread = { push_2_pop_3, steal_1, steal_1 },
      .finish = finish_2 },
    { .name = "last_job_has_one_taker",
      .setup = start_with_1,
      .thread = { pop_last, steal_1 },
      .finish = thief_or_owner_gets_it,
      .bound = 4 },
    { .name = "last_job_and_two_thieves",
      .setup = start_with_1,
      .thread = { pop_last, steal_1, steal_1 },
      .finish = thief_or_owner_gets_it,
      .bound = 3 },
    { .name = "two_jobs_and_two_thieves",
      .setup = start_with_2,
      .thread = { pop_both, steal_2, steal_1 },
      .finish = finish_2 },
    { .name = "three_thieves",
      .setup = start_with_2,
      .thread = { pop_both, steal_1, steal_1, steal_1 },
      .finish = finish_2 },
    { .name = "push_after_last_job",
      .setup = start,
      .thread = { push_pop_twice, steal_2 },
      .finish = finish_2 },
    { .name = "pop_of_empty",
      .setup = start,
      .thread = { pop_empty_then_push, steal_1 },
      .finish = finish_1,
      .bound = 3 },
    { .name = "grows_under_thief",
      .setup = start,
      .thread = { grow_and_pop, steal_2 },
      .finish = finish_3 },
    { .name = "grows_under_two_thieves",
      .setup = start,
      .thread = { grow_and_pop, steal_1, steal_1 },
      .finish = finish_3 },
    { .name = "grows_twice",
      .setup = start,
      .thread = { grow_twice, steal_2 },
      .finish = finish_5 },
    { .name = "grows_drains_refills",
      .setup = start,
      .thread = { grow_drain_refill, steal_2 },
      .finish = finish_4 },
    { .name = "wraps", .setup = start, .thread = { wrap, steal_2 }, .finish = finish_4 },
    { .name = "wraps_behind_thief",
      .setup = start,
      .thread = { wrap_behind_thief, steal_1, steal_1 },
      .finish = finish_4 },
    { .name = "push_without_memory",
      .setup = start_poor,
      .thread = { push_without_memory, steal_2 },
      .finish = finish_3 },
};

MODEL_MAIN("deque", tests)
