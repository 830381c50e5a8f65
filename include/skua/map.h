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

#include <stdbool.h>
#include <stddef.h>

#include "skua/error.h"
#include "skua/executor.h"
#include "skua/export.h"
#include "skua/task.h"
#include "skua/wait.h"

SKUA_BEGIN_DECLS

/** How to map. Zero fields, or NULL for the struct, mean the usual. */
typedef struct skua_map_options {
    size_t chunk; /**< items sent together; 0: chosen for you. One failing spoils no other. */
    size_t ahead; /**< of skua_imap(): how many may be begun and not handed out; 0: 2 a worker */
} skua_map_options;

/** Runs fn on each of @p n items, and waits. Any thread. Each call of @p fn gets a copy of its item
 * and a zeroed result, which is copied to @p out if it returned 0. After the return nothing touches
 * @p in or @p out, also after a timeout with items still running.
 *
 * On a process pool each item is a task of its own, whatever the chunk. Items and results that
 * lie in its shared memory (process.h) are not copied where the timeout is SKUA_FOREVER: fn gets
 * the item itself, and writes the result to its place, which is cleared before.
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
 * are all done, those after it did not run if they had not begun; SKUA_CRASHED likewise where its
 * process died; SKUA_TIMEOUT; SKUA_CANCELLED by
 * skua_shutdown(SKUA_CANCEL_FUTURES); SKUA_SHUTDOWN; a broken pool's status; SKUA_INVALID;
 * SKUA_NO_MEMORY. */
SKUA_API skua_status skua_map(skua_executor *ex, skua_fn *fn, const void *in, size_t in_size,
                              void *out, size_t out_size, size_t n, const skua_map_options *o,
                              double timeout);

/** Maps bit by bit: pulls items from @p source as room is made, and hands out their futures in the
 * order of the items by skua_next(), whose index is the item's number. A future is the iterator's:
 * it lives until the next skua_next() or skua_iter_close(), unless you retain it. An item that
 * failed comes like the others; ask its future. Any thread; one at a time uses the iterator.
 * @param ex where to run: any executor.
 * @param fn called once for each item, with a copy of it and a zeroed result.
 * @param source writes item @p i to @p item and returns true, or returns false at the end, and is
 * never called again. Called by this function and by skua_next() in the thread that calls them,
 * with i = 0, 1, 2, ..., while fewer than o->ahead items are begun and not handed out.
 * @param ctx given to @p source.
 * @param in_size bytes of an item; 0: @p item and fn's arg are NULL.
 * @param out_size bytes of a result; 0: fn's result is NULL.
 * @param o chunking and ahead, or NULL. Of a chunk no more is sent than ahead has room for.
 * @param timeout seconds, counted from this call: skua_next() waits no longer, but never holds back
 * an item that is done.
 * @return an iterator; NULL with SKUA_INVALID or SKUA_NO_MEMORY. skua_iter_close() cancels what
 * has not begun, and gives SKUA_OK; SKUA_TIMEOUT if skua_next() gave NULL for it; or why an item
 * was refused, after which no more are pulled: SKUA_SHUTDOWN, a broken pool's status,
 * SKUA_NO_MEMORY. */
SKUA_API skua_iter *skua_imap(skua_executor *ex, skua_fn *fn,
                              bool (*source)(void *ctx, size_t i, void *item), void *ctx,
                              size_t in_size, size_t out_size, const skua_map_options *o,
                              double timeout);

SKUA_END_DECLS

#endif
