/* Freed blocks of one size, kept for the next who wants one: what is allocated and freed by the ten
 * thousand would else go back to the system and come anew, page by page. Thread-safe. */
#ifndef SK_BASE_SHELF_H
#define SK_BASE_SHELF_H

#include <stddef.h>

#include "base/lock.h"

struct sk_shelf_block;

struct sk_shelf {
    struct sk_lock lock; /* protects the rest */
    struct sk_shelf_block *first;
    size_t n;
    size_t size, most; /* constant: of a block, and of blocks that are kept */
};

void sk_shelf_init(struct sk_shelf *shelf, size_t size, size_t most);
/* Frees what is kept. */
void sk_shelf_fini(struct sk_shelf *shelf);
/* A cleared block; NULL without memory. */
void *sk_shelf_take(struct sk_shelf *shelf);
/* A block that was taken, by any thread. */
void sk_shelf_put(struct sk_shelf *shelf, void *block);

#endif
