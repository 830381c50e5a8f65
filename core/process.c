/* Process pools: the verbs of an executor over a crew of worker processes (process/crew.h), which
 * does the work. */
#include <errno.h>
#include <pthread.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "core/error.h"
#include "core/future.h"
#include "core/process_pool.h"
#include "process/heap.h"
#include "sched/worker.h"
#include "skua/process.h"

static const size_t most_bytes = (size_t)1 << 30; /* of an argument or a result */

bool sk_executor_is_process_pool(const skua_executor *ex)
{
    return ex->class == &sk_process_class;
}

void sk_process_let_go(struct sk_process_pool *pool)
{
    if (sk_sub_acq_rel(&pool->refs, 1u) != 1)
        return;
    if (sk_crew_here(pool->crew)) /* else it may have been copied half changed */
        sk_shelf_fini(&pool->shelf);
    sk_crew_free(pool->crew);
    sk_free(pool);
}

static bool is_inside(const struct sk_process_pool *pool)
{
    return sk_crew_telling(pool->crew) || sk_future_calling_for(&pool->base);
}

void sk_process_leave_room(struct sk_process_pool *pool)
{
    if (pool->max_pending == 0)
        return;
    sk_sub_sc(&pool->pending, 1u);
    sk_park_notify(&pool->room, 1);
}

/* ---- submitting ------------------------------------------------------------------------------ */

static bool enter_room(skua_executor *ex, int64_t deadline_ns)
{
    struct sk_process_pool *pool = sk_process_pool_of(ex);
    bool inside = is_inside(pool), in_time = true;
    size_t pending = sk_load_rlx(&pool->pending);
    if (pool->max_pending == 0)
        return true;
    for (;;) {
        while (pending < pool->max_pending || inside) {
            if (sk_cas_rlx(&pool->pending, &pending, pending + 1))
                return true;
        }
        if (!in_time || deadline_ns <= 0)
            return false;
        sk_crew_want_begun(pool->crew, true);
        uint32_t token = sk_park_prepare(&pool->room);
        if (sk_load_sc(&pool->pending) < pool->max_pending || sk_crew_is_shut_down(pool->crew)) {
            sk_park_cancel(&pool->room);
            inside = sk_crew_is_shut_down(pool->crew); /* then the submission is refused */
        } else {
            sk_worker_block_begin();
            in_time = sk_park_wait(&pool->room, token, deadline_ns);
            sk_worker_block_end();
        }
        sk_crew_want_begun(pool->crew, false);
        pending = sk_load_rlx(&pool->pending);
    }
}

/* Whether the pool takes the task at all. */
static skua_status check(struct sk_process_pool *pool, const skua_task *task)
{
    char why[SK_CREW_WORDS];
    const char *name = sk_crew_name(pool->crew);
    if (!sk_crew_here(pool->crew))
        return sk_error_set(SKUA_SHUTDOWN, "skua_submit: the pool %s %s", name,
                            sk_child_inside() ? "is not to be had in a worker process"
                                              : "was left behind by a fork()");
    if (sk_crew_broken(pool->crew, why, sizeof why))
        return sk_error_set(SKUA_BROKEN_PROCESS_POOL, "skua_submit: the pool %s is broken: %.300s",
                            name, why);
    if (task->arg_size > most_bytes || task->result_size > most_bytes)
        return sk_error_set(
            SKUA_INVALID,
            "skua_submit: %s is %zu; a process pool takes up to %zu: pass a pointer "
            "to memory of skua_shared_alloc()",
            task->arg_size > most_bytes ? "arg_size" : "result_size",
            task->arg_size > most_bytes ? task->arg_size : task->result_size, most_bytes);
    if (!sk_crew_knows(pool->crew, (uintptr_t)task->fn, why, sizeof why))
        return sk_error_set(SKUA_INVALID, "skua_submit: %.350s", why);
    return SKUA_OK;
}

static skua_future *refuse(struct sk_process_pool *pool, const skua_task *task, int error)
{
    if (error == -ENOMEM)
        return sk_future_refused(SKUA_NO_MEMORY,
                                 "skua_submit: no memory for a task of %zu + %zu bytes",
                                 task->arg_size, task->result_size);
    char why[SK_CREW_WORDS];
    if (error == -EPIPE && sk_crew_broken(pool->crew, why, sizeof why))
        return sk_future_refused(SKUA_BROKEN_PROCESS_POOL,
                                 "skua_submit: the pool %s is broken: %.300s",
                                 sk_crew_name(pool->crew), why);
    return sk_future_refused(SKUA_SHUTDOWN, "skua_submit: the pool %s was shut down",
                             sk_crew_name(pool->crew));
}

/* By who has entered the room. */
static skua_future *submit_entered(skua_executor *ex, const skua_task *task, void *place)
{
    struct sk_process_pool *pool = sk_process_pool_of(ex);
    skua_future *f = sk_away_open(pool, task, place);
    int error = -ENOMEM;
    if (f != NULL) {
        skua_retain(f); /* the crew's */
        error = sk_away_submit(f);
        if (error == 0)
            return f;
        sk_state_cancel(&f->state); /* nobody has seen it: no failure to be read */
        skua_release(f);
        skua_release(f);
    }
    sk_process_leave_room(pool);
    return refuse(pool, task, error);
}

skua_future *sk_process_submit(skua_executor *ex, const skua_task *task, void *place,
                               int64_t deadline_ns)
{
    skua_status status = check(sk_process_pool_of(ex), task);
    if (status != SKUA_OK)
        return sk_future_refused_as(status);
    return enter_room(ex, deadline_ns) ? submit_entered(ex, task, place) : NULL;
}

static skua_future *process_submit(skua_executor *ex, const skua_task *task)
{
    return sk_process_submit(ex, task, NULL, SK_NO_DEADLINE);
}

static skua_future *process_submit_in_time(skua_executor *ex, const skua_task *task,
                                           int64_t deadline_ns)
{
    return sk_process_submit(ex, task, NULL, deadline_ns);
}

/* ---- shared memory --------------------------------------------------------------------------- */

bool sk_process_shares(const skua_executor *ex, const void *memory, size_t size)
{
    bool read_only;
    return sk_heap_holds(sk_crew_heap(sk_process_pool_of(ex)->crew), memory, size, &read_only);
}

static void *process_shared_alloc(skua_executor *ex, size_t size, int flags)
{
    if (!sk_crew_here(sk_process_pool_of(ex)->crew))
        return NULL;
    return sk_heap_alloc(sk_crew_heap(sk_process_pool_of(ex)->crew), size,
                         (flags & SKUA_SHARED_RO) != 0);
}

static void process_shared_free(skua_executor *ex, void *memory)
{
    if (sk_crew_here(sk_process_pool_of(ex)->crew))
        sk_crew_free_shared(sk_process_pool_of(ex)->crew, memory);
}

/* ---- ending ---------------------------------------------------------------------------------- */

static void cancel_pending(struct sk_process_pool *pool)
{
    struct sk_parcel *parcel;
    while ((parcel = sk_crew_withdraw_any(pool->crew)) != NULL) {
        sk_process_leave_room(pool);
        sk_future_cancel_away(sk_away_future(parcel));
    }
}

static skua_status process_shutdown(skua_executor *ex, int flags, double timeout)
{
    struct sk_process_pool *pool = sk_process_pool_of(ex);
    if (!sk_crew_here(pool->crew))
        return SKUA_OK;
    int64_t deadline_ns = sk_deadline_ns(timeout);
    sk_crew_shutdown(pool->crew);
    sk_park_notify(&pool->room, INT32_MAX);
    if ((flags & (SKUA_CANCEL_FUTURES | SKUA_KILL)) != 0)
        cancel_pending(pool);
    if ((flags & SKUA_KILL) != 0)
        sk_crew_stop_all(pool->crew);
    if ((flags & SKUA_WAIT) == 0)
        return SKUA_OK;
    if (is_inside(pool))
        return sk_error_set(SKUA_DEADLOCK,
                            "skua_shutdown: a callback cannot wait for the end of its own pool");
    sk_worker_block_begin();
    bool in_time = sk_crew_wait(pool->crew, deadline_ns);
    sk_worker_block_end();
    if (!in_time)
        return sk_error_set(SKUA_TIMEOUT, "skua_shutdown: tasks still run after %g s", timeout);
    return SKUA_OK;
}

static void pool_free(struct sk_process_pool *pool)
{
    if (!sk_life_take(&pool->link))
        return;
    if (sk_crew_here(pool->crew)) {
        sk_worker_block_begin();
        sk_crew_wait(pool->crew, SK_NO_DEADLINE);
        sk_worker_block_end();
    }
    sk_crew_close(pool->crew);
    sk_process_let_go(pool);
    sk_life_gone();
}

static void *free_from_outside(void *arg)
{
    pool_free(arg);
    return NULL;
}

static void process_close(skua_executor *ex)
{
    struct sk_process_pool *pool = sk_process_pool_of(ex);
    pthread_t closer;
    process_shutdown(ex, 0, 0);
    if (!sk_crew_here(pool->crew) || !is_inside(pool))
        pool_free(pool);
    else if (sk_thread_start(&closer, free_from_outside, pool) == 0)
        pthread_detach(closer);
    else
        sk_log(SKUA_LOG_WARNING,
               "skua: no thread to close a pool from inside; its processes are kept");
}

void sk_process_at_exit(struct sk_executor_link *link)
{
    struct sk_process_pool *pool = SK_CONTAINER_OF(link, struct sk_process_pool, link);
    if (!sk_crew_here(pool->crew) || is_inside(pool))
        return;
    process_shutdown(&pool->base, 0, 0);
    sk_crew_wait(pool->crew, SK_NO_DEADLINE);
    sk_crew_end(pool->crew);
}

static skua_status process_stats(skua_executor *ex, skua_stats *stats)
{
    if (!sk_crew_here(sk_process_pool_of(ex)->crew))
        return sk_error_set(SKUA_SHUTDOWN,
                            "skua_executor_stats: the pool belongs to the parent of this process");
    sk_crew_stats(sk_process_pool_of(ex)->crew, stats);
    return SKUA_OK;
}

static int process_workers(const skua_executor *ex)
{
    return sk_crew_workers(sk_process_pool_of(ex)->crew);
}

const struct sk_executor_class sk_process_class = {
    .submit = process_submit,
    .submit_in_time = process_submit_in_time,
    .shutdown = process_shutdown,
    .close = process_close,
    .stats = process_stats,
    .workers = process_workers,
    .shared_alloc = process_shared_alloc,
    .shared_free = process_shared_free,
};
