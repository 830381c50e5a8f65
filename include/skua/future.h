/** @file future.h
 * Futures: one task each, pending, then running, then done.
 *
 *     PENDING -> RUNNING -> FINISHED (with a result or an error)
 *     PENDING -> CANCELLED
 *
 * A future you were given is yours to release, once; releasing it neither waits nor cancels. A
 * failure that nobody looked at, by skua_result() or skua_exception(), is printed as one line on
 * stderr, with the task's name, the words and where they were said, when the last reference goes;
 * that something was cancelled never is.
 *
 * Timeouts are in seconds on the monotonic clock. 0, negative and NaN look and return;
 * SKUA_FOREVER, and whatever is too large to count, wait.
 *
 * Waiting inside a task does not block its pool: the waiting worker runs the awaited task itself if
 * nobody has begun it (not with a timeout, which the task might outlast), or else works on what
 * that task has to have done, or hands its core to another thread until it is done. A pool has up
 * to 1024 such threads; beyond, a wait that would need one more is told SKUA_DEADLOCK, or runs the
 * task in spite of its timeout.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * static int answer(void *arg, void *result)
 * {
 *     (void)arg;
 *     *(int *)result = 42;
 *     return 0;
 * }
 *
 * int main(void)
 * {
 *     skua_task task = { .fn = answer, .result_size = sizeof(int) };
 *     skua_future *f = skua_submit_task(skua_default(), &task);
 *     const skua_error *error = skua_exception(f, SKUA_FOREVER);
 *     int value = 0;
 *     if (error != NULL)
 *         fprintf(stderr, "%s: %s\n", error->where, error->message);
 *     else if (skua_result(f, &value, sizeof value, 0) == SKUA_OK)
 *         printf("%d\n", value);
 *     skua_release(f);
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_FUTURE_H
#define SKUA_FUTURE_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#include "skua/error.h"
#include "skua/executor.h"
#include "skua/export.h"

SKUA_BEGIN_DECLS

/** A timeout that never passes. */
#define SKUA_FOREVER ((double)INFINITY)

/** Cancels a task that has not begun: wakes those who wait for it and runs its callbacks, here,
 * before it returns. Any thread; does not wait for the task.
 * @param f a future; NULL gives false.
 * @return true if it never ran and never will, also when it had been cancelled before. */
SKUA_API bool skua_cancel(skua_future *f);

/** Cancels a task that has not begun, and asks one that is running to end early: skua_stopping()
 * becomes true in it. If it then returns SKUA_CANCELLED it counts as cancelled. In a process pool
 * its process is killed if it still runs when skua_options.grace has passed, and the future is
 * SKUA_CANCELLED; a thread pool has no such means. Never blocks.
 * @param f a future; NULL does nothing. */
SKUA_API void skua_stop(skua_future *f);

/** Whether it was cancelled. Any thread; never blocks.
 * @param f a future; NULL gives false. */
SKUA_API bool skua_cancelled(const skua_future *f);

/** Whether a worker has begun it and not ended. Any thread; never blocks.
 * @param f a future; NULL gives false. */
SKUA_API bool skua_running(const skua_future *f);

/** Whether it finished, failed or was cancelled; once true, always true. Any thread; never blocks.
 * @param f a future; NULL gives false. */
SKUA_API bool skua_done(const skua_future *f);

/** Waits until @p f is done, then copies its result out: as often as you like, from any thread.
 * With skua_task.drop the result is handed over instead, once.
 * @param f the future.
 * @param out where to; untouched unless SKUA_OK is returned.
 * @param size the task's result_size; or 0, with @p out NULL: then it only waits, and takes
 * nothing.
 * @param timeout seconds.
 * @return SKUA_OK; the task's own end: SKUA_FAILED, SKUA_CANCELLED, SKUA_EXPIRED, or why it was
 * refused; SKUA_TIMEOUT; SKUA_INVALID (NULL, or a wrong size, at once); SKUA_INVALID_STATE where a
 * result with a drop was taken before; SKUA_DEADLOCK where this wait could never end, in a circle
 * of waits, or because no thread is left; SKUA_SHUTDOWN in the child of a fork(), where the task's
 * workers do not exist. */
SKUA_API skua_status skua_result(skua_future *f, void *out, size_t size, double timeout);

/** Waits until @p f is done and tells why it did not succeed. Any thread, also after the executor
 * was closed.
 * @param f the future.
 * @param timeout seconds.
 * @return NULL if the task succeeded; else an error that lives as long as @p f, with status
 * SKUA_TIMEOUT if it is not done, SKUA_CANCELLED, or as skua_result(). */
SKUA_API const skua_error *skua_exception(skua_future *f, double timeout);

/** Calls fn(f, ctx) once f is done: in the order added, one at a time, also those added while
 * others run; in the thread that finished or cancelled f; at once, here, if f is done and no
 * callback of it is running. Those who wait for f are woken before. A callback that is left by a
 * C++ exception or pthread_exit() gives a line in the log, and the others run. Any thread; does not
 * wait.
 * @param f the future. The f that fn gets is borrowed; a reference that somebody holds elsewhere
 * may be released in there, the last one too.
 * @param fn what to call; it may use all of skua.
 * @param ctx given back to fn.
 * @return SKUA_OK; SKUA_INVALID (NULL); SKUA_NO_MEMORY; SKUA_SHUTDOWN in the child of a fork(), for
 * a future that was not done. */
SKUA_API skua_status skua_add_done_callback(skua_future *f, void (*fn)(skua_future *f, void *ctx),
                                            void *ctx);

/** Takes one more reference. Any thread; never blocks.
 * @param f a future, or NULL.
 * @return @p f. */
SKUA_API skua_future *skua_retain(skua_future *f);

/** Gives one reference back; the last one frees the future, its result and its error. The task
 * itself still runs. Any thread; never blocks.
 * @param f a future; NULL does nothing. */
SKUA_API void skua_release(skua_future *f);

SKUA_END_DECLS

#endif
