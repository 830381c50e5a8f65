/* SKUA_DISPLAY: a table of what was found and decided. */
#ifndef SK_NUMA_DISPLAY_H
#define SK_NUMA_DISPLAY_H

#include "numa/place.h"
#include "numa/topo.h"

/* Sends to the log, line by line: the machine (packages, nodes, L3s, cores, units, quota, real or
 * not), how the number of workers came about, and a table worker - cpu - core - L3 - node - package
 * - kind - the CPUs it is pinned to. pool_name and reason may be NULL. */
void sk_display(const struct sk_topo *topo, const struct sk_place *places, int nr_workers,
                const char *pool_name, const char *reason);

#endif
