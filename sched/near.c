/* The problem: a task shall start on the node where its data lie, as long as that costs nobody
 * anything. Jobs bound to a node alone would wait for its busy workers while others sleep.
 *
 * The idea: an inbox a node, which is a preference in time. Whoever puts a job there wakes a
 * sleeping worker of the node if there is one (sk_idle_notify_near), and its workers look there
 * first. Others take from it only in their last look before they sleep (sched/victim.c), 400 us
 * after they ran out of other work: time enough for a worker of the node to wake up, which takes
 * 40. Deques of workers were rejected as the place: only their owners may push.
 *
 * On a machine with one node, or workers on one node alone, there are no such inboxes. */
#include "sched/near.h"

#include <errno.h>

#include "base/mem.h"
#include "sched/sched.h"

static int node_of(const struct sk_sched *sched, int seat)
{
    return sched->topo.pus[sched->places[seat].pu].node;
}

/* Nodes on which workers sit. */
static int count_nodes(const struct sk_sched *sched)
{
    int nr = 0;
    for (int node = 0; node < sched->topo.nr_nodes; node++) {
        int seat = 0;
        while (seat < sched->nr_workers && node_of(sched, seat) != node)
            seat++;
        nr += seat < sched->nr_workers;
    }
    return nr;
}

int sk_near_init(struct sk_sched *sched)
{
    if (count_nodes(sched) < 2)
        return 0;
    size_t nr_nodes = (size_t)sched->topo.nr_nodes;
    size_t nr_words = ((size_t)sched->nr_workers + 63) / 64;
    sched->near = sk_alloc_lines(nr_nodes * sizeof *sched->near);
    sched->near_of_seat = sk_calloc((size_t)sched->nr_workers, sizeof(struct sk_near *));
    uint64_t *bits = sk_calloc(nr_nodes * nr_words, sizeof *bits);
    if (sched->near == NULL || sched->near_of_seat == NULL || bits == NULL) {
        sk_free(bits);
        sk_near_fini(sched);
        return -ENOMEM;
    }
    for (size_t node = 0; node < nr_nodes; node++) {
        sk_inbox_init(&sched->near[node].inbox);
        sched->near[node].seats = bits + node * nr_words;
    }
    for (int seat = 0; seat < sched->nr_workers; seat++) {
        int node = node_of(sched, seat);
        if (node < 0)
            continue;
        struct sk_near *near = &sched->near[node];
        near->nr_workers++;
        near->seats[seat / 64] |= UINT64_C(1) << (seat % 64);
        sched->near_of_seat[seat] = near;
    }
    sched->nr_near = sched->topo.nr_nodes;
    return 0;
}

void sk_near_fini(struct sk_sched *sched)
{
    if (sched->near != NULL)
        sk_free(sched->near[0].seats); /* those of all nodes */
    sk_free(sched->near);
    sk_free((void *)sched->near_of_seat);
    sched->near = NULL;
    sched->near_of_seat = NULL;
    sched->nr_near = 0;
}
