/* skua_map: the items are cut into chunks; as many jobs as there are workers (and chunks) each
 * take the next chunk, in order, until none is left. So chunks begin in the order of the items,
 * and when an item has failed, chunks behind it are simply not taken: those before it have begun,
 * and are done when the map returns.
 *
 * After a timeout nothing may touch the caller's arrays, though items still run. Each call of the
 * function therefore has its own copy of its item and of its result, and with a timeout the copying
 * is inside a gate: a count of copiers with a closed bit. Who times out closes it and waits for the
 * copiers that are in it, which takes as long as a memcpy. The map itself is counted, and freed by
 * the last job. Items still ask the task that began the map whether to stop: so the map holds on to
 * that future, and to the memory of its pool. */
#include "skua/map.h"

#include <string.h>

#include "base/lock.h"
#include "base/mem.h"
#include "base/spin.h"
#include "base/thread.h"
#include "base/time.h"
#include "core/away.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/future.h"
#include "core/imap.h"
#include "sched/circle.h"
#include "sched/job.h"
#include "sched/park.h"
#include "sched/sched.h"

enum {
    CHUNKS_A_WORKER = 8,
    STACK_RESERVE = 256 * 1024, /* bytes; items that run in the caller have at least that much */
    GATE_CLOSED = 1,
    GATE_USER = 2
};

struct map;

struct map_job {
    struct sk_job job;
    struct map *map;
    char *item, *result; /* scratch, in the map's memory */
};

struct map {
    /* constant */
    skua_executor *ex;
    skua_future *task; /* of the caller, or NULL; referred to, with its pool's memory */
    unsigned cancels;  /* of ex, when the map began */
    skua_fn *fn;
    const char *in;
    char *out;
    size_t in_size, out_size, n, chunk, nr_chunks;
    bool gated;
    /* written by the jobs */
    SK_CACHE_ALIGNED SK_ATOMIC(size_t) next; /* the next chunk to take */
    SK_ATOMIC(size_t) left;                  /* chunks not done and not given up */
    SK_ATOMIC(size_t) lowest;                /* the lowest failing item, or n */
    SK_ATOMIC(int) given_up;                 /* a skua_status: why chunks were given up */
    SK_ATOMIC(uint32_t) gate;
    SK_ATOMIC(uint32_t) refs; /* the caller and the jobs */
    struct sk_park done;
    struct sk_awaited awaited; /* circle.c's */
    struct sk_lock lock;       /* protects failure */
    struct sk_failure failure;
    struct map_job jobs[];
};

static void map_release(struct map *map)
{
    if (sk_sub_acq_rel(&map->refs, 1u) != 1)
        return;
    if (map->task != NULL) {
        sk_executor_free_memory(map->task->executor);
        skua_release(map->task);
    }
    sk_free(map);
}

static void chunks_end(struct map *map, size_t number)
{
    if (sk_sub_sc(&map->left, number) == number) /* before the notify; publishes the results */
        sk_park_notify(&map->done, 1);
}

/* No further chunk begins. */
static void give_up(struct map *map, skua_status why)
{
    size_t next = sk_xchg_acq_rel(&map->next, map->nr_chunks);
    if (next >= map->nr_chunks)
        return;
    sk_store_rel(&map->given_up, why);
    chunks_end(map, map->nr_chunks - next);
}

/* The chunk just taken, and all that are left, are cancelled. */
static void chunks_cancelled(struct map *map)
{
    sk_store_rel(&map->given_up, SKUA_CANCELLED);
    give_up(map, SKUA_CANCELLED);
    chunks_end(map, 1);
}

static bool gate_enter(struct map *map)
{
    uint32_t gate = sk_load_rlx(&map->gate);
    while ((gate & GATE_CLOSED) == 0) {
        if (!map->gated || sk_cas_acq(&map->gate, &gate, gate + GATE_USER))
            return true;
    }
    return false;
}

static void gate_leave(struct map *map)
{
    if (map->gated)
        sk_sub_rel(&map->gate, GATE_USER); /* the copy is done; pairs with gate_close */
}

static void gate_close(struct map *map)
{
    uint32_t gate = sk_load_rlx(&map->gate);
    while (!sk_cas_acq(&map->gate, &gate, gate | GATE_CLOSED)) {
    }
    for (struct sk_spin spin = { 0, 0 }; sk_load_acq(&map->gate) != GATE_CLOSED;)
        sk_spin_turn(&spin, sk_join_spin);
}

static void item_failed(struct map *map, size_t i, int code)
{
    sk_lock_lock(&map->lock);
    if (i < sk_load_rlx(&map->lowest)) { /* relaxed: written under the lock */
        sk_error_end_call(&map->failure, SKUA_FAILED, code, "an item's task");
        sk_store_rlx(&map->lowest, i);
    }
    sk_lock_unlock(&map->lock);
}

/* False if the caller of the map has gone. */
static bool run_item(struct map *map, const struct map_job *job, size_t i)
{
    if (!gate_enter(map))
        return false;
    if (map->in_size > 0)
        memcpy(job->item, map->in + i * map->in_size, map->in_size);
    gate_leave(map);
    if (map->out_size > 0)
        memset(job->result, 0, map->out_size);
    skua_future *before = sk_future_set_current(map->task);
    struct sk_words *kept = sk_error_begin_call();
    int code = sk_error_call("an item's task", (sk_guard_fn *)map->fn, (uintptr_t)job->item,
                             (uintptr_t)job->result, 0, 0);
    if (code != 0)
        item_failed(map, i, code);
    sk_error_leave_call(kept);
    sk_future_set_current(before);
    if (code != 0)
        return true;
    if (map->out_size == 0)
        return true;
    if (!gate_enter(map))
        return false;
    memcpy(map->out + i * map->out_size, job->result, map->out_size);
    gate_leave(map);
    return true;
}

static void run_chunks(struct map *map, const struct map_job *job)
{
    size_t chunk;
    while ((chunk = sk_add_rlx(&map->next, (size_t)1)) < map->nr_chunks) {
        if (SK_UNLIKELY(sk_executor_cancels(map->ex) != map->cancels)) {
            chunks_cancelled(map);
            return;
        }
        size_t first = chunk * map->chunk;
        size_t end = map->n - first < map->chunk ? map->n : first + map->chunk;
        if (first < sk_load_rlx(&map->lowest)) { /* relaxed: a late look does more than it must */
            for (size_t i = first; i < end && run_item(map, job, i); i++) {
            }
        }
        chunks_end(map, 1);
    }
}

static void job_run(struct sk_job *job)
{
    struct map_job *mine = SK_CONTAINER_OF(job, struct map_job, job);
    struct map *map = mine->map;
    struct sk_stint stint;
    sk_circle_begin(&stint, &map->awaited);
    run_chunks(map, mine);
    sk_circle_end(&stint);
    map_release(map);
}

static void job_discard(struct sk_job *job, skua_status why)
{
    struct map *map = SK_CONTAINER_OF(job, struct map_job, job)->map;
    give_up(map, why);
    map_release(map);
}

static const struct sk_job_class map_job = { job_run, job_discard };

static size_t padded(size_t size)
{
    return (size + SK_CACHE_LINE - 1) / SK_CACHE_LINE * SK_CACHE_LINE;
}

static struct map *map_open(const struct map *wanted, size_t nr_jobs)
{
    if (wanted->in_size > SIZE_MAX / 8 || wanted->out_size > SIZE_MAX / 8)
        return NULL;
    size_t scratch = padded(wanted->in_size) + padded(wanted->out_size);
    size_t head = padded(sizeof(struct map) + nr_jobs * sizeof(struct map_job));
    if (scratch != 0 && nr_jobs > (SIZE_MAX - head) / scratch)
        return NULL;
    struct map *map = sk_alloc_lines(head + nr_jobs * scratch);
    if (map == NULL)
        return NULL;
    *map = *wanted;
    map->task = skua_retain(sk_future_current());
    if (map->task != NULL)
        sk_executor_hold_memory(map->task->executor);
    sk_init(&map->left, map->nr_chunks);
    sk_init(&map->lowest, map->n);
    sk_init(&map->refs, 1u);
    sk_lock_init(&map->lock, SK_RANK_LEAF);
    for (size_t i = 0; i < nr_jobs; i++) {
        char *room = (char *)map + head + i * scratch;
        struct map_job *job = &map->jobs[i];
        *job = (struct map_job){ .job = { &map_job, NULL }, .map = map };
        job->item = map->in_size > 0 ? room : NULL;
        job->result = map->out_size > 0 ? room + padded(map->in_size) : NULL;
    }
    return map;
}

static bool map_wait(struct map *map, int64_t deadline_ns)
{
    struct sk_spin spin = { 0, 0 };
    bool in_time = true;
    while (in_time && sk_load_sc(&map->left) != 0) {
        if (!sk_spin_turn(&spin, sk_join_spin))
            continue;
        uint32_t token = sk_park_prepare(&map->done);
        if (sk_load_sc(&map->left) == 0) {
            sk_park_cancel(&map->done);
        } else {
            struct sk_wait wait = { 0 };
            sk_worker_block_begin();
            if (deadline_ns == SK_NO_DEADLINE)
                sk_circle_enter_one(&wait, &map->awaited);
            in_time = sk_park_wait(&map->done, token, deadline_ns);
            if (deadline_ns == SK_NO_DEADLINE)
                sk_circle_leave(&wait);
            sk_worker_block_end();
        }
    }
    return sk_load_sc(&map->left) == 0;
}

/* Hands the jobs out; a worker of the pool keeps the last one for itself. */
static skua_status start_jobs(struct map *map, struct sk_sched *sched, size_t nr_jobs, bool inside)
{
    for (size_t i = 0; i < nr_jobs; i++) {
        sk_add_rlx(&map->refs, 1u);
        if (sk_sched_submit(sched, &map->jobs[i].job, SK_LANE_NORMAL, inside) == 0)
            continue;
        map_release(map);
        if (i == 0)
            return sk_error_set(SKUA_SHUTDOWN, "skua_map: the pool was shut down");
        break; /* the jobs that were accepted do all the chunks */
    }
    return SKUA_OK;
}

static skua_status map_status(struct map *map, bool done, double timeout)
{
    if (!done)
        return sk_error_set(SKUA_TIMEOUT, "skua_map: not all of %zu items were done within %g s",
                            map->n, timeout);
    skua_status why = (skua_status)sk_load_acq(&map->given_up);
    if (why != SKUA_OK)
        return sk_error_copy(sk_error_plain(why));
    if (sk_load_acq(&map->lowest) < map->n)
        return sk_error_copy(&map->failure.error);
    return SKUA_OK;
}

static skua_status map_run(const struct map *wanted, struct sk_sched *sched, double timeout)
{
    bool guest = sk_guest_self(sched) != NULL, inside = guest || sk_worker_is_of(sched);
    bool forever = sk_deadline_ns(timeout) == SK_NO_DEADLINE;
    bool helps = inside && forever && !guest && sk_thread_stack_left() >= STACK_RESERVE;
    size_t workers = (size_t)sched->nr_workers;
    size_t nr_jobs = wanted->nr_chunks < workers ? wanted->nr_chunks : workers;
    struct map *map = map_open(wanted, nr_jobs);
    if (map == NULL)
        return sk_error_set(SKUA_NO_MEMORY, "skua_map: no memory for items of %zu + %zu bytes",
                            wanted->in_size, wanted->out_size);
    int64_t deadline_ns = sk_deadline_ns(timeout);
    skua_status status = SKUA_OK;
    if (nr_jobs > helps)
        status = start_jobs(map, sched, nr_jobs - helps, inside);
    if (status == SKUA_OK) {
        if (helps)
            run_chunks(map, &map->jobs[nr_jobs - 1]);
        bool done = map_wait(map, deadline_ns);
        give_up(map, SKUA_TIMEOUT);
        if (map->gated)
            gate_close(map);
        status = map_status(map, done, timeout);
    }
    map_release(map);
    return status;
}

skua_status skua_map(skua_executor *ex, skua_fn *fn, const void *in, size_t in_size, void *out,
                     size_t out_size, size_t n, const skua_map_options *o, double timeout)
{
    bool is_pool = ex == NULL || sk_executor_is_pool(ex);
    skua_status status = is_pool ? sk_executor_check(ex, "skua_map") : SKUA_OK;
    if (status != SKUA_OK)
        return status;
    if (fn == NULL)
        return sk_error_set(SKUA_INVALID, "skua_map: the function is NULL");
    if (n > 0 && ((in == NULL && in_size > 0) || (out == NULL && out_size > 0)))
        return sk_error_set(SKUA_INVALID, "skua_map: %s is NULL, but its size is %zu",
                            in == NULL && in_size > 0 ? "in" : "out",
                            in == NULL && in_size > 0 ? in_size : out_size);
    if (n > SIZE_MAX / (in_size + 1) || n > SIZE_MAX / (out_size + 1))
        return sk_error_set(SKUA_INVALID,
                            "skua_map: %zu items of %zu and %zu bytes do not fit memory", n,
                            in_size, out_size);
    if (n == 0)
        return SKUA_OK;
    if (sk_executor_is_process_pool(ex))
        return sk_process_map(ex, fn, in, in_size, out, out_size, n, timeout);
    if (!is_pool)
        return sk_map_by_imap(ex, fn, in, in_size, out, out_size, n, timeout);
    struct sk_sched *sched = sk_executor_sched(ex);
    size_t usual = n / ((size_t)sched->nr_workers * CHUNKS_A_WORKER);
    struct map wanted = {
        .ex = ex, .fn = fn, .in = in, .out = out, .in_size = in_size, .out_size = out_size
    };
    wanted.n = n;
    wanted.cancels = sk_executor_cancels(ex);
    wanted.chunk = o != NULL && o->chunk != 0 ? o->chunk : usual > 0 ? usual : 1;
    wanted.nr_chunks = n / wanted.chunk + (n % wanted.chunk != 0);
    wanted.gated = sk_deadline_ns(timeout) != SK_NO_DEADLINE;
    return map_run(&wanted, sched, timeout);
}
