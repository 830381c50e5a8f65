/* Data races on plain variables, in the manner of FastTrack (Flanagan and Freund, 2009): for each
 * variable the last write and each thread's last read, as steps in clocks. A use that does not know
 * of a conflicting one before it is a race; whether the two came close in this execution does not
 * matter. The library's sources are compiled with the compiler's thread sanitizer instrumentation,
 * whose calls (instrument.c) end here; the tests' own mark their payload by model_read and
 * model_write. */
#include "tests/model/engine.h"

#include <stdio.h>
#include <string.h>

#define NR_GRANULES 8192 /* a power of two */
#define MAX_PLAIN   8192

struct model_plain {
    struct model_plain *next;     /* in its granule */
    uint8_t begin, end;           /* bytes of the granule */
    int8_t writer;                /* -1: none since setup */
    uint16_t written;             /* the writer's step */
    uint16_t read[MODEL_THREADS]; /* each thread's last step that read since; 0: none */
    struct model_place write_place;
    struct model_place read_place[MODEL_THREADS];
};

static struct model_granule granules[NR_GRANULES];
static struct model_plain variables[MAX_PLAIN];
static int nr_granules, nr_variables;
static unsigned execution;

void model_plain_reset(void)
{
    nr_granules = nr_variables = 0;
    execution++;
}

struct model_granule *model_granule_of(const volatile void *x)
{
    uintptr_t key = (uintptr_t)x >> 3;
    size_t i = (size_t)((key * 0x9E3779B97F4A7C15u) >> 32) % NR_GRANULES;
    while (granules[i].execution == execution && granules[i].key != key)
        i = (i + 1) % NR_GRANULES;
    struct model_granule *granule = &granules[i];
    if (granule->execution != execution) {
        if (++nr_granules > NR_GRANULES / 2)
            model_fail("more than %d words of memory", NR_GRANULES / 2);
        *granule = (struct model_granule){ .key = key, .execution = execution };
    }
    return granule;
}

static _Noreturn void race(bool writes, const struct model_place *mine, int other, bool other_wrote,
                           const struct model_place *theirs)
{
    char here[200], there[200];
    model_place_name(mine, here, sizeof here);
    model_place_name(theirs, there, sizeof there);
    model_fail("data race: T%d %s (%s), T%d %s (%s)", model.me, writes ? "writes" : "reads", here,
               other, other_wrote ? "wrote" : "read", there);
}

/* Fails if an access by the running thread races with those before it. */
static void check(const struct model_plain *v, bool writes, const struct model_place *mine)
{
    if (v->writer != model.me && v->writer >= 0 && !model_knows(v->writer, v->written))
        race(writes, mine, v->writer, true, &v->write_place);
    for (int t = 0; writes && t < model.nr; t++) {
        if (t != model.me && !model_knows(t, v->read[t]))
            race(writes, mine, t, false, &v->read_place[t]);
    }
}

static void note(struct model_plain *v, bool writes, const struct model_place *mine)
{
    uint16_t at = (uint16_t)model_plain_at();
    if (writes) {
        v->writer = (int8_t)model.me;
        v->written = at;
        v->write_place = *mine;
        memset(v->read, 0, sizeof v->read); /* they are known to be before the write */
    } else {
        v->read[model.me] = at;
        v->read_place[model.me] = *mine;
    }
}

static struct model_plain *new_variable(struct model_granule *granule, unsigned begin, unsigned end)
{
    if (nr_variables == MAX_PLAIN)
        model_fail("more than %d plain variables", MAX_PLAIN);
    struct model_plain *v = &variables[nr_variables++];
    *v = (struct model_plain){ .next = granule->plain, .writer = -1 };
    v->begin = (uint8_t)begin;
    v->end = (uint8_t)end;
    granule->plain = v;
    return v;
}

/* The bytes [x, x + size) lie in one granule. */
static void access_granule(const volatile void *x, size_t size, bool writes,
                           const struct model_place *mine)
{
    struct model_granule *granule = model_granule_of(x);
    unsigned begin = (unsigned)((uintptr_t)x & 7), end = begin + (unsigned)size;
    struct model_plain *exact = NULL;
    for (struct model_plain *v = granule->plain; v != NULL; v = v->next) {
        if (v->begin < end && begin < v->end)
            check(v, writes, mine);
        if (v->begin == begin && v->end == end)
            exact = v;
    }
    model_histories_plain(granule->atomics, x, size, writes, mine);
    if (exact == NULL)
        exact = new_variable(granule, begin, end);
    note(exact, writes, mine);
}

void model_plain_access(const volatile void *x, size_t size, bool writes,
                        const struct model_place *place)
{
    model_heap_touch(x, size, model_plain_at(), place);
    if (!model.running)
        return;
    const volatile char *byte = x;
    while (size > 0) {
        size_t part = 8 - ((uintptr_t)byte & 7);
        if (part > size)
            part = size;
        access_granule(byte, part, writes, place);
        byte += part;
        size -= part;
    }
}

void model_plain_read(const volatile void *x, size_t size, const char *site)
{
    const struct model_place place = { site, NULL };
    model_plain_access(x, size, false, &place);
}

void model_plain_write(const volatile void *x, size_t size, const char *site)
{
    const struct model_place place = { site, NULL };
    model_plain_access(x, size, true, &place);
}

void model_plain_check_atomic(const struct model_granule *granule, const volatile void *x,
                              size_t size, bool writes, const struct model_place *place)
{
    unsigned begin = (unsigned)((uintptr_t)x & 7), end = begin + (unsigned)size;
    for (const struct model_plain *v = granule->plain; v != NULL; v = v->next) {
        if (v->begin < end && begin < v->end)
            check(v, writes, place);
    }
}
