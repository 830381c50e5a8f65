/* The kernel's status comes first: how the process died is beyond doubt, and what the parent has
 * wished for does not matter if the worker was quicker. A SIGKILL says nothing itself; it is what
 * the parent sent it for, or the out-of-memory killer's, or somebody else's. For a fault's signal
 * the record has the details, and is believed if it tells of the very signal; a scribbled one can
 * spoil the words, and no more.
 *
 *   status                  and                                  verdict
 *   exited                                                       EXIT
 *   not known               a kill                               as for SIGKILL
 *                           no kill                              WORKER_LOST
 *   SIGKILL                 TIME_LIMIT                           TIMEOUT, expired
 *                           MEMORY                               MEMORY_LIMIT
 *                           STOP                                 none, cancelled
 *                           PROTOCOL                             PROTOCOL
 *                           LOST                                 WORKER_LOST
 *                           no kill, an OOM kill                 OOM_KILLED
 *                           no kill                              KILLED
 *   SIGSEGV                 sent by kill()                       SIGNAL
 *                           at the stack's end                   STACK_OVERFLOW
 *   SIGSEGV SIGBUS SIGABRT  errno is ENOMEM, and a memory_limit  MEMORY_LIMIT, likely
 *   SIGSEGV                 below 64 KiB                         NULL_DEREF
 *   a fault's or a limit's                                       SIGNAL
 *   any other signal                                             KILLED
 *
 * ENOMEM comes before the null pointer, as that is what most programs make of a refused
 * allocation: they use its result. It is a likelihood, since errno stays what it is after a refusal
 * that was taken care of. */
#define _GNU_SOURCE
#include "process/verdict.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/compiler.h"

enum {
    NULL_BYTES = 64 * 1024,
    PAGE_BYTES = 64 * 1024,   /* the largest page of any machine */
    GAP_BYTES = 1024 * 1024,  /* what the kernel keeps free below a growing stack */
    NEAR_BYTES = 256,         /* a push or a red zone below the stack pointer */
    FRAME_BYTES = 64 * 1024,  /* a usual frame */
    BIG_FRAME_BYTES = 1 << 26 /* a frame with large arrays */
};

/* --- words --- */

/* Signals' words by code; 0: any other. Every signal named here is a fault of the task's own. */
static const struct cause {
    int signal, code;
    const char *words;
} causes[] = {
    { SIGSEGV, SEGV_MAPERR, "an address was used at which there is no memory" },
    { SIGSEGV, SEGV_ACCERR,
      "the memory was not to be used like that: not to be written, or at all" },
    { SIGSEGV, SI_KERNEL, "an address was used that no memory can have" },
    { SIGSEGV, 0, "memory was used that is not there, or not for this" },
    { SIGBUS, BUS_ADRERR, "a mapped file ended before the address, or no memory was left for it" },
    { SIGBUS, BUS_ADRALN, "an address was used that is not aligned" },
    { SIGBUS, BUS_MCEERR_AR, "the memory itself is broken" },
    { SIGBUS, 0, "memory was used that could not be had" },
    { SIGFPE, FPE_INTDIV, "integer division by zero" },
    { SIGFPE, FPE_INTOVF, "integer overflow" },
    { SIGFPE, FPE_FLTDIV, "floating-point division by zero, and the task traps it" },
    { SIGFPE, FPE_FLTOVF, "floating-point overflow, and the task traps it" },
    { SIGFPE, FPE_FLTINV, "an invalid floating-point operation, and the task traps it" },
    { SIGFPE, 0, "an arithmetic operation failed" },
    { SIGILL, 0, "an instruction that the processor does not know, or a compiler's trap" },
    { SIGABRT, 0, "abort() was called, or an assertion failed" },
    { SIGTRAP, 0, "a breakpoint or a compiler's trap" },
    { SIGSYS, 0, "a system call that is not allowed" },
    { SIGPIPE, 0, "it wrote to a pipe or socket that nobody reads" },
    { SIGALRM, 0, "a timer of its own ran out" },
    { SIGVTALRM, 0, "a timer of its own ran out" },
    { SIGPROF, 0, "a timer of its own ran out" },
    { SIGXCPU, 0, "the limit of CPU time was passed (RLIMIT_CPU)" },
    { SIGXFSZ, 0, "the limit of a file's size was passed (RLIMIT_FSIZE)" },
};

/* NULL: a signal that a task does not bring upon itself. */
static const char *words_for(int signo, int code)
{
    for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
        if (causes[i].signal == signo && (causes[i].code == code || causes[i].code == 0))
            return causes[i].words;
    }
    return NULL;
}

static const char *signal_name(int signo, char buffer[static 16])
{
    static const struct {
        int signal;
        const char *name;
    } names[] = {
        { SIGHUP, "SIGHUP" },   { SIGINT, "SIGINT" },       { SIGQUIT, "SIGQUIT" },
        { SIGILL, "SIGILL" },   { SIGTRAP, "SIGTRAP" },     { SIGABRT, "SIGABRT" },
        { SIGBUS, "SIGBUS" },   { SIGFPE, "SIGFPE" },       { SIGKILL, "SIGKILL" },
        { SIGUSR1, "SIGUSR1" }, { SIGSEGV, "SIGSEGV" },     { SIGUSR2, "SIGUSR2" },
        { SIGPIPE, "SIGPIPE" }, { SIGALRM, "SIGALRM" },     { SIGTERM, "SIGTERM" },
        { SIGXCPU, "SIGXCPU" }, { SIGXFSZ, "SIGXFSZ" },     { SIGSYS, "SIGSYS" },
        { SIGPROF, "SIGPROF" }, { SIGVTALRM, "SIGVTALRM" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i].signal == signo)
            return names[i].name;
    }
    snprintf(buffer, 16, "signal %d", signo);
    return buffer;
}

SK_PRINTF(2, 3) static void add(struct sk_verdict *v, const char *format, ...)
{
    size_t used = strlen(v->message);
    va_list args;
    va_start(args, format);
    vsnprintf(v->message + used, sizeof v->message - used, format, args);
    va_end(args);
}

static void add_bytes(struct sk_verdict *v, uint64_t bytes)
{
    static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;
    double n = (double)bytes;
    while (n >= 1024 && unit + 1 < sizeof units / sizeof *units) {
        n /= 1024;
        unit++;
    }
    add(v, "%.*f %s", n < 10 && unit > 0 ? 1 : 0, n, units[unit]);
}

static void add_seconds(struct sk_verdict *v, double seconds)
{
    if (seconds >= 100)
        add(v, "%.0f s", seconds);
    else
        add(v, "%.3g s", seconds);
}

static void add_after(struct sk_verdict *v, const struct sk_death *death)
{
    if (death->ran > 0) {
        add(v, ", after ");
        add_seconds(v, death->ran);
    }
    if (death->code == CLD_DUMPED)
        add(v, "; there is a core file");
}

static const char *task_of(const struct sk_death *death)
{
    return death->task != NULL && death->task[0] != '\0' ? death->task : "the task";
}

/* --- the parent's own kills --- */

static void time_limit(const struct sk_death *death, struct sk_verdict *v)
{
    v->status = SKUA_EXPIRED;
    v->fault = SKUA_FAULT_TIMEOUT;
    add(v, "%.127s passed its time_limit of ", task_of(death));
    add_seconds(v, death->time_limit);
    add(v, " and its process was killed");
    add_after(v, death);
}

static void memory_limit(const struct sk_death *death, struct sk_verdict *v)
{
    v->fault = SKUA_FAULT_MEMORY_LIMIT;
    add(v, "%.127s used more memory than its memory_limit: ", task_of(death));
    if (death->peak_bytes > 0) {
        add_bytes(v, death->peak_bytes);
        add(v, " at most, ");
    }
    add_bytes(v, death->memory_limit);
    add(v, " allowed");
}

static void killed_by_us(const struct sk_death *death, struct sk_verdict *v)
{
    switch (death->kill) {
    case SK_KILL_TIME_LIMIT:
        time_limit(death, v);
        break;
    case SK_KILL_MEMORY:
        memory_limit(death, v);
        break;
    case SK_KILL_STOP:
        v->status = SKUA_CANCELLED;
        add(v, "%.127s was stopped: its process was killed", task_of(death));
        add_after(v, death);
        break;
    case SK_KILL_PROTOCOL:
        v->fault = SKUA_FAULT_PROTOCOL;
        add(v, "what the process of %.127s wrote back made no sense (%.127s), and it was killed",
            task_of(death), death->protocol != NULL ? death->protocol : "a wild write");
        break;
    case SK_KILL_NONE:
    case SK_KILL_LOST:
        v->fault = SKUA_FAULT_WORKER_LOST;
        add(v,
            "the process of %.127s was lost: the process that starts and watches the workers is "
            "gone, and they with it",
            task_of(death));
        break;
    }
}

/* --- other signals --- */

static void oom_killed(const struct sk_death *death, struct sk_verdict *v)
{
    v->fault = SKUA_FAULT_OOM_KILLED;
    v->certain = death->oom == SK_OOM_CERTAIN;
    add(v, "%s of %.127s was killed by the kernel%s because memory ran out",
        v->certain ? "the process" : "it seems that the process", task_of(death),
        v->certain ? "" : " with SIGKILL");
    if (death->peak_bytes > 0) {
        add(v, ": it had ");
        add_bytes(v, death->peak_bytes);
    }
    add_after(v, death);
}

/* The worker may have sent it to itself, but that is not to be told apart. */
static void killed_from_outside(const struct sk_death *death, struct sk_verdict *v)
{
    char buffer[16];
    v->fault = SKUA_FAULT_KILLED;
    add(v, "the process of %.127s was killed from outside by %s", task_of(death),
        signal_name(v->signal, buffer));
    add_after(v, death);
}

/* "solve: SIGSEGV: words" */
static void add_signal(const struct sk_death *death, struct sk_verdict *v, const char *words)
{
    char buffer[16];
    add(v, "%.127s: %s: %s", task_of(death), signal_name(v->signal, buffer), words);
}

static void add_address(struct sk_verdict *v, const struct sk_crash_record *record)
{
    add(v, " (address 0x%llx)", (unsigned long long)record->address);
}

/* Whether an address is a fault's own: not for what was sent by kill(), nor for the kernel's "no
 * such address can be", which does not tell it. */
static bool has_address(const struct sk_crash_record *record)
{
    return (record->signal == SIGSEGV || record->signal == SIGBUS) && record->code > 0 &&
           record->code != SI_KERNEL;
}

/* The stack ends at `low`; the fault lies beyond it, or in the first page, which a growing stack
 * never gets. A frame larger than what is kept free there is told by the stack pointer. */
static bool is_beyond_stack(const struct sk_crash_record *record)
{
    uint64_t low = record->stack_low, sp = record->sp, address = record->address;
    if (address >= low + PAGE_BYTES || sp >= low + GAP_BYTES)
        return false;
    bool next_to_end = address >= low || low - address <= GAP_BYTES;
    bool in_frame = sp < low && low - sp <= BIG_FRAME_BYTES && address + NEAR_BYTES >= sp;
    return next_to_end || in_frame;
}

/* The stack pointer stands within a stack that is not known, of a thread or a coroutine, and the
 * frame that it points at has no memory. */
static bool is_beyond_frame(const struct sk_crash_record *record)
{
    bool on_known = record->sp >= record->stack_low && record->sp < record->stack_high;
    return !on_known && record->sp >= NULL_BYTES && record->address + NEAR_BYTES >= record->sp &&
           record->address < record->sp + FRAME_BYTES;
}

static bool stack_overflow(const struct sk_death *death, struct sk_verdict *v)
{
    const struct sk_crash_record *record = death->record;
    if (v->signal != SIGSEGV || !has_address(record))
        return false;
    bool certain = record->stack_low != 0 && is_beyond_stack(record);
    if (!certain && !is_beyond_frame(record))
        return false;
    v->fault = SKUA_FAULT_STACK_OVERFLOW;
    v->certain = certain;
    add_signal(death, v, certain ? "the stack overflowed" : "it seems that a stack overflowed");
    if (certain) {
        add(v, ": ");
        add_bytes(v, record->stack_high - record->stack_low);
        add(v, " were not enough for the recursion or the arrays on it");
    }
    return true;
}

static bool refused_memory(const struct sk_death *death, struct sk_verdict *v)
{
    int signo = v->signal;
    if (death->memory_limit == 0 || death->record->error != ENOMEM ||
        (signo != SIGSEGV && signo != SIGBUS && signo != SIGABRT))
        return false;
    v->fault = SKUA_FAULT_MEMORY_LIMIT;
    v->certain = false;
    add_signal(death, v,
               "it seems that memory was refused to it, and it went on without: its "
               "memory_limit is ");
    add_bytes(v, death->memory_limit);
    return true;
}

static bool null_pointer(const struct sk_death *death, struct sk_verdict *v)
{
    const struct sk_crash_record *record = death->record;
    if (v->signal != SIGSEGV || !has_address(record) || record->address >= NULL_BYTES)
        return false;
    v->fault = SKUA_FAULT_NULL_DEREF;
    add_signal(death, v,
               record->ip == record->address ? "a null function pointer was called"
                                             : "a null pointer was dereferenced");
    add_address(v, record);
    return true;
}

/* abort() sends the signal too, but to its own thread. */
static bool is_abort(const struct sk_crash_record *record)
{
    return record->signal == SIGABRT && record->code == SI_TKILL;
}

/* words: what the signal means without a record. */
static void own_signal(const struct sk_death *death, struct sk_verdict *v, const char *words)
{
    const struct sk_crash_record *record = death->record;
    bool sent = record != NULL && record->code <= 0 && !is_abort(record);
    if (record != NULL && has_address(record))
        v->address = (void *)(uintptr_t)record->address;
    if (record != NULL && !sent &&
        (stack_overflow(death, v) || refused_memory(death, v) || null_pointer(death, v))) {
        add_after(v, death);
        return;
    }
    v->fault = SKUA_FAULT_SIGNAL;
    if (sent)
        words = "no fault, the signal was sent by kill() or raise()";
    else if (record != NULL)
        words = words_for(v->signal, record->code);
    add_signal(death, v, words);
    if (record != NULL && has_address(record))
        add_address(v, record);
    add_after(v, death);
}

void sk_verdict_reach(const struct sk_death *death, struct sk_verdict *verdict)
{
    *verdict = (struct sk_verdict){ .status = SKUA_CRASHED, .certain = true };
    if (death->code == CLD_EXITED) {
        verdict->fault = SKUA_FAULT_EXIT;
        verdict->code = death->status;
        add(verdict, "the process of %.127s called exit(%d)", task_of(death), death->status);
        add_after(verdict, death);
        return;
    }
    if (death->code != CLD_KILLED && death->code != CLD_DUMPED) {
        killed_by_us(death, verdict);
        return;
    }
    verdict->signal = death->status;
    if (death->status == SIGKILL && death->kill != SK_KILL_NONE) {
        killed_by_us(death, verdict);
        return;
    }
    if (death->status == SIGKILL && death->oom != SK_OOM_NO) {
        oom_killed(death, verdict);
        return;
    }
    const char *words = words_for(death->status, 0);
    if (words == NULL) {
        killed_from_outside(death, verdict);
        return;
    }
    struct sk_death believed = *death;
    if (death->record != NULL && death->record->signal != death->status)
        believed.record = NULL;
    own_signal(&believed, verdict, words);
}
