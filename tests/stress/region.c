/* Regions: random loops inside loops, of all three modes, begun by four threads at once on eight
 * workers. Each unit of each loop is done once, and every loop ends. */
#include "sched/region.h"

#include <stdlib.h>

#include "base/time.h"
#include "sched/sched.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    NR_CALLERS = 4,
    NR_WORKERS = 8,
    NR_LOOPS = 1500, /* outermost ones of each caller */
    MAX_UNITS = 64,
    MAX_DEPTH = 3
};

static struct sk_sched *sched;
static SK_THREAD_LOCAL uint32_t seed;
static SK_ATOMIC(int) nr_wrong, nr_refused;
static SK_ATOMIC(uint64_t) nr_units;
static SK_ATOMIC(uint32_t) nr_seeds;
static struct skt_latch ended;

/* One loop, in the frame of who began it. */
struct loop {
    int depth;
    SK_ATOMIC(uint8_t) done[MAX_UNITS];
};

static uint32_t random_below(uint32_t n)
{
    if (seed == 0)
        seed = sk_add_rlx(&nr_seeds, 1u) + 1;
    return skt_random(&seed) % n;
}

static void random_work(void)
{
    for (uint32_t n = random_below(16) == 0 ? random_below(500) : 0; n > 0; n--)
        sk_pause();
}

static void run_random_loop(int depth);

static bool do_units(void *ctx, uint32_t first, uint32_t end)
{
    struct loop *loop = ctx;
    for (uint32_t i = first; i < end; i++) {
        sk_add_rlx(&loop->done[i], 1);
        random_work();
        if (loop->depth < MAX_DEPTH && random_below(16) == 0)
            run_random_loop(loop->depth + 1);
    }
    return true;
}

static void run_random_loop(int depth)
{
    static const enum sk_region_mode modes[] = { SK_REGION_PACED, SK_REGION_UNITS,
                                                 SK_REGION_BLOCKS };
    struct loop loop = { .depth = depth };
    const uint32_t n = random_below(MAX_UNITS + 1);
    const struct sk_region_work work = { do_units, &loop, n, modes[random_below(3)] };
    if (!sk_region_run(sched, &work))
        sk_add_rlx(&nr_refused, 1);
    for (uint32_t i = 0; i < MAX_UNITS; i++) {
        if (sk_load_rlx(&loop.done[i]) != (i < n))
            sk_add_rlx(&nr_wrong, 1);
    }
    sk_add_rlx(&nr_units, (uint64_t)n);
}

static void *run_loops(void *arg)
{
    for (int i = 0; i < skt_rounds(NR_LOOPS); i++)
        run_random_loop(0);
    skt_latch_raise(&ended);
    return arg;
}

static void run_loops_as_job(struct sk_job *job)
{
    run_loops(job);
}

static void refuse(struct sk_job *job, skua_status why)
{
    (void)job;
    (void)why;
    abort();
}

static const struct sk_job_class loops_class = { run_loops_as_job, refuse };

/* So many threads outside and so many jobs inside begin loops at once. */
static void loops_by(int nr_callers, int nr_jobs)
{
    pthread_t callers[NR_CALLERS];
    struct sk_job jobs[NR_CALLERS];
    struct sk_sched_config config = { .nr_workers = NR_WORKERS };
    skt_latch_init(&ended);
    sk_store_rlx(&nr_units, 0);
    assert_int_equal(sk_sched_start(&sched, &config), 0);
    for (int i = 0; i < nr_callers; i++)
        callers[i] = skt_thread(run_loops, NULL);
    for (int i = 0; i < nr_jobs; i++) {
        jobs[i] = (struct sk_job){ &loops_class, NULL };
        assert_int_equal(sk_sched_submit(sched, &jobs[i], SK_LANE_NORMAL, false), 0);
    }
    assert_true(skt_latch_wait_for(&ended, nr_callers + nr_jobs, 90));
    for (int i = 0; i < nr_callers; i++)
        skt_join(callers[i]);
    sk_sched_shutdown(sched);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(10 * skt_slow_factor())));
    sk_sched_close(sched);
    skt_latch_fini(&ended);
    assert_int_equal(sk_load_rlx(&nr_wrong), 0);
    assert_int_equal(sk_load_rlx(&nr_refused), 0);
    assert_true(sk_load_rlx(&nr_units) > 0);
}

static void each_unit_of_nested_loops_is_done_once(void **state)
{
    (void)state;
    loops_by(NR_CALLERS, 0);
}

static void loops_begun_by_jobs_and_by_guests_mix(void **state)
{
    (void)state;
    loops_by(2, 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(each_unit_of_nested_loops_is_done_once),
        SKT_TEST(loops_begun_by_jobs_and_by_guests_mix),
    };
    return skt_main(argc, argv, "region", tests, SKT_COUNT(tests));
}
