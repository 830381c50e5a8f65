/* The scheduler: every accepted job is run or discarded once, and it ends when all have. */
#include "sched/sched.h"

#include <errno.h>
#include <limits.h>

#include "base/time.h"
#include "tests/support/harness.h"
#include "tests/support/latch.h"

enum {
    NR_JOBS = 2000,
    NR_THREADS = 4
};

static struct sk_sched *open_sched(int nr_workers)
{
    struct sk_sched *sched = NULL;
    assert_int_equal(sk_sched_start(&sched, &(struct sk_sched_config){ .nr_workers = nr_workers }),
                     0);
    assert_int_equal(sched->nr_workers, nr_workers);
    return sched;
}

static void close_sched(struct sk_sched *sched)
{
    sk_sched_shutdown(sched);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(10 * skt_slow_factor())));
    sk_sched_close(sched);
}

/* ---- jobs that count ------------------------------------------------------------------------- */

struct counted {
    struct sk_job job;
    struct sk_sched *sched;
    SK_ATOMIC(int) runs, discards;
    SK_ATOMIC(int) why;
    struct counted *inside; /* to be submitted by this one, or NULL */
    bool inner;
    int answer; /* what that submit returned */
};

static void run_counted(struct sk_job *job)
{
    struct counted *c = SK_CONTAINER_OF(job, struct counted, job);
    if (c->inside != NULL)
        c->answer = sk_sched_submit(c->sched, &c->inside->job, SK_LANE_NORMAL, c->inner);
    sk_add_acq_rel(&c->runs, 1);
}

static void discard_counted(struct sk_job *job, skua_status why)
{
    struct counted *c = SK_CONTAINER_OF(job, struct counted, job);
    sk_store_rel(&c->why, (int)why);
    sk_add_acq_rel(&c->discards, 1);
}

static const struct sk_job_class counted_class = { run_counted, discard_counted };

static void counted_init(struct counted *c, struct sk_sched *sched)
{
    *c = (struct counted){ .sched = sched };
    c->job.class = &counted_class;
}

/* A job that holds its worker until the test lets it go. */
struct held {
    struct counted counted; /* what it does when it was let go */
    struct skt_latch began, open;
};

static void run_held(struct sk_job *job)
{
    struct held *h = SK_CONTAINER_OF(job, struct held, counted.job);
    skt_latch_raise(&h->began);
    skt_latch_wait(&h->open, 1);
    run_counted(job);
}

static const struct sk_job_class held_class = { run_held, discard_counted };

/* Holds one worker; returns when it is held. */
static void hold(struct held *h, struct sk_sched *sched)
{
    counted_init(&h->counted, sched);
    h->counted.job.class = &held_class;
    skt_latch_init(&h->began);
    skt_latch_init(&h->open);
    assert_int_equal(sk_sched_submit(sched, &h->counted.job, SK_LANE_NORMAL, false), 0);
    assert_true(skt_latch_wait_for(&h->began, 1, 10 * skt_slow_factor()));
}

static void held_fini(struct held *h)
{
    skt_latch_fini(&h->began);
    skt_latch_fini(&h->open);
}

/* ---- starting and ending --------------------------------------------------------------------- */

static void starts_and_ends_again_and_again(void **state)
{
    close_sched(
        open_sched(skt_workers(state))); /* a race detector adds a thread at the first start */
    const int before = skt_nr_threads();
    for (int round = 0; round < 50; round++) {
        struct sk_sched *sched = open_sched(skt_workers(state));
        struct counted c;
        counted_init(&c, sched);
        if (round % 2 == 0)
            assert_int_equal(sk_sched_submit(sched, &c.job, SK_LANE_NORMAL, false), 0);
        close_sched(sched);
        assert_int_equal(sk_load_acq(&c.runs), round % 2 == 0);
    }
    assert_true(skt_threads_become(before));
}

static void shutdown_may_come_twice_and_wait_after_the_end(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    sk_sched_shutdown(sched);
    sk_sched_shutdown(sched);
    assert_true(sk_sched_wait(sched, SK_NO_DEADLINE));
    assert_true(sk_sched_wait(sched, 0));
    sk_sched_join(sched);
    close_sched(sched);
}

static void wait_gives_up_at_its_deadline(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    struct held h;
    hold(&h, sched);
    sk_sched_shutdown(sched);
    assert_false(sk_sched_wait(sched, 0));
    const double begin = skt_now();
    assert_false(sk_sched_wait(sched, sk_deadline_ns(0.02)));
    assert_true(skt_now() - begin > 0.019);
    skt_latch_raise(&h.open);
    close_sched(sched);
    assert_int_equal(sk_load_acq(&h.counted.runs), 1);
    held_fini(&h);
}

/* ---- each job once --------------------------------------------------------------------------- */

static struct counted jobs[NR_THREADS][NR_JOBS], inside[NR_THREADS][NR_JOBS];

static void *submit_many(void *arg)
{
    struct counted *mine = arg;
    for (int i = 0; i < NR_JOBS; i++) {
        const enum sk_lane lane = (enum sk_lane)(i % SK_NR_LANES);
        if (sk_sched_submit(mine[i].sched, &mine[i].job, lane, false) != 0)
            return arg;
    }
    return NULL;
}

static void each_job_runs_once(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    pthread_t threads[NR_THREADS];
    for (int t = 0; t < NR_THREADS; t++) {
        for (int i = 0; i < NR_JOBS; i++) {
            counted_init(&inside[t][i], sched);
            counted_init(&jobs[t][i], sched);
            jobs[t][i].inside = &inside[t][i];
            jobs[t][i].inner = true;
        }
        threads[t] = skt_thread(submit_many, jobs[t]);
    }
    for (int t = 0; t < NR_THREADS; t++) {
        void *failed = NULL;
        assert_int_equal(pthread_join(threads[t], &failed), 0);
        assert_null(failed);
    }
    close_sched(sched);
    for (int t = 0; t < NR_THREADS; t++) {
        for (int i = 0; i < NR_JOBS; i++) {
            assert_int_equal(sk_load_acq(&jobs[t][i].runs), 1);
            assert_int_equal(jobs[t][i].answer, 0);
            assert_int_equal(sk_load_acq(&inside[t][i].runs), 1);
        }
    }
}

/* ---- after the shutdown ---------------------------------------------------------------------- */

static void a_submit_after_shutdown_is_refused_and_the_job_untouched(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    struct held h;
    struct counted late;
    hold(&h, sched);
    counted_init(&late, sched);
    sk_sched_shutdown(sched);
    for (int lane = 0; lane < SK_NR_LANES; lane++)
        assert_int_equal(sk_sched_submit(sched, &late.job, (enum sk_lane)lane, false), -ESHUTDOWN);
    skt_latch_raise(&h.open);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(10 * skt_slow_factor())));
    assert_int_equal(sk_sched_submit(sched, &late.job, SK_LANE_NORMAL, false), -ESHUTDOWN);
    sk_sched_close(sched);
    assert_int_equal(sk_load_acq(&late.runs) + sk_load_acq(&late.discards), 0);
    held_fini(&h);
}

/* What a job that runs through a shutdown is told about a submit of its own. */
static void submit_from_inside(int nr_workers, bool inner, int answer)
{
    struct sk_sched *sched = open_sched(nr_workers);
    struct held h;
    struct counted late;
    hold(&h, sched);
    counted_init(&late, sched);
    h.counted.inside = &late;
    h.counted.inner = inner;
    sk_sched_shutdown(sched);
    skt_latch_raise(&h.open);
    assert_true(sk_sched_wait(sched, sk_deadline_ns(10 * skt_slow_factor())));
    sk_sched_close(sched);
    assert_int_equal(h.counted.answer, answer);
    assert_int_equal(sk_load_acq(&late.runs), answer == 0);
    assert_int_equal(sk_load_acq(&late.discards), 0);
    held_fini(&h);
}

static void after_shutdown_a_running_job_may_submit_its_own_parts_only(void **state)
{
    submit_from_inside(skt_workers(state), true, 0);
    submit_from_inside(skt_workers(state), false, -ESHUTDOWN);
}

/* ---- discarding ------------------------------------------------------------------------------ */

static void discard_takes_what_has_not_begun_and_nothing_else(void **state)
{
    const int n = skt_workers(state);
    struct sk_sched *sched = open_sched(n);
    struct held h[8];
    for (int i = 0; i < n; i++)
        hold(&h[i], sched);
    for (int i = 0; i < NR_JOBS; i++) {
        const enum sk_lane lane = (enum sk_lane)(i % SK_NR_LANES);
        counted_init(&jobs[0][i], sched);
        assert_int_equal(sk_sched_submit(sched, &jobs[0][i].job, lane, false), 0);
    }
    sk_sched_discard(sched, SKUA_CANCELLED);
    for (int i = 0; i < NR_JOBS; i++) {
        assert_int_equal(sk_load_acq(&jobs[0][i].discards), 1);
        assert_int_equal(sk_load_acq(&jobs[0][i].why), SKUA_CANCELLED);
    }
    for (int i = 0; i < n; i++)
        skt_latch_raise(&h[i].open);
    close_sched(sched);
    for (int i = 0; i < NR_JOBS; i++)
        assert_int_equal(sk_load_acq(&jobs[0][i].runs), 0);
    for (int i = 0; i < n; i++) {
        assert_int_equal(sk_load_acq(&h[i].counted.runs), 1);
        assert_int_equal(sk_load_acq(&h[i].counted.discards), 0);
        held_fini(&h[i]);
    }
}

static void each_job_is_run_or_discarded_when_both_are_at_it(void **state)
{
    struct sk_sched *sched = open_sched(skt_workers(state));
    for (int i = 0; i < NR_JOBS; i++) {
        counted_init(&jobs[0][i], sched);
        assert_int_equal(sk_sched_submit(sched, &jobs[0][i].job, SK_LANE_NORMAL, false), 0);
        if (i % 50 == 0)
            sk_sched_discard(sched, SKUA_CANCELLED);
    }
    sk_sched_shutdown(sched);
    sk_sched_discard(sched, SKUA_CANCELLED);
    close_sched(sched);
    for (int i = 0; i < NR_JOBS; i++)
        assert_int_equal(sk_load_acq(&jobs[0][i].runs) + sk_load_acq(&jobs[0][i].discards), 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(starts_and_ends_again_and_again),
        SKT_EACH(shutdown_may_come_twice_and_wait_after_the_end),
        SKT_EACH(wait_gives_up_at_its_deadline),
        SKT_EACH(each_job_runs_once),
        SKT_EACH(a_submit_after_shutdown_is_refused_and_the_job_untouched),
        SKT_EACH(after_shutdown_a_running_job_may_submit_its_own_parts_only),
        SKT_EACH(discard_takes_what_has_not_begun_and_nothing_else),
        SKT_EACH(each_job_is_run_or_discarded_when_both_are_at_it),
    };
    return skt_main(argc, argv, "sched", tests, SKT_COUNT(tests));
}
