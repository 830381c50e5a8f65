/* A worker process may run threads of its own, in a library that its task calls or in a
 * skua_default() there. So with fewer workers than cores the cores are dealt out: worker i of n
 * gets the i-th of n stretches of them in tree order, which are as near to each other as the tree
 * allows. With SKUA_BIND_CLOSE, and where there are as many workers as cores or more, each has one
 * core. Whether there is pinning at all is numa/place.c's to say: not under a quota, not with
 * SKUA_BIND_NONE. */
#define _GNU_SOURCE
#include "process/shares.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "base/env.h"
#include "base/log.h"
#include "base/mem.h"
#include "numa/place.h"
#include "numa/topo.h"

static cpu_set_t *set_of(const struct sk_shares *shares, int seat)
{
    return (cpu_set_t *)(void *)(shares->sets + (size_t)seat * shares->size);
}

/* The share of a seat: cores [first, end). */
static void fill(struct sk_shares *shares, const struct sk_topo *topo, int seat, int first, int end)
{
    for (int i = 0; i < topo->nr_pus; i++) {
        const struct sk_pu *pu = &topo->pus[i];
        if (pu->core >= first && pu->core < end)
            CPU_SET_S((size_t)pu->os, shares->size, set_of(shares, seat));
    }
}

static int deal(struct sk_shares *shares, const struct sk_topo *topo, skua_bind bind,
                const struct sk_place *places)
{
    int last = 0, n = shares->nr_workers;
    for (int i = 0; i < topo->nr_pus; i++)
        last = topo->pus[i].os > last ? topo->pus[i].os : last;
    shares->size = CPU_ALLOC_SIZE((size_t)last + 1);
    shares->sets = sk_calloc((size_t)n, shares->size);
    if (shares->sets == NULL)
        return -ENOMEM;
    bool one_each = n >= topo->nr_cores || bind == SKUA_BIND_CLOSE;
    for (int seat = 0; seat < n; seat++) {
        long cores = topo->nr_cores;
        int core = topo->pus[places[seat].pu].core;
        int first = one_each ? core : (int)(seat * cores / n);
        int end = one_each ? core + 1 : (int)((seat + 1) * cores / n);
        fill(shares, topo, seat, first, end);
    }
    return 0;
}

int sk_shares_init(struct sk_shares *shares, skua_bind bind, int nr_workers)
{
    struct sk_topo topo;
    *shares = (struct sk_shares){ 0 };
    int error = sk_topo_load(&topo);
    if (error != 0)
        return error;
    long asked = nr_workers;
    if (asked == 0 && !sk_env_int("SKUA_NUM_THREADS", 1, SK_SHARES_WORKERS, &asked))
        asked = sk_topo_default_workers(&topo);
    shares->nr_workers = (int)asked;
    shares->threads = topo.nr_cores / shares->nr_workers;
    if (shares->threads < 1)
        shares->threads = 1;
    struct sk_place *places = sk_calloc((size_t)shares->nr_workers, sizeof *places);
    if (places == NULL)
        error = -ENOMEM;
    else
        sk_place_workers(&topo, bind, shares->nr_workers, places);
    if (error == 0 && topo.real && places[0].pinned)
        error = deal(shares, &topo, bind, places);
    sk_free(places);
    sk_topo_fini(&topo);
    return error;
}

void sk_shares_fini(struct sk_shares *shares)
{
    sk_free(shares->sets);
    *shares = (struct sk_shares){ 0 };
}

static void list_processors(const struct sk_shares *shares, int seat, char *text, size_t size)
{
    size_t length = 0;
    snprintf(text, size, "any");
    for (size_t cpu = 0; shares->sets != NULL && cpu < 8 * shares->size && length < size; cpu++) {
        if (CPU_ISSET_S(cpu, shares->size, set_of(shares, seat)))
            length +=
                (size_t)snprintf(text + length, size - length, "%s%zu", length > 0 ? "," : "", cpu);
    }
}

void sk_shares_display(const struct sk_shares *shares, const char *pool_name)
{
    char processors[400];
    sk_log(SKUA_LOG_INFO, "skua: pool %s: %d worker process%s and a spare, %d core%s each",
           pool_name, shares->nr_workers, shares->nr_workers == 1 ? "" : "es", shares->threads,
           shares->threads == 1 ? "" : "s");
    for (int seat = 0; seat < shares->nr_workers; seat++) {
        list_processors(shares, seat, processors, sizeof processors);
        sk_log(SKUA_LOG_INFO, "skua: worker process %d: processors %s", seat, processors);
    }
}

void sk_shares_take(const struct sk_shares *shares, int seat, pid_t pid)
{
    if (shares->sets != NULL && seat >= 0)
        sched_setaffinity(pid, shares->size, set_of(shares, seat));
}
