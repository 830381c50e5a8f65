/* Victims: whom a worker robs, nearest first. Pure functions over flat arrays, so that tests and a
 * simulator call the very code of the scheduler. */
#ifndef SK_NUMA_VICTIMS_H
#define SK_NUMA_VICTIMS_H

#include "numa/place.h"
#include "numa/topo.h"

/* What a thief and its victim share; the first that fits. */
enum sk_tier {
    SK_TIER_SMT,     /* the same core */
    SK_TIER_CLUSTER, /* a shared L2 */
    SK_TIER_L3,
    SK_TIER_NODE, /* the same node; of units without a node, the same package */
    SK_TIER_NEAR, /* another node at the smallest distance from the thief's */
    SK_TIER_FAR,  /* further */
    SK_NR_TIERS
};

/* One worker's victims: all others, nearest tier first; in a tier, in the order of distance, own
 * package before others, and then of worker numbers, beginning after the thief's own so that
 * thieves do not all start at one. */
struct sk_victims {
    int *worker;          /* [nr] worker numbers */
    int nr;               /* workers - 1 */
    int end[SK_NR_TIERS]; /* victims of tier t are worker[t ? end[t-1] : 0 .. end[t]-1] */
};

/* Tier of victim as seen from thief. */
enum sk_tier sk_victims_tier(const struct sk_topo *topo, const struct sk_place *thief,
                             const struct sk_place *victim);

/* Fills *v for worker `me`; v->worker has room for nr_workers - 1. */
void sk_victims_init(struct sk_victims *v, const struct sk_topo *topo,
                     const struct sk_place *places, int nr_workers, int me);

#endif
