/** @file custom.h
 * Executors and futures of your own: fed by an MPI request, a device, a queue of another library.
 * Whatever takes a future, skua_wait() and skua_as_completed() too, takes them beside any others.
 *
 * A future made here is ended by its maker: skua_set_running_or_notify_cancel() before the work,
 * then skua_set_result() or skua_set_exception(); or skua_run_task(), for a task that was
 * submitted. Until it runs anybody may cancel it.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * // An executor that runs each task at once, in the thread that submits it.
 * static void run_at_once(void *self, const skua_task *task, skua_future *f)
 * {
 *     (void)self;
 *     (void)task;
 *     skua_run_task(f);
 * }
 *
 * static int half(void *arg, void *result)
 * {
 *     *(double *)result = *(double *)arg / 2;
 *     return 0;
 * }
 *
 * int main(void)
 * {
 *     double x = 3, y = 0;
 *     skua_executor *ex = skua_executor_new(&(skua_executor_ops){ .submit = run_at_once }, NULL);
 *     skua_task task = { .fn = half, .arg = &x, .arg_size = sizeof x, .result_size = sizeof y };
 *     skua_future *f = skua_submit_task(ex, &task);
 *     if (skua_result(f, &y, sizeof y, SKUA_FOREVER) == SKUA_OK)
 *         printf("%g\n", y);
 *     skua_release(f);
 *     skua_close(ex);
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_CUSTOM_H
#define SKUA_CUSTOM_H

#include <stdbool.h>
#include <stddef.h>

#include "skua/error.h"
#include "skua/executor.h"
#include "skua/export.h"
#include "skua/task.h"

SKUA_BEGIN_DECLS

/** What an executor of your own does. Functions may be called from any thread, several at once. */
typedef struct skua_executor_ops {
    /** Takes a task, and sees to it that @p f ends: here, or later from another thread; then keep f
     * with skua_retain() until it is set. The task and its copied argument live as long as f, and
     * make sense: fn is set, sizes fit. Not begun after a shutdown, but one that another thread had
     * begun may still come: end its future too, by skua_cancel() for instance. Required. */
    void (*submit)(void *self, const skua_task *task, skua_future *f);
    /** Ends it: flags and timeout as of skua_shutdown(), whose result it returns. Called at each
     * skua_shutdown(), and once with SKUA_WAIT and SKUA_FOREVER by skua_close(). With
     * SKUA_CANCEL_FUTURES cancel what has not begun. NULL: there is nothing to end. */
    skua_status (*shutdown)(void *self, int flags, double timeout);
    /** Frees self, by skua_close(). NULL: there is nothing to free. */
    void (*free)(void *self);
} skua_executor_ops;

/** Makes an executor. Any thread; does not block. skua_submit(), skua_map(), skua_imap(),
 * skua_shutdown() and skua_close() work on it; loops, calls, teams and skua_executor_stats() want a
 * thread pool. skua_stop() and a time_limit reach tasks that are run by skua_run_task(). exit()
 * does not wait for it.
 * @param ops what it does; copied.
 * @param self given to each function; yours, until skua_close() calls ops->free.
 * @return for skua_close(); NULL with SKUA_INVALID (no @p ops, no submit) or SKUA_NO_MEMORY. */
SKUA_API skua_executor *skua_executor_new(const skua_executor_ops *ops, void *self);

/** Makes a pending future that you will end. Any thread; does not block.
 * @param result_size bytes of the result that skua_set_result() will bring; or 0.
 * @return yours to release, once; NULL with SKUA_NO_MEMORY. */
SKUA_API skua_future *skua_future_new(size_t result_size);

/** Begins the work of a future: from now on it cannot be cancelled. Any thread; does not block.
 * @param f of skua_future_new() or given to skua_executor_ops.submit.
 * @return true: do the work. False: it was cancelled, those who wait know of it, and there is
 * nothing to do; or with SKUA_INVALID_STATE it was begun or is done, with SKUA_INVALID it is NULL
 * or a pool's own. */
SKUA_API bool skua_set_running_or_notify_cancel(skua_future *f);

/** Runs the task of a future in the calling thread and ends the future with its result or failure:
 * as a pool does it, with the words of skua_fail(), skua_stopping(), the time_limit, and exceptions
 * caught. Blocks while the task and the callbacks run. Any thread.
 * @param f given to skua_executor_ops.submit.
 * @return true: it ran, however it ended. False: it was cancelled, or with SKUA_INVALID_STATE it
 * was begun or is done, with SKUA_INVALID it is NULL, a pool's own, or has no task. */
SKUA_API bool skua_run_task(skua_future *f);

/** Ends a future with a result: wakes those who wait and runs the callbacks, here. Any thread, also
 * of a future that was never set to run.
 * @param f of skua_future_new() or given to skua_executor_ops.submit.
 * @param result copied; NULL if @p size is 0.
 * @param size the future's result_size.
 * @return SKUA_OK; SKUA_INVALID_STATE if it is done or cancelled: nothing changes; SKUA_INVALID for
 * NULL, another size, or a future that belongs to a pool. */
SKUA_API skua_status skua_set_result(skua_future *f, const void *result, size_t size);

/** Ends a future with a failure. As skua_set_result() otherwise.
 * @param f the future.
 * @param error copied, with its strings; NULL ones are "". Status 0 stands for SKUA_FAILED;
 * give worker -1 where no worker had a part in it.
 * @return SKUA_OK; SKUA_INVALID_STATE; SKUA_NO_MEMORY, then it has not ended; SKUA_INVALID also for
 * a NULL @p error, an unknown status, and SKUA_TIMEOUT, SKUA_CANCELLED or SKUA_DEADLOCK, which are
 * no failures of a task. */
SKUA_API skua_status skua_set_exception(skua_future *f, const skua_error *error);

SKUA_END_DECLS

#endif
