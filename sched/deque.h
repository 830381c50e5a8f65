/* A worker's deque of jobs: the owner pushes and pops at the bottom, thieves steal the oldest from
 * the top. Grows; never shrinks. Each job pushed is given out exactly once. */
#ifndef SK_SCHED_DEQUE_H
#define SK_SCHED_DEQUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "sched/job.h"

struct sk_deque_buffer {
    int64_t capacity;                /* a power of two; constant */
    struct sk_deque_buffer *smaller; /* the one it replaced, which thieves may still read */
    SK_ATOMIC(struct sk_job *) slot[];
};

struct sk_deque {
    /* written by thieves, and by the owner for the last job */
    SK_CACHE_ALIGNED SK_ATOMIC(int64_t) top; /* index of the oldest job; never falls */
    /* written by the owner */
    SK_CACHE_ALIGNED SK_ATOMIC(int64_t) bottom; /* one past the youngest job */
    SK_ATOMIC(struct sk_deque_buffer *) buffer; /* the one in use, with all the smaller ones */
};

/* capacity is rounded up to a power of two, at least 2. 0 or -ENOMEM. */
int sk_deque_init(struct sk_deque *deque, int64_t capacity);
void sk_deque_fini(struct sk_deque *deque); /* nobody uses it any more */

/* Owner. 0, or -ENOMEM where it is full and cannot grow: then the job is still the caller's. A push
 * is a seq_cst store: a notifier may look for sleepers right after it (sched/park.h). */
int sk_deque_push(struct sk_deque *deque, struct sk_job *job);
/* Owner: the youngest job, or NULL. */
struct sk_job *sk_deque_pop(struct sk_deque *deque);

/* Any thread: the oldest job, or NULL where it is empty or another thief was faster; *lost (if not
 * NULL) tells the second from the first. */
struct sk_job *sk_deque_steal(struct sk_deque *deque, bool *lost);

/* Any thread: whether it was empty at some moment of the call; by seq_cst loads, so that what was
 * pushed before an earlier seq_cst operation of this thread is seen. */
static inline bool sk_deque_empty(struct sk_deque *deque)
{
    int64_t top = sk_load_sc(&deque->top);
    return sk_load_sc(&deque->bottom) <= top;
}

#endif
