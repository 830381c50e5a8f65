/* The verbs of a crew, and its parcels' lists.
 *
 * One lock protects all of it. It is held for the time of a few stores and, where a worker sleeps,
 * of a system call; never over functions of the user. What a parcel's end sets off, waking waiters
 * and running callbacks, happens without it: ended parcels are gathered in crew->ended and handed
 * over by whoever unlocks (sk_crew_unlock_and_deliver). Callbacks run in a thread of their own,
 * the teller: a thread that waits for one future must not run another's callback, which might want
 * a mutex that it holds, and the supervisor must not stand still with one.
 *
 * A parcel's life, under the lock:
 *
 *   queued        in a lane                 -> on a wire, withdrawn, ended (broken, stopped)
 *   on a wire     member is set             -> queued (recalled or skipped), begun, withdrawn
 *   begun         on a wire                 -> ended, queued (to be tried again)
 *   withdrawn     nowhere; its owner's      -> rid
 *   ended         handed over to its owner  -> told if need be -> released
 *
 * All parcels that have not ended are linked by age; the oldest says which freed blocks of
 * shared memory nobody can be using any more. */
#define _GNU_SOURCE
#include "process/crew.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "process/member.h"

/* ---- lists ----------------------------------------------------------------------------------- */

void sk_parcels_append(struct sk_parcels *list, struct sk_parcel *parcel)
{
    parcel->next = NULL;
    parcel->previous = list->last;
    if (list->last != NULL)
        list->last->next = parcel;
    else
        list->first = parcel;
    list->last = parcel;
}

static void remove_from(struct sk_parcels *list, struct sk_parcel *parcel)
{
    if (parcel->previous != NULL)
        parcel->previous->next = parcel->next;
    else
        list->first = parcel->next;
    if (parcel->next != NULL)
        parcel->next->previous = parcel->previous;
    else
        list->last = parcel->previous;
    parcel->next = parcel->previous = NULL;
}

struct sk_parcel *sk_parcels_take(struct sk_parcels *list)
{
    struct sk_parcel *parcel = list->first;
    if (parcel != NULL)
        remove_from(list, parcel);
    return parcel;
}

void sk_crew_queue_locked(struct sk_crew *crew, struct sk_parcel *parcel, bool first)
{
    if (parcel->stopped) { /* before it had begun, or between two tries */
        parcel->status = SKUA_CANCELLED;
        sk_crew_end_locked(crew, parcel, SK_PARCEL_LOST);
        return;
    }
    if (sk_load_rlx(&crew->broken)) {
        sk_crew_end_locked(crew, parcel, SK_PARCEL_REFUSED);
        return;
    }
    struct sk_parcels *lane = &crew->lanes[parcel->lane];
    parcel->queued = true;
    if (!first || lane->first == NULL) {
        sk_parcels_append(lane, parcel);
        return;
    }
    parcel->previous = NULL;
    parcel->next = lane->first;
    lane->first->previous = parcel;
    lane->first = parcel;
}

void sk_crew_unqueue_locked(struct sk_crew *crew, struct sk_parcel *parcel)
{
    remove_from(&crew->lanes[parcel->lane], parcel);
    parcel->queued = false;
}

static void link_newest(struct sk_crew *crew, struct sk_parcel *parcel)
{
    parcel->serial = ++crew->parcel_serial;
    parcel->newer = NULL;
    parcel->older = crew->newest;
    if (crew->newest != NULL)
        crew->newest->newer = parcel;
    else
        crew->oldest = parcel;
    crew->newest = parcel;
    sk_add_rlx(&crew->nr_unrid, 1u);
}

/* Every parcel up to this serial has ended. */
static uint64_t settled(const struct sk_crew *crew)
{
    return crew->oldest != NULL ? crew->oldest->serial - 1 : crew->parcel_serial;
}

/* It has ended, or will never begin. */
static void unlink_locked(struct sk_crew *crew, struct sk_parcel *parcel)
{
    if (parcel->older != NULL)
        parcel->older->newer = parcel->newer;
    else
        crew->oldest = parcel->newer;
    if (parcel->newer != NULL)
        parcel->newer->older = parcel->older;
    else
        crew->newest = parcel->older;
}

/* Without the lock: giving pages back takes a while. */
static void free_block(struct sk_crew *crew, struct sk_parcel *parcel)
{
    if (parcel->block != NULL)
        sk_heap_free(crew->heap, parcel->block, 0);
    parcel->block = NULL;
}

/* n parcels were released. Under the lock, so that who waits for the last one may free the crew as
 * soon as it has had the lock once. */
static void count_rid_locked(struct sk_crew *crew, uint64_t n)
{
    if (n > 0 && sk_sub_sc(&crew->nr_unrid, n) == n)
        sk_park_notify(&crew->rid_park, INT32_MAX);
}

static void release(struct sk_crew *crew, struct sk_parcel *parcel)
{
    parcel->class->release(parcel);
    sk_lock_lock(&crew->lock);
    count_rid_locked(crew, 1);
    sk_lock_unlock(&crew->lock);
}

void sk_crew_rid(struct sk_crew *crew, struct sk_parcel *parcel)
{
    sk_lock_lock(&crew->lock);
    unlink_locked(crew, parcel);
    uint64_t due = settled(crew);
    sk_lock_unlock(&crew->lock);
    free_block(crew, parcel);
    sk_heap_settle(crew->heap, due);
    release(crew, parcel);
}

void sk_crew_told(struct sk_crew *crew, struct sk_parcel *parcel)
{
    release(crew, parcel);
}

void sk_crew_end_locked(struct sk_crew *crew, struct sk_parcel *parcel, enum sk_parcel_end end)
{
    bool stopped = (end == SK_PARCEL_LOST && parcel->status == SKUA_CANCELLED) ||
                   (end == SK_PARCEL_FAILED && parcel->code == SKUA_CANCELLED && parcel->stopped);
    size_t *count = end == SK_PARCEL_RETURNED ? &crew->nr_returned
                    : stopped                 ? &crew->nr_stopped
                                              : &crew->nr_failed;
    ++*count;
    unlink_locked(crew, parcel);
    parcel->end = end;
    if (!parcel->announced) { /* it ends as if it had begun */
        parcel->announced = true;
        crew->nr_begun++;
        parcel->class->begin(parcel);
    }
    crew->nr_deaths = 0;
    sk_parcels_append(&crew->ended, parcel);
}

/* Hands parcels to their owners; those that are to be told are left in a list. How many are not. */
static uint64_t hand_over(struct sk_crew *crew, struct sk_parcels *ended,
                          struct sk_parcels *to_tell)
{
    struct sk_parcel *parcel;
    uint64_t nr_done = 0;
    while ((parcel = sk_parcels_take(ended)) != NULL) {
        sk_traffic_fetch(parcel);
        free_block(crew, parcel);
        if (parcel->class->end(parcel)) {
            sk_parcels_append(to_tell, parcel);
        } else {
            parcel->class->release(parcel);
            nr_done++;
        }
    }
    return nr_done;
}

bool sk_crew_unlock_and_deliver(struct sk_crew *crew)
{
    struct sk_parcels ended = crew->ended, to_tell = { NULL, NULL };
    struct sk_parcel *parcel;
    bool any = ended.first != NULL;
    uint64_t due = settled(crew);
    crew->ended = (struct sk_parcels){ NULL, NULL };
    sk_lock_unlock(&crew->lock);
    if (!any)
        return false;
    uint64_t nr_done = hand_over(crew, &ended, &to_tell);
    sk_heap_settle(crew->heap, due);
    sk_lock_lock(&crew->lock);
    while ((parcel = sk_parcels_take(&to_tell)) != NULL)
        sk_supervise_tell_locked(crew, parcel);
    count_rid_locked(crew, nr_done);
    sk_lock_unlock(&crew->lock);
    return true;
}

/* ---- parcels --------------------------------------------------------------------------------- */

/* What fits no room of the wire travels in a block of shared memory. */
static int make_block(struct sk_crew *crew, struct sk_parcel *parcel)
{
    size_t unit = _Alignof(max_align_t), size = 0;
    if (parcel->arg_size > SK_WIRE_ROOM)
        size = (parcel->arg_size + unit - 1) / unit * unit;
    size_t before = size;
    if (parcel->result_size > SK_WIRE_ROOM && !parcel->placed)
        size += parcel->result_size;
    if (size == 0)
        return 0;
    parcel->block = sk_heap_alloc(crew->heap, size, false);
    if (parcel->block == NULL)
        return -ENOMEM;
    if (before > 0)
        memcpy(parcel->block, parcel->arg, parcel->arg_size);
    return 0;
}

/* A user is at work here: the supervisor need not be told of each reply. */
static void lock_for_user(struct sk_crew *crew)
{
    sk_lock_lock(&crew->lock);
    crew->activity++;
}

int sk_crew_submit(struct sk_crew *crew, struct sk_parcel *parcel)
{
    enum {
        LOOK_EVERY = 16 /* parcels: who submits many takes their replies too */
    };
    parcel->worker = -1;
    if (make_block(crew, parcel) != 0)
        return -ENOMEM;
    lock_for_user(crew);
    int error = crew->closing || sk_load_rlx(&crew->shutdown) ? -ESHUTDOWN
                : sk_load_rlx(&crew->broken)                  ? -EPIPE
                                                              : 0;
    if (error != 0) {
        uint64_t due = settled(crew);
        sk_lock_unlock(&crew->lock);
        free_block(crew, parcel);
        sk_heap_settle(crew->heap, due);
        return error;
    }
    link_newest(crew, parcel);
    sk_crew_queue_locked(crew, parcel, false);
    if (parcel->serial % LOOK_EVERY == 0 && crew->nr_on_wires >= LOOK_EVERY)
        sk_traffic_receive_locked(crew);
    if (crew->nr_on_wires > 0)
        sk_traffic_make_way_locked(crew, parcel->lane);
    sk_traffic_send_locked(crew);
    if (crew->nr_on_wires == 0)
        sk_supervise_kick_locked(crew); /* nobody takes it yet */
    sk_crew_unlock_and_deliver(crew);
    return 0;
}

static bool withdraw_locked(struct sk_crew *crew, struct sk_parcel *parcel)
{
    bool withdrawn = false;
    if (parcel->announced)
        return false;
    if (parcel->queued) {
        sk_crew_unqueue_locked(crew, parcel);
        withdrawn = true;
    } else if (parcel->member != NULL) {
        withdrawn = sk_traffic_withdraw_locked(crew, parcel);
    }
    if (withdrawn)
        parcel->class->withdrawn(parcel);
    crew->nr_cancelled += withdrawn;
    return withdrawn;
}

bool sk_crew_withdraw(struct sk_crew *crew, struct sk_parcel *parcel)
{
    lock_for_user(crew);
    bool withdrawn = withdraw_locked(crew, parcel);
    sk_lock_unlock(&crew->lock);
    return withdrawn;
}

struct sk_parcel *sk_crew_withdraw_any(struct sk_crew *crew)
{
    lock_for_user(crew);
    sk_traffic_receive_locked(crew);
    struct sk_parcel *parcel = crew->newest;
    while (parcel != NULL && !withdraw_locked(crew, parcel))
        parcel = parcel->older;
    sk_crew_unlock_and_deliver(crew);
    return parcel;
}

static void stop_locked(struct sk_crew *crew, struct sk_parcel *parcel)
{
    if (parcel->stopped || (parcel->member == NULL && !parcel->queued))
        return;
    parcel->stopped = true;
    parcel->kill_ns = sk_deadline_ns(crew->config.grace);
    if (parcel->member != NULL)
        sk_wire_stop(&parcel->member->wire, parcel->index);
    sk_supervise_kick_locked(crew);
}

void sk_crew_stop(struct sk_crew *crew, struct sk_parcel *parcel)
{
    lock_for_user(crew);
    stop_locked(crew, parcel);
    sk_lock_unlock(&crew->lock);
}

void sk_crew_stop_all(struct sk_crew *crew)
{
    lock_for_user(crew);
    for (struct sk_parcel *parcel = crew->oldest; parcel != NULL; parcel = parcel->newer)
        stop_locked(crew, parcel);
    sk_lock_unlock(&crew->lock);
}

/* ---- looking --------------------------------------------------------------------------------- */

bool sk_crew_look(struct sk_crew *crew)
{
    lock_for_user(crew);
    sk_traffic_receive_locked(crew);
    for (struct sk_member *m = crew->members; m != NULL; m = m->next) {
        if (m->nr_parcels > 0)
            sk_traffic_oldest_locked(crew, m);
    }
    sk_traffic_send_locked(crew);
    return sk_crew_unlock_and_deliver(crew);
}

bool sk_crew_attend(struct sk_crew *crew)
{
    if (!sk_lock_try_lock(&crew->lock))
        return false;
    crew->activity++;
    if (sk_traffic_receive_locked(crew))
        sk_traffic_send_locked(crew);
    return sk_crew_unlock_and_deliver(crew);
}

void sk_crew_stats(struct sk_crew *crew, skua_stats *stats)
{
    sk_crew_look(crew);
    sk_lock_lock(&crew->lock);
    size_t ended = crew->nr_returned + crew->nr_failed + crew->nr_stopped;
    stats->workers = (size_t)crew->setup.shares.nr_workers;
    stats->finished = crew->nr_returned;
    stats->failed = crew->nr_failed;
    stats->cancelled = crew->nr_cancelled + crew->nr_stopped;
    stats->running = crew->nr_begun > ended ? crew->nr_begun - ended : 0;
    stats->pending = crew->parcel_serial - crew->nr_cancelled - stats->running - ended;
    stats->restarts = crew->restarts;
    sk_lock_unlock(&crew->lock);
}

void sk_crew_want_begun(struct sk_crew *crew, bool wanted)
{
    sk_lock_lock(&crew->lock);
    crew->begun_wanted += wanted ? 1 : -1;
    sk_supervise_kick_locked(crew); /* it says on the board what it wants to be told */
    sk_lock_unlock(&crew->lock);
}

bool sk_crew_broken(struct sk_crew *crew, char *why, size_t size)
{
    if (!sk_load_acq(&crew->broken))
        return false;
    sk_lock_lock(&crew->lock);
    snprintf(why, size, "%s", crew->words);
    sk_lock_unlock(&crew->lock);
    return true;
}

void sk_crew_break_locked(struct sk_crew *crew, const char *format, ...)
{
    if (sk_load_rlx(&crew->broken))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(crew->words, sizeof crew->words, format, args);
    va_end(args);
    sk_store_rel(&crew->broken, true);
    for (struct sk_member *m = crew->members; m != NULL; m = m->next)
        sk_traffic_recall_locked(crew, m, false);
    for (int lane = 0; lane < SK_CREW_LANES; lane++) {
        while (crew->lanes[lane].first != NULL) {
            struct sk_parcel *parcel = crew->lanes[lane].first;
            sk_crew_unqueue_locked(crew, parcel);
            sk_crew_end_locked(crew, parcel, SK_PARCEL_REFUSED);
        }
    }
    sk_add_sc(&crew->nr_failed_births, 1u);
    sk_park_notify(&crew->birth_park, INT32_MAX);
}

bool sk_crew_free_shared(struct sk_crew *crew, void *memory)
{
    sk_lock_lock(&crew->lock);
    uint64_t serial = crew->parcel_serial, due = settled(crew);
    sk_lock_unlock(&crew->lock);
    bool freed = sk_heap_free(crew->heap, memory, serial);
    sk_heap_settle(crew->heap, due);
    return freed;
}

/* ---- ending ---------------------------------------------------------------------------------- */

void sk_crew_shutdown(struct sk_crew *crew)
{
    sk_lock_lock(&crew->lock); /* who has been accepted is counted */
    sk_store_sc(&crew->shutdown, true);
    sk_lock_unlock(&crew->lock);
}

bool sk_crew_is_shut_down(const struct sk_crew *crew)
{
    return sk_load_sc(&((struct sk_crew *)(uintptr_t)crew)->shutdown);
}

bool sk_crew_wait(struct sk_crew *crew, int64_t deadline_ns)
{
    bool rid_of_all;
    while (!(rid_of_all = sk_load_sc(&crew->nr_unrid) == 0)) {
        uint32_t token = sk_park_prepare(&crew->rid_park);
        bool in_time = true;
        if (sk_load_sc(&crew->nr_unrid) == 0)
            sk_park_cancel(&crew->rid_park);
        else
            in_time = sk_park_wait(&crew->rid_park, token, deadline_ns);
        if (!in_time)
            break;
    }
    sk_lock_lock(&crew->lock); /* see count_rid_locked() */
    sk_lock_unlock(&crew->lock);
    return rid_of_all || sk_load_sc(&crew->nr_unrid) == 0;
}

bool sk_crew_here(const struct sk_crew *crew)
{
    return crew->fork_count == sk_thread_fork_count();
}

int sk_crew_workers(const struct sk_crew *crew)
{
    return crew->setup.shares.nr_workers;
}

const char *sk_crew_name(const struct sk_crew *crew)
{
    return crew->name;
}

unsigned sk_crew_retries(const struct sk_crew *crew)
{
    return crew->config.retries;
}

struct sk_heap *sk_crew_heap(struct sk_crew *crew)
{
    return crew->heap;
}
