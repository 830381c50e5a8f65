/* What stands around a worker: the threads and children that its tasks start, which end with it;
 * and the processes that it comes from, whose loss is the loss of tasks in flight, and of no
 * others. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/compiler.h"
#include "tests/support/gate.h"
#include "tests/support/process.h"

/* ---- threads of the task's own --------------------------------------------------------------- */

static volatile int deepest = INT_MAX; /* compilers complain about what never ends */

SK_NOINLINE static int go_deeper(int depth)
{
    if (depth == deepest)
        return 0;
    volatile char frame[8192];
    frame[0] = (char)depth;
    const int below = go_deeper(depth + 1);
    return below + frame[0];
}

static void *crash_in_thread(void *arg)
{
    skt_crash(arg, NULL);
    return NULL;
}

static void *overflow_in_thread(void *arg)
{
    (void)arg;
    return (void *)(intptr_t)go_deeper(0);
}

static int start_a_thread_that_crashes(void *arg, void *result)
{
    pthread_t thread;
    (void)arg;
    (void)result;
    if (pthread_create(&thread, NULL, crash_in_thread, NULL) == 0)
        pthread_join(thread, NULL);
    return 0;
}

static int start_a_thread_that_overflows(void *arg, void *result)
{
    pthread_t thread;
    (void)arg;
    (void)result;
    if (pthread_create(&thread, NULL, overflow_in_thread, NULL) == 0)
        pthread_join(thread, NULL);
    return 0;
}

static void a_crash_in_a_thread_of_the_task_is_the_tasks(void **state)
{
    struct skt_std s;
    skua_future *f;
    skt_std_open(&s, skt_workers(state));
    const skua_error *e = skt_std_fault(&s, start_a_thread_that_crashes, &f);
    skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_NULL_DEREF, SIGSEGV, 0);
    skt_std_close(&s);
    skua_release(f);
}

/* No handler can run on that stack, so there may be no record of it. */
static void an_overflow_in_a_thread_of_the_task_is_a_segv(void **state)
{
    struct skt_std s;
    skua_future *f;
    skt_std_open(&s, skt_workers(state));
    const skua_error *e = skt_std_fault(&s, start_a_thread_that_overflows, &f);
    assert_true(e->fault == SKUA_FAULT_SIGNAL || e->fault == SKUA_FAULT_STACK_OVERFLOW);
    skt_check_fault(e, SKUA_CRASHED, e->fault, SIGSEGV, 0);
    skt_std_close(&s);
    skua_release(f);
}

/* ---- what the task has started --------------------------------------------------------------- */

struct children {
    SK_ATOMIC(int) nr;
    SK_ATOMIC(int) pids[32];
};

static void be_a_child(struct children *c)
{
    sk_store_rel(&c->pids[sk_add_acq_rel(&c->nr, 1)], (int)getpid());
    for (;;)
        pause();
}

static int fork_then_abort(void *arg, void *result)
{
    struct children *c = arg;
    (void)result;
    if (fork() == 0)
        be_a_child(c);
    skt_counter_wait(&c->nr, 1);
    abort();
}

/* A grandchild in a session of its own, whose parent has gone. */
static int leave_a_daemon_then_abort(void *arg, void *result)
{
    struct children *c = arg;
    (void)result;
    const pid_t child = fork();
    if (child == 0) {
        setsid();
        if (fork() == 0)
            be_a_child(c);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    skt_counter_wait(&c->nr, 1);
    abort();
}

static int fork_twenty_then_abort(void *arg, void *result)
{
    struct children *c = arg;
    (void)result;
    for (int i = 0; i < 20; i++)
        if (fork() == 0)
            be_a_child(c);
    skt_counter_wait(&c->nr, 20);
    abort();
}

static void whatever_a_task_has_started_ends_with_its_worker(void **state)
{
    static skua_fn *const fns[] = { fork_then_abort, leave_a_daemon_then_abort,
                                    fork_twenty_then_abort };
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    for (size_t i = 0; i < SKT_COUNT(fns); i++) {
        struct children *c = skua_shared_alloc(s.ex, sizeof *c);
        assert_non_null(c);
        skua_future *f = skua_submit(s.ex, fns[i], c);
        const skua_error *e = skua_exception(f, SKUA_FOREVER);
        assert_non_null(e);
        skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_SIGNAL, SIGABRT, 0);
        skua_release(f);
        for (int k = 0; k < sk_load_acq(&c->nr); k++)
            assert_true(skt_gets_gone(sk_load_acq(&c->pids[k]), 1));
        skua_shared_free(s.ex, c);
        skt_std_check(&s);
    }
    skt_std_close(&s);
}

static int fork_and_leave_it(void *arg, void *result)
{
    struct children *c = arg;
    (void)result;
    if (fork() == 0)
        be_a_child(c);
    skt_counter_wait(&c->nr, 1);
    return 0;
}

static void what_was_left_behind_by_good_tasks_ends_with_the_pool(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct children *c = skua_shared_alloc(ex, sizeof *c);
    assert_non_null(c);
    skua_future *f = skua_submit(ex, fork_and_leave_it, c);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    const pid_t child = sk_load_acq(&c->pids[0]);
    skua_close(ex);
    assert_true(skt_gets_gone(child, 1));
    assert_true(skt_family_becomes(0));
}

/* ---- the supervisors ------------------------------------------------------------------------- */

static int kill_the_zygote(void *arg, void *result)
{
    (void)arg;
    (void)result;
    kill(getppid(), SIGKILL);
    skt_pause(10); /* not synchronisation: this process ends with its parent */
    return 0;
}

/* All workers end with it, and new ones take their seats. */
static void the_zygote_may_be_killed(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    for (int i = 0; i < 2; i++) {
        skt_std_drop(&s);
        skua_future *f;
        const skua_error *e = skt_std_fault(&s, kill_the_zygote, &f);
        assert_status(e->status, SKUA_CRASHED);
        assert_int_equal(e->fault, SKUA_FAULT_WORKER_LOST);
        assert_true(strlen(e->message) > 0);
        skua_release(f);
        assert_true(skt_works(s.ex));
        skt_std_check(&s);
    }
    skt_std_close(&s);
}

static void tasks_in_flight_are_lost_with_the_zygote_and_queued_ones_run(void **state)
{
    skua_executor *ex = skt_processes(state);
    const int n = skt_workers(state);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    const pid_t zygote = skt_parent_of(skt_ask(ex, skt_tell_pid));
    skua_future *held[8], *queued[20];
    for (int i = 0; i < n; i++)
        held[i] = skt_shared_gate_submit(gate, ex);
    for (int i = 0; i < 20; i++)
        queued[i] = skt_submit_int(ex, skt_square, i);
    assert_int_equal(kill(zygote, SIGKILL), 0);
    for (int i = 0; i < n; i++) {
        const skua_error *e = skua_exception(held[i], SKUA_FOREVER);
        assert_non_null(e);
        assert_status(e->status, SKUA_CRASHED);
        assert_int_equal(e->fault, SKUA_FAULT_WORKER_LOST);
        skua_release(held[i]);
    }
    for (int i = 0; i < 20; i++) {
        int value = -1;
        assert_status(skua_result(queued[i], &value, sizeof value, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(value, i * i);
        skua_release(queued[i]);
    }
    assert_true(skt_meet(ex));
    assert_true(skt_family_becomes(n + SKT_AROUND));
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

/* Then the pool goes on, or it is broken and says so; nothing waits for ever. */
static void when_the_keeper_is_killed_nothing_hangs(void **state)
{
    const int before = skt_nr_descriptors();
    skua_executor *ex = skt_processes(state);
    const pid_t keeper = skt_parent_of(skt_parent_of(skt_ask(ex, skt_tell_pid)));
    assert_int_equal(skt_parent_of(keeper), getpid());
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    skua_future *held = skt_shared_gate_submit(gate, ex), *queued[20];
    for (int i = 0; i < 20; i++)
        queued[i] = skt_submit_int(ex, skt_square, i);
    assert_int_equal(kill(keeper, SIGKILL), 0);
    const skua_error *e = skua_exception(held, 5 * skt_slow_factor());
    assert_non_null(e);
    assert_true(e->status == SKUA_CRASHED);
    assert_int_equal(e->fault, SKUA_FAULT_WORKER_LOST);
    assert_status(skua_wait(queued, 20, SKUA_ALL_COMPLETED, 5 * skt_slow_factor()), SKUA_OK);
    for (int i = 0; i < 20; i++) {
        const skua_error *error = skua_exception(queued[i], 0);
        assert_true(error == NULL || error->status == SKUA_BROKEN_PROCESS_POOL ||
                    error->fault == SKUA_FAULT_WORKER_LOST);
        assert_true(error == NULL || strlen(error->message) > 0);
        skua_release(queued[i]);
    }
    skua_future *later = skt_submit_int(ex, skt_square, 3);
    const skua_error *error = skua_exception(later, 5 * skt_slow_factor());
    assert_true(error == NULL || error->status == SKUA_BROKEN_PROCESS_POOL);
    print_message("%s\n", error != NULL ? error->message : "the pool goes on");
    skua_release(later);
    skua_release(held);
    skua_close(ex);
    assert_true(skt_family_becomes(0));
    assert_true(skt_descriptors_become(before));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_crash_in_a_thread_of_the_task_is_the_tasks),
        SKT_TEST(an_overflow_in_a_thread_of_the_task_is_a_segv),
        SKT_TEST(whatever_a_task_has_started_ends_with_its_worker),
        SKT_TEST(what_was_left_behind_by_good_tasks_ends_with_the_pool),
        SKT_EACH(the_zygote_may_be_killed),
        SKT_EACH(tasks_in_flight_are_lost_with_the_zygote_and_queued_ones_run),
        SKT_EACH(when_the_keeper_is_killed_nothing_hangs),
    };
    return skt_main(argc, argv, "process_family", tests, SKT_COUNT(tests));
}
