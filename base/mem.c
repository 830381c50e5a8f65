#define _GNU_SOURCE
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/atomic.h"
#include "base/compiler.h"

static SK_ATOMIC(sk_mem_hook *) mem_hook;

void sk_mem_set_hook(sk_mem_hook *hook)
{
    sk_store_rel(&mem_hook, hook);
}

static bool allowed(size_t size)
{
    sk_mem_hook *hook = sk_load_acq(&mem_hook);
    return SK_LIKELY(hook == NULL) || hook(size);
}

void *sk_alloc(size_t size)
{
    return allowed(size) ? malloc(size) : NULL;
}

void *sk_calloc(size_t n, size_t size)
{
    if (n > 0 && size > SIZE_MAX / n)
        return NULL;
    size_t total = n * size > 0 ? n * size : 1;
    return allowed(total) ? calloc(1, total) : NULL;
}

void *sk_alloc_lines(size_t size)
{
    if (size > SIZE_MAX - SK_CACHE_LINE || !allowed(size))
        return NULL;
    size = (size + SK_CACHE_LINE - 1) / SK_CACHE_LINE * SK_CACHE_LINE;
    void *memory = aligned_alloc(SK_CACHE_LINE, size);
    if (memory != NULL)
        memset(memory, 0, size);
    return memory;
}

char *sk_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = sk_alloc(size);
    if (copy != NULL)
        memcpy(copy, s, size);
    return copy;
}

void sk_free(void *memory)
{
    free(memory);
}

void *sk_pages_alloc(size_t size)
{
    if (!allowed(size))
        return NULL;
    void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return pages == MAP_FAILED ? NULL : pages;
}

void sk_pages_free(void *pages, size_t size)
{
    if (pages != NULL)
        munmap(pages, size);
}
