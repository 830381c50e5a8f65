/* Accumulators of a loop over pieces, one a piece, as reductions and scans have them: how many
 * pieces, where the accumulators lie, and what they start from. */
#ifndef SK_CORE_ACCS_H
#define SK_CORE_ACCS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "skua/loop.h"

enum {
    SK_ACCS_SMALL = 4096 /* bytes of accumulators that need no allocation */
};

struct sk_accs {
    size_t size;          /* of an accumulator */
    size_t stride;        /* from one to the next: neighbours on two workers do not share a line */
    const void *identity; /* NULL: zero bytes */
    char *first;          /* in small, or allocated */
    SK_CACHE_ALIGNED char small[SK_ACCS_SMALL];
};

/* SKUA_OK, or SKUA_INVALID with words that begin with `what`, the name of the loop. */
skua_status sk_accs_check(const void *acc, size_t acc_size, const char *what);

/* How many of n > 0 indices make a piece. With o->reproducible it depends on n, acc_size and the
 * grain alone. */
size_t sk_accs_piece(size_t n, size_t acc_size, int workers, const skua_loop *o);

/* Room for nr accumulators, to be closed. SKUA_OK or SKUA_NO_MEMORY. */
skua_status sk_accs_open(struct sk_accs *accs, uint32_t nr, size_t acc_size, const skua_loop *o,
                         const char *what);
void sk_accs_close(struct sk_accs *accs);

static inline char *sk_accs_at(const struct sk_accs *accs, uint32_t i)
{
    return accs->first + i * accs->stride;
}

/* Sets accumulator i to the identity, and returns it. */
char *sk_accs_start(const struct sk_accs *accs, uint32_t i);

#endif
