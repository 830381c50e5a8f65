#define _GNU_SOURCE
/* Placement: from a number of workers to units.
 *
 * The problem. Workers that share data want to sit close, workers that share a memory bus want to
 * sit apart, and neither wants the second thread of a busy core while another core is free.
 * Machines are lopsided (cores offline, packages of different size), so "worker number modulo
 * nodes" is wrong.
 *
 * The idea. All of it works on units in tree order. CLOSE walks the list of first threads, then
 * that of second threads, and so on. SPREAD cuts a range of units at its outermost seams (the units
 * whose split is the smallest in the range), gives each piece a share of the workers by its number
 * of units, rounded up for the earlier piece, and does the same within each piece: recursive
 * halving, along the machine's own seams. Both number the workers in tree order, so that neighbours
 * in number, whose blocks of a loop are neighbours too, are neighbours in the machine.
 *
 * AUTO is CLOSE but for hybrid machines: there the workers go to the fastest cores, and only what
 * is left over to the next kind.
 *
 * Rejected: hwloc_distrib(), which does not know that a core's second thread is worth less than
 * another core, and needs hwloc's tree. Scattering by rank modulo nodes, which puts neighbouring
 * blocks on different nodes and so lets their shared pages be far for one of two. */
#include "numa/place.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>

#include "base/assert.h"
#include "base/mem.h"

/* A placement under way. */
struct filling {
    const struct sk_topo *topo;
    struct sk_place *places;
    int nr; /* places filled so far */
};

static void put(struct filling *f, int pu)
{
    f->places[f->nr++].pu = pu;
}

/* One a core in tree order, then the second threads, ...; round again until all have a place. */
static void place_close(struct filling *f, int nr_workers)
{
    for (int smt = 0; f->nr < nr_workers; smt++) {
        int before = f->nr;
        for (int i = 0; i < f->topo->nr_pus && f->nr < nr_workers; i++)
            if (f->topo->pus[i].smt == smt)
                put(f, i);
        if (f->nr == before)
            smt = -1; /* no core has so many threads: begin again */
    }
}

static int count_kind_above(const struct sk_topo *topo, int kind)
{
    int nr = 0;
    for (int i = 0; i < topo->nr_pus; i++)
        nr += topo->pus[i].smt == 0 && topo->pus[i].kind > kind;
    return nr;
}

/* For fewer workers than cores: all cores above some kind, and the first ones of that kind. */
static void place_fastest(struct filling *f, int nr_workers)
{
    int kind = f->topo->nr_kinds - 1;
    while (kind > 0 && count_kind_above(f->topo, kind - 1) < nr_workers)
        kind--;
    int nr_of_kind = nr_workers - count_kind_above(f->topo, kind);
    for (int i = 0; i < f->topo->nr_pus && f->nr < nr_workers; i++) {
        const struct sk_pu *pu = &f->topo->pus[i];
        if (pu->smt == 0 && (pu->kind > kind || (pu->kind == kind && nr_of_kind-- > 0)))
            put(f, i);
    }
}

/* How many units of a range a worker may get: first threads alone, or all. */
static int count_seats(const struct sk_topo *topo, int begin, int end, bool firsts)
{
    int nr = 0;
    for (int i = begin; i < end; i++)
        nr += !firsts || topo->pus[i].smt == 0;
    return nr;
}

/* The first unit after begin at which the range is cut at this depth, or end. */
static int next_seam(const struct sk_topo *topo, int begin, int end, int depth)
{
    int i = begin + 1;
    while (i < end && topo->pus[i].split > depth)
        i++;
    return i;
}

/* Spreads nr workers over the units of a range, which has at least as many seats. Each recursion
 * cuts the range at one seam or more, so it is no deeper than the tree. */
static void spread(struct filling *f, int begin, int end, bool firsts, int nr)
{
    const struct sk_topo *topo = f->topo;
    int seats = count_seats(topo, begin, end, firsts);
    if (nr >= seats) {
        for (int i = begin; i < end && nr > 0; i++)
            if (!firsts || topo->pus[i].smt == 0)
                put(f, i);
        return;
    }

    int depth = INT_MAX;
    for (int i = begin + 1; i < end; i++)
        depth = topo->pus[i].split < depth ? topo->pus[i].split : depth;
    while (begin < end && nr > 0) {
        int piece_end = next_seam(topo, begin, end, depth);
        int piece_seats = count_seats(topo, begin, piece_end, firsts);
        if (piece_seats > 0) {
            long long product = (long long)nr * piece_seats;
            int share = (int)((product + seats - 1) / seats); /* never more than piece_seats */
            spread(f, begin, piece_end, firsts, share);
            nr -= share;
            seats -= piece_seats;
        }
        begin = piece_end;
    }
}

/* More workers than units go round: worker i sits where worker i - nr_pus does. */
static void place_spread(struct filling *f, int nr_workers)
{
    int nr_pus = f->topo->nr_pus;
    spread(f, 0, nr_pus, nr_workers <= f->topo->nr_cores,
           nr_workers < nr_pus ? nr_workers : nr_pus);
    while (f->nr < nr_workers)
        put(f, f->places[f->nr - nr_pus].pu);
}

static bool is_pinned(const struct sk_topo *topo, skua_bind bind, int nr_workers)
{
    if (!topo->real || bind == SKUA_BIND_NONE)
        return false;
    if (bind != SKUA_BIND_AUTO)
        return true;
    /* A throttled group gets its share of time on whichever CPUs are free: a worker that may move
     * finds one. Of two workers on one unit, one may find another that is idle. */
    bool throttled = topo->quota > 0 && topo->quota < topo->nr_cores;
    return !throttled && nr_workers <= topo->nr_pus;
}

void sk_place_workers(const struct sk_topo *topo, skua_bind bind, int nr_workers,
                      struct sk_place *places)
{
    sk_assert(topo->nr_pus > 0);
    struct filling f = { .topo = topo, .places = places };
    bool chosen = bind == SKUA_BIND_AUTO || bind == SKUA_BIND_NONE;
    if (bind == SKUA_BIND_SPREAD)
        place_spread(&f, nr_workers);
    else if (chosen && topo->nr_kinds > 1 && nr_workers < topo->nr_cores)
        place_fastest(&f, nr_workers);
    else
        place_close(&f, nr_workers);

    bool pinned = is_pinned(topo, bind, nr_workers);
    for (int i = 0; i < nr_workers; i++)
        places[i].pinned = pinned;
}

int sk_place_pin_self(const struct sk_topo *topo, const struct sk_place *place)
{
    if (!topo->real || !place->pinned)
        return 0;
    int core = topo->pus[place->pu].core, last = 0;
    for (int i = 0; i < topo->nr_pus; i++)
        if (topo->pus[i].core == core && topo->pus[i].os > last)
            last = topo->pus[i].os;

    size_t size = CPU_ALLOC_SIZE((size_t)last + 1);
    cpu_set_t *set = sk_calloc(1, size);
    if (set == NULL)
        return -ENOMEM;
    for (int i = 0; i < topo->nr_pus; i++)
        if (topo->pus[i].core == core)
            CPU_SET_S((size_t)topo->pus[i].os, size, set);
    int error = sched_setaffinity(0, size, set) == 0 ? 0 : -errno;
    sk_free(set);
    return error;
}
