#define _GNU_SOURCE
#include "base/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

bool sk_futex_wait(SK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t deadline_ns)
{
    struct timespec deadline, *timeout = NULL;
    if (deadline_ns != SK_NO_DEADLINE) {
        if (deadline_ns <= 0)
            return false;
        deadline.tv_sec = (time_t)(deadline_ns / 1000000000);
        deadline.tv_nsec = (long)(deadline_ns % 1000000000);
        timeout = &deadline;
    }
    /* FUTEX_WAIT_BITSET takes an absolute time on CLOCK_MONOTONIC, so a spurious return and a
     * second call do not lengthen the wait. */
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected, timeout,
                      NULL, FUTEX_BITSET_MATCH_ANY);
    return !(rc == -1 && errno == ETIMEDOUT);
}

void sk_futex_wake(SK_ATOMIC(uint32_t) * word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}
