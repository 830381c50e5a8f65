/* How a thread waits for a future.
 *
 * A worker that waits without a timeout for a task of its own pool which nobody has begun runs it
 * itself: it would be idle otherwise, and a pool of one worker could not go on. With a timeout it
 * does not, since the task might outlast it; and not when its stack runs low. It never runs any
 * other task: that could want a mutex which the waiting task holds. In all other cases it sleeps,
 * and a spare worker takes its core.
 *
 * Cycles. A thread that waits without a timeout waits for any one of a set of futures (often of
 * one); a running future stands on the thread that runs it. Whoever is about to sleep walks the
 * threads that can be reached so: if all of them wait for ever, and every future on the way is
 * running on one of them, nobody is left who could end any of it (the OR model of Chandy, Misra
 * and Haas, "Distributed deadlock detection", 1983). A thread that does not wait for ever, or a
 * future that is not begun, is a way out. The sets are entered and walked under one lock, so the
 * last of those who close a circle finds it.
 *
 * A strand goes back to a list when its thread ends, and is never freed: a walk reads a future's
 * strand first and then its phase, so it follows only strands of threads that still run it. */
#include "core/await.h"

#include <pthread.h>

#include "base/compiler.h"
#include "base/mem.h"
#include "base/spin.h"
#include "base/thread.h"
#include "sched/sched.h"

enum {
    STACK_RESERVE = 256 * 1024
}; /* bytes; a task run inline has at least that much */

struct sk_strand {
    const struct sk_wait_set *awaits; /* what its thread sleeps for without a timeout; or NULL */
    uint64_t walk;                    /* the last walk that came by */
    struct sk_strand *older;          /* made before it: keeps them all in reach; constant */
    struct sk_strand *next;           /* yet to be looked at in that walk; or unused */
};

static struct {
    struct sk_lock lock; /* protects the strands */
    uint64_t walks;
    struct sk_strand *unused; /* of threads that have ended */
    struct sk_strand *newest; /* all of them */
} graph = { .lock = SK_LOCK_INIT(SK_RANK_GRAPH) };

static SK_THREAD_LOCAL struct sk_strand *own;

static pthread_key_t at_thread_end;
static pthread_once_t key_once = PTHREAD_ONCE_INIT;

static void strand_return(void *arg)
{
    struct sk_strand *strand = arg;
    own = NULL;
    sk_lock_lock(&graph.lock);
    strand->next = graph.unused;
    graph.unused = strand;
    sk_lock_unlock(&graph.lock);
}

static void make_key(void)
{
    pthread_key_create(&at_thread_end, strand_return); /* fails: then strands are not reused */
}

static struct sk_strand *strand_take(void)
{
    pthread_once(&key_once, make_key);
    sk_lock_lock(&graph.lock);
    struct sk_strand *strand = graph.unused;
    if (strand != NULL) {
        graph.unused = strand->next;
    } else {
        strand = sk_calloc(1, sizeof *strand);
        if (strand != NULL) {
            strand->older = graph.newest;
            graph.newest = strand;
        }
    }
    sk_lock_unlock(&graph.lock);
    if (strand != NULL)
        pthread_setspecific(at_thread_end, strand);
    return strand;
}

struct sk_strand *sk_strand_self(void)
{
    if (SK_UNLIKELY(own == NULL))
        own = strand_take();
    return own;
}

void sk_await_lock(void)
{
    sk_lock_lock(&graph.lock);
}

void sk_await_unlock(void)
{
    sk_lock_unlock(&graph.lock);
}

/* Adds the threads that one set waits for to the list of those to look at. False if there is a way
 * out. */
static bool follow_locked(const struct sk_wait_set *wanted, struct sk_strand **list)
{
    for (size_t i = 0; i < wanted->n; i++) {
        skua_future *f = wanted->at(wanted->set, i);
        if (f == NULL)
            continue;
        struct sk_strand *strand = sk_load_acq(&f->strand);
        if (sk_state_phase(&f->state) != SK_RUNNING || strand == NULL || strand->awaits == NULL)
            return false;
        if (strand->walk == graph.walks)
            continue;
        strand->walk = graph.walks;
        strand->next = *list;
        *list = strand;
    }
    return true;
}

/* Enters the calling thread's wait into the graph; false if it could never end. */
static bool enter_wait(struct sk_strand *self, const struct sk_wait_set *wanted)
{
    sk_lock_lock(&graph.lock);
    graph.walks++;
    self->awaits = wanted;
    self->walk = graph.walks;
    self->next = NULL;
    bool way_out = false;
    for (struct sk_strand *list = self; list != NULL && !way_out;) {
        struct sk_strand *strand = list;
        list = strand->next;
        way_out = !follow_locked(strand->awaits, &list);
    }
    if (!way_out)
        self->awaits = NULL;
    sk_lock_unlock(&graph.lock);
    return way_out;
}

static void leave_wait(struct sk_strand *self)
{
    sk_lock_lock(&graph.lock);
    self->awaits = NULL;
    sk_lock_unlock(&graph.lock);
}

skua_status sk_await_sleep(const struct sk_wait_set *wanted,
                           bool (*sleep)(void *arg, int64_t deadline_ns), void *arg,
                           int64_t deadline_ns)
{
    struct sk_strand *self = sk_strand_self();
    bool entered = deadline_ns == SK_NO_DEADLINE && self != NULL && sk_worker_number() >= 0;
    if (entered && !enter_wait(self, wanted))
        return SKUA_DEADLOCK;
    sk_worker_block_begin();
    bool in_time = sleep(arg, deadline_ns);
    sk_worker_block_end();
    if (entered)
        leave_wait(self);
    return in_time ? SKUA_OK : SKUA_TIMEOUT;
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

static skua_future *only_one(const void *set, size_t i)
{
    (void)i;
    return (skua_future *)(uintptr_t)set;
}

static bool sleep_until_done(void *arg, int64_t deadline_ns)
{
    skua_future *f = arg;
    return sk_state_wait(&f->state, deadline_ns);
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
            break;
    }
    const struct sk_wait_set wanted = { only_one, f, 1 };
    return sk_await_sleep(&wanted, sleep_until_done, f, deadline_ns);
}
