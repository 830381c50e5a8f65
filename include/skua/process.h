/** @file process.h
 * Process pools: executors whose tasks run in processes of their own, for containment.
 *
 * A task that crashes, exits, hangs or eats all memory is the failure of one future and of nothing
 * else: the other tasks go on, and a fresh process takes the seat. The verbs are those of every
 * executor, and one task function serves both kinds. For speed alone take threads (executor.h):
 * they share memory, and run loops, children and teams, which a process pool does not.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * static int root(void *arg, void *result)
 * {
 *     double x = *(double *)arg;
 *     if (x < 0)
 *         *(volatile int *)8 = 1; // a bug: this address is nobody's
 *     *(double *)result = x / 2;
 *     return 0;
 * }
 *
 * int main(void)
 * {
 *     double inputs[] = { 4, -1, 9 }, y;
 *     skua_future *f[3];
 *     skua_executor *ex = skua_process_pool(NULL);
 *     for (int i = 0; i < 3; i++)
 *         f[i] = skua_submit_task(ex, &(skua_task){ .fn = root, .arg = &inputs[i],
 *                                                   .arg_size = sizeof(double),
 *                                                   .result_size = sizeof(double) });
 *     for (int i = 0; i < 3; i++) {
 *         if (skua_result(f[i], &y, sizeof y, SKUA_FOREVER) == SKUA_OK)
 *             printf("%g: %g\n", inputs[i], y);
 *         else // -1: a null pointer was dereferenced ...
 *             printf("%g: %s\n", inputs[i], skua_last_error()->message);
 *         skua_release(f[i]);
 *     }
 *     skua_close(ex);
 *     return 0;
 * }
 * @endcode
 *
 * **What a worker is.** A copy of the program as it was when the pool was made, by way of fork(),
 * with one thread: global variables and other memory have the values of that moment, and a change
 * on either side is not seen on the other. Only what skua_shared_alloc() gave is the same for all.
 * So a task gets what it needs through its argument (arg_size bytes of it are copied), and hands
 * back its result. A pointer with arg_size 0 is passed as it is: into shared memory, or to what
 * the program had when the pool was made.
 *
 * **Make the pool early**, before the program has threads and much memory. It can be made at any
 * time. Where other threads run it waits for those locks that fork() knows of; locks of libraries
 * that have no fork handlers may be held in the workers for ever. Its first process may then
 * become a child of init, or of the nearest subreaper, which has to reap it: of the program
 * itself, if it is that. And a new worker costs what a fork() of the program then costs: 0.2 ms
 * where it was small, some 40 ms for each GiB of touched memory that is not shared.
 *
 * **Signals and children.** The program's SIGCHLD and waitpid() see none of the pool's processes.
 * Workers ignore SIGINT, so that Ctrl-C is the program's alone to answer; handlers of the program
 * are back to their defaults in them. When the program ends, however that happens, they end too;
 * and what a task has started and left behind is killed with its worker. What tasks write to
 * stdout comes out after each of them.
 *
 * **Faults.** A future whose worker died under it is SKUA_CRASHED, or SKUA_EXPIRED for its
 * time_limit; skua_exception() has the kind (error.h), the signal and address, the exit code, the
 * worker, and where it could be had a backtrace. Tasks that had not begun are not touched: others
 * run them. A pool breaks (SKUA_BROKEN_PROCESS_POOL) where init fails, or where 6 workers in 10 s
 * have died without a task and none has ended one. It is no sandbox: docs/security.md says what is
 * contained and what is not.
 *
 * **Limits.** arg_size and result_size: 1 GiB each; above 4 KiB they go through shared memory. */
#ifndef SKUA_PROCESS_H
#define SKUA_PROCESS_H

#include <stddef.h>

#include "skua/error.h"
#include "skua/executor.h"
#include "skua/export.h"

SKUA_BEGIN_DECLS

/** Starts a pool of worker processes, and a spare. Any thread, but see "Make the pool early" above;
 * not in a worker of a process pool. Blocks until the first worker is there, not for its init.
 * @param options how; NULL for the usual: one worker a core. init runs in each worker process.
 * Beside the fields of all pools it takes tasks_per_worker, memory_limit, retries, grace, harden.
 * @return the pool, to be closed by skua_close(); or NULL: SKUA_INVALID for an option that makes no
 * sense, a memory_limit below what a worker starts with, or a call inside a worker process;
 * SKUA_NO_MEMORY where memory, processes or descriptors ran out, or where the copy of the program
 * hangs on a lock of another thread. */
SKUA_API skua_executor *skua_process_pool(const skua_options *options);

/** Makes all workers from now on copies of the program as it is now. Needed after a library was
 * loaded (dlopen) whose functions are to be tasks: the workers do not know them, and submitting one
 * gives SKUA_INVALID. Tasks that run go on; each old worker ends with the task it has begun. Any
 * thread; blocks until the first new worker is there.
 * @param ex a process pool.
 * @return SKUA_OK; SKUA_INVALID (NULL, no process pool, inside a worker); SKUA_SHUTDOWN;
 * SKUA_NO_MEMORY as for skua_process_pool(): then all is as it was. */
SKUA_API skua_status skua_process_refresh(skua_executor *ex);

/** Flags of skua_shared_alloc_with(). */
enum {
    SKUA_SHARED_RO = 1 /**< workers only read it: a write is a SIGSEGV, of that task alone */
};

/** skua_shared_alloc() with flags. Any thread. For a thread pool the flags change nothing.
 * @param ex an executor.
 * @param size bytes, cleared; they take real memory when first touched.
 * @param flags SKUA_SHARED_RO or 0.
 * @return for skua_shared_free(); NULL with SKUA_INVALID (NULL, size 0, unknown flags) or
 * SKUA_NO_MEMORY. */
SKUA_API void *skua_shared_alloc_with(skua_executor *ex, size_t size, int flags);

/** Rights that workers give up, for skua_options.harden. See docs/security.md. */
enum {
    SKUA_NO_NEW_PRIVS = 1, /**< programs that they start gain no rights by set-user-ID bits */
    SKUA_SECCOMP = 2       /**< no programs, sockets, tracing, mounting: EPERM; implies the above */
};

SKUA_END_DECLS

#endif
