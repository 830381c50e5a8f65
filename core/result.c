/* Looking at futures: what state they are in, how they ended, and callbacks for when they do. */
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "core/await.h"
#include "core/away.h"
#include "core/future.h"

skua_status sk_future_status(const skua_future *f)
{
    return sk_state_phase(&f->state) == SK_CANCELLED ? SKUA_CANCELLED : f->status;
}

bool skua_cancelled(const skua_future *f)
{
    return f != NULL && sk_state_phase(&f->state) == SK_CANCELLED;
}

bool skua_running(const skua_future *f)
{
    if (f != NULL && f->away != NULL && sk_state_phase(&f->state) == SK_PENDING &&
        f->fork_count == sk_thread_fork_count())
        sk_away_look((skua_future *)(uintptr_t)f); /* the cast: it sees what is so already */
    return f != NULL && sk_state_phase(&f->state) == SK_RUNNING;
}

bool skua_done(const skua_future *f)
{
    return f != NULL && sk_state_done(&f->state);
}

static skua_status check_result_args(const skua_future *f, const void *out, size_t size)
{
    if (f == NULL)
        return sk_error_set(SKUA_INVALID, "skua_result: the future is NULL");
    bool only_waits = out == NULL && size == 0;
    if (size != f->result_size && !only_waits && f->kind != SK_FUTURE_REFUSED)
        return sk_error_set(SKUA_INVALID,
                            "skua_result: size is %zu, but the task's result_size is %zu", size,
                            f->result_size);
    if (out == NULL && size > 0)
        return sk_error_set(SKUA_INVALID, "skua_result: out is NULL, but size is %zu", size);
    return SKUA_OK;
}

static skua_status report(skua_future *f)
{
    sk_store_rlx(&f->looked, true);
    skua_status status = sk_future_status(f);
    return sk_error_copy(f->failure != NULL ? &f->failure->error : sk_error_plain(status));
}

static skua_status report_wait(skua_status status)
{
    if (status == SKUA_SHUTDOWN)
        return sk_error_set(status, "the task belongs to the parent of this forked process");
    return sk_error_copy(sk_error_plain(status));
}

skua_status skua_result(skua_future *f, void *out, size_t size, double timeout)
{
    skua_status status = check_result_args(f, out, size);
    if (status != SKUA_OK)
        return status;
    status = sk_future_await(f, sk_state_done(&f->state) ? 0 : sk_deadline_ns(timeout));
    if (status != SKUA_OK)
        return report_wait(status);
    if (sk_future_status(f) != SKUA_OK)
        return report(f);
    if (size == 0)
        return SKUA_OK;
    if (f->drop != NULL && sk_xchg_acq_rel(&f->taken, true))
        return sk_error_set(SKUA_INVALID_STATE, "skua_result: the result was taken before");
    memcpy(out, f->result, size);
    return SKUA_OK;
}

const skua_error *skua_exception(skua_future *f, double timeout)
{
    if (f == NULL) {
        sk_error_set(SKUA_INVALID, "skua_exception: the future is NULL");
        return sk_error_plain(SKUA_INVALID);
    }
    skua_status status = sk_future_await(f, sk_state_done(&f->state) ? 0 : sk_deadline_ns(timeout));
    if (status != SKUA_OK) {
        report_wait(status);
        return sk_error_plain(status);
    }
    status = sk_future_status(f);
    if (status == SKUA_OK)
        return NULL;
    if (f->away != NULL)
        sk_away_describe(f);
    report(f);
    return f->failure != NULL ? &f->failure->error : sk_error_plain(status);
}

skua_status skua_add_done_callback(skua_future *f, void (*fn)(skua_future *f, void *ctx), void *ctx)
{
    if (f == NULL || fn == NULL)
        return sk_error_set(SKUA_INVALID, "skua_add_done_callback: the %s is NULL",
                            f == NULL ? "future" : "function");
    if (f->fork_count != sk_thread_fork_count() && !sk_state_done(&f->state))
        return report_wait(SKUA_SHUTDOWN); /* its lock may have been held at the fork() */
    struct sk_callback *callback = sk_alloc(sizeof *callback);
    if (callback == NULL)
        return sk_error_set(SKUA_NO_MEMORY, "no memory for a callback");
    callback->fn = fn;
    callback->ctx = ctx;
    skua_retain(f); /* the callback may release the caller's reference */
    sk_state_add_callback(&f->state, callback, f);
    skua_release(f);
    return SKUA_OK;
}
