/* sched/split.c and sched/join.c: each child runs once, by its owner or by a thief, its result is
 * seen by who syncs it, whatever the order, and a waiter takes only children of what it waits for.
 *
 * Thread t is worker t. What join.c needs of the rest of the scheduler is stood in for here. */
#include "sched/split.h"

#include "sched/idle.h"
#include "sched/join.h"
#include "tests/model/checker.h"

#define NR_WORKERS  3
#define NR_CHILDREN 8

struct child {
    int input;     /* plain: written before the spawn */
    int output;    /* plain: written by who runs it, read after the sync */
    int times;     /* that it has run */
    int runner;    /* the worker that ran it */
    void *part_of; /* its cause; plain: written before the spawn */
};

static struct sk_worker workers[NR_WORKERS];
static struct child children[NR_CHILDREN];
static void *part_of[NR_WORKERS]; /* the cause of what each worker spawns; its own */
static int nr_blocked, nr_notified;

const struct sk_spin_limits sk_join_spin = { 0, 0 };
SK_THREAD_LOCAL struct sk_worker *sk_worker_of_thread;

MODEL_UNCHECKED void sk_worker_block_begin(void)
{
    model_check(++nr_blocked <= NR_WORKERS);
}

MODEL_UNCHECKED void sk_worker_block_end(void)
{
    nr_blocked--;
}

MODEL_UNCHECKED void sk_idle_notify(struct sk_sched *sched)
{
    (void)sched;
    nr_notified++;
}

/* No test has a circle of waits. */
MODEL_UNCHECKED void sk_circle_begin(struct sk_stint *stint, struct sk_awaited *awaited)
{
    (void)stint;
    (void)awaited;
}

MODEL_UNCHECKED void sk_circle_end(const struct sk_stint *stint)
{
    (void)stint;
}

MODEL_UNCHECKED void sk_circle_enter_one(struct sk_wait *wait, const struct sk_awaited *awaited)
{
    (void)wait;
    (void)awaited;
}

MODEL_UNCHECKED void sk_circle_leave(struct sk_wait *wait)
{
    (void)wait;
}

/* Nor loops. */
MODEL_UNCHECKED bool sk_region_help_inside(struct sk_worker *worker, struct sk_split_span *span,
                                           struct sk_region *outer)
{
    (void)worker;
    (void)span;
    (void)outer;
    return false;
}

static struct sk_worker *self(void)
{
    return &workers[model_self()];
}

/* What the calling worker spawns from here on is a part of `cause`. Returns what it was before. */
static void *begin_part(void *cause)
{
    void *before = part_of[model_self()];
    part_of[model_self()] = cause;
    sk_split_set_cause(&self()->split, cause);
    return before;
}

static int run_stolen(int (*fn)(void *arg), void *arg, void *cause, void **left)
{
    struct child *c = arg;
    model_check(cause == c->part_of);
    void *before = begin_part(cause);
    int result = fn(arg);
    begin_part(before);
    *left = c;
    return result;
}

static void take(void *left)
{
    struct child *c = left;
    model_check(c->output == c->input + 1);
    model_check(c->runner != model_self());
}

static const struct sk_child_class child_class = { run_stolen, take };

MODEL_UNCHECKED static void start(void)
{
    for (int i = 0; i < NR_WORKERS; i++) {
        model_check(sk_split_init(&workers[i].split) == 0);
        workers[i].split.class = &child_class;
        part_of[i] = NULL;
    }
    for (int i = 0; i < NR_CHILDREN; i++)
        children[i] = (struct child){ .runner = -1 };
    nr_blocked = nr_notified = 0;
}

/* A thief has asked: the next spawn shares. */
static void start_asked(void)
{
    start();
    sk_store_rlx(&workers[0].split.asked, 1u);
}

/* --- children --- */

MODEL_UNCHECKED static void count(struct child *c)
{
    model_check(c->times == 0); /* it ran before */
    c->times++;
    c->runner = model_self();
}

static int run_leaf(void *arg)
{
    struct child *c = arg;
    count(c);
    c->output = c->input + 1;
    return (int)(c - children);
}

static uint32_t spawn_fn(int i, int (*fn)(void *arg))
{
    uint32_t index = 0;
    children[i].input = 100 + i;
    children[i].part_of = part_of[model_self()];
    model_check(sk_join_spawn(self(), fn, &children[i], &index));
    return index;
}

static uint32_t spawn(int i)
{
    return spawn_fn(i, run_leaf);
}

static void sync_child(int i, uint32_t index)
{
    model_check(sk_join_sync(self(), index) == i);
    model_check(children[i].output == 101 + i);
}

/* Child i has two children of its own, 2i and 2i + 1, one open while it waits for the other. They
 * are a part of it; in between it runs something else, which spawns nothing. */
static int run_parent(void *arg)
{
    struct child *c = arg;
    int i = (int)(c - children);
    count(c);
    void *before = begin_part(c);
    uint32_t first = spawn(2 * i);
    begin_part(begin_part(&part_of));
    uint32_t second = spawn(2 * i + 1);
    sync_child(2 * i + 1, second);
    sync_child(2 * i, first);
    begin_part(before);
    c->output = c->input + 1;
    return i;
}

/* --- thieves --- */

static bool steal_from(int victim)
{
    struct sk_split_entry *entry = sk_split_steal(&workers[victim].split, NULL);
    if (entry != NULL)
        sk_split_run(&self()->split, &workers[victim].split, entry);
    return entry != NULL;
}

static void steal_1(void)
{
    steal_from(0);
}

static void steal_2(void)
{
    steal_from(0);
    steal_from(0);
}

static void steal_3(void)
{
    steal_2();
    steal_from(0);
}

/* --- afterwards --- */

MODEL_UNCHECKED static void finish(int n)
{
    for (int i = 1; i <= n; i++)
        model_check(children[i].times == 1);
    model_check(nr_blocked == 0);
    for (int i = 0; i < NR_WORKERS; i++) {
        struct sk_split *split = &workers[i].split;
        model_check(split->head == 0 && split->nr_holes == 0 && split->split == 0);
        model_check(sk_split_empty(split));
        model_check(model_newest(&split->joined.waiters) == 0);
        sk_split_fini(split);
    }
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

/* --- owners --- */

static void spawn_1_sync(void)
{
    sync_child(1, spawn(1));
}

static void spawn_2_sync(void)
{
    uint32_t first = spawn(1);
    uint32_t second = spawn(2);
    sync_child(2, second);
    sync_child(1, first);
}

static void spawn_2_sync_oldest_first(void)
{
    uint32_t first = spawn(1);
    uint32_t second = spawn(2);
    sync_child(1, first);
    sync_child(2, second);
}

static void spawn_3_sync(void)
{
    uint32_t first = spawn(1);
    uint32_t second = spawn(2);
    uint32_t third = spawn(3);
    sync_child(3, third);
    sync_child(2, second);
    sync_child(1, first);
}

static void spawn_3_sync_middle_first(void)
{
    uint32_t first = spawn(1);
    uint32_t second = spawn(2);
    uint32_t third = spawn(3);
    sync_child(2, second);
    sync_child(1, first);
    sync_child(3, third);
}

static void spawn_3_sync_oldest_first(void)
{
    uint32_t first = spawn(1);
    uint32_t second = spawn(2);
    uint32_t third = spawn(3);
    sync_child(1, first);
    sync_child(2, second);
    sync_child(3, third);
}

/* The hole that the first sync leaves is shared by the last spawn, or was. */
static void spawn_above_hole(void)
{
    uint32_t first = spawn(1);
    uint32_t second = spawn(2);
    sync_child(1, first);
    uint32_t third = spawn(3);
    sync_child(2, second);
    uint32_t fourth = spawn(4);
    sync_child(4, fourth);
    sync_child(3, third);
}

/* The same, and the hole's entry is used again after a thief may have claimed it. */
static void spawn_over_hole(void)
{
    uint32_t first = spawn(1);
    uint32_t second = spawn(2);
    sync_child(1, first);
    uint32_t third = spawn(3);
    sync_child(3, third);
    sync_child(2, second);
    sync_child(4, spawn(4));
}

/* The word comes back to what it was, with another child in the entry. */
static void spawn_and_share_again(void)
{
    sync_child(1, spawn(1));
    sk_store_rlx(&self()->split.asked, 1u);
    sync_child(2, spawn(2));
}

/* The entry of a child that was stolen is used again. */
static void spawn_sync_twice(void)
{
    sync_child(1, spawn(1));
    sync_child(2, spawn(2));
}

static void spawn_sync_3_times(void)
{
    spawn_sync_twice();
    sync_child(3, spawn(3));
}

/* Child 1 has children 2 and 3: who waits for child 1 may take them, and only them. */
static void spawn_parent(void)
{
    sync_child(1, spawn_fn(1, run_parent));
}

/* The thief has an open child of its own, 6, shared and older than those of child 1: it is not for
 * worker 0, which waits for child 1. */
static void steal_with_own_child(void)
{
    sk_store_rlx(&self()->split.asked, 1u);
    uint32_t own = spawn(6);
    steal_from(0);
    sync_child(6, own);
}

/* The same entries, after child 1 has ended. */
static void steal_then_spawn(void)
{
    steal_from(0);
    sk_store_rlx(&self()->split.asked, 1u);
    uint32_t own = spawn(6);
    sync_child(6, own);
}

static void steal_from_thief(void)
{
    steal_from(1);
}

MODEL_UNCHECKED static void finish_6(void)
{
    finish(3);
    model_check(children[6].times == 1);
    model_check(children[6].runner != 0);
}

/* --- that the paths are taken at all --- */

MODEL_UNCHECKED static void finish_without_leapfrog(void)
{
    model_check(!(children[1].runner == 1 && children[2].runner == 0));
    finish_3();
}

static const struct model_test tests[] = {
    { .name = "one_child",
      .setup = start_asked,
      .thread = { spawn_1_sync, steal_1 },
      .finish = finish_1,
      .bound = 4 },
    { .name = "two_children",
      .setup = start_asked,
      .thread = { spawn_2_sync, steal_2 },
      .finish = finish_2,
      .bound = 3 },
    { .name = "thief_asks",
      .setup = start,
      .thread = { spawn_2_sync, steal_3 },
      .finish = finish_2,
      .bound = 3 },
    { .name = "three_children_two_thieves",
      .setup = start_asked,
      .thread = { spawn_3_sync, steal_1, steal_1 },
      .finish = finish_3 },
    { .name = "oldest_synced_first",
      .setup = start_asked,
      .thread = { spawn_2_sync_oldest_first, steal_2 },
      .finish = finish_2,
      .bound = 3 },
    { .name = "oldest_of_three_synced_first",
      .setup = start_asked,
      .thread = { spawn_3_sync_oldest_first, steal_2 },
      .finish = finish_3 },
    { .name = "middle_synced_first",
      .setup = start_asked,
      .thread = { spawn_3_sync_middle_first, steal_2 },
      .finish = finish_3 },
    { .name = "out_of_order_two_thieves",
      .setup = start_asked,
      .thread = { spawn_3_sync_middle_first, steal_1, steal_1 },
      .finish = finish_3 },
    { .name = "holes_are_shared",
      .setup = start_asked,
      .thread = { spawn_above_hole, steal_3 },
      .finish = finish_4 },
    { .name = "hole_is_used_again",
      .setup = start_asked,
      .thread = { spawn_over_hole, steal_3 },
      .finish = finish_4,
      .bound = 3 },
    { .name = "word_comes_back",
      .setup = start_asked,
      .thread = { spawn_and_share_again, steal_2 },
      .finish = finish_2,
      .bound = 4 },
    { .name = "entries_are_used_again",
      .setup = start_asked,
      .thread = { spawn_sync_twice, steal_2 },
      .finish = finish_2,
      .bound = 3 },
    { .name = "entries_are_used_again_two_thieves",
      .setup = start_asked,
      .thread = { spawn_sync_3_times, steal_1, steal_2 },
      .finish = finish_3 },
    { .name = "leapfrogs",
      .setup = start_asked,
      .thread = { spawn_parent, steal_1 },
      .finish = finish_3,
      .bound = 4 },
    { .name = "leapfrogging_happens",
      .setup = start_asked,
      .thread = { spawn_parent, steal_1 },
      .finish = finish_without_leapfrog,
      .bound = 3,
      .fails = "does not hold" },
    { .name = "leapfrog_takes_no_other",
      .setup = start_asked,
      .thread = { spawn_parent, steal_with_own_child },
      .finish = finish_6,
      .bound = 3 },
    { .name = "leapfrog_takes_no_other_above",
      .setup = start_asked,
      .thread = { spawn_parent, steal_with_own_child, steal_from_thief },
      .finish = finish_6 },
    { .name = "leapfrog_stops_at_the_end",
      .setup = start_asked,
      .thread = { spawn_parent, steal_then_spawn },
      .finish = finish_6,
      .bound = 3 },
};

MODEL_MAIN("split", tests)
