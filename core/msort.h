/* The serial parts of skua_sort: a stable merge sort of a block, a stable merge, and where to cut
 * one. Each moves elements and never makes or drops one, whatever the comparison answers; once it
 * has called skua_fail(), or the sort has stopped, they go on without comparing. */
#ifndef SK_CORE_MSORT_H
#define SK_CORE_MSORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "skua/sort.h"

struct sk_msort {
    size_t size; /* of an element, in bytes */
    skua_compare *cmp;
    void *ctx;
    const int *said;        /* sk_error_said() of the calling thread */
    SK_ATOMIC(bool) * stop; /* another thread's comparison has failed */
};

/* Whether a goes after b; false when the comparison has failed. */
static inline bool sk_msort_goes_after(const struct sk_msort *m, const char *a, const char *b)
{
    if (SK_UNLIKELY(*m->said != 0))
        return false;
    bool after = m->cmp(a, b, m->ctx) > 0;
    return after && *m->said == 0;
}

/* Sorts the n elements at x in place; scratch has room for n. */
void sk_msort_sort(const struct sk_msort *m, char *x, char *scratch, size_t n);

/* Merges a and b, which lie in one array, to out, which lies in another; of equals, those of a go
 * first. */
void sk_msort_merge(const struct sk_msort *m, char *out, const char *a, size_t na, const char *b,
                    size_t nb);

/* How many elements of a are among the first d of the merge of a and b. */
size_t sk_msort_split(const struct sk_msort *m, const char *a, size_t na, const char *b, size_t nb,
                      size_t d);

#endif
