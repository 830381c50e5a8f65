/* Waiting for a future inside a task, and cycles of such waits. */
#ifndef SK_CORE_AWAIT_H
#define SK_CORE_AWAIT_H

#include "core/future.h"

/* The calling thread's node in the graph of waits; NULL if out of memory. */
struct sk_strand *sk_strand_self(void);

/* Begins and runs a pending future here, if the calling thread is a worker that may; else false. */
bool sk_future_try_run(skua_future *f);

/* Runs a future in the calling thread, which has begun it (future.c). */
void sk_future_run(skua_future *f);

#endif
