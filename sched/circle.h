/* Circles of waits: who runs what others wait for, and who sleeps until it ends. A circle is found
 * by the wait that closes it, whatever it goes through, and one of its waits is broken off. Free of
 * charge for who does not sleep, but for two words in a thread-local list. */
#ifndef SK_SCHED_CIRCLE_H
#define SK_SCHED_CIRCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"

struct sk_sched;

/* What threads run and others wait for: it is inside a future, a loop, a map, a call or a child.
 * Zero is its start. */
struct sk_awaited {
    struct sk_sched *pool;    /* whose threads alone may begin it; NULL: not known; constant */
    struct sk_stint *blocked; /* its stints whose threads sleep; under the lock */
};

/* The time in which a thread runs something that is awaited; in that thread's frame. */
struct sk_stint {
    struct sk_awaited *awaited;
    struct sk_stint *outer; /* of the same thread */
    struct sk_stint *next;  /* in awaited->blocked; under the lock */
    struct sk_wait *wait;   /* what its thread sleeps for; under the lock */
};

/* A thread sleeps without a timeout for the first of a set to end; in that thread's frame. */
struct sk_wait {
    /* The members, 0 .. n - 1; NULLs do not count, and one that has ended is &sk_circle_ended.
     * Called by other threads while this one sleeps, under the lock. */
    struct sk_awaited *(*at)(const void *set, size_t i);
    const void *set;
    size_t n;
    /* Wakes the thread, which then looks at `told`; under the lock. NULL: a wait that cannot be
     * broken off. */
    void (*wake)(const void *set);
    SK_ATOMIC(bool) told; /* it could never end: give it up */
    /* under the lock */
    struct sk_sched *pool;           /* whose worker the thread is, or NULL */
    struct sk_wait *next, *previous; /* in pool->asleep_inside */
    uint64_t walk;                   /* the last walk that came by; what follows is that one's */
    bool stuck;
    struct sk_wait *seen; /* list of all that the walk has come to */
    struct sk_wait *todo; /* list of those whose sets are yet to be looked at */
};

/* What has ended. */
extern struct sk_awaited sk_circle_ended;

/* Around the running of something: before another thread can wait for what this one does in it. */
void sk_circle_begin(struct sk_stint *stint, struct sk_awaited *awaited);
void sk_circle_end(const struct sk_stint *stint);

/* The calling thread is about to sleep, after sk_worker_block_begin(). False where the wait could
 * never end and can be broken off: then it is not entered. Others that would never end either are
 * told. */
bool sk_circle_enter(struct sk_wait *wait);
/* The same for a single thing, by a wait that cannot be broken off. */
void sk_circle_enter_one(struct sk_wait *wait, const struct sk_awaited *awaited);
/* It has slept. */
void sk_circle_leave(struct sk_wait *wait);

/* Around fork(): the child finds the lists whole. */
void sk_circle_lock(void);
void sk_circle_unlock(void);

#endif
