/* What a worker counts. Each worker writes its own, with relaxed stores; anybody may read. */
#ifndef SK_SCHED_STATS_H
#define SK_SCHED_STATS_H

#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "numa/victims.h"

/* What befalls tasks; core/ counts it. */
enum sk_event {
    SK_EVENT_SUBMITTED,
    SK_EVENT_BEGUN,     /* a worker runs it */
    SK_EVENT_CANCELLED, /* before it was begun */
    SK_EVENT_FINISHED,  /* with a result */
    SK_EVENT_FAILED,
    SK_EVENT_STOPPED, /* cancelled while it ran */
    SK_NR_EVENTS
};

struct sk_stats {
    SK_CACHE_ALIGNED SK_ATOMIC(uint64_t) submitted; /* jobs this worker has accepted */
    SK_ATOMIC(uint64_t) finished;                   /* jobs it has run or discarded */
    SK_ATOMIC(uint64_t) steals[SK_NR_TIERS];        /* jobs and children taken, by distance */
    SK_ATOMIC(uint64_t) parks;                      /* times it went to sleep */
    SK_ATOMIC(uint64_t) wakes;                      /* times it woke others */
    SK_ATOMIC(uint64_t) home_units;                 /* loop units done in its own block */
    SK_ATOMIC(uint64_t) away_units;                 /* loop units done in others' blocks */
    SK_ATOMIC(uint64_t) events[SK_NR_EVENTS];       /* of tasks */
};

/* The owner alone adds, so a load and a store are enough. */
static inline void sk_stats_add(SK_ATOMIC(uint64_t) * counter, uint64_t n)
{
    sk_store_rlx(counter, sk_load_rlx(counter) + n);
}

#endif
