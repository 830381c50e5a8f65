/* Waiting a little before sleeping: pauses first, then yields, then it is time to sleep. A futex
 * wake-up takes about 37 us from call to run, so spinning for a few times that is worth its heat. */
#ifndef SK_BASE_SPIN_H
#define SK_BASE_SPIN_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/time.h"

/* How long to pause and how long to yield; constant. */
struct sk_spin_limits {
    int64_t pause_ns, yield_ns;
};

struct sk_spin {
    int64_t since; /* when the clock was first read; 0: not yet */
    uint32_t turns;
};

/* One turn of waiting. True once it is time to sleep. */
static inline bool sk_spin_turn(struct sk_spin *spin, struct sk_spin_limits limits)
{
    if (++spin->turns % 32 != 0) {
        sk_pause();
        return false;
    }
    int64_t now = sk_now_ns();
    if (spin->since == 0)
        spin->since = now;
    if (now - spin->since < limits.pause_ns)
        return false;
    if (now - spin->since >= limits.pause_ns + limits.yield_ns)
        return true;
    spin->turns |= 31; /* from now on every turn yields */
    sched_yield();
    return false;
}

#endif
