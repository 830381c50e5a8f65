/* link: -Wl,--wrap=sk_victim_find,--wrap=sk_idle_search_end,--wrap=sk_idle_prepare */
/* Sleeping and waking: no job waits while a worker sleeps. The linker puts this file between
 * worker.c and idle.c, so that a test can hold a worker at one step of the protocol. */
#include "sched/idle.h"

#include "sched/region.h"
#include "sched/victim.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

#include <sched.h>
#include <stdlib.h>

enum {
    MAX_WORKERS = 8
};

/* ---- jobs ------------------------------------------------------------------------------------ */

/* A job that holds the worker of a seat until the test lets it go. */
struct hold {
    struct sk_job job;
    struct skt_latch open;
};

struct crew {
    struct sk_sched *sched;
    struct hold hold[MAX_WORKERS];
    SK_ATOMIC(int) held_by[MAX_WORKERS]; /* the hold that is in a seat */
    struct skt_latch began;
    struct sk_guest guest;
};

static struct crew crew;

static void run_hold(struct sk_job *job)
{
    struct hold *hold = SK_CONTAINER_OF(job, struct hold, job);
    sk_store_rel(&crew.held_by[sk_worker_number()], (int)(hold - crew.hold));
    skt_latch_raise(&crew.began);
    skt_latch_wait(&hold->open, 1);
}

static void refuse(struct sk_job *job, skua_status why)
{
    (void)job;
    (void)why;
    abort();
}

static const struct sk_job_class hold_class = { run_hold, refuse };

static void let_go(int seat)
{
    skt_latch_raise(&crew.hold[sk_load_acq(&crew.held_by[seat])].open);
}

/* Whether the condition comes true in a few seconds. */
static bool becomes(bool (*is)(const void *arg), const void *arg)
{
    const double end = skt_now() + 10 * skt_slow_factor();
    while (!is(arg)) {
        if (skt_now() > end)
            return false;
        sched_yield();
    }
    return true;
}

static bool is_asleep(const void *worker)
{
    const struct sk_worker *w = worker;
    return (sk_load_sc(&w->sched->asleep[0]) >> w->slot & 1) != 0 &&
           sk_load_sc(&w->sched->searching) == 0;
}

/* n workers; the caller is a guest in seat 0, and a job holds each of the others. */
static void crew_begin(int n)
{
    struct sk_sched_config config = { .nr_workers = n, .bind = SKUA_BIND_NONE };
    assert_int_equal(sk_sched_start(&crew.sched, &config), 0);
    skt_latch_init(&crew.began);
    assert_true(sk_guest_enter(&crew.guest, crew.sched));
    assert_int_equal(crew.guest.seat, 0);
    /* Asleep in a lent seat it takes no job; in a search it might still take one. */
    assert_true(becomes(is_asleep, crew.sched->workers[0]));
    for (int i = 1; i < n; i++) {
        crew.hold[i].job = (struct sk_job){ &hold_class, NULL };
        skt_latch_init(&crew.hold[i].open);
        assert_int_equal(sk_sched_submit(crew.sched, &crew.hold[i].job, SK_LANE_NORMAL, false), 0);
    }
    assert_true(skt_latch_wait_for(&crew.began, n - 1, 10 * skt_slow_factor()));
}

static void crew_end(void)
{
    const int n = crew.sched->nr_workers;
    sk_guest_leave(&crew.guest);
    for (int i = 1; i < n; i++)
        skt_latch_raise(&crew.hold[i].open);
    sk_sched_shutdown(crew.sched);
    assert_true(sk_sched_wait(crew.sched, sk_deadline_ns(10 * skt_slow_factor())));
    sk_sched_close(crew.sched);
    for (int i = 1; i < n; i++)
        skt_latch_fini(&crew.hold[i].open);
    skt_latch_fini(&crew.began);
}

/* The job that somebody has to run. */
static struct skt_latch ran;

static void run_urgent(struct sk_job *job)
{
    (void)job;
    skt_latch_raise(&ran);
}

static const struct sk_job_class urgent_class = { run_urgent, refuse };
static struct sk_job urgent = { &urgent_class, NULL };

/* ---- the seam -------------------------------------------------------------------------------- */

static struct {
    SK_ATOMIC(int) find_of;     /* the seat whose look in vain is held; 0: none */
    SK_ATOMIC(int) last_end_of; /* the seat before whose end of search the job is submitted; 0 */
    int nr_ends;                /* ends of search before that; the worker's own */
    SK_ATOMIC(int) nr_seen;     /* ends of search since the seat was let go */
    struct skt_latch held, open;
} seam;

bool __real_sk_victim_find(struct sk_worker *worker, struct sk_find *find, bool thorough);
bool __wrap_sk_victim_find(struct sk_worker *worker, struct sk_find *find, bool thorough);
void __real_sk_idle_search_end(struct sk_sched *sched, bool found);
void __wrap_sk_idle_search_end(struct sk_sched *sched, bool found);
uint32_t __real_sk_idle_prepare(struct sk_worker *worker);
uint32_t __wrap_sk_idle_prepare(struct sk_worker *worker);

bool __wrap_sk_victim_find(struct sk_worker *worker, struct sk_find *find, bool thorough)
{
    const bool found = __real_sk_victim_find(worker, find, thorough);
    if (!found && !thorough && sk_load_sc(&worker->sched->searching) != 0 &&
        sk_load_acq(&seam.find_of) == worker->seat && worker->seat != 0) {
        sk_store_rel(&seam.find_of, 0);
        skt_latch_raise(&seam.held);
        skt_latch_wait(&seam.open, 1);
    }
    return found;
}

void __wrap_sk_idle_search_end(struct sk_sched *sched, bool found)
{
    const int seat = sk_worker_number();
    if (sk_load_acq(&seam.last_end_of) == seat && seat != 0 &&
        sk_add_acq_rel(&seam.nr_seen, 1) + 1 == seam.nr_ends) {
        skt_latch_raise(&seam.held);
        skt_latch_wait(&seam.open, 1);
    }
    __real_sk_idle_search_end(sched, found);
}

static bool has_mail(const void *worker)
{
    return sk_load_sc(&((const struct sk_worker *)worker)->mail) != 0;
}

uint32_t __wrap_sk_idle_prepare(struct sk_worker *worker)
{
    if (sk_load_acq(&seam.last_end_of) == worker->seat && worker->seat != 0 && seam.nr_ends != 0) {
        sk_store_rel(&seam.last_end_of, 0);
        skt_latch_raise(&seam.held);
        becomes(has_mail, worker);
    }
    return __real_sk_idle_prepare(worker);
}

static void seam_begin(void)
{
    sk_store_rel(&seam.find_of, 0);
    sk_store_rel(&seam.last_end_of, 0);
    sk_store_rel(&seam.nr_seen, 0);
    seam.nr_ends = 0;
    skt_latch_init(&seam.held);
    skt_latch_init(&seam.open);
    skt_latch_init(&ran);
}

static void seam_end(void)
{
    skt_latch_fini(&seam.held);
    skt_latch_fini(&seam.open);
    skt_latch_fini(&ran);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static SK_ATOMIC(int) nr_in_time;

/* A unit that is over when the job ran. */
static bool wait_for_job(void *ctx, uint32_t first, uint32_t end)
{
    (void)ctx;
    (void)first;
    (void)end;
    sk_add_rlx(&nr_in_time, skt_latch_wait_for(&ran, 1, 2 * skt_slow_factor()));
    return true;
}

static bool submit_and_wait_for_job(void *ctx, uint32_t first, uint32_t end)
{
    if (sk_worker_self() == NULL) {
        sk_sched_submit(crew.sched, &urgent, SK_LANE_NORMAL, false);
        skt_latch_raise(&seam.open);
    }
    return wait_for_job(ctx, first, end);
}

/* 6 seats: 0 the guest's, 2 and 5 busy with the only units in their blocks, 3 and 4 asleep, 1 in a
 * search. It has looked for jobs in vain when one is submitted and a loop begins, which it joins:
 * then somebody else must be woken for the job. */
static void a_searcher_that_joins_a_loop_leaves_no_job_behind(void **state)
{
    (void)state;
    seam_begin();
    crew_begin(6);
    sk_store_rel(&nr_in_time, 0);
    let_go(3);
    let_go(4);
    assert_true(becomes(is_asleep, crew.sched->workers[3]));
    assert_true(becomes(is_asleep, crew.sched->workers[4]));
    sk_store_rel(&seam.find_of, 1);
    let_go(1);
    assert_true(skt_latch_wait_for(&seam.held, 1, 10 * skt_slow_factor()));
    const struct sk_region_work work = { submit_and_wait_for_job, NULL, 2, SK_REGION_UNITS };
    assert_true(sk_region_run(crew.sched, &work));
    const int in_time = sk_load_acq(&nr_in_time);
    assert_true(skt_latch_wait_for(&ran, 1, 10 * skt_slow_factor()));
    crew_end();
    seam_end();
    assert_int_equal(in_time, 2);
}

/* 4 seats: 0 the guest's, 3 busy, 2 asleep, 1 at the end of its search. A job is submitted while it
 * still counts as searching; before it is asleep a loop comes by mail, which it answers. */
static void a_searcher_that_gets_mail_leaves_no_job_behind(void **state)
{
    (void)state;
    seam_begin();
    crew_begin(4);
    crew.sched->spin = (struct sk_spin_limits){ 0, 0 };
    sk_store_rel(&nr_in_time, 0);
    sk_store_rel(&seam.last_end_of, 2); /* counts the ends of search on the way to sleep */
    let_go(2);
    assert_true(becomes(is_asleep, crew.sched->workers[2]));
    seam.nr_ends = sk_load_acq(&seam.nr_seen);
    sk_store_rel(&seam.nr_seen, 0);
    sk_store_rel(&seam.last_end_of, 1);
    let_go(1);
    assert_true(skt_latch_wait_for(&seam.held, 1, 10 * skt_slow_factor()));
    assert_int_equal(sk_load_sc(&crew.sched->searching), 1);
    assert_int_equal(sk_sched_submit(crew.sched, &urgent, SK_LANE_LOW, false), 0);
    skt_latch_raise(&seam.open);
    assert_true(skt_latch_wait_for(&seam.held, 2, 10 * skt_slow_factor()));
    const struct sk_region_work work = { wait_for_job, NULL, 2, SK_REGION_UNITS };
    assert_true(sk_region_run(crew.sched, &work));
    const int in_time = sk_load_acq(&nr_in_time);
    assert_true(skt_latch_wait_for(&ran, 1, 10 * skt_slow_factor()));
    crew_end();
    seam_end();
    assert_int_equal(in_time, 2);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_searcher_that_joins_a_loop_leaves_no_job_behind),
        SKT_TEST(a_searcher_that_gets_mail_leaves_no_job_behind),
    };
    return skt_main(argc, argv, "idle", tests, SKT_COUNT(tests));
}
