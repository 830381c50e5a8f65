/* Looking for work: in which order, and that nothing is overlooked. All workers are held by jobs,
 * so the test may act in their place. */
#define _GNU_SOURCE
#include "sched/victim.h"

#include <stdlib.h>

#include "base/time.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    NR_WORKERS = 8,
    NR_JOBS = 100
};

static struct {
    struct sk_sched *sched;
    struct sk_job holds[NR_WORKERS];
    struct skt_latch began, open;
} scene;

static void run_hold(struct sk_job *job)
{
    (void)job;
    skt_latch_raise(&scene.began);
    skt_latch_wait(&scene.open, 1);
}

static void run_never(struct sk_job *job)
{
    (void)job;
    abort();
}

static void refuse(struct sk_job *job, skua_status why)
{
    (void)job;
    (void)why;
    abort();
}

static const struct sk_job_class hold_class = { run_hold, refuse };
static const struct sk_job_class never_class = { run_never, refuse };

/* Eight held workers on a machine of two packages with four cores each, two to an L3. */
static void scene_begin(const char *machine)
{
    assert_int_equal(setenv("HWLOC_SYNTHETIC", machine, 1), 0);
    const int error =
        sk_sched_start(&scene.sched, &(struct sk_sched_config){ .nr_workers = NR_WORKERS });
    unsetenv("HWLOC_SYNTHETIC");
    assert_int_equal(error, 0);
    assert_int_equal(scene.sched->topo.nr_pus, NR_WORKERS);
    skt_latch_init(&scene.began);
    skt_latch_init(&scene.open);
    for (int i = 0; i < NR_WORKERS; i++) {
        scene.holds[i] = (struct sk_job){ &hold_class, NULL };
        assert_int_equal(sk_sched_submit(scene.sched, &scene.holds[i], SK_LANE_NORMAL, false), 0);
    }
    assert_true(skt_latch_wait_for(&scene.began, NR_WORKERS, 10 * skt_slow_factor()));
}

static void scene_end(void)
{
    skt_latch_raise(&scene.open);
    sk_sched_shutdown(scene.sched);
    assert_true(sk_sched_wait(scene.sched, sk_deadline_ns(10 * skt_slow_factor())));
    sk_sched_close(scene.sched);
    skt_latch_fini(&scene.began);
    skt_latch_fini(&scene.open);
}

static void push(int seat, struct sk_job *job)
{
    *job = (struct sk_job){ &never_class, NULL };
    assert_int_equal(sk_deque_push(&scene.sched->workers[seat]->deque, job), 0);
}

static struct sk_job *find_for(int seat)
{
    struct sk_find find;
    if (!sk_victim_find(scene.sched->workers[seat], &find, true)) {
        assert_false(find.contended);
        return NULL;
    }
    assert_null(find.child);
    return find.job;
}

/* ---- near ones first ------------------------------------------------------------------------- */

/* Every other worker has a job; what is the distance of those that `thief` robs, in order? */
static void robs_in_order_of(int thief, int (*distance)(int a, int b))
{
    struct sk_job jobs[NR_WORKERS];
    int last = 0;
    for (int seat = 0; seat < NR_WORKERS; seat++) {
        if (seat != thief)
            push(seat, &jobs[seat]);
    }
    for (int i = 0; i < NR_WORKERS - 1; i++) {
        const struct sk_job *job = find_for(thief);
        assert_non_null(job);
        const int from = distance(thief, (int)(job - jobs));
        assert_true(from >= last);
        last = from;
    }
    assert_null(find_for(thief));
}

static int by_l3(int a, int b)
{
    return a / 2 != b / 2;
}

static int by_l3_and_package(int a, int b)
{
    return (a / 2 != b / 2) + (a / 4 != b / 4);
}

static void robs_who_shares_its_cache_first(void **state)
{
    (void)state;
    scene_begin("pack:2 l3:2 core:2 pu:1");
    for (int thief = 0; thief < NR_WORKERS; thief++)
        robs_in_order_of(thief, by_l3);
    assert_int_equal(sk_load_rlx(&scene.sched->workers[0]->stats.steals[SK_TIER_L3]), 1);
    scene_end();
}

static void robs_its_own_node_before_another(void **state)
{
    (void)state;
    scene_begin("pack:2 numa:1 l3:2 core:2 pu:1");
    for (int thief = 0; thief < NR_WORKERS; thief++)
        robs_in_order_of(thief, by_l3_and_package);
    const struct sk_stats *stats = &scene.sched->workers[0]->stats;
    assert_int_equal(sk_load_rlx(&stats->steals[SK_TIER_L3]), 1);
    assert_int_equal(sk_load_rlx(&stats->steals[SK_TIER_NODE]), 2);
    scene_end();
}

/* ---- the order of places --------------------------------------------------------------------- */

static void urgent_then_own_then_inbox_then_others(void **state)
{
    (void)state;
    struct sk_job high = { &never_class, NULL }, normal = high, low = high, own, older, theirs;
    scene_begin("pack:2 l3:2 core:2 pu:1");
    push(1, &theirs);
    push(0, &older);
    push(0, &own);
    sk_inbox_put(&scene.sched->inbox, &low, SK_LANE_LOW);
    sk_inbox_put(&scene.sched->inbox, &normal, SK_LANE_NORMAL);
    sk_inbox_put(&scene.sched->inbox, &high, SK_LANE_HIGH);
    scene.sched->workers[0]->tick = 0; /* the 64th look begins with the inbox */
    assert_ptr_equal(find_for(0), &high);
    assert_ptr_equal(find_for(0), &own);
    assert_ptr_equal(find_for(0), &older);
    assert_ptr_equal(find_for(0), &normal);
    assert_ptr_equal(find_for(0), &low);
    assert_ptr_equal(find_for(0), &theirs);
    assert_null(find_for(0));
    scene_end();
}

static void a_worker_that_feeds_itself_does_not_starve_the_inbox(void **state)
{
    (void)state;
    static struct sk_job own[NR_JOBS];
    struct sk_job waiting = { &never_class, NULL };
    int looks = 0;
    scene_begin("pack:2 l3:2 core:2 pu:1");
    for (int i = 0; i < NR_JOBS; i++)
        push(0, &own[i]);
    sk_inbox_put(&scene.sched->inbox, &waiting, SK_LANE_NORMAL);
    for (const struct sk_job *job = NULL; job != &waiting && looks < NR_JOBS; looks++)
        job = find_for(0);
    assert_in_range(looks, 1, 64);
    while (find_for(0) != NULL)
        continue;
    scene_end();
}

/* ---- nothing is overlooked ------------------------------------------------------------------- */

static void a_thorough_look_finds_the_only_job_wherever_it_is(void **state)
{
    (void)state;
    struct sk_job job;
    scene_begin("pack:2 l3:2 core:2 pu:1");
    for (int thief = 0; thief < NR_WORKERS; thief++) {
        for (int seat = 0; seat < NR_WORKERS; seat++) {
            push(seat, &job);
            assert_ptr_equal(find_for(thief), &job);
            assert_null(find_for(thief));
        }
    }
    scene_end();
}

static void take_any_empties_every_place(void **state)
{
    (void)state;
    struct sk_job inbox[SK_NR_LANES], deques[NR_WORKERS];
    bool seen[SK_NR_LANES + NR_WORKERS] = { false };
    const struct sk_job *job;
    int nr = 0;
    scene_begin("pack:2 l3:2 core:2 pu:1");
    for (int i = 0; i < SK_NR_LANES; i++) {
        inbox[i] = (struct sk_job){ &never_class, NULL };
        sk_inbox_put(&scene.sched->inbox, &inbox[i], (enum sk_lane)i);
    }
    for (int i = 0; i < NR_WORKERS; i++)
        push(i, &deques[i]);
    for (; (job = sk_victim_take_any(scene.sched)) != NULL; nr++) {
        for (int i = 0; i < SK_NR_LANES; i++)
            seen[i] |= job == &inbox[i];
        for (int i = 0; i < NR_WORKERS; i++)
            seen[SK_NR_LANES + i] |= job == &deques[i];
    }
    assert_int_equal(nr, SK_NR_LANES + NR_WORKERS);
    for (int i = 0; i < SK_NR_LANES + NR_WORKERS; i++)
        assert_true(seen[i]);
    scene_end();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(robs_who_shares_its_cache_first),
        SKT_TEST(robs_its_own_node_before_another),
        SKT_TEST(urgent_then_own_then_inbox_then_others),
        SKT_TEST(a_worker_that_feeds_itself_does_not_starve_the_inbox),
        SKT_TEST(a_thorough_look_finds_the_only_job_wherever_it_is),
        SKT_TEST(take_any_empties_every_place),
    };
    return skt_main(argc, argv, "victim", tests, SKT_COUNT(tests));
}
