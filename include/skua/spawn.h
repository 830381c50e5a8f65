/** @file spawn.h
 * Fork and join, on threads: a child that costs no allocation, and a call if nobody takes it.
 *
 * Children are taken by idle workers, the oldest first, and waited for by leapfrogging: a worker
 * whose child was taken helps the one who took it (Wagner and Calder, 1993). The children lie in a
 * split deque as in Lace (van Dijk and van de Pol, 2014).
 *
 * A C++ exception thrown by a child ends where the child runs. If somebody took it, skua_sync()
 * returns SKUA_FAILED in its parent. If nobody did, the parent runs it in skua_sync(), and the
 * exception passes through its frames as through those of any C++ function, on to the task, loop
 * body or call around them, which fails (task.h). The children of that task which are open then are
 * ended first, while the frames they use are still there: those that somebody took are waited for,
 * and the others never run. But a function that catches an exception itself must sync the children
 * it has spawned, as on any way out. The same holds for pthread_exit(); yet where that passes
 * frames of C++, their destructors have run by the time taken children are waited for: sync them
 * before.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * struct fib {
 *     int n;
 *     long value;
 * };
 *
 * static int fib(void *arg)
 * {
 *     struct fib *f = arg, a = { f->n - 1, 0 }, b = { f->n - 2, 0 };
 *     if (f->n < 2) {
 *         f->value = f->n;
 *         return 0;
 *     }
 *     skua_child child;
 *     skua_spawn(&child, fib, &a);
 *     fib(&b);
 *     int rc = skua_sync(&child);
 *     f->value = a.value + b.value;
 *     return rc;
 * }
 *
 * int main(void)
 * {
 *     struct fib f = { 20, 0 };
 *     skua_call(skua_default(), fib, &f);
 *     printf("%ld\n", f.value);
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_SPAWN_H
#define SKUA_SPAWN_H

#include "skua/executor.h"
#include "skua/export.h"

SKUA_BEGIN_DECLS

/** A child, in its parent's frame. Nothing in it is yours to read. */
typedef struct skua_child {
    void *opaque[8]; /**< skua's own */
} skua_child;

/** Lets fn(arg) run on another worker, or at the latest in skua_sync(). Inside a task, loop body or
 * skua_call(); on a thread that is no worker, or with very many children open, it is a plain call.
 * Wherever it runs, it is a part of the task that spawned it: skua_stopping() answers for that
 * task, and what it says by skua_fail() is said by that task.
 * @param child storage in the caller's frame, in use until skua_sync(); sync each child, in any
 * order, in the same thread, before its frame returns.
 * @param fn what to run.
 * @param arg given to it. */
SKUA_API void skua_spawn(skua_child *child, int (*fn)(void *arg), void *arg);

/** Waits for a child: runs it here if nobody took it, else helps whoever did. If its fn returned
 * non-zero after skua_fail(), those words are the parent's from then on, as if it had called fn
 * itself: they go with the parent's failure if that returns non-zero without words of its own.
 * Where several children fail, the words are those of the failing child that was synced last;
 * without memory to carry them from one thread to the other they are lost, and nothing else.
 * @param child one that was spawned and not yet synced.
 * @return what its fn returned; SKUA_FAILED if another worker ran it and it did not return, with
 * words as by skua_fail(). */
SKUA_API int skua_sync(skua_child *child);

/** Runs fn(arg) on a worker of @p ex and waits for it; on one of its workers it is a plain call. In
 * a task it is a part of that task: skua_stopping() answers for the task, and the words of
 * skua_fail() are the task's if fn returns non-zero. Called outside of tasks and loops,
 * skua_last_error() then has status SKUA_FAILED, the code and the words.
 * @param ex a thread pool.
 * @param fn what to run.
 * @param arg given to it.
 * @return what fn returned; or a negative skua_status, with skua_last_error() set, where it could
 * not be run, SKUA_INVALID, SKUA_SHUTDOWN, a broken pool's status, or did not return, SKUA_FAILED:
 * see task.h. */
SKUA_API int skua_call(skua_executor *ex, int (*fn)(void *arg), void *arg);

SKUA_END_DECLS

#endif
