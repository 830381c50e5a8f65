/* What a fault leaves alone: the tasks beside it and behind it. And deaths that come from outside,
 * to workers that run a task and to those that do not. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

static int abort_at_once(void *arg, void *result)
{
    (void)arg;
    (void)result;
    abort();
}

static int leave_with(void *arg, void *result)
{
    (void)result;
    _exit(arg != NULL ? 7 : 0);
}

/* ---- the others ------------------------------------------------------------------------------ */

struct crasher {
    struct skt_shared_gate *gate;
    skua_fn *fault;
};

static int wait_then_fault(void *arg, void *result)
{
    const struct crasher *c = arg;
    skt_shared_gate_task(c->gate, NULL);
    return c->fault(NULL, result);
}

/* Of 22 tasks one faults while one runs and 20 wait: 21 give their results. */
static void twenty_one_of_twenty_two_succeed(void **state)
{
    static skua_fn *const faults[] = { skt_crash, abort_at_once, leave_with };
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    for (size_t i = 0; i < SKT_COUNT(faults); i++) {
        struct crasher c = { skt_shared_gate_new(s.ex), faults[i] };
        skua_future *faulty = skua_submit_task(s.ex, &(skua_task){ .fn = wait_then_fault,
                                                                   .arg = &c,
                                                                   .arg_size = sizeof c,
                                                                   .result_size = sizeof(int) });
        skt_counter_wait(&c.gate->began, 1);
        skua_future *pending[20];
        for (int k = 0; k < 20; k++)
            pending[k] = skt_submit_int(s.ex, skt_square, k);
        skt_shared_gate_open(c.gate);
        assert_status(skua_result(faulty, NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
        skua_release(faulty);
        for (int k = 0; k < 20; k++) {
            int value = -1;
            assert_status(skua_result(pending[k], &value, sizeof value, SKUA_FOREVER), SKUA_OK);
            assert_int_equal(value, k * k);
            skua_release(pending[k]);
        }
        skua_shared_free(s.ex, c.gate);
        skt_std_check(&s);
    }
    skua_stats stats;
    assert_status(skua_executor_stats(s.ex, &stats), SKUA_OK);
    assert_int_equal(stats.restarts, SKT_COUNT(faults));
    skt_std_close(&s);
}

static int kill_itself(void *arg, void *result)
{
    (void)arg;
    (void)result;
    kill(getpid(), SIGKILL);
    skt_pause(10); /* not synchronisation: the signal comes before */
    return 0;
}

static void a_kill_is_told_and_those_queued_behind_run_once(void **state)
{
    skua_executor *ex = skt_processes(state);
    const int n = skt_workers(state);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    SK_ATOMIC(int) *runs = skt_counters(ex, 7);
    skt_shared_gate_hold(gate, ex, n - 1);
    struct crasher c = { skt_shared_gate_new(ex), kill_itself };
    skua_future *faulty = skua_submit_task(
        ex, &(skua_task){ .fn = wait_then_fault, .arg = &c, .arg_size = sizeof c });
    skt_counter_wait(&c.gate->began, 1);
    skua_future *queued[7];
    for (int i = 0; i < 7; i++)
        queued[i] = skua_submit(ex, skt_count, &runs[i]);
    skt_shared_gate_open(c.gate);
    const skua_error *e = skua_exception(faulty, SKUA_FOREVER);
    assert_non_null(e);
    skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_KILLED, SIGKILL, 0);
    for (int i = 0; i < 7; i++) {
        assert_status(skua_result(queued[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(sk_load_acq(&runs[i]), 1);
        skua_release(queued[i]);
    }
    skt_shared_gate_open(gate);
    assert_true(skt_meet(ex));
    skua_close(ex);
    skua_release(faulty);
}

/* ---- killed from outside --------------------------------------------------------------------- */

struct victim {
    struct skt_shared_gate gate; /* first: it is the task's argument */
    SK_ATOMIC(int) pid;
};

static int tell_pid_and_wait(void *arg, void *result)
{
    struct victim *v = arg;
    sk_store_rel(&v->pid, (int)getpid());
    return skt_shared_gate_task(&v->gate, result);
}

/* Kills a worker in the middle of a task. */
static void kill_while_running(void **state, int signal, skua_fault fault)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    struct victim *v = skua_shared_alloc(s.ex, sizeof *v);
    assert_non_null(v);
    skua_future *f = skua_submit(s.ex, tell_pid_and_wait, v);
    skt_counter_wait(&v->gate.began, 1);
    const pid_t pid = sk_load_acq(&v->pid);
    assert_int_equal(kill(pid, signal), 0);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    skt_check_fault(e, SKUA_CRASHED, fault, signal, 0);
    assert_true(skt_gets_gone(pid, 1));
    skua_shared_free(s.ex, v);
    skt_std_close(&s);
    skua_release(f);
}

static void sigkill_from_outside_is_told(void **state)
{
    kill_while_running(state, SIGKILL, SKUA_FAULT_KILLED);
}

static void sigterm_from_outside_is_told(void **state)
{
    kill_while_running(state, SIGTERM, SKUA_FAULT_KILLED);
}

/* No future fails, and the replacement is there for the next tasks. */
static void an_idle_worker_may_be_killed(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    for (int i = 0; i < 4; i++) { /* 5 such deaths in 10 s are too many */
        const pid_t pid = skt_ask(s.ex, skt_tell_pid);
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_true(skt_gets_gone(pid, 1));
        assert_true(skt_works(s.ex));
        const pid_t next = skt_ask(s.ex, skt_tell_pid);
        assert_true(next > 0);
        assert_int_not_equal(next, pid);
    }
    skt_std_close(&s);
}

/* The spare is the zygote's child that has never told its number. */
static void the_spare_may_be_killed(void **state)
{
    (void)state;
    struct skt_std s;
    skt_std_open(&s, 1);
    const pid_t worker = skt_ask(s.ex, skt_tell_pid), zygote = skt_parent_of(worker);
    struct skt_family family;
    skt_family_look(&family);
    int nr_killed = 0;
    for (int i = 0; i < family.nr; i++) {
        const pid_t pid = family.pids[i];
        if (pid != worker && skt_parent_of(pid) == zygote) {
            assert_int_equal(kill(pid, SIGKILL), 0);
            assert_true(skt_gets_gone(pid, 1));
            nr_killed++;
        }
    }
    assert_int_equal(nr_killed, 1);
    assert_int_equal(skt_ask(s.ex, skt_tell_pid), worker);
    skua_future *f;
    skt_check_fault(skt_std_fault(&s, skt_crash, &f), SKUA_CRASHED, SKUA_FAULT_NULL_DEREF, SIGSEGV,
                    0);
    skua_release(f);
    skt_std_close(&s);
}

static bool is_worker(pid_t pid)
{
    const pid_t zygote = skt_parent_of(pid);
    return zygote > 1 && skt_parent_of(zygote) > 1 &&
           skt_parent_of(skt_parent_of(zygote)) == getpid();
}

/* Whoever kills all that is born gets a broken pool, and no endless making of new workers. */
static void when_workers_never_live_the_pool_breaks(void **state)
{
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = skt_workers(state) });
    assert_non_null(ex);
    struct skt_family family = { 0 };
    int nr_killed = 0;
    double quiet = skt_now(); /* since when no worker was seen alive */
    while (skt_now() < quiet + 0.3 * skt_slow_factor()) {
        skt_family_look(&family);
        for (int i = 0; i < family.nr; i++) {
            if (!is_worker(family.pids[i]) || skt_is_gone(family.pids[i]))
                continue;
            nr_killed += kill(family.pids[i], SIGKILL) == 0;
            quiet = skt_now();
        }
    }
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    const skua_error *e = skua_exception(f, 10 * skt_slow_factor());
    print_message("%d killed: %s\n", nr_killed, e != NULL ? e->message : "it goes on");
    assert_non_null(e);
    assert_status(e->status, SKUA_BROKEN_PROCESS_POOL);
    assert_true(strlen(e->message) > 0);
    skua_release(f);
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(twenty_one_of_twenty_two_succeed),
        SKT_EACH(a_kill_is_told_and_those_queued_behind_run_once),
        SKT_TEST(sigkill_from_outside_is_told),
        SKT_TEST(sigterm_from_outside_is_told),
        SKT_EACH(an_idle_worker_may_be_killed),
        SKT_TEST(the_spare_may_be_killed),
        SKT_EACH(when_workers_never_live_the_pool_breaks),
    };
    return skt_main(argc, argv, "process_bystanders", tests, SKT_COUNT(tests));
}
