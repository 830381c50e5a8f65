/* skua_spawn, skua_sync and skua_call. */
#include "skua/spawn.h"

#include "base/compiler.h"
#include "base/spin.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/future.h"
#include "sched/call.h"
#include "sched/circle.h"
#include "sched/job.h"
#include "sched/join.h"

/* What a skua_child holds. */
struct child {
    struct sk_worker *worker; /* NULL: it was a plain call */
    uint32_t index;           /* in the worker's split deque */
    int result;               /* of a plain call */
};

_Static_assert(sizeof(struct child) <= sizeof(skua_child), "the opaque child has room for ours");

void skua_spawn(skua_child *child, int (*fn)(void *arg), void *arg)
{
    struct child *c = (struct child *)child;
    struct sk_worker *worker = sk_worker_self();
    c->worker = worker;
    if (SK_LIKELY(worker != NULL) && sk_join_spawn(worker, fn, arg, &c->index))
        return;
    c->worker = NULL;
    c->result = fn(arg);
}

int skua_sync(skua_child *child)
{
    struct child *c = (struct child *)child;
    if (SK_UNLIKELY(c->worker == NULL))
        return c->result;
    return sk_join_sync(c->worker, c->index);
}

/* ---- children on other workers --------------------------------------------------------------- */

static int run_stolen(int (*fn)(void *arg), void *arg, void *cause, void **left)
{
    skua_future *before = sk_future_set_current(cause);
    struct sk_words *kept = sk_error_begin_call();
    int code = sk_error_call("a child", (sk_guard_fn *)fn, (uintptr_t)arg, 0, 0, 0);
    if (SK_UNLIKELY(code != 0))
        *left = sk_error_pack();
    sk_error_leave_call(kept);
    sk_future_set_current(before);
    return code;
}

static void take_words(void *left)
{
    sk_error_unpack(left);
}

const struct sk_child_class sk_executor_children = { run_stolen, take_words };

/* ---- calls ----------------------------------------------------------------------------------- */

/* A call is a job in its caller's frame. */
enum {
    CALL_OPEN,
    CALL_SLEEPER,
    CALL_DONE
};

struct call {
    struct sk_job job;
    int (*fn)(void *arg);
    void *arg;
    skua_future *task; /* the caller's, or NULL */
    bool inside;       /* the caller is inside a task or body, whose words fn's become */
    int result;
    struct sk_words *words;     /* what fn said, for a caller inside; or NULL */
    struct sk_failure *failure; /* why it was not run, or has failed; the caller's memory */
    struct sk_awaited awaited;  /* circle.c's */
    SK_ATOMIC(uint32_t) state;
};

static const char called[] = "the function of skua_call()";

/* The caller may return as soon as it sees DONE: the wake uses the address alone. */
static void call_end(struct call *call, int result)
{
    call->result = result;
    if (sk_xchg_acq_rel(&call->state, CALL_DONE) == CALL_SLEEPER) /* Q1: pairs with Q2 */
        sk_futex_wake(&call->state, 1);
}

static void call_run(struct sk_job *job)
{
    struct call *call = SK_CONTAINER_OF(job, struct call, job);
    skua_future *before = sk_future_set_current(call->task);
    struct sk_words *kept = sk_error_begin_call();
    struct sk_stint stint;
    sk_circle_begin(&stint, &call->awaited);
    int code = sk_error_call(called, (sk_guard_fn *)call->fn, (uintptr_t)call->arg, 0, 0, 0);
    sk_circle_end(&stint);
    if (code != 0 && call->inside)
        call->words = sk_error_pack();
    else if (code != 0)
        sk_error_end_call(call->failure, SKUA_FAILED, code, called);
    sk_error_leave_call(kept);
    sk_future_set_current(before);
    call_end(call, code);
}

static void call_discard(struct sk_job *job, skua_status why)
{
    struct call *call = SK_CONTAINER_OF(job, struct call, job);
    call->failure->error = *sk_error_plain(why);
    call_end(call, why);
}

static const struct sk_job_class call_job = { call_run, call_discard };

static void call_wait(struct call *call)
{
    struct sk_spin spin = { 0, 0 };
    while (sk_load_acq(&call->state) != CALL_DONE) { /* Q2: pairs with Q1 */
        uint32_t open = CALL_OPEN;
        if (!sk_spin_turn(&spin, sk_join_spin))
            continue;
        struct sk_wait wait;
        sk_worker_block_begin();
        sk_circle_enter_one(&wait, &call->awaited);
        sk_cas_rlx(&call->state, &open, CALL_SLEEPER); /* relaxed: it publishes nothing */
        while (sk_load_acq(&call->state) != CALL_DONE) /* Q2 */
            sk_futex_wait(&call->state, CALL_SLEEPER, SK_NO_DEADLINE);
        sk_circle_leave(&wait);
        sk_worker_block_end();
    }
}

static SK_NOINLINE int call_left(struct sk_call *call)
{
    struct sk_failure failure;
    int result = sk_error_left(call, called);
    sk_error_end_call(&failure, SKUA_FAILED, result, called);
    return sk_error_copy(&failure.error);
}

/* A plain call but for the guard: what is said in it stays the caller's to pass on. */
static int call_here(int (*fn)(void *arg), void *arg)
{
    struct sk_call call;
    int result = sk_call_guarded(&call, (sk_guard_fn *)fn, (uintptr_t)arg, 0, 0, 0);
    return sk_call_returned(&call) ? result : call_left(&call);
}

/* Not inlined, as call_left: calls may nest deep, and these have room for words in their frames. */
static SK_NOINLINE int call_there(struct sk_sched *sched, int (*fn)(void *arg), void *arg)
{
    struct sk_failure failure = { .error = { .status = SKUA_OK } };
    struct call call = { .job = { &call_job, NULL }, .fn = fn, .arg = arg, .failure = &failure };
    call.task = sk_future_current();
    call.inside = sk_error_inside_call();
    if (sk_sched_submit(sched, &call.job, SK_LANE_NORMAL, sk_guest_self(sched) != NULL) != 0)
        return sk_error_set(SKUA_SHUTDOWN, "skua_call: the pool was shut down");
    call_wait(&call);
    if (failure.error.status != SKUA_OK)
        sk_error_copy(&failure.error);
    if (call.words != NULL)
        sk_error_unpack(call.words);
    return call.result;
}

int skua_call(skua_executor *ex, int (*fn)(void *arg), void *arg)
{
    skua_status status = sk_executor_check(ex, "skua_call");
    if (status != SKUA_OK)
        return status;
    if (fn == NULL)
        return sk_error_set(SKUA_INVALID, "skua_call: the function is NULL");
    struct sk_sched *sched = sk_executor_sched(ex);
    return sk_worker_is_of(sched) ? call_here(fn, arg) : call_there(sched, fn, arg);
}
