/* Crashes of real children: each dies of the very signal, and its record says what happened. */
#define _GNU_SOURCE
#include "process/crash.h"

#include <errno.h>
#include <unistd.h>

#include "tests/process/crasher.h"

static volatile int forever = 1;

/* --- memory that is not there --- */

static void a_null_pointer_is_told_with_its_address(void **state)
{
    (void)state;
    const struct outcome o = run(write_to_null);
    check(&o, SIGSEGV, SEGV_MAPERR);
    assert_int_equal(o.record.address, 8);
    assert_int_equal(o.record.in_runner, 1);
    assert_true(o.record.stack_low < o.record.sp && o.record.sp < o.record.stack_high);
    assert_int_equal(o.verdict.fault, SKUA_FAULT_NULL_DEREF);
    assert_ptr_equal(o.verdict.address, (void *)8);
    check_frames_name(&o, "#0 write_to_null");
    check_frames_name(&o, "skt_fork"); /* the way there */
}

CRASHES static int write_to_read_only(void)
{
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    shared->hint = (uintptr_t)page;
    page[5] = 1;
    return 0;
}

static void a_write_to_read_only_memory_is_told_with_its_address(void **state)
{
    (void)state;
    const struct outcome o = run(write_to_read_only);
    check(&o, SIGSEGV, SEGV_ACCERR);
    assert_true(o.record.address == shared->hint + 5);
    assert_int_equal(o.verdict.fault, SKUA_FAULT_SIGNAL);
    assert_true((uintptr_t)o.verdict.address == shared->hint + 5);
    assert_true(o.verdict.certain);
}

CRASHES static int read_beyond_a_file(void)
{
    int fd = memfd_create("short", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, 4096) != 0)
        return 101;
    volatile char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (ftruncate(fd, 0) != 0)
        return 102;
    shared->hint = (uintptr_t)page;
    return page[7];
}

static void a_truncated_file_is_a_bus_error(void **state)
{
    (void)state;
    const struct outcome o = run(read_beyond_a_file);
    check(&o, SIGBUS, BUS_ADRERR);
    assert_true((uintptr_t)o.verdict.address == shared->hint + 7);
    assert_int_equal(o.verdict.fault, SKUA_FAULT_SIGNAL);
}

static int (*volatile nowhere)(int) = NULL;

CRASHES static int call_nowhere(void)
{
    return nowhere(3) + 1; /* not a jump */
}

static void a_call_of_a_null_pointer_names_its_caller(void **state)
{
    (void)state;
    const struct outcome o = run(call_nowhere);
    check(&o, SIGSEGV, SEGV_MAPERR);
    assert_true(o.record.ip == 0 && o.record.address == 0);
    assert_int_equal(o.verdict.fault, SKUA_FAULT_NULL_DEREF);
    assert_non_null(strstr(o.verdict.message, "function"));
    check_frames_name(&o, "#1 call_nowhere");
    check_frames_name(&o, "skt_fork"); /* the way there */
}

/* --- the stack --- */

CRASHES static int deep(int n)
{
    volatile char frame[8192];
    frame[0] = (char)n;
    return forever ? deep(n + 1) + frame[0] : 0;
}

static int recurse(void)
{
    return deep(0);
}

CRASHES static int shallow(volatile int *n)
{
    *n += 1;
    return forever ? shallow(n) + *n : 0;
}

static int recurse_in_small_steps(void)
{
    int n = 0;
    return shallow(&n);
}

CRASHES static int fill_large_array(void)
{
    volatile char array[20 << 20];
    for (size_t i = 0; i < sizeof array; i += 1000)
        array[i] = 1;
    return array[5000];
}

static void check_overflow(const struct outcome *o)
{
    assert_int_equal(o->signal, SIGSEGV);
    assert_true(o->has_record);
    assert_int_equal(shared->nr_notices, 1);
    assert_int_equal(o->verdict.fault, SKUA_FAULT_STACK_OVERFLOW);
    assert_true(o->verdict.certain);
}

static void an_endless_recursion_is_a_stack_overflow(void **state)
{
    (void)state;
    struct outcome o = run(recurse);
    check_overflow(&o);
    assert_int_equal(o.record.nr_frames, SK_CRASH_FRAMES);
    check_frames_name(&o, "#40 deep");
    o = run(recurse_in_small_steps);
    check_overflow(&o);
    check_frames_name(&o, "#40 shallow");
}

static void a_frame_larger_than_the_stack_is_a_stack_overflow(void **state)
{
    (void)state;
    const struct outcome o = run(fill_large_array);
    check_overflow(&o);
}

static void *fork_and_overflow(void *arg)
{
    *(struct outcome *)arg = run(recurse);
    return NULL;
}

static void a_child_of_another_thread_knows_its_stack(void **state)
{
    (void)state;
    struct outcome o;
    skt_join(skt_thread(fork_and_overflow, &o));
    check_overflow(&o);
}

/* --- other signals --- */

static void the_frames_of_an_abort_contain_its_caller(void **state)
{
    (void)state;
    const struct outcome o = run(call_abort);
    check(&o, SIGABRT, SI_TKILL);
    check_frames_name(&o, "call_abort");
    check_frames_name(&o, "skt_fork"); /* the way there */
    assert_int_equal(o.verdict.fault, SKUA_FAULT_SIGNAL);
    assert_null(o.verdict.address);
}

static volatile int zero;

CRASHES static int divide_by_zero(void)
{
    return 7 / zero;
}

static void a_division_by_zero_is_told(void **state)
{
    (void)state;
    const struct outcome o = run(divide_by_zero);
    if (o.signal == 0) {
        print_message("this processor does not trap divisions\n");
        skip();
    }
    check(&o, SIGFPE, FPE_INTDIV);
    assert_non_null(strstr(o.verdict.message, "division by zero"));
    check_frames_name(&o, "#0 divide_by_zero");
}

CRASHES static int trap(void)
{
    __builtin_trap();
}

static void a_trap_is_told(void **state)
{
    (void)state;
    const struct outcome o = run(trap);
    assert_true(o.signal == SIGILL || o.signal == SIGTRAP);
    check(&o, o.signal, o.record.code);
    assert_int_equal(o.verdict.fault, SKUA_FAULT_SIGNAL);
    check_frames_name(&o, "#0 trap");
}

static int signal_to_raise;

static int raise_it(void)
{
    raise(signal_to_raise);
    return 103;
}

static void a_signal_that_was_sent_kills_too(void **state)
{
    (void)state;
    const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS };
    for (size_t i = 0; i < SKT_COUNT(signals); i++) {
        signal_to_raise = signals[i];
        const struct outcome o = run(raise_it);
        check(&o, signals[i], SI_TKILL);
        assert_int_equal(o.record.address, 0);
        assert_int_equal(o.verdict.fault, SKUA_FAULT_SIGNAL);
        check_frames_name(&o, "raise_it");
    }
}

/* --- who it was --- */

static void *crash_here(void *arg)
{
    (void)arg;
    write_to_null();
    return NULL;
}

static int crash_in_thread(void)
{
    pthread_join(skt_thread(crash_here, NULL), NULL);
    return 104;
}

static void another_thread_is_told_from_the_runner(void **state)
{
    (void)state;
    const struct outcome o = run(crash_in_thread);
    check(&o, SIGSEGV, SEGV_MAPERR);
    assert_int_equal(o.record.in_runner, 0);
    assert_true(o.record.stack_low == 0 && o.record.stack_high == 0);
    assert_int_equal(o.verdict.fault, SKUA_FAULT_NULL_DEREF);
    check_frames_name(&o, "crash_here");
}

static int crash_in_two_threads(void)
{
    const pthread_t thread = skt_thread(crash_here, NULL);
    write_to_null();
    skt_join(thread);
    return 105;
}

static void threads_that_crash_together_leave_one_record(void **state)
{
    (void)state;
    for (int i = 0; i < skt_rounds(20); i++) {
        const struct outcome o = run(crash_in_two_threads);
        check(&o, SIGSEGV, SEGV_MAPERR);
        assert_true(o.record.nr_frames > 1);
    }
}

static int crash_in_forked_child(void)
{
    const pid_t child = fork();
    if (child == 0)
        write_to_null();
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV ? 0 : 106;
}

static void a_process_that_the_worker_forks_has_no_record(void **state)
{
    (void)state;
    const struct outcome o = run(crash_in_forked_child);
    assert_int_equal(o.status, 0);
    assert_false(o.has_record);
    assert_int_equal(shared->nr_notices, 0);
}

static void leave(int signo)
{
    (void)signo;
    _exit(3);
}

static int crash_with_own_handler(void)
{
    signal(SIGSEGV, leave);
    return write_to_null();
}

static void a_handler_of_the_task_takes_our_place(void **state)
{
    (void)state;
    const struct outcome o = run(crash_with_own_handler);
    assert_int_equal(o.status, 3);
    assert_false(o.has_record);
    assert_int_equal(shared->nr_notices, 0);
}

static int crash_without_memory(void)
{
    errno = ENOMEM;
    return write_to_null();
}

static void errno_is_that_of_the_crash(void **state)
{
    (void)state;
    skip_under_tsan("changes errno before it calls a handler");
    const struct outcome o =
        run_with(crash_without_memory, (struct sk_death){ .memory_limit = 256 << 20 });
    check(&o, SIGSEGV, SEGV_MAPERR);
    assert_int_equal(o.record.error, ENOMEM);
    assert_int_equal(o.verdict.fault, SKUA_FAULT_MEMORY_LIMIT);
    assert_false(o.verdict.certain);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CRASH(a_null_pointer_is_told_with_its_address),
        CRASH(a_write_to_read_only_memory_is_told_with_its_address),
        CRASH(a_truncated_file_is_a_bus_error),
        CRASH(a_call_of_a_null_pointer_names_its_caller),
        CRASH(an_endless_recursion_is_a_stack_overflow),
        CRASH(a_frame_larger_than_the_stack_is_a_stack_overflow),
        CRASH(a_child_of_another_thread_knows_its_stack),
        CRASH(the_frames_of_an_abort_contain_its_caller),
        CRASH(a_division_by_zero_is_told),
        CRASH(a_trap_is_told),
        CRASH(a_signal_that_was_sent_kills_too),
        CRASH(another_thread_is_told_from_the_runner),
        CRASH(threads_that_crash_together_leave_one_record),
        CRASH(a_process_that_the_worker_forks_has_no_record),
        CRASH(a_handler_of_the_task_takes_our_place),
        CRASH(errno_is_that_of_the_crash),
    };
    leave_no_core_files();
    return skt_main(argc, argv, "crash", tests, SKT_COUNT(tests));
}
