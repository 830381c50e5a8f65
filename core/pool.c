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
#include "core/away.h"
#include "core/error.h"
#include "core/future.h"

struct pool {
    skua_executor base;
    SK_ATOMIC(uint32_t) refs; /* on the memory: the pool's own, and maps' that timed out */
    struct sk_sched *sched;   /* constant */
    size_t max_pending;       /* constant; 0: no limit */
    int (*init)(void *arg);   /* constant; the user's */
    void *init_arg;
    struct sk_lock init_lock;
    struct sk_failure init_failure; /* of the first that failed; under init_lock, then constant */
    struct sk_executor_link link;   /* of the process's pools */
    SK_ATOMIC(bool) killed;         /* skua_shutdown(SKUA_KILL) was called */
    SK_ATOMIC(unsigned) cancels;    /* skua_shutdown(SKUA_CANCEL_FUTURES) was called so often */
    SK_ATOMIC(size_t) pending;      /* futures not begun; counted only with max_pending */
    struct sk_park room;            /* where submitters wait for it to fall */
    struct sk_team_turn team_turn;
    /* what befell tasks on threads that are no workers of the pool; the rest is in the workers */
    SK_CACHE_ALIGNED SK_ATOMIC(uint64_t) events[SK_NR_EVENTS];
};

static const struct sk_executor_class pool_class;
static void pool_at_exit(struct sk_executor_link *link);

/* The cast drops const for the atomics alone: who asks writes nothing. */
static struct pool *pool_of(const skua_executor *ex)
{
    return SK_CONTAINER_OF((skua_executor *)(uintptr_t)ex, struct pool, base);
}

struct sk_sched *sk_executor_sched(const skua_executor *ex)
{
    return pool_of(ex)->sched;
}

struct sk_executor_link *sk_executor_link(skua_executor *ex)
{
    return &pool_of(ex)->link;
}

struct sk_team_turn *sk_executor_team_turn(skua_executor *ex)
{
    return &pool_of(ex)->team_turn;
}

bool sk_executor_killed(const skua_executor *ex)
{
    return sk_load_acq(&pool_of(ex)->killed);
}

void sk_executor_hold_memory(skua_executor *ex)
{
    if (ex != NULL)
        sk_add_rlx(&pool_of(ex)->refs, 1u); /* relaxed: the caller's task keeps it alive */
}

void sk_executor_free_memory(skua_executor *ex)
{
    if (ex != NULL && sk_sub_acq_rel(&pool_of(ex)->refs, 1u) == 1)
        sk_free(pool_of(ex));
}

unsigned sk_executor_cancels(const skua_executor *ex)
{
    return sk_load_acq(&pool_of(ex)->cancels);
}

static bool is_here(const struct pool *pool)
{
    return sk_sched_here(pool->sched);
}

/* Whether the calling thread works for the pool: as a worker, in a loop, or in a callback of a
 * future that it cancelled. */
static bool is_inside(const struct pool *pool)
{
    return sk_worker_is_of(pool->sched) || sk_guest_self(pool->sched) != NULL ||
           sk_future_calling_for(&pool->base);
}

/* Whether the pool can do anything for its caller. */
static skua_status check(const struct pool *pool, const char *what)
{
    const struct sk_sched *sched = pool->sched;
    if (!is_here(pool))
        return sk_error_set(SKUA_SHUTDOWN, "%s: the pool %s was left behind by a fork()", what,
                            sched->name);
    if (sk_load_acq(&pool->sched->broken))
        return sk_error_set(SKUA_BROKEN_THREAD_POOL, "%s: the pool %s is broken: %s", what,
                            sched->name, pool->init_failure.message);
    return SKUA_OK;
}

static skua_status error_shut_down(const struct pool *pool, const char *what)
{
    return sk_error_set(SKUA_SHUTDOWN, "%s: the pool %s was shut down", what, pool->sched->name);
}

bool sk_executor_is_inside(const skua_executor *ex)
{
    return is_inside(pool_of(ex));
}

bool sk_executor_is_bounded(const skua_executor *ex)
{
    return pool_of(ex)->max_pending != 0;
}

bool sk_executor_is_pool(const skua_executor *ex)
{
    return ex->class == &pool_class;
}

skua_status sk_executor_check(const skua_executor *ex, const char *what)
{
    if (ex == NULL)
        return sk_error_set(SKUA_INVALID, "%s: the executor is NULL", what);
    if (!sk_executor_is_pool(ex))
        return sk_error_set(SKUA_INVALID, "%s: the executor is %s; this takes a thread pool", what,
                            sk_executor_is_process_pool(ex) ? "a process pool" : "one of your own");
    const struct pool *pool = pool_of(ex);
    skua_status status = check(pool, what);
    if (status == SKUA_OK && sk_load_acq(&pool->sched->shutdown) && !is_inside(pool))
        return error_shut_down(pool, what);
    return status;
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
                        : o->harden != 0         ? "harden"
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

/* Run first in each worker. Its first failure is there in whole before the pool is seen broken. */
static int run_init(void *arg)
{
    struct pool *pool = arg;
    struct sk_words *kept = sk_error_begin_call();
    int code = sk_error_call("init", (sk_guard_fn *)pool->init, (uintptr_t)pool->init_arg, 0, 0, 0);
    sk_lock_lock(&pool->init_lock);
    if (code != 0 && pool->init_failure.error.status == SKUA_OK)
        sk_error_end_call(&pool->init_failure, SKUA_BROKEN_THREAD_POOL, code, "init");
    sk_lock_unlock(&pool->init_lock);
    sk_error_leave_call(kept);
    return code;
}

const skua_error *sk_executor_init_error(const skua_executor *ex)
{
    return &pool_of(ex)->init_failure.error;
}

skua_executor *skua_thread_pool(const skua_options *options)
{
    static const skua_options usual = { 0 };
    const skua_options *o = options != NULL ? options : &usual;
    if (check_options(o) != SKUA_OK)
        return NULL;
    struct pool *pool = sk_alloc_lines(sizeof *pool);
    if (pool == NULL) {
        start_error(-ENOMEM);
        return NULL;
    }
    pool->base.class = &pool_class;
    sk_init(&pool->refs, 1u);
    pool->max_pending = o->max_pending;
    pool->init = o->init;
    pool->init_arg = o->init_arg;
    sk_lock_init(&pool->init_lock, SK_RANK_LEAF);
    struct sk_sched_config config = { o->workers,
                                      o->bind,
                                      o->name,
                                      o->init != NULL ? run_init : NULL,
                                      pool,
                                      &pool->base,
                                      &sk_executor_children };
    int error = sk_sched_start(&pool->sched, &config);
    if (error != 0) {
        sk_free(pool);
        start_error(error);
        return NULL;
    }
    pool->link.at_exit = pool_at_exit;
    sk_life_add(&pool->link);
    return &pool->base;
}

/* ---- statistics ------------------------------------------------------------------------------ */

/* One future that counted as pending does so no more. */
static void leave_room(struct pool *pool)
{
    if (pool->max_pending == 0)
        return;
    sk_sub_sc(&pool->pending, 1u);
    sk_park_notify(&pool->room, 1);
}

/* n may be negative: the counters wrap, and so does their sum. */
static void count(struct pool *pool, enum sk_event event, int64_t n)
{
    struct sk_worker *worker = sk_worker_self();
    if (worker != NULL && worker->sched == pool->sched)
        sk_stats_add(&worker->stats.events[event], (uint64_t)n);
    else
        sk_add_rlx(&pool->events[event], (uint64_t)n);
}

void sk_executor_event(skua_executor *ex, enum sk_event event)
{
    count(pool_of(ex), event, 1);
    if (event == SK_EVENT_BEGUN || event == SK_EVENT_CANCELLED)
        leave_room(pool_of(ex));
}

bool sk_executor_submit(skua_executor *ex, struct sk_job *job, enum sk_lane lane, int node,
                        size_t nr_tasks, bool inner)
{
    struct pool *pool = pool_of(ex);
    count(pool, SK_EVENT_SUBMITTED, (int64_t)nr_tasks);
    if (sk_sched_submit_near(pool->sched, job, lane, node, inner) == 0)
        return true; /* a task may have closed the pool meanwhile */
    count(pool, SK_EVENT_SUBMITTED, -(int64_t)nr_tasks);
    return false;
}

static size_t events(struct pool *pool, enum sk_event event)
{
    uint64_t n = sk_load_rlx(&pool->events[event]);
    for (int slot = sk_sched_nr_slots(pool->sched) - 1; slot >= 0; slot--)
        n += sk_load_rlx(&sk_sched_worker(pool->sched, slot)->stats.events[event]);
    return (size_t)n;
}

/* What is further on is read first, so that no difference is below zero but by a relaxed load that
 * comes early. */
static size_t less(size_t from, size_t what)
{
    return from > what ? from - what : 0;
}

static skua_status pool_stats(skua_executor *ex, skua_stats *stats)
{
    static const int distance[SK_NR_TIERS] = { 0, 1, 1, 2, 3, 4 }; /* in skua_stats.steals */
    struct pool *pool = pool_of(ex);
    struct sk_sched *sched = pool->sched;
    size_t stopped = events(pool, SK_EVENT_STOPPED);
    size_t cancelled = events(pool, SK_EVENT_CANCELLED);
    stats->workers = (size_t)sched->nr_workers;
    stats->finished = events(pool, SK_EVENT_FINISHED);
    stats->failed = events(pool, SK_EVENT_FAILED);
    size_t begun = events(pool, SK_EVENT_BEGUN);
    stats->running = less(begun, stats->finished + stats->failed + stopped);
    stats->pending = less(events(pool, SK_EVENT_SUBMITTED), begun + cancelled);
    stats->cancelled = cancelled + stopped;
    for (int slot = sk_sched_nr_slots(sched) - 1; slot >= 0; slot--) {
        struct sk_stats *worker = &sk_sched_worker(sched, slot)->stats;
        for (int tier = 0; tier < SK_NR_TIERS; tier++)
            stats->steals[distance[tier]] += (size_t)sk_load_rlx(&worker->steals[tier]);
    }
    return SKUA_OK;
}

/* ---- submitting ------------------------------------------------------------------------------ */

bool sk_executor_enter_room(skua_executor *ex, int64_t deadline_ns)
{
    struct pool *pool = pool_of(ex);
    bool inside = is_inside(pool), in_time = true;
    size_t pending = sk_load_rlx(&pool->pending);
    for (;;) {
        while (pending < pool->max_pending || inside) {
            if (sk_cas_rlx(&pool->pending, &pending, pending + 1))
                return true;
        }
        if (!in_time || deadline_ns <= 0)
            return false;
        uint32_t token = sk_park_prepare(&pool->room);
        if (sk_load_sc(&pool->pending) < pool->max_pending || sk_load_sc(&pool->sched->shutdown)) {
            sk_park_cancel(&pool->room);
            inside = sk_load_sc(&pool->sched->shutdown); /* then the submission is refused */
        } else {
            sk_worker_block_begin();
            in_time = sk_park_wait(&pool->room, token, deadline_ns);
            sk_worker_block_end();
        }
        pending = sk_load_rlx(&pool->pending);
    }
}

void sk_executor_leave_room(skua_executor *ex)
{
    leave_room(pool_of(ex));
}

static enum sk_lane lane_of(skua_priority priority)
{
    return priority == SKUA_HIGH  ? SK_LANE_HIGH
           : priority == SKUA_LOW ? SK_LANE_LOW
                                  : SK_LANE_NORMAL;
}

static skua_future *pool_submit(skua_executor *ex, const skua_task *task)
{
    struct pool *pool = pool_of(ex);
    skua_status status = check(pool, "skua_submit");
    if (status != SKUA_OK)
        return sk_future_refused_as(status);
    skua_future *f = sk_future_open(ex, task);
    if (f == NULL)
        return sk_future_refused(SKUA_NO_MEMORY,
                                 "skua_submit: no memory for a task of %zu + %zu bytes",
                                 task->arg_size, task->result_size);
    int node = SK_ANY_NODE;
    if (SK_UNLIKELY(task->near_data != NULL))
        node = sk_topo_node_of(&pool->sched->topo, task->near_data);
    if (pool->max_pending != 0)
        sk_executor_enter_room(ex, SK_NO_DEADLINE);
    skua_retain(f); /* the queue's */
    if (sk_executor_submit(ex, &f->job, lane_of(task->priority), node, 1, false))
        return f;
    sk_state_cancel(&f->state); /* nobody has seen it: no failure to be read */
    leave_room(pool);
    skua_release(f);
    skua_release(f);
    return sk_future_refused_as(error_shut_down(pool, "skua_submit"));
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void begin_shutdown(struct pool *pool, int flags)
{
    sk_sched_shutdown(pool->sched);
    sk_park_notify(&pool->room, INT32_MAX);
    if ((flags & (SKUA_CANCEL_FUTURES | SKUA_KILL)) != 0) {
        sk_add_acq_rel(&pool->cancels, 1u);
        sk_sched_discard(pool->sched, SKUA_CANCELLED);
    }
    if ((flags & SKUA_KILL) != 0) /* last: a task that ends now leaves nothing to begin */
        sk_store_rel(&pool->killed, true);
}

static skua_status pool_shutdown(skua_executor *ex, int flags, double timeout)
{
    struct pool *pool = pool_of(ex);
    if (!is_here(pool))
        return SKUA_OK;
    int64_t deadline_ns = sk_deadline_ns(timeout);
    begin_shutdown(pool, flags);
    if ((flags & SKUA_WAIT) == 0)
        return SKUA_OK;
    if (is_inside(pool))
        return sk_error_set(SKUA_DEADLOCK,
                            "skua_shutdown: a task cannot wait for the end of its own pool");
    if (!sk_sched_wait(pool->sched, deadline_ns))
        return sk_error_set(SKUA_TIMEOUT, "skua_shutdown: tasks still run after %g s", timeout);
    return SKUA_OK;
}

static void pool_free(struct pool *pool)
{
    if (!sk_life_take(&pool->link))
        return;
    if (is_here(pool))
        sk_sched_wait(pool->sched, SK_NO_DEADLINE);
    sk_sched_close(pool->sched);
    sk_executor_free_memory(&pool->base);
    sk_life_gone();
}

static void *free_from_outside(void *arg)
{
    pool_free(arg);
    return NULL;
}

static void pool_close(skua_executor *ex)
{
    struct pool *pool = pool_of(ex);
    if (is_here(pool))
        begin_shutdown(pool, 0);
    pthread_t closer;
    if (!is_here(pool) || !is_inside(pool))
        pool_free(pool);
    else if (sk_thread_start(&closer, free_from_outside, pool) == 0)
        pthread_detach(closer);
    else
        sk_log(SKUA_LOG_WARNING, "skua: no thread to close a pool from inside; its memory is kept");
}

static int pool_workers(const skua_executor *ex)
{
    return pool_of(ex)->sched->nr_workers;
}

static const struct sk_executor_class pool_class = { .submit = pool_submit,
                                                     .shutdown = pool_shutdown,
                                                     .close = pool_close,
                                                     .stats = pool_stats,
                                                     .workers = pool_workers };

static void pool_at_exit(struct sk_executor_link *link)
{
    struct pool *pool = SK_CONTAINER_OF(link, struct pool, link);
    if (!is_here(pool) || is_inside(pool))
        return;
    begin_shutdown(pool, 0);
    sk_sched_wait(pool->sched, SK_NO_DEADLINE);
    sk_sched_join(pool->sched);
}
