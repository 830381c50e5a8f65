/* The memory model. Each atomic keeps the row of its stores, in modification order, which here is
 * the order of execution; a load may read any of them that C11 leaves open:
 *
 * - not older than one that it or something before it (by happens-before) has read or written;
 * - for a seq_cst load, not older than the last seq_cst write before it in the one order of
 * seq_cst;
 * - after a seq_cst fence, not older than the last seq_cst write before the fence in that order,
 * nor
 *   than what was seen before earlier such fences.
 *
 * In the one order, writes and fences stand where they were executed. A load may stand earlier than
 * that, as far back as the last seq_cst operation that happens before it (sc_time): so it may have
 * overtaken a relaxed load in its own thread. Reads do not bind each other, as C11 has it; that is
 * weaker than C++20.
 *
 * An acquire load that reads a release store, or a read-modify-write in its release sequence,
 * takes over the writer's clock. Left out are executions in which a store is read before it is
 * made (load buffering), in which modification order or that of seq_cst writes is not that of
 * execution, and stores further back than MAX_STORES. That a store is seen at last is part of the
 * model: a thread reads at most MAX_STALE old values of one atomic in an execution. As with
 * preemptions, a bug needs few old values, and so the search allows only so many in all
 * (--stale). */
#include "tests/model/engine.h"

#include <stdio.h>
#include <string.h>

#define MAX_STORES    16
#define MAX_LOCATIONS 1024
#define MAX_STALE     3

struct store {
    uint64_t value;
    struct model_clock release;      /* what an acquiring reader takes over into `before` */
    struct model_clock release_view; /* and into `view` */
    uint16_t seen[MODEL_THREADS];    /* the step at which each thread first had it; 0: not yet */
    int release_sc_time;             /* and into `sc_time` */
    int sc_step; /* the step of the seq_cst operation that wrote it; 0: another */
    int step;    /* that wrote it; 0: setup or a plain write */
};

struct model_location {
    const volatile void *x;
    struct model_location *next; /* in its granule */
    size_t size;
    bool rewritten;         /* a plain write has ended the history */
    int oldest, newest;     /* positions in modification order; store[position % MAX_STORES] */
    int had[MODEL_THREADS]; /* the newest that each thread has read or written */
    uint8_t stale[MODEL_THREADS];    /* old values that each has read */
    uint16_t touched[MODEL_THREADS]; /* each thread's last step here */
    uint16_t wrote[MODEL_THREADS];   /* and the last that wrote */
    struct store store[MAX_STORES];
};

static struct model_location locations[MAX_LOCATIONS];
static int nr_locations;

static bool acquires(enum model_order order)
{
    return order == MODEL_ACQ || order == MODEL_ACQ_REL || order == MODEL_SC;
}

static bool releases(enum model_order order)
{
    return order == MODEL_REL || order == MODEL_ACQ_REL || order == MODEL_SC;
}

static uint64_t cut(uint64_t value, size_t size)
{
    return size == 8 ? value : value & (((uint64_t)1 << (8 * size)) - 1);
}

uint64_t model_peek(const volatile void *x, size_t size)
{
    uint64_t value = 0;
    memcpy(&value, (const void *)(uintptr_t)x, size); /* little-endian */
    return value;
}

static void poke(volatile void *x, size_t size, uint64_t value)
{
    memcpy((void *)(uintptr_t)x, &value, size);
}

void model_histories_reset(void)
{
    nr_locations = 0;
}

static struct store *store_at(struct model_location *l, int position)
{
    return &l->store[position % MAX_STORES];
}

/* A history of one store that everybody sees: whether they may is the concern of plain.c. */
static void begin_history(struct model_location *l)
{
    l->rewritten = false;
    l->oldest = l->newest = 0;
    memset(l->had, 0, sizeof l->had);
    memset(l->stale, 0, sizeof l->stale);
    memset(l->touched, 0, sizeof l->touched);
    memset(l->wrote, 0, sizeof l->wrote);
    l->store[0] = (struct store){ .value = model_peek(l->x, l->size) };
}

static struct model_location *new_location(struct model_granule *granule, const volatile void *x,
                                           size_t size, const struct model_place *place)
{
    if (nr_locations == MAX_LOCATIONS)
        model_fail("more than %d atomics", MAX_LOCATIONS);
    if (model_heap_is_garbage(x, size))
        model_fail("not initialised: %s", place->site);
    struct model_location *l = &locations[nr_locations++];
    l->x = x;
    l->size = size;
    begin_history(l);
    l->next = granule->atomics;
    granule->atomics = l;
    return l;
}

/* Finds an atomic, and checks that it may be accessed. */
static struct model_location *access_atomic(const volatile void *x, size_t size, bool writes,
                                            const struct model_place *place)
{
    unsigned at = model_me()->before.at[model.me];
    model_heap_touch(x, size, at, place);
    struct model_granule *granule = model_granule_of(x);
    model_plain_check_atomic(granule, x, size, writes, place);
    struct model_location *l = granule->atomics;
    while (l != NULL && l->x != x)
        l = l->next;
    if (l == NULL)
        l = new_location(granule, x, size, place);
    if (l->size != size)
        model_fail("an atomic of %zu bytes, used as %zu: %s", l->size, size, place->site);
    if (l->rewritten)
        begin_history(l);
    l->touched[model.me] = (uint16_t)at;
    if (writes)
        l->wrote[model.me] = (uint16_t)at;
    return l;
}

static _Noreturn void plain_race(int other, bool writes, const struct model_place *place)
{
    char where[200];
    model_place_name(place, where, sizeof where);
    model_fail("data race: T%d's plain %s of an atomic that T%d uses at the same time: %s",
               model.me, writes ? "write" : "read", other, where);
}

void model_histories_plain(struct model_location *list, const volatile void *x, size_t size,
                           bool writes, const struct model_place *place)
{
    for (struct model_location *l = list; l != NULL; l = l->next) {
        const volatile char *begin = x, *mine = l->x;
        if (begin + size <= mine || mine + l->size <= begin)
            continue;
        for (int t = 0; t < model.nr; t++) {
            if (t != model.me && !model_knows(t, writes ? l->touched[t] : l->wrote[t]))
                plain_race(t, writes, place);
        }
        l->rewritten |= writes;
    }
}

static int later(int a, int b)
{
    return a > b ? a : b;
}

/* Whether a load must not read anything older: it is in the thread's view, or its place in the one
 * order of seq_cst is before `sc_time`. */
static bool binds(const struct store *s, int sc_time)
{
    const struct model_actor *me = model_me();
    for (int t = 0; t < model.nr; t++) {
        if (s->seen[t] != 0 && s->seen[t] <= me->view.at[t])
            return true;
    }
    return s->sc_step != 0 && s->sc_step <= sc_time;
}

/* The oldest store that a load may read. */
static int oldest_readable(struct model_location *l, enum model_order order)
{
    const struct model_actor *me = model_me();
    int sc_time = order == MODEL_SC ? later(me->sc_time, me->fence_step) : me->fence_step;
    int oldest = later(l->had[model.me], l->oldest);
    for (int position = l->newest; position > oldest; position--) {
        if (binds(store_at(l, position), sc_time))
            return position;
    }
    return oldest;
}

static void note_had(struct model_location *l, int position)
{
    struct store *s = store_at(l, position);
    l->had[model.me] = position;
    if (s->seen[model.me] == 0)
        s->seen[model.me] = model_me()->before.at[model.me];
}

static void read_from(struct model_location *l, int position, enum model_order order)
{
    const struct store *s = store_at(l, position);
    struct model_actor *me = model_me();
    if (acquires(order)) {
        model_clock_join(&me->before, &s->release);
        model_clock_join(&me->view, &s->release_view);
        me->sc_time = later(me->sc_time, s->release_sc_time);
    }
    if (order == MODEL_SC)
        me->sc_time = later(me->sc_time, s->sc_step);
    if (position != l->newest) {
        l->stale[model.me]++;
        model.nr_stale++;
    }
    note_had(l, position);
}

/* head: the store whose release sequence this one continues, or NULL. */
static void append(struct model_location *l, uint64_t value, enum model_order order,
                   const struct store *head)
{
    struct store s = { .value = value, .step = model.step };
    struct model_actor *me = model_me();
    if (order == MODEL_SC)
        s.sc_step = me->sc_time = model.step;
    if (head != NULL) {
        s.release = head->release;
        s.release_view = head->release_view;
        s.release_sc_time = head->release_sc_time;
    }
    if (releases(order)) {
        model_clock_join(&s.release, &me->before);
        model_clock_join(&s.release_view, &me->view);
        s.release_sc_time = later(s.release_sc_time, me->sc_time);
    }
    l->newest++;
    if (l->newest - l->oldest >= MAX_STORES)
        l->oldest++;
    *store_at(l, l->newest) = s;
    note_had(l, l->newest);
    poke((volatile void *)(uintptr_t)l->x, l->size, value);
    model_wrote();
}

static void trace_read(struct model_location *l, int position, enum model_event_kind kind)
{
    struct model_event *e = model_trace_last();
    e->kind = (uint8_t)kind;
    e->size = (uint8_t)l->size;
    e->value = store_at(l, position)->value;
    e->newest = position == l->newest ? -1 : store_at(l, l->newest)->step;
}

static void trace_write(size_t size, enum model_event_kind kind, uint64_t old, uint64_t value)
{
    struct model_event *e = model_trace_last();
    e->kind = (uint8_t)kind;
    e->size = (uint8_t)size;
    e->old = old;
    e->value = value;
}

static bool may_be_stale(const struct model_location *l)
{
    return l->stale[model.me] < MAX_STALE && (model.random || model.nr_stale < model.max_stale);
}

/* Chooses what a load reads. */
static int choose_store(struct model_location *l, enum model_order order)
{
    int oldest = oldest_readable(l, order);
    if (!may_be_stale(l))
        oldest = l->newest;
    return l->newest - model_choose(l->newest - oldest + 1);
}

static void begin_step(const struct model_place *place, const volatile void *x, bool writes)
{
    model_begin_step(place, model.running && model_locality_step(x, writes));
}

void model_init(volatile void *x, size_t size, uint64_t value, const char *site)
{
    model_plain_write(x, size, site);
    poke(x, size, value);
}

uint64_t model_load(const volatile void *x, size_t size, enum model_order order, const char *site)
{
    const struct model_place place = { site, NULL };
    begin_step(&place, x, false);
    if (!model.running) {
        model_heap_touch(x, size, 0, &place);
        return model_peek(x, size);
    }
    struct model_location *l = access_atomic(x, size, false, &place);
    int position = choose_store(l, order);
    read_from(l, position, order);
    trace_read(l, position, MODEL_READS);
    return store_at(l, position)->value;
}

uint64_t model_read_word(const volatile void *x, size_t size)
{
    const struct model_place place = { "sk_futex_wait", NULL };
    model_locality_step(x, false);
    struct model_location *l = access_atomic(x, size, false, &place);
    int position = choose_store(l, MODEL_RLX);
    read_from(l, position, MODEL_RLX);
    return store_at(l, position)->value;
}

void model_store(volatile void *x, size_t size, uint64_t value, enum model_order order,
                 const char *site)
{
    const struct model_place place = { site, NULL };
    begin_step(&place, x, true);
    value = cut(value, size);
    if (!model.running) {
        model_heap_touch(x, size, 0, &place);
        poke(x, size, value);
        return;
    }
    struct model_location *l = access_atomic(x, size, true, &place);
    append(l, value, order, NULL);
    trace_write(size, MODEL_WRITES, 0, value);
}

/* Reads the newest store and appends to it. */
static void change(struct model_location *l, uint64_t value, enum model_order order)
{
    const struct store head = *store_at(l, l->newest);
    read_from(l, l->newest, order);
    append(l, value, order, &head);
    trace_write(l->size, MODEL_CHANGES, head.value, value);
}

static uint64_t result_of(enum model_rmw what, uint64_t old, uint64_t operand)
{
    switch (what) {
    case MODEL_ADD:
        return old + operand;
    case MODEL_SUB:
        return old - operand;
    case MODEL_OR:
        return old | operand;
    default:
        return operand;
    }
}

uint64_t model_rmw(volatile void *x, size_t size, enum model_rmw what, uint64_t value,
                   enum model_order order, const char *site)
{
    const struct model_place place = { site, NULL };
    begin_step(&place, x, true);
    if (!model.running) {
        model_heap_touch(x, size, 0, &place);
        uint64_t old = model_peek(x, size);
        poke(x, size, result_of(what, old, value));
        return old;
    }
    struct model_location *l = access_atomic(x, size, true, &place);
    uint64_t old = store_at(l, l->newest)->value;
    change(l, cut(result_of(what, old, value), size), order);
    return old;
}

/* A compare-and-swap that fails is a load, which may read an old store: then one of another value,
 * as the newest decides about success. Gives the position read. */
static int choose_for_cas(struct model_location *l, uint64_t expected, enum model_order failure)
{
    int oldest = oldest_readable(l, failure);
    if (!may_be_stale(l))
        oldest = l->newest;
    int position[MAX_STORES] = { l->newest };
    int n = 1;
    for (int p = l->newest - 1; p >= oldest; p--) {
        if (store_at(l, p)->value != expected)
            position[n++] = p;
    }
    return position[model_choose(n)];
}

bool model_cas(volatile void *x, size_t size, void *expected, uint64_t value,
               enum model_order success, enum model_order failure, const char *site)
{
    const struct model_place place = { site, NULL };
    begin_step(&place, x, true);
    uint64_t old, wanted = model_peek(expected, size);
    value = cut(value, size);
    if (!model.running) {
        model_heap_touch(x, size, 0, &place);
        old = model_peek(x, size);
        poke(old == wanted ? x : expected, size, old == wanted ? value : old);
        return old == wanted;
    }
    struct model_location *l = access_atomic(x, size, true, &place);
    int position = choose_for_cas(l, wanted, failure);
    old = store_at(l, position)->value;
    if (old == wanted) {
        change(l, value, success);
        return true;
    }
    read_from(l, position, failure);
    trace_read(l, position, MODEL_CAS_FAILS);
    poke(expected, size, old);
    return false;
}
