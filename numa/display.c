/* SKUA_DISPLAY's table. A person reads it to see why a program runs where it does, so it shows the
 * decisions with what led to them, and the numbers that other tools use: the operating system's for
 * CPUs and nodes; skua's own, in the order of the tree, for cores, L3s, packages and kinds. One
 * call of sk_log() a line, since a line is what a log function gets. */
#include "numa/display.h"

#include <stdio.h>

#include "base/log.h"

/* Room for the CPUs of a core and a few words; what does not fit is cut. */
enum {
    TEXT_BYTES = 64
};

static const char *plural(int n)
{
    return n == 1 ? "" : "s";
}

static void show_machine(const struct sk_topo *t)
{
    char quota[TEXT_BYTES] = "no CPU quota";
    if (t->quota > 0)
        snprintf(quota, sizeof quota, "a quota of %g CPUs", t->quota);
    sk_log(
        SKUA_LOG_INFO,
        "skua: machine: %d package%s, %d node%s, %d L3%s, %d core%s, %d unit%s, %d kind%s; %s; %s",
        t->nr_packages, plural(t->nr_packages), t->nr_nodes, plural(t->nr_nodes), t->nr_l3s,
        plural(t->nr_l3s), t->nr_cores, plural(t->nr_cores), t->nr_pus, plural(t->nr_pus),
        t->nr_kinds, plural(t->nr_kinds), quota, t->real ? "real" : "not real");
}

/* The CPUs that a worker is pinned to: "3,19", or "-". */
static void list_cpus(const struct sk_topo *topo, const struct sk_place *place,
                      char text[TEXT_BYTES])
{
    snprintf(text, TEXT_BYTES, "-");
    int length = 0;
    for (int i = 0; place->pinned && i < topo->nr_pus && length < TEXT_BYTES; i++) {
        if (topo->pus[i].core == topo->pus[place->pu].core)
            length += snprintf(text + length, (size_t)(TEXT_BYTES - length), "%s%d",
                               length > 0 ? "," : "", topo->pus[i].os);
    }
}

static void show_worker(const struct sk_topo *topo, const struct sk_place *place, int worker)
{
    const struct sk_pu *pu = &topo->pus[place->pu];
    char node[TEXT_BYTES] = "-", cpus[TEXT_BYTES];
    if (pu->node >= 0)
        snprintf(node, sizeof node, "%d", topo->node_os[pu->node]);
    list_cpus(topo, place, cpus);
    sk_log(SKUA_LOG_INFO, "skua: %6d %5d %5d %4d %5s %8d %5d  %s", worker, pu->os, pu->core, pu->l3,
           node, pu->package, pu->kind, cpus);
}

void sk_display(const struct sk_topo *topo, const struct sk_place *places, int nr_workers,
                const char *pool_name, const char *reason)
{
    show_machine(topo);
    sk_log(SKUA_LOG_INFO, "skua: pool %s: %d worker%s%s%s", pool_name != NULL ? pool_name : "-",
           nr_workers, plural(nr_workers), reason != NULL ? ": " : "",
           reason != NULL ? reason : "");
    sk_log(SKUA_LOG_INFO, "skua: %6s %5s %5s %4s %5s %8s %5s  %s", "worker", "cpu", "core", "L3",
           "node", "package", "kind", "pinned to");
    for (int i = 0; i < nr_workers; i++)
        show_worker(topo, &places[i], i);
}
