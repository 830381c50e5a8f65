/* Faults that a task makes: each is the failure of its future, told as what it was, and
 * of nothing else. The numbers are those of the list of faults (docs/security.md has the kinds). */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/compiler.h"
#include "tests/support/gate.h"
#include "tests/support/process.h"

/* Runs one faulty task beside tasks in flight, and looks at what is left. */
static void expect(void **state, skua_fn *fn, skua_fault fault, int signal, int code)
{
    struct skt_std s;
    skua_future *f;
    skt_std_open(&s, skt_workers(state));
    const skua_error *e = skt_std_fault(&s, fn, &f);
    skt_check_fault(e, SKUA_CRASHED, fault, signal, code);
    assert_string_equal(e->task, "faulty");
    assert_true(e->worker < skt_workers(state));
    assert_status(skua_result(f, NULL, 0, 0), SKUA_CRASHED);
    assert_false(skua_cancelled(f));
    assert_false(skua_running(f));
    skt_std_close(&s);
    assert_status(skua_exception(f, 0)->status, SKUA_CRASHED);
    skua_release(f);
}

/* ---- signals --------------------------------------------------------------------------------- */

static int write_to_address_8(void *arg, void *result)
{
    (void)arg;
    (void)result;
    int *volatile nowhere = (int *)8;
    *nowhere = 1;
    return 0;
}

static void a_null_dereference_is_told_with_address_and_backtrace(void **state)
{
    struct skt_std s;
    skua_future *f;
    skt_std_open(&s, skt_workers(state));
    const skua_error *e = skt_std_fault(&s, write_to_address_8, &f);
    skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_NULL_DEREF, SIGSEGV, 0);
    assert_ptr_equal(e->address, (void *)8);
    assert_true(e->certain);
    assert_non_null(strstr(e->message, "null"));
    assert_non_null(strstr(e->backtrace, "#0 "));
    assert_non_null(strstr(e->backtrace, "write_to_address_8"));
    assert_string_equal(e->where, "");
    skt_std_close(&s);
    skua_release(f);
}

static int abort_at_once(void *arg, void *result)
{
    (void)arg;
    (void)result;
    abort();
}

static void an_abort_has_the_task_in_its_backtrace(void **state)
{
    struct skt_std s;
    skua_future *f;
    skt_std_open(&s, skt_workers(state));
    const skua_error *e = skt_std_fault(&s, abort_at_once, &f);
    skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_SIGNAL, SIGABRT, 0);
    assert_non_null(strstr(e->backtrace, "abort_at_once"));
    skt_std_close(&s);
    skua_release(f);
}

static volatile int deepest = INT_MAX; /* compilers complain about what never ends */

/* 8 KiB a call, and something to do after it, so that it is no loop. */
SK_NOINLINE static int go_deeper(int depth)
{
    if (depth == deepest)
        return 0;
    volatile char frame[8192];
    frame[0] = (char)depth;
    const int below = go_deeper(depth + 1);
    return below + frame[0];
}

static int recurse_for_ever(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return go_deeper(0);
}

static void a_stack_overflow_is_told_apart(void **state)
{
    struct skt_std s;
    skua_future *f;
    skt_std_open(&s, skt_workers(state));
    const skua_error *e = skt_std_fault(&s, recurse_for_ever, &f);
    skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_STACK_OVERFLOW, SIGSEGV, 0);
    assert_non_null(strstr(e->message, "stack"));
    assert_non_null(e->address);
    assert_non_null(strstr(e->backtrace, "go_deeper"));
    skt_std_close(&s);
    skua_release(f);
}

/* On aarch64 a division by zero gives 0. */
__attribute__((no_sanitize("undefined"))) static int divide_by_zero(void *arg, void *result)
{
    volatile int zero = 0, one = 1;
    (void)arg;
    (void)result;
    if (one / zero == 0)
        raise(SIGFPE);
    return 0;
}

static void a_division_by_zero_is_its_signal(void **state)
{
    expect(state, divide_by_zero, SKUA_FAULT_SIGNAL, SIGFPE, 0);
}

static int trap(void *arg, void *result)
{
    (void)arg;
    (void)result;
    __builtin_trap();
}

static void an_illegal_instruction_is_its_signal(void **state)
{
    struct skt_std s;
    skua_future *f;
    skt_std_open(&s, skt_workers(state));
    const skua_error *e = skt_std_fault(&s, trap, &f);
    const int signal = e->signal == SIGTRAP ? SIGTRAP : SIGILL; /* the former on aarch64 */
    skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_SIGNAL, signal, 0);
    skt_std_close(&s);
    skua_release(f);
}

static int touch_beyond_the_end_of_a_file(void *arg, void *result)
{
    (void)result;
    char **told = arg;
    const int fd = memfd_create("shrinks", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 4096) != 0)
        return 1;
    volatile char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED || ftruncate(fd, 0) != 0)
        return 2;
    *told = (char *)(uintptr_t)page;
    page[16] = 1;
    return 0;
}

static void a_bus_error_is_told_with_its_address(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    char **told = skua_shared_alloc(s.ex, sizeof *told);
    skua_future *f = skua_submit(s.ex, touch_beyond_the_end_of_a_file, told);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_SIGNAL, SIGBUS, 0);
    assert_ptr_equal(e->address, *told + 16);
    skua_shared_free(s.ex, told);
    skt_std_close(&s);
    skua_release(f);
}

static int write_where_nothing_may_be_written(void *arg, void *result)
{
    (void)result;
    char **told = arg;
    volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        return 1;
    *told = (char *)(uintptr_t)page;
    page[5] = 1;
    return 0;
}

static void a_wild_pointer_is_a_signal_with_its_address(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    char **told = skua_shared_alloc(s.ex, sizeof *told);
    skua_future *f = skua_submit(s.ex, write_where_nothing_may_be_written, told);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_SIGNAL, SIGSEGV, 0);
    assert_ptr_equal(e->address, *told + 5);
    skua_shared_free(s.ex, told);
    skt_std_close(&s);
    skua_release(f);
}

/* x86-64 reports such an address as 0, which must not be taken for a null pointer. */
static int write_to_no_address(void *arg, void *result)
{
    (void)arg;
    (void)result;
    char *volatile nowhere = (char *)(UINTPTR_MAX / 2 + 4097);
    *nowhere = 1;
    return 0;
}

static void an_address_that_cannot_be_is_no_null_dereference(void **state)
{
    expect(state, write_to_no_address, SKUA_FAULT_SIGNAL, SIGSEGV, 0);
}

static int send_itself_sigsegv(void *arg, void *result)
{
    (void)arg;
    (void)result;
    kill(getpid(), SIGSEGV);
    skt_pause(10); /* not synchronisation: the signal comes before */
    return 0;
}

static void a_sent_sigsegv_is_no_null_dereference(void **state)
{
    expect(state, send_itself_sigsegv, SKUA_FAULT_SIGNAL, SIGSEGV, 0);
}

static int abort_with_words(void *arg, void *result)
{
    (void)arg;
    *(int *)result = 5;
    skua_fail(9, "these words are lost");
    abort();
}

static void a_crash_after_words_and_result_is_a_crash(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    int value = 77;
    skua_future *f =
        skua_submit_task(s.ex, &(skua_task){ .fn = abort_with_words, .result_size = sizeof value });
    assert_status(skua_result(f, &value, sizeof value, SKUA_FOREVER), SKUA_CRASHED);
    assert_int_equal(value, 77);
    const skua_error *e = skua_exception(f, 0);
    skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_SIGNAL, SIGABRT, 0);
    assert_null(strstr(e->message, "these words"));
    skt_std_close(&s);
    skua_release(f);
}

/* ---- exits ----------------------------------------------------------------------------------- */

static int leave_with_7(void *arg, void *result)
{
    (void)arg;
    (void)result;
    _exit(7);
}

static int leave_with_0(void *arg, void *result)
{
    (void)arg;
    (void)result;
    _exit(0);
}

static int exit_with_3(void *arg, void *result)
{
    (void)arg;
    (void)result;
    exit(3);
}

static void leaving_is_told_with_the_code(void **state)
{
    expect(state, leave_with_7, SKUA_FAULT_EXIT, 0, 7);
}

static void leaving_with_0_is_a_fault_too(void **state)
{
    expect(state, leave_with_0, SKUA_FAULT_EXIT, 0, 0);
}

/* exit() runs the handlers that the program has set, which must not wait for its pools here. */
static void exit_is_told_with_the_code(void **state)
{
    expect(state, exit_with_3, SKUA_FAULT_EXIT, 0, 3);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_null_dereference_is_told_with_address_and_backtrace),
        SKT_EACH(an_abort_has_the_task_in_its_backtrace),
        SKT_TEST(a_stack_overflow_is_told_apart),
        SKT_TEST(a_division_by_zero_is_its_signal),
        SKT_TEST(an_illegal_instruction_is_its_signal),
        SKT_TEST(a_bus_error_is_told_with_its_address),
        SKT_TEST(a_wild_pointer_is_a_signal_with_its_address),
        SKT_TEST(an_address_that_cannot_be_is_no_null_dereference),
        SKT_TEST(a_sent_sigsegv_is_no_null_dereference),
        SKT_TEST(a_crash_after_words_and_result_is_a_crash),
        SKT_EACH(leaving_is_told_with_the_code),
        SKT_TEST(leaving_with_0_is_a_fault_too),
        SKT_TEST(exit_is_told_with_the_code),
    };
    return skt_main(argc, argv, "process_faults", tests, SKT_COUNT(tests));
}
