/* Whatever a task waits in, its worker's core is free for other tasks meanwhile, and those run on
 * another thread. Each test makes running the awaited task inline impossible, because that would
 * hide a missing spare worker: what is waited for has begun elsewhere, or the wait has a
 * timeout. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <errno.h>

#include "tests/support/gate.h"

enum verb {
    RESULT,
    TIMED_RESULT,
    EXCEPTION,
    WAIT_FIRST,
    WAIT_EXCEPTION,
    WAIT_ALL,
    NEXT,
    MAP,
    CALL,
    SUBMIT,
    SHUTDOWN, /* last: it ends the other pool */
    NR_VERBS
};

/* Another pool whose only worker is held at a gate, and the tasks that wait for it. */
struct event {
    enum verb verb;
    skua_executor *other;
    struct skt_gate gate;
    skua_future *f;
    struct skt_latch waiting; /* risen by each task that is about to wait */
    struct skt_latch opened;
};

static void event_open(struct event *e, enum verb verb)
{
    *e = (struct event){ .verb = verb };
    const size_t limit = verb == SUBMIT ? 1 : 0;
    e->other = skua_thread_pool(&(skua_options){ .workers = 1, .max_pending = limit });
    assert_non_null(e->other);
    skt_gate_init(&e->gate);
    skt_latch_init(&e->waiting);
    skt_latch_init(&e->opened);
    e->f = skt_gate_submit(&e->gate, e->other);
    if (limit != 0)
        skua_release(skua_submit(e->other, skt_nothing, NULL));
}

static void event_close(struct event *e)
{
    skua_release(e->f);
    skua_close(e->other);
    skt_gate_fini(&e->gate);
    skt_latch_fini(&e->waiting);
    skt_latch_fini(&e->opened);
}

static int call_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static skua_status submit_and_release(skua_executor *ex)
{
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    const skua_error *e = skua_done(f) ? skua_exception(f, 0) : NULL;
    const skua_status status = e != NULL ? e->status : SKUA_OK;
    skua_release(f);
    return status;
}

static skua_status iterate(skua_future *f)
{
    skua_iter *it = skua_as_completed(&f, 1, SKUA_FOREVER);
    while (skua_next(it, NULL) != NULL)
        continue;
    return skua_iter_close(it);
}

static skua_status wait_in(struct event *e)
{
    skua_future *const fs[] = { e->f, NULL, e->f };
    switch (e->verb) {
    case RESULT:
        return skua_result(e->f, NULL, 0, SKUA_FOREVER);
    case TIMED_RESULT:
        return skua_result(e->f, NULL, 0, 100);
    case EXCEPTION:
        return skua_exception(e->f, SKUA_FOREVER) == NULL ? SKUA_OK : SKUA_FAILED;
    case NEXT:
        return iterate(e->f);
    case MAP:
        return skua_map(e->other, skt_nothing, NULL, 0, NULL, 0, 3, NULL, SKUA_FOREVER);
    case CALL:
        return (skua_status)skua_call(e->other, call_nothing, NULL);
    case SUBMIT:
        return submit_and_release(e->other);
    case SHUTDOWN:
        return skua_shutdown(e->other, SKUA_WAIT, SKUA_FOREVER);
    default:
        return skua_wait(fs, 3, (skua_when)(e->verb - WAIT_FIRST), SKUA_FOREVER);
    }
}

static int wait_for_event(void *arg, void *result)
{
    struct event *e = arg;
    (void)result;
    skt_latch_raise(&e->waiting);
    return wait_in(e);
}

static int open_event(void *arg, void *result)
{
    struct event *e = arg;
    (void)result;
    skt_gate_open(&e->gate);
    skt_latch_raise(&e->opened);
    return 0;
}

/* All workers of a pool wait for the event; only one more task of it can bring the event about. */
static void check_verb(skua_executor *ex, enum verb verb)
{
    const int workers = skua_workers(ex);
    struct event e;
    event_open(&e, verb);
    skua_future *fs[8];
    for (int i = 0; i < workers; i++)
        fs[i] = skua_submit(ex, wait_for_event, &e);
    skt_latch_wait(&e.waiting, workers);
    skua_future *opener = skua_submit(ex, open_event, &e);
    const bool opened = skt_latch_wait_for(&e.opened, 1, skt_wake_limit());
    skt_gate_open(&e.gate);
    for (int i = 0; i < workers; i++) {
        const skua_status status = skua_result(fs[i], NULL, 0, SKUA_FOREVER);
        if (status != SKUA_OK)
            fail_msg("verb %d: %s", (int)verb, skua_strstatus(status));
        skua_release(fs[i]);
    }
    assert_status(skua_result(opener, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(opener);
    if (!opened)
        fail_msg("verb %d kept its core", (int)verb);
    event_close(&e);
}

static void whatever_a_task_waits_in_another_runs_meanwhile(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int verb = 0; verb < NR_VERBS; verb++)
        check_verb(ex, (enum verb)verb);
    skua_close(ex);
}

static int sleep_in_vain(void *arg, void *result)
{
    struct event *e = arg;
    (void)result;
    skt_latch_raise(&e->waiting);
    return skua_result(e->f, NULL, 0, SKUA_FOREVER) == SKUA_CANCELLED ? 0 : 1;
}

static void cancel_wakes_a_task_that_waits(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct event e;
    event_open(&e, RESULT);
    skua_release(e.f);
    e.f = skua_submit(e.other, skt_nothing, NULL);
    skua_future *fs[8];
    for (int i = 0; i < skt_workers(state); i++)
        fs[i] = skua_submit(ex, sleep_in_vain, &e);
    skt_latch_wait(&e.waiting, skt_workers(state));
    skt_pause(0.01); /* not synchronisation: lets the waits go to sleep, the harder case */
    const double start = skt_now();
    assert_true(skua_cancel(e.f));
    for (int i = 0; i < skt_workers(state); i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    assert_true(skt_now() - start < skt_wake_limit());
    skt_gate_open(&e.gate);
    skua_close(ex);
    event_close(&e);
}

/* ---- own children ---------------------------------------------------------------------------- */

/* Waits for children of its own pool in ways that cannot run the last of them inline. */
static int wait_for_own_children(void *arg, void *result)
{
    const double limit = 100;
    skua_executor *ex = arg;
    skua_future *fs[3];
    int wrong = 0;
    (void)result;
    for (int way = 0; way < 6; way++) {
        for (int i = 0; i < 3; i++)
            fs[i] = skua_submit(ex, i == 1 ? skt_fails : skt_nothing, NULL);
        if (way < 3)
            wrong += skua_wait(fs, 3, (skua_when)way, way == 1 ? SKUA_FOREVER : limit) != SKUA_OK;
        else if (way == 3)
            wrong += skua_result(fs[0], NULL, 0, limit) != SKUA_OK;
        else if (way == 4)
            wrong += skua_exception(fs[1], limit)->status != SKUA_FAILED;
        skua_iter *it = skua_as_completed(fs, 3, limit);
        for (int i = 0; i < 3; i++)
            wrong += skua_next(it, NULL) == NULL;
        wrong += skua_iter_close(it) != SKUA_OK;
        for (int i = 0; i < 3; i++) {
            wrong += (skua_exception(fs[i], 0) != NULL) != (i == 1);
            skua_release(fs[i]);
        }
    }
    return wrong;
}

static void a_timed_wait_for_own_children_lets_them_run(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *fs[16];
    for (int i = 0; i < 2 * skt_workers(state); i++)
        fs[i] = skua_submit(ex, wait_for_own_children, ex);
    for (int i = 0; i < 2 * skt_workers(state); i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

struct siblings {
    struct event e;
    skua_executor *ex;
    pthread_mutex_t mutex;
    pthread_t waiter, sibling;
    skua_future *child;
    struct skt_latch began;
};

static int want_mutex(void *arg, void *result)
{
    struct siblings *s = arg;
    (void)result;
    s->sibling = pthread_self();
    skt_latch_raise(&s->began);
    const int rc = pthread_mutex_lock(&s->mutex);
    if (rc == 0)
        pthread_mutex_unlock(&s->mutex);
    return rc;
}

/* Its child lies in its own deque, in front of its eyes, while it waits for something else. */
static int wait_beside_a_child(void *arg, void *result)
{
    struct siblings *s = arg;
    s->waiter = pthread_self();
    pthread_mutex_lock(&s->mutex);
    s->child = skua_submit(s->ex, want_mutex, s);
    const int rc = wait_for_event(&s->e, result);
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

static void a_task_that_waits_does_not_run_its_other_children_meanwhile(void **state)
{
    for (int verb = 0; verb < NR_VERBS; verb++) {
        struct siblings s = { .ex = skt_pool(state),
                              .mutex = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP };
        struct skt_gate gate;
        skt_gate_init(&gate);
        skt_gate_hold(&gate, s.ex, skt_workers(state) - 1);
        event_open(&s.e, (enum verb)verb);
        skt_latch_init(&s.began);
        skua_future *f = skua_submit(s.ex, wait_beside_a_child, &s);
        const bool began = skt_latch_wait_for(&s.began, 1, skt_wake_limit());
        skt_gate_open(&s.e.gate);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_status(skua_result(s.child, NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_true(began);
        assert_false(pthread_equal(s.waiter, s.sibling));
        skua_release(f);
        skua_release(s.child);
        skt_gate_open(&gate);
        skua_close(s.ex);
        event_close(&s.e);
        skt_gate_fini(&gate);
        skt_latch_fini(&s.began);
    }
}

/* ---- the spare worker itself ----------------------------------------------------------------- */

static _Thread_local int nr_init_here;

struct start {
    SK_ATOMIC(int) calls;
    int fail_from; /* from this call on it fails; 0: never */
};

static int init_worker(void *arg)
{
    struct start *s = arg;
    nr_init_here++;
    const int call = 1 + sk_add_acq_rel(&s->calls, 1);
    return s->fail_from != 0 && call >= s->fail_from ? 33 : 0;
}

struct sight {
    int nr_init;
    int worker;
    skua_executor *pool;
};

static int look_around(void *arg, void *result)
{
    (void)arg;
    *(struct sight *)result = (struct sight){ nr_init_here, skua_worker(), skua_default() };
    return 0;
}

struct crowd {
    struct event e;
    struct skt_gate all;
};

/* Waits only when every worker has a task: by then each is through its own init, and the first
 * spare, which comes with the first wait, finds no task left to run but the test's. */
static int meet_and_wait(void *arg, void *result)
{
    struct crowd *c = arg;
    skt_gate_task(&c->all, NULL);
    return wait_for_event(&c->e, result);
}

/* Submits a task while all workers of a pool wait, so that only a spare can run it. */
static skua_status ask_a_spare(struct start *start, int workers, struct sight *sight)
{
    skua_executor *ex = skua_thread_pool(
        &(skua_options){ .workers = workers, .init = init_worker, .init_arg = start });
    assert_non_null(ex);
    struct crowd c;
    event_open(&c.e, RESULT);
    skt_gate_init(&c.all);
    skua_future *fs[8];
    for (int i = 0; i < workers; i++)
        fs[i] = skua_submit(ex, meet_and_wait, &c);
    skt_latch_wait(&c.all.began, workers);
    skt_gate_open(&c.all);
    skt_latch_wait(&c.e.waiting, workers);
    const skua_task task = { .fn = look_around, .result_size = sizeof *sight };
    skua_future *f = skua_submit_task(ex, &task);
    const skua_status status = skua_result(f, sight, sizeof *sight, 10 * skt_wake_limit());
    if (status == SKUA_OK)
        assert_ptr_equal(sight->pool, ex);
    skua_release(f);
    skt_gate_open(&c.e.gate);
    for (int i = 0; i < workers; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    skua_close(ex);
    event_close(&c.e);
    skt_gate_fini(&c.all);
    return status;
}

static void init_runs_once_in_a_spare_before_its_first_task(void **state)
{
    struct start start = { .fail_from = 0 };
    struct sight sight = { 0 };
    assert_status(ask_a_spare(&start, skt_workers(state), &sight), SKUA_OK);
    assert_int_equal(sight.nr_init, 1);
    assert_in_range(sight.worker, 0, skt_workers(state) - 1);
    assert_true(sk_load_acq(&start.calls) > skt_workers(state));
}

static void a_failed_init_in_a_spare_breaks_the_pool_and_no_running_task(void **state)
{
    struct start start = { .fail_from = skt_workers(state) + 1 };
    struct sight sight = { 0 };
    assert_status(ask_a_spare(&start, skt_workers(state), &sight), SKUA_BROKEN_THREAD_POOL);
    assert_int_equal(sight.nr_init, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(whatever_a_task_waits_in_another_runs_meanwhile),
        SKT_EACH(cancel_wakes_a_task_that_waits),
        SKT_EACH(a_timed_wait_for_own_children_lets_them_run),
        SKT_EACH(a_task_that_waits_does_not_run_its_other_children_meanwhile),
        SKT_EACH(init_runs_once_in_a_spare_before_its_first_task),
        SKT_EACH(a_failed_init_in_a_spare_breaks_the_pool_and_no_running_task),
    };
    return skt_main(argc, argv, "blocking", tests, SKT_COUNT(tests));
}
