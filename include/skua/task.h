/** @file task.h
 * Tasks: C functions that an executor runs, and what they may say about how it went.
 *
 * A task reads its argument, writes its result and returns 0, or skua_fail(). The same function
 * serves every kind of executor: when sizes are given, the argument is a copy made at submission
 * and the result is memory of the future's own.
 *
 * A task that does not return has failed, and its worker goes on with the next one. This holds for
 * a C++ exception thrown out of it, whose type is named in the error's message, with its what()
 * where it is a std::exception; for pthread_exit() in it; and for the cancellation of its thread.
 * The status and the code are SKUA_FAILED. Destructors and cleanup handlers run as ever, and a
 * worker's thread that has exited is replaced by a new one, which runs the pool's init. It is the
 * same for whatever else skua calls: the bodies of loops, the items of maps, the functions of
 * skua_call() and skua_spawn(), callbacks, init. On a thread of the program's own that does a part
 * of a loop, pthread_exit() ends no more than that loop, but glibc goes on to count it as an
 * exiting one, which can no more be cancelled, and which another thread's setuid() passes by: let
 * it end soon.
 *
 * That takes x86-64 or aarch64, and for pthread_exit() and cancellation glibc. Elsewhere an
 * exception ends the process, and pthread_exit() the worker: do neither. Exceptions can only pass
 * functions that were compiled with unwind tables, as is usual on those processors.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * static int inverse(void *arg, void *result)
 * {
 *     double x = *(double *)arg;
 *     if (x == 0.0)
 *         return skua_fail(1, "no inverse of %g", x);
 *     *(double *)result = 1.0 / x;
 *     return 0;
 * }
 *
 * int main(void)
 * {
 *     double x = 4.0, y;
 *     skua_task task = { .fn = inverse, .arg = &x, .arg_size = sizeof x, .result_size = sizeof y };
 *     skua_future *f = skua_submit_task(skua_default(), &task);
 *     if (skua_result(f, &y, sizeof y, SKUA_FOREVER) == SKUA_OK)
 *         printf("%g\n", y);
 *     skua_release(f);
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_TASK_H
#define SKUA_TASK_H

#include <stdbool.h>
#include <stddef.h>

#include "skua/export.h"

SKUA_BEGIN_DECLS

/** A task. Returns 0, or non-zero for a failure: see skua_fail(). Not to return is a failure, too.
 * @param arg the copy of skua_task.arg_size bytes, or the pointer itself where that was 0.
 * @param result skua_task.result_size zero bytes to write, or NULL where that was 0. */
typedef int skua_fn(void *arg, void *result);

/** Which of the waiting tasks begin first. */
typedef enum skua_priority {
    SKUA_LOW = -1,
    SKUA_NORMAL = 0,
    SKUA_HIGH = 1
} skua_priority;

/** A task and how to run it. Zero fields mean the usual; only fn must be given. */
typedef struct skua_task {
    skua_fn *fn;                /**< what to run */
    void *arg;                  /**< given to fn */
    size_t arg_size;            /**< bytes of arg copied at submission; 0 passes the pointer */
    size_t result_size;         /**< bytes of result, zero at first; 0: result is NULL */
    void (*drop)(void *result); /**< called on a result that nobody took; with it, taking is once */
    const char *name;           /**< for messages and skua_error.task; copied */
    /** Seconds of running; 0: no limit. When they are over, in a thread pool skua_stopping() asks
     * the task to end; a process pool kills its process at once, without having asked, and the
     * future is SKUA_EXPIRED. */
    double time_limit;
    skua_priority priority; /**< among tasks that wait for a worker */
    const void *near_data;  /**< start on the NUMA node where this address lies, if a worker of that
                             * node is free before others have nothing else to do; priority is then
                             * among the tasks of that node. No promise: memory that nobody has
                             * touched lies nowhere. NULL: anywhere */
} skua_task;

/** Records why a task or loop body fails, and returns @p code, for `return skua_fail(...)`. Called
 * through the macro skua_fail(), inside a task or body; never blocks. The words go with the task's
 * future, or with the loop's error, if the function returns non-zero; they are dropped if it
 * returns 0.
 * @param where "file:line", kept by pointer: a string literal.
 * @param code what to return; 0 is no failure and is turned into 1.
 * @param format printf format of the message, of which 400 bytes are kept. */
SKUA_API int skua_fail_at(const char *where, int code, const char *format, ...) SKUA_PRINTF(3, 4);

/** @cond */
#define SKUA_STR_(x)   #x
#define SKUA_STR(x)    SKUA_STR_(x)
/** @endcond */
/** skua_fail(code, format, ...): skua_fail_at() with the place of the call. */
#define skua_fail(...) skua_fail_at(__FILE__ ":" SKUA_STR(__LINE__), __VA_ARGS__)

/** Whether the task that calls it was asked to stop: by skua_stop(), or in a thread pool by its
 * time_limit. It should then return SKUA_CANCELLED soon. In a process pool a time_limit never asks,
 * and who was asked by skua_stop() is killed when skua_options.grace is over. False on a thread
 * that runs no task. Never blocks. */
SKUA_API bool skua_stopping(void);

/** The number of the worker that calls it: 0 .. workers-1, or -1 on a thread that is no worker. A
 * thread that takes part in a loop it started has the number of the worker it stands in for. While
 * a task waits inside skua, another thread may run tasks under its number. Never blocks. */
SKUA_API int skua_worker(void);

SKUA_END_DECLS

#endif
