/* What a dying worker says about itself: its signal handlers write a record into memory that the
 * parent sees. It is advice; the kernel's wait status is the truth. */
#ifndef SK_PROCESS_CRASH_H
#define SK_PROCESS_CRASH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

enum {
    SK_CRASH_FRAMES = 64
};

/* In shared memory, cleared before the worker is born; written by the worker. */
struct sk_crash_record {
    /* 1 once all else is written, frames[0] too. The other frames come after it, one by one. */
    SK_ATOMIC(uint32_t) valid;
    int32_t signal, code; /* si_signo, si_code */
    int32_t error;        /* errno of the thread as the signal came */
    int32_t in_runner;    /* whether the thread is the one that runs tasks */
    uint64_t address;     /* si_addr; 0 for a signal that was sent */
    uint64_t ip, sp;      /* where the thread was */
    uint64_t stack_low,
        stack_high; /* the stack of that thread, its guard not included; 0, 0: unknown */
    uint32_t nr_frames;
    uint64_t frames[SK_CRASH_FRAMES]; /* return addresses, innermost first; frames[0] is ip */
};

/* In the zygote: loads what the handlers need, so that they allocate nothing. */
void sk_crash_prepare(void);

/* In a worker, in the thread that runs its tasks: installs the handlers for SIGSEGV, SIGBUS,
 * SIGFPE, SIGILL, SIGABRT, SIGTRAP and SIGSYS, on an alternate stack with a guard page. A handler
 * fills *record, calls notice(ctx), which must be async-signal-safe, and lets the process die of
 * the very signal, within a second whatever state it is in. A process that the worker forks dies
 * without a record. 0 or a negative errno value. */
int sk_crash_watch(struct sk_crash_record *record, void (*notice)(void *ctx), void *ctx);

/* In the parent: copies a record that its writer may be changing, and checks the copy: counts are
 * within bounds, the signal is one of those above. False, and a cleared copy, if there is none or
 * it makes no sense. */
bool sk_crash_read(const struct sk_crash_record *shared, struct sk_crash_record *copy);

#endif
