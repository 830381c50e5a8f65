/** @file executor.h
 * Executors: pools of workers to which tasks are submitted.
 *
 * In C, CPU-bound work goes to a thread pool. skua_default() is one for the whole process, made at
 * its first use; most programs need no other.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * static int hello(void *arg, void *result)
 * {
 *     (void)result;
 *     printf("%s from worker %d\n", (const char *)arg, skua_worker());
 *     return 0;
 * }
 *
 * int main(void)
 * {
 *     skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = 2, .name = "greeter" });
 *     skua_release(skua_submit(ex, hello, "hello"));
 *     skua_close(ex);
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_EXECUTOR_H
#define SKUA_EXECUTOR_H

#include <stddef.h>

#include "skua/error.h"
#include "skua/export.h"
#include "skua/task.h"
#include "skua/topology.h"

SKUA_BEGIN_DECLS

/** Runs tasks. Opaque; made by skua_thread_pool(), freed by skua_close(). */
typedef struct skua_executor skua_executor;
/** One submitted task: see future.h. */
typedef struct skua_future skua_future;

/** How to make a pool. Zero fields, or NULL for the struct, mean the usual. */
typedef struct skua_options {
    int workers;      /**< 0: SKUA_NUM_THREADS, or one for each core the process may use */
    const char *name; /**< workers' threads are called name-0, name-1, ... ; copied */
    /** Run first in each worker's thread, also in one that is made later to stand in for a worker
     * which waits inside a task or in place of one that has exited; non-zero, or not to return
     * (task.h), breaks the executor. */
    int (*init)(void *init_arg);
    void *init_arg;     /**< given to init */
    size_t max_pending; /**< submitting waits while this many are pending; 0: no limit */
    skua_bind bind;     /**< where workers are pinned: topology.h */
    /* process pools only: process.h */
    size_t tasks_per_worker; /**< a fresh process after so many tasks; 0: never */
    /** Bytes of private memory a worker may have, what it starts with included; 0: no limit. An
     * allocation that is far beyond it is refused; a worker that has got more is killed. */
    size_t memory_limit;
    unsigned retries; /**< how often a task that lost its process is tried again; 0: never */
    double grace;     /**< seconds between asking a task to stop and killing it; 0: 1 s */
    int harden;       /**< SKUA_NO_NEW_PRIVS, SKUA_SECCOMP or 0 */
} skua_options;

/** Starts a pool of worker threads. Any thread; blocks only while the threads are created, not for
 * their init. Where some threads cannot be created the pool has fewer workers and says so to the
 * log: see skua_set_log().
 * @param options how; NULL for the usual.
 * @return the pool, to be closed by skua_close(); or NULL: SKUA_INVALID for a negative or too large
 * number of workers, an unknown bind, or a process pool's option; SKUA_NO_MEMORY where no memory or
 * not a single thread could be had. */
SKUA_API skua_executor *skua_thread_pool(const skua_options *options);

/** The pool that runs the calling task, or else one thread pool for the whole process, made at the
 * first call. Any thread. It need not be closed: exit() waits for what it has accepted.
 * @return the pool; NULL as for skua_thread_pool(). */
SKUA_API skua_executor *skua_default(void);

/** The number of workers of a pool. Any thread; never blocks.
 * @param ex a pool; NULL gives 0. */
SKUA_API int skua_workers(const skua_executor *ex);

/** Submits fn(arg, NULL). Any thread, tasks and callbacks included. Blocks only where the pool has
 * a max_pending, and never in a task of that pool.
 * @param ex where to run it.
 * @param fn what to run.
 * @param arg passed as it is; it must live until the task has ended.
 * @return never NULL: a future that is yours to release, once. One that was refused is done
 * already, with SKUA_INVALID (NULL executor or function), SKUA_SHUTDOWN, a broken pool's status,
 * or SKUA_NO_MEMORY. */
SKUA_API skua_future *skua_submit(skua_executor *ex, skua_fn *fn, void *arg);

/** Submits a task with its sizes, name, priority and limit. As skua_submit() otherwise.
 * @param ex where to run it.
 * @param task what to run: the struct, its name and arg_size bytes of its arg are copied.
 * SKUA_INVALID also for NULL, an unknown priority, a negative or NaN time_limit, an arg_size
 * without arg, a drop without result_size, or sizes too large to add up. */
SKUA_API skua_future *skua_submit_task(skua_executor *ex, const skua_task *task);

/** Flags of skua_shutdown(). */
enum {
    SKUA_WAIT = 1,           /**< return when every accepted task, and its callbacks, have ended */
    SKUA_CANCEL_FUTURES = 2, /**< cancel what has not begun */
    SKUA_KILL = 4            /**< also ask running tasks to stop, as skua_stop() does */
};

/** Ends a pool: from now on submissions are refused. Running tasks go on; their own loops, maps and
 * spawns still work. Any thread, as often as you like. Without SKUA_WAIT it does not block.
 * @param ex the pool, still to be closed.
 * @param flags SKUA_WAIT, SKUA_CANCEL_FUTURES, SKUA_KILL or 0.
 * @param timeout seconds to wait with SKUA_WAIT: 0 polls, SKUA_FOREVER waits.
 * @return SKUA_OK; SKUA_TIMEOUT (it may be called again); SKUA_DEADLOCK for SKUA_WAIT in one of its
 * own workers, which would wait for itself (the pool is shut down all the same); SKUA_INVALID. */
SKUA_API skua_status skua_shutdown(skua_executor *ex, int flags, double timeout);

/** Shuts a pool down, waits for every task and frees it. Futures outlive it. Called by one of the
 * pool's own workers it does not wait: the pool is freed when its last task has ended.
 * @param ex the pool, not to be used again; NULL is fine. */
SKUA_API void skua_close(skua_executor *ex);

/** What an executor has done so far. Tasks of skua_submit() and skua_imap() count; the items of
 * skua_map(), loops, calls and children do not. */
typedef struct skua_stats {
    size_t workers;   /**< as skua_workers() */
    size_t pending;   /**< accepted, and not begun */
    size_t running;   /**< begun, and not ended */
    size_t finished;  /**< ended with a result */
    size_t failed;    /**< ended with a failure */
    size_t cancelled; /**< before they began, or stopped while they ran */
    size_t restarts;  /**< worker processes that were replaced; 0 for threads */
    /** Jobs, children and parts of loops that workers took from others, by distance: from an SMT
     * sibling, the same L3, the same node, a near node, further. */
    size_t steals[5];
} skua_stats;

/** Reads the statistics. Any thread; never blocks. While tasks come and go the numbers are each
 * right at some moment of the call; once all have ended they add up.
 * @param ex a pool.
 * @param stats where to.
 * @return SKUA_OK; SKUA_INVALID (NULL, or an executor of your own). */
SKUA_API skua_status skua_executor_stats(skua_executor *ex, skua_stats *stats);

/** Memory that the caller and every worker of the executor see at the same address: pass it, or a
 * pointer into it, to tasks. For threads that is ordinary memory; a process pool shares no other.
 * Any thread.
 * @param ex an executor.
 * @param size bytes, cleared; they take real memory when first touched.
 * @return for skua_shared_free(); NULL with SKUA_INVALID (NULL, size 0) or SKUA_NO_MEMORY. */
SKUA_API void *skua_shared_alloc(skua_executor *ex, size_t size);

/** Frees memory of skua_shared_alloc(), which no task uses any more. Any thread.
 * @param ex the executor it was allocated for, not yet closed.
 * @param memory from skua_shared_alloc(); NULL does nothing. */
SKUA_API void skua_shared_free(skua_executor *ex, void *memory);

SKUA_END_DECLS

#endif
