/* Memory that this process and its workers see at the same address, without copying: two
 * reservations made before the first worker is born, one that workers may write and one that they
 * only read, both filled by sealed memfds. What lies beyond the highest block ever used is no
 * memory, and touching it is a SIGBUS. Thread-safe in this process. */
#ifndef SK_PROCESS_HEAP_H
#define SK_PROCESS_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sk_heap;

/* Reserves 1 TiB for each kind, or as much of that as the process may have, at least 64 MiB. 0;
 * -ENOMEM, -EMFILE, -ENFILE, or what memfd_create() said. */
int sk_heap_open(struct sk_heap **out);
/* Unmaps and frees, in a forked process too. NULL is fine. */
void sk_heap_close(struct sk_heap *heap);

/* In the zygote: takes away the right to write where workers only read, and whatever only the
 * parent needs. */
void sk_heap_become_worker(struct sk_heap *heap);

/* Cleared, aligned to a page. NULL: no room or no memory; size 0; in any other process. */
void *sk_heap_alloc(struct sk_heap *heap, size_t size, bool read_only);
/* False if `memory` is no block's beginning, was freed, or this is another process. The block's
 * pages go back to the system, and its addresses may be given out again, once sk_heap_settle() was
 * told of a serial >= `serial` after this call: until then tasks may be using it. Where no task is
 * left, that call is the caller's to make. Never allocates. */
bool sk_heap_free(struct sk_heap *heap, void *memory, uint64_t serial);
/* Every task with a serial <= `serial` has ended. Costs a load where nothing waits for that. */
void sk_heap_settle(struct sk_heap *heap, uint64_t serial);

/* Whether all of [memory, memory + size) lies in the reservations. *read_only tells which. */
bool sk_heap_holds(const struct sk_heap *heap, const void *memory, size_t size, bool *read_only);

#endif
