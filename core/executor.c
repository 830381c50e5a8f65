/* Thread pools: a scheduler, and the rules of submitting to it and of ending it. */
#define _GNU_SOURCE
#include "core/executor.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "core/error.h"
#include "core/future.h"

struct skua_executor {
    struct sk_sched *sched;       /* constant */
    size_t max_pending;           /* constant; 0: no limit */
    struct sk_executor_link link; /* of the process's pools */
    SK_ATOMIC(bool) killed;       /* skua_shutdown(SKUA_KILL) was called */
    SK_ATOMIC(unsigned) cancels;  /* skua_shutdown(SKUA_CANCEL_FUTURES) was called so often */
    SK_ATOMIC(size_t) pending;    /* futures not begun; counted only with max_pending */
    struct sk_park room;          /* where submitters wait for it to fall */
};

struct sk_sched *sk_executor_sched(const skua_executor *ex)
{
    return ex->sched;
}

struct sk_executor_link *sk_executor_link(skua_executor *ex)
{
    return &ex->link;
}

bool sk_executor_killed(const skua_executor *ex)
{
    return sk_load_acq(&((skua_executor *)(uintptr_t)ex)->killed);
}

unsigned sk_executor_cancels(const skua_executor *ex)
{
    return sk_load_acq(&((skua_executor *)(uintptr_t)ex)->cancels);
}

static bool is_here(const skua_executor *ex)
{
    return sk_sched_here(ex->sched);
}

/* Whether the calling thread works for the pool: as a worker, in a loop, or in a callback of a
 * future that it cancelled. */
static bool is_inside(const skua_executor *ex)
{
    return sk_worker_is_of(ex->sched) || sk_guest_self(ex->sched) != NULL ||
           sk_future_calling_for(ex);
}

static skua_status broken_or_ok(const skua_executor *ex, const char *what)
{
    if (sk_load_acq(&ex->sched->broken))
        return sk_error_set(SKUA_BROKEN_THREAD_POOL, "%s: the pool %s is broken: its init failed",
                            what, ex->sched->name);
    return SKUA_OK;
}

skua_status sk_executor_check(const skua_executor *ex, const char *what)
{
    if (ex == NULL)
        return sk_error_set(SKUA_INVALID, "%s: the executor is NULL", what);
    if (!is_here(ex))
        return sk_error_set(SKUA_SHUTDOWN, "%s: the pool %s was left behind by a fork()", what,
                            ex->sched->name);
    if (sk_load_acq(&ex->sched->shutdown) && !is_inside(ex))
        return sk_error_set(SKUA_SHUTDOWN, "%s: the pool %s was shut down", what, ex->sched->name);
    return broken_or_ok(ex, what);
}

/* ---- making ---------------------------------------------------------------------------------- */

static skua_status check_options(const skua_options *o)
{
    if (o->workers < 0 || o->workers > SK_SCHED_WORKERS)
        return sk_error_set(SKUA_INVALID, "skua_thread_pool: workers is %d; it takes 0 to %d",
                            o->workers, SK_SCHED_WORKERS);
    if ((int)o->bind < SKUA_BIND_AUTO || (int)o->bind > SKUA_BIND_NONE)
        return sk_error_set(
            SKUA_INVALID,
            "skua_thread_pool: bind is %d; it takes SKUA_BIND_AUTO (%d), _CLOSE (%d), "
            "_SPREAD (%d) or _NONE (%d)",
            (int)o->bind, SKUA_BIND_AUTO, SKUA_BIND_CLOSE, SKUA_BIND_SPREAD, SKUA_BIND_NONE);
    const char *field = o->tasks_per_worker != 0 ? "tasks_per_worker"
                        : o->memory_limit != 0   ? "memory_limit"
                        : o->retries != 0        ? "retries"
                        : o->grace != 0          ? "grace"
                                                 : NULL;
    if (field != NULL)
        return sk_error_set(SKUA_INVALID, "skua_thread_pool: %s is for process pools; leave it 0",
                            field);
    return SKUA_OK;
}

static skua_status start_error(int error)
{
    if (error == -EAGAIN)
        return sk_error_set(SKUA_NO_MEMORY, "skua_thread_pool: not one thread could be created: %s",
                            strerror(-error));
    if (error == -ENOMEM)
        return sk_error_set(SKUA_NO_MEMORY, "skua_thread_pool: out of memory");
    return sk_error_set(SKUA_INVALID, "skua_thread_pool: the machine's topology cannot be read: %s",
                        strerror(-error));
}

skua_executor *skua_thread_pool(const skua_options *options)
{
    static const skua_options usual = { 0 };
    const skua_options *o = options != NULL ? options : &usual;
    if (check_options(o) != SKUA_OK)
        return NULL;
    skua_executor *ex = sk_alloc_lines(sizeof *ex);
    if (ex == NULL) {
        start_error(-ENOMEM);
        return NULL;
    }
    ex->max_pending = o->max_pending;
    struct sk_sched_config config = { o->workers, o->bind, o->name, o->init, o->init_arg, ex };
    int error = sk_sched_start(&ex->sched, &config);
    if (error != 0) {
        sk_free(ex);
        start_error(error);
        return NULL;
    }
    sk_life_add(&ex->link);
    return ex;
}

int skua_workers(const skua_executor *ex)
{
    return ex != NULL ? ex->sched->nr_workers : 0;
}

int skua_worker(void)
{
    return sk_worker_number();
}

/* ---- submitting ------------------------------------------------------------------------------ */

static bool task_makes_sense(const skua_task *t, const char **problem)
{
    *problem = NULL;
    if (t == NULL)
        *problem = "the task is NULL";
    else if (t->fn == NULL)
        *problem = "the function is NULL";
    else if ((int)t->priority < SKUA_LOW || (int)t->priority > SKUA_HIGH)
        *problem = "the priority is none of SKUA_LOW, SKUA_NORMAL, SKUA_HIGH";
    else if (!(t->time_limit >= 0))
        *problem = "time_limit is negative or not a number";
    else if (t->arg == NULL && t->arg_size > 0)
        *problem = "arg is NULL, but arg_size is not 0";
    else if (t->drop != NULL && t->result_size == 0)
        *problem = "there is a drop, but result_size is 0";
    else if (t->arg_size > SIZE_MAX / 4 || t->result_size > SIZE_MAX / 4)
        *problem = "arg_size or result_size is larger than any memory";
    return *problem == NULL;
}

/* Counts one more pending future; from outside it waits for room. */
static void enter_room(skua_executor *ex)
{
    bool inside = is_inside(ex);
    size_t pending = sk_load_rlx(&ex->pending);
    for (;;) {
        while (pending < ex->max_pending || inside) {
            if (sk_cas_rlx(&ex->pending, &pending, pending + 1))
                return;
        }
        uint32_t token = sk_park_prepare(&ex->room);
        if (sk_load_sc(&ex->pending) < ex->max_pending || sk_load_sc(&ex->sched->shutdown)) {
            sk_park_cancel(&ex->room);
            inside = sk_load_sc(&ex->sched->shutdown); /* then the submission is refused */
        } else {
            sk_worker_block_begin();
            sk_park_wait(&ex->room, token, SK_NO_DEADLINE);
            sk_worker_block_end();
        }
        pending = sk_load_rlx(&ex->pending);
    }
}

void sk_executor_begun(skua_executor *ex)
{
    if (ex == NULL || ex->max_pending == 0)
        return;
    sk_sub_sc(&ex->pending, 1u);
    sk_park_notify(&ex->room, 1);
}

static enum sk_lane lane_of(skua_priority priority)
{
    return priority == SKUA_HIGH  ? SK_LANE_HIGH
           : priority == SKUA_LOW ? SK_LANE_LOW
                                  : SK_LANE_NORMAL;
}

skua_future *skua_submit_task(skua_executor *ex, const skua_task *task)
{
    const char *problem;
    if (!task_makes_sense(task, &problem))
        return sk_future_refused(SKUA_INVALID, "skua_submit: %s", problem);
    if (ex == NULL)
        return sk_future_refused(SKUA_INVALID, "skua_submit: the executor is NULL");
    if (!is_here(ex))
        return sk_future_refused(SKUA_SHUTDOWN,
                                 "skua_submit: the pool was left behind by a fork()");
    if (broken_or_ok(ex, "skua_submit") != SKUA_OK)
        return sk_future_refused(SKUA_BROKEN_THREAD_POOL,
                                 "skua_submit: the pool %s is broken: its "
                                 "init failed",
                                 ex->sched->name);
    skua_future *f = sk_future_open(ex, task);
    if (f == NULL)
        return sk_future_refused(SKUA_NO_MEMORY,
                                 "skua_submit: no memory for a task of %zu + %zu bytes",
                                 task->arg_size, task->result_size);
    if (ex->max_pending != 0)
        enter_room(ex);
    skua_retain(f); /* the queue's */
    if (sk_sched_submit(ex->sched, &f->job, lane_of(task->priority), false) == 0)
        return f;
    skua_cancel(f); /* nobody has seen it: no failure to be read */
    skua_release(f);
    skua_release(f);
    return sk_future_refused(SKUA_SHUTDOWN, "skua_submit: the pool was shut down");
}

skua_future *skua_submit(skua_executor *ex, skua_fn *fn, void *arg)
{
    skua_task task = { .fn = fn, .arg = arg };
    return skua_submit_task(ex, &task);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void begin_shutdown(skua_executor *ex, int flags)
{
    sk_sched_shutdown(ex->sched);
    sk_park_notify(&ex->room, INT32_MAX);
    if ((flags & (SKUA_CANCEL_FUTURES | SKUA_KILL)) != 0) {
        sk_add_acq_rel(&ex->cancels, 1u);
        sk_sched_discard(ex->sched, SKUA_CANCELLED);
    }
    if ((flags & SKUA_KILL) != 0) /* last: a task that ends now leaves nothing to begin */
        sk_store_rel(&ex->killed, true);
}

skua_status skua_shutdown(skua_executor *ex, int flags, double timeout)
{
    if (ex == NULL)
        return sk_error_set(SKUA_INVALID, "skua_shutdown: the executor is NULL");
    if ((flags & ~(SKUA_WAIT | SKUA_CANCEL_FUTURES | SKUA_KILL)) != 0)
        return sk_error_set(SKUA_INVALID,
                            "skua_shutdown: flags is %#x; it takes SKUA_WAIT (1), "
                            "SKUA_CANCEL_FUTURES (2) and SKUA_KILL (4)",
                            (unsigned)flags);
    if (!is_here(ex))
        return SKUA_OK;
    int64_t deadline_ns = sk_deadline_ns(timeout);
    begin_shutdown(ex, flags);
    if ((flags & SKUA_WAIT) == 0)
        return SKUA_OK;
    if (is_inside(ex))
        return sk_error_set(SKUA_DEADLOCK,
                            "skua_shutdown: a task cannot wait for the end of its own pool");
    if (!sk_sched_wait(ex->sched, deadline_ns))
        return sk_error_set(SKUA_TIMEOUT, "skua_shutdown: tasks still run after %g s", timeout);
    return SKUA_OK;
}

static void executor_free(skua_executor *ex)
{
    if (!sk_life_take(&ex->link))
        return;
    if (is_here(ex))
        sk_sched_wait(ex->sched, SK_NO_DEADLINE);
    sk_sched_close(ex->sched);
    sk_free(ex);
    sk_life_gone();
}

static void *free_from_outside(void *arg)
{
    executor_free(arg);
    return NULL;
}

void skua_close(skua_executor *ex)
{
    if (ex == NULL)
        return;
    if (is_here(ex))
        begin_shutdown(ex, 0);
    pthread_t closer;
    if (!is_here(ex) || !is_inside(ex))
        executor_free(ex);
    else if (sk_thread_start(&closer, free_from_outside, ex) == 0)
        pthread_detach(closer);
    else
        sk_log(SKUA_LOG_WARNING, "skua: no thread to close a pool from inside; its memory is kept");
}

void sk_executor_at_exit(struct sk_executor_link *link)
{
    skua_executor *ex = SK_CONTAINER_OF(link, skua_executor, link);
    if (!is_here(ex) || is_inside(ex))
        return;
    begin_shutdown(ex, 0);
    sk_sched_wait(ex->sched, SK_NO_DEADLINE);
    sk_sched_join(ex->sched);
}
