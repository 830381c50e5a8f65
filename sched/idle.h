/* Idle workers: how they sleep, and who wakes them. */
#ifndef SK_SCHED_IDLE_H
#define SK_SCHED_IDLE_H

#include <stdbool.h>

#include "sched/sched.h"

/* Wakes one worker for something that was just published by a seq_cst operation, unless one is
 * looking for work already. Any thread. */
void sk_idle_notify(struct sk_sched *sched);

/* The same for something in the inbox of a node: first a sleeping worker of that node, even if
 * others look for work, who would leave it to that one for a while. */
void sk_idle_notify_near(struct sk_sched *sched, int node);

/* Wakes every sleeping worker and spare. */
void sk_idle_notify_all(struct sk_sched *sched);

/* Wakes one worker if work came while only workers of lent seats slept; for a guest that leaves. */
void sk_idle_seat_returned(struct sk_sched *sched);

/* Around the time in which a worker looks for work without sleeping. On the way out with work in
 * hand the last one wakes another if there is more. */
void sk_idle_search_begin(struct sk_sched *sched);
void sk_idle_search_end(struct sk_sched *sched, bool found);

/* A worker announces that it is about to sleep; it then looks once more by seq_cst operations, and
 * cancels or sleeps. */
uint32_t sk_idle_prepare(struct sk_worker *worker);
void sk_idle_cancel(struct sk_worker *worker);
/* True if it was woken by a notifier, who counts on it to look for work. */
bool sk_idle_sleep(struct sk_worker *worker, uint32_t token);

/* For who was counted on and does something else first: wakes another worker if there is work. */
void sk_idle_pass_on(struct sk_sched *sched);

#endif
