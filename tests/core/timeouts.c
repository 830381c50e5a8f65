/* link: -Wl,--wrap=clock_gettime -Wl,--wrap=gettimeofday -Wl,--wrap=time */
/* A timeout means the same in every verb that takes one: 0, negative and NaN look and return, what
 * is too large to count waits, and setting the wall clock changes nothing. Each verb is asked
 * outside and inside a task, about a future that runs and about one that nobody has begun. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include "tests/support/gate.h"

enum verb {
    RESULT,
    EXCEPTION,
    WAIT_FIRST,
    WAIT_EXCEPTION,
    WAIT_ALL,
    NEXT,
    MAP,
    SHUTDOWN, /* last: it ends the pool */
    NR_VERBS
};

/* A future that ends when a gate is opened, and all that is asked about it. */
struct stage {
    skua_executor *ex, *other; /* tasks of the other one ask */
    struct skt_gate gate;
    skua_future *f;
};

static void stage_open(struct stage *s, int workers, bool running)
{
    s->ex = skt_pool_of(workers);
    s->other = skt_pool_of(workers);
    skt_gate_init(&s->gate);
    skt_gate_hold(&s->gate, s->ex, running ? workers - 1 : workers);
    s->f = running ? skt_gate_submit(&s->gate, s->ex) : skua_submit(s->ex, skt_nothing, NULL);
}

static void stage_close(struct stage *s)
{
    skua_release(s->f);
    skua_close(s->other);
    skua_close(s->ex);
    skt_gate_fini(&s->gate);
}

static int item_at_gate(void *arg, void *result)
{
    return skt_gate_task(*(void **)arg, result);
}

static skua_status ask_here(struct stage *s, enum verb verb, double timeout)
{
    void *item = &s->gate;
    if (verb == RESULT)
        return skua_result(s->f, NULL, 0, timeout);
    if (verb == EXCEPTION) {
        const skua_error *e = skua_exception(s->f, timeout);
        return e != NULL ? e->status : SKUA_OK;
    }
    if (verb == MAP)
        return skua_map(s->ex, item_at_gate, &item, sizeof item, NULL, 0, 1, NULL, timeout);
    if (verb == SHUTDOWN)
        return skua_shutdown(s->ex, SKUA_WAIT, timeout);
    if (verb != NEXT)
        return skua_wait(&s->f, 1, (skua_when)(verb - WAIT_FIRST), timeout);
    skua_iter *it = skua_as_completed(&s->f, 1, timeout);
    while (skua_next(it, NULL) != NULL)
        continue;
    return skua_iter_close(it);
}

struct question {
    struct stage *stage;
    enum verb verb;
    double timeout;
};

static int ask_in_task(void *arg, void *result)
{
    const struct question *q = arg;
    *(skua_status *)result = ask_here(q->stage, q->verb, q->timeout);
    return 0;
}

static skua_status ask(struct stage *s, enum verb verb, double timeout, bool inside)
{
    if (!inside)
        return ask_here(s, verb, timeout);
    struct question q = { s, verb, timeout };
    const skua_task task = { .fn = ask_in_task, .arg = &q, .result_size = sizeof(skua_status) };
    skua_future *f = skua_submit_task(s->other, &task);
    skua_status status = SKUA_INVALID;
    assert_status(skua_result(f, &status, sizeof status, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    return status;
}

static void check_answer(enum verb verb, double timeout, skua_status got, skua_status wanted)
{
    if (got != wanted)
        fail_msg("verb %d, timeout %g: %s", (int)verb, timeout, skua_strstatus(got));
}

static void check_polls(int workers, bool running, bool inside)
{
    const double polls[] = { 0, -0.0, -1, -1e300, -DBL_MAX, -INFINITY, NAN };
    struct stage s;
    stage_open(&s, workers, running);
    for (int verb = 0; verb < NR_VERBS; verb++)
        for (size_t i = 0; i < SKT_COUNT(polls); i++) {
            const double start = skt_now();
            const skua_status status = ask(&s, (enum verb)verb, polls[i], inside);
            check_answer((enum verb)verb, polls[i], status, SKUA_TIMEOUT);
            assert_true(skt_now() - start < skt_wake_limit());
        }
    assert_int_equal(skua_running(s.f), running);
    skt_gate_open(&s.gate);
    assert_status(skua_shutdown(s.ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    for (int verb = 0; verb < NR_VERBS; verb++)
        for (size_t i = 0; i < SKT_COUNT(polls) && verb != MAP; i++)
            check_answer((enum verb)verb, polls[i], ask(&s, (enum verb)verb, polls[i], inside),
                         SKUA_OK);
    stage_close(&s);
}

static void nothing_less_and_nan_look_and_return_in_every_verb(void **state)
{
    check_polls(skt_workers(state), true, false);
    check_polls(skt_workers(state), false, false);
}

static void nothing_less_and_nan_look_and_return_inside_tasks_too(void **state)
{
    check_polls(skt_workers(state), true, true);
    check_polls(skt_workers(state), false, true);
}

struct opener {
    struct skt_gate *gate;
    double opened;
};

static void *open_later(void *arg)
{
    struct opener *o = arg;
    skt_pause(0.01); /* not synchronisation: lets the wait begin, else there is nothing to see */
    o->opened = skt_now();
    skt_gate_open(o->gate);
    return NULL;
}

static void check_huge(int workers, bool running, bool inside)
{
    const double huge[] = { 1e9, 9.3e9, 1e19, 1e300, DBL_MAX, INFINITY };
    for (int verb = 0; verb < NR_VERBS; verb++)
        for (size_t i = 0; i < SKT_COUNT(huge); i++) {
            struct stage s;
            stage_open(&s, workers, running);
            struct opener o = { .gate = &s.gate };
            const pthread_t thread = skt_thread(open_later, &o);
            const skua_status status = ask(&s, (enum verb)verb, huge[i], inside);
            const double returned = skt_now();
            skt_join(thread);
            check_answer((enum verb)verb, huge[i], status, SKUA_OK);
            assert_true(returned - o.opened < skt_wake_limit());
            stage_close(&s);
        }
}

static void what_is_too_large_to_count_waits_in_every_verb(void **state)
{
    check_huge(skt_workers(state), true, false);
    check_huge(skt_workers(state), false, false);
}

static void what_is_too_large_to_count_waits_inside_tasks_too(void **state)
{
    check_huge(skt_workers(state), true, true);
}

static void a_timeout_passes_in_every_verb_and_the_task_goes_on(void **state)
{
    for (int inside = 0; inside < 2; inside++) {
        struct stage s;
        stage_open(&s, skt_workers(state), inside != 0);
        for (int verb = 0; verb < NR_VERBS; verb++) {
            const double start = skt_now();
            const skua_status status = ask(&s, (enum verb)verb, 0.03, inside != 0);
            const double waited = skt_now() - start;
            check_answer((enum verb)verb, 0.03, status, SKUA_TIMEOUT);
            assert_true(waited >= 0.03);
            assert_true(waited < 0.03 + skt_wake_limit());
        }
        assert_false(skua_done(s.f));
        skt_gate_open(&s.gate);
        assert_status(skua_result(s.f, NULL, 0, SKUA_FOREVER), SKUA_OK);
        stage_close(&s);
    }
}

/* ---- the wall clock -------------------------------------------------------------------------- */

static SK_ATOMIC(bool) jumping;
static SK_ATOMIC(int) nr_jumps;

/* An hour back or forward, in turns. */
static time_t jump(void)
{
    if (!sk_load_acq(&jumping))
        return 0;
    return sk_add_rlx(&nr_jumps, 1) % 2 != 0 ? -3600 : 3600;
}

int __real_clock_gettime(clockid_t clock, struct timespec *t);
int __wrap_clock_gettime(clockid_t clock, struct timespec *t);
int __real_gettimeofday(struct timeval *t, void *zone);
int __wrap_gettimeofday(struct timeval *t, void *zone);
time_t __real_time(time_t *t);
time_t __wrap_time(time_t *t);

int __wrap_clock_gettime(clockid_t clock, struct timespec *t)
{
    const int rc = __real_clock_gettime(clock, t);
    if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE || clock == CLOCK_TAI)
        t->tv_sec += jump();
    return rc;
}

int __wrap_gettimeofday(struct timeval *t, void *zone)
{
    const int rc = __real_gettimeofday(t, zone);
    t->tv_sec += jump();
    return rc;
}

time_t __wrap_time(time_t *t)
{
    const time_t now = __real_time(NULL) + jump();
    if (t != NULL)
        *t = now;
    return now;
}

static void setting_the_wall_clock_leaves_every_wait_its_length(void **state)
{
    struct timespec a, b;
    struct stage s;
    sk_store_rel(&jumping, true);
    clock_gettime(CLOCK_REALTIME, &a);
    clock_gettime(CLOCK_REALTIME, &b);
    assert_true(labs((long)(a.tv_sec - b.tv_sec)) > 7000);
    stage_open(&s, skt_workers(state), true);
    for (int verb = 0; verb < NR_VERBS; verb++)
        for (int i = 0; i < 4; i++) {
            const double start = skt_now();
            const skua_status status = ask(&s, (enum verb)verb, 0.02, i % 2 != 0);
            const double waited = skt_now() - start;
            check_answer((enum verb)verb, 0.02, status, SKUA_TIMEOUT);
            assert_true(waited >= 0.02);
            assert_true(waited < 0.02 + skt_wake_limit());
        }
    sk_store_rel(&jumping, false);
    skt_gate_open(&s.gate);
    stage_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(nothing_less_and_nan_look_and_return_in_every_verb),
        SKT_EACH(nothing_less_and_nan_look_and_return_inside_tasks_too),
        SKT_EACH(what_is_too_large_to_count_waits_in_every_verb),
        SKT_EACH(what_is_too_large_to_count_waits_inside_tasks_too),
        SKT_EACH(a_timeout_passes_in_every_verb_and_the_task_goes_on),
        SKT_EACH(setting_the_wall_clock_leaves_every_wait_its_length),
    };
    return skt_main(argc, argv, "timeouts", tests, SKT_COUNT(tests));
}
