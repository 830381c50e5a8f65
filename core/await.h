/* Waiting for futures inside a task. */
#ifndef SK_CORE_AWAIT_H
#define SK_CORE_AWAIT_H

#include "core/future.h"
#include "sched/circle.h"

/* Sleeps by sleep(wait, deadline_ns), which returns false if the deadline passed, while a spare has
 * the core. SKUA_OK; SKUA_TIMEOUT; SKUA_DEADLOCK: none of the set could ever end, found at once or
 * while it slept. */
skua_status sk_await_sleep(struct sk_wait *wait,
                           bool (*sleep)(struct sk_wait *wait, int64_t deadline_ns),
                           int64_t deadline_ns);

/* A member of the set of a wait. */
struct sk_awaited *sk_future_awaited(skua_future *f);

/* Begins and runs a pending future here, if the calling thread is a worker that may; else false. */
bool sk_future_try_run(skua_future *f);

/* Runs a future in the calling thread, which has begun it (future.c). */
void sk_future_run(skua_future *f);

#endif
