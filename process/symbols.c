/* Looking a name up is slow: the first time the files of all modules are read, and each address is
 * then searched for among all symbols of its module. Crashes repeat themselves, so the words for an
 * address are kept: a table of fixed size, a newer address takes the place of an older one.
 *
 * When libraries have come or gone, everything is thrown away and read anew. The kernel's list of
 * what is mapped tells, in 0.1 ms. The loader's own counts would be cheaper, but dl_iterate_phdr(),
 * which has them, takes a lock that a child forked at a bad moment never gets (glibc 2.36).
 *
 * A lock guards all of that, and a child may be forked while it is held, by a thread that the child
 * does not have, in the midst of a change. So a child makes a cache of its own at its first call.
 * Its parent's is freed if the lock in it is free; else it is left where it is, but reachable.
 * Handlers of pthread_atfork() that take the lock were rejected: processes that are cloned without
 * them (process/zygote.c) fork too, and would wait in theirs for ever.
 *
 * dladdr() knows the exported functions of each module, and is asked where the files are silent. */
#define _GNU_SOURCE
#include "process/symbols.h"

#include <dlfcn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/thread.h"

enum {
    KEPT_BITS = 10,
    NR_KEPT = 1 << KEPT_BITS,
    LINE_BYTES = 400
};

struct kept {
    uint64_t address; /* as it was looked up */
    char *words;      /* NULL: the place is free */
};

struct cache {
    unsigned fork_count; /* of the process it belongs to; constant */
    struct cache *left;  /* the parent's, if that could not be freed; never looked into */
    struct sk_lock lock;
    /* under the lock */
    uint64_t code; /* hash_of_code() when it was opened */
    struct sk_symbols *symbols;
    struct kept kept[NR_KEPT];
};

static SK_ATOMIC(struct cache *) current;

/* --- the cache --- */

static void cache_empty(struct cache *cache)
{
    sk_symbols_close(cache->symbols);
    cache->symbols = NULL;
    for (size_t i = 0; i < NR_KEPT; i++)
        sk_free(cache->kept[i].words);
    memset(cache->kept, 0, sizeof cache->kept);
}

/* The parent's cache, in the one thread of a child that has replaced it. What is left of it. */
static struct cache *cache_drop(struct cache *old)
{
    if (old == NULL || !sk_lock_try_lock(&old->lock))
        return old;
    sk_lock_unlock(&old->lock);
    struct cache *left = old->left;
    cache_empty(old);
    sk_free(old);
    return left;
}

/* This process's cache; NULL without memory. */
static struct cache *cache_get(void)
{
    unsigned fork_count = sk_thread_fork_count();
    struct cache *cache = sk_load_acq(&current); /* C1: pairs with C2 */
    if (cache != NULL && cache->fork_count == fork_count)
        return cache;
    struct cache *fresh = sk_calloc(1, sizeof *fresh);
    if (fresh == NULL)
        return NULL;
    fresh->fork_count = fork_count;
    fresh->left = cache;
    sk_lock_init(&fresh->lock, SK_RANK_LEAF);
    if (!sk_cas_acq_rel_acq(&current, &cache, fresh)) { /* C2 */
        sk_free(fresh);
        return cache; /* another thread's, of this process */
    }
    fresh->left = cache_drop(cache);
    return fresh;
}

/* A hash of all mappings of code, with their addresses and files; 0 if they cannot be read. Lines
 * such as "7f0010000000-7f0010020000 r-xp 00001000 08:01 1234   /usr/lib/libx.so". */
static uint64_t hash_of_code(void)
{
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL)
        return 0;
    char buffer[4096], line[512]; /* as much as the kernel gives at once */
    setvbuf(maps, buffer, _IOFBF, sizeof buffer);
    uint64_t hash = 14695981039346656037u; /* FNV-1a */
    bool begins = true, is_code = false;   /* a long line comes in pieces */
    while (fgets(line, sizeof line, maps) != NULL) {
        const char *rights = strchr(line, ' ');
        if (begins)
            is_code = rights != NULL && strnlen(rights, 4) == 4 && rights[3] == 'x';
        begins = strchr(line, '\n') != NULL;
        for (const char *c = line; is_code && *c != '\0'; c++)
            hash = (hash ^ (unsigned char)*c) * 1099511628211u;
    }
    fclose(maps);
    return hash;
}

static void cache_refresh_locked(struct cache *cache)
{
    uint64_t code = hash_of_code();
    if (code == 0 || code != cache->code)
        cache_empty(cache);
    cache->code = code;
    if (cache->symbols == NULL)
        cache->symbols = sk_symbols_open();
}

/* --- the words --- */

struct text {
    char *to;
    size_t length, size;
};

SK_PRINTF(2, 3) static void add(struct text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text->to + text->length, text->size - text->length, format, args);
    va_end(args);
    size_t room = text->size - text->length - 1;
    if (n > 0)
        text->length += (size_t)n < room ? (size_t)n : room;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

/* All but the number. */
static void describe(struct sk_symbols *symbols, uintptr_t address, struct text *text)
{
    struct sk_symbol symbol = { .function = NULL };
    Dl_info module = { .dli_fname = NULL };
    if (symbols != NULL)
        sk_symbols_find(symbols, address, &symbol);
    bool has_module = dladdr((void *)address, &module) != 0 && module.dli_fname != NULL;
    if (symbol.function == NULL && has_module && module.dli_sname != NULL) {
        symbol.function = module.dli_sname;
        symbol.offset = address - (uintptr_t)module.dli_saddr;
    }
    if (symbol.function != NULL) /* without "@@GLIBC_2.34" */
        add(text, "%.*s+0x%llx", (int)strcspn(symbol.function, "@"), symbol.function,
            (unsigned long long)symbol.offset);
    else
        add(text, "0x%llx",
            (unsigned long long)(has_module ? address - (uintptr_t)module.dli_fbase : address));
    if (symbol.file != NULL)
        add(text, " at %s:%d", base_name(symbol.file), symbol.line);
    if (has_module)
        add(text, " in %s", base_name(module.dli_fname));
}

static void add_address(struct cache *cache, uint64_t address, struct text *text)
{
    uint64_t mixed = address * 0x9e3779b97f4a7c15u; /* Fibonacci hashing */
    struct kept *kept = &cache->kept[mixed >> (64 - KEPT_BITS)];
    if (kept->words == NULL || kept->address != address) {
        char line[LINE_BYTES] = "";
        describe(cache->symbols, (uintptr_t)address, &(struct text){ line, 0, sizeof line });
        sk_free(kept->words);
        kept->address = address;
        kept->words = sk_strdup(line);
        if (kept->words == NULL) {
            add(text, "%s", line);
            return;
        }
    }
    add(text, "%s", kept->words);
}

char *sk_symbols_describe(const uint64_t *frames, uint32_t n)
{
    struct cache *cache = n > 0 ? cache_get() : NULL;
    struct text text = { .size = (size_t)n * (LINE_BYTES + 16) };
    if (cache == NULL || (text.to = sk_alloc(text.size)) == NULL)
        return NULL;
    sk_lock_lock(&cache->lock);
    cache_refresh_locked(cache);
    for (uint32_t i = 0; i < n; i++) {
        add(&text, "%s#%u ", i > 0 ? "\n" : "", (unsigned)i);
        /* Behind a call that does not return there may be another function. */
        add_address(cache, frames[i] - (i > 0 && frames[i] > 0), &text);
    }
    sk_lock_unlock(&cache->lock);
    char *exact = sk_strdup(text.to);
    sk_free(text.to);
    return exact;
}
