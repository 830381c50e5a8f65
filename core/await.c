/* How a thread waits for a future.
 *
 * A worker that waits without a timeout for a task of its own pool which nobody has begun runs it
 * itself: it would be idle otherwise, and a pool of one worker could not go on. With a timeout it
 * does not, since the task might outlast it, unless no spare is left, so that nobody else could run
 * it; and not when its stack runs low. Of a task that runs
 * already it takes children and pieces of loops, without which that cannot end (leapfrogging). It
 * never runs anything else: that could want a mutex which the waiting task holds. With nothing of
 * the kind it sleeps, and a spare worker takes its core.
 *
 * Circles of waits are found by sched/circle.c. A wait without a timeout for the first of a set of
 * futures can be broken off: then it is told SKUA_DEADLOCK. */
#include "core/await.h"

#include "core/away.h"

#include "base/spin.h"
#include "base/thread.h"
#include "sched/sched.h"
#include "sched/spare.h"

enum {
    STACK_RESERVE = 256 * 1024
}; /* bytes; a task run inline has at least that much */

skua_status sk_await_sleep(struct sk_wait *wait,
                           bool (*sleep)(struct sk_wait *wait, int64_t deadline_ns),
                           int64_t deadline_ns)
{
    bool forever = deadline_ns == SK_NO_DEADLINE, in_time = true;
    sk_worker_block_begin();
    bool sleeps = !forever || sk_circle_enter(wait);
    if (sleeps)
        in_time = sleep(wait, deadline_ns);
    if (sleeps && forever)
        sk_circle_leave(wait);
    sk_worker_block_end();
    if (!in_time)
        return SKUA_TIMEOUT;
    return sleeps && !sk_load_acq(&wait->told) ? SKUA_OK : SKUA_DEADLOCK;
}

/* The calling thread's worker, if it may run what its own pool's future needs; else NULL. */
static struct sk_worker *able_worker(const skua_future *f)
{
    struct sk_worker *worker = sk_worker_self();
    bool able = worker != NULL && f->executor != NULL && f->executor == worker->sched->owner &&
                sk_guest_self(worker->sched) == NULL && sk_thread_stack_left() >= STACK_RESERVE;
    return able ? worker : NULL;
}

bool sk_future_try_run(skua_future *f)
{
    if (sk_state_phase(&f->state) != SK_PENDING || able_worker(f) == NULL ||
        !sk_state_begin(&f->state))
        return false;
    sk_future_run(f);
    return true;
}

struct sk_awaited *sk_future_awaited(skua_future *f)
{
    return sk_state_done(&f->state) ? &sk_circle_ended : &f->awaited;
}

static struct sk_awaited *awaited(const void *set, size_t i)
{
    (void)i;
    return sk_future_awaited((skua_future *)(uintptr_t)set);
}

static void wake(const void *set)
{
    sk_state_stir(&((skua_future *)(uintptr_t)set)->state);
}

static bool sleep_until_done(struct sk_wait *wait, int64_t deadline_ns)
{
    skua_future *f = (skua_future *)(uintptr_t)wait->set;
    return sk_state_wait(&f->state, deadline_ns, &wait->told) || sk_load_acq(&wait->told);
}

/* Whether nobody would take the core of the calling worker if it slept. */
static bool no_spare_left(void)
{
    struct sk_worker *worker = sk_worker_self();
    return worker != NULL && sk_spare_exhausted(worker->sched);
}

skua_status sk_future_await(skua_future *f, int64_t deadline_ns)
{
    struct sk_spin spin = { 0, 0 };
    if (sk_state_done(&f->state))
        return SKUA_OK;
    if (deadline_ns <= 0)
        return SKUA_TIMEOUT;
    if (f->fork_count != sk_thread_fork_count())
        return SKUA_SHUTDOWN;
    if ((deadline_ns == SK_NO_DEADLINE || no_spare_left()) && sk_future_try_run(f))
        return SKUA_OK;
    struct sk_worker *helper = deadline_ns == SK_NO_DEADLINE ? able_worker(f) : NULL;
    bool sleepy = false; /* it helps once more before it sleeps: a yield may have brought work */
    while (!sk_state_done(&f->state)) {
        bool helped =
            f->away != NULL ? sk_away_attend(f) : helper != NULL && sk_join_help(helper, &f->span);
        if (helped) {
            spin = (struct sk_spin){ 0, 0 };
            sleepy = false;
        } else if (sleepy) {
            break;
        } else {
            sleepy = sk_spin_turn(&spin, sk_join_spin);
        }
    }
    struct sk_wait wait = { .at = awaited, .set = f, .n = 1, .wake = wake };
    skua_status status = sk_await_sleep(&wait, sleep_until_done, deadline_ns);
    return sk_state_done(&f->state) ? SKUA_OK : status;
}
