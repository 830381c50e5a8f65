/* The whole life of workers: sched/worker.c with idle.c, victim.c and the queues. Whatever is
 * submitted is run once, and no worker sleeps on while something waits for it.
 *
 * The workers leave when all jobs of the test are done. Loops, children, spares and guests are
 * stood in for by nothing. */
#include "sched/idle.h"

#include <limits.h>

#include "base/log.h"
#include "base/thread.h"
#include "numa/place.h"
#include "sched/spare.h"
#include "tests/model/jobs.h"

#define NR_WORKERS 3

static struct sk_sched sched;
static struct sk_worker workers[NR_WORKERS];
static struct sk_worker *worker_list[NR_WORKERS];
static struct sk_victims victims[NR_WORKERS];
static int victim_numbers[NR_WORKERS][NR_WORKERS];
static struct sk_place places[NR_WORKERS];
static struct sk_near nears[NR_WORKERS];
static struct sk_near *near_of_seat[NR_WORKERS];
static uint64_t seats[NR_WORKERS];
static char name[] = "model";
static SK_ATOMIC(int) nr_left; /* jobs not yet run */
static SK_ATOMIC(uint32_t) nr_met;
static uint32_t nr_to_meet;

/* --- what is stood in for --- */

void sk_thread_name_self(const char *thread_name)
{
    (void)thread_name;
}

int sk_place_pin_self(const struct sk_topo *topo, const struct sk_place *place)
{
    (void)topo;
    (void)place;
    return 0;
}

int sk_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
    (void)thread;
    (void)fn;
    (void)arg;
    model_fail("no thread is spent");
    return 0;
}

void sk_log(skua_log_level level, const char *format, ...)
{
    (void)level;
    (void)format;
    model_fail("there is nothing to say");
}

void sk_worker_block_begin(void)
{
    model_fail("there are no children");
}

void sk_worker_block_end(void)
{
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

void sk_circle_enter_one(struct sk_wait *wait, const struct sk_awaited *awaited)
{
    (void)wait;
    (void)awaited;
    model_fail("there are no children");
}

void sk_circle_leave(struct sk_wait *wait)
{
    (void)wait;
}

void sk_region_answer(struct sk_worker *worker)
{
    (void)worker;
    model_fail("there is no loop");
}

bool sk_region_help(struct sk_worker *worker, struct sk_region_chain *chain)
{
    (void)worker;
    (void)chain;
    return false;
}

bool sk_region_help_inside(struct sk_worker *worker, struct sk_split_span *span,
                           struct sk_region *outer)
{
    (void)worker;
    (void)span;
    (void)outer;
    return false;
}

bool sk_spare_rest(struct sk_worker *worker)
{
    (void)worker;
    return true;
}

bool sk_sched_here(const struct sk_sched *s)
{
    (void)s;
    return true;
}

void sk_sched_check_drained(struct sk_sched *s)
{
    (void)s;
}

/* --- jobs --- */

static void submit_outside(int i)
{
    sk_inbox_put(&sched.inbox, model_jobs_make(i), SK_LANE_NORMAL);
    sk_idle_notify(&sched);
}

static void submit_near(int i, int node)
{
    sk_inbox_put(&sched.near[node].inbox, model_jobs_make(i), SK_LANE_NORMAL);
    sk_idle_notify_near(&sched, node);
}

static void submit_inside(int i)
{
    model_check(sk_deque_push(&sk_worker_self()->deque, model_jobs_make(i)) == 0);
    sk_idle_notify(&sched);
}

static void done(void)
{
    if (sk_sub_sc(&nr_left, 1) == 1) {
        sk_store_sc(&sched.drained, true);
        sk_idle_notify_all(&sched);
    }
}

static void run_job(struct sk_job *job)
{
    model_jobs_take(job);
    done();
}

/* Job 1 submits jobs 2 and 3 from inside. */
static void run_parent(struct sk_job *job)
{
    model_jobs_take(job);
    submit_inside(2);
    submit_inside(3);
    done();
}

static void run_meeting(struct sk_job *job)
{
    model_jobs_take(job);
    sk_add_acq_rel(&nr_met, 1u);
    sk_futex_wake(&nr_met, INT_MAX);
    for (uint32_t met; (met = sk_load_acq(&nr_met)) < nr_to_meet;)
        sk_futex_wait(&nr_met, met, SK_NO_DEADLINE);
    done();
}

static const struct sk_job_class plain_job = { .run = run_job };
static const struct sk_job_class parent_job = { .run = run_parent };
static const struct sk_job_class meeting_job = { .run = run_meeting };

/* --- set-up --- */

MODEL_UNCHECKED static void set_up_worker(int i, int nr_workers)
{
    struct sk_worker *worker = &workers[i];
    *worker = (struct sk_worker){ .sched = &sched, .slot = i, .seat = i };
    model_check(sk_split_init(&worker->split) == 0);
    model_check(sk_deque_init(&worker->deque, 2) == 0);
    worker_list[i] = worker;
    victims[i] = (struct sk_victims){ .worker = victim_numbers[i], .nr = nr_workers - 1 };
    for (int victim = 0, at = 0; victim < nr_workers; victim++) {
        if (victim != i)
            victim_numbers[i][at++] = victim;
    }
    for (int tier = 0; tier < SK_NR_TIERS; tier++)
        victims[i].end[tier] = nr_workers - 1;
}

MODEL_UNCHECKED static void start(int nr_workers, int nr_jobs)
{
    model_jobs_reset();
    sched.nr_workers = nr_workers;
    sched.workers = worker_list;
    sched.places = places;
    sched.victims = victims;
    sched.name = name;
    sched.nr_near = 0;
    sk_inbox_init(&sched.inbox);
    sk_init(&sched.searching, 0);
    sk_init(&sched.wanted, false);
    sk_init(&sched.asleep[0], 0);
    sk_init(&sched.shutdown, false);
    sk_init(&sched.drained, false);
    sk_init(&sched.gate, 1);
    sk_init(&sched.alive, nr_workers);
    sk_init(&sched.nr_spares, 0);
    sk_init(&nr_left, nr_jobs);
    for (int i = 0; i < nr_workers; i++)
        set_up_worker(i, nr_workers);
    for (int i = 1; i < NR_JOBS; i++)
        model_jobs[i].job.class = &plain_job;
}

static void start_one_worker(void)
{
    start(1, 1);
}

static void start_one_worker_two_jobs(void)
{
    start(1, 2);
}

static void start_one_job(void)
{
    start(2, 1);
}

static void start_two_jobs(void)
{
    start(2, 2);
}

static void start_parent(void)
{
    start(2, 3);
    model_jobs[1].job.class = &parent_job;
}

/* The three jobs end together, so each needs a worker of its own. */
static void start_meeting(void)
{
    start(3, 3);
    for (int i = 1; i <= 3; i++)
        model_jobs[i].job.class = &meeting_job;
    sk_init(&nr_met, 0);
    nr_to_meet = 3;
}

/* A node for each of two workers. */
MODEL_UNCHECKED static void set_up_nodes(void)
{
    for (int i = 0; i < 2; i++) {
        seats[i] = UINT64_C(1) << i;
        nears[i] = (struct sk_near){ .nr_workers = 1, .seats = &seats[i] };
        sk_inbox_init(&nears[i].inbox);
        near_of_seat[i] = &nears[i];
    }
    sched.near = nears;
    sched.near_of_seat = near_of_seat;
    sched.nr_near = 2;
}

static void start_near(void)
{
    start(2, 1);
    set_up_nodes();
}

/* Both jobs are for one node and end together, so the other node's worker has to come. */
static void start_meeting_near(void)
{
    start(2, 2);
    set_up_nodes();
    for (int i = 1; i <= 2; i++)
        model_jobs[i].job.class = &meeting_job;
    sk_init(&nr_met, 0);
    nr_to_meet = 2;
}

static void close_all(int nr_jobs)
{
    model_jobs_check_all(nr_jobs);
    for (int i = 0; i < sched.nr_workers; i++) {
        model_check(model_newest(&workers[i].park.waiters) == 0);
        sk_deque_fini(&workers[i].deque);
        sk_split_fini(&workers[i].split);
    }
    model_check(model_newest(&sched.asleep[0]) == 0);
    model_check(model_newest(&sched.searching) == 0);
}

static void finish_1(void)
{
    close_all(1);
}

static void finish_2(void)
{
    close_all(2);
}

static void finish_3(void)
{
    close_all(3);
}

/* --- threads --- */

static void submit_1(void)
{
    submit_outside(1);
}

static void submit_2(void)
{
    submit_outside(2);
}

static void submit_1_2(void)
{
    submit_1();
    submit_2();
}

static void submit_near_1(void)
{
    submit_near(1, 1);
}

static void submit_near_1_2(void)
{
    submit_near_1();
    submit_near(2, 1);
}

static void worker_0(void)
{
    sk_worker_main(&workers[0]);
}

static void worker_1(void)
{
    sk_worker_main(&workers[1]);
}

static void worker_2(void)
{
    sk_worker_main(&workers[2]);
}

/* A worker at the end of a job that has submitted others. */
static void submit_and_work(void)
{
    submit_1_2();
    submit_outside(3);
    worker_0();
}

static const struct model_test tests[] = {
    { .name = "one_worker_one_job",
      .setup = start_one_worker,
      .thread = { submit_1, worker_0 },
      .finish = finish_1,
      .bound = 3,
      .max_steps = 3000 },
    { .name = "one_worker_two_jobs",
      .setup = start_one_worker_two_jobs,
      .thread = { submit_1_2, worker_0 },
      .finish = finish_2,
      .bound = 3,
      .max_steps = 3000 },
    { .name = "two_workers_one_job",
      .setup = start_one_job,
      .thread = { submit_1, worker_0, worker_1 },
      .finish = finish_1,
      .bound = 1,
      .max_steps = 3000 },
    { .name = "two_workers_two_jobs",
      .setup = start_two_jobs,
      .thread = { submit_1_2, worker_0, worker_1 },
      .finish = finish_2,
      .bound = 1,
      .max_steps = 3000 },
    { .name = "two_workers_share_a_deque",
      .setup = start_parent,
      .thread = { submit_1, worker_0, worker_1 },
      .finish = finish_3,
      .bound = 1,
      .max_steps = 3000 },
    { .name = "two_nodes_one_job_near_one",
      .setup = start_near,
      .thread = { submit_near_1, worker_0, worker_1 },
      .finish = finish_1,
      .bound = 1,
      .max_steps = 3000 },
    { .name = "two_nodes_share_the_jobs_near_one",
      .setup = start_meeting_near,
      .thread = { submit_near_1_2, worker_0, worker_1 },
      .finish = finish_2,
      .bound = 1,
      .max_steps = 10000,
      .random_runs = 50000 },
    { .name = "three_workers_take_one_job_each",
      .setup = start_meeting,
      .thread = { submit_and_work, worker_1, worker_2 },
      .finish = finish_3,
      .bound = 2,
      .max_steps = 50000,
      .random_runs = 200000 },
};

MODEL_MAIN("idle", tests)
