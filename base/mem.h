/* Memory: all allocation of the library goes through here, so that a test can make the k-th call
 * fail. Everything gives NULL on failure and never prints. sk_free(NULL) does nothing. */
#ifndef SK_BASE_MEM_H
#define SK_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

void *sk_alloc(size_t size);            /* not cleared */
void *sk_calloc(size_t n, size_t size); /* cleared; NULL if n * size overflows */
/* Cleared and aligned to a cache line; freed by sk_free as the rest. */
void *sk_alloc_lines(size_t size);
char *sk_strdup(const char *s);
void sk_free(void *memory);

/* Pages from the system, cleared, touched only when used. sk_pages_free needs the same size. */
void *sk_pages_alloc(size_t size);
void sk_pages_free(void *pages, size_t size);

/* Asked before every allocation: false makes it fail. NULL: never asked. For tests. */
typedef bool sk_mem_hook(size_t size);
void sk_mem_set_hook(sk_mem_hook *hook);

#endif
