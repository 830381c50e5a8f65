/* Many more workers than processing units: starting, submitting from everywhere and ending, and a
 * machine that shrinks to one CPU meanwhile. */
#define _GNU_SOURCE
#include "sched/sched.h"

#include <dirent.h>
#include <sched.h>
#include <stdlib.h>

#include "base/time.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    NR_WORKERS = 64,
    NR_STARTS = 100,
    NR_CALLERS = 3,
    NR_JOBS = 2000,
    NR_GAPS = 20000,
    MAX_DEPTH = 4
};

static struct sk_sched *open_sched(void)
{
    struct sk_sched *sched = NULL;
    struct sk_sched_config config = { .nr_workers = NR_WORKERS };
    assert_int_equal(sk_sched_start(&sched, &config), 0);
    return sched;
}

static void close_sched(struct sk_sched *sched)
{
    sk_sched_shutdown(sched);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(10 * skt_slow_factor())));
    sk_sched_close(sched);
}

/* ---- jobs that submit jobs ------------------------------------------------------------------- */

struct branch {
    struct sk_job job;
    struct sk_sched *sched;
    int depth;
};

static SK_ATOMIC(int) nr_accepted, nr_ran, nr_failed;
static SK_THREAD_LOCAL uint32_t seed;
static SK_ATOMIC(uint32_t) nr_seeds;

static uint32_t random_below(uint32_t n)
{
    if (seed == 0)
        seed = sk_add_rlx(&nr_seeds, 1u) + 1;
    return skt_random(&seed) % n;
}

static void run_branch(struct sk_job *job);

static void refuse(struct sk_job *job, skua_status why)
{
    (void)job;
    (void)why;
    abort();
}

static const struct sk_job_class branch_class = { run_branch, refuse };

static void submit_branch(struct sk_sched *sched, int depth)
{
    struct branch *branch = malloc(sizeof *branch);
    if (branch == NULL)
        abort();
    *branch = (struct branch){ { &branch_class, NULL }, sched, depth };
    const enum sk_lane lane = (enum sk_lane)random_below(SK_NR_LANES);
    if (sk_sched_submit(sched, &branch->job, lane, depth > 0) == 0) {
        sk_add_rlx(&nr_accepted, 1);
    } else {
        sk_add_rlx(&nr_failed, 1);
        free(branch);
    }
}

static void run_branch(struct sk_job *job)
{
    struct branch *branch = SK_CONTAINER_OF(job, struct branch, job);
    for (uint32_t n = branch->depth < MAX_DEPTH ? random_below(3) : 0; n > 0; n--)
        submit_branch(branch->sched, branch->depth + 1);
    for (uint32_t n = random_below(8) == 0 ? random_below(2000) : 0; n > 0; n--)
        sk_pause();
    free(branch);
    sk_add_rlx(&nr_ran, 1);
}

struct caller {
    struct sk_sched *sched;
    int nr_jobs;
};

static void *submit_from_outside(void *arg)
{
    const struct caller *caller = arg;
    for (int i = 0; i < caller->nr_jobs; i++) {
        submit_branch(caller->sched, 0);
        if (random_below(64) == 0)
            sched_yield();
    }
    return NULL;
}

static void counts_begin(void)
{
    sk_store_rlx(&nr_accepted, 0);
    sk_store_rlx(&nr_ran, 0);
    sk_store_rlx(&nr_failed, 0);
}

static void submit_from_everywhere(struct sk_sched *sched, int nr_jobs)
{
    struct caller caller = { sched, nr_jobs };
    pthread_t callers[NR_CALLERS];
    for (int i = 0; i < NR_CALLERS; i++)
        callers[i] = skt_thread(submit_from_outside, &caller);
    for (int i = 0; i < NR_CALLERS; i++)
        skt_join(callers[i]);
}

static void all_jobs_run_however_often_it_starts_and_ends(void **state)
{
    (void)state;
    close_sched(open_sched()); /* a race detector adds a thread at the first start */
    const int before = skt_nr_threads();
    for (int round = 0; round < skt_rounds(NR_STARTS); round++) {
        counts_begin();
        struct sk_sched *sched = open_sched();
        if (round % 4 != 0)
            submit_from_everywhere(sched, round % 4 * NR_JOBS / 8);
        close_sched(sched);
        assert_int_equal(sk_load_rlx(&nr_failed), 0);
        assert_int_equal(sk_load_rlx(&nr_ran), sk_load_rlx(&nr_accepted));
    }
    assert_true(skt_threads_become(before));
}

/* ---- random gaps ----------------------------------------------------------------------------- */

static struct skt_latch ran;

static void run_signal(struct sk_job *job)
{
    (void)job;
    skt_latch_raise(&ran);
}

static const struct sk_job_class signal_class = { run_signal, refuse };

/* At 200 us the workers are asleep, at 20 us on their way. */
static void gap(void)
{
    const int64_t most = random_below(16) == 0 ? 200000 : 30000;
    const int64_t end = sk_now_ns() + (int64_t)random_below((uint32_t)most);
    while (sk_now_ns() < end)
        sk_pause();
}

static void no_job_waits_a_second_whatever_the_gap_before_it(void **state)
{
    (void)state;
    struct sk_sched *sched = open_sched();
    skt_latch_init(&ran);
    for (int i = 1; i <= skt_rounds(NR_GAPS); i++) {
        struct sk_job job = { &signal_class, NULL };
        assert_int_equal(sk_sched_submit(sched, &job, SK_LANE_NORMAL, false), 0);
        assert_true(skt_latch_wait_for(&ran, i, 1.0 * skt_slow_factor()));
        gap();
    }
    close_sched(sched);
    skt_latch_fini(&ran);
}

/* ---- one CPU --------------------------------------------------------------------------------- */

/* Gives every thread of the process the mask, as taskset -a does. */
static void set_mask_of_all(const cpu_set_t *mask)
{
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] != '.')
            (void)sched_setaffinity(atoi(e->d_name), sizeof *mask, mask); /* it may have ended */
    }
    closedir(dir);
}

static cpu_set_t one_of(const cpu_set_t *all)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, all)) {
            CPU_SET(cpu, &one);
            break;
        }
    }
    return one;
}

static bool count_units(void *ctx, uint32_t first, uint32_t end)
{
    sk_add_rlx((SK_ATOMIC(uint32_t) *)ctx, end - first);
    return true;
}

static uint32_t loop_units(struct sk_sched *sched, enum sk_region_mode mode)
{
    SK_ATOMIC(uint32_t) nr_units;
    sk_init(&nr_units, 0);
    const struct sk_region_work work = { count_units, &nr_units, 10000, mode };
    assert_true(sk_region_run(sched, &work));
    return sk_load_rlx(&nr_units);
}

static void work_goes_on_when_the_process_is_left_one_cpu(void **state)
{
    (void)state;
    cpu_set_t all, one;
    assert_int_equal(sched_getaffinity(0, sizeof all, &all), 0);
    one = one_of(&all);
    counts_begin();
    struct sk_sched *sched = open_sched();
    struct caller caller = { sched, skt_rounds(20 * NR_JOBS) };
    pthread_t outside = skt_thread(submit_from_outside, &caller);
    for (int i = 0; i < skt_rounds(40); i++) {
        set_mask_of_all(i % 2 == 0 ? &one : &all);
        for (int mode = SK_REGION_PACED; mode <= SK_REGION_BLOCKS; mode++) {
            if (loop_units(sched, (enum sk_region_mode)mode) != 10000)
                sk_add_rlx(&nr_failed, 1);
        }
    }
    set_mask_of_all(&one);
    skt_join(outside);
    close_sched(sched);
    set_mask_of_all(&all);
    assert_int_equal(sk_load_rlx(&nr_failed), 0);
    assert_int_equal(sk_load_rlx(&nr_ran), sk_load_rlx(&nr_accepted));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(all_jobs_run_however_often_it_starts_and_ends),
        SKT_TEST(no_job_waits_a_second_whatever_the_gap_before_it),
        SKT_TEST(work_goes_on_when_the_process_is_left_one_cpu),
    };
    return skt_main(argc, argv, "sched", tests, SKT_COUNT(tests));
}
