/* The life of a future in one word, with those who wait for its end: sleepers, watches of waits
 * over many futures, and callbacks. Exactly one of begin and cancel wins; the end is told to each
 * once. */
#ifndef SK_CORE_STATE_H
#define SK_CORE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "skua/executor.h"

/* The word's low bits. */
enum sk_phase {
    SK_PENDING,
    SK_RUNNING,
    SK_FINISHED,
    SK_CANCELLED
};

/* One future of a wait over many; the waiter's memory. */
struct sk_watch {
    struct sk_watch *next, *previous;     /* of the same future, under its lock */
    void (*fire)(struct sk_watch *watch); /* called once at the end, under the future's lock */
    bool listed;                          /* it is in the future's list; under its lock */
};

struct sk_callback {
    struct sk_callback *next;
    void (*fn)(skua_future *f, void *ctx);
    void *ctx;
};

struct sk_state {
    SK_ATOMIC(uint32_t) word; /* enum sk_phase and flags: see state.c */
    struct sk_lock lock;      /* protects what follows */
    struct sk_watch *watches;
    struct sk_callback *callbacks, *last_callback; /* in the order added */
    bool calling;                                  /* somebody is running callbacks */
};

void sk_state_init(struct sk_state *state);

static inline enum sk_phase sk_state_phase(const struct sk_state *state)
{
    /* E1: what was written before the end is seen; pairs with E2. The cast only drops const. */
    return (enum sk_phase)(sk_load_acq(&((struct sk_state *)(uintptr_t)state)->word) & 3u);
}

static inline bool sk_state_done(const struct sk_state *state)
{
    return sk_state_phase(state) >= SK_FINISHED;
}

/* PENDING -> RUNNING. False if it was not pending. */
bool sk_state_begin(struct sk_state *state);

/* PENDING -> CANCELLED, and RUNNING -> FINISHED or CANCELLED: wakes sleepers and fires watches, but
 * leaves callbacks to sk_state_call. The caller holds a reference that keeps the state alive. */
bool sk_state_cancel(struct sk_state *state); /* false if it was not pending */
void sk_state_finish(struct sk_state *state, enum sk_phase end);

/* Runs the callbacks, after cancel or finish, in the calling thread. */
void sk_state_call(struct sk_state *state, skua_future *f);

/* Whether a done future has callbacks to be run by sk_state_call. */
bool sk_state_has_callbacks(struct sk_state *state);

/* Two parties need the pool of a cancelled future: the queue, until its job is taken out, and who
 * cancelled it, until its callbacks have run. Each lets go once; true for the one that is last. */
bool sk_state_let_go(struct sk_state *state);

/* Sleeps until the end. False if the deadline passed first, or if *told was set before a stir. */
bool sk_state_wait(struct sk_state *state, int64_t deadline_ns, SK_ATOMIC(bool) * told);

/* Wakes all sleepers, for one of them to look at its `told`. */
void sk_state_stir(struct sk_state *state);

/* Adds a watch; false if the future is done, and then it is not fired. */
bool sk_state_watch(struct sk_state *state, struct sk_watch *watch);
void sk_state_unwatch(struct sk_state *state, struct sk_watch *watch);

/* Adds a callback, or runs it at once if the future is done and none of its callbacks is running.
 * The callback's memory is then the state's, freed by sk_free. */
void sk_state_add_callback(struct sk_state *state, struct sk_callback *callback, skua_future *f);

#endif
