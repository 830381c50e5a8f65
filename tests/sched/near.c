/* link: -Wl,--wrap=sk_idle_sleep */
/* Jobs that are to run near some memory: workers of that node come first, others take what is left
 * over, and nothing is overlooked. The machine is a synthetic one of two nodes: seats 0 and 1 are
 * on node 0, seats 2 and 3 on node 1. */
#define _GNU_SOURCE
#include "sched/near.h"

#include <sched.h>
#include <stdlib.h>

#include "base/time.h"
#include "sched/idle.h"
#include "sched/sched.h"
#include "sched/victim.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

#define TWO_NODES "package:2 numa:1 core:2 pu:1"

enum {
    NR_WORKERS = 4,
    NR_JOBS = 40,
    NR_OWN = 200
};

static struct sk_sched *sched;

static void begin_on(const char *machine, int nr_workers)
{
    const struct sk_sched_config config = { .nr_workers = nr_workers, .bind = SKUA_BIND_CLOSE };
    assert_int_equal(setenv("HWLOC_SYNTHETIC", machine, 1), 0);
    const int error = sk_sched_start(&sched, &config);
    unsetenv("HWLOC_SYNTHETIC");
    assert_int_equal(error, 0);
}

static void end(void)
{
    sk_sched_shutdown(sched);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(10 * skt_slow_factor())));
    sk_sched_close(sched);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

struct near_job {
    struct sk_job job;
    struct skt_latch *ran;
    struct sk_job
        *inside; /* to be submitted near node 1 by this one, which waits for it; or NULL */
    struct skt_latch *inside_ran;
    int seat; /* where it ran */
    bool discarded;
};

static void run_near(struct sk_job *job)
{
    struct near_job *n = SK_CONTAINER_OF(job, struct near_job, job);
    n->seat = sk_worker_number();
    if (n->inside != NULL) {
        sk_sched_submit_near(sched, n->inside, SK_LANE_NORMAL, 1, false);
        skt_latch_wait(n->inside_ran, 1);
    }
    skt_latch_raise(n->ran);
}

static void discard_near(struct sk_job *job, skua_status why)
{
    SK_CONTAINER_OF(job, struct near_job, job)->discarded = why == SKUA_CANCELLED;
}

static const struct sk_job_class near_class = { run_near, discard_near };

static struct near_job make_job(struct skt_latch *ran)
{
    return (struct near_job){ .job = { &near_class, NULL }, .ran = ran, .seat = -1 };
}

/* Jobs that hold workers. */
static struct {
    struct sk_job jobs[NR_WORKERS];
    struct skt_latch began, open;
    SK_ATOMIC(int) seats; /* a bit for each that is held */
} holds;

static void run_hold(struct sk_job *job)
{
    (void)job;
    sk_or_sc(&holds.seats, 1 << sk_worker_number());
    skt_latch_raise(&holds.began);
    skt_latch_wait(&holds.open, 1);
}

static const struct sk_job_class hold_class = { run_hold, discard_near };

static void holds_init(void)
{
    skt_latch_init(&holds.began);
    skt_latch_init(&holds.open);
    sk_store_sc(&holds.seats, 0);
}

static void hold_all(int n)
{
    holds_init();
    for (int i = 0; i < n; i++) {
        holds.jobs[i] = (struct sk_job){ &hold_class, NULL };
        assert_int_equal(sk_sched_submit(sched, &holds.jobs[i], SK_LANE_NORMAL, false), 0);
    }
    assert_true(skt_latch_wait_for(&holds.began, n, 10 * skt_slow_factor()));
}

static void let_go(void)
{
    skt_latch_raise(&holds.open);
}

static void holds_fini(void)
{
    skt_latch_fini(&holds.began);
    skt_latch_fini(&holds.open);
}

static SK_ATOMIC(uint64_t) past_last_look; /* a bit a worker: it is about to sleep, or sleeps */

bool __real_sk_idle_sleep(struct sk_worker *worker, uint32_t token);
bool __wrap_sk_idle_sleep(struct sk_worker *worker, uint32_t token);

bool __wrap_sk_idle_sleep(struct sk_worker *worker, uint32_t token)
{
    const uint64_t bit = UINT64_C(1) << worker->slot;
    sk_or_sc(&past_last_look, bit);
    const bool counted_on = __real_sk_idle_sleep(worker, token);
    sk_sub_sc(&past_last_look, bit);
    return counted_on;
}

static bool all_asleep_but(uint64_t awake)
{
    const uint64_t asleep = ((UINT64_C(1) << NR_WORKERS) - 1) & ~awake;
    return sk_load_sc(&sched->asleep[0]) == asleep && sk_load_sc(&past_last_look) == asleep;
}

static void wait_until_asleep_but(uint64_t awake)
{
    const double limit = skt_now() + 10 * skt_slow_factor();
    while (!all_asleep_but(awake)) {
        assert_true(skt_now() < limit);
        sched_yield();
    }
}

/* ---- who comes ------------------------------------------------------------------------------- */

static void a_sleeping_worker_of_the_node_runs_it(void **state)
{
    (void)state;
    struct skt_latch ran;
    begin_on(TWO_NODES, NR_WORKERS);
    for (int i = 0; i < skt_rounds(NR_JOBS); i++) {
        const int node = i % 2;
        struct near_job job = make_job(&ran);
        skt_latch_init(&ran);
        wait_until_asleep_but(0);
        assert_int_equal(sk_sched_submit_near(sched, &job.job, SK_LANE_NORMAL, node, false), 0);
        skt_latch_wait(&ran, 1);
        assert_int_equal(job.seat / 2, node);
        skt_latch_fini(&ran);
    }
    end();
}

static void a_job_submitted_inside_runs_on_its_node_too(void **state)
{
    (void)state;
    struct skt_latch outer_ran, inner_ran;
    begin_on(TWO_NODES, NR_WORKERS);
    for (int i = 0; i < skt_rounds(NR_JOBS); i++) {
        skt_latch_init(&outer_ran);
        skt_latch_init(&inner_ran);
        struct near_job inner = make_job(&inner_ran), outer = make_job(&outer_ran);
        outer.inside = &inner.job;
        outer.inside_ran = &inner_ran;
        wait_until_asleep_but(0);
        assert_int_equal(sk_sched_submit_near(sched, &outer.job, SK_LANE_NORMAL, 0, false), 0);
        skt_latch_wait(&outer_ran, 1);
        assert_int_equal(outer.seat / 2, 0);
        assert_int_equal(inner.seat / 2, 1);
        skt_latch_fini(&outer_ran);
        skt_latch_fini(&inner_ran);
    }
    end();
}

/* The workers of node 1 are busy, and those of node 0 asleep. */
static void a_worker_of_another_node_runs_what_its_own_cannot(void **state)
{
    (void)state;
    struct skt_latch ran;
    struct near_job jobs[2];
    begin_on(TWO_NODES, NR_WORKERS);
    skt_latch_init(&ran);
    holds_init();
    for (int i = 0; i < 2; i++) {
        wait_until_asleep_but((uint64_t)sk_load_sc(&holds.seats));
        holds.jobs[i] = (struct sk_job){ &hold_class, NULL };
        assert_int_equal(sk_sched_submit_near(sched, &holds.jobs[i], SK_LANE_NORMAL, 1, false), 0);
        skt_latch_wait(&holds.began, i + 1);
    }
    assert_int_equal(sk_load_sc(&holds.seats), 4 | 8);
    wait_until_asleep_but(4 | 8);
    for (int i = 0; i < 2; i++) {
        jobs[i] = make_job(&ran);
        assert_int_equal(sk_sched_submit_near(sched, &jobs[i].job, SK_LANE_NORMAL, 1, false), 0);
        assert_true(skt_latch_wait_for(&ran, i + 1, 10 * skt_slow_factor()));
        assert_in_range(jobs[i].seat, 0, 1);
    }
    let_go();
    end();
    holds_fini();
    skt_latch_fini(&ran);
}

static void on_one_node_it_runs_anywhere(void **state)
{
    (void)state;
    const struct {
        const char *machine;
        int nr_workers;
    } cases[] = { { "package:1 numa:1 core:4 pu:1", 4 }, { TWO_NODES, 2 }, { TWO_NODES, 1 } };
    for (size_t i = 0; i < SKT_COUNT(cases); i++) {
        begin_on(cases[i].machine, cases[i].nr_workers);
        assert_int_equal(sched->nr_near, 0);
        for (int node = -1; node < 3; node++) {
            struct skt_latch ran;
            skt_latch_init(&ran);
            struct near_job job = make_job(&ran);
            assert_int_equal(sk_sched_submit_near(sched, &job.job, SK_LANE_NORMAL, node, false), 0);
            skt_latch_wait(&ran, 1);
            skt_latch_fini(&ran);
        }
        end();
    }
}

/* Two of three nodes have workers. */
static void a_node_without_workers_is_no_place(void **state)
{
    (void)state;
    struct skt_latch ran;
    begin_on("package:3 numa:1 core:2 pu:1", NR_WORKERS);
    assert_int_equal(sched->nr_near, 3);
    skt_latch_init(&ran);
    hold_all(NR_WORKERS);
    struct near_job job = make_job(&ran);
    assert_int_equal(sk_sched_submit_near(sched, &job.job, SK_LANE_NORMAL, 2, false), 0);
    assert_false(sk_inbox_empty(&sched->inbox));
    let_go();
    skt_latch_wait(&ran, 1);
    end();
    holds_fini();
    skt_latch_fini(&ran);
}

/* ---- the order of places --------------------------------------------------------------------- */

/* All workers are held, and the test looks for work in their place. */
static void scene_begin(void)
{
    begin_on(TWO_NODES, NR_WORKERS);
    hold_all(NR_WORKERS);
}

static void scene_end(void)
{
    let_go();
    end();
    holds_fini();
}

static struct sk_job *find_for(int seat, bool thorough)
{
    struct sk_find find;
    if (!sk_victim_find(sched->workers[seat], &find, thorough))
        return NULL;
    return find.job;
}

static void put(int node, struct near_job *job, enum sk_lane lane)
{
    *job = make_job(NULL);
    sk_inbox_put(node >= 0 ? &sched->near[node].inbox : &sched->inbox, &job->job, lane);
}

static void others_look_there_last(void **state)
{
    (void)state;
    struct near_job near, common;
    scene_begin();
    put(1, &near, SK_LANE_NORMAL);
    assert_null(find_for(0, false));
    assert_ptr_equal(find_for(2, false), &near.job);
    put(1, &near, SK_LANE_NORMAL);
    put(-1, &common, SK_LANE_LOW);
    assert_ptr_equal(find_for(0, true), &common.job);
    assert_ptr_equal(find_for(0, true), &near.job);
    assert_null(find_for(0, true));
    scene_end();
}

static void a_node_comes_before_the_common_inbox_and_after_the_own_deque(void **state)
{
    (void)state;
    struct near_job high, normal, low, common, own = make_job(NULL);
    scene_begin();
    put(-1, &common, SK_LANE_NORMAL);
    put(1, &low, SK_LANE_LOW);
    put(1, &normal, SK_LANE_NORMAL);
    put(1, &high, SK_LANE_HIGH);
    assert_int_equal(sk_deque_push(&sched->workers[3]->deque, &own.job), 0);
    sched->workers[3]->tick = 0; /* the 64th look begins with an inbox */
    assert_ptr_equal(find_for(3, false), &high.job);
    assert_ptr_equal(find_for(3, false), &own.job);
    assert_ptr_equal(find_for(3, false), &normal.job);
    assert_ptr_equal(find_for(3, false), &low.job);
    assert_ptr_equal(find_for(3, false), &common.job);
    scene_end();
}

static void neither_inbox_starves(void **state)
{
    (void)state;
    static struct near_job own[NR_OWN];
    struct near_job near, common;
    bool saw_near = false, saw_common = false;
    scene_begin();
    for (int i = 0; i < NR_OWN; i++) {
        own[i] = make_job(NULL);
        assert_int_equal(sk_deque_push(&sched->workers[2]->deque, &own[i].job), 0);
    }
    put(1, &near, SK_LANE_NORMAL);
    put(-1, &common, SK_LANE_NORMAL);
    for (int i = 0; i < 128; i++) {
        const struct sk_job *job = find_for(2, false);
        saw_near |= job == &near.job;
        saw_common |= job == &common.job;
    }
    assert_true(saw_near && saw_common);
    while (find_for(2, true) != NULL)
        continue;
    scene_end();
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void a_shutdown_runs_what_waits_near(void **state)
{
    (void)state;
    struct skt_latch ran;
    struct near_job jobs[NR_JOBS];
    begin_on(TWO_NODES, NR_WORKERS);
    skt_latch_init(&ran);
    hold_all(NR_WORKERS);
    for (int i = 0; i < NR_JOBS; i++) {
        jobs[i] = make_job(&ran);
        assert_int_equal(sk_sched_submit_near(sched, &jobs[i].job, (enum sk_lane)(i % SK_NR_LANES),
                                              i / 3 % 2, false),
                         0);
    }
    sk_sched_shutdown(sched);
    let_go();
    end();
    assert_int_equal(skt_latch_count(&ran), NR_JOBS);
    holds_fini();
    skt_latch_fini(&ran);
}

static void what_waits_near_is_discarded_too(void **state)
{
    (void)state;
    struct near_job jobs[NR_JOBS];
    scene_begin();
    for (int i = 0; i < NR_JOBS; i++) {
        jobs[i] = make_job(NULL);
        assert_int_equal(sk_sched_submit_near(sched, &jobs[i].job, SK_LANE_NORMAL, i % 2, false),
                         0);
    }
    sk_sched_discard(sched, SKUA_CANCELLED);
    for (int i = 0; i < NR_JOBS; i++)
        assert_true(jobs[i].discarded);
    scene_end();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_sleeping_worker_of_the_node_runs_it),
        SKT_TEST(a_job_submitted_inside_runs_on_its_node_too),
        SKT_TEST(a_worker_of_another_node_runs_what_its_own_cannot),
        SKT_TEST(on_one_node_it_runs_anywhere),
        SKT_TEST(a_node_without_workers_is_no_place),
        SKT_TEST(others_look_there_last),
        SKT_TEST(a_node_comes_before_the_common_inbox_and_after_the_own_deque),
        SKT_TEST(neither_inbox_starves),
        SKT_TEST(a_shutdown_runs_what_waits_near),
        SKT_TEST(what_waits_near_is_discarded_too),
    };
    return skt_main(argc, argv, "near", tests, SKT_COUNT(tests));
}
