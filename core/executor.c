/* The verbs that every executor has. What is wrong with a call whatever the executor is found here;
 * the rest is the business of its kind: core/pool.c, core/process.c, core/custom.c. */
#include "core/executor.h"

#include <stdint.h>

#include "base/mem.h"
#include "core/error.h"
#include "core/future.h"
#include "process/child.h"
#include "skua/process.h"

/* A future that says what makes no sense about the task; NULL if nothing does. */
static skua_future *refuse_nonsense(const skua_task *t)
{
    const skua_status invalid = SKUA_INVALID;
    if (t == NULL)
        return sk_future_refused(invalid, "skua_submit: the task is NULL");
    if (t->fn == NULL)
        return sk_future_refused(invalid, "skua_submit: the function is NULL");
    if ((int)t->priority < SKUA_LOW || (int)t->priority > SKUA_HIGH)
        return sk_future_refused(invalid,
                                 "skua_submit: priority is %d; it takes SKUA_LOW (%d), "
                                 "SKUA_NORMAL (%d) or SKUA_HIGH (%d)",
                                 (int)t->priority, SKUA_LOW, SKUA_NORMAL, SKUA_HIGH);
    if (!(t->time_limit >= 0))
        return sk_future_refused(
            invalid, "skua_submit: time_limit is %g; it takes seconds, 0 for none", t->time_limit);
    if (t->arg == NULL && t->arg_size > 0)
        return sk_future_refused(invalid, "skua_submit: arg is NULL, but arg_size is %zu",
                                 t->arg_size);
    if (t->drop != NULL && t->result_size == 0)
        return sk_future_refused(invalid, "skua_submit: there is a drop, but result_size is 0");
    if (t->arg_size > SIZE_MAX / 4 || t->result_size > SIZE_MAX / 4)
        return sk_future_refused(invalid,
                                 "skua_submit: arg_size is %zu and result_size is %zu, which is "
                                 "larger than any memory",
                                 t->arg_size, t->result_size);
    return NULL;
}

skua_future *skua_submit_task(skua_executor *ex, const skua_task *task)
{
    skua_future *f = refuse_nonsense(task);
    if (f == NULL && ex == NULL)
        f = sk_future_refused(SKUA_INVALID, "skua_submit: the executor is NULL");
    else if (f == NULL)
        f = ex->class->submit(ex, task);
    return sk_future_named(f, task != NULL ? task->name : NULL);
}

skua_future *skua_submit(skua_executor *ex, skua_fn *fn, void *arg)
{
    skua_task task = { .fn = fn, .arg = arg };
    return skua_submit_task(ex, &task);
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
    return ex->class->shutdown(ex, flags, timeout);
}

void skua_close(skua_executor *ex)
{
    if (ex != NULL)
        ex->class->close(ex);
}

skua_status skua_executor_stats(skua_executor *ex, skua_stats *stats)
{
    if (ex == NULL || stats == NULL)
        return sk_error_set(SKUA_INVALID, "skua_executor_stats: the %s is NULL",
                            ex == NULL ? "executor" : "place for them");
    *stats = (skua_stats){ 0 };
    return ex->class->stats(ex, stats);
}

void *skua_shared_alloc_with(skua_executor *ex, size_t size, int flags)
{
    static const char what[] = "skua_shared_alloc";
    void *memory = NULL;
    if (ex == NULL || size == 0) {
        sk_error_set(SKUA_INVALID, "%s: %s", what,
                     ex == NULL ? "the executor is NULL" : "size is 0");
        return NULL;
    }
    if ((flags & ~SKUA_SHARED_RO) != 0) {
        sk_error_set(SKUA_INVALID, "%s: flags is %d; it takes SKUA_SHARED_RO (%d) or 0", what,
                     flags, SKUA_SHARED_RO);
        return NULL;
    }
    if (ex->class->shared_alloc != NULL)
        memory = ex->class->shared_alloc(ex, size, flags);
    else if (size <= SIZE_MAX / 2) /* workers that are threads see all memory anyway */
        memory = sk_calloc(1, size);
    if (memory == NULL)
        sk_error_set(SKUA_NO_MEMORY, "%s: no memory for %zu bytes", what, size);
    return memory;
}

void *skua_shared_alloc(skua_executor *ex, size_t size)
{
    return skua_shared_alloc_with(ex, size, 0);
}

void skua_shared_free(skua_executor *ex, void *memory)
{
    if (ex == NULL || memory == NULL)
        return;
    if (ex->class->shared_free != NULL)
        ex->class->shared_free(ex, memory);
    else
        sk_free(memory);
}

int skua_workers(const skua_executor *ex)
{
    return ex != NULL && ex->class->workers != NULL ? ex->class->workers(ex) : 0;
}

int skua_worker(void)
{
    int number = sk_worker_number();
    return number >= 0 ? number : sk_child_seat();
}
