/* A mutex of four bytes: a futex lock that sleeps at once when held (Drepper, "Futexes are tricky",
 * mutex 2). For short sections; never held over user code. Ranks rise: a thread that holds a lock
 * takes only locks of higher rank (checked in debug builds). */
#ifndef SK_BASE_LOCK_H
#define SK_BASE_LOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

/* In the order in which they may be taken. */
enum sk_lock_rank {
    SK_RANK_GLOBAL = 1, /* core/executor.c: the list of pools and the default pool */
    SK_RANK_POOL,       /* one pool's slow path: spares, regions, shutting down */
    SK_RANK_FUTURE,     /* one future's waiters and callbacks */
    SK_RANK_WAITER,     /* one wait over many futures */
    SK_RANK_INBOX,      /* one inbox's reading end */
    SK_RANK_GRAPH,      /* sched/circle.c: who waits for whom */
    SK_RANK_LEAF        /* anything below which nothing is taken */
};

struct sk_lock {
    SK_ATOMIC(uint32_t) word; /* 0 free, 1 held, 2 held and somebody may sleep */
    uint32_t rank;            /* enum sk_lock_rank; constant */
};

#define SK_LOCK_INIT(r)                                                                            \
    {                                                                                              \
        0, (r)                                                                                     \
    }

void sk_lock_init(struct sk_lock *lock, enum sk_lock_rank rank);
void sk_lock_lock(struct sk_lock *lock);
bool sk_lock_try_lock(struct sk_lock *lock);
void sk_lock_unlock(struct sk_lock *lock);

#endif
