/* How much memory workers use, and what they may: RLIMIT_DATA, and when to look again at how much
 * is resident. Who the kernel has killed for memory is in oom.h. */
#ifndef SK_PROCESS_LIMITS_H
#define SK_PROCESS_LIMITS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sk_limits_use {
    uint64_t private_bytes; /* resident and not shared: statm's resident less shared */
    uint64_t data_bytes;    /* what RLIMIT_DATA counts, and the main thread's stack */
};

/* An fd on /proc/PID/statm (pid 0: of the caller), or a negative errno value. */
int sk_limits_open(pid_t pid);
/* False if the process is gone. */
bool sk_limits_read(int fd, struct sk_limits_use *use);

/* In a worker, before its first task: sets RLIMIT_DATA so that about limit_bytes of private memory
 * can be had in all, those used already included. 0; -EDOM if more is in use already; or what
 * sk_limits_open() and setrlimit() said. */
int sk_limits_set(uint64_t limit_bytes);

/* When to look again at a worker that uses so much of its limit: 1 to 20 ms, by how fast memory can
 * be touched. */
int64_t sk_limits_next_look_ns(uint64_t used_bytes, uint64_t limit_bytes);

#endif
