/* A worker's split deque of children (skua_spawn): the younger part is private to the owner, who
 * pushes and pops there with plain loads and stores; the older part is shared, and thieves claim
 * its oldest child with one compare-and-swap. The owner shares more only when a thief has asked. */
#ifndef SK_SCHED_SPLIT_H
#define SK_SCHED_SPLIT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "sched/circle.h"
#include "sched/park.h"

/* Children open at once in one worker; further ones are plain calls. */
#define SK_SPLIT_CAPACITY (1u << 16)

struct sk_split;

/* What the layer above does around children that run on another worker than their parent. */
struct sk_child_class {
    /* Thief: runs fn(arg) as a part of `cause`. *left is NULL, or becomes what the result comes
     * with. */
    int (*run)(int (*fn)(void *arg), void *arg, void *cause, void **left);
    /* Owner: has synced the child, and gets what was left. */
    void (*take)(void *left);
};

enum sk_split_state {
    SK_SPLIT_OPEN,
    SK_SPLIT_DONE
};

/* The time in which a worker runs something, for who waits for its end and takes children that were
 * spawned inside. */
struct sk_split_span {
    SK_ATOMIC(struct sk_split *) split; /* the worker's, while it lasts; else NULL */
    uint32_t base;                      /* its head when it began; written before split */
};

/* One child. The memory is the deque's own and is never freed while thieves live. */
struct sk_split_entry {
    SK_CACHE_ALIGNED int (*fn)(void *arg); /* written by the owner; NULL: a hole, already synced */
    void *arg;                             /* written by the owner */
    /* written by the thief */
    SK_ATOMIC(uint32_t) state; /* enum sk_split_state; DONE is the thief's last word */
    int result;                /* what fn returned, before DONE */
    struct sk_split_span span; /* the thief's */
    /* Written by the owner before the child is shared: what it is a part of, see
     * sk_split_set_cause. The thief takes it, and leaves what comes with the result: a block for
     * sk_free(), or NULL. */
    void *context;
    struct sk_awaited awaited; /* circle.c's */
};

struct sk_split {
    /* the owner's alone */
    SK_CACHE_ALIGNED uint32_t head; /* entries in use */
    uint32_t nr_holes;              /* of them, synced out of order */
    struct sk_split_entry *entries; /* keeps head and limit apart: fused into one wide load after a
                                     * narrow store they would stall (4-5 ns a spawn) */
    uint32_t split;                 /* the owner's copy of the word's split */
    uint32_t limit;        /* split, or UINT32_MAX while there are holes: below it is slow */
    struct sk_park joined; /* where the owner sleeps for a stolen child */
    const struct sk_child_class *class; /* constant; NULL: children are plain calls */
    void *cause;                        /* what the children being pushed are a part of */
    uint32_t marked;                    /* entries below it know their cause */
    /* written by thieves and by the owner */
    SK_CACHE_ALIGNED SK_ATOMIC(uint64_t) shared; /* tag, tail, split: see split.c */
    SK_ATOMIC(uint32_t) asked;                   /* a thief found nothing shared */
};

int sk_split_init(struct sk_split *split); /* 0 or -ENOMEM */
void sk_split_fini(struct sk_split *split);

/* Tells the private entries up to `end` their cause; for sk_split_set_cause and for sharing. */
void sk_split_mark(struct sk_split *split, uint32_t end);

/* Owner: what is pushed from here on is a part of `cause`, a task for instance, into which sched
 * does not look. Whoever begins something inside something else sets the cause back at the end,
 * when all that was pushed inside is synced. See split.c. */
static inline void sk_split_set_cause(struct sk_split *split, void *cause)
{
    if (SK_UNLIKELY(split->marked < split->head))
        sk_split_mark(split, split->head);
    split->marked = split->head;
    split->cause = cause;
}

/* Owner: shares half of what is private, at least one. False if there is nothing to share. */
bool sk_split_publish(struct sk_split *split);

/* Owner: adds a child and returns its index; false if full. *asked: a thief waits for a publish. */
static inline bool sk_split_push(struct sk_split *split, int (*fn)(void *arg), void *arg,
                                 uint32_t *index, bool *asked)
{
    uint32_t head = split->head;
    if (SK_UNLIKELY(head == SK_SPLIT_CAPACITY))
        return false;
    struct sk_split_entry *entry = &split->entries[head];
    entry->fn = fn;
    entry->arg = arg;
    sk_store_rlx(&entry->state, SK_SPLIT_OPEN); /* relaxed: published with the entry, by S1 */
    split->head = head + 1;
    *index = head;
    *asked = sk_load_rlx(&split->asked) != 0; /* relaxed: a hint that only delays */
    return true;
}

/* Owner: pops entry `index` if it is the youngest and private, the usual case. */
static inline bool sk_split_pop(struct sk_split *split, uint32_t index)
{
    if (SK_UNLIKELY(index + 1 != split->head || index < split->limit))
        return false;
    split->head = index;
    return true;
}

/* Owner: makes entry `index` private again. False if a thief has it: wait for DONE. */
bool sk_split_reclaim(struct sk_split *split, uint32_t index);

/* Owner: is finished with entry `index`, which is private or DONE; it may lie below others. */
void sk_split_remove(struct sk_split *split, uint32_t index);

/* Any thread: claims the oldest shared child, or NULL. Where `within` is given, only a child that
 * was spawned in that span of the victim's. */
struct sk_split_entry *sk_split_steal(struct sk_split *victim, struct sk_split_span *within);

/* Around the running of something whose waiters may take children from inside. The worker's own. */
static inline void sk_split_span_begin(struct sk_split_span *span, struct sk_split *self)
{
    span->base = self->head;
    sk_store_rel(&span->split, self); /* S5: publishes base; pairs with S6 */
}

static inline void sk_split_span_end(struct sk_split_span *span)
{
    sk_store_rlx(&span->split, NULL); /* relaxed: S1 publishes it with what is shared later */
}

/* The thief runs what it has claimed from victim, and tells the victim. */
void sk_split_run(struct sk_split *self, struct sk_split *victim, struct sk_split_entry *entry);

/* Any thread: whether nothing was shared at some moment of the call; by a seq_cst load. */
bool sk_split_empty(struct sk_split *split);

#endif
