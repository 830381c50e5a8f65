/** @file skua.h
 * skua - run C functions on all the cores, close to their data.
 *
 * This is the door: it brings the whole interface, a chapter a header. Read them in this order:
 *
 * - error.h     status, words, the log
 * - task.h      what a task is
 * - topology.h  where workers sit
 * - executor.h  pools: make, submit, shut down
 * - process.h   pools of processes, for containment
 * - future.h    one task's result, error, cancelling, callbacks
 * - wait.h      many futures: wait, as_completed
 * - map.h       out[i] = fn(in[i])
 * - loop.h      parallel loops, reductions and scans
 * - sort.h      stable sorting
 * - spawn.h     fork and join
 * - team.h      members that run at the same time, with a barrier
 * - custom.h    executors and futures of your own
 *
 * Five rules hold everywhere:
 *
 * 1. SKUA_OK is 0. Whatever can fail returns a skua_status; skua_last_error() has the words.
 * 2. Whatever can block takes its timeout last, in seconds: 0 looks and returns, SKUA_FOREVER
 * waits.
 * 3. A zero field in an option struct, or NULL for the struct, means the usual.
 * 4. A future you were given is yours to release, once. Releasing it neither waits nor cancels.
 * 5. Every function may be called from any thread, from inside tasks and from done callbacks. */
#ifndef SKUA_H
#define SKUA_H

/* IWYU pragma: begin_exports */
#include "skua/custom.h"
#include "skua/error.h"
#include "skua/executor.h"
#include "skua/export.h"
#include "skua/future.h"
#include "skua/loop.h"
#include "skua/map.h"
#include "skua/process.h"
#include "skua/sort.h"
#include "skua/spawn.h"
#include "skua/task.h"
#include "skua/team.h"
#include "skua/topology.h"
#include "skua/version.h"
#include "skua/wait.h"
/* IWYU pragma: end_exports */

#if defined(__GNUC__)
/** @cond */
static inline void skua_executor_scope_(skua_executor **p)
{
    skua_close(*p);
}
static inline void skua_future_scope_(skua_future **p)
{
    skua_release(*p);
}
static inline void skua_iter_scope_(skua_iter **p)
{
    skua_iter_close(*p);
}
/** @endcond */
/** A variable that is closed or released however its block is left:
 * skua_scoped(skua_executor) ex = skua_thread_pool(NULL); closes ex, waiting; skua_future releases;
 * skua_iter closes. */
#define skua_scoped(T) __attribute__((cleanup(T##_scope_))) T *
#endif

#endif
