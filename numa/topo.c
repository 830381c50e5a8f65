#define _GNU_SOURCE
/* Discovery: from hwloc's tree to flat arrays.
 *
 * The problem. A program may use the CPUs that its cgroup allows and its affinity mask names.
 * hwloc's tree follows the cgroup alone, and its levels cannot be trusted to be levels: under a
 * cgroup with an offline CPU the Core objects stand at two depths (counting them by type gives -1),
 * some machines have no Core objects, some no L3, some a package per core, some nodes without CPUs,
 * and some two nodes over the same CPUs.
 *
 * The idea. Only processing units are taken as given, since all of them stand at the bottom. Each
 * unit that is allowed is asked for its own core, cache, package and node by walking up from it;
 * the numbers of all those come from the order in which the units meet them. So a part of the
 * machine exists if an allowed unit is in it, and nothing is ever counted by type. What the walk
 * loses, the levels that have no number of their own (dies, groups of packages), is kept in one
 * integer per unit, sk_pu.split, from which sk_place_workers() halves the tree.
 *
 * A unit's node is the smallest that has it. So nodes of memory alone, which hwloc hangs on a
 * package or on the machine, and the second node over the same CPUs (MCDRAM, HBM) are nobody's
 * place.
 *
 * Rejected: keeping hwloc's tree beside the arrays (tests could not make a machine by hand, and
 * every use would meet the oddities above again); libnuma (no caches, no cores, aborts on odd
 * machines); hwloc's own restriction to the binding of the thread (it also drops the nodes of other
 * CPUs, and needs the x86 backend or binds the thread while it looks). */
#include "numa/topo.h"

#include <errno.h>
#include <hwloc.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "numa/quota.h"
#include "numa/screen.h"

/* What is needed while hwloc is open. */
struct reading {
    hwloc_topology_t hwloc;
    struct sk_topo *topo; /* what is being filled */
    hwloc_obj_t *units;   /* [topo->nr_pus] the object of each unit */
    hwloc_obj_t *parts;   /* [topo->nr_pus] scratch of number_parts() */
};

/* The CPUs of a thread's affinity mask; a NULL set stands for all. */
struct affinity {
    cpu_set_t *set;
    size_t size_bytes;
};

/* The kernel refuses a mask shorter than its own, whose length it does not tell: ask with longer
 * and longer ones. */
static int affinity_read(struct affinity *affinity)
{
    for (size_t nr_cpus = 1024; nr_cpus <= 1 << 20; nr_cpus *= 2) {
        size_t size = CPU_ALLOC_SIZE(nr_cpus);
        cpu_set_t *set = sk_calloc(1, size);
        if (set == NULL)
            return -ENOMEM;
        if (sched_getaffinity(0, size, set) == 0) {
            affinity->set = set;
            affinity->size_bytes = size;
            return 0;
        }
        int error = errno;
        sk_free(set);
        if (error != EINVAL)
            return -error;
    }
    return -EINVAL;
}

static bool affinity_has(const struct affinity *affinity, unsigned cpu)
{
    return affinity->set == NULL || CPU_ISSET_S(cpu, affinity->size_bytes, affinity->set);
}

/* hwloc's errno, which it does not always set. */
static int hwloc_error(void)
{
    return errno > 0 ? -errno : -EINVAL;
}

static int set_source(hwloc_topology_t hwloc, const char *source)
{
    if (source[0] != '/' && source[0] != '.')
        return hwloc_topology_set_synthetic(hwloc, source) == 0 ? 0 : hwloc_error();

    char *xml;
    size_t size;
    int error = sk_screen_read(source, &xml, &size);
    if (error == 0 && hwloc_topology_set_xmlbuffer(hwloc, xml, (int)size) != 0)
        error = hwloc_error();
    sk_free(xml); /* hwloc has parsed it */
    return error;
}

/* Opens hwloc on a source, or on what the environment and the system say where it is NULL. Its x86
 * backend binds the calling thread to each CPU in turn, so it is kept out: Linux says the same. */
static int hwloc_open(hwloc_topology_t *out, const char *source)
{
    hwloc_topology_t hwloc = NULL;
    errno = 0;
    if (hwloc_topology_init(&hwloc) != 0)
        return -ENOMEM;

    int error = source == NULL ? 0 : set_source(hwloc, source);
    if (error != 0)
        goto fail;
    if (hwloc_topology_set_flags(hwloc, HWLOC_TOPOLOGY_FLAG_DONT_CHANGE_BINDING |
                                            HWLOC_TOPOLOGY_FLAG_NO_MEMATTRS) != 0 ||
        hwloc_topology_set_io_types_filter(hwloc, HWLOC_TYPE_FILTER_KEEP_NONE) != 0 ||
        hwloc_topology_load(hwloc) != 0) {
        error = hwloc_error();
        goto fail;
    }
    *out = hwloc;
    return 0;

fail:
    hwloc_topology_destroy(hwloc);
    return error;
}

/* Finds the allowed units, and makes room for what is said of each. */
static int list_units(struct reading *r, const struct affinity *affinity)
{
    hwloc_obj_t pu = NULL;
    int nr = 0;
    while ((pu = hwloc_get_next_obj_by_type(r->hwloc, HWLOC_OBJ_PU, pu)) != NULL)
        nr += affinity_has(affinity, pu->os_index);
    if (nr == 0)
        return -ENODEV;

    r->topo->pus = sk_calloc((size_t)nr, sizeof *r->topo->pus);
    r->units = sk_calloc((size_t)nr, sizeof(hwloc_obj_t));
    r->parts = sk_calloc((size_t)nr, sizeof(hwloc_obj_t));
    if (r->topo->pus == NULL || r->units == NULL || r->parts == NULL)
        return -ENOMEM;

    while ((pu = hwloc_get_next_obj_by_type(r->hwloc, HWLOC_OBJ_PU, pu)) != NULL) {
        if (!affinity_has(affinity, pu->os_index))
            continue;
        int i = r->topo->nr_pus++;
        hwloc_obj_t before = i > 0 ? r->units[i - 1] : pu;
        r->units[i] = pu;
        r->topo->pus[i].os = (int)pu->os_index;
        r->topo->pus[i].split =
            i > 0 ? hwloc_get_common_ancestor_obj(r->hwloc, before, pu)->depth : 0;
    }
    return 0;
}

/* Each of these finds the part of the machine that a unit belongs to. Two units are in one part if
 * they get the same object. */
typedef hwloc_obj_t part_fn(hwloc_topology_t hwloc, hwloc_obj_t pu);

static hwloc_obj_t core_of(hwloc_topology_t hwloc, hwloc_obj_t pu)
{
    hwloc_obj_t core = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_CORE, pu);
    return core != NULL ? core : pu;
}

static hwloc_obj_t cluster_of(hwloc_topology_t hwloc, hwloc_obj_t pu)
{
    hwloc_obj_t core = core_of(hwloc, pu);
    hwloc_obj_t l2 = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_L2CACHE, core);
    return l2 != NULL && !hwloc_bitmap_isequal(l2->cpuset, core->cpuset) ? l2 : core;
}

static hwloc_obj_t package_of(hwloc_topology_t hwloc, hwloc_obj_t pu)
{
    hwloc_obj_t package = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_PACKAGE, pu);
    return package != NULL ? package : hwloc_get_root_obj(hwloc);
}

static hwloc_obj_t l3_of(hwloc_topology_t hwloc, hwloc_obj_t pu)
{
    hwloc_obj_t l3 = hwloc_get_ancestor_obj_by_type(hwloc, HWLOC_OBJ_L3CACHE, pu);
    return l3 != NULL ? l3 : package_of(hwloc, pu);
}

static hwloc_obj_t node_of(hwloc_topology_t hwloc, hwloc_obj_t pu)
{
    hwloc_obj_t best = NULL, node = NULL;
    int best_size = INT_MAX;
    while ((node = hwloc_get_next_obj_by_type(hwloc, HWLOC_OBJ_NUMANODE, node)) != NULL) {
        if (!hwloc_bitmap_isset(node->cpuset, pu->os_index))
            continue;
        int size = hwloc_bitmap_weight(node->cpuset);
        if (size < best_size || (size == best_size && node->os_index < best->os_index)) {
            best = node;
            best_size = size;
        }
    }
    return best;
}

/* Numbers one sort of part in the order in which the units meet them, stores each unit's number in
 * the named field of its sk_pu, -1 where it has none, and returns how many there are. The parts of
 * neighbours are mostly the same, so the search backwards is short. */
static int number_parts(struct reading *r, part_fn *part_of, size_t field_offset)
{
    int nr_parts = 0;
    for (int i = 0; i < r->topo->nr_pus; i++) {
        hwloc_obj_t part = part_of(r->hwloc, r->units[i]);
        int same = i - 1;
        while (same >= 0 && r->parts[same] != part)
            same--;
        r->parts[i] = part;

        char *pus = (char *)r->topo->pus;
        int *field = (int *)(void *)(pus + (size_t)i * sizeof(struct sk_pu) + field_offset);
        if (part == NULL)
            *field = -1;
        else if (same < 0)
            *field = nr_parts++;
        else
            *field = *(int *)(void *)(pus + (size_t)same * sizeof(struct sk_pu) + field_offset);
    }
    return nr_parts;
}

static void number_threads(struct sk_topo *topo)
{
    for (int i = 1; i < topo->nr_pus; i++)
        if (topo->pus[i].core == topo->pus[i - 1].core)
            topo->pus[i].smt = topo->pus[i - 1].smt + 1;
}

/* The index of a node by its operating system's number; -1 if it is no place to run. */
static int index_of_os(const struct sk_topo *topo, int os)
{
    int i = topo->nr_nodes - 1;
    while (i >= 0 && topo->node_os[i] != os)
        i--;
    return i;
}

static int node_index(const struct sk_topo *topo, hwloc_obj_t node)
{
    return node != NULL ? index_of_os(topo, (int)node->os_index) : -1;
}

/* Distances: 10 and 20, over which the latencies are written that the firmware tells. */
static int read_nodes(struct reading *r)
{
    struct sk_topo *topo = r->topo;
    size_t nr = (size_t)topo->nr_nodes;
    if (nr == 0)
        return 0;
    topo->node_os = sk_calloc(nr, sizeof(int));
    topo->distance = sk_calloc(nr * nr, sizeof(int));
    if (topo->node_os == NULL || topo->distance == NULL)
        return -ENOMEM;

    for (int i = 0; i < topo->nr_pus; i++) { /* the last parts that were numbered are the nodes */
        if (topo->pus[i].node >= 0)
            topo->node_os[topo->pus[i].node] = (int)r->parts[i]->os_index;
    }
    for (size_t i = 0; i < nr * nr; i++)
        topo->distance[i] = i / nr == i % nr ? 10 : 20;

    struct hwloc_distances_s *latency = NULL;
    unsigned nr_found = 1;
    if (hwloc_distances_get_by_type(r->hwloc, HWLOC_OBJ_NUMANODE, &nr_found, &latency,
                                    HWLOC_DISTANCES_KIND_MEANS_LATENCY, 0) != 0 ||
        nr_found == 0)
        return 0;
    for (unsigned i = 0; i < latency->nbobjs; i++) {
        for (unsigned j = 0; j < latency->nbobjs; j++) {
            int a = node_index(topo, latency->objs[i]), b = node_index(topo, latency->objs[j]);
            uint64_t value = latency->values[i * latency->nbobjs + j];
            if (a >= 0 && b >= 0)
                topo->distance[(size_t)a * nr + (size_t)b] = value < INT_MAX ? (int)value : INT_MAX;
        }
    }
    hwloc_distances_release(r->hwloc, latency);
    return 0;
}

/* What hwloc knows of a kind of core under a name; NULL if nothing. */
static const char *kind_info(hwloc_topology_t hwloc, int kind, const char *name)
{
    unsigned nr = 0;
    struct hwloc_info_s *infos = NULL;
    if (hwloc_cpukinds_get_info(hwloc, (unsigned)kind, NULL, NULL, &nr, &infos, 0) != 0)
        return NULL;
    for (unsigned i = 0; i < nr; i++)
        if (strcmp(infos[i].name, name) == 0)
            return infos[i].value;
    return NULL;
}

/* Whether two of hwloc's kinds are one to a scheduler. Firmware gives each core of one design its
 * own capacity or turbo frequency, some per cent apart (718 and 731, 997 to 1024 on a GB10), while
 * designs differ by a quarter and more (731 to 997; 3.9 to 5.0 GHz on a Raptor Lake). */
static bool kinds_alike(hwloc_topology_t hwloc, int a, int b)
{
    static const char *const measures[] = { "LinuxCapacity", "FrequencyMaxMHz",
                                            "FrequencyBaseMHz" };
    const char *type_a = kind_info(hwloc, a, "CoreType"), *type_b = kind_info(hwloc, b, "CoreType");
    if (type_a != NULL && type_b != NULL && strcmp(type_a, type_b) != 0)
        return false;
    for (size_t i = 0; i < sizeof measures / sizeof *measures; i++) {
        const char *text_a = kind_info(hwloc, a, measures[i]);
        const char *text_b = kind_info(hwloc, b, measures[i]);
        if (text_a == NULL || text_b == NULL)
            continue;
        double x = strtod(text_a, NULL), y = strtod(text_b, NULL);
        return x <= y * 1.1 && y <= x * 1.1;
    }
    return false;
}

/* Takes the ranks out that no allowed unit has. */
static void pack_kinds(struct sk_topo *topo, int nr_ranks)
{
    topo->nr_kinds = 0;
    for (int rank = 0; rank < nr_ranks; rank++) {
        bool used = false;
        for (int i = 0; i < topo->nr_pus; i++) {
            if (topo->pus[i].kind != rank)
                continue;
            topo->pus[i].kind = topo->nr_kinds; /* not above rank, so not met again */
            used = true;
        }
        topo->nr_kinds += used;
    }
}

/* hwloc lists the kinds from slow to fast, or says -1 for the efficiency of all of them. A kind is
 * compared with the first of its rank, so that a ladder of small steps is not one rank. */
static int read_kinds(struct reading *r)
{
    r->topo->nr_kinds = 1;
    int nr = hwloc_cpukinds_get_nr(r->hwloc, 0), efficiency = -1;
    if (nr <= 1 || hwloc_cpukinds_get_info(r->hwloc, 0, NULL, &efficiency, NULL, NULL, 0) != 0 ||
        efficiency < 0)
        return 0;
    int *rank = sk_calloc((size_t)nr, sizeof(int));
    if (rank == NULL)
        return -ENOMEM;

    for (int kind = 1, first = 0; kind < nr; kind++) {
        rank[kind] = rank[kind - 1];
        if (!kinds_alike(r->hwloc, first, kind)) {
            rank[kind]++;
            first = kind;
        }
    }
    for (int i = 0; i < r->topo->nr_pus; i++) {
        int kind = hwloc_cpukinds_get_by_cpuset(r->hwloc, r->units[i]->cpuset, 0);
        r->topo->pus[i].kind = kind >= 0 && kind < nr ? rank[kind] : 0;
    }
    pack_kinds(r->topo, rank[nr - 1] + 1);
    sk_free(rank);
    return 0;
}

static int read_machine(struct sk_topo *topo, hwloc_topology_t hwloc,
                        const struct affinity *affinity)
{
    struct reading r = { .hwloc = hwloc, .topo = topo };
    int error = list_units(&r, affinity);
    if (error == 0) {
        topo->nr_cores = number_parts(&r, core_of, offsetof(struct sk_pu, core));
        topo->nr_clusters = number_parts(&r, cluster_of, offsetof(struct sk_pu, cluster));
        topo->nr_l3s = number_parts(&r, l3_of, offsetof(struct sk_pu, l3));
        topo->nr_packages = number_parts(&r, package_of, offsetof(struct sk_pu, package));
        topo->nr_nodes = number_parts(&r, node_of, offsetof(struct sk_pu, node));
        number_threads(topo);
        error = read_nodes(&r);
    }
    if (error == 0)
        error = read_kinds(&r);
    sk_free(r.units);
    sk_free(r.parts);
    return error;
}

static int load(struct sk_topo *topo, const char *source)
{
    *topo = (struct sk_topo){ 0 };
    hwloc_topology_t hwloc = NULL;
    int error = hwloc_open(&hwloc, source);
    if (error != 0)
        return error;

    struct affinity affinity = { 0 };
    topo->real = source == NULL && hwloc_topology_is_thissystem(hwloc);
    if (topo->real)
        error = affinity_read(&affinity);
    if (error == 0)
        error = read_machine(topo, hwloc, &affinity);
    sk_free(affinity.set);
    if (error == 0 && topo->real && topo->nr_nodes > 1)
        topo->hwloc = hwloc;
    else
        hwloc_topology_destroy(hwloc);
    if (error != 0)
        sk_topo_fini(topo);
    else if (topo->real)
        topo->quota = sk_quota_read();
    return error;
}

int sk_topo_load(struct sk_topo *topo)
{
    return load(topo, NULL);
}

int sk_topo_load_from(struct sk_topo *topo, const char *source)
{
    return load(topo, source);
}

void sk_topo_fini(struct sk_topo *topo)
{
    if (topo == NULL)
        return;
    sk_free(topo->pus);
    sk_free(topo->node_os);
    sk_free(topo->distance);
    if (topo->hwloc != NULL)
        hwloc_topology_destroy(topo->hwloc);
    *topo = (struct sk_topo){ 0 };
}

int sk_topo_node_of(const struct sk_topo *topo, const void *address)
{
    int os = -1;
    if (topo->hwloc == NULL)
        return -1;
    hwloc_bitmap_t nodes = hwloc_bitmap_alloc();
    if (nodes == NULL)
        return -1;
    if (hwloc_get_area_memlocation(topo->hwloc, address, 1, nodes, HWLOC_MEMBIND_BYNODESET) == 0)
        os = hwloc_bitmap_first(nodes);
    hwloc_bitmap_free(nodes);
    return os < 0 ? -1 : index_of_os(topo, os);
}

int sk_topo_default_workers(const struct sk_topo *topo)
{
    int nr = topo->nr_cores > 1 ? topo->nr_cores : 1;
    if (topo->quota <= 0 || topo->quota + 0.25 >= nr)
        return nr;
    int by_quota = (int)(topo->quota + 0.25); /* floor, since it is positive */
    return by_quota > 1 ? by_quota : 1;
}
