/* Putting pushes onto a stack with one compare-and-swap (Treiber, 1986). Taking, under a lock that
 * nobody waits for, hands out the list `ready`; where that is empty it detaches the whole stack
 * with one exchange and turns it round. So a taker pays for contention with putters once a batch,
 * and the order stays: whatever is in ready was put before whatever is on the stack.
 *
 * The stack has no ABA problem: nodes are pushed one by one but only ever detached all together.
 *
 * While a taker holds a detached batch in its hands neither word shows it. So the last look before
 * a sleep takes the lock too, and counts an inbox that somebody is taking from as not empty. */
#include "sched/inbox.h"

void sk_inbox_init(struct sk_inbox *inbox)
{
    for (int i = 0; i < SK_NR_LANES; i++) {
        sk_init(&inbox->lane[i].put, NULL);
        sk_init(&inbox->lane[i].ready, NULL);
    }
    sk_lock_init(&inbox->lock, SK_RANK_INBOX);
}

void sk_inbox_put(struct sk_inbox *inbox, struct sk_job *job, enum sk_lane lane)
{
    struct sk_inbox_lane *l = &inbox->lane[lane];
    struct sk_job *head = sk_load_rlx(&l->put); /* relaxed: only compared and linked to */
    do {
        job->next = head;
    } while (!sk_cas_sc(&l->put, &head, job)); /* I1: publishes the job; pairs with I2, I3 */
}

static struct sk_job *reversed(struct sk_job *youngest)
{
    struct sk_job *list = NULL;
    while (youngest != NULL) {
        struct sk_job *next = youngest->next;
        youngest->next = list;
        list = youngest;
        youngest = next;
    }
    return list;
}

static struct sk_job *take_locked(struct sk_inbox_lane *lane)
{
    struct sk_job *job = sk_load_rlx(&lane->ready); /* relaxed: under the lock */
    if (job == NULL) {
        if (sk_load_rlx(&lane->put) == NULL) /* relaxed: sk_inbox_empty() looks properly */
            return NULL;
        job = reversed(sk_xchg_acq(&lane->put, NULL)); /* I2: pairs with I1 */
    }
    sk_store_rlx(&lane->ready, job->next); /* relaxed: read under the lock, or as a guess */
    return job;
}

struct sk_job *sk_inbox_take(struct sk_inbox *inbox)
{
    struct sk_job *job = NULL;
    bool any = false;
    for (int i = 0; i < SK_NR_LANES; i++) {
        any |= sk_load_rlx(&inbox->lane[i].ready) != NULL;
        any |= sk_load_rlx(&inbox->lane[i].put) != NULL;
    }
    if (!any || !sk_lock_try_lock(&inbox->lock))
        return NULL;
    for (int i = 0; i < SK_NR_LANES && job == NULL; i++)
        job = take_locked(&inbox->lane[i]);
    sk_lock_unlock(&inbox->lock);
    return job;
}

bool sk_inbox_empty(struct sk_inbox *inbox)
{
    if (!sk_lock_try_lock(&inbox->lock))
        return false;
    bool empty = true;
    for (int i = 0; i < SK_NR_LANES; i++) {
        empty = empty && sk_load_rlx(&inbox->lane[i].ready) == NULL; /* relaxed: under the lock */
        empty = empty && sk_load_sc(&inbox->lane[i].put) == NULL;    /* I3: pairs with I1 */
    }
    sk_lock_unlock(&inbox->lock);
    return empty;
}
