/* Each worker sleeps on an eventcount of its own (sched/park.h); a bitmap, one bit a slot, tells
 * who may be woken. Who publishes work by a seq_cst operation then calls sk_idle_notify:
 *
 *   P1 publish (seq_cst)                  S1 searching += 1
 *   P2 searching != 0 ? then done         S2 look for work, for a while
 *   P3 take a bit out of `asleep`         S3 searching -= 1    (seq_cst)
 *   P4 wake that worker                   S4 prepare; put my bit into `asleep`   (seq_cst)
 *                                         S5 look once more (seq_cst): found: take my bit out again
 *                                         S6 sleep
 *
 * No work is lost while a worker sleeps. Take the one order of seq_cst operations. If P2 reads a
 * searcher, P2 is before its S3, hence P1 before its S5: that searcher finds this work, or other
 * work; in the second case, if it was the last searcher, it scans everything and calls notify
 * itself (sk_idle_search_end). If P2 reads none, every worker is busy, and looks before it sleeps,
 * or is past its S3. If P3 reads its bit it is woken: the bit is set after prepare, so the epoch
 * it sleeps on is older than P4's. If not, P3 is before S4, so P1 is before S5.
 *
 * A worker that was woken is counted on for all the work there is, like a searcher: if it then
 * finds something, it scans for more and notifies in turn (sk_idle_pass_on). So a searcher may
 * leave a batch to one woken worker, which wakes the next, and so on. A worker that does not sleep
 * at S6 because others were in the way of its look at S5 is counted on still: P2 may have seen it.
 *
 * A bit is taken out by one compare-and-swap, so a batch of submissions wakes each sleeper once.
 *
 * Lent seats. The thread of a seat in which a guest works does not look for work; its bit stays
 * set, but notifiers skip it:
 *
 *   P3' lent != 0 (seq_cst): skip         G1 lent -= 1     (seq_cst)
 *   P5  wanted = true (seq_cst)           G2 wanted ? then clear it and notify
 *   P6  look at all bits once more
 *
 * If P6 still reads lent, it is before G1 and so P5 before G2: the guest notifies.
 *
 * Inboxes of nodes. Who publishes into one (sched/near.h) does P3 and P4 for the workers of that
 * node before P2: waking one more than needed loses nothing. With none of them asleep the steps are
 * those above. Workers of other nodes find such work only at S5, so that a woken worker of the node
 * comes first; S5 is what the proof rests on, not S2.
 *
 * A worker that stops searching for a loop, because there is mail, because it roams into one, or
 * because its seat was lent, does not look at S5, and a notifier may have counted on it: it scans
 * everything instead, and notifies. */
#include "sched/idle.h"

static int nr_words(struct sk_sched *sched)
{
    return (sk_sched_nr_slots(sched) + 63) / 64;
}

/* Takes the bit of one worker out of a word and wakes it; none of those in `tried`. *skipped: one
 * was passed over as lent. */
static bool wake_in_word(struct sk_sched *sched, int word, uint64_t tried, bool *skipped)
{
    uint64_t bits = sk_load_sc(&sched->asleep[word]); /* P3 */
    while ((bits & ~tried) != 0) {
        int index = __builtin_ctzll(bits & ~tried);
        uint64_t bit = UINT64_C(1) << index;
        struct sk_worker *worker = sk_sched_worker(sched, word * 64 + index);
        if (worker == NULL || sk_load_sc(&worker->lent) != 0) { /* P3', P6: pairs with G1 */
            tried |= bit;
            *skipped = true;
        } else if (sk_cas_sc(&sched->asleep[word], &bits, bits & ~bit)) {
            sk_park_wake(&worker->park, 1); /* P4 */
            return true;
        }
    }
    return false;
}

static bool wake_one(struct sk_sched *sched, bool *skipped)
{
    int n = nr_words(sched);
    for (int word = 0; word < n; word++) {
        if (wake_in_word(sched, word, 0, skipped))
            return true;
    }
    return false;
}

static void count_wake(struct sk_sched *sched)
{
    struct sk_worker *self = sk_worker_self();
    if (self != NULL && self->sched == sched)
        sk_stats_add(&self->stats.wakes, 1);
}

void sk_idle_notify(struct sk_sched *sched)
{
    bool skipped = false;
    if (sk_load_sc(&sched->searching) != 0) /* P2: pairs with S3 */
        return;
    bool woken = wake_one(sched, &skipped);
    if (!woken && skipped) {
        sk_store_sc(&sched->wanted, true); /* P5: pairs with G2 */
        woken = wake_one(sched, &skipped); /* P6 */
    }
    if (woken)
        count_wake(sched);
}

void sk_idle_notify_near(struct sk_sched *sched, int node)
{
    const uint64_t *seats = sched->near[node].seats;
    bool skipped = false;
    for (int word = 0; word * 64 < sched->nr_workers; word++) {
        if (seats[word] != 0 && wake_in_word(sched, word, ~seats[word], &skipped)) {
            count_wake(sched);
            return;
        }
    }
    sk_idle_notify(sched);
}

void sk_idle_notify_all(struct sk_sched *sched)
{
    int n = sk_sched_nr_slots(sched);
    for (int slot = 0; slot < n; slot++) {
        struct sk_worker *worker = sk_sched_worker(sched, slot);
        if (worker != NULL)
            sk_park_notify(&worker->park, 1);
    }
}

void sk_idle_seat_returned(struct sk_sched *sched)
{
    if (SK_UNLIKELY(sk_load_sc(&sched->wanted)) && sk_xchg_sc(&sched->wanted, false)) /* G2: P5 */
        sk_idle_notify(sched);
}

/* Whether any work can be seen that a worker could take. */
static bool anything(struct sk_sched *sched)
{
    if (!sk_inbox_empty(&sched->inbox))
        return true;
    for (int node = 0; node < sched->nr_near; node++) {
        if (!sk_inbox_empty(&sched->near[node].inbox))
            return true;
    }
    int n = sk_sched_nr_slots(sched);
    for (int slot = 0; slot < n; slot++) {
        struct sk_worker *worker = sk_sched_worker(sched, slot);
        if (worker != NULL && (!sk_deque_empty(&worker->deque) || !sk_split_empty(&worker->split)))
            return true;
    }
    return false;
}

void sk_idle_search_begin(struct sk_sched *sched)
{
    sk_add_sc(&sched->searching, 1u); /* S1 */
}

void sk_idle_search_end(struct sk_sched *sched, bool found)
{
    uint32_t before = sk_sub_sc(&sched->searching, 1u); /* S3: pairs with P2 */
    if (found && before == 1 && anything(sched))
        sk_idle_notify(sched);
}

static SK_ATOMIC(uint64_t) * word_of(struct sk_worker *worker)
{
    return &worker->sched->asleep[worker->slot / 64];
}

static uint64_t bit_of(const struct sk_worker *worker)
{
    return UINT64_C(1) << (worker->slot % 64);
}

/* False if a notifier has taken it out before, and so counts on this worker. */
static bool take_bit_out(struct sk_worker *worker)
{
    uint64_t bits = sk_load_rlx(word_of(worker));
    while ((bits & bit_of(worker)) != 0) {
        if (sk_cas_sc(word_of(worker), &bits, bits & ~bit_of(worker)))
            return true;
    }
    return false;
}

uint32_t sk_idle_prepare(struct sk_worker *worker)
{
    uint32_t token = sk_park_prepare(&worker->park);
    sk_or_sc(word_of(worker), bit_of(worker)); /* S4: pairs with P3 */
    return token;
}

void sk_idle_pass_on(struct sk_sched *sched)
{
    if (anything(sched))
        sk_idle_notify(sched);
}

void sk_idle_cancel(struct sk_worker *worker)
{
    bool counted_on = !take_bit_out(worker);
    sk_park_cancel(&worker->park);
    if (counted_on) /* for work other than it has found, maybe */
        sk_idle_pass_on(worker->sched);
}

bool sk_idle_sleep(struct sk_worker *worker, uint32_t token)
{
    sk_stats_add(&worker->stats.parks, 1);
    sk_park_wait(&worker->park, token, SK_NO_DEADLINE);
    return !take_bit_out(worker);
}
