/* Each way to die and its verdict. Pure: the deaths are made up. */
#define _GNU_SOURCE
#include "process/verdict.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "tests/support/harness.h"

enum {
    MIB = 1024 * 1024
};

static const uint64_t stack_low = 0x7ffe00000000, stack_high = 0x7ffe00800000;

static struct sk_verdict reach(struct sk_death death)
{
    struct sk_verdict verdict;
    memset(&verdict, 0xaa, sizeof verdict);
    if (death.task == NULL)
        death.task = "solve";
    sk_verdict_reach(&death, &verdict);
    print_message("%s\n", verdict.message);
    return verdict;
}

static struct sk_verdict killed(int signo)
{
    return reach((struct sk_death){ .code = CLD_KILLED, .status = signo, .ran = 0.12 });
}

static struct sk_verdict killed_for(enum sk_kill kill)
{
    return reach((struct sk_death){ .kill = kill,
                                    .code = CLD_KILLED,
                                    .status = SIGKILL,
                                    .time_limit = 0.05,
                                    .ran = 0.0512,
                                    .peak_bytes = 312 * (uint64_t)MIB,
                                    .memory_limit = 256 * MIB,
                                    .protocol = "a reply of 7 PiB" });
}

/* A record of the runner, with its stack pointer in the middle of its stack. */
static struct sk_crash_record record_of(int signo, int code, uint64_t address)
{
    return (struct sk_crash_record){ .signal = signo,
                                     .code = code,
                                     .in_runner = 1,
                                     .address = address,
                                     .ip = 0x401000,
                                     .sp = stack_high - 4096,
                                     .stack_low = stack_low,
                                     .stack_high = stack_high,
                                     .nr_frames = 1 };
}

static struct sk_verdict recorded(int signo, const struct sk_crash_record *record)
{
    return reach(
        (struct sk_death){ .code = CLD_KILLED, .status = signo, .record = record, .ran = 0.12 });
}

#define check(v, wanted_status, wanted_fault, wanted_certain)                                      \
    do {                                                                                           \
        assert_status((v).status, wanted_status);                                                  \
        assert_int_equal((v).fault, wanted_fault);                                                 \
        assert_int_equal((v).certain, wanted_certain);                                             \
    } while (0)

/* --- exits and kills --- */

static void an_exit_is_one_whatever_its_code(void **state)
{
    (void)state;
    struct sk_verdict v = reach((struct sk_death){ .code = CLD_EXITED, .status = 7 });
    check(v, SKUA_CRASHED, SKUA_FAULT_EXIT, true);
    assert_int_equal(v.code, 7);
    assert_int_equal(v.signal, 0);
    assert_string_equal(v.message, "the process of solve called exit(7)");
    v = reach((struct sk_death){ .code = CLD_EXITED, .status = 0 });
    check(v, SKUA_CRASHED, SKUA_FAULT_EXIT, true);
    assert_int_equal(v.code, 0);
}

static void a_kill_is_what_it_was_sent_for(void **state)
{
    (void)state;
    struct sk_verdict v = killed_for(SK_KILL_TIME_LIMIT);
    check(v, SKUA_EXPIRED, SKUA_FAULT_TIMEOUT, true);
    assert_int_equal(v.signal, SIGKILL);
    assert_string_equal(
        v.message,
        "solve passed its time_limit of 0.05 s and its process was killed, after 0.0512 s");
    v = killed_for(SK_KILL_MEMORY);
    check(v, SKUA_CRASHED, SKUA_FAULT_MEMORY_LIMIT, true);
    assert_string_equal(
        v.message,
        "solve used more memory than its memory_limit: 312 MiB at most, 256 MiB allowed");
    v = killed_for(SK_KILL_STOP);
    check(v, SKUA_CANCELLED, SKUA_FAULT_NONE, true);
    v = killed_for(SK_KILL_PROTOCOL);
    check(v, SKUA_CRASHED, SKUA_FAULT_PROTOCOL, true);
    assert_non_null(strstr(v.message, "a reply of 7 PiB"));
    v = killed_for(SK_KILL_LOST);
    check(v, SKUA_CRASHED, SKUA_FAULT_WORKER_LOST, true);
}

static void a_worker_that_died_before_the_kill_died_of_its_own(void **state)
{
    (void)state;
    const struct sk_crash_record record = record_of(SIGSEGV, SEGV_MAPERR, 8);
    for (enum sk_kill kill = SK_KILL_TIME_LIMIT; kill <= SK_KILL_LOST; kill++) {
        struct sk_verdict v =
            reach((struct sk_death){ .kill = kill, .code = CLD_EXITED, .status = 1 });
        check(v, SKUA_CRASHED, SKUA_FAULT_EXIT, true);
        v = reach((struct sk_death){
            .kill = kill, .code = CLD_DUMPED, .status = SIGSEGV, .record = &record });
        check(v, SKUA_CRASHED, SKUA_FAULT_NULL_DEREF, true);
    }
}

static void without_a_status_the_kill_is_believed(void **state)
{
    (void)state;
    struct sk_verdict v = reach((struct sk_death){ .kill = SK_KILL_LOST });
    check(v, SKUA_CRASHED, SKUA_FAULT_WORKER_LOST, true);
    v = reach((struct sk_death){ .kill = SK_KILL_NONE });
    check(v, SKUA_CRASHED, SKUA_FAULT_WORKER_LOST, true);
    v = reach((struct sk_death){ .kill = SK_KILL_TIME_LIMIT, .time_limit = 1 });
    check(v, SKUA_EXPIRED, SKUA_FAULT_TIMEOUT, true);
}

static void a_kill_of_nobody_s_may_be_for_want_of_memory(void **state)
{
    (void)state;
    struct sk_verdict v = killed(SIGKILL);
    check(v, SKUA_CRASHED, SKUA_FAULT_KILLED, true);
    assert_int_equal(v.signal, SIGKILL);
    assert_string_equal(v.message,
                        "the process of solve was killed from outside by SIGKILL, after 0.12 s");
    struct sk_death death = { .code = CLD_KILLED, .status = SIGKILL, .oom = SK_OOM_LIKELY };
    v = reach(death);
    check(v, SKUA_CRASHED, SKUA_FAULT_OOM_KILLED, false);
    assert_non_null(strstr(v.message, "memory"));
    death.oom = SK_OOM_CERTAIN;
    death.peak_bytes = 3ull << 30;
    v = reach(death);
    check(v, SKUA_CRASHED, SKUA_FAULT_OOM_KILLED, true);
    assert_non_null(strstr(v.message, "3.0 GiB"));
    death.status = SIGTERM; /* the killer sends SIGKILL alone */
    v = reach(death);
    check(v, SKUA_CRASHED, SKUA_FAULT_KILLED, true);
}

static void signals_from_outside_are_told_from_faults(void **state)
{
    (void)state;
    const int outside[] = { SIGTERM, SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGRTMIN + 1 };
    for (size_t i = 0; i < SKT_COUNT(outside); i++) {
        const struct sk_verdict v = killed(outside[i]);
        check(v, SKUA_CRASHED, SKUA_FAULT_KILLED, true);
        assert_int_equal(v.signal, outside[i]);
    }
    const int own[] = { SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT, SIGTRAP,
                        SIGSYS,  SIGPIPE, SIGALRM, SIGXCPU, SIGXFSZ };
    for (size_t i = 0; i < SKT_COUNT(own); i++) {
        const struct sk_verdict v = killed(own[i]);
        check(v, SKUA_CRASHED, SKUA_FAULT_SIGNAL, true);
        assert_int_equal(v.signal, own[i]);
        assert_null(v.address);
    }
}

/* --- faults --- */

static void an_address_below_64_kib_is_a_null_pointer(void **state)
{
    (void)state;
    struct sk_crash_record record = record_of(SIGSEGV, SEGV_MAPERR, 8);
    struct sk_verdict v = recorded(SIGSEGV, &record);
    check(v, SKUA_CRASHED, SKUA_FAULT_NULL_DEREF, true);
    assert_ptr_equal(v.address, (void *)8);
    assert_string_equal(
        v.message, "solve: SIGSEGV: a null pointer was dereferenced (address 0x8), after 0.12 s");
    record.address = 65535;
    check(recorded(SIGSEGV, &record), SKUA_CRASHED, SKUA_FAULT_NULL_DEREF, true);
    record.address = 65536;
    v = recorded(SIGSEGV, &record);
    check(v, SKUA_CRASHED, SKUA_FAULT_SIGNAL, true);
    assert_ptr_equal(v.address, (void *)65536);
    record.address = record.ip = 0;
    assert_non_null(strstr(recorded(SIGSEGV, &record).message, "null function"));
}

/* Of an address that is no address the processor says 0. */
static void an_impossible_address_is_no_null_pointer(void **state)
{
    (void)state;
    const struct sk_crash_record record = record_of(SIGSEGV, SI_KERNEL, 0);
    const struct sk_verdict v = recorded(SIGSEGV, &record);
    check(v, SKUA_CRASHED, SKUA_FAULT_SIGNAL, true);
    assert_null(strstr(v.message, "address 0x"));
}

static void a_signal_that_was_sent_is_no_null_pointer(void **state)
{
    (void)state;
    const int codes[] = { SI_USER, SI_QUEUE, SI_TKILL };
    for (size_t i = 0; i < SKT_COUNT(codes); i++) {
        struct sk_crash_record record = record_of(SIGSEGV, codes[i], 0);
        record.error = ENOMEM;
        const struct sk_verdict v = reach((struct sk_death){
            .code = CLD_KILLED, .status = SIGSEGV, .record = &record, .memory_limit = MIB });
        check(v, SKUA_CRASHED, SKUA_FAULT_SIGNAL, true);
        assert_null(v.address);
        assert_non_null(strstr(v.message, "sent"));
    }
}

static void a_record_of_another_signal_is_not_believed(void **state)
{
    (void)state;
    const struct sk_crash_record record = record_of(SIGSEGV, SEGV_MAPERR, 8);
    const struct sk_verdict v = recorded(SIGABRT, &record);
    check(v, SKUA_CRASHED, SKUA_FAULT_SIGNAL, true);
    assert_int_equal(v.signal, SIGABRT);
    assert_null(v.address);
}

static void check_overflow(uint64_t address, uint64_t sp, bool overflow)
{
    const int codes[] = { SEGV_MAPERR, SEGV_ACCERR }; /* a gap, and a guard page */
    for (size_t i = 0; i < SKT_COUNT(codes); i++) {
        struct sk_crash_record record = record_of(SIGSEGV, codes[i], address);
        record.sp = sp;
        const struct sk_verdict v = recorded(SIGSEGV, &record);
        check(v, SKUA_CRASHED, overflow ? SKUA_FAULT_STACK_OVERFLOW : SKUA_FAULT_SIGNAL, true);
        assert_true(v.address == (void *)(uintptr_t)address);
    }
}

static void a_fault_at_the_stack_s_end_is_an_overflow(void **state)
{
    (void)state;
    check_overflow(stack_low - 8, stack_low, true);
    check_overflow(stack_low - 8192, stack_low - 8192, true);
    check_overflow(stack_low - MIB + 4096, stack_low + 64, true);
    check_overflow(stack_low - 10 * MIB, stack_low - 20 * MIB, true); /* a large array */
    check_overflow(stack_low - 8, stack_high - 4096, false);          /* a wild pointer */
    check_overflow(stack_low - 100 * (uint64_t)MIB, stack_high - 4096, false);
    check_overflow(stack_low + 2 * MIB, stack_low + 2 * MIB, false);
}

static void an_overflow_of_an_unknown_stack_is_likely(void **state)
{
    (void)state;
    struct sk_crash_record record = record_of(SIGSEGV, SEGV_ACCERR, 0x7f0000001000 - 8);
    record.sp = 0x7f0000001000;
    check(recorded(SIGSEGV, &record), SKUA_CRASHED, SKUA_FAULT_STACK_OVERFLOW, false);
    record.stack_low = record.stack_high = 0;
    check(recorded(SIGSEGV, &record), SKUA_CRASHED, SKUA_FAULT_STACK_OVERFLOW, false);
    record.address = 0x7f0010001000;
    check(recorded(SIGSEGV, &record), SKUA_CRASHED, SKUA_FAULT_SIGNAL, true);
}

static void a_refused_allocation_is_likely_the_limit(void **state)
{
    (void)state;
    const int signals[] = { SIGSEGV, SIGBUS, SIGABRT };
    for (size_t i = 0; i < SKT_COUNT(signals); i++) {
        const int code = signals[i] == SIGABRT ? SI_TKILL : 1;
        struct sk_crash_record record = record_of(signals[i], code, 0);
        record.error = ENOMEM;
        struct sk_death death = {
            .code = CLD_KILLED, .status = signals[i], .record = &record, .memory_limit = 256 * MIB
        };
        const struct sk_verdict v = reach(death);
        check(v, SKUA_CRASHED, SKUA_FAULT_MEMORY_LIMIT, false);
        assert_int_equal(v.signal, signals[i]);
        assert_non_null(strstr(v.message, "memory"));
        assert_non_null(strstr(v.message, "256 MiB"));
        death.memory_limit = 0;
        assert_int_not_equal(reach(death).fault, SKUA_FAULT_MEMORY_LIMIT);
    }
    struct sk_crash_record record = record_of(SIGSEGV, SEGV_MAPERR, stack_low - 8);
    record.sp = stack_low;
    record.error = ENOMEM; /* the stack has a limit of its own */
    check(
        reach((struct sk_death){
            .code = CLD_KILLED, .status = SIGSEGV, .record = &record, .memory_limit = 256 * MIB }),
        SKUA_CRASHED, SKUA_FAULT_STACK_OVERFLOW, true);
}

static void causes_have_words(void **state)
{
    (void)state;
    const struct {
        int signal, code;
        const char *words;
    } causes[] = {
        { SIGFPE, FPE_INTDIV, "integer division by zero" },
        { SIGSEGV, SEGV_ACCERR, "written" },
        { SIGBUS, BUS_ADRERR, "file" },
        { SIGBUS, BUS_ADRALN, "aligned" },
        { SIGABRT, SI_TKILL, "abort()" },
        { SIGABRT, SI_USER, "sent" },
        { SIGSYS, 1, "system call" },
        { SIGILL, ILL_ILLOPN, "instruction" },
        { SIGFPE, 77, "arithmetic" },
    };
    for (size_t i = 0; i < SKT_COUNT(causes); i++) {
        const struct sk_crash_record record =
            record_of(causes[i].signal, causes[i].code, 0x12345678);
        const struct sk_verdict v = recorded(causes[i].signal, &record);
        check(v, SKUA_CRASHED, SKUA_FAULT_SIGNAL, true);
        if (strstr(v.message, causes[i].words) == NULL)
            fail_msg("no \"%s\" in \"%s\"", causes[i].words, v.message);
    }
}

/* --- words --- */

static void a_task_without_a_name_is_the_task(void **state)
{
    (void)state;
    const struct sk_verdict v =
        reach((struct sk_death){ .code = CLD_EXITED, .status = 7, .task = "" });
    assert_string_equal(v.message, "the process of the task called exit(7)");
}

static void long_names_are_cut(void **state)
{
    (void)state;
    char name[1000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (enum sk_kill kill = SK_KILL_NONE; kill <= SK_KILL_LOST; kill++) {
        const struct sk_verdict v = reach((struct sk_death){ .kill = kill,
                                                             .code = CLD_KILLED,
                                                             .status = SIGKILL,
                                                             .task = name,
                                                             .protocol = name,
                                                             .ran = 1e12 });
        assert_true(strlen(v.message) < sizeof v.message);
    }
}

static void a_core_file_is_mentioned(void **state)
{
    (void)state;
    const struct sk_verdict v =
        reach((struct sk_death){ .code = CLD_DUMPED, .status = SIGSEGV, .ran = 200 });
    assert_non_null(strstr(v.message, "after 200 s; there is a core file"));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(an_exit_is_one_whatever_its_code),
        SKT_TEST(a_kill_is_what_it_was_sent_for),
        SKT_TEST(a_worker_that_died_before_the_kill_died_of_its_own),
        SKT_TEST(without_a_status_the_kill_is_believed),
        SKT_TEST(a_kill_of_nobody_s_may_be_for_want_of_memory),
        SKT_TEST(signals_from_outside_are_told_from_faults),
        SKT_TEST(an_address_below_64_kib_is_a_null_pointer),
        SKT_TEST(an_impossible_address_is_no_null_pointer),
        SKT_TEST(a_signal_that_was_sent_is_no_null_pointer),
        SKT_TEST(a_record_of_another_signal_is_not_believed),
        SKT_TEST(a_fault_at_the_stack_s_end_is_an_overflow),
        SKT_TEST(an_overflow_of_an_unknown_stack_is_likely),
        SKT_TEST(a_refused_allocation_is_likely_the_limit),
        SKT_TEST(causes_have_words),
        SKT_TEST(a_task_without_a_name_is_the_task),
        SKT_TEST(long_names_are_cut),
        SKT_TEST(a_core_file_is_mentioned),
    };
    return skt_main(argc, argv, "verdict", tests, SKT_COUNT(tests));
}
