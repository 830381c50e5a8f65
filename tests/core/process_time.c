/* time_limit ends whatever has run for too long, however it spends its time. Bounds on time are
 * wide: that a limit is kept is tested here, how tightly is measured. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <float.h>
#include <math.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

static int tell_pid_and_spin(void *arg, void *result)
{
    sk_store_rel((SK_ATOMIC(int) *)arg, (int)getpid());
    return skt_spin(NULL, result);
}

static int tell_pid_and_sleep(void *arg, void *result)
{
    (void)result;
    sk_store_rel((SK_ATOMIC(int) *)arg, (int)getpid());
    skt_pause(1000); /* not synchronisation: this is what is limited */
    return 0;
}

static int tell_pid_and_stop(void *arg, void *result)
{
    (void)result;
    sk_store_rel((SK_ATOMIC(int) *)arg, (int)getpid());
    kill(getpid(), SIGSTOP);
    return 0;
}

/* With all signals but the one that nobody can block. */
static int tell_pid_and_hold_on(void *arg, void *result)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    signal(SIGTERM, SIG_IGN);
    return tell_pid_and_spin(arg, result);
}

static void expires(void **state, skua_fn *fn)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    SK_ATOMIC(int) *pid = skt_counters(s.ex, 1);
    const double start = skt_now();
    skua_future *f = skua_submit_task(
        s.ex, &(skua_task){ .fn = fn, .arg = pid, .time_limit = 0.05, .name = "tardy" });
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    const double took = skt_now() - start;
    assert_non_null(e);
    skt_check_fault(e, SKUA_EXPIRED, SKUA_FAULT_TIMEOUT, SIGKILL, 0);
    assert_true(e->certain);
    assert_non_null(strstr(e->message, "0.05"));
    assert_string_equal(e->task, "tardy");
    assert_true(took >= 0.05);
    assert_true(took < 1.5 * skt_slow_factor());
    assert_true(skt_gets_gone(sk_load_acq(pid), 1));
    assert_false(skua_cancelled(f));
    skua_release(f);
    skt_std_close(&s);
}

static void a_task_that_spins_expires(void **state)
{
    expires(state, tell_pid_and_spin);
}

static void a_task_that_sleeps_expires(void **state)
{
    expires(state, tell_pid_and_sleep);
}

static void a_task_that_has_stopped_itself_expires(void **state)
{
    expires(state, tell_pid_and_stop);
}

static void a_task_that_blocks_all_signals_expires(void **state)
{
    expires(state, tell_pid_and_hold_on);
}

static int nap(void *arg, void *result)
{
    (void)arg;
    (void)result;
    skt_pause(0.1); /* not synchronisation: takes its time */
    return 0;
}

/* Waiting for a worker is not running. */
static void the_limit_counts_from_the_beginning_of_the_task(void **state)
{
    (void)state;
    skua_executor *ex = skt_processes_of(1);
    skua_future *fs[5];
    for (int i = 0; i < 5; i++)
        fs[i] =
            skua_submit_task(ex, &(skua_task){ .fn = nap, .time_limit = 0.3 * skt_slow_factor() });
    for (int i = 0; i < 5; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

static void those_that_end_in_time_are_not_touched(void **state)
{
    skua_executor *ex = skt_processes(state);
    const pid_t pid = skt_workers(state) == 1 ? skt_ask(ex, skt_tell_pid) : 0;
    static const double limits[] = { 10, 1e9, 1e300, DBL_MAX, (double)INFINITY };
    for (int round = 0; round < 50; round++)
        for (size_t i = 0; i < SKT_COUNT(limits); i++) {
            skua_future *f =
                skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .time_limit = limits[i] });
            assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
            skua_release(f);
        }
    if (pid != 0)
        assert_int_equal(skt_ask(ex, skt_tell_pid), pid);
    skua_close(ex);
}

static void limits_that_make_no_sense_are_refused(void **state)
{
    skua_executor *ex = skt_processes(state);
    const double limits[] = { -1, -DBL_MIN, (double)-INFINITY, (double)NAN };
    for (size_t i = 0; i < SKT_COUNT(limits); i++) {
        skua_future *f =
            skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .time_limit = limits[i] });
        assert_status(skua_result(f, NULL, 0, 0), SKUA_INVALID);
        assert_non_null(strstr(skua_exception(f, 0)->message, "time_limit"));
        skua_release(f);
    }
    skua_close(ex);
}

/* Short and long ones at once, in the order in which they are not due. */
static void each_of_many_has_its_own_limit(void **state)
{
    skua_executor *ex = skt_processes(state);
    const int n = skt_workers(state);
    skua_future *fs[24];
    for (int i = 0; i < 3 * n; i++)
        fs[i] = skua_submit_task(
            ex, &(skua_task){ .fn = skt_spin, .time_limit = 0.15 - 0.04 * (i % 3) });
    skua_future *good[20];
    for (int i = 0; i < 20; i++)
        good[i] = skt_submit_int(ex, skt_square, i);
    for (int i = 0; i < 3 * n; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_EXPIRED);
        skua_release(fs[i]);
    }
    for (int i = 0; i < 20; i++) {
        assert_status(skua_result(good[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(good[i]);
    }
    assert_true(skt_meet(ex));
    skua_close(ex);
}

static int poll_then_cancel(void *arg, void *result)
{
    (void)arg;
    (void)result;
    while (!skua_stopping())
        continue;
    return SKUA_CANCELLED;
}

static void a_task_that_asks_expires_too(void **state)
{
    skua_executor *ex = skt_processes(state);
    skua_future *f =
        skua_submit_task(ex, &(skua_task){ .fn = poll_then_cancel, .time_limit = 0.05 });
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_EXPIRED);
    skua_release(f);
    assert_true(skt_works(ex));
    skua_close(ex);
}

/* A limit that passes as its task ends: one of the two, and never both or neither. */
static void a_limit_may_race_with_the_end(void **state)
{
    skua_executor *ex = skt_processes(state);
    int nr_expired = 0;
    for (int i = 0; i < 100; i++) {
        skua_future *f =
            skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .time_limit = 2e-6 });
        const skua_status status = skua_result(f, NULL, 0, SKUA_FOREVER);
        assert_true(status == SKUA_OK || status == SKUA_EXPIRED);
        nr_expired += status == SKUA_EXPIRED;
        skua_release(f);
    }
    print_message("%d of 100 expired\n", nr_expired);
    assert_true(skt_meet(ex));
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_task_that_spins_expires),
        SKT_TEST(a_task_that_sleeps_expires),
        SKT_TEST(a_task_that_has_stopped_itself_expires),
        SKT_TEST(a_task_that_blocks_all_signals_expires),
        SKT_TEST(the_limit_counts_from_the_beginning_of_the_task),
        SKT_EACH(those_that_end_in_time_are_not_touched),
        SKT_TEST(limits_that_make_no_sense_are_refused),
        SKT_EACH(each_of_many_has_its_own_limit),
        SKT_TEST(a_task_that_asks_expires_too),
        SKT_EACH(a_limit_may_race_with_the_end),
    };
    return skt_main(argc, argv, "process_time", tests, SKT_COUNT(tests));
}
