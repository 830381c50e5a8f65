/* The machine as flat arrays: the processing units that this process may use, each with the core,
 * caches, node and package it belongs to, in the order of the tree. Read with hwloc, then hwloc is
 * let go: everything after discovery is plain data, so tests can make any machine; only where a
 * page lies is asked of it again. */
#ifndef SK_NUMA_TOPO_H
#define SK_NUMA_TOPO_H

#include <stdbool.h>
#include <stddef.h>

/* One allowed processing unit. All but os and smt are dense numbers in tree order, 0 .. nr_x -
 * 1. */
struct sk_pu {
    int os;      /* the number the operating system knows it by */
    int core;    /* units of one core share it */
    int smt;     /* 0 for the first allowed unit of its core, then 1, ... */
    int cluster; /* shared L2; where there is none, one per core */
    int l3;      /* shared L3; where there is none, one per package or machine */
    int node;    /* the smallest NUMA node around it; -1 where it has none */
    int package;
    int kind;  /* efficiency rank: 0 the slowest kind of core; equal where unknown */
    int split; /* depth of the smallest part of the machine that holds this unit and the one before
                * it in tree order: 0 is the whole machine, deeper is nearer; 0 for the first unit.
                * These say the whole tree, also the levels that have no number above. */
};

struct sk_topo {
    struct sk_pu *pus; /* nr_pus of them, in tree order */
    int nr_pus, nr_cores, nr_clusters, nr_l3s, nr_nodes, nr_packages, nr_kinds;
    int *node_os;  /* [nr_nodes] the operating system's number of each node with allowed CPUs */
    int *distance; /* [nr_nodes * nr_nodes] SLIT-like, 10 is local; 20 between nodes if unknown */
    double quota;  /* cgroup CPU quota in CPUs, e.g. 1.5; 0: none, or not real */
    bool real;     /* false: a synthetic or recorded machine, where nothing can be pinned */
    void *hwloc;   /* of a real machine with several nodes, for sk_topo_node_of(); else NULL */
};

/* Discovers the machine: hwloc's view (HWLOC_SYNTHETIC and HWLOC_XMLFILE work), cut down to the
 * caller's affinity mask on a real machine. Binds no thread. 0 or a negative errno value; *topo is
 * zero then. */
int sk_topo_load(struct sk_topo *topo);
/* A machine described by an hwloc synthetic string or, where it begins with '/' or '.', read from
 * an XML file; never real, and its quota is 0. For tests and tools. */
int sk_topo_load_from(struct sk_topo *topo, const char *source);
void sk_topo_fini(struct sk_topo *topo);

/* The number of the node on which the page of an address is; -1 where that is unknown: with one
 * node there is no question, a page that nobody has touched is nowhere yet, and a node of memory
 * alone has no number here. Any thread. */
int sk_topo_node_of(const struct sk_topo *topo, const void *address);

/* How many workers a pool has by default: one a core, capped by max(1, floor(quota + 0.25)). */
int sk_topo_default_workers(const struct sk_topo *topo);

#endif
