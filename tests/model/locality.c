/* Which steps need no choice of who goes next before them. A load of an atomic that no other thread
 * ever writes, and a store to one that no other thread ever uses, give the same result before and
 * after any step of another thread: leaving the thread before such a step equals leaving it before
 * its next one. Most loads of a large test are of this kind.
 *
 * What a test does to an atomic is not known before it was searched. So the search takes all steps
 * to be local at first, and notes who used and who wrote what; if that says more than was taken for
 * granted, it begins anew with what is known by then. What it fails on is a failure in any case. */
#include "tests/model/engine.h"

#include <string.h>

#define NR_ENTRIES 8192 /* a power of two */

struct entry {
    const volatile void *x;
    uint8_t users, writers;             /* bits of threads, as seen so far */
    uint8_t known_users, known_writers; /* as taken for granted in this search */
};
static struct entry entries[NR_ENTRIES];
static int nr_entries;

static struct entry *entry_of(const volatile void *x)
{
    size_t i = (size_t)(((uintptr_t)x * 0x9E3779B97F4A7C15u) >> 32) % NR_ENTRIES;
    while (entries[i].x != NULL && entries[i].x != x)
        i = (i + 1) % NR_ENTRIES;
    if (entries[i].x == NULL) {
        if (++nr_entries > NR_ENTRIES / 2)
            model_fail("more than %d atomics in all", NR_ENTRIES / 2);
        entries[i].x = x;
    }
    return &entries[i];
}

bool model_locality_step(const volatile void *x, bool writes)
{
    unsigned me = 1u << model.me;
    struct entry *e = entry_of(x);
    e->users = (uint8_t)(e->users | me);
    if (writes)
        e->writers = (uint8_t)(e->writers | me);
    unsigned others = ~me & (writes ? e->known_users : e->known_writers);
    return others == 0 && !model.random;
}

void model_locality_forget(void)
{
    memset(entries, 0, sizeof entries);
    nr_entries = 0;
}

bool model_locality_learn(void)
{
    bool grown = false;
    for (int i = 0; i < NR_ENTRIES; i++) {
        struct entry *e = &entries[i];
        grown |= e->users != e->known_users || e->writers != e->known_writers;
        e->known_users = e->users;
        e->known_writers = e->writers;
    }
    return grown;
}
