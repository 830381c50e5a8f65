/* Spare workers: threads that stand in for workers which sleep inside a task, so that the pool
 * keeps as many running as it has cores. Made when first needed, kept until the scheduler goes. */
#ifndef SK_SCHED_SPARE_H
#define SK_SCHED_SPARE_H

#include <stdbool.h>

#include "sched/sched.h"

/* A worker of `seat` is about to sleep: a spare takes the seat, unless enough are on duty. Where no
 * thread can be had the pool has one worker less until the sleeper is back. */
void sk_spare_relieve(struct sk_sched *sched, int seat);

/* A sleeper is back: one spare too many is on duty until it comes to look for work. */
void sk_spare_return(struct sk_sched *sched);

/* Where a sleeper has no spare, as no thread could be had, tries again to get one. False if that
 * fails, and all workers on duty are among `nr_waiting` that wait for another one to come. */
bool sk_spare_retry(struct sk_sched *sched, int nr_waiting);

/* Whether all spares there may be are on duty: a guess, which may be late. */
bool sk_spare_exhausted(struct sk_sched *sched);

/* A spare, before it looks for work: if it is one too many it sleeps until it is needed again.
 * False if the scheduler was drained meanwhile: it is to leave. */
bool sk_spare_rest(struct sk_worker *worker);

#endif
