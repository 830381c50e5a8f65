/* Fork and join on the split deque: spawning a child and waiting for it. */
#ifndef SK_SCHED_JOIN_H
#define SK_SCHED_JOIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "sched/worker.h"

/* Shares children with a thief that asked. */
void sk_join_share(struct sk_worker *worker);

/* Waits until a child that was taken is done, without helping. */
void sk_join_wait(struct sk_split *split, struct sk_split_entry *entry);

/* Ends a child that is not simply the youngest private one. Returns what its fn returned. */
int sk_join_slow(struct sk_worker *worker, uint32_t index);

/* The time in which a worker runs something for whose end others wait. */
struct sk_join_span {
    struct sk_split_span children;
    struct sk_region *outer; /* the innermost of its loops when it began */
};

static inline void sk_join_span_begin(struct sk_join_span *span, struct sk_worker *worker)
{
    span->outer = worker->regions.open;
    sk_split_span_begin(&span->children, &worker->split);
}

static inline void sk_join_span_end(struct sk_join_span *span)
{
    sk_split_span_end(&span->children);
}

/* The calling worker waits for the end of a span of another worker of its scheduler: it does
 * something from inside, a child or pieces of a loop. False if there is nothing. */
bool sk_join_help(struct sk_worker *worker, struct sk_join_span *span);

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

/* Takes a child back if it is the youngest and private, the usual case: then it is to be run. Else
 * it is one for sk_join_slow. */
static inline bool sk_join_take_back(struct sk_worker *worker, uint32_t index)
{
    if (SK_UNLIKELY(!sk_split_pop(&worker->split, index)))
        return false;
    if (SK_UNLIKELY(sk_load_rlx(&worker->split.asked) != 0)) /* relaxed: a hint that only delays */
        sk_join_share(worker);
    return true;
}

/* Runs a child that was just taken back. */
static inline int sk_join_run(struct sk_worker *worker, uint32_t index)
{
    const struct sk_split_entry *entry = &worker->split.entries[index];
    return entry->fn(entry->arg);
}

/* Runs the child, or waits for who runs it. Returns what its fn returned. */
static inline int sk_join_sync(struct sk_worker *worker, uint32_t index)
{
    if (SK_UNLIKELY(!sk_join_take_back(worker, index)))
        return sk_join_slow(worker, index);
    return sk_join_run(worker, index);
}

#endif
