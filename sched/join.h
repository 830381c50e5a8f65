/* Fork and join on the split deque: spawning a child and waiting for it. */
#ifndef SK_SCHED_JOIN_H
#define SK_SCHED_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sched/worker.h"

/* Shares children with a thief that asked. */
void sk_join_share(struct sk_worker *worker);

/* Ends a child that is not simply the youngest private one. Returns what its fn returned. */
int sk_join_slow(struct sk_worker *worker, uint32_t index);

/* Lets fn(arg) run elsewhere. False if the worker has too many children: then it is up to the
 * caller. */
static inline bool sk_join_spawn(struct sk_worker *worker, int (*fn)(void *arg), void *arg,
                                 uint32_t *index)
{
    bool asked = false;
    if (SK_UNLIKELY(!sk_split_push(&worker->split, fn, arg, index, &asked)))
        return false;
    if (SK_UNLIKELY(asked))
        sk_join_share(worker);
    return true;
}

/* Runs the child, or waits for who runs it. Returns what its fn returned. */
static inline int sk_join_sync(struct sk_worker *worker, uint32_t index)
{
    if (SK_UNLIKELY(!sk_split_pop(&worker->split, index)))
        return sk_join_slow(worker, index);
    const struct sk_split_entry *entry = &worker->split.entries[index];
    if (SK_UNLIKELY(sk_load_rlx(&worker->split.asked) != 0)) /* relaxed: a hint that only delays */
        sk_join_share(worker);
    return entry->fn(entry->arg);
}

#endif
