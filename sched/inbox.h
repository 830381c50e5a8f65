/* An inbox: jobs submitted by threads that are no workers, for the workers of one place. Any thread
 * puts, any worker takes; in each lane jobs come out in the order they were put in. */
#ifndef SK_SCHED_INBOX_H
#define SK_SCHED_INBOX_H

#include <stdbool.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/lock.h"
#include "sched/job.h"

struct sk_inbox_lane {
    /* written by who puts */
    SK_CACHE_ALIGNED SK_ATOMIC(struct sk_job *) put; /* a stack: the youngest job first */
    /* written by who takes */
    SK_CACHE_ALIGNED SK_ATOMIC(struct sk_job *) ready; /* a list, the oldest first; under lock */
};

struct sk_inbox {
    struct sk_inbox_lane lane[SK_NR_LANES];
    struct sk_lock lock; /* one taker at a time */
};

void sk_inbox_init(struct sk_inbox *inbox);

/* Never fails, never blocks. A seq_cst RMW: a notifier may look for sleepers right after it. */
void sk_inbox_put(struct sk_inbox *inbox, struct sk_job *job, enum sk_lane lane);

/* The oldest job of the first lane that has one, or NULL where there is none, or where another
 * taker is in the way: then sk_inbox_empty() is still false. */
struct sk_job *sk_inbox_take(struct sk_inbox *inbox);

/* Whether there is surely nothing, as of some moment in the call: for the last look before
 * sleep. */
bool sk_inbox_empty(struct sk_inbox *inbox);

#endif
