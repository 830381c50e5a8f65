/* Futures whose tasks run in worker processes: what the rest of core/ asks about them. Most of
 * it is in core/away.c, what concerns whole pools in core/process.c and process_map.c. */
#ifndef SK_CORE_AWAY_H
#define SK_CORE_AWAY_H

#include <stdbool.h>

#include "core/future.h"

/* For f->away != NULL. */

/* Takes the task back, if it has not begun: then the future is cancelled, and sk_away_cancelled()
 * is to follow when its callbacks have run. */
bool sk_away_withdraw(skua_future *f);
void sk_away_cancelled(skua_future *f);
/* The executor, for sk_future_calling_for(). */
const skua_executor *sk_away_executor(const skua_future *f);
/* Asks the running task to stop. */
void sk_away_stop(skua_future *f);
/* Sees whether it has begun or ended meanwhile. */
void sk_away_look(skua_future *f);
/* Receives what has come back, for who waits spinning; false if that was nothing. */
bool sk_away_attend(skua_future *f);
/* Gives a failure its backtrace, which takes a while, before the user sees it. */
void sk_away_describe(skua_future *f);
/* Frees it. */
void sk_away_free(skua_future *f);

/* skua_map() on a process pool, with arguments that make sense and n > 0. */
skua_status sk_process_map(skua_executor *ex, skua_fn *fn, const void *in, size_t in_size,
                           void *out, size_t out_size, size_t n, double timeout);
bool sk_executor_is_process_pool(const skua_executor *ex);
/* Submits a task whose result is written to `place`, in shared memory, at once; NULL: as ever.
 * Returns NULL where a bounded pool had no room until the deadline. */
skua_future *sk_process_submit(skua_executor *ex, const skua_task *task, void *place,
                               int64_t deadline_ns);
/* Whether all of it lies in the pool's shared memory. */
bool sk_process_shares(const skua_executor *ex, const void *memory, size_t size);

#endif
