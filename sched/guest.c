/* Guests: a thread that calls a loop works in it, in the seat of a worker, whose own thread rests
 * meanwhile; so n workers never become n + 1 busy threads. Also what a thread does, worker or
 * guest, when it is about to sleep inside a task. */
#define _GNU_SOURCE
#include <sched.h>

#include "base/assert.h"
#include "sched/idle.h"
#include "sched/join.h"
#include "sched/sched.h"
#include "sched/spare.h"
#include "sched/worker.h"

static SK_THREAD_LOCAL struct sk_guest *innermost; /* of all its guest roles */
static SK_THREAD_LOCAL struct sk_guest *role;      /* what it acts as now; NULL: as a worker */

struct sk_guest *sk_guest_self(const struct sk_sched *sched)
{
    struct sk_guest *guest = innermost;
    while (guest != NULL && guest->sched != sched)
        guest = guest->outer;
    return guest;
}

static bool try_seat(struct sk_sched *sched, int seat)
{
    uint32_t none = 0;
    SK_ATOMIC(uint32_t) *lent = &sched->workers[seat]->lent;
    return sk_load_rlx(lent) == 0 && sk_cas_sc(lent, &none, 1);
}

static bool is_busy(struct sk_sched *sched, int seat)
{
    return sk_load_rlx(&sched->workers[seat]->state) == SK_WORKER_BUSY;
}

/* The seat of the core that the thread runs on, so that it does not share it with the thread of
 * another seat; else the first that is not lent and not busy, the first that is not lent, or
 * any. */
static int take_seat(struct sk_sched *sched)
{
    int cpu = sched_getcpu();
    int here = cpu >= 0 && cpu < sched->nr_cpus ? sched->seat_of_cpu[cpu] : -1;
    if (here >= 0 && !is_busy(sched, here) && try_seat(sched, here))
        return here;
    for (int pass = 0; pass < 2; pass++) {
        for (int seat = 0; seat < sched->nr_workers; seat++) {
            if ((pass == 1 || !is_busy(sched, seat)) && try_seat(sched, seat))
                return seat;
        }
    }
    sk_add_sc(&sched->workers[0]->lent, 1u);
    return 0;
}

static struct sk_guest_slot *take_slot(struct sk_sched *sched)
{
    for (int i = 0; i < SK_SCHED_GUESTS; i++) {
        bool unused = false;
        struct sk_guest_slot *slot = &sched->guests[i];
        if (!sk_load_rlx(&slot->used) && sk_cas_acq(&slot->used, &unused, true)) /* U1: pairs U2 */
            return slot;
    }
    return NULL;
}

static void give_seat_back(const struct sk_guest *guest)
{
    struct sk_sched *sched = guest->sched;
    sk_sub_sc(&sched->workers[guest->seat]->lent, 1u); /* G1: see idle.c */
    sk_idle_seat_returned(sched);
    if (SK_UNLIKELY(sk_load_sc(&sched->shutdown)))
        sk_sched_check_drained(sched);
}

/* A lent seat counts as unfinished work: by the order of its RMW and this look, either the guest
 * sees the shutdown, or who ends the scheduler sees the guest (X1, X2, Y1, Y2 in sched.c). */
bool sk_guest_enter(struct sk_guest *guest, struct sk_sched *sched)
{
    guest->sched = sched;
    guest->seat = take_seat(sched);
    if (sk_load_sc(&sched->shutdown)) {
        give_seat_back(guest);
        return false;
    }
    guest->slot = take_slot(sched);
    guest->chain = guest->slot != NULL ? &guest->slot->chain : NULL;
    guest->outer = innermost;
    guest->before = role;
    innermost = role = guest;
    return true;
}

void sk_guest_leave(struct sk_guest *guest)
{
    sk_assert(innermost == guest);
    innermost = guest->outer;
    role = guest->before;
    struct sk_guest_slot *slot = guest->slot;
    give_seat_back(guest);
    if (slot != NULL)
        sk_store_rel(&slot->used, false); /* U2: pairs with U1; the last access to the scheduler */
}

int sk_worker_number(void)
{
    struct sk_worker *worker = sk_worker_self();
    return role != NULL ? role->seat : worker != NULL ? worker->seat : -1;
}

struct sk_sched *sk_worker_sched(void)
{
    struct sk_worker *worker = sk_worker_self();
    return role != NULL ? role->sched : worker != NULL ? worker->sched : NULL;
}

struct sk_guest *sk_worker_act_as(struct sk_guest *guest)
{
    struct sk_guest *before = role;
    role = guest;
    return before;
}

bool sk_worker_is_of(const struct sk_sched *sched)
{
    struct sk_worker *worker = sk_worker_self();
    return worker != NULL && worker->sched == sched;
}

void sk_worker_block_begin(void)
{
    struct sk_worker *worker = sk_worker_self();
    for (struct sk_guest *guest = innermost; guest != NULL; guest = guest->outer) {
        sk_add_sc(&guest->sched->outside_submitted, 1u); /* its loop has not ended */
        sk_add_sc(&guest->sched->outside_returned, 1u);
        give_seat_back(guest);
    }
    if (worker != NULL) {
        sk_join_share(worker); /* nobody else can take its private children */
        sk_spare_relieve(worker->sched, worker->seat);
    }
}

void sk_worker_block_end(void)
{
    struct sk_worker *worker = sk_worker_self();
    if (worker != NULL)
        sk_spare_return(worker->sched);
    for (struct sk_guest *guest = innermost; guest != NULL; guest = guest->outer) {
        sk_add_sc(&guest->sched->workers[guest->seat]->lent, 1u);
        sk_add_sc(&guest->sched->outside_finished, 1u);
    }
}

void sk_worker_forget(void)
{
    sk_worker_of_thread = NULL;
    innermost = role = NULL;
}
