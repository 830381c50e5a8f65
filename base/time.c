#define _GNU_SOURCE
#include "base/time.h"

#include <time.h>

#include "base/futex.h"

int64_t sk_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int64_t sk_deadline_ns(double seconds)
{
    if (sk_is_poll(seconds))
        return 0;
    if (seconds >= 1e9) /* 31 years; also keeps the sum below within 63 bits */
        return SK_NO_DEADLINE;
    return sk_now_ns() + (int64_t)(seconds * 1e9);
}
