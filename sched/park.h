/* An eventcount: threads sleep until something may have changed, and whoever changes it pays one
 * load where nobody sleeps.
 *
 *     sleeper                                     notifier
 *     token = sk_park_prepare(&p);                publish, by a seq_cst store or RMW;
 *     look once more, by seq_cst loads or RMWs;   sk_park_notify(&p, n);
 *     found: sk_park_cancel(&p);
 *     else:  sk_park_wait(&p, token, deadline);
 *
 * No wake-up is lost: see park.c. */
#ifndef SK_SCHED_PARK_H
#define SK_SCHED_PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/futex.h"

struct sk_park {
    SK_ATOMIC(uint32_t) epoch;   /* counts notifications; the word slept on */
    SK_ATOMIC(uint32_t) waiters; /* threads between prepare and cancel or the end of wait */
};

/* Announces the calling thread; then it must look again, and cancel or wait. */
uint32_t sk_park_prepare(struct sk_park *park);
void sk_park_cancel(struct sk_park *park);
/* Sleeps until notified after prepare. False if the deadline passed first. */
bool sk_park_wait(struct sk_park *park, uint32_t token, int64_t deadline_ns);

void sk_park_wake(struct sk_park *park, int n); /* notify's slow part */

/* Wakes up to n sleepers; all of them must look for what they wait for and may find nothing. */
static inline void sk_park_notify(struct sk_park *park, int n)
{
    if (SK_UNLIKELY(sk_load_sc(&park->waiters) != 0)) /* N2: see park.c */
        sk_park_wake(park, n);
}

#endif
