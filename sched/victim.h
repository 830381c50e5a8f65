/* Where a worker finds work: its own deque, the inbox, and other workers, nearest first. */
#ifndef SK_SCHED_VICTIM_H
#define SK_SCHED_VICTIM_H

#include <stdbool.h>

#include "sched/sched.h"

/* What was found: a job, or a child of another worker's split deque. */
struct sk_find {
    struct sk_job *job;
    struct sk_split_entry *child;
    struct sk_split *parent; /* the deque that the child is in */
    bool contended;          /* nothing was found, but others were at it: there may be more */
};

/* Looks for work and takes it. thorough: at every place, so that nothing published before by a
 * seq_cst operation is missed, unless contended is set. */
bool sk_victim_find(struct sk_worker *worker, struct sk_find *find, bool thorough);

/* Takes any job that no worker has begun; any thread. NULL if there was none. */
struct sk_job *sk_victim_take_any(struct sk_sched *sched);

#endif
