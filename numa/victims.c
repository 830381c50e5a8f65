/* Victims: the order in which a worker looks at the others when it has run dry.
 *
 * The problem. Work stolen from near by finds its data in a shared cache, or at least in the same
 * memory; but workers that all begin with the same victim get into each other's way.
 *
 * The idea. Each worker gets a list of all others, tier by tier, and in a tier by distance; among
 * equals the list begins after the worker's own number and goes round, so that each begins with
 * another. Which of a tier to try, and how often, is the scheduler's business.
 *
 * Distance stands before the package: firmware may say that a node of the next package is as near
 * as the other node of one's own (Bulldozer), and some machines have a package per core (POWER7).
 * Only between equal distances does one's own package come first, which is all that there is to go
 * by where no distances are known.
 *
 * Each victim is given one number, its key, that puts all this in order; there are only a handful
 * of different keys in a machine, so the list is made by one pass over the workers for each,
 * without memory of its own. Rejected: qsort, which has no context argument in C11 and may
 * allocate. */
#include "numa/victims.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/assert.h"

/* A node that is not known is as far as any other. */
static int distance_of(const struct sk_topo *topo, int from, int to)
{
    if (from < 0 || to < 0)
        return from == to ? 10 : 20;
    return topo->distance[(size_t)from * (size_t)topo->nr_nodes + (size_t)to];
}

/* The smallest distance from a node to another that workers may sit on. */
static int nearest_distance(const struct sk_topo *topo, int node)
{
    int nearest = INT_MAX;
    for (int other = 0; other < topo->nr_nodes; other++) {
        if (other != node && distance_of(topo, node, other) < nearest)
            nearest = distance_of(topo, node, other);
    }
    return nearest;
}

/* Units without a node share one if they share a package. */
static bool same_node(const struct sk_pu *a, const struct sk_pu *b)
{
    return a->node == b->node && (a->node >= 0 || a->package == b->package);
}

static enum sk_tier tier_of(const struct sk_topo *topo, const struct sk_pu *thief,
                            const struct sk_pu *victim, int nearest)
{
    if (thief->core == victim->core)
        return SK_TIER_SMT;
    if (thief->cluster == victim->cluster)
        return SK_TIER_CLUSTER;
    if (thief->l3 == victim->l3)
        return SK_TIER_L3;
    if (same_node(thief, victim))
        return SK_TIER_NODE;
    return distance_of(topo, thief->node, victim->node) <= nearest ? SK_TIER_NEAR : SK_TIER_FAR;
}

enum sk_tier sk_victims_tier(const struct sk_topo *topo, const struct sk_place *thief,
                             const struct sk_place *victim)
{
    const struct sk_pu *pu = &topo->pus[thief->pu];
    return tier_of(topo, pu, &topo->pus[victim->pu], nearest_distance(topo, pu->node));
}

/* The tier, the distance, and whether it is another package, in this order of weight. */
static int64_t key_of(const struct sk_topo *topo, const struct sk_pu *thief,
                      const struct sk_pu *victim, int nearest)
{
    int64_t tier = tier_of(topo, thief, victim, nearest);
    int64_t distance = distance_of(topo, thief->node, victim->node);
    return (tier << 32) + distance * 2 + (thief->package != victim->package);
}

static enum sk_tier tier_of_key(int64_t key)
{
    return (enum sk_tier)(key >> 32);
}

void sk_victims_init(struct sk_victims *v, const struct sk_topo *topo,
                     const struct sk_place *places, int nr_workers, int me)
{
    const struct sk_pu *thief = &topo->pus[places[me].pu];
    int nearest = nearest_distance(topo, thief->node);
    v->nr = 0;
    for (int tier = 0; tier < SK_NR_TIERS; tier++)
        v->end[tier] = 0;

    int64_t key = -1; /* of the victims that are being listed; the first pass lists none */
    while (v->nr < nr_workers - 1) {
        int64_t next = INT64_MAX;
        for (int i = 1; i < nr_workers; i++) {
            int worker = (int)(((int64_t)me + i) % nr_workers);
            int64_t its = key_of(topo, thief, &topo->pus[places[worker].pu], nearest);
            if (its == key)
                v->worker[v->nr++] = worker;
            else if (its > key && its < next)
                next = its;
        }
        if (key >= 0)
            v->end[tier_of_key(key)] = v->nr;
        key = next;
    }
    for (int tier = 1; tier < SK_NR_TIERS; tier++)
        if (v->end[tier] < v->end[tier - 1])
            v->end[tier] = v->end[tier - 1];
    sk_assert(v->end[SK_NR_TIERS - 1] == nr_workers - 1);
}
