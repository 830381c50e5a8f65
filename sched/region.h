/* A region: one parallel loop while it runs. Its units are cut into one block a seat; the caller
 * hands the region to idle workers, works itself, and returns when every unit was done, or the loop
 * was stopped, and nobody is in it any more. */
#ifndef SK_SCHED_REGION_H
#define SK_SCHED_REGION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "sched/park.h"
#include "sched/range.h"

struct sk_sched;
struct sk_worker;
struct sk_region;

enum sk_region_mode {
    SK_REGION_PACED, /* pieces of as many units as take a few microseconds */
    SK_REGION_UNITS, /* unit by unit */
    SK_REGION_BLOCKS /* each seat its whole block; no stealing */
};

/* What to do; the caller's, constant while the region runs. */
struct sk_region_work {
    /* Does units [first, end). false: no further piece shall begin. */
    bool (*run)(void *ctx, uint32_t first, uint32_t end);
    void *ctx;
    uint32_t nr_units; /* at most SK_RANGE_MAX */
    enum sk_region_mode mode;
};

/* Runs the work with the workers of sched; the calling thread takes part, as a worker of sched or
 * as a guest in the seat of one. Blocks until it is done. False, with nothing done, where a guest
 * comes after the shutdown. */
bool sk_region_run(struct sk_sched *sched, const struct sk_region_work *work);

/* Calls fn(ctx), which runs several regions, in one seat: so a shutdown comes before all of them or
 * after. False, with nothing done, as above. */
bool sk_region_sequence(struct sk_sched *sched, void (*fn)(void *ctx), void *ctx);

/* ---- for worker.c ---------------------------------------------------------------------------- */

/* Regions of one opener, the outermost first; kept for reuse until the scheduler goes, so that a
 * late look at one is always a look at a region. */
struct sk_region_chain {
    SK_ATOMIC(struct sk_region *) first;
    struct sk_region *open; /* the opener's: the innermost one in use */
};

void sk_region_chain_fini(struct sk_region_chain *chain);

/* A worker that found a region in its mail takes part in it. */
void sk_region_answer(struct sk_worker *worker);

/* A worker with nothing to do helps with any open region of `chain`. False if there was nothing. */
bool sk_region_help(struct sk_worker *worker, struct sk_region_chain *chain);

/* The same for loops that another worker has opened in a span, inside of `outer` or, where that is
 * NULL, of none. */
struct sk_split_span;
bool sk_region_help_inside(struct sk_worker *worker, struct sk_split_span *span,
                           struct sk_region *outer);

#endif
