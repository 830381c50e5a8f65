/* Jobs that are to run near some memory: on a machine with several NUMA nodes each has an inbox of
 * its own, which its workers look at before the common one, and others when they find nothing else
 * before they sleep. */
#ifndef SK_SCHED_NEAR_H
#define SK_SCHED_NEAR_H

#include <stdbool.h>
#include <stdint.h>

#include "sched/inbox.h"

enum {
    SK_ANY_NODE = -1 /* a job that may run anywhere; a seat without a node */
};

struct sk_sched;

struct sk_near {
    struct sk_inbox inbox;
    int nr_workers;  /* that sit on the node; constant */
    uint64_t *seats; /* a bit a seat, as in sched->asleep; constant */
};

/* Before the workers begin, when they have their places. 0 or -ENOMEM; with fewer than two nodes on
 * which workers sit there is nothing to set up. */
int sk_near_init(struct sk_sched *sched);
void sk_near_fini(struct sk_sched *sched);

#endif
