/* A handler may rely on nothing: the heap is corrupt, the stack is full, locks are held. It makes
 * system calls, writes plain words into memory that was mapped before, and runs on a stack of its
 * own, since the thread's may be what has ended.
 *
 * Order. The parent wants to put a fresh worker on the seat as soon as it can, and what walks the
 * stack may itself crash or hang on what is left of it. So the record is whole with its first
 * frame, the faulting instruction, before notice() is called; then the unwinder is started, and
 * each frame that it finds is written as it is found. If the unwinder crashes too, those found
 * until then stay.
 *
 *   state      the handler is in
 *   0          nobody
 *   a thread   that thread, which records and then kills the process. Other threads that crash
 *              meanwhile sleep until it has. The same thread, or SIGALRM in whichever, means that
 *              it failed: the process is killed at once, by the first signal.
 *
 * SIGALRM is there for an unwinder that hangs, on a lock of the loader in older C libraries: a
 * timer of one second is set before it starts.
 *
 * The frames: the unwinder begins in the handler and passes the kernel's signal frame. Those before
 * the faulting instruction are dropped. A jump through a wild pointer leaves an ip at which no
 * unwinder goes on; then the context is changed as if that call had returned, and the caller is
 * found. backtrace() does the same walk, but loads libgcc by its first call and gives its frames
 * only when it has all of them.
 *
 * Death. Returning would run a faulting instruction again, with the default action set, and leave
 * the core file the cleanest; but where another thread has mapped the page meanwhile, or the signal
 * is a trap or was sent, the process would live on after it has been given up. So the signal is
 * sent again, with the siginfo that came, to the thread itself.
 *
 * A child that a task has forked has the handlers too, and the record's memory. It is told by its
 * process number, also a vfork()ed one, which shares the variables below. */
#define _GNU_SOURCE
#include "process/crash.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <unwind.h>

#include "base/context.h"
#include "base/mem.h"

enum {
    /* The kernel's frame, up to 12 KiB with AVX-512 and AMX registers, the unwinder's 3 KiB and
     * notice(). Only what is touched takes memory. */
    STACK_BYTES = 128 * 1024,
    TOUCHED_BYTES = 24 * 1024, /* what is, in a crash */
    HANG_SECONDS = 1
};

static const int fatal[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };

/* Written by sk_crash_watch() before the handlers are there, and read by them. */
static struct {
    struct sk_crash_record *record;
    void (*notice)(void *ctx);
    void *ctx;
    pid_t process, runner;
    uintptr_t stack_low, stack_high; /* of the runner */
    void *alternate;                 /* STACK_BYTES */
    bool is_prepared;                /* the stacks are those of the thread `prepared` */
    pthread_t prepared;
} watch;

static SK_ATOMIC(pid_t) dying; /* the thread whose crash is being recorded; 0: none */
static int dying_signal;       /* written by that thread right after */

static bool is_fatal(int signo)
{
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        if (fatal[i] == signo)
            return true;
    }
    return false;
}

/* Ends the process by the signal. info: what came with it, kept for a core file; or NULL. */
static _Noreturn void die_of(int signo, siginfo_t *info)
{
    struct sigaction usual = { .sa_handler = SIG_DFL };
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signo);
    sigaction(signo, &usual, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    pid_t process = getpid();
    long thread = syscall(SYS_gettid);
    if (info != NULL)
        syscall(SYS_rt_tgsigqueueinfo, process, thread, signo, info);
    syscall(SYS_tgkill, process, thread, signo);
    _exit(128 + signo); /* where a task's own seccomp filter refuses both */
}

/* --- frames --- */

struct walk {
    struct sk_crash_record *record;
    uintptr_t start; /* frames before this ip are the handler's own */
    bool started;
};

static void add_frame(struct sk_crash_record *record, uintptr_t ip)
{
    uint32_t n = record->nr_frames;
    if (n < SK_CRASH_FRAMES) {
        record->frames[n] = ip;
        record->nr_frames = n + 1;
    }
}

static _Unwind_Reason_Code on_frame(struct _Unwind_Context *context, void *arg)
{
    struct walk *walk = arg;
    uintptr_t ip = _Unwind_GetIP(context);
    bool is_start = !walk->started && ip == walk->start;
    walk->started |= is_start;
    if (ip == 0 || walk->record->nr_frames >= SK_CRASH_FRAMES)
        return _URC_END_OF_STACK;
    /* The start is frames[0] already, unless that is where no code was. */
    if (walk->started && (!is_start || ip != walk->record->ip))
        add_frame(walk->record, ip);
    return _URC_NO_REASON;
}

static void record_frames(struct sk_crash_record *record, void *context)
{
    bool jumped_wild =
        (record->signal == SIGSEGV || record->signal == SIGBUS) && record->address == record->ip;
    if (jumped_wild)
        sk_context_return(context);
    struct walk walk = { .record = record, .start = sk_context_ip(context) };
    _Unwind_Backtrace(on_frame, &walk);
}

/* --- the handlers --- */

static void record_basics(struct sk_crash_record *record, int signo, const siginfo_t *info,
                          const void *context, int error)
{
    bool in_runner = syscall(SYS_gettid) == watch.runner;
    record->signal = signo;
    record->code = info->si_code;
    record->error = error;
    record->in_runner = in_runner;
    record->address = info->si_code > 0 ? (uintptr_t)info->si_addr : 0;
    record->ip = sk_context_ip(context);
    record->sp = sk_context_sp(context);
    record->stack_low = in_runner ? watch.stack_low : 0;
    record->stack_high = in_runner ? watch.stack_high : 0;
    record->frames[0] = record->ip;
    record->nr_frames = 1;
    sk_store_rel(&record->valid, 1); /* R1: publishes the above; pairs with A1 in sk_crash_read */
}

/* Not SA_RESETHAND: a second thread with the same fault would end the process in the midst of the
 * first one's record. A handler that fails over and over ends with its stack. */
static const int handler_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;

static void on_hang(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)info;
    (void)context;
    die_of(dying_signal, NULL);
}

static void guard_against_hangs(void)
{
    struct sigaction action = { .sa_sigaction = on_hang, .sa_flags = handler_flags };
    struct itimerval timer = { .it_value = { .tv_sec = HANG_SECONDS } };
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigaction(SIGALRM, &action, NULL);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
}

static void on_crash(int signo, siginfo_t *info, void *context)
{
    int error = errno;
    if (getpid() != watch.process)
        die_of(signo, info);
    pid_t nobody = 0, self = (pid_t)syscall(SYS_gettid);
    if (!sk_cas_acq_rel_acq(&dying, &nobody, self)) {
        if (nobody == self)
            die_of(dying_signal, NULL);
        for (;;)
            pause();
    }
    dying_signal = signo;
    record_basics(watch.record, signo, info, context, error);
    watch.notice(watch.ctx);
    /* The next task is on its way to another process, and may want this core. */
    setpriority(PRIO_PROCESS, 0, 19);
    sched_yield();
    guard_against_hangs();
    record_frames(watch.record, context);
    die_of(signo, info);
}

/* --- setting up --- */

static _Unwind_Reason_Code on_no_frame(struct _Unwind_Context *context, void *arg)
{
    (void)context;
    (void)arg;
    return _URC_NO_REASON;
}

/* A first walk makes the loader resolve what it calls and libgcc find its tables. */
static void find_stack(void)
{
    pthread_attr_t attr;
    void *low;
    size_t size;
    watch.stack_low = watch.stack_high = 0;
    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return;
    if (pthread_attr_getstack(&attr, &low, &size) == 0) {
        watch.stack_low = (uintptr_t)low;
        watch.stack_high = (uintptr_t)low + size;
    }
    pthread_attr_destroy(&attr);
}

static int set_alternate_stack(void)
{
    size_t guard = (size_t)sysconf(_SC_PAGESIZE);
    if (watch.alternate == NULL) {
        char *pages = sk_pages_alloc(guard + STACK_BYTES);
        if (pages == NULL)
            return -ENOMEM;
        if (mprotect(pages, guard, PROT_NONE) != 0) {
            int error = errno;
            sk_pages_free(pages, guard + STACK_BYTES);
            return -error;
        }
        watch.alternate = pages + guard; /* until the process ends */
    }
    /* Page faults would be most of the time from the crash to the notice. */
    memset((char *)watch.alternate + STACK_BYTES - TOUCHED_BYTES, 0, TOUCHED_BYTES);
    stack_t stack = { .ss_sp = watch.alternate, .ss_size = STACK_BYTES };
    return sigaltstack(&stack, NULL) == 0 ? 0 : -errno;
}

/* What is inherited by fork() is done here, once: to find a stack's bounds takes reading /proc. */
void sk_crash_prepare(void)
{
    _Unwind_Backtrace(on_no_frame, NULL);
    if (set_alternate_stack() != 0)
        return;
    find_stack();
    watch.prepared = pthread_self();
    watch.is_prepared = true;
}

int sk_crash_watch(struct sk_crash_record *record, void (*notice)(void *ctx), void *ctx)
{
    if (!watch.is_prepared || !pthread_equal(watch.prepared, pthread_self())) {
        int error = set_alternate_stack();
        if (error != 0)
            return error;
        find_stack();
    }
    watch.record = record;
    watch.notice = notice;
    watch.ctx = ctx;
    watch.process = getpid();
    watch.runner = (pid_t)syscall(SYS_gettid);
    sk_store_rlx(&dying, 0);
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) {
        struct sigaction action = { .sa_sigaction = on_crash, .sa_flags = handler_flags };
        sigemptyset(&action.sa_mask);
        if (sigaction(fatal[i], &action, NULL) != 0)
            return -errno;
    }
    return 0;
}

/* --- the parent's side --- */

static bool makes_sense(const struct sk_crash_record *copy)
{
    return is_fatal(copy->signal) && copy->nr_frames >= 1 && copy->nr_frames <= SK_CRASH_FRAMES &&
           (copy->in_runner == 0 || copy->in_runner == 1) && copy->stack_low <= copy->stack_high;
}

/* The bytes are volatile, so that what is checked is what was copied, and not read twice. */
bool sk_crash_read(const struct sk_crash_record *shared, struct sk_crash_record *copy)
{
    const volatile unsigned char *from = (const volatile unsigned char *)shared;
    unsigned char *to = (unsigned char *)copy;
    bool sound = sk_load_acq(&shared->valid) == 1; /* A1: pairs with R1 */
    for (size_t i = 0; i < sizeof *copy; i++)
        to[i] = from[i];
    if (!sound || !makes_sense(copy)) {
        memset(copy, 0, sizeof *copy);
        return false;
    }
    /* A live writer's count may be seen before the frame that it counts. */
    while (copy->nr_frames > 1 && copy->frames[copy->nr_frames - 1] == 0)
        copy->nr_frames--;
    return true;
}
