/* link: -Wl,--wrap=pthread_create */
/* Spares: a worker that waits is stood in for, and spares are reused. */
#include "sched/spare.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>

#include "base/time.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

static SK_ATOMIC(bool) no_more_threads;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    return sk_load_acq(&no_more_threads) ? EAGAIN : __real_pthread_create(thread, attr, fn, arg);
}

static double long_enough(void)
{
    return 10 * skt_slow_factor();
}

static struct sk_sched *open_sched(int nr_workers)
{
    struct sk_sched *sched = NULL;
    assert_int_equal(sk_sched_start(&sched, &(struct sk_sched_config){ .nr_workers = nr_workers }),
                     0);
    return sched;
}

static void close_sched(struct sk_sched *sched)
{
    sk_sched_shutdown(sched);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(long_enough())));
    sk_sched_close(sched);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

enum {
    MAX_JOBS = 8,
    MAX_THREADS = 2 * MAX_JOBS /* workers and spares */
};

/* A job that keeps its thread until go was risen so often. */
struct hold {
    struct sk_job job;
    int until;
};

/* Jobs that wait, and one that lets them go. */
static struct {
    struct sk_job waits[MAX_JOBS], lets_go;
    struct hold holds[MAX_THREADS];
    struct skt_latch began, go, ended;
    int round; /* go is risen so often to end this round's waits */
    SK_ATOMIC(int) nr_late;
    SK_ATOMIC(int) nr_held;      /* holds that have begun */
    SK_ATOMIC(int) seat_of_last; /* that lets_go ran in */
} scene;

static void run_wait(struct sk_job *job)
{
    (void)job;
    const int round = scene.round;
    sk_worker_block_begin();
    skt_latch_raise(&scene.began);
    if (!skt_latch_wait_for(&scene.go, round, long_enough()))
        sk_add_acq_rel(&scene.nr_late, 1);
    sk_worker_block_end();
    skt_latch_raise(&scene.ended);
}

static void run_let_go(struct sk_job *job)
{
    (void)job;
    sk_store_rel(&scene.seat_of_last, sk_worker_number());
    skt_latch_raise(&scene.go);
}

static void run_hold(struct sk_job *job)
{
    sk_add_acq_rel(&scene.nr_held, 1);
    skt_latch_wait(&scene.go, SK_CONTAINER_OF(job, struct hold, job)->until);
    skt_latch_raise(&scene.ended);
}

static void refuse(struct sk_job *job, skua_status why)
{
    (void)job;
    (void)why;
    abort();
}

static const struct sk_job_class wait_class = { run_wait, refuse };
static const struct sk_job_class let_go_class = { run_let_go, refuse };
static const struct sk_job_class hold_class = { run_hold, refuse };

static void scene_begin(void)
{
    skt_latch_init(&scene.began);
    skt_latch_init(&scene.go);
    skt_latch_init(&scene.ended);
    scene.round = 0;
    sk_store_rel(&scene.nr_late, 0);
}

static void scene_end(void)
{
    skt_latch_fini(&scene.began);
    skt_latch_fini(&scene.go);
    skt_latch_fini(&scene.ended);
}

/* n jobs that wait at once. */
static void begin_waits(struct sk_sched *sched, int n)
{
    const int before = skt_latch_count(&scene.began);
    scene.round++;
    for (int i = 0; i < n; i++) {
        scene.waits[i] = (struct sk_job){ &wait_class, NULL };
        assert_int_equal(sk_sched_submit(sched, &scene.waits[i], SK_LANE_NORMAL, false), 0);
    }
    assert_true(skt_latch_wait_for(&scene.began, before + n, long_enough()));
}

static void submit_let_go(struct sk_sched *sched)
{
    scene.lets_go = (struct sk_job){ &let_go_class, NULL };
    assert_int_equal(sk_sched_submit(sched, &scene.lets_go, SK_LANE_NORMAL, false), 0);
}

/* n jobs wait for one that only a spare can run, if n is the number of workers. */
static void wait_round(struct sk_sched *sched, int n)
{
    const int before = skt_latch_count(&scene.ended);
    begin_waits(sched, n);
    submit_let_go(sched);
    assert_true(skt_latch_wait_for(&scene.ended, before + n, long_enough()));
    assert_int_equal(sk_load_acq(&scene.nr_late), 0);
}

/* As many jobs as there can be threads: no spare on duty sleeps on through that, so each of them
 * goes off duty before it looks for work, or after the job that it found. */
static void wait_until_off_duty(struct sk_sched *sched)
{
    const int before = skt_latch_count(&scene.ended), target = skt_latch_count(&scene.go) + 1;
    const double limit = skt_now() + long_enough();
    sk_store_rel(&scene.nr_held, 0);
    for (int i = 0; i < MAX_THREADS; i++) {
        scene.holds[i] = (struct hold){ { &hold_class, NULL }, target };
        assert_int_equal(sk_sched_submit(sched, &scene.holds[i].job, SK_LANE_NORMAL, false), 0);
    }
    while (sk_load_acq(&scene.nr_held) != sched->nr_workers + sk_load_acq(&sched->nr_standing_in)) {
        assert_true(skt_now() < limit);
        sched_yield();
    }
    scene.round++;
    skt_latch_raise(&scene.go);
    assert_true(skt_latch_wait_for(&scene.ended, before + MAX_THREADS, long_enough()));
    while (sk_load_acq(&sched->nr_standing_in) != 0) {
        assert_true(skt_now() < limit);
        sched_yield();
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void a_worker_that_waits_is_stood_in_for(void **state)
{
    const int n = skt_workers(state);
    struct sk_sched *sched = open_sched(n);
    scene_begin();
    wait_round(sched, n);
    assert_in_range(sk_load_acq(&sched->nr_spares), 1, n);
    assert_in_range(sk_load_acq(&scene.seat_of_last), 0, n - 1);
    close_sched(sched);
    scene_end();
}

static void spares_go_off_duty_when_the_sleepers_are_back(void **state)
{
    const int n = skt_workers(state);
    struct sk_sched *sched = open_sched(n);
    scene_begin();
    for (int round = 0; round < skt_rounds(20); round++) {
        wait_round(sched, n);
        wait_until_off_duty(sched);
        assert_int_equal(sk_load_acq(&sched->nr_blocked), 0);
    }
    assert_in_range(sk_load_acq(&sched->nr_spares), 1, n);
    close_sched(sched);
    scene_end();
}

static void a_thousand_waits_need_no_more_spares_than_wait_at_once(void **state)
{
    const int n = skt_workers(state);
    struct sk_sched *sched = open_sched(n);
    scene_begin();
    for (int round = 0; round < skt_rounds(1000) / n + 1; round++)
        wait_round(sched, n);
    assert_in_range(sk_load_acq(&sched->nr_spares), 1, n);
    close_sched(sched);
    scene_end();
}

/* Jobs that wait run on spares too: 8 wait in one seat. */
static void a_spare_that_waits_is_stood_in_for(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    scene_begin();
    for (int round = 0; round < skt_rounds(20); round++)
        wait_round(sched, MAX_JOBS);
    assert_in_range(sk_load_acq(&sched->nr_spares), MAX_JOBS - skt_workers(state) + 1, MAX_JOBS);
    wait_until_off_duty(sched);
    close_sched(sched);
    scene_end();
}

static void without_a_thread_the_job_waits_for_the_sleeper(void **state)
{
    const int n = skt_workers(state);
    struct sk_sched *sched = open_sched(n);
    scene_begin();
    for (int round = 1; round <= 3; round++) {
        const int before = skt_latch_count(&scene.ended);
        sk_store_rel(&no_more_threads, true);
        begin_waits(sched, n);
        submit_let_go(sched);
        assert_false(skt_latch_wait_for(&scene.ended, before + 1, 0.02));
        assert_int_equal(sk_load_acq(&sched->nr_standing_in), 0);
        skt_latch_raise(&scene.go);
        assert_true(skt_latch_wait_for(&scene.ended, before + n, long_enough()));
        scene.round++;
        assert_true(skt_latch_wait_for(&scene.go, scene.round, long_enough()));
        sk_store_rel(&no_more_threads, false);
        assert_int_equal(sk_load_acq(&sched->nr_spares), 1);
    }
    sk_store_rel(&no_more_threads, true);
    close_sched(sched);
    sk_store_rel(&no_more_threads, false);
    scene_end();
}

static void when_threads_can_be_had_again_a_spare_gets_its_own(void **state)
{
    const int n = skt_workers(state);
    struct sk_sched *sched = open_sched(n);
    scene_begin();
    sk_store_rel(&no_more_threads, true);
    begin_waits(sched, n);
    sk_store_rel(&no_more_threads, false);
    skt_latch_raise(&scene.go);
    assert_true(skt_latch_wait_for(&scene.ended, n, long_enough()));
    for (int round = 0; round < 3; round++)
        wait_round(sched, n);
    assert_in_range(sk_load_acq(&sched->nr_spares), 1, n);
    close_sched(sched);
    scene_end();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_worker_that_waits_is_stood_in_for),
        SKT_EACH(spares_go_off_duty_when_the_sleepers_are_back),
        SKT_EACH(a_thousand_waits_need_no_more_spares_than_wait_at_once),
        SKT_AT(a_spare_that_waits_is_stood_in_for, 1),
        SKT_AT(a_spare_that_waits_is_stood_in_for, 2),
        SKT_EACH(without_a_thread_the_job_waits_for_the_sleeper),
        SKT_EACH(when_threads_can_be_had_again_a_spare_gets_its_own),
    };
    return skt_main(argc, argv, "spare", tests, SKT_COUNT(tests));
}
