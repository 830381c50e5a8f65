/* Two numbers, under the scheduler's lock: nr_blocked workers sleep inside tasks, nr_standing_in
 * spares are on duty. Who goes to sleep calls up a spare if there are fewer on duty than sleepers.
 * A spare that comes to look for work and finds more on duty than sleepers goes off duty. So a
 * spare finishes what it runs, and nobody waits for it. */
#include "sched/spare.h"

#include "base/mem.h"
#include "base/thread.h"
#include "sched/idle.h"
#include "sched/worker.h"

/* One more on or off duty, or asleep; under the lock, but read without it as a hint. */
static void add(SK_ATOMIC(int) * number, int change)
{
    sk_store_rlx(number, sk_load_rlx(number) + change);
}

static bool too_many(struct sk_sched *sched)
{
    return sk_load_rlx(&sched->nr_standing_in) > sk_load_rlx(&sched->nr_blocked);
}

/* A new spare, without a thread, and off duty; under the lock. */
static struct sk_worker *add_spare_locked(struct sk_sched *sched, int seat)
{
    int index = sk_load_rlx(&sched->nr_spares);
    if (index == SK_SCHED_SPARES)
        return NULL;
    struct sk_worker *spare = sk_sched_worker_open(sched, sched->nr_workers + index, seat, true);
    if (spare == NULL)
        return NULL;
    spare->has_thread = false;
    sk_store_rel(&sched->spares[index], spare); /* V1: publishes it; pairs with sk_sched_worker */
    sk_store_rel(&sched->nr_spares, index + 1);
    return spare;
}

/* Gives an off-duty spare its thread, if it has none yet. */
static bool has_thread_locked(struct sk_sched *sched, struct sk_worker *spare)
{
    if (spare->has_thread)
        return true;
    sk_add_rlx(&sched->alive, 1); /* relaxed: the caller is alive too */
    spare->has_thread = true;     /* before the thread: close joins those that have one */
    if (sk_thread_start(&spare->thread, sk_worker_main, spare) == 0)
        return true;
    spare->has_thread = false;
    sk_sub_rlx(&sched->alive, 1);
    return false;
}

/* Puts a spare on duty in a seat, if there are fewer than sleepers. NULL if not, or if none can be
 * had: it is tried again when the next one is needed. Else it is to be woken. */
static struct sk_worker *call_up_locked(struct sk_sched *sched, int seat)
{
    if (sk_load_rlx(&sched->nr_standing_in) >= sk_load_rlx(&sched->nr_blocked))
        return NULL;
    struct sk_worker *spare = sched->off_duty;
    if (spare != NULL)
        sched->off_duty = spare->next_spare;
    else
        spare = add_spare_locked(sched, seat);
    if (spare == NULL)
        return NULL;
    spare->seat = seat;
    sk_store_sc(&spare->on_duty, true); /* D1: publishes seat; pairs with D2 */
    if (has_thread_locked(sched, spare)) {
        add(&sched->nr_standing_in, 1);
        return spare;
    }
    sk_store_rlx(&spare->on_duty, false);
    spare->next_spare = sched->off_duty;
    sched->off_duty = spare;
    return NULL;
}

void sk_spare_relieve(struct sk_sched *sched, int seat)
{
    sk_lock_lock(&sched->lock);
    add(&sched->nr_blocked, 1);
    struct sk_worker *spare = call_up_locked(sched, seat);
    sk_lock_unlock(&sched->lock);
    if (spare != NULL)
        sk_park_notify(&spare->park, 1);
}

bool sk_spare_retry(struct sk_sched *sched, int nr_waiting)
{
    sk_lock_lock(&sched->lock);
    struct sk_worker *spare = call_up_locked(sched, 0); /* which seats are empty is not known */
    int missing = sk_load_rlx(&sched->nr_blocked) - sk_load_rlx(&sched->nr_standing_in);
    sk_lock_unlock(&sched->lock);
    if (spare != NULL)
        sk_park_notify(&spare->park, 1);
    return missing <= 0 || sched->nr_workers - missing > nr_waiting;
}

bool sk_spare_exhausted(struct sk_sched *sched)
{
    return sk_load_rlx(&sched->nr_standing_in) == SK_SCHED_SPARES; /* relaxed: a guess */
}

void sk_spare_return(struct sk_sched *sched)
{
    sk_lock_lock(&sched->lock);
    add(&sched->nr_blocked, -1);
    sk_lock_unlock(&sched->lock);
}

bool sk_spare_rest(struct sk_worker *worker)
{
    struct sk_sched *sched = worker->sched;
    if (!too_many(sched))
        return true;
    int seat = worker->seat; /* on duty it is the worker's own; off duty another may change it */
    sk_lock_lock(&sched->lock);
    bool leaves = too_many(sched);
    if (leaves) {
        add(&sched->nr_standing_in, -1);
        sk_store_rlx(&worker->on_duty, false);
        worker->next_spare = sched->off_duty;
        sched->off_duty = worker;
    }
    sk_lock_unlock(&sched->lock);
    if (!leaves)
        return true;
    sk_idle_notify(sched); /* it may have been woken for work that it now leaves to others */
    while (!sk_load_sc(&worker->on_duty) && !sk_load_sc(&sched->drained)) { /* D2: pairs with D1 */
        uint32_t token = sk_park_prepare(&worker->park);
        if (sk_load_sc(&worker->on_duty) || sk_load_sc(&sched->drained))
            sk_park_cancel(&worker->park);
        else
            sk_park_wait(&worker->park, token, SK_NO_DEADLINE);
    }
    if (!sk_load_sc(&worker->on_duty))
        return false; /* drained: its seat is not its own any more */
    if (worker->seat != seat)
        sk_worker_take_seat(worker);
    return true;
}
