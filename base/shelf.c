/* A list under a lock. Lists of each thread's own would spare the lock, and lose their point where
 * one thread allocates and another frees, as those do who submit and who wait. */
#include "base/shelf.h"

#include <stdbool.h>
#include <string.h>

#include "base/assert.h"
#include "base/mem.h"

struct sk_shelf_block {
    struct sk_shelf_block *next;
};

void sk_shelf_init(struct sk_shelf *shelf, size_t size, size_t most)
{
    sk_assert(size >= sizeof(struct sk_shelf_block));
    *shelf = (struct sk_shelf){ .size = size, .most = most };
    sk_lock_init(&shelf->lock, SK_RANK_LEAF);
}

void sk_shelf_fini(struct sk_shelf *shelf)
{
    while (shelf->first != NULL) {
        struct sk_shelf_block *block = shelf->first;
        shelf->first = block->next;
        sk_free(block);
    }
    shelf->n = 0;
}

void *sk_shelf_take(struct sk_shelf *shelf)
{
    sk_lock_lock(&shelf->lock);
    struct sk_shelf_block *block = shelf->first;
    if (block != NULL) {
        shelf->first = block->next;
        shelf->n--;
    }
    sk_lock_unlock(&shelf->lock);
    return block != NULL ? memset(block, 0, shelf->size) : sk_calloc(1, shelf->size);
}

void sk_shelf_put(struct sk_shelf *shelf, void *block)
{
    struct sk_shelf_block *kept = block;
    sk_lock_lock(&shelf->lock);
    bool keeps = shelf->n < shelf->most;
    if (keeps) {
        kept->next = shelf->first;
        shelf->first = kept;
        shelf->n++;
    }
    sk_lock_unlock(&shelf->lock);
    if (!keeps)
        sk_free(block);
}
