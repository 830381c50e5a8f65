/* Workers: as many run at once as there are, none sleeps while a job lies in a queue, and what
 * their init may do. */
#include "sched/worker.h"

#include <stdlib.h>

#include "base/time.h"
#include "sched/sched.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    MAX_WORKERS = 8,
    NR_ROUNDS = 1000
};

static double long_enough(void)
{
    return 10 * skt_slow_factor();
}

static struct sk_sched *open_sched(const struct sk_sched_config *config)
{
    struct sk_sched *sched = NULL;
    assert_int_equal(sk_sched_start(&sched, config), 0);
    assert_int_equal(sched->nr_workers, config->nr_workers);
    return sched;
}

static void close_sched(struct sk_sched *sched)
{
    sk_sched_shutdown(sched);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(long_enough())));
    sk_sched_close(sched);
}

static void refuse(struct sk_job *job, skua_status why)
{
    (void)job;
    (void)why;
    abort();
}

/* ---- as many at once as there are workers ---------------------------------------------------- */

/* The jobs of a round meet: each waits until all of them run. */
static struct {
    struct sk_job jobs[MAX_WORKERS], seed;
    struct sk_sched *sched;
    int n;
    struct skt_latch met, ended; /* risen once a job and round */
    int target;                  /* of met in this round */
    SK_ATOMIC(int) nr_late;
    SK_ATOMIC(int) nr_by_seat[MAX_WORKERS]; /* jobs of this round that ran in each seat */
} party;

static void meet(void)
{
    const int target = party.target;
    const int seat = sk_worker_number();
    if (seat >= 0 && seat < party.n)
        sk_add_acq_rel(&party.nr_by_seat[seat], 1);
    skt_latch_raise(&party.met);
    if (!skt_latch_wait_for(&party.met, target, long_enough()))
        sk_add_acq_rel(&party.nr_late, 1);
    skt_latch_raise(&party.ended);
}

static void run_meet(struct sk_job *job)
{
    (void)job;
    meet();
}

static const struct sk_job_class meet_class = { run_meet, refuse };

static void submit_all(int first)
{
    for (int i = first; i < party.n; i++) {
        party.jobs[i] = (struct sk_job){ &meet_class, NULL };
        if (sk_sched_submit(party.sched, &party.jobs[i], SK_LANE_NORMAL, false) != 0)
            abort();
    }
}

static void run_seed(struct sk_job *job)
{
    (void)job;
    submit_all(1);
    meet();
}

static const struct sk_job_class seed_class = { run_seed, refuse };

/* Between two rounds the workers are at any point on their way to sleep. */
static void idle(uint32_t *seed)
{
    const int64_t end = sk_now_ns() + skt_random(seed) % 64 * 1000;
    while (skt_random(seed) % 2 != 0 && sk_now_ns() < end)
        sk_pause();
}

static void party_begin(int n)
{
    party.sched = open_sched(&(struct sk_sched_config){ .nr_workers = n });
    party.n = n;
    party.target = 0;
    sk_store_rel(&party.nr_late, 0);
    skt_latch_init(&party.met);
    skt_latch_init(&party.ended);
}

static void party_end(void)
{
    close_sched(party.sched);
    skt_latch_fini(&party.met);
    skt_latch_fini(&party.ended);
}

static void party_round(bool from_inside)
{
    party.target += party.n;
    for (int seat = 0; seat < party.n; seat++)
        sk_store_rel(&party.nr_by_seat[seat], 0);
    if (from_inside) {
        party.seed = (struct sk_job){ &seed_class, NULL };
        assert_int_equal(sk_sched_submit(party.sched, &party.seed, SK_LANE_NORMAL, false), 0);
    } else {
        submit_all(0);
    }
    assert_true(skt_latch_wait_for(&party.ended, party.target, 2 * long_enough()));
    assert_int_equal(sk_load_acq(&party.nr_late), 0);
    for (int seat = 0; seat < party.n; seat++)
        assert_int_equal(sk_load_acq(&party.nr_by_seat[seat]), 1);
}

static void jobs_from_outside_run_on_all_workers_at_once(void **state)
{
    uint32_t seed = 1;
    party_begin(skt_workers(state));
    for (int round = 0; round < skt_rounds(NR_ROUNDS); round++) {
        party_round(false);
        idle(&seed);
    }
    party_end();
}

static void jobs_from_a_job_run_on_all_workers_at_once(void **state)
{
    uint32_t seed = 2;
    party_begin(skt_workers(state));
    for (int round = 0; round < skt_rounds(NR_ROUNDS); round++) {
        party_round(true);
        idle(&seed);
    }
    party_end();
}

/* ---- init ------------------------------------------------------------------------------------ */

static struct {
    struct skt_latch met, ended;
    SK_ATOMIC(int) nr_units, nr_wrong;
    SK_ATOMIC(int) nr_inits_of[MAX_WORKERS];
} init;

static void init_begin(void)
{
    skt_latch_init(&init.met);
    skt_latch_init(&init.ended);
    sk_store_rel(&init.nr_units, 0);
    sk_store_rel(&init.nr_wrong, 0);
    for (int i = 0; i < MAX_WORKERS; i++)
        sk_store_rel(&init.nr_inits_of[i], 0);
}

static void init_end(void)
{
    skt_latch_fini(&init.met);
    skt_latch_fini(&init.ended);
}

static int count_units(size_t begin, size_t end, void *ctx)
{
    (void)ctx;
    sk_add_rlx(&init.nr_units, (int)(end - begin));
    return 0;
}

/* Both workers are in their init before one begins a loop with a block for each of them. */
static int init_with_loop(void *arg)
{
    const skua_loop loop = { .schedule = SKUA_STATIC };
    const int *nr_inits = arg;
    skt_latch_raise(&init.met);
    skt_latch_wait(&init.met, *nr_inits);
    if (skua_for(skua_default(), 0, 100, count_units, NULL, &loop) != SKUA_OK)
        sk_add_acq_rel(&init.nr_wrong, 1);
    skt_latch_raise(&init.ended);
    return 0;
}

static void static_loops_in_the_inits_of_all_workers_end(void **state)
{
    for (int round = 0; round < skt_rounds(20); round++) {
        int n = skt_workers(state);
        init_begin();
        skua_executor *ex = skua_thread_pool(
            &(skua_options){ .workers = n, .init = init_with_loop, .init_arg = &n });
        assert_non_null(ex);
        assert_true(skt_latch_wait_for(&init.ended, n, long_enough()));
        skua_close(ex);
        /* A spare that stood in for a worker has its init too. */
        assert_int_equal(sk_load_acq(&init.nr_units), 100 * skt_latch_count(&init.ended));
        assert_int_equal(sk_load_acq(&init.nr_wrong), 0);
        init_end();
    }
}

static bool count_range(void *ctx, uint32_t first, uint32_t end)
{
    return count_units(first, end, ctx) == 0;
}

/* The same below the public functions: on the scheduler that is starting. */
static int init_with_region(void *arg)
{
    const struct sk_region_work work = { count_range, NULL, 100, SK_REGION_BLOCKS };
    const int *nr_inits = arg;
    skt_latch_raise(&init.met);
    skt_latch_wait(&init.met, *nr_inits);
    if (!sk_region_run(sk_worker_sched(), &work))
        sk_add_acq_rel(&init.nr_wrong, 1);
    sk_add_acq_rel(&init.nr_inits_of[sk_worker_number()], 1);
    skt_latch_raise(&init.ended);
    return 0;
}

static void init_runs_in_each_worker_and_may_run_loops(void **state)
{
    int n = skt_workers(state);
    init_begin();
    struct sk_sched *sched = open_sched(
        &(struct sk_sched_config){ .nr_workers = n, .init = init_with_region, .init_arg = &n });
    assert_true(skt_latch_wait_for(&init.ended, n, long_enough()));
    sk_sched_shutdown(sched);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(long_enough())));
    const int nr_threads = n + sk_load_acq(&sched->nr_spares);
    sk_sched_close(sched);
    for (int seat = 0; seat < n; seat++)
        assert_true(sk_load_acq(&init.nr_inits_of[seat]) >= 1);
    assert_int_equal(skt_latch_count(&init.ended), nr_threads);
    assert_int_equal(sk_load_acq(&init.nr_units), 100 * nr_threads);
    assert_int_equal(sk_load_acq(&init.nr_wrong), 0);
    init_end();
}

static int init_fails(void *arg)
{
    (void)arg;
    skt_latch_raise(&init.ended);
    return 1;
}

static struct {
    SK_ATOMIC(int) nr_discards, nr_runs;
} broken;

static void run_broken(struct sk_job *job)
{
    (void)job;
    sk_add_acq_rel(&broken.nr_runs, 1);
}

static void discard_broken(struct sk_job *job, skua_status why)
{
    (void)job;
    sk_add_acq_rel(&broken.nr_discards, why == SKUA_BROKEN_THREAD_POOL);
}

static const struct sk_job_class broken_class = { run_broken, discard_broken };

static void an_init_that_fails_breaks_the_scheduler(void **state)
{
    struct sk_job jobs[20];
    const int n = skt_workers(state);
    init_begin();
    sk_store_rel(&broken.nr_discards, 0);
    sk_store_rel(&broken.nr_runs, 0);
    struct sk_sched *sched =
        open_sched(&(struct sk_sched_config){ .nr_workers = n, .init = init_fails });
    for (size_t i = 0; i < SKT_COUNT(jobs); i++) {
        jobs[i] = (struct sk_job){ &broken_class, NULL };
        assert_int_equal(sk_sched_submit(sched, &jobs[i], SK_LANE_NORMAL, false), 0);
    }
    close_sched(sched);
    assert_int_equal(skt_latch_count(&init.ended), n);
    assert_int_equal(sk_load_acq(&broken.nr_runs), 0);
    assert_int_equal(sk_load_acq(&broken.nr_discards), SKT_COUNT(jobs));
    init_end();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(jobs_from_outside_run_on_all_workers_at_once),
        SKT_EACH(jobs_from_a_job_run_on_all_workers_at_once),
        SKT_EACH(static_loops_in_the_inits_of_all_workers_end),
        SKT_EACH(init_runs_in_each_worker_and_may_run_loops),
        SKT_EACH(an_init_that_fails_breaks_the_scheduler),
    };
    return skt_main(argc, argv, "worker", tests, SKT_COUNT(tests));
}
