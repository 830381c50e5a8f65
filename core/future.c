/* Futures: how a task is run and how it ends. */
#include "core/future.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "core/await.h"
#include "core/away.h"
#include "core/executor.h"
#include "process/child.h"

static SK_THREAD_LOCAL skua_future *current;

/* Callbacks that the calling thread runs for futures it cancelled or refused; innermost first. */
struct calling {
    const skua_executor *ex;
    struct calling *outer;
};
static SK_THREAD_LOCAL struct calling *calling;

bool sk_future_calling_for(const skua_executor *ex)
{
    for (const struct calling *c = calling; c != NULL; c = c->outer) {
        if (c->ex == ex)
            return true;
    }
    return false;
}

static void call_for(skua_future *f, const skua_executor *ex)
{
    struct calling mine = { ex, calling };
    calling = &mine;
    sk_state_call(&f->state, f);
    calling = mine.outer;
}

skua_future *sk_future_current(void)
{
    return current;
}

skua_future *sk_future_set_current(skua_future *f)
{
    skua_future *before = current;
    struct sk_worker *worker = sk_worker_self();
    current = f;
    if (worker != NULL) /* children that are spawned from here on are f's */
        sk_split_set_cause(&worker->split, f);
    return before;
}

/* ---- making ---------------------------------------------------------------------------------- */

static void job_run(struct sk_job *job);
static void job_discard(struct sk_job *job, skua_status why);

static const struct sk_job_class future_job = { job_run, job_discard };

static size_t padded(size_t size)
{
    size_t unit = _Alignof(max_align_t);
    return (size + unit - 1) / unit * unit;
}

/* From the shelf, if it is not NULL and its blocks are large enough. */
static skua_future *future_alloc(size_t more, struct sk_shelf *shelf)
{
    size_t size = padded(sizeof(skua_future)) + more;
    bool fits = shelf != NULL && size <= shelf->size;
    skua_future *f = fits ? sk_shelf_take(shelf) : sk_calloc(1, size);
    if (f == NULL)
        return NULL;
    f->shelf = fits ? shelf : NULL;
    f->job.class = &future_job;
    sk_state_init(&f->state);
    sk_init(&f->refs, 1u);
    f->fork_count = sk_thread_fork_count();
    f->deadline_ns = SK_NO_DEADLINE;
    return f;
}

/* `more` bytes are left at *extra, behind the rest. */
static skua_future *open_with(const skua_task *task, size_t more, void **extra,
                              struct sk_shelf *shelf)
{
    size_t name_size = task->name != NULL ? strlen(task->name) + 1 : 0;
    size_t result_room = padded(task->result_size), arg_room = padded(task->arg_size);
    size_t name_room = more > 0 ? padded(name_size) : name_size;
    skua_future *f = future_alloc(result_room + arg_room + name_room + more, shelf);
    if (f == NULL)
        return NULL;
    char *room = (char *)f + padded(sizeof *f);
    *extra = room + result_room + arg_room + name_room;
    f->fn = task->fn;
    f->arg = task->arg;
    f->result_size = task->result_size;
    f->drop = task->drop;
    f->time_limit = task->time_limit;
    if (task->result_size > 0)
        f->result = room;
    if (task->arg_size > 0)
        f->arg = memcpy(room + result_room, task->arg, task->arg_size);
    if (name_size > 0)
        f->name = memcpy(room + result_room + arg_room, task->name, name_size);
    return f;
}

skua_future *sk_future_open(skua_executor *ex, const skua_task *task)
{
    void *none;
    skua_future *f = open_with(task, 0, &none, NULL);
    if (f != NULL) {
        f->executor = ex;
        f->awaited.pool = sk_executor_sched(ex);
    }
    return f;
}

skua_future *sk_future_open_bare(const skua_task *task, const skua_task **kept)
{
    void *room;
    skua_future *f = open_with(task, sizeof *task, &room, NULL);
    if (f == NULL)
        return NULL;
    skua_task *copy = memcpy(room, task, sizeof *task);
    copy->arg = f->arg;
    copy->name = f->name;
    f->kind = SK_FUTURE_BARE;
    *kept = copy;
    return f;
}

skua_future *sk_future_open_away(const skua_task *task, size_t more, void **extra,
                                 struct sk_shelf *shelf)
{
    skua_future *f = open_with(task, more, extra, shelf);
    if (f != NULL)
        f->kind = SK_FUTURE_AWAY;
    return f;
}

/* What stands in for a future when there is no memory for one: done for ever, never freed. */
static skua_future *no_memory_future(void)
{
    static skua_future future = { .state = { .word = SK_FINISHED,
                                             .lock = SK_LOCK_INIT(SK_RANK_FUTURE) },
                                  .refs = 1u << 30,
                                  .kind = SK_FUTURE_REFUSED,
                                  .status = SKUA_NO_MEMORY };
    sk_add_rlx(&future.refs, 1u);
    return &future;
}

static const char *name_of(const skua_future *f)
{
    return f->name != NULL ? f->name : "";
}

/* The failure of f, with words that say the status; NULL without memory. */
static struct sk_failure *failure_open(const skua_future *f, skua_status status)
{
    struct sk_failure *failure = sk_alloc(sizeof *failure);
    if (failure == NULL)
        return NULL;
    failure->error = *sk_error_plain(status);
    failure->error.task = name_of(f);
    return failure;
}

skua_future *sk_future_refused(skua_status status, const char *format, ...)
{
    char words[SK_MESSAGE_SIZE];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    return sk_future_refused_as(sk_error_set(status, "%s", words));
}

skua_future *sk_future_refused_as(skua_status status)
{
    skua_future *f = future_alloc(0, NULL);
    if (f == NULL)
        return no_memory_future();
    f->kind = SK_FUTURE_REFUSED;
    f->failure = failure_open(f, status);
    if (f->failure != NULL) {
        snprintf(f->failure->message, sizeof f->failure->message, "%s", skua_last_error()->message);
        f->failure->error.message = f->failure->message;
    }
    sk_state_begin(&f->state);
    f->status = status;
    sk_state_finish(&f->state, SK_FINISHED);
    return f;
}

skua_future *sk_future_named(skua_future *f, const char *name)
{
    if (f->kind != SK_FUTURE_REFUSED || f->failure == NULL || name == NULL)
        return f;              /* the one that stands in without memory is shared */
    f->name = sk_strdup(name); /* without memory it has none, and nothing else is lost */
    f->failure->error.task = name_of(f);
    return f;
}

/* ---- running --------------------------------------------------------------------------------- */

static bool stop_asked(skua_future *f)
{
    return sk_load_acq(&f->stop) || (f->executor != NULL && sk_executor_killed(f->executor));
}

static bool expired(const skua_future *f)
{
    return f->deadline_ns != SK_NO_DEADLINE && sk_now_ns() >= f->deadline_ns;
}

bool skua_stopping(void)
{
    if (current == NULL)
        return sk_child_stopping(); /* of a worker process */
    return stop_asked(current) || expired(current);
}

static const char *called(const skua_future *f)
{
    return f->name != NULL ? f->name : "the task";
}

/* Sets how it ended, from what the task returned. */
static enum sk_phase settle(skua_future *f, int code)
{
    if (code == 0) {
        f->status = SKUA_OK;
        return SK_FINISHED;
    }
    if (code == SKUA_CANCELLED && stop_asked(f)) {
        f->status = SKUA_CANCELLED;
        return SK_CANCELLED;
    }
    f->status = code == SKUA_CANCELLED && expired(f) ? SKUA_EXPIRED : SKUA_FAILED;
    f->failure = failure_open(f, f->status);
    if (f->failure != NULL) {
        sk_error_end_call(f->failure, f->status, code, called(f));
        f->failure->error.task = name_of(f);
    }
    if (f->failure != NULL && f->status == SKUA_EXPIRED && f->failure->error.where[0] == '\0') {
        snprintf(f->failure->message, sizeof f->failure->message,
                 "%s was asked to stop after its time_limit of %g s", called(f), f->time_limit);
    }
    return SK_FINISHED;
}

static enum sk_event end_event(const skua_future *f, enum sk_phase end)
{
    return end == SK_CANCELLED    ? SK_EVENT_STOPPED
           : f->status == SKUA_OK ? SK_EVENT_FINISHED
                                  : SK_EVENT_FAILED;
}

static void count(const skua_future *f, enum sk_event event)
{
    if (f->executor != NULL)
        sk_executor_event(f->executor, event);
}

void sk_future_run(skua_future *f)
{
    struct sk_worker *worker = sk_worker_self(); /* NULL: an executor of the user's own runs it */
    skua_future *outer = sk_future_set_current(f);
    struct sk_guest *role = sk_worker_act_as(NULL);
    struct sk_stint stint;
    sk_circle_begin(&stint, &f->awaited);
    if (worker != NULL)
        sk_join_span_begin(&f->span, worker);
    if (f->time_limit > 0)
        f->deadline_ns = sk_deadline_ns(f->time_limit);
    count(f, SK_EVENT_BEGUN);
    struct sk_words *kept = sk_error_begin_call();
    int code = sk_error_call(called(f), (sk_guard_fn *)f->fn, (uintptr_t)f->arg,
                             (uintptr_t)f->result, 0, 0);
    enum sk_phase end = settle(f, code);
    sk_error_leave_call(kept);
    if (worker != NULL)
        sk_join_span_end(&f->span);
    sk_circle_end(&stint);
    sk_future_set_current(outer);
    sk_worker_act_as(role);
    count(f, end_event(f, end)); /* who waited finds it counted */
    sk_state_finish(&f->state, end);
    sk_state_call(&f->state, f);
}

/* The queue is rid of a future that was not begun here. If it is cancelled, who cancelled it may
 * still run callbacks, for which a shutdown waits. */
static void leave_queue(skua_future *f)
{
    bool by_cancel = sk_state_phase(&f->state) == SK_CANCELLED && f->status == SKUA_OK;
    if (by_cancel) { /* not by its task's own return, which sets the status */
        struct sk_sched *sched = sk_executor_sched(f->executor);
        sk_sched_hold(sched);
        if (sk_state_let_go(&f->state))
            sk_sched_let_go(sched);
    }
    skua_release(f);
}

static void job_run(struct sk_job *job)
{
    skua_future *f = SK_CONTAINER_OF(job, skua_future, job);
    if (sk_state_begin(&f->state)) {
        sk_future_run(f);
        skua_release(f);
    } else {
        leave_queue(f);
    }
}

void sk_future_refuse(skua_future *f, skua_status status)
{
    if (!sk_state_begin(&f->state))
        return;
    f->status = status;
    if (status == SKUA_BROKEN_THREAD_POOL)
        f->failure = sk_error_clone(sk_executor_init_error(f->executor), status);
    else if (f->name != NULL)
        f->failure = failure_open(f, status);
    if (f->failure != NULL)
        f->failure->error.task = name_of(f);
    sk_executor_event(f->executor, SK_EVENT_BEGUN);
    sk_executor_event(f->executor, SK_EVENT_FAILED);
    sk_state_finish(&f->state, SK_FINISHED);
    call_for(f, f->executor);
}

/* Tells of a cancelling that the calling thread has just done; see leave_queue(). */
static void tell_cancelled(skua_future *f)
{
    skua_executor *ex = f->executor;
    if (f->away != NULL) {
        call_for(f, sk_away_executor(f));
        sk_away_cancelled(f);
        return;
    }
    if (ex == NULL) {
        call_for(f, NULL);
        return;
    }
    struct sk_sched *sched = sk_executor_sched(ex);
    sk_executor_event(ex, SK_EVENT_CANCELLED);
    call_for(f, ex);
    if (sk_state_let_go(&f->state))
        sk_sched_let_go(sched);
}

void sk_future_cancel_away(skua_future *f)
{
    tell_cancelled(f);
}

static bool cancel(skua_future *f)
{
    skua_retain(f); /* a callback may release the caller's reference */
    bool here = f->fork_count == sk_thread_fork_count() && !sk_state_done(&f->state);
    if (here && (f->away != NULL ? sk_away_withdraw(f) : sk_state_cancel(&f->state)))
        tell_cancelled(f);
    bool cancelled = sk_state_phase(&f->state) == SK_CANCELLED;
    skua_release(f);
    return cancelled;
}

static void job_discard(struct sk_job *job, skua_status why)
{
    skua_future *f = SK_CONTAINER_OF(job, skua_future, job);
    if (why == SKUA_CANCELLED)
        cancel(f);
    else
        sk_future_refuse(f, why);
    leave_queue(f);
}

bool skua_cancel(skua_future *f)
{
    return f != NULL && cancel(f);
}

void skua_stop(skua_future *f)
{
    if (f == NULL || skua_cancel(f))
        return;
    sk_store_rel(&f->stop, true);
    if (f->away != NULL && f->fork_count == sk_thread_fork_count())
        sk_away_stop(f);
}

/* ---- references ------------------------------------------------------------------------------ */

skua_future *skua_retain(skua_future *f)
{
    if (f != NULL)
        sk_add_rlx(&f->refs, 1u); /* relaxed: the caller's own reference keeps it alive */
    return f;
}

/* The one line for a failure that nobody read. */
static void mention(const skua_future *f)
{
    const skua_error *error = f->failure != NULL ? &f->failure->error : sk_error_plain(f->status);
    sk_log(SKUA_LOG_WARNING, "skua: a failure that nobody read: %s%s%s%s%s%s%s",
           skua_strstatus(f->status), f->name != NULL ? " in " : "", f->name != NULL ? f->name : "",
           ": ", error->message, error->where[0] != '\0' ? " at " : "", error->where);
}

void skua_release(skua_future *f)
{
    /* R1: what this thread did with it comes before its end; pairs with itself in the last one. */
    if (f == NULL || sk_sub_acq_rel(&f->refs, 1u) != 1)
        return;
    bool finished = sk_state_phase(&f->state) == SK_FINISHED, succeeded = f->status == SKUA_OK;
    bool mentions = finished && !succeeded && !sk_load_rlx(&f->looked);
    bool drops = finished && succeeded && f->drop != NULL && !sk_load_rlx(&f->taken);
    if (mentions || drops) {
        struct sk_words *aside = sk_error_put_aside();
        if (mentions)
            mention(f);
        else
            sk_error_call_logged("a drop function", (sk_guard_fn *)f->drop, (uintptr_t)f->result,
                                 0);
        sk_error_put_back(aside);
    }
    if (f->kind == SK_FUTURE_REFUSED)
        sk_free((void *)(uintptr_t)f->name); /* the cast drops const: see sk_future_named */
    sk_free(f->failure);
    if (f->away != NULL)
        sk_away_free(f);
    else
        sk_free(f);
}
