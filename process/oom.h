/* Whether the kernel's out-of-memory killer was at work. */
#ifndef SK_PROCESS_OOM_H
#define SK_PROCESS_OOM_H

#include <stdint.h>

#include "process/verdict.h"

struct sk_oom_watch {
    char folder[512]; /* of this process's memory cgroup; "" if there is none, or no counts in it */
    int version;      /* of that cgroup: 1 or 2 */
    uint64_t kills;   /* its count when last asked */
};

/* Notes the count of the cgroup (v2, v1) of this process. Cannot fail: without counts there is
 * less certainty. */
void sk_oom_open(struct sk_oom_watch *watch);
/* Asked after a SIGKILL that nobody here sent, to a process that had at most peak_bytes: CERTAIN if
 * the count has risen since it was last asked; LIKELY if the process had much of a memory that was
 * nearly used up. */
enum sk_oom sk_oom_ask(struct sk_oom_watch *watch, uint64_t peak_bytes);

/* The same below another root, for tests: see numa/cgroup.h, and root/proc/meminfo. */
void sk_oom_open_from(struct sk_oom_watch *watch, const char *root);
enum sk_oom sk_oom_ask_from(struct sk_oom_watch *watch, const char *root, uint64_t peak_bytes);

#endif
