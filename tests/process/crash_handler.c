/* link: -Wl,--wrap=_Unwind_Backtrace */
/* Crash handlers in trouble: the unwinder crashes or hangs, the stack is broken, memory is out. */
#define _GNU_SOURCE
#include "process/crash.h"

#include <errno.h>
#include <unistd.h>
#include <unwind.h>

#include "tests/process/crasher.h"

/* --- an unwinder that can be made to fail --- */

enum unwinder {
    UNWINDER_WORKS,
    UNWINDER_SEGFAULTS,
    UNWINDER_ABORTS,
    UNWINDER_HANGS
};

static enum unwinder unwinder;

_Unwind_Reason_Code __real__Unwind_Backtrace(_Unwind_Trace_Fn trace, void *arg);
_Unwind_Reason_Code __wrap__Unwind_Backtrace(_Unwind_Trace_Fn trace, void *arg);

CRASHES _Unwind_Reason_Code __wrap__Unwind_Backtrace(_Unwind_Trace_Fn trace, void *arg)
{
    if (unwinder == UNWINDER_SEGFAULTS)
        *(volatile int *)address_of(16) = 1;
    if (unwinder == UNWINDER_ABORTS)
        abort();
    while (unwinder == UNWINDER_HANGS)
        pause();
    return __real__Unwind_Backtrace(trace, arg);
}

/* --- crashes --- */

static void the_notice_comes_before_the_frames(void **state)
{
    (void)state;
    const struct outcome o = run(write_to_null);
    assert_int_equal(shared->valid_at_notice, 1);
    assert_int_equal(shared->frames_at_notice, 1);
    assert_true(o.record.nr_frames > 1);
}

static int fail_the_unwinder(enum unwinder how, int (*crash)(void))
{
    unwinder = how;
    return crash();
}

static int crash_twice(void)
{
    return fail_the_unwinder(UNWINDER_SEGFAULTS, write_to_null);
}

static int abort_then_crash(void)
{
    return fail_the_unwinder(UNWINDER_SEGFAULTS, call_abort);
}

static int crash_then_abort(void)
{
    return fail_the_unwinder(UNWINDER_ABORTS, write_to_null);
}

static void a_crash_in_the_handler_leaves_the_first_record(void **state)
{
    (void)state;
    skip_under_tsan("calls no handler within another");
    struct outcome o = run(crash_twice);
    check(&o, SIGSEGV, SEGV_MAPERR);
    assert_int_equal(o.record.address, 8);
    assert_int_equal(o.record.nr_frames, 1);
    o = run(abort_then_crash);
    check(&o, SIGABRT, SI_TKILL);
    o = run(crash_then_abort);
    check(&o, SIGSEGV, SEGV_MAPERR);
}

static int crash_then_hang(void)
{
    return fail_the_unwinder(UNWINDER_HANGS, write_to_null);
}

static void a_handler_that_hangs_is_ended(void **state)
{
    (void)state;
    const struct outcome o = run(crash_then_hang);
    check(&o, SIGSEGV, SEGV_MAPERR);
    assert_int_equal(o.record.nr_frames, 1);
}

/* Everything above the frame is garbage, the return address and the saved registers too. */
CRASHES static int crash_with_broken_stack(void)
{
    volatile uintptr_t *words = __builtin_frame_address(0);
    for (size_t i = 0; i < 40; i++)
        words[i] = 0x5a5a5a5a5a5a5a5a;
    return write_to_null();
}

static void a_broken_stack_still_gives_a_record(void **state)
{
    (void)state;
    const struct outcome o = run(crash_with_broken_stack);
    check(&o, SIGSEGV, SEGV_MAPERR);
    assert_int_equal(o.record.address, 8);
    check_frames_name(&o, "#0 write_to_null");
}

static bool refuse(size_t size)
{
    (void)size;
    return false;
}

static int watch_without_memory(void *arg)
{
    (void)arg;
    sk_mem_set_hook(refuse);
    return -sk_crash_watch(&shared->record, note, shared);
}

static void without_memory_for_a_stack_nothing_is_watched(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(watch_without_memory, NULL).status, ENOMEM);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        CRASH(the_notice_comes_before_the_frames),
        CRASH(a_crash_in_the_handler_leaves_the_first_record),
        CRASH(a_handler_that_hangs_is_ended),
        CRASH(a_broken_stack_still_gives_a_record),
        CRASH(without_memory_for_a_stack_nothing_is_watched),
    };
    leave_no_core_files();
    return skt_main(argc, argv, "crash_handler", tests, SKT_COUNT(tests));
}
