/* How a thread waits for a future.
 *
 * A worker that waits without a timeout for a task of its own pool which nobody has begun runs it
 * itself: it would be idle otherwise, and a pool of one worker could not go on. With a timeout it does
 * not, since the task might outlast it; and not when its stack runs low. It never runs any other task:
 * that could want a mutex which the waiting task holds. In all other cases it sleeps, and a spare
 * worker takes its core.
 *
 * Cycles. The threads and futures form a graph: a thread waits for a future (edge `awaits`), a running
 * future stands on the thread that runs it (edge `strand`). Each node has at most one edge out, so
 * whoever is about to sleep without a timeout walks the path from the future it wants; if that comes
 * back to its own thread, the wait could never end. Edges are changed and walked under one lock, so
 * the last of the waiters that close a cycle finds it. A future that is not begun, or a thread that
 * does not wait for ever, ends the path.
 *
 * Strands are never freed: a walk may look at the thread of a task that has just ended. */
#include "core/await.h"

#include "base/compiler.h"
#include "base/mem.h"
#include "base/spin.h"
#include "base/thread.h"
#include "sched/sched.h"

enum {
    STACK_RESERVE = 256 * 1024
}; /* bytes; a task run inline has at least that much */

struct sk_strand {
    SK_ATOMIC(skua_future *) awaits; /* what its thread sleeps for without a timeout; or NULL */
    struct sk_strand *next;          /* all of them, or those whose threads have ended */
};

static struct {
    struct sk_lock lock; /* the graph */
    struct sk_strand *unused;
} graph = { SK_LOCK_INIT(SK_RANK_LEAF), NULL };

static SK_THREAD_LOCAL struct sk_strand *own;

struct sk_strand *sk_strand_self(void)
{
    if (SK_UNLIKELY(own == NULL))
        own = sk_calloc(1, sizeof *own);
    return own;
}

static bool closes_cycle_locked(struct sk_strand *self, skua_future *f)
{
    while (f != NULL && sk_state_phase(&f->state) == SK_RUNNING) {
        struct sk_strand *strand = sk_load_acq(&f->strand);
        if (strand == self)
            return true;
        f = strand != NULL ? sk_load_rlx(&strand->awaits) : NULL;
    }
    return false;
}

/* Enters the edge from this thread to f; false if that would close a cycle. */
static bool enter_edge(struct sk_strand *self, skua_future *f)
{
    sk_lock_lock(&graph.lock);
    bool fine = !closes_cycle_locked(self, f);
    if (fine)
        sk_store_rlx(&self->awaits, f); /* relaxed: under the lock */
    sk_lock_unlock(&graph.lock);
    return fine;
}

static void leave_edge(struct sk_strand *self)
{
    sk_lock_lock(&graph.lock);
    sk_store_rlx(&self->awaits, NULL);
    sk_lock_unlock(&graph.lock);
}

bool sk_future_try_run(skua_future *f)
{
    struct sk_worker *worker = sk_worker_self();
    if (sk_state_phase(&f->state) != SK_PENDING || worker == NULL || f->executor == NULL ||
        f->executor != worker->sched->owner || sk_guest_self(worker->sched) != NULL ||
        sk_thread_stack_left() < STACK_RESERVE || !sk_state_begin(&f->state))
        return false;
    sk_future_run(f);
    return true;
}

static skua_status sleep_until_done(skua_future *f, int64_t deadline_ns)
{
    struct sk_strand *self = sk_strand_self();
    bool inside = sk_worker_number() >= 0;
    bool edge = inside && deadline_ns == SK_NO_DEADLINE && self != NULL;
    if (edge && !enter_edge(self, f))
        return SKUA_DEADLOCK;
    sk_worker_block_begin();
    bool done = sk_state_wait(&f->state, deadline_ns);
    sk_worker_block_end();
    if (edge)
        leave_edge(self);
    return done ? SKUA_OK : SKUA_TIMEOUT;
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
    if (deadline_ns == SK_NO_DEADLINE && sk_future_try_run(f))
        return SKUA_OK;
    while (!sk_state_done(&f->state)) {
        if (sk_spin_turn(&spin, sk_join_spin))
            return sleep_until_done(f, deadline_ns);
    }
    return SKUA_OK;
}
