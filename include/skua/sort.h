/** @file sort.h
 * Sorting, on threads: qsort on all the cores, and stable.
 *
 * Blocks are merge-sorted by the workers near them, then merged by all of them together: a merge is
 * cut where its output is cut, by co-ranking, as in "Merge Path" (Odeh, Green, Mwassi, Shmueli and
 * Birk, 2012) and "Perfectly load-balanced, optimal, stable, parallel merge" (Siebert and Traeff,
 * 2013).
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * static int by_value(const void *a, const void *b, void *ctx)
 * {
 *     double x = *(const double *)a, y = *(const double *)b;
 *     (void)ctx;
 *     return (x > y) - (x < y);
 * }
 *
 * int main(void)
 * {
 *     double x[] = { 2.5, -1, 0, 7 };
 *     if (skua_sort(skua_default(), x, 4, sizeof *x, by_value, NULL) != SKUA_OK)
 *         fprintf(stderr, "%s\n", skua_last_error()->message);
 *     printf("%g ... %g\n", x[0], x[3]);
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_SORT_H
#define SKUA_SORT_H

#include <stddef.h>

#include "skua/error.h"
#include "skua/executor.h"
#include "skua/export.h"

SKUA_BEGIN_DECLS

/** Compares two elements: negative, zero or positive as *a goes before *b, is equal to it, or goes
 * after it. It may call skua_fail(), which ends the sort; what it then returns has no effect.
 * @param a an element, of the array or of a copy.
 * @param b another one.
 * @param ctx as given to the sort; shared by all calls. */
typedef int skua_compare(const void *a, const void *b, void *ctx);

/** Sorts n elements of size bytes in place, and waits; equals a stable insertion sort,

        for (size_t i = 1; i < n; i++)
            for (size_t j = i; j > 0 && cmp(base + (j - 1) * size, base + j * size, ctx) > 0; j--)
                swap(base + (j - 1) * size, base + j * size);

 * in about n log n comparisons, and n where the array is sorted already or strictly falling. Any
 * thread: the caller sorts too. Elements are copied as bytes, also into a buffer of n * size bytes,
 * where @p cmp may see them.
 *
 * Whatever @p cmp answers, the sort ends, and the array holds the same elements as before; if its
 * answers contradict each other, in an unspecified order.
 * Where @p cmp throws a C++ exception or calls pthread_exit(), the sort fails too; then some
 * elements may be there twice and others not at all.
 * @param ex a thread pool.
 * @param base the array; NULL only if @p n is 0.
 * @param n how many elements; 0 or 1 does nothing.
 * @param size bytes of an element, at least 1.
 * @param cmp called by several threads at once.
 * @param ctx given to each call.
 * @return SKUA_OK; SKUA_FAILED when cmp called skua_fail(), with its words: the elements are then
 * all there, in an unspecified order; SKUA_INVALID (NULL, size 0, n * size larger than any memory,
 * an executor without threads); SKUA_SHUTDOWN, from a thread that is no worker of a pool that was
 * shut down; a broken pool's status; SKUA_NO_MEMORY for the buffer. After all but the first two the
 * array is as it was. */
SKUA_API skua_status skua_sort(skua_executor *ex, void *base, size_t n, size_t size,
                               skua_compare *cmp, void *ctx);

SKUA_END_DECLS

#endif
