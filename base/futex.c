#define _GNU_SOURCE
#include "base/futex.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static bool wait_on(SK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t deadline_ns, int scope)
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
    long rc = syscall(SYS_futex, word, FUTEX_WAIT_BITSET | scope, expected, timeout, NULL,
                      FUTEX_BITSET_MATCH_ANY);
    return !(rc == -1 && errno == ETIMEDOUT);
}

bool sk_futex_wait(SK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t deadline_ns)
{
    return wait_on(word, expected, deadline_ns, FUTEX_PRIVATE_FLAG);
}

void sk_futex_wake(SK_ATOMIC(uint32_t) * word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, n, NULL, NULL, 0);
}

bool sk_futex_wait_shared(SK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t deadline_ns)
{
    return wait_on(word, expected, deadline_ns, 0);
}

void sk_futex_wake_shared(SK_ATOMIC(uint32_t) * word, int n)
{
    syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}
