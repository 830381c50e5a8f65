/* Waiting for a future inside a task, and cycles of such waits. */
#ifndef SK_CORE_AWAIT_H
#define SK_CORE_AWAIT_H

#include "core/future.h"

/* The calling thread's node in the graph of waits; NULL if out of memory. */
struct sk_strand *sk_strand_self(void);

/* Around fork(): the child finds the graph whole. */
void sk_await_lock(void);
void sk_await_unlock(void);

/* What a thread waits for: any one of the futures that at(set, 0 .. n - 1) gives; NULLs do not
 * count. */
struct sk_wait_set {
    skua_future *(*at)(const void *set, size_t i);
    const void *set;
    size_t n;
};

/* Sleeps by sleep(arg, deadline_ns), which returns false if the deadline passed, while a spare has
 * the core. SKUA_OK, SKUA_TIMEOUT, or at once SKUA_DEADLOCK: none of the set could ever end. */
skua_status sk_await_sleep(const struct sk_wait_set *wanted,
                           bool (*sleep)(void *arg, int64_t deadline_ns), void *arg,
                           int64_t deadline_ns);

/* Begins and runs a pending future here, if the calling thread is a worker that may; else false. */
bool sk_future_try_run(skua_future *f);

/* Runs a future in the calling thread, which has begun it (future.c). */
void sk_future_run(skua_future *f);

#endif
