/* What loops share: an index range cut into units for a region, and the first failure of a body. */
#ifndef SK_CORE_LOOP_H
#define SK_CORE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/lock.h"
#include "core/error.h"
#include "sched/region.h"
#include "skua/executor.h"
#include "skua/loop.h"

struct sk_loop {
    /* constant while it runs */
    size_t begin, end;
    size_t unit; /* indices in a unit; the last one may have fewer */
    uint32_t nr_units;
    enum sk_region_mode mode;
    skua_future *task; /* the caller's: bodies ask it whether to stop */
    /* the failure with the lowest index so far */
    struct sk_lock lock;
    bool failed;
    size_t failed_at;
    struct sk_failure failure;
};

/* Checks what all loops check. SKUA_OK, or an error whose words begin with `what`.
 * null_function: the name of a function that is NULL, or NULL. */
skua_status sk_loop_check(const skua_executor *ex, size_t begin, size_t end, const skua_loop *o,
                          const char *what, const char *null_function);

/* Cuts [begin, end) into units of `unit` indices or more, and clears the failure. */
void sk_loop_init(struct sk_loop *loop, size_t begin, size_t end, size_t unit,
                  skua_schedule schedule, bool unit_is_grain);

/* The first index of a unit; of nr_units: the end of the range. */
static inline size_t sk_loop_index(const struct sk_loop *loop, uint32_t unit)
{
    return unit >= loop->nr_units ? loop->end : loop->begin + (size_t)unit * loop->unit;
}

/* A body returned code != 0 for a piece that begins at `index`. Called right after it. */
void sk_loop_fail(struct sk_loop *loop, size_t index, int code);

/* Calls join(left, right, ctx) for a unit. False if it did not return: then the loop has failed. */
bool sk_loop_join(struct sk_loop *loop, uint32_t unit, skua_join *join, void *left,
                  const void *right, void *ctx);

/* Runs the units. SKUA_OK, SKUA_FAILED with the failure as the last error, or SKUA_SHUTDOWN. */
skua_status sk_loop_run(struct sk_loop *loop, skua_executor *ex,
                        bool (*run)(void *ctx, uint32_t first, uint32_t end), void *ctx);

/* Calls fn(ctx), which runs several loops: a shutdown comes before all of them or after. SKUA_OK,
 * or SKUA_SHUTDOWN with nothing done. */
skua_status sk_loop_sequence(skua_executor *ex, void (*fn)(void *ctx), void *ctx);

#endif
