/* skua_imap: a window of futures, begun and not yet handed out, that slides over the items. The
 * caller's own thread pulls items from the source and submits them, so nothing runs ahead of the
 * caller by more than the window, and the source needs no lock.
 *
 * Each item is a task with a future. In a pool several can lie in one job (a batch), which saves
 * queue operations and nothing else: they begin, fail and are cancelled one by one. The pool counts
 * a batch as one job that ends with its last item. Where a pool bounds its pending tasks, and in
 * executors of other kinds, items are submitted one by one; the bound is waited for only where
 * there is nothing else to wait for, and no longer than the iterator's deadline. */
#include "core/imap.h"

#include <string.h>

#include "base/mem.h"
#include "base/time.h"
#include "core/await.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/future.h"
#include "core/iter.h"

struct imap {
    skua_iter base;
    skua_executor *ex;
    skua_task task; /* what the items have in common; arg is where the source writes */
    bool (*source)(void *ctx, size_t i, void *item);
    void *ctx;
    size_t ahead, chunk;
    int64_t deadline_ns;
    size_t begun, given;  /* items so far */
    skua_future **window; /* item i at i % room, for given <= i < begun */
    size_t room;          /* a power of two */
    skua_future *last;    /* handed out, and released at the next call */
    bool pulled;          /* task.arg holds item `begun`, for which there was no room */
    bool ended;           /* no more is to be pulled */
    skua_status refused;  /* why */
    skua_status status;   /* why skua_next() gave NULL, before the end */
};

/* ---- batches --------------------------------------------------------------------------------- */

struct batch {
    struct sk_job job;
    size_t n;
    skua_future *items[];
};

static void batch_run(struct sk_job *job)
{
    struct batch *batch = SK_CONTAINER_OF(job, struct batch, job);
    for (size_t i = 0; i < batch->n; i++)
        batch->items[i]->job.class->run(&batch->items[i]->job);
    sk_free(batch);
}

static void batch_discard(struct sk_job *job, skua_status why)
{
    struct batch *batch = SK_CONTAINER_OF(job, struct batch, job);
    for (size_t i = 0; i < batch->n; i++)
        batch->items[i]->job.class->discard(&batch->items[i]->job, why);
    sk_free(batch);
}

static const struct sk_job_class batch_class = { batch_run, batch_discard };

/* Submits the n items behind the begun ones in the window. False: the pool takes none. */
static bool submit_batch(struct imap *imap, size_t n)
{
    struct batch *batch = sk_alloc(sizeof *batch + n * sizeof(skua_future *));
    if (batch == NULL) {
        sk_error_set(SKUA_NO_MEMORY, "skua_imap: no memory for a chunk of %zu items", n);
        return false;
    }
    *batch = (struct batch){ .job = { &batch_class, NULL }, .n = n };
    for (size_t i = 0; i < n; i++)
        batch->items[i] = skua_retain(imap->window[(imap->begun + i) % imap->room]);
    bool inside = sk_executor_is_inside(imap->ex);
    if (sk_executor_submit(imap->ex, &batch->job, SK_LANE_NORMAL, SK_ANY_NODE, n, inside))
        return true;
    for (size_t i = 0; i < n; i++)
        skua_release(batch->items[i]);
    sk_free(batch);
    sk_error_set(SKUA_SHUTDOWN, "skua_imap: the pool was shut down");
    return false;
}

/* ---- the window ------------------------------------------------------------------------------ */

/* Room for one item more than the `used` ones from `given` on. */
static bool make_room(struct imap *imap, size_t used)
{
    if (used < imap->room)
        return true;
    const size_t old = imap->room > 0 ? imap->room : 1, room = imap->room > 0 ? 2 * old : 1;
    skua_future **window = sk_calloc(room, sizeof(skua_future *));
    if (window == NULL)
        return false;
    for (size_t i = imap->given; i < imap->given + used; i++)
        window[i % room] = imap->window[i % old];
    sk_free((void *)imap->window);
    imap->window = window;
    imap->room = room;
    return true;
}

static void end_early(struct imap *imap)
{
    imap->ended = true;
    imap->refused = skua_last_error()->status;
}

/* Whether there is another item, in task.arg. */
static bool pull(struct imap *imap, size_t i)
{
    if (!imap->ended && !imap->source(imap->ctx, i, imap->task.arg))
        imap->ended = true;
    return !imap->ended;
}

/* The next up to n items lie in the window behind the begun ones; returns how many. */
static size_t pull_chunk(struct imap *imap, size_t n)
{
    size_t got = 0;
    while (got < n && make_room(imap, imap->begun - imap->given + got) &&
           pull(imap, imap->begun + got)) {
        skua_future *f = sk_future_open(imap->ex, &imap->task);
        if (f == NULL) {
            sk_error_set(SKUA_NO_MEMORY, "skua_imap: no memory for an item of %zu + %zu bytes",
                         imap->task.arg_size, imap->task.result_size);
            end_early(imap);
            break;
        }
        imap->window[(imap->begun + got++) % imap->room] = f;
    }
    return got;
}

/* Up to n items as one job of a pool. False if there were none, or the pool takes none. */
static bool begin_chunk(struct imap *imap, size_t n)
{
    if (sk_executor_check(imap->ex, "skua_imap") != SKUA_OK) {
        end_early(imap);
        return false;
    }
    size_t got = pull_chunk(imap, n);
    if (got == 0)
        return false;
    if (submit_batch(imap, got)) {
        imap->begun += got;
        return true;
    }
    for (size_t i = 0; i < got; i++) {
        skua_future *f = imap->window[(imap->begun + i) % imap->room];
        sk_state_cancel(&f->state); /* nobody has seen it */
        skua_release(f);
    }
    end_early(imap);
    return false;
}

/* One item, in a pool that bounds its pending tasks. It waits for room until the deadline, which is
 * none while there is an item to hand out. False if there was no item, no room, or a refusal. */
static bool begin_in_room(struct imap *imap, int64_t deadline_ns)
{
    if (!sk_executor_enter_room(imap->ex, imap->begun > imap->given ? 0 : deadline_ns))
        return false;
    if (begin_chunk(imap, 1))
        return true;
    sk_executor_leave_room(imap->ex);
    return false;
}

/* One item, in an executor that is no pool. */
static bool begin_one(struct imap *imap, int64_t deadline_ns)
{
    if (!make_room(imap, imap->begun - imap->given))
        return false;
    if (!imap->pulled && !pull(imap, imap->begun))
        return false;
    imap->pulled = true;
    skua_future *f;
    if (imap->ex->class->submit_in_time != NULL)
        f = imap->ex->class->submit_in_time(imap->ex, &imap->task,
                                            imap->begun > imap->given ? 0 : deadline_ns);
    else
        f = skua_submit_task(imap->ex, &imap->task);
    if (f == NULL)
        return false; /* no room: the item waits for the next time */
    imap->pulled = false;
    if (f->kind != SK_FUTURE_REFUSED) {
        imap->window[imap->begun++ % imap->room] = f;
        return true;
    }
    skua_exception(f, 0); /* its words are for skua_iter_close() */
    skua_release(f);
    end_early(imap);
    return false;
}

/* Begins items while there is room for a chunk, or for half of the window. */
static void refill(struct imap *imap, int64_t deadline_ns)
{
    bool is_pool = sk_executor_is_pool(imap->ex);
    bool one_by_one = !is_pool || sk_executor_is_bounded(imap->ex);
    size_t chunk = one_by_one ? 1 : imap->chunk, half = imap->ahead - imap->ahead / 2;
    size_t least = chunk < half ? chunk : half;
    bool more = true;
    while (more && !imap->ended) {
        size_t free_room = imap->ahead - (imap->begun - imap->given);
        size_t n = free_room < chunk ? free_room : chunk;
        if (free_room < least)
            return;
        more = !is_pool     ? begin_one(imap, deadline_ns)
               : one_by_one ? begin_in_room(imap, deadline_ns)
                            : begin_chunk(imap, n);
    }
}

/* ---- the iterator ---------------------------------------------------------------------------- */

static skua_future *imap_next(skua_iter *it, size_t *index)
{
    struct imap *imap = SK_CONTAINER_OF(it, struct imap, base);
    skua_release(imap->last);
    imap->last = NULL;
    imap->status = SKUA_OK;
    refill(imap, imap->deadline_ns);
    if (imap->given == imap->begun) {
        if (!imap->ended) /* not even one item has room, in the pool or in memory */
            imap->status = sk_now_ns() >= imap->deadline_ns ? SKUA_TIMEOUT : SKUA_NO_MEMORY;
        return NULL;
    }
    skua_future *f = imap->window[imap->given % imap->room];
    imap->status = sk_future_await(f, sk_state_done(&f->state) ? 0 : imap->deadline_ns);
    if (imap->status != SKUA_OK)
        return NULL;
    *index = imap->given++;
    imap->last = f;
    return f;
}

static skua_status close_status(const struct imap *imap)
{
    if (imap->status == SKUA_TIMEOUT)
        return sk_error_set(SKUA_TIMEOUT, "skua_imap: item %zu was not done within the timeout",
                            imap->given);
    if (imap->status != SKUA_OK)
        return sk_error_copy(sk_error_plain(imap->status));
    if (imap->refused != SKUA_OK)
        return sk_error_set(imap->refused, "skua_imap: item %zu was refused: %s", imap->begun,
                            sk_error_plain(imap->refused)->message);
    return SKUA_OK;
}

static skua_status imap_close(skua_iter *it)
{
    struct imap *imap = SK_CONTAINER_OF(it, struct imap, base);
    skua_status status = close_status(imap);
    for (size_t i = imap->given; i < imap->begun; i++)
        skua_cancel(imap->window[i % imap->room]);
    for (size_t i = imap->given; i < imap->begun; i++) {
        skua_future *f = imap->window[i % imap->room];
        sk_store_rlx(&f->looked, true); /* it was not handed out: its failure is nobody's to read */
        skua_release(f);
    }
    skua_release(imap->last);
    sk_free((void *)imap->window);
    sk_free(imap->task.arg);
    sk_free(imap);
    return status;
}

static const struct sk_iter_class imap_class = { imap_next, imap_close };

/* null: the name of an argument that is NULL, or NULL. */
static skua_status check(const char *null, size_t in_size, size_t out_size)
{
    if (null != NULL)
        return sk_error_set(SKUA_INVALID, "skua_imap: the %s is NULL", null);
    if (in_size > SIZE_MAX / 4 || out_size > SIZE_MAX / 4)
        return sk_error_set(SKUA_INVALID, "skua_imap: items of %zu + %zu bytes fit no memory",
                            in_size, out_size);
    return SKUA_OK;
}

static void set_window(struct imap *imap, const skua_map_options *o)
{
    size_t workers = (size_t)skua_workers(imap->ex);
    size_t usual = 2 * (workers > 0 ? workers : 1);
    imap->ahead = o != NULL && o->ahead != 0 ? o->ahead : usual;
    imap->chunk = o != NULL && o->chunk != 0 ? o->chunk : 1;
    if (imap->chunk > imap->ahead)
        imap->chunk = imap->ahead;
}

skua_iter *skua_imap(skua_executor *ex, skua_fn *fn,
                     bool (*source)(void *ctx, size_t i, void *item), void *ctx, size_t in_size,
                     size_t out_size, const skua_map_options *o, double timeout)
{
    int64_t deadline_ns = sk_deadline_ns(timeout);
    const char *null = ex == NULL       ? "executor"
                       : fn == NULL     ? "function"
                       : source == NULL ? "source"
                                        : NULL;
    if (check(null, in_size, out_size) != SKUA_OK)
        return NULL;
    struct imap *imap = sk_calloc(1, sizeof *imap);
    void *item = in_size > 0 ? sk_calloc(1, in_size) : NULL;
    if (imap == NULL || (item == NULL && in_size > 0)) {
        sk_free(imap);
        sk_free(item);
        sk_error_set(SKUA_NO_MEMORY, "skua_imap: no memory for an item of %zu bytes", in_size);
        return NULL;
    }
    imap->base.class = &imap_class;
    imap->ex = ex;
    imap->task = (skua_task){ .fn = fn, .arg = item, .arg_size = in_size, .result_size = out_size };
    imap->source = source;
    imap->ctx = ctx;
    imap->deadline_ns = deadline_ns;
    set_window(imap, o);
    refill(imap, 0);
    return &imap->base;
}

/* ---- skua_map -------------------------------------------------------------------------------- */

struct array {
    const char *in;
    size_t in_size, n;
};

static bool next_of_array(void *ctx, size_t i, void *item)
{
    const struct array *array = ctx;
    if (i == array->n)
        return false;
    if (array->in_size > 0)
        memcpy(item, array->in + i * array->in_size, array->in_size);
    return true;
}

/* The items come in order, so the first that failed is the lowest; what has not begun is cancelled
 * then by closing. */
skua_status sk_map_by_imap(skua_executor *ex, skua_fn *fn, const void *in, size_t in_size,
                           void *out, size_t out_size, size_t n, double timeout)
{
    struct array array = { in, in_size, n };
    const skua_map_options all = { .ahead = n };
    skua_iter *it = skua_imap(ex, fn, next_of_array, &array, in_size, out_size, &all, timeout);
    if (it == NULL)
        return skua_last_error()->status;
    skua_status status = SKUA_OK;
    skua_future *f;
    size_t i;
    while (status == SKUA_OK && (f = skua_next(it, &i)) != NULL)
        status = skua_result(f, out_size > 0 ? (char *)out + i * out_size : NULL, out_size, 0);
    if (status == SKUA_OK)
        return skua_iter_close(it);
    struct sk_failure *failure = sk_error_clone(skua_last_error(), status); /* closing may set it */
    skua_iter_close(it);
    if (failure != NULL)
        sk_error_copy(&failure->error);
    sk_free(failure);
    return status;
}
