/* Time: nanoseconds on CLOCK_MONOTONIC, which no clock setting moves. */
#ifndef SK_BASE_TIME_H
#define SK_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

int64_t sk_now_ns(void);

/* The deadline that lies `seconds` from now: at once for 0, negative and NaN; SK_NO_DEADLINE for
 * what is too large to count. */
int64_t sk_deadline_ns(double seconds);

/* Whether a timeout means "look and return". */
static inline bool sk_is_poll(double seconds)
{
    return !(seconds > 0);
}

#endif
