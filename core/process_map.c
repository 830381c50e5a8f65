/* skua_map() on a process pool: a window of futures slides over the items, in their order, so the
 * first one that has failed is the lowest. Each item is a task of its own; orders are sent ahead
 * (process/traffic.c), so that putting several into one would gain little, and a crash is one
 * item's.
 *
 * Items that lie in shared memory are not copied: fn gets the item itself; and results go to their
 * places at once if those are shared. Not with a timeout: an item that outlasts it must touch
 * neither any more. */
#include "core/away.h"

#include "base/mem.h"
#include "base/time.h"
#include "core/await.h"
#include "core/error.h"

enum {
    MOST_AHEAD = 65536 /* items begun before the lowest one has ended */
};

struct process_map {
    skua_executor *ex;
    skua_task task; /* what the items have in common */
    const char *in;
    char *out;
    size_t in_size, out_size, n;
    bool in_place, out_place; /* items, and results, are where the workers see them */
    size_t begun, taken;
    size_t room; /* of the window */
    skua_future **window;
};

/* Begins the next item. What says no: a refusal, or a bounded pool full until the deadline. */
static skua_status begin(struct process_map *map, int64_t deadline_ns)
{
    const char *item = map->in + map->begun * map->in_size;
    map->task.arg = map->in_size > 0 ? (void *)(uintptr_t)item : NULL; /* the cast drops const */
    map->task.arg_size = map->in_place ? 0 : map->in_size;
    char *place = map->out_place ? map->out + map->begun * map->out_size : NULL;
    skua_future *f = sk_process_submit(map->ex, &map->task, place, deadline_ns);
    if (f == NULL)
        return sk_error_set(SKUA_TIMEOUT, "skua_map: item %zu had no room within the timeout",
                            map->begun);
    if (f->kind == SK_FUTURE_REFUSED) {
        skua_exception(f, 0); /* its words are the map's */
        skua_release(f);
        return skua_last_error()->status;
    }
    map->window[map->begun++ % map->room] = f;
    return SKUA_OK;
}

/* Waits for the lowest item that is not taken yet, and takes it. */
static skua_status take(struct process_map *map, int64_t deadline_ns)
{
    skua_future *f = map->window[map->taken % map->room];
    skua_status status = sk_future_await(f, deadline_ns);
    if (status != SKUA_OK)
        return sk_error_set(status, "skua_map: item %zu was not done within the timeout",
                            map->taken);
    size_t size = map->out_place ? 0 : map->out_size;
    status = skua_result(f, size > 0 ? map->out + map->taken * map->out_size : NULL, size, 0);
    skua_release(f);
    map->taken++;
    return status;
}

/* Cancels what has not begun. What still runs in the arrays' own places is waited for: they are the
 * caller's again. */
static void leave(struct process_map *map)
{
    for (size_t i = map->taken; i < map->begun; i++)
        skua_cancel(map->window[i % map->room]);
    for (size_t i = map->taken; i < map->begun; i++) {
        skua_future *f = map->window[i % map->room];
        if (map->in_place || map->out_place)
            sk_future_await(f, SK_NO_DEADLINE);
        sk_store_rlx(&f->looked, true); /* nobody is to read how it ended */
        skua_release(f);
    }
}

static skua_status run(struct process_map *map, int64_t deadline_ns)
{
    skua_status status = SKUA_OK;
    bool refused = false;
    while (status == SKUA_OK && map->taken < map->n) {
        while (!refused && map->begun < map->n && map->begun - map->taken < map->room) {
            skua_status begun = begin(map, deadline_ns);
            if (begun == SKUA_TIMEOUT)
                return begun;
            refused = begun != SKUA_OK;
        }
        if (map->taken == map->begun) /* the one that was refused is the lowest */
            return skua_last_error()->status;
        status = take(map, deadline_ns);
    }
    if (refused && status == SKUA_OK)
        return sk_error_set(SKUA_SHUTDOWN, "skua_map: item %zu was refused", map->begun);
    return status;
}

skua_status sk_process_map(skua_executor *ex, skua_fn *fn, const void *in, size_t in_size,
                           void *out, size_t out_size, size_t n, double timeout)
{
    struct process_map map = { .ex = ex, .task = { .fn = fn, .result_size = out_size }, .in = in };
    int64_t deadline_ns = sk_deadline_ns(timeout);
    map.out = out;
    map.in_size = in_size;
    map.out_size = out_size;
    map.n = n;
    bool forever = deadline_ns == SK_NO_DEADLINE;
    map.in_place = forever && in_size > 0 && sk_process_shares(ex, in, n * in_size);
    map.out_place = forever && out_size > 0 && sk_process_shares(ex, out, n * out_size);
    map.room = n < MOST_AHEAD ? n : MOST_AHEAD;
    map.window = sk_calloc(map.room, sizeof(skua_future *));
    if (map.window == NULL)
        return sk_error_set(SKUA_NO_MEMORY, "skua_map: out of memory");
    skua_status status = run(&map, deadline_ns);
    struct sk_failure *failure = NULL;
    if (status != SKUA_OK) /* leaving may set it anew */
        failure = sk_error_clone(skua_last_error(), status);
    leave(&map);
    sk_free((void *)map.window);
    if (failure != NULL)
        sk_error_copy(&failure->error);
    sk_free(failure);
    return status;
}
