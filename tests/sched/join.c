/* Fork and join on real workers: each child runs once, here or there, its result comes back, in
 * whatever order the children are synced and however many there are. */
#include "sched/join.h"

#include <sched.h>
#include <stdlib.h>

#include "base/time.h"
#include "sched/sched.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    FIVE = 5,
    MANY = 70000, /* more than SK_SPLIT_CAPACITY */
    FIB = 17
};

static struct sk_sched *sched;

/* ---- a body that runs on a worker ------------------------------------------------------------ */

struct body {
    struct sk_job job;
    void (*fn)(struct sk_worker *worker);
    struct skt_latch ended;
};

/* The line of the first check that failed in a body: cmocka's are for the test's thread alone. */
static SK_ATOMIC(int) wrong_line;

static void note(bool good, int line)
{
    int none = 0;
    if (!good)
        (void)sk_cas_rlx(&wrong_line, &none, line);
}

#define CHECK(x) note(x, __LINE__)

static void run_body(struct sk_job *job)
{
    struct body *body = SK_CONTAINER_OF(job, struct body, job);
    body->fn(sk_worker_self());
    skt_latch_raise(&body->ended);
}

static void refuse(struct sk_job *job, skua_status why)
{
    (void)job;
    (void)why;
    abort();
}

static const struct sk_job_class body_class = { run_body, refuse };

/* Runs fn on a worker; meanwhile the test's thread does `outside`, if it is not NULL. */
static void on_workers(int nr_workers, void (*fn)(struct sk_worker *worker), void (*outside)(void))
{
    struct body body = { .job = { &body_class, NULL }, .fn = fn };
    skt_latch_init(&body.ended);
    sk_store_rlx(&wrong_line, 0);
    const struct sk_sched_config config = { .nr_workers = nr_workers };
    assert_int_equal(sk_sched_start(&sched, &config), 0);
    assert_int_equal(sk_sched_submit(sched, &body.job, SK_LANE_NORMAL, false), 0);
    if (outside != NULL)
        outside();
    const bool ended = skt_latch_wait_for(&body.ended, 1, 10 * skt_slow_factor());
    assert_true(ended);
    sk_sched_shutdown(sched);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(10 * skt_slow_factor())));
    sk_sched_close(sched);
    skt_latch_fini(&body.ended);
    if (sk_load_rlx(&wrong_line) != 0)
        fail_msg("the check in line %d does not hold", sk_load_rlx(&wrong_line));
}

/* ---- children -------------------------------------------------------------------------------- */

struct child {
    int input; /* plain: written before the spawn, read by who runs it */
    int times; /* plain: written by who runs it, read after the sync */
    const struct sk_worker *runner;
};

static struct child children[MANY];
static uint32_t indices[MANY];
static struct skt_latch began, go;

static int run_child(void *arg)
{
    struct child *child = arg;
    child->times++;
    child->runner = sk_worker_self();
    return child->input;
}

static int run_and_tell(void *arg)
{
    skt_latch_raise(&began);
    return run_child(arg);
}

static void reset(int n)
{
    for (int i = 0; i < n; i++)
        children[i] = (struct child){ .input = 1000 + i };
}

static uint32_t spawn(struct sk_worker *worker, int (*fn)(void *arg), void *arg)
{
    uint32_t index = 0;
    CHECK(sk_join_spawn(worker, fn, arg, &index));
    return index;
}

static bool has_begun(int n)
{
    return skt_latch_wait_for(&began, n, 10 * skt_slow_factor());
}

/* ---- one child ------------------------------------------------------------------------------- */

static void sync_untaken(struct sk_worker *worker)
{
    const uint32_t index = spawn(worker, run_child, &children[0]);
    CHECK(children[0].times == 0);
    CHECK(sk_join_sync(worker, index) == 1000);
    CHECK(children[0].times == 1);
    CHECK(children[0].runner == worker);
}

static void a_child_that_nobody_takes_runs_at_its_sync(void **state)
{
    (void)state;
    reset(1);
    on_workers(1, sync_untaken, NULL);
}

/* Whether all workers but the caller get to sleep in a moment. */
static bool others_rest(void)
{
    const double limit = skt_now() + 5 * skt_slow_factor();
    const uint64_t all = (UINT64_C(1) << sched->nr_workers) - 1;
    const uint64_t others = all & ~(UINT64_C(1) << sk_worker_self()->slot);
    while (sk_load_sc(&sched->asleep[0]) != others || sk_load_sc(&sched->searching) != 0) {
        if (skt_now() > limit)
            return false;
        sched_yield();
    }
    return true;
}

static void sync_stolen(struct sk_worker *worker)
{
    CHECK(others_rest());
    const uint32_t index = spawn(worker, run_and_tell, &children[0]);
    sk_join_share(worker);
    CHECK(has_begun(1)); /* not here: this worker waits */
    CHECK(sk_join_sync(worker, index) == 1000);
    CHECK(children[0].times == 1);
    CHECK(children[0].runner != worker);
}

static void a_stolen_child_gives_its_result_back(void **state)
{
    skt_latch_init(&began);
    reset(1);
    on_workers(skt_workers(state), sync_stolen, NULL);
    skt_latch_fini(&began);
}

/* Children are spawned until one of them runs elsewhere, without a word from here. */
static void spawn_until_one_is_stolen(struct sk_worker *worker)
{
    const double limit = skt_now() + 5 * skt_slow_factor();
    int nr_begun = 0;
    do {
        reset(2);
        const uint32_t first = spawn(worker, run_and_tell, &children[0]);
        const uint32_t second = spawn(worker, run_child, &children[1]);
        for (int i = 0; i < 100 && skt_latch_count(&began) == nr_begun; i++)
            sched_yield();
        CHECK(sk_join_sync(worker, second) == 1001);
        CHECK(sk_join_sync(worker, first) == 1000);
        nr_begun++;
    } while (children[0].runner == worker && skt_now() < limit);
    CHECK(children[0].runner != worker);
}

static void a_thief_that_asked_gets_a_child(void **state)
{
    skt_latch_init(&began);
    on_workers(skt_workers(state), spawn_until_one_is_stolen, NULL);
    skt_latch_fini(&began);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static SK_ATOMIC(struct sk_worker *) waiter;
static bool has_slept; /* the test's thread writes and reads */

static int run_when_told(void *arg)
{
    skt_latch_raise(&began);
    skt_latch_wait(&go, 1);
    return run_child(arg);
}

static void sync_what_takes_long(struct sk_worker *worker)
{
    const uint32_t index = spawn(worker, run_when_told, &children[0]);
    sk_join_share(worker);
    CHECK(has_begun(1));
    sk_store_rel(&waiter, worker);
    CHECK(sk_join_sync(worker, index) == 1000);
    CHECK(children[0].times == 1);
}

/* Lets the child end once its parent is about to sleep for it. */
static void wait_for_the_sleeper(void)
{
    const double limit = skt_now() + 10 * skt_slow_factor();
    has_slept = false;
    while (!has_slept && skt_now() < limit) {
        struct sk_worker *worker = sk_load_acq(&waiter);
        has_slept = worker != NULL && sk_load_sc(&worker->split.joined.waiters) != 0;
        sched_yield();
    }
    skt_latch_raise(&go);
}

static void a_parent_that_sleeps_is_woken(void **state)
{
    skt_latch_init(&began);
    skt_latch_init(&go);
    sk_store_rlx(&waiter, NULL);
    reset(1);
    on_workers(skt_workers(state), sync_what_takes_long, wait_for_the_sleeper);
    assert_true(has_slept);
    skt_latch_fini(&began);
    skt_latch_fini(&go);
}

/* Runs on a thief; its own child is taken by the parent that waits, or by another worker. */
static int spawn_one_more(void *arg)
{
    struct sk_worker *worker = sk_worker_self();
    const int before = skt_latch_count(&began);
    skt_latch_raise(&began);
    const uint32_t index = spawn(worker, run_and_tell, arg);
    sk_join_share(worker);
    CHECK(has_begun(before + 2));
    const int result = sk_join_sync(worker, index);
    CHECK(children[0].runner != worker);
    return result + 1;
}

/* Again until it is the parent that takes it; it may have been asleep already. */
static void sync_what_spawns(struct sk_worker *worker)
{
    const double limit = skt_now() + 5 * skt_slow_factor();
    do {
        const int before = skt_latch_count(&began);
        reset(1);
        const uint32_t index = spawn(worker, spawn_one_more, &children[0]);
        sk_join_share(worker);
        CHECK(has_begun(before + 1));
        CHECK(sk_join_sync(worker, index) == 1001);
        CHECK(children[0].times == 1);
    } while (children[0].runner != worker && skt_now() < limit);
    CHECK(children[0].runner == worker);
}

static void a_parent_that_waits_helps_with_what_it_waits_for(void **state)
{
    skt_latch_init(&began);
    on_workers(skt_workers(state), sync_what_spawns, NULL);
    skt_latch_fini(&began);
}

/* ---- many children --------------------------------------------------------------------------- */

/* The next order of five numbers, or false after the last. */
static bool next_order(int order[FIVE])
{
    int i = FIVE - 2, j = FIVE - 1;
    while (i >= 0 && order[i] > order[i + 1])
        i--;
    if (i < 0)
        return false;
    while (order[j] < order[i])
        j--;
    const int swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
    for (int low = i + 1, high = FIVE - 1; low < high; low++, high--) {
        const int kept = order[low];
        order[low] = order[high];
        order[high] = kept;
    }
    return true;
}

static void sync_in_every_order(struct sk_worker *worker)
{
    int order[FIVE] = { 0, 1, 2, 3, 4 };
    int nr_orders = 0;
    do {
        for (int nr_shares = 0; nr_shares <= 3; nr_shares++) {
            reset(FIVE);
            for (int i = 0; i < FIVE; i++)
                indices[i] = spawn(worker, run_child, &children[i]);
            for (int i = 0; i < nr_shares; i++)
                sk_join_share(worker);
            for (int i = 0; i < FIVE; i++)
                CHECK(sk_join_sync(worker, indices[order[i]]) == 1000 + order[i]);
            for (int i = 0; i < FIVE; i++)
                CHECK(children[i].times == 1);
            CHECK(worker->split.head == 0);
        }
        nr_orders++;
    } while (next_order(order));
    CHECK(nr_orders == 120);
}

static void children_are_synced_in_every_order(void **state)
{
    on_workers(skt_workers(state), sync_in_every_order, NULL);
}

/* What finds no room is called at once, as who spawns is told to. */
static void spawn_more_than_there_is_room_for(struct sk_worker *worker)
{
    static bool spawned[MANY];
    int nr_spawned = 0;
    reset(MANY);
    for (int i = 0; i < MANY; i++) {
        spawned[i] = sk_join_spawn(worker, run_child, &children[i], &indices[i]);
        nr_spawned += spawned[i];
        if (!spawned[i])
            CHECK(run_child(&children[i]) == 1000 + i);
    }
    CHECK(nr_spawned == (int)SK_SPLIT_CAPACITY);
    for (int i = MANY - 1; i >= 0; i--) {
        if (spawned[i])
            CHECK(sk_join_sync(worker, indices[i]) == 1000 + i);
    }
    for (int i = 0; i < MANY; i++)
        CHECK(children[i].times == 1);
    CHECK(worker->split.head == 0);
}

static void more_children_than_there_is_room_for_run_once_each(void **state)
{
    on_workers(skt_workers(state), spawn_more_than_there_is_room_for, NULL);
}

static int serial_fib(int n)
{
    return n < 2 ? n : serial_fib(n - 1) + serial_fib(n - 2);
}

static int fib(void *arg)
{
    const int n = *(int *)arg;
    int one = n - 1, two = n - 2;
    if (n < 2)
        return n;
    struct sk_worker *worker = sk_worker_self();
    const uint32_t index = spawn(worker, fib, &two);
    const int first = fib(&one);
    return first + sk_join_sync(worker, index);
}

static void compute_fib(struct sk_worker *worker)
{
    int n = FIB;
    for (int round = 0; round < skt_rounds(20); round++)
        CHECK(fib(&n) == serial_fib(FIB));
    CHECK(worker->split.head == 0);
}

static void a_tree_of_children_equals_the_calls(void **state)
{
    on_workers(skt_workers(state), compute_fib, NULL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_child_that_nobody_takes_runs_at_its_sync),
        SKT_AT(a_stolen_child_gives_its_result_back, 2),
        SKT_AT(a_stolen_child_gives_its_result_back, 8),
        SKT_AT(a_thief_that_asked_gets_a_child, 2),
        SKT_AT(a_parent_that_sleeps_is_woken, 2),
        SKT_AT(a_parent_that_sleeps_is_woken, 8),
        SKT_AT(a_parent_that_waits_helps_with_what_it_waits_for, 2),
        SKT_EACH(children_are_synced_in_every_order),
        SKT_EACH(more_children_than_there_is_room_for_run_once_each),
        SKT_EACH(a_tree_of_children_equals_the_calls),
    };
    return skt_main(argc, argv, "join", tests, SKT_COUNT(tests));
}
