/* The model. A thread has a stack of stints: what it runs for others. While it sleeps without a
 * timeout, it waits for the first of a set of things to end (a task may wait for the first of many
 * futures; the caller of a loop, a map, a call or a child waits for that alone), and none of its
 * stints goes on. So
 *
 *     a thing is stuck  if the thread of any of its stints is stuck: it ends when all have ended;
 *                       or, not begun, if all threads that its pool has or can have are stuck;
 *     a thread is stuck if all members of the set that it waits for are stuck.
 *
 * Everything else is a way out: a thread that is awake or sleeps with a timeout, and a thing that a
 * worker or a spare will yet begin. This is the AND-OR model of Knapp, "Deadlock detection in
 * distributed databases" (1987): the threads that are stuck for ever are the largest set that fits
 * these lines. It is found by taking all that can be reached for stuck, and then letting go, again
 * and again, who has a way out.
 *
 * A pool has no thread left when as many are entered here as it has workers and spares on duty: who
 * falls asleep calls up a spare first, so there was none to be had.
 *
 * When. Nobody becomes stuck but by falling asleep: to begin or to end a stint, or a future, takes
 * a thread that is awake. So each thread that is about to sleep looks, under one lock, whether it
 * is stuck itself. If it is, then so is everybody whom the walk still takes for stuck, and each of
 * them waits, over others, for this thread: else they would have been stuck before. So any of their
 * waits may be broken off, and this is repeated until the thread has a way out. Then again nobody
 * is stuck. There always is one to break off: only waits for futures can go against the stack of
 * calls from waiter to awaited, and these can be told.
 *
 * Cost. A stint is linked to what it runs only while its thread sleeps, so running things costs two
 * stores, and lists hold frames of sleeping threads alone. A thread without stints is awaited by
 * nobody and is no part of any circle: it does not take the lock. In most cases the first look
 * finds somebody awake.
 *
 * Rejected: pointers from awaited things to the threads that run them. A loop would need room for
 * all its participants, and who reads such a pointer must know that it is not of an earlier run.
 *
 * After fork() the child finds in the lists stints of threads that do not exist there. It waits for
 * nothing of the parent's pools, so it never comes to them; and a list is only written at its head,
 * down to the stint to be unlinked, which lies before the dead ones. */
#include "sched/circle.h"

#include "base/compiler.h"
#include "base/lock.h"
#include "sched/sched.h"

struct sk_awaited sk_circle_ended;

static struct {
    struct sk_lock lock;
    uint64_t walks;
} graph = { .lock = SK_LOCK_INIT(SK_RANK_GRAPH) };

static SK_THREAD_LOCAL struct sk_stint *innermost;

void sk_circle_begin(struct sk_stint *stint, struct sk_awaited *awaited)
{
    stint->awaited = awaited;
    stint->outer = innermost;
    innermost = stint;
}

void sk_circle_end(const struct sk_stint *stint)
{
    innermost = stint->outer;
}

void sk_circle_lock(void)
{
    sk_lock_lock(&graph.lock);
}

void sk_circle_unlock(void)
{
    sk_lock_unlock(&graph.lock);
}

static void link_locked(struct sk_wait *wait)
{
    struct sk_worker *worker = sk_worker_self();
    wait->pool = worker != NULL ? worker->sched : NULL;
    if (wait->pool != NULL) {
        wait->previous = NULL;
        wait->next = wait->pool->asleep_inside;
        if (wait->next != NULL)
            wait->next->previous = wait;
        wait->pool->asleep_inside = wait;
        wait->pool->nr_asleep_inside++;
    }
    for (struct sk_stint *stint = innermost; stint != NULL; stint = stint->outer) {
        stint->wait = wait;
        stint->next = stint->awaited->blocked;
        stint->awaited->blocked = stint;
    }
}

static void unlink_locked(struct sk_wait *wait)
{
    if (wait->pool != NULL) {
        if (wait->previous != NULL)
            wait->previous->next = wait->next;
        else
            wait->pool->asleep_inside = wait->next;
        if (wait->next != NULL)
            wait->next->previous = wait->previous;
        wait->pool->nr_asleep_inside--;
    }
    for (struct sk_stint *stint = innermost; stint != NULL; stint = stint->outer) {
        struct sk_stint **link = &stint->awaited->blocked;
        while (*link != stint)
            link = &(*link)->next;
        *link = stint->next;
    }
}

/* The waits of a pool's threads where nobody is left to begin a thing, else NULL. */
static struct sk_wait *all_asleep_locked(const struct sk_awaited *awaited)
{
    struct sk_sched *pool = awaited->pool;
    if (pool == NULL || awaited->blocked != NULL ||
        pool->nr_asleep_inside < pool->nr_workers + sk_load_rlx(&pool->nr_standing_in))
        return NULL; /* relaxed: it does not change while all sleep */
    return pool->asleep_inside;
}

static bool thing_is_stuck_locked(const struct sk_awaited *awaited)
{
    const struct sk_wait *asleep = all_asleep_locked(awaited);
    if (asleep != NULL) {
        while (asleep != NULL && asleep->stuck)
            asleep = asleep->next;
        return asleep == NULL;
    }
    for (const struct sk_stint *stint = awaited->blocked; stint != NULL; stint = stint->next) {
        if (stint->wait->stuck)
            return true;
    }
    return false;
}

static bool has_way_out_locked(const struct sk_wait *wait)
{
    for (size_t i = 0; i < wait->n; i++) {
        const struct sk_awaited *awaited = wait->at(wait->set, i);
        if (awaited != NULL && !thing_is_stuck_locked(awaited))
            return true;
    }
    return false;
}

/* Adds a wait to those that the walk has seen. */
static void see_locked(struct sk_wait *wait, struct sk_wait **seen, struct sk_wait **todo)
{
    if (wait->walk == graph.walks)
        return;
    wait->walk = graph.walks;
    wait->stuck = !sk_load_rlx(&wait->told); /* relaxed: written under the lock */
    wait->seen = *seen;
    *seen = wait;
    wait->todo = *todo;
    *todo = wait;
}

/* Takes all that can be reached from a wait for stuck; false, at once, if the wait has a way out.
 * The list begins with those that were reached last. */
static bool collect_locked(struct sk_wait *from, struct sk_wait **seen)
{
    struct sk_wait *todo = NULL, *wait;
    graph.walks++;
    *seen = NULL;
    see_locked(from, seen, &todo);
    while ((wait = todo) != NULL) {
        todo = wait->todo;
        for (size_t i = 0; i < wait->n; i++) {
            const struct sk_awaited *awaited = wait->at(wait->set, i);
            if (awaited == NULL)
                continue;
            struct sk_wait *asleep = all_asleep_locked(awaited);
            if (wait == from && awaited->blocked == NULL && asleep == NULL)
                return false;
            for (; asleep != NULL; asleep = asleep->next)
                see_locked(asleep, seen, &todo);
            for (struct sk_stint *stint = awaited->blocked; stint != NULL; stint = stint->next)
                see_locked(stint->wait, seen, &todo);
        }
    }
    return true;
}

/* Whether a wait could never end; *seen: those that the walk has come to, each stuck or not. */
static bool is_stuck_locked(struct sk_wait *from, struct sk_wait **seen)
{
    bool changes = true;
    if (!collect_locked(from, seen))
        return false;
    while (changes && from->stuck) {
        changes = false;
        for (struct sk_wait *wait = *seen; wait != NULL; wait = wait->seen) {
            if (!wait->stuck || !has_way_out_locked(wait))
                continue;
            wait->stuck = false;
            changes = true;
        }
    }
    return from->stuck;
}

/* Breaks off a stuck wait. */
static bool tell_one_locked(struct sk_wait *seen)
{
    while (seen != NULL && !(seen->stuck && seen->wake != NULL))
        seen = seen->seen;
    if (seen == NULL)
        return false;
    sk_store_sc(&seen->told, true); /* before the wake; see sk_state_wait and gather.c */
    seen->wake(seen->set);
    return true;
}

bool sk_circle_enter(struct sk_wait *wait)
{
    struct sk_wait *seen;
    bool sleeps = true;
    if (innermost == NULL)
        return true;
    sk_lock_lock(&graph.lock);
    link_locked(wait);
    while (sleeps && is_stuck_locked(wait, &seen)) {
        sleeps = wait->wake == NULL;
        if (sleeps && !tell_one_locked(seen))
            break;
    }
    if (!sleeps)
        unlink_locked(wait);
    sk_lock_unlock(&graph.lock);
    return sleeps;
}

static struct sk_awaited *only_one(const void *set, size_t i)
{
    (void)i;
    return (struct sk_awaited *)(uintptr_t)set;
}

void sk_circle_enter_one(struct sk_wait *wait, const struct sk_awaited *awaited)
{
    *wait = (struct sk_wait){ .at = only_one, .set = awaited, .n = 1 };
    sk_circle_enter(wait);
}

void sk_circle_leave(struct sk_wait *wait)
{
    if (innermost == NULL)
        return;
    sk_lock_lock(&graph.lock);
    unlink_locked(wait);
    sk_lock_unlock(&graph.lock);
}
