/* Tasks that misuse signals, jumps, forks, programs and limits of their own process. As with all
 * faults: the task ends in some way that is told, and everything else is right. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

/* ---- signals --------------------------------------------------------------------------------- */

static int block_all_signals_and_crash(void *arg, void *result)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return skt_crash(arg, result);
}

static int ignore_sigsegv_and_crash(void *arg, void *result)
{
    signal(SIGSEGV, SIG_IGN);
    return skt_crash(arg, result);
}

static int default_sigsegv_and_crash(void *arg, void *result)
{
    signal(SIGSEGV, SIG_DFL);
    return skt_crash(arg, result);
}

/* No handler of ours gets to run, so the kind may be the bare signal. */
static void a_crash_that_no_handler_sees_is_still_told(void **state)
{
    static skua_fn *const fns[] = { block_all_signals_and_crash, ignore_sigsegv_and_crash,
                                    default_sigsegv_and_crash };
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    for (size_t i = 0; i < SKT_COUNT(fns); i++) {
        skua_future *f;
        const skua_error *e = skt_std_fault(&s, fns[i], &f);
        assert_true(e->fault == SKUA_FAULT_SIGNAL || e->fault == SKUA_FAULT_NULL_DEREF);
        skt_check_fault(e, SKUA_CRASHED, e->fault, SIGSEGV, 0);
        skua_release(f);
        skt_std_check(&s);
    }
    skt_std_close(&s);
}

static int block_all_signals_and_return(void *arg, void *result)
{
    sigset_t all;
    (void)arg;
    (void)result;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return 0;
}

static void a_task_may_leave_all_signals_blocked(void **state)
{
    assert_status(skt_survive(skt_workers(state), block_all_signals_and_return, NULL, 0), SKUA_OK);
}

static int block_all_signals_and_spin(void *arg, void *result)
{
    block_all_signals_and_return(arg, result);
    return skt_spin(arg, result);
}

static void blocked_signals_do_not_hold_up_a_time_limit(void **state)
{
    const skua_status status =
        skt_survive(skt_workers(state), block_all_signals_and_spin, NULL, 0.1);
    assert_status(status, SKUA_EXPIRED);
}

static void return_from_handler(int signo)
{
    (void)signo;
}

/* The instruction faults again each time its handler returns. */
static int fault_for_ever(void *arg, void *result)
{
    signal(SIGSEGV, return_from_handler);
    return skt_crash(arg, result);
}

static void a_handler_that_returns_into_the_fault_expires(void **state)
{
    assert_status(skt_survive(skt_workers(state), fault_for_ever, NULL, 0.1), SKUA_EXPIRED);
}

static int stop_itself(void *arg, void *result)
{
    (void)arg;
    (void)result;
    raise(SIGSTOP);
    return 0;
}

static void a_stopped_task_expires(void **state)
{
    const double start = skt_now();
    assert_status(skt_survive(skt_workers(state), stop_itself, NULL, 0.1), SKUA_EXPIRED);
    assert_true(skt_now() - start < 10 * skt_slow_factor());
}

static int send_its_group_sigint(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return raise(SIGINT) == 0 ? 0 : 1;
}

static void workers_ignore_sigint(void **state)
{
    assert_status(skt_survive(skt_workers(state), send_its_group_sigint, NULL, 0), SKUA_OK);
}

/* ---- control --------------------------------------------------------------------------------- */

static int jump_to_nowhere(void *arg, void *result)
{
    static jmp_buf garbage;
    (void)arg;
    (void)result;
    memset(&garbage, 0xa5, sizeof garbage);
    longjmp(garbage, 1);
}

static void a_jump_to_nowhere_is_a_crash(void **state)
{
    assert_status(skt_survive(skt_workers(state), jump_to_nowhere, NULL, 1), SKUA_CRASHED);
}

typedef int code_fn(void);

static int call_what_is_no_code(void *arg, void *result)
{
    static char data[64];
    (void)arg;
    (void)result;
    code_fn *volatile fn = (code_fn *)(uintptr_t)data;
    return fn();
}

static void a_call_into_data_is_a_crash(void **state)
{
    assert_status(skt_survive(skt_workers(state), call_what_is_no_code, NULL, 1), SKUA_CRASHED);
}

static int smash_the_stack(void *arg, void *result)
{
    volatile char small[16];
    (void)arg;
    (void)result;
    volatile char *volatile p = small;
    for (int i = 0; i < 4096; i++)
        p[i] = 0x5a;
    return small[3];
}

static void a_smashed_stack_is_a_crash(void **state)
{
    skua_status status = skt_survive(skt_workers(state), smash_the_stack, NULL, 1);
    assert_status(status, SKUA_CRASHED);
}

/* ---- processes ------------------------------------------------------------------------------- */

/* Both return. Only one of them is the worker. */
static int fork_and_return_twice(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return fork() >= 0 ? 0 : 1;
}

static void a_child_that_returns_too_is_no_worker(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    SK_ATOMIC(int) *runs = skt_counters(s.ex, 200);
    for (int i = 0; i < 5; i++) {
        skua_future *f;
        skt_std_fault(&s, fork_and_return_twice, &f);
        assert_true(skua_done(f));
        skua_release(f);
    }
    skua_future *fs[200];
    for (int i = 0; i < 200; i++)
        fs[i] = skua_submit(s.ex, skt_count, &runs[i]);
    for (int i = 0; i < 200; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(sk_load_acq(&runs[i]), 1);
        skua_release(fs[i]);
    }
    skt_std_close(&s);
}

static int exec_true(void *arg, void *result)
{
    (void)arg;
    (void)result;
    execl("/bin/true", "true", (char *)NULL);
    return skua_fail(1, "/bin/true cannot be started");
}

static void a_program_in_the_tasks_place_is_an_exit(void **state)
{
    struct skt_std s;
    skua_future *f;
    skt_std_open(&s, skt_workers(state));
    skt_check_fault(skt_std_fault(&s, exec_true, &f), SKUA_CRASHED, SKUA_FAULT_EXIT, 0, 0);
    skua_release(f);
    skt_std_close(&s);
}

static int exec_sleep(void *arg, void *result)
{
    (void)arg;
    (void)result;
    execl("/bin/sleep", "sleep", "1000", (char *)NULL);
    return skua_fail(1, "/bin/sleep cannot be started");
}

static void a_program_that_does_not_end_expires(void **state)
{
    assert_status(skt_survive(skt_workers(state), exec_sleep, NULL, 0.2), SKUA_EXPIRED);
}

static int run_a_child(void *arg, void *result)
{
    (void)arg;
    (void)result;
    const pid_t child = fork();
    if (child == 0)
        _exit(9);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child)
        return skua_fail(1, "no child, or somebody else has reaped it");
    return WIFEXITED(status) && WEXITSTATUS(status) == 9 ? 0 : skua_fail(2, "status %#x", status);
}

static void a_task_may_have_children_of_its_own(void **state)
{
    for (int i = 0; i < 3; i++)
        assert_status(skt_survive(skt_workers(state), run_a_child, NULL, 0), SKUA_OK);
}

/* ---- limits and places ----------------------------------------------------------------------- */

static int cripple_the_process(void *arg, void *result)
{
    (void)arg;
    (void)result;
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_NOFILE, &none);
    setrlimit(RLIMIT_NPROC, &none);
    setrlimit(RLIMIT_AS, &none);
    setrlimit(RLIMIT_FSIZE, &none);
    setrlimit(RLIMIT_STACK, &none);
    return chdir("/proc");
}

static void a_task_may_leave_its_process_crippled(void **state)
{
    const skua_status status = skt_survive(skt_workers(state), cripple_the_process, NULL, 0);
    if (!skt_has_asan()) /* which needs memory for itself */
        assert_status(status, SKUA_OK);
}

static int limit_cpu_and_spin(void *arg, void *result)
{
    const struct rlimit second = { 1, 1 };
    setrlimit(RLIMIT_CPU, &second);
    return skt_spin(arg, result);
}

/* The kernel answers with SIGKILL, which nobody has sent. */
static void a_limit_of_the_tasks_own_is_a_crash(void **state)
{
    assert_status(skt_survive(skt_workers(state), limit_cpu_and_spin, NULL, 0), SKUA_CRASHED);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_crash_that_no_handler_sees_is_still_told),
        SKT_TEST(a_task_may_leave_all_signals_blocked),
        SKT_TEST(blocked_signals_do_not_hold_up_a_time_limit),
        SKT_TEST(a_handler_that_returns_into_the_fault_expires),
        SKT_TEST(a_stopped_task_expires),
        SKT_TEST(workers_ignore_sigint),
        SKT_TEST(a_jump_to_nowhere_is_a_crash),
        SKT_TEST(a_call_into_data_is_a_crash),
        SKT_TEST(a_smashed_stack_is_a_crash),
        SKT_EACH(a_child_that_returns_too_is_no_worker),
        SKT_TEST(a_program_in_the_tasks_place_is_an_exit),
        SKT_TEST(a_program_that_does_not_end_expires),
        SKT_TEST(a_task_may_have_children_of_its_own),
        SKT_TEST(a_task_may_leave_its_process_crippled),
        SKT_TEST(a_limit_of_the_tasks_own_is_a_crash),
    };
    return skt_main(argc, argv, "process_mischief", tests, SKT_COUNT(tests));
}
