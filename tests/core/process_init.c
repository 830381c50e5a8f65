/* What a worker is given before its first task, and what is done when that fails: a pool whose
 * workers cannot begin is broken, with words, and nothing waits for it for ever. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

/* ---- good ones ------------------------------------------------------------------------------- */

static SK_ATOMIC(int) * inits;
static int begun_in_this_process; /* of each worker's own */
static int set_before_the_pool;

static int note_init(void *arg)
{
    begun_in_this_process += *(int *)arg;
    sk_add_acq_rel(inits, 1);
    return 0;
}

static int tell_init(void *arg, void *result)
{
    (void)arg;
    *(int *)result = begun_in_this_process;
    return 0;
}

static void init_runs_once_in_each_worker_before_its_first_task(void **state)
{
    const int n = skt_workers(state);
    int seven = 7;
    inits = skt_common_counters(1);
    skua_executor *ex =
        skt_processes_with(&(skua_options){ .workers = n, .init = note_init, .init_arg = &seven });
    for (int i = 0; i < 50; i++)
        assert_int_equal(skt_ask(ex, tell_init), 7);
    assert_in_range(sk_load_acq(inits), n, n + 1); /* the spare may have begun, too */
    assert_int_equal(begun_in_this_process, 0);
    skua_future *f = skua_submit(ex, skt_crash, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
    skua_release(f);
    assert_true(skt_meet(ex));
    for (int i = 0; i < 50; i++)
        assert_int_equal(skt_ask(ex, tell_init), 7);
    assert_in_range(sk_load_acq(inits), n + 1, n + 2);
    skua_close(ex);
}

static int tell_what_was_set(void *arg, void *result)
{
    (void)arg;
    *(int *)result = set_before_the_pool++;
    return 0;
}

/* A change on either side is not seen on the other. */
static void workers_have_the_memory_of_the_moment_of_the_pool(void **state)
{
    set_before_the_pool = 41;
    skua_executor *ex = skt_processes(state);
    set_before_the_pool = 1000;
    assert_int_equal(skt_ask(ex, tell_what_was_set), 41);
    assert_int_equal(set_before_the_pool, 1000);
    const int next = skt_ask(ex, tell_what_was_set);
    assert_in_range(next, 41, 42);
    skua_future *f = skua_submit(ex, skt_crash, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
    skua_release(f);
    if (skt_workers(state) == 1) /* whose next worker begins afresh */
        assert_int_equal(skt_ask(ex, tell_what_was_set), 41);
    skua_close(ex);
}

static int tell_name(void *arg, void *result)
{
    (void)arg;
    prctl(PR_GET_NAME, result);
    return 0;
}

static void workers_have_their_names(void **state)
{
    char name[] = "sweep";
    skua_executor *ex =
        skt_processes_with(&(skua_options){ .workers = skt_workers(state), .name = name });
    memset(name, 'x', sizeof name - 1);
    for (int i = 0; i < 20; i++) {
        char got[16] = "";
        skua_future *f =
            skua_submit_task(ex, &(skua_task){ .fn = tell_name, .result_size = sizeof got });
        assert_status(skua_result(f, got, sizeof got, SKUA_FOREVER), SKUA_OK);
        skua_release(f);
        assert_int_equal(strncmp(got, "sweep-", 6), 0);
        assert_in_range(atoi(got + 6), 0, skt_workers(state) - 1);
    }
    skua_close(ex);
}

static int handled; /* by the program's handler */

static void handle(int signo)
{
    (void)signo;
    handled++;
}

/* Results: 1 for each signal that is not as it has to be. */
static int tell_signals(void *arg, void *result)
{
    struct sigaction usr1, sigint, chld;
    sigset_t blocked;
    (void)arg;
    sigaction(SIGUSR1, NULL, &usr1);
    sigaction(SIGINT, NULL, &sigint);
    sigaction(SIGCHLD, NULL, &chld);
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    *(int *)result = (usr1.sa_handler == SIG_DFL ? 0 : 1) | (sigint.sa_handler == SIG_IGN ? 0 : 2) |
                     (chld.sa_handler == SIG_DFL ? 0 : 4) |
                     (sigismember(&blocked, SIGUSR2) == 0 ? 0 : 8);
    return 0;
}

static void handlers_of_the_program_are_back_to_their_defaults(void **state)
{
    sigset_t usr2, before;
    sigemptyset(&usr2);
    sigaddset(&usr2, SIGUSR2);
    sigprocmask(SIG_BLOCK, &usr2, &before);
    signal(SIGUSR1, handle);
    signal(SIGCHLD, handle);
    skua_executor *ex = skt_processes(state);
    assert_int_equal(skt_ask(ex, tell_signals), 0);
    skua_future *f = skua_submit(ex, skt_crash, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
    skua_release(f);
    assert_int_equal(skt_ask(ex, tell_signals), 0);
    skua_close(ex);
    assert_int_equal(handled, 0); /* no SIGCHLD either */
    signal(SIGUSR1, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

/* ---- bad ones -------------------------------------------------------------------------------- */

static int init_fails(void *arg)
{
    (void)arg;
    return skua_fail(3, "no licence for this solver");
}

static int init_fails_silently(void *arg)
{
    (void)arg;
    return 3;
}

static int init_crashes(void *arg)
{
    return skt_crash(arg, NULL);
}

static int init_exits(void *arg)
{
    (void)arg;
    _exit(0);
}

static int init_aborts(void *arg)
{
    (void)arg;
    abort();
}

/* All that was submitted, and all that is, has the pool's end as its own. */
static void broken_by(void **state, int (*init)(void *arg), const char *words)
{
    const int before = skt_nr_descriptors();
    skua_executor *ex =
        skua_process_pool(&(skua_options){ .workers = skt_workers(state), .init = init });
    assert_non_null(ex);
    skua_future *fs[20];
    for (int i = 0; i < 20; i++)
        fs[i] = skt_submit_int(ex, skt_square, i);
    for (int i = 0; i < 20; i++) {
        const skua_error *e = skua_exception(fs[i], 10 * skt_slow_factor());
        assert_non_null(e);
        assert_status(e->status, SKUA_BROKEN_PROCESS_POOL);
        if (i == 0)
            print_message("%s\n", e->message);
        assert_non_null(strstr(e->message, words));
        skua_release(fs[i]);
    }
    skua_future *later = skua_submit(ex, skt_nothing, NULL);
    assert_true(skua_done(later));
    assert_status(skua_result(later, NULL, 0, 0), SKUA_BROKEN_PROCESS_POOL);
    assert_true(skua_is_broken(skua_exception(later, 0)->status));
    skua_release(later);
    int in = 1, out = 0;
    assert_status(skua_map(ex, skt_square, &in, sizeof in, &out, sizeof out, 1, NULL, 10),
                  SKUA_BROKEN_PROCESS_POOL);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_shutdown(ex, SKUA_KILL | SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_shutdown(ex, SKUA_KILL | SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    skua_close(ex);
    assert_true(skt_family_becomes(0));
    assert_true(skt_descriptors_become(before));
}

static void a_failing_init_breaks_the_pool_with_its_words(void **state)
{
    broken_by(state, init_fails, "no licence for this solver");
    broken_by(state, init_fails_silently, "3");
}

static void a_crashing_init_breaks_the_pool(void **state)
{
    broken_by(state, init_crashes, "init");
    broken_by(state, init_aborts, "init");
}

static void an_init_that_exits_breaks_the_pool(void **state)
{
    broken_by(state, init_exits, "init");
}

static int init_that_fails_later(void *arg)
{
    return sk_add_acq_rel((SK_ATOMIC(int) *)arg, 1) < 9 ? 0 : 1;
}

/* A replacement whose init fails is no better. */
static void an_init_that_fails_in_a_replacement_breaks_the_pool(void **state)
{
    (void)state;
    SK_ATOMIC(int) *counter = skt_common_counters(1);
    skua_executor *ex = skt_processes_with(
        &(skua_options){ .workers = 2, .init = init_that_fails_later, .init_arg = counter });
    skua_status last = SKUA_CRASHED;
    for (int i = 0; i < 20 && last == SKUA_CRASHED; i++) {
        skua_future *f = skua_submit(ex, skt_crash, NULL);
        last = skua_result(f, NULL, 0, 10 * skt_slow_factor());
        skua_release(f);
    }
    assert_status(last, SKUA_BROKEN_PROCESS_POOL);
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

static int init_hangs(void *arg)
{
    skt_count(arg, NULL);
    return skt_spin(arg, NULL);
}

/* It is not told apart from one that takes its time; but the pool can be ended. */
static void an_init_that_hangs_can_be_killed(void **state)
{
    (void)state;
    SK_ATOMIC(int) *counter = skt_common_counters(1);
    skua_executor *ex = skua_process_pool(
        &(skua_options){ .workers = 1, .init = init_hangs, .init_arg = counter, .grace = 0.05 });
    assert_non_null(ex);
    skt_counter_wait(counter, 1);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_result(f, NULL, 0, 0.05), SKUA_TIMEOUT);
    assert_false(skua_running(f));
    const skua_status status = skua_shutdown(ex, SKUA_WAIT | SKUA_KILL | SKUA_CANCEL_FUTURES, 10);
    assert_status(status, SKUA_OK);
    assert_status(skua_result(f, NULL, 0, 0), SKUA_CANCELLED);
    skua_release(f);
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

/* ---- deaths without a task ------------------------------------------------------------------- */

static SK_ATOMIC(int) * fate; /* 1: workers die as soon as they are there */

static int init_then_die(void *arg)
{
    (void)arg;
    if (sk_load_acq(fate) == 1)
        kill(getpid(), SIGKILL);
    return 0;
}

/* Five such deaths in ten seconds, with no task ended in between, and no hope is left. */
static void workers_that_always_die_at_birth_break_the_pool(void **state)
{
    fate = skt_common_counters(1);
    sk_store_rel(fate, 1);
    skua_executor *ex =
        skua_process_pool(&(skua_options){ .workers = skt_workers(state), .init = init_then_die });
    if (ex != NULL) {
        skua_future *f = skua_submit(ex, skt_nothing, NULL);
        const skua_error *e = skua_exception(f, 10 * skt_slow_factor());
        assert_non_null(e);
        print_message("%s\n", e->message);
        assert_status(e->status, SKUA_BROKEN_PROCESS_POOL);
        skua_release(f);
        skua_close(ex);
    }
    assert_true(skt_family_becomes(0));
}

/* Tasks that crash one after the other are no such deaths. */
static void a_hundred_crashing_tasks_break_nothing(void **state)
{
    skua_executor *ex = skt_processes(state);
    skua_future *fs[100];
    const int n = 10 + skt_rounds(90);
    for (int i = 0; i < n; i++)
        fs[i] = skua_submit(ex, skt_crash, NULL);
    for (int i = 0; i < n; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
        skua_release(fs[i]);
    }
    assert_true(skt_meet(ex));
    skua_stats stats;
    assert_status(skua_executor_stats(ex, &stats), SKUA_OK);
    assert_int_equal(stats.restarts, n);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(init_runs_once_in_each_worker_before_its_first_task),
        SKT_EACH(workers_have_the_memory_of_the_moment_of_the_pool),
        SKT_EACH(workers_have_their_names),
        SKT_TEST(handlers_of_the_program_are_back_to_their_defaults),
        SKT_EACH(a_failing_init_breaks_the_pool_with_its_words),
        SKT_EACH(a_crashing_init_breaks_the_pool),
        SKT_EACH(an_init_that_exits_breaks_the_pool),
        SKT_TEST(an_init_that_fails_in_a_replacement_breaks_the_pool),
        SKT_TEST(an_init_that_hangs_can_be_killed),
        SKT_EACH(workers_that_always_die_at_birth_break_the_pool),
        SKT_EACH(a_hundred_crashing_tasks_break_nothing),
    };
    return skt_main(argc, argv, "process_init", tests, SKT_COUNT(tests));
}
