/** @file map.h
 * Map: out[i] = fn(in[i]), in order, as tasks.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * static int root(void *arg, void *result)
 * {
 *     double x = *(double *)arg;
 *     if (x < 0)
 *         return skua_fail(1, "%g is negative", x);
 *     *(double *)result = x / 2;
 *     return 0;
 * }
 *
 * int main(void)
 * {
 *     double in[] = { 1, 2, 3 }, out[3];
 *     if (skua_map(skua_default(), root, in, sizeof *in, out, sizeof *out, 3, NULL, 60) != SKUA_OK)
 *         fprintf(stderr, "%s\n", skua_last_error()->message);
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_MAP_H
#define SKUA_MAP_H

#include <stddef.h>

#include "skua/error.h"
#include "skua/executor.h"
#include "skua/export.h"
#include "skua/task.h"

SKUA_BEGIN_DECLS

/** How to map. Zero fields, or NULL for the struct, mean the usual. */
typedef struct skua_map_options {
    size_t chunk; /**< items sent together; 0: chosen for you. One failing spoils no other. */
    size_t ahead; /**< of no effect on skua_map() */
} skua_map_options;

/** Runs fn on each of @p n items, and waits. Any thread. Each call of @p fn gets a copy of its item
 * and a zeroed result, which is copied to @p out if it returned 0. After the return nothing touches
 * @p in or @p out, also after a timeout with items still running.
 * @param ex where to run.
 * @param fn called once for each item.
 * @param in @p n items of @p in_size bytes.
 * @param in_size bytes of an item; 0: fn's arg is NULL and @p in is not read.
 * @param out room for @p n results of @p out_size bytes; the result of an item that failed or did
 * not run is left as it was.
 * @param out_size bytes of a result; 0: fn's result is NULL.
 * @param n how many; 0 returns at once.
 * @param o chunking, or NULL.
 * @param timeout seconds; what has not begun by then never begins.
 * @return SKUA_OK; SKUA_FAILED with the error of the lowest failing item, always: items before it
 * are all done, those after it did not run if they had not begun; SKUA_TIMEOUT; SKUA_CANCELLED by
 * skua_shutdown(SKUA_CANCEL_FUTURES); SKUA_SHUTDOWN; a broken pool's status; SKUA_INVALID;
 * SKUA_NO_MEMORY. */
SKUA_API skua_status skua_map(skua_executor *ex, skua_fn *fn, const void *in, size_t in_size,
                              void *out, size_t out_size, size_t n, const skua_map_options *o,
                              double timeout);

SKUA_END_DECLS

#endif
