/* The pools of a process, from the first to exit(), and through fork().
 *
 * exit() waits for accepted work: a function registered with atexit() shuts each pool down and
 * waits, but not for the pool whose task called exit(). _exit() and quick_exit() do not wait.
 *
 * fork() leaves the child with one thread. Its copies of the parent's pools have no workers: they
 * are as good as shut down (sk_sched_here() tells), their locks may have been held and are not
 * taken, and skua_default() makes a new pool. Around fork() the library's global
 * locks are held, so what they protect is sound in the child. */
#include <pthread.h>
#include <stdlib.h>

#include "base/lock.h"
#include "base/log.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/future.h"
#include "sched/circle.h"
#include "sched/park.h"
#include "sched/worker.h"

static struct {
    struct sk_lock lock; /* protects what follows */
    struct sk_executor_link *first;
    struct sk_executor_link *left_behind; /* of the parent process, or of its parent */
    skua_executor *standard;              /* what skua_default() gives */
    bool registered;                      /* the functions below are known to atexit */
    SK_ATOMIC(unsigned) closing;          /* pools that are being waited for and freed elsewhere */
    struct sk_park closed;                /* where exit() waits for them */
    bool exiting;                         /* exit() has begun */
} life = { .lock = SK_LOCK_INIT(SK_RANK_GLOBAL) };

/* The next pool that exit() has not waited for, or NULL. */
static struct sk_executor_link *next_to_wait_for(void)
{
    sk_lock_lock(&life.lock);
    life.exiting = true;
    struct sk_executor_link *link = life.first;
    while (link != NULL && link->waited_for)
        link = link->next;
    if (link != NULL)
        link->waited_for = true;
    sk_lock_unlock(&life.lock);
    return link;
}

static void wait_for_pools(void)
{
    struct sk_executor_link *link;
    while ((link = next_to_wait_for()) != NULL)
        link->at_exit(link);
    while (sk_worker_sched() == NULL && sk_load_sc(&life.closing) != 0) {
        uint32_t token = sk_park_prepare(&life.closed);
        if (sk_load_sc(&life.closing) == 0)
            sk_park_cancel(&life.closed);
        else
            sk_park_wait(&life.closed, token, SK_NO_DEADLINE);
    }
}

static void before_fork(void)
{
    sk_lock_lock(&life.lock);
    sk_circle_lock();
    sk_log_lock();
}

static void after_fork_parent(void)
{
    sk_log_unlock();
    sk_circle_unlock();
    sk_lock_unlock(&life.lock);
}

/* The parent's pools: kept in reach, as the child may close them, but not waited for. */
static void leave_pools_behind(void)
{
    struct sk_executor_link *last = life.first;
    if (last != NULL) {
        while (last->next != NULL)
            last = last->next;
        last->next = life.left_behind;
        if (last->next != NULL)
            last->next->previous = last;
        life.left_behind = life.first;
    }
    life.first = NULL;
    life.standard = NULL;
}

static void after_fork_child(void)
{
    leave_pools_behind();
    sk_worker_forget();
    sk_future_set_current(NULL);
    sk_store_rlx(&life.closing, 0u);
    after_fork_parent();
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

void sk_life_add(struct sk_executor_link *link)
{
    sk_lock_lock(&life.lock);
    if (!life.registered && !life.exiting)
        life.registered = atexit(wait_for_pools) == 0;
    link->previous = NULL;
    link->next = life.first;
    if (link->next != NULL)
        link->next->previous = link;
    life.first = link;
    sk_lock_unlock(&life.lock);
}

bool sk_life_take(struct sk_executor_link *link)
{
    sk_lock_lock(&life.lock);
    bool taken = !link->waited_for;
    if (taken) {
        if (life.standard != NULL && link == sk_executor_link(life.standard))
            life.standard = NULL;
        if (link->previous != NULL)
            link->previous->next = link->next;
        else if (life.first == link)
            life.first = link->next;
        else if (life.left_behind == link)
            life.left_behind = link->next;
        if (link->next != NULL)
            link->next->previous = link->previous;
        sk_add_rlx(&life.closing, 1u); /* relaxed: under the lock */
    }
    sk_lock_unlock(&life.lock);
    return taken;
}

void sk_life_gone(void)
{
    sk_sub_sc(&life.closing, 1u);
    sk_park_notify(&life.closed, 1);
}

/* The process's own pool, made at the first call. */
static skua_executor *standard_pool(void)
{
    sk_lock_lock(&life.lock);
    skua_executor *ex = life.standard;
    sk_lock_unlock(&life.lock);
    if (ex != NULL)
        return ex;
    skua_executor *made =
        skua_thread_pool(NULL); /* not under the lock: it enters the list itself */
    sk_lock_lock(&life.lock);
    if (life.standard == NULL)
        life.standard = made;
    ex = life.standard;
    sk_lock_unlock(&life.lock);
    if (ex != made)
        skua_close(made); /* another thread was faster */
    return ex;
}

skua_executor *skua_default(void)
{
    struct sk_sched *sched = sk_worker_sched();
    return sched != NULL ? sched->owner : standard_pool();
}
