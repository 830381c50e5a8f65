/* Order of search: the urgent lanes of the inboxes; the own deque; the inbox of the own node, where
 * nodes have one, and the common inbox; then other workers, tier by tier from the nearest, each
 * tier from another starting point each time, so that thieves spread; and in a thorough look,
 * before a sleep, the inboxes of other nodes. Every 64th look begins with an inbox, so that a
 * worker that feeds itself cannot starve it: with the common one, and every second time with the
 * node's.
 *
 * Tries in a tier are bounded except in a thorough look: on hundreds of cores a sweep over all
 * lines would take longer than the work it finds. */
#include "sched/victim.h"

enum {
    TRIES_A_TIER = 8,
    INBOX_FIRST_EVERY = 64
};

static bool from_inbox(struct sk_inbox *inbox, struct sk_find *find, bool thorough)
{
    find->job = sk_inbox_take(inbox);
    if (find->job != NULL)
        return true;
    if (thorough && !sk_inbox_empty(inbox))
        find->contended = true;
    return false;
}

static bool is_urgent(const struct sk_inbox *inbox)
{
    const struct sk_inbox_lane *lane = &inbox->lane[SK_LANE_HIGH];
    return sk_load_rlx(&lane->ready) != NULL || sk_load_rlx(&lane->put) != NULL;
}

/* The inboxes of all nodes: the own one has been looked at, but a look more does not harm. */
static bool from_nodes(struct sk_sched *sched, struct sk_find *find)
{
    for (int node = 0; node < sched->nr_near; node++) {
        if (from_inbox(&sched->near[node].inbox, find, true))
            return true;
    }
    return false;
}

/* What goes before the own deque. */
static bool from_first_inbox(struct sk_worker *worker, struct sk_inbox *near, struct sk_find *find)
{
    struct sk_inbox *common = &worker->sched->inbox;
    uint32_t tick = ++worker->tick;
    bool turn = tick % INBOX_FIRST_EVERY == 0;
    bool turn_of_near = turn && tick / INBOX_FIRST_EVERY % 2 == 1;
    if (SK_UNLIKELY(near != NULL) && (turn_of_near || is_urgent(near)) &&
        from_inbox(near, find, false))
        return true;
    return (turn || is_urgent(common)) && from_inbox(common, find, false);
}

static bool rob(struct sk_worker *victim, struct sk_find *find)
{
    bool lost = false;
    find->child = sk_split_steal(&victim->split, NULL);
    if (find->child != NULL) {
        find->parent = &victim->split;
        return true;
    }
    find->job = sk_deque_steal(&victim->deque, &lost);
    find->contended |= lost || !sk_split_empty(&victim->split);
    return find->job != NULL;
}

static bool rob_tiers(struct sk_worker *worker, struct sk_find *find, bool thorough)
{
    struct sk_sched *sched = worker->sched;
    const struct sk_victims *victims = &sched->victims[worker->seat];
    int begin = 0;
    for (int tier = 0; tier < SK_NR_TIERS; begin = victims->end[tier], tier++) {
        int n = victims->end[tier] - begin;
        int tries = thorough || n < TRIES_A_TIER ? n : TRIES_A_TIER;
        for (int i = 0; i < tries; i++) {
            int at = begin + (int)((worker->tick + (uint32_t)i) % (uint32_t)n);
            if (rob(sched->workers[victims->worker[at]], find)) {
                sk_stats_add(&worker->stats.steals[tier], 1);
                return true;
            }
        }
    }
    return false;
}

/* Spares, and for a spare the worker in whose seat it sits. */
static bool rob_seatless(struct sk_worker *worker, struct sk_find *find)
{
    struct sk_sched *sched = worker->sched;
    if (worker->is_spare && rob(sched->workers[worker->seat], find))
        return true;
    int n = sk_sched_nr_slots(sched);
    for (int slot = sched->nr_workers; slot < n; slot++) {
        struct sk_worker *victim = sk_sched_worker(sched, slot);
        if (victim != NULL && victim != worker && rob(victim, find))
            return true;
    }
    return false;
}

bool sk_victim_find(struct sk_worker *worker, struct sk_find *find, bool thorough)
{
    struct sk_sched *sched = worker->sched;
    struct sk_inbox *near = sk_sched_near(sched, worker->seat);
    *find = (struct sk_find){ 0 };
    if (from_first_inbox(worker, near, find))
        return true;
    find->job = sk_deque_pop(&worker->deque);
    if (find->job != NULL || (near != NULL && from_inbox(near, find, false)) ||
        from_inbox(&sched->inbox, find, thorough))
        return true;
    return rob_tiers(worker, find, thorough) || rob_seatless(worker, find) ||
           (thorough && from_nodes(sched, find));
}

static struct sk_job *take_from(struct sk_inbox *inbox)
{
    while (!sk_inbox_empty(inbox)) {
        struct sk_job *job = sk_inbox_take(inbox);
        if (job != NULL)
            return job;
        sk_pause();
    }
    return NULL;
}

struct sk_job *sk_victim_take_any(struct sk_sched *sched)
{
    struct sk_job *waiting = take_from(&sched->inbox);
    for (int node = 0; node < sched->nr_near && waiting == NULL; node++)
        waiting = take_from(&sched->near[node].inbox);
    if (waiting != NULL)
        return waiting;
    int n = sk_sched_nr_slots(sched);
    for (int slot = 0; slot < n; slot++) {
        struct sk_worker *worker = sk_sched_worker(sched, slot);
        bool lost = worker != NULL;
        while (lost) {
            struct sk_job *job = sk_deque_steal(&worker->deque, &lost);
            if (job != NULL)
                return job;
        }
    }
    return NULL;
}
