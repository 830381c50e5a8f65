/* A future and the task in it: one allocation, which holds the copied argument, the result and the
 * name behind the struct. Counted references: the user's, and the queue's while a job lies
 * there. */
#ifndef SK_CORE_FUTURE_H
#define SK_CORE_FUTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/shelf.h"
#include "core/error.h"
#include "core/state.h"
#include "sched/circle.h"
#include "sched/job.h"
#include "sched/join.h"
#include "skua/future.h"

enum sk_future_kind {
    SK_FUTURE_TASK,    /* of a thread pool */
    SK_FUTURE_AWAY,    /* of a process pool */
    SK_FUTURE_BARE,    /* ended by skua_set_result() and skua_set_exception() */
    SK_FUTURE_REFUSED, /* done from the start */
};

struct skua_future {
    struct sk_job job; /* in the pool's queues, until it is begun or found to be cancelled */
    struct sk_state state;
    SK_ATOMIC(uint32_t) refs;
    /* constant */
    enum sk_future_kind kind;
    unsigned fork_count; /* the process its workers live in */
    skua_executor
        *executor;          /* a thread pool, used only before it is done: it may be closed after */
    struct sk_shelf *shelf; /* where its memory comes from; NULL: from the heap */
    struct sk_away *away;   /* its part in a process pool: core/away.h; NULL elsewhere */
    skua_fn *fn;
    void *arg;
    void *result;
    size_t result_size;
    void (*drop)(void *result);
    const char *name;
    double time_limit;
    /* written by who runs it, before it is done */
    int64_t deadline_ns;        /* when time_limit passes; SK_NO_DEADLINE: never */
    skua_status status;         /* how it ended */
    struct sk_failure *failure; /* NULL: it succeeded, or has no words of its own */
    struct sk_awaited awaited;  /* circle.c's */
    struct sk_join_span span;   /* of the worker that runs it */
    /* written by users */
    SK_ATOMIC(bool) stop;   /* skua_stop was called */
    SK_ATOMIC(bool) taken;  /* its result was handed over; only with drop */
    SK_ATOMIC(bool) looked; /* somebody asked how it ended */
    SK_ATOMIC(bool) set;    /* of a bare one: somebody is ending it, or has */
};

/* A future that is done from the start, with words in the thread's last error. Never NULL. */
skua_future *sk_future_refused(skua_status status, const char *format, ...) SK_PRINTF(2, 3);
/* The same with the words that are there already. */
skua_future *sk_future_refused_as(skua_status status);
/* Gives f, if it was refused, the name of its task; returns f. */
skua_future *sk_future_named(skua_future *f, const char *name);

/* A pending future for a valid task of a pool, with one reference; NULL if out of memory. */
skua_future *sk_future_open(skua_executor *ex, const skua_task *task);

/* The same, without a pool, for a task that somebody else runs; *kept is the task with the copied
 * argument and name, and lives as long as the future. */
skua_future *sk_future_open_bare(const skua_task *task, const skua_task **kept);

/* The same for a task of a process pool, with `more` bytes for its part there at *extra,
 * and with memory from the shelf where it fits. */
skua_future *sk_future_open_away(const skua_task *task, size_t more, void **extra,
                                 struct sk_shelf *shelf);

/* The parcel of the future was withdrawn, and its state says so: runs its callbacks. */
void sk_future_cancel_away(skua_future *f);

/* Ends a future that was never begun, with an error. */
void sk_future_refuse(skua_future *f, skua_status status);

/* Waits until f is done. SKUA_OK; SKUA_TIMEOUT; SKUA_DEADLOCK; SKUA_SHUTDOWN in a forked child. */
skua_status sk_future_await(skua_future *f, int64_t deadline_ns);

/* How a done future ended. */
skua_status sk_future_status(const skua_future *f);

/* Whether the calling thread is inside a callback of a future of ex that it cancelled. */
bool sk_future_calling_for(const skua_executor *ex);

/* The task of the calling thread, for who asks whether to stop; NULL outside of tasks. */
skua_future *sk_future_current(void);
/* Sets it, for whatever runs for the task on other threads: loop bodies, a map's items, called
 * functions, children; returns the one before, to be set again. */
skua_future *sk_future_set_current(skua_future *f);

#endif
