/* What a death means: from the kernel's status, the crash record and what the parent did itself to
 * a skua_fault with words. A pure function. */
#ifndef SK_PROCESS_VERDICT_H
#define SK_PROCESS_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "process/crash.h"
#include "skua/error.h"

/* Why the parent killed the worker, if it did. */
enum sk_kill {
    SK_KILL_NONE,
    SK_KILL_TIME_LIMIT,
    SK_KILL_MEMORY,   /* memory_limit was passed */
    SK_KILL_STOP,     /* skua_stop() or SKUA_KILL, and the grace has passed */
    SK_KILL_PROTOCOL, /* what it wrote made no sense */
    SK_KILL_LOST      /* not killed: its zygote went, and it with that */
};

/* Whether the kernel's out-of-memory killer did it. */
enum sk_oom {
    SK_OOM_NO,
    SK_OOM_LIKELY, /* memory was scarce and the worker had much of it */
    SK_OOM_CERTAIN /* the cgroup's own count has risen */
};

struct sk_death {
    enum sk_kill kill;
    int code, status; /* as of waitid(): CLD_EXITED, CLD_KILLED, CLD_DUMPED; 0: nobody knows */
    const struct sk_crash_record *record; /* as of sk_crash_read(), or NULL */
    enum sk_oom oom;
    uint64_t peak_bytes;   /* the largest resident set; 0: unknown */
    uint64_t memory_limit; /* bytes; 0: none */
    double time_limit;     /* seconds; 0: none */
    double ran;            /* seconds that the task had been running */
    const char *task;      /* its name, or NULL */
    const char *protocol;  /* with SK_KILL_PROTOCOL: what made no sense */
};

struct sk_verdict {
    skua_status status; /* SKUA_CRASHED, SKUA_EXPIRED or SKUA_CANCELLED */
    skua_fault fault;   /* SKUA_FAULT_NONE where it was cancelled */
    bool certain;
    int signal, code; /* what killed it, or 0; what it exited with, or 0 */
    void *address;
    char message[400];
};

void sk_verdict_reach(const struct sk_death *death, struct sk_verdict *verdict);

#endif
