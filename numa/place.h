/* Placement: which processing unit each worker of a pool sits on. Pure functions of a topology. */
#ifndef SK_NUMA_PLACE_H
#define SK_NUMA_PLACE_H

#include <stdbool.h>

#include "numa/topo.h"
#include "skua/topology.h"

/* Where one worker sits. */
struct sk_place {
    int pu;      /* index into topo->pus: its unit, which names its core, caches and node */
    bool pinned; /* whether its thread is to be pinned to that core's units */
};

/* Places nr_workers >= 0 workers. AUTO and CLOSE: one a core in tree order, then the second threads
 * of cores, then round again; SPREAD: recursive halving, as far apart as the tree allows, and
 * second threads only when there are more workers than cores. Up to one a core, worker numbers
 * follow tree order in all. AUTO and NONE fill the fastest kind of a hybrid machine first when not
 * all cores are used. AUTO does not pin under a quota below the number of cores, nor with more
 * workers than units; nothing is pinned on a machine that is not real, or with NONE. */
void sk_place_workers(const struct sk_topo *topo, skua_bind bind, int nr_workers,
                      struct sk_place *places);

/* Pins the calling thread, and no other, to all allowed units of the place's core; does nothing
 * where the place is not to be pinned. 0 or a negative errno value. */
int sk_place_pin_self(const struct sk_topo *topo, const struct sk_place *place);

#endif
