/* Executors and futures of the user's own. Such a future has no pool: nobody's shutdown waits for
 * it, and a task that waits for it gives its core to a spare. An executor here is the user's
 * functions behind a flag that refuses submissions after a shutdown. */
#include "skua/custom.h"

#include <string.h>

#include "base/mem.h"
#include "core/await.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/future.h"

struct custom {
    skua_executor base;
    skua_executor_ops ops; /* constant */
    void *self;            /* constant */
    SK_ATOMIC(bool) shutdown;
};

static struct custom *custom_of(skua_executor *ex)
{
    return SK_CONTAINER_OF(ex, struct custom, base);
}

static skua_future *custom_submit(skua_executor *ex, const skua_task *task)
{
    struct custom *custom = custom_of(ex);
    const skua_task *kept;
    if (sk_load_acq(&custom->shutdown))
        return sk_future_refused(SKUA_SHUTDOWN, "skua_submit: the executor was shut down");
    skua_future *f = sk_future_open_bare(task, &kept);
    if (f == NULL)
        return sk_future_refused(SKUA_NO_MEMORY,
                                 "skua_submit: no memory for a task of %zu + %zu bytes",
                                 task->arg_size, task->result_size);
    /* It may run tasks here, whose words and wishes are not those of the task that submits. */
    struct sk_words *words = sk_error_begin_call();
    skua_future *before = sk_future_set_current(NULL);
    custom->ops.submit(custom->self, kept, f);
    sk_future_set_current(before);
    sk_error_leave_call(words);
    return f;
}

static skua_status custom_shutdown(skua_executor *ex, int flags, double timeout)
{
    struct custom *custom = custom_of(ex);
    sk_store_rel(&custom->shutdown, true);
    if (custom->ops.shutdown == NULL)
        return SKUA_OK;
    skua_status status = custom->ops.shutdown(custom->self, flags, timeout);
    return status == SKUA_OK ? SKUA_OK
                             : sk_error_set(status, "skua_shutdown: the executor's own gave %s",
                                            skua_strstatus(status));
}

static void custom_close(skua_executor *ex)
{
    struct custom *custom = custom_of(ex);
    custom_shutdown(ex, SKUA_WAIT, SKUA_FOREVER);
    if (custom->ops.free != NULL)
        custom->ops.free(custom->self);
    sk_free(custom);
}

static skua_status custom_stats(skua_executor *ex, skua_stats *stats)
{
    (void)ex;
    (void)stats;
    return sk_error_set(SKUA_INVALID, "skua_executor_stats: an executor of your own counts itself");
}

static const struct sk_executor_class custom_class = { .submit = custom_submit,
                                                       .shutdown = custom_shutdown,
                                                       .close = custom_close,
                                                       .stats = custom_stats };

skua_executor *skua_executor_new(const skua_executor_ops *ops, void *self)
{
    if (ops == NULL || ops->submit == NULL) {
        sk_error_set(SKUA_INVALID, "skua_executor_new: %s",
                     ops == NULL ? "ops is NULL" : "ops->submit is NULL");
        return NULL;
    }
    struct custom *custom = sk_calloc(1, sizeof *custom);
    if (custom == NULL) {
        sk_error_set(SKUA_NO_MEMORY, "skua_executor_new: out of memory");
        return NULL;
    }
    custom->base.class = &custom_class;
    custom->ops = *ops;
    custom->self = self;
    return &custom->base;
}

/* ---- futures --------------------------------------------------------------------------------- */

skua_future *skua_future_new(size_t result_size)
{
    const skua_task *kept;
    const skua_task task = { .result_size = result_size };
    skua_future *f = result_size <= SIZE_MAX / 4 ? sk_future_open_bare(&task, &kept) : NULL;
    if (f == NULL)
        sk_error_set(SKUA_NO_MEMORY, "skua_future_new: no memory for %zu bytes", result_size);
    return f;
}

static skua_status check_bare(const skua_future *f, const char *what)
{
    if (f == NULL)
        return sk_error_set(SKUA_INVALID, "%s: the future is NULL", what);
    if (f->kind != SK_FUTURE_BARE)
        return sk_error_set(SKUA_INVALID,
                            "%s: the future is a pool's own; it takes one of skua_future_new() or "
                            "of an executor of your own",
                            what);
    return SKUA_OK;
}

static skua_status error_state(const skua_future *f, const char *what)
{
    static const char *const names[] = { "pending", "running", "done", "cancelled" };
    return sk_error_set(SKUA_INVALID_STATE, "%s: the future is %s", what,
                        names[sk_state_phase(&f->state)]);
}

bool skua_set_running_or_notify_cancel(skua_future *f)
{
    static const char what[] = "skua_set_running_or_notify_cancel";
    if (check_bare(f, what) != SKUA_OK)
        return false;
    bool begun = sk_state_begin(&f->state);
    if (!begun && !skua_cancelled(f))
        error_state(f, what);
    return begun;
}

/* Whether the calling thread is the one that ends f: then nobody can cancel it. */
static bool claim(skua_future *f)
{
    sk_state_begin(&f->state); /* or it runs already */
    return sk_state_phase(&f->state) == SK_RUNNING && !sk_xchg_acq_rel(&f->set, true);
}

bool skua_run_task(skua_future *f)
{
    static const char what[] = "skua_run_task";
    if (check_bare(f, what) != SKUA_OK)
        return false;
    if (f->fn == NULL) {
        sk_error_set(SKUA_INVALID, "%s: the future of skua_future_new() has no task", what);
        return false;
    }
    bool begun = sk_state_begin(&f->state);
    if (begun && sk_xchg_acq_rel(&f->set, true))
        begun = false; /* another thread is just ending it */
    if (!begun) {
        if (!skua_cancelled(f))
            error_state(f, what);
        return false;
    }
    skua_retain(f); /* a callback may release the caller's reference */
    sk_future_run(f);
    skua_release(f);
    return true;
}

static void end(skua_future *f)
{
    skua_retain(f); /* a callback may release the caller's reference */
    sk_state_finish(&f->state, SK_FINISHED);
    sk_state_call(&f->state, f);
    skua_release(f);
}

skua_status skua_set_result(skua_future *f, const void *result, size_t size)
{
    static const char what[] = "skua_set_result";
    skua_status status = check_bare(f, what);
    if (status != SKUA_OK)
        return status;
    if (size != f->result_size)
        return sk_error_set(SKUA_INVALID, "%s: size is %zu, but the future's result_size is %zu",
                            what, size, f->result_size);
    if (result == NULL && size > 0)
        return sk_error_set(SKUA_INVALID, "%s: result is NULL, but size is %zu", what, size);
    if (!claim(f))
        return error_state(f, what);
    if (size > 0)
        memcpy(f->result, result, size);
    end(f);
    return SKUA_OK;
}

static bool is_failure(skua_status status)
{
    return status != SKUA_TIMEOUT && status != SKUA_CANCELLED && status != SKUA_DEADLOCK &&
           sk_error_plain(status)->status == status;
}

skua_status skua_set_exception(skua_future *f, const skua_error *error)
{
    static const char what[] = "skua_set_exception";
    skua_status status = check_bare(f, what);
    if (status != SKUA_OK)
        return status;
    if (error == NULL)
        return sk_error_set(SKUA_INVALID, "%s: the error is NULL", what);
    skua_status why = error->status == SKUA_OK ? SKUA_FAILED : error->status;
    if (!is_failure(why))
        return sk_error_set(SKUA_INVALID,
                            "%s: status is %d (%s), which is no failure of a task: SKUA_FAILED is",
                            what, (int)why, skua_strstatus(why));
    struct sk_failure *failure = sk_error_clone(error, why);
    if (failure == NULL)
        return sk_error_set(SKUA_NO_MEMORY, "%s: no memory for the error", what);
    if (!claim(f)) {
        sk_free(failure);
        return error_state(f, what);
    }
    f->status = why;
    f->failure = failure;
    if (f->name != NULL && failure->error.task[0] == '\0')
        failure->error.task = f->name;
    end(f);
    return SKUA_OK;
}
