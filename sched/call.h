/* Calls of the user's functions: guarded (base/guard.h), and with children in mind. Where an
 * exception or pthread_exit() leaves the function, the children spawned in it that are still open
 * are ended before its frames go: what was taken is waited for, and the rest never runs. */
#ifndef SK_SCHED_CALL_H
#define SK_SCHED_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/guard.h"
#include "sched/split.h"
#include "sched/worker.h"

struct sk_call {
    struct sk_guard guard;
    struct sk_split *split; /* the calling worker's; NULL: no worker, and without children */
    uint32_t base;          /* its head at the call: older children are others' */
};

/* The guard's leaving(): ends the children. */
void sk_call_leaving(struct sk_guard *guard);

/* Calls fn(a, b, c, d) and returns what it returned, if sk_call_returned(). */
static inline int sk_call_guarded(struct sk_call *call, sk_guard_fn *fn, uintptr_t a, uintptr_t b,
                                  uintptr_t c, uintptr_t d)
{
    struct sk_worker *worker = sk_worker_self();
    call->guard.leaving = sk_call_leaving;
    call->guard.end = SK_GUARD_RETURNED;
    call->split = worker != NULL ? &worker->split : NULL;
    call->base = worker != NULL ? worker->split.head : 0;
    return sk_guard_call(a, b, c, d, fn, &call->guard);
}

/* If not, sk_guard_words() is to be called. */
static inline bool sk_call_returned(const struct sk_call *call)
{
    return SK_LIKELY(call->guard.end == SK_GUARD_RETURNED);
}

#endif
