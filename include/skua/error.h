/** @file error.h
 * Errors: a status that a program can test, and words that a person can read.
 *
 * Whatever can fail returns a skua_status or NULL, and leaves words for skua_last_error(). The
 * library itself never prints, exits or aborts over a mistake of its caller or of the world.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * int main(void)
 * {
 *     skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = -3 });
 *     if (ex == NULL)
 *         fprintf(stderr, "%s\n", skua_last_error()->message);
 *     skua_close(ex);
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_ERROR_H
#define SKUA_ERROR_H

#include <stdbool.h>

#include "skua/export.h"

SKUA_BEGIN_DECLS

/** How a call, or a task, ended. Zero is success; the rest are negative. */
typedef enum skua_status {
    SKUA_OK = 0,
    SKUA_FAILED = -1,              /**< the task returned non-zero: see skua_exception() */
    SKUA_CANCELLED = -2,           /**< it was cancelled, and did not run to its end */
    SKUA_TIMEOUT = -3,             /**< your timeout passed; the task itself goes on */
    SKUA_EXPIRED = -4,             /**< the task passed its own time_limit and was stopped */
    SKUA_CRASHED = -5,             /**< the process running it died */
    SKUA_BROKEN_THREAD_POOL = -6,  /**< the executor is of no more use: an initializer failed */
    SKUA_BROKEN_PROCESS_POOL = -7, /**< or its processes can no longer be started */
    SKUA_SHUTDOWN = -8,            /**< the executor was shut down and takes no new tasks */
    SKUA_INVALID_STATE = -9,       /**< not allowed in the future's present state */
    SKUA_INVALID = -10,            /**< an argument makes no sense */
    SKUA_DEADLOCK = -11,           /**< this wait could never have ended */
    SKUA_NO_MEMORY = -12           /**< memory, threads or another resource ran out */
} skua_status;

/** How a worker process ended under a task. */
typedef enum skua_fault {
    SKUA_FAULT_NONE,
    SKUA_FAULT_SIGNAL,     /**< a signal of the task's own making: .signal, .address, .backtrace */
    SKUA_FAULT_NULL_DEREF, /**< SIGSEGV within the first 64 KiB */
    SKUA_FAULT_STACK_OVERFLOW, /**< SIGSEGV next to the stack's end */
    SKUA_FAULT_EXIT,           /**< exit() or _exit(), whatever the code, 0 too */
    SKUA_FAULT_TIMEOUT,        /**< time_limit passed; the worker was killed */
    SKUA_FAULT_MEMORY_LIMIT,   /**< memory_limit passed */
    SKUA_FAULT_OOM_KILLED,     /**< the kernel's out-of-memory killer: see .certain */
    SKUA_FAULT_KILLED,         /**< SIGKILL or SIGTERM from outside */
    SKUA_FAULT_PROTOCOL,       /**< what the worker wrote back made no sense */
    SKUA_FAULT_WORKER_LOST     /**< the processes' supervisor itself went */
} skua_fault;

/** What went wrong. Strings are never NULL. */
typedef struct skua_error {
    skua_status status;    /**< how the call or task ended */
    int code;              /**< what the task returned, or the worker's exit code */
    skua_fault fault;      /**< for SKUA_CRASHED and SKUA_EXPIRED: what became of the process */
    bool certain;          /**< false where the fault is only the likeliest reading */
    int signal;            /**< what killed the worker, or 0 */
    void *address;         /**< the faulting address of a SIGSEGV or SIGBUS, where it is known */
    int worker;            /**< the worker that ran it, or -1 */
    const char *message;   /**< as given to skua_fail(), or skua's own account */
    const char *where;     /**< "file.c:123" of the skua_fail(), or "" */
    const char *backtrace; /**< of a crash, one frame a line, or "" */
    const char *task;      /**< the skua_task.name of the task that failed, or "" */
} skua_error;

/** The name of a status, such as "SKUA_TIMEOUT". Any thread; never blocks; the string is static.
 * @param status any value; one that is no status gives "unknown skua_status". */
SKUA_API const char *skua_strstatus(skua_status status);

/** Whether a status says that an executor is broken for good.
 * @param status any value. */
static inline bool skua_is_broken(skua_status status)
{
    return status == SKUA_BROKEN_THREAD_POOL || status == SKUA_BROKEN_PROCESS_POOL;
}

/** The calling thread's last failed call. Never NULL; before any failure its status is SKUA_OK.
 * Never blocks. The record, strings included, is the thread's own: neither calls that succeed nor
 * other threads change it, nor the end of the future it tells of; the thread's next failing call
 * overwrites it. Callbacks, drops and log functions that a skua call runs in this thread have a
 * record of their own, and leave this one as it was; so have tasks and loop bodies that the thread
 * runs while a task of its own waits or loops. Of a task's name 127 bytes are kept. */
SKUA_API const skua_error *skua_last_error(void);

/** How grave a line given to a skua_log_fn is. */
typedef enum skua_log_level {
    SKUA_LOG_WARNING, /**< something was ignored or degraded; the program goes on */
    SKUA_LOG_INFO     /**< what SKUA_DISPLAY asked to be told */
} skua_log_level;

/** Receives what skua has to say: warnings about the environment, SKUA_DISPLAY's table, and the one
 * line for a failure that nobody read. @p line has no newline at its end and lives for the call.
 * May be called by any thread, also by two at once. */
typedef void skua_log_fn(skua_log_level level, const char *line, void *ctx);

/** Sends all further lines to @p fn instead of stderr. Any thread; never blocks.
 * @param fn called for each line; NULL restores stderr.
 * @param ctx given back to @p fn. */
SKUA_API void skua_set_log(skua_log_fn *fn, void *ctx);

SKUA_END_DECLS

#endif
