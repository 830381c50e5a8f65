/* Waiting a little before sleeping: pauses, then pauses with a yield now and then, then it is time
 * to sleep. A futex wake-up takes about 37 us from call to run, so spinning for a few times that
 * is worth its heat; but not while somebody else wants this core, which a yield that takes long
 * gives away. */
#ifndef SK_BASE_SPIN_H
#define SK_BASE_SPIN_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/time.h"

/* How long to pause alone, and how long with yields; constant. */
struct sk_spin_limits {
    int64_t pause_ns, yield_ns;
};

struct sk_spin {
    int64_t since; /* when the clock was first read; 0: not yet */
    uint32_t turns;
};

enum {
    SK_SPIN_CLOCK_TURNS = 32,  /* turns between two looks at the clock: about 0.8 us */
    SK_SPIN_YIELD_TURNS = 128, /* turns between two yields */
    SK_SPIN_CROWDED_NS = 10000 /* a yield of that length has let another thread run */
};

/* One turn of waiting. True once it is time to sleep. */
static inline bool sk_spin_turn(struct sk_spin *spin, struct sk_spin_limits limits)
{
    sk_pause();
    if (++spin->turns % SK_SPIN_CLOCK_TURNS != 0)
        return false;
    int64_t now = sk_now_ns();
    if (spin->since == 0)
        spin->since = now;
    if (now - spin->since < limits.pause_ns || spin->turns % SK_SPIN_YIELD_TURNS != 0)
        return false;
    if (now - spin->since >= limits.pause_ns + limits.yield_ns)
        return true;
    sched_yield();
    return sk_now_ns() - now > SK_SPIN_CROWDED_NS;
}

#endif
