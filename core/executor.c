/* The verbs that every executor has. What is wrong with a call whatever the executor is found here;
 * the rest is the business of its kind: core/pool.c, core/custom.c. */
#include "core/executor.h"

#include <stdint.h>

#include "base/mem.h"
#include "core/error.h"
#include "core/future.h"

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

skua_future *skua_submit_task(skua_executor *ex, const skua_task *task)
{
    const char *problem;
    skua_future *f;
    if (!task_makes_sense(task, &problem))
        f = sk_future_refused(SKUA_INVALID, "skua_submit: %s", problem);
    else if (ex == NULL)
        f = sk_future_refused(SKUA_INVALID, "skua_submit: the executor is NULL");
    else
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

/* Workers that are threads see all memory anyway. */
void *skua_shared_alloc(skua_executor *ex, size_t size)
{
    if (ex == NULL || size == 0) {
        sk_error_set(SKUA_INVALID, "skua_shared_alloc: %s",
                     ex == NULL ? "the executor is NULL" : "size is 0");
        return NULL;
    }
    void *memory = size <= SIZE_MAX / 2 ? sk_calloc(1, size) : NULL;
    if (memory == NULL)
        sk_error_set(SKUA_NO_MEMORY, "skua_shared_alloc: no memory for %zu bytes", size);
    return memory;
}

void skua_shared_free(skua_executor *ex, void *memory)
{
    if (ex != NULL)
        sk_free(memory);
}
