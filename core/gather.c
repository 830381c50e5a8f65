/* Each future gets a watch, which fires once at its end and puts the entry at the tail of a list.
 * The list, and the waking of its reader, are under the gather's lock: a reader that got an entry
 * may close the gather at once, so who fires must be done with it by then.
 *
 * A future that was handed out may be gone; the watch of one that was not is taken back under that
 * future's lock, which waits for a watch that is just firing. */
#include "core/gather.h"

#include <stdlib.h>

#include "base/lock.h"
#include "base/mem.h"
#include "base/spin.h"
#include "base/thread.h"
#include "base/time.h"
#include "core/await.h"
#include "core/away.h"
#include "core/executor.h"
#include "sched/park.h"

struct entry {
    struct sk_watch watch;
    struct sk_gather *gather;
    skua_future *future; /* NULL: it was handed out, and may be gone; the reader's */
    size_t index;
    struct entry *next; /* in the list of done ones, under the gather's lock */
    bool fired;         /* it is or was in that list; under the gather's lock */
    bool foreign;       /* its workers are those of the parent of this forked process */
};

struct sk_gather {
    struct sk_lock lock;          /* protects the list */
    struct entry *first, *last;   /* done and not handed out */
    SK_ATOMIC(uint64_t) nr_fired; /* entries ever put into the list */
    struct sk_park park;          /* where the reader sleeps */
    /* the reader's */
    size_t nr_entries, nr_given, nr_foreign;
    size_t tried;    /* entries below it are not to be run by the reader */
    size_t attended; /* entries below it have ended, or run in no process */
    struct entry entries[];
};

static int by_future(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->future != y->future)
        return (uintptr_t)x->future < (uintptr_t)y->future ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

static int by_index(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return x->index < y->index ? -1 : x->index > y->index;
}

/* Removes repeated futures, keeping the first of each. */
static void unify(struct sk_gather *gather)
{
    size_t kept = 0;
    qsort(gather->entries, gather->nr_entries, sizeof(struct entry), by_future);
    for (size_t i = 0; i < gather->nr_entries; i++) {
        if (kept == 0 || gather->entries[kept - 1].future != gather->entries[i].future)
            gather->entries[kept++] = gather->entries[i];
    }
    gather->nr_entries = kept;
    qsort(gather->entries, kept, sizeof(struct entry), by_index);
}

static void append_locked(struct sk_gather *gather, struct entry *entry)
{
    entry->fired = true;
    entry->next = NULL;
    if (gather->first == NULL)
        gather->first = entry;
    else
        gather->last->next = entry;
    gather->last = entry;
    sk_add_sc(&gather->nr_fired, 1u); /* before the notify that follows */
}

static void fire(struct sk_watch *watch)
{
    struct entry *entry = SK_CONTAINER_OF(watch, struct entry, watch);
    struct sk_gather *gather = entry->gather;
    sk_lock_lock(&gather->lock);
    append_locked(gather, entry);
    sk_park_notify(&gather->park, 1);
    sk_lock_unlock(&gather->lock);
}

struct sk_gather *sk_gather_open(skua_future *const fs[], size_t n)
{
    struct sk_gather *gather = NULL;
    if (n < (SIZE_MAX - sizeof *gather) / sizeof(struct entry))
        gather = sk_calloc(1, sizeof *gather + n * sizeof(struct entry));
    if (gather == NULL)
        return NULL;
    sk_lock_init(&gather->lock, SK_RANK_WAITER);
    for (size_t i = 0; i < n; i++) {
        if (fs[i] != NULL)
            gather->entries[gather->nr_entries++] = (struct entry){ .future = fs[i], .index = i };
    }
    unify(gather);
    for (size_t i = 0; i < gather->nr_entries; i++) {
        struct entry *entry = &gather->entries[i];
        entry->gather = gather;
        entry->watch.fire = fire;
        if (!sk_state_done(&entry->future->state)) {
            entry->foreign = entry->future->fork_count != sk_thread_fork_count();
            gather->nr_foreign += entry->foreign;
            if (entry->foreign || sk_state_watch(&entry->future->state, &entry->watch))
                continue;
        }
        sk_lock_lock(&gather->lock);
        append_locked(gather, entry);
        sk_lock_unlock(&gather->lock);
    }
    return gather;
}

void sk_gather_close(struct sk_gather *gather)
{
    for (size_t i = 0; i < gather->nr_entries; i++) {
        struct entry *entry = &gather->entries[i];
        sk_lock_lock(&gather->lock);
        bool fired = entry->fired;
        sk_lock_unlock(&gather->lock);
        if (!fired && !entry->foreign)
            sk_state_unwatch(&entry->future->state, &entry->watch);
    }
    sk_free(gather);
}

size_t sk_gather_total(const struct sk_gather *gather)
{
    return gather->nr_entries;
}

size_t sk_gather_left(const struct sk_gather *gather)
{
    return gather->nr_entries - gather->nr_given;
}

static struct entry *take(struct sk_gather *gather)
{
    sk_lock_lock(&gather->lock);
    struct entry *entry = gather->first;
    if (entry != NULL)
        gather->first = entry->next;
    sk_lock_unlock(&gather->lock);
    return entry;
}

/* Runs one of the futures here, if this is a worker that may: its watch fires meanwhile. */
static bool run_one(struct sk_gather *gather)
{
    while (gather->tried < gather->nr_entries) {
        struct entry *entry = &gather->entries[gather->tried++];
        sk_lock_lock(&gather->lock);
        bool fired = entry->fired; /* then it may be gone */
        sk_lock_unlock(&gather->lock);
        if (!fired && !entry->foreign && sk_future_try_run(entry->future))
            return true;
    }
    return false;
}

/* For other threads too, while the reader sleeps. */
static struct sk_awaited *awaited(const void *set, size_t i)
{
    const struct sk_gather *gather = set;
    const struct entry *entry = &gather->entries[i];
    return entry->future == NULL || entry->foreign ? NULL : sk_future_awaited(entry->future);
}

static void wake(const void *set)
{
    sk_park_notify(&((struct sk_gather *)(uintptr_t)set)->park, 1);
}

static bool sleep_until_fired(struct sk_wait *wait, int64_t deadline_ns)
{
    struct sk_gather *gather = (struct sk_gather *)(uintptr_t)wait->set;
    uint32_t token = sk_park_prepare(&gather->park);
    if (sk_load_sc(&gather->nr_fired) == gather->nr_given && !sk_load_sc(&wait->told))
        return sk_park_wait(&gather->park, token, deadline_ns);
    sk_park_cancel(&gather->park);
    return true;
}

/* A future in a worker process that has not ended, or NULL. */
static skua_future *next_away(struct sk_gather *gather)
{
    for (; gather->attended < gather->nr_entries; gather->attended++) {
        struct entry *entry = &gather->entries[gather->attended];
        sk_lock_lock(&gather->lock);
        bool fired = entry->fired; /* then it may be gone */
        sk_lock_unlock(&gather->lock);
        if (!fired && !entry->foreign && entry->future->away != NULL)
            return entry->future;
    }
    return NULL;
}

/* Receives what comes back from processes for a while: a reply takes less than falling asleep. True
 * if one of the futures has ended. */
static bool attend(struct sk_gather *gather)
{
    struct sk_spin spin = { 0, 0 };
    skua_future *away;
    while ((away = next_away(gather)) != NULL) {
        bool any = sk_away_attend(away);
        if (sk_load_sc(&gather->nr_fired) != gather->nr_given)
            return true;
        if (any)
            spin = (struct sk_spin){ 0, 0 };
        else if (sk_spin_turn(&spin, sk_join_spin))
            break;
    }
    return false;
}

skua_status sk_gather_next(struct sk_gather *gather, int64_t deadline_ns, skua_future **f,
                           size_t *index)
{
    skua_status why = deadline_ns <= 0 ? SKUA_TIMEOUT : SKUA_OK; /* not to wait any more */
    *f = NULL;
    while (gather->nr_given < gather->nr_entries) {
        struct entry *entry = take(gather);
        if (entry != NULL) {
            gather->nr_given++;
            *f = entry->future;
            entry->future = NULL;
            *index = entry->index;
            return SKUA_OK;
        }
        if (gather->nr_given + gather->nr_foreign == gather->nr_entries)
            return SKUA_SHUTDOWN;
        if (why != SKUA_OK)
            return why;
        /* With several, one that runs here could hold back another that is done meanwhile. */
        bool last = gather->nr_given + 1 == gather->nr_entries;
        if (last && deadline_ns == SK_NO_DEADLINE && run_one(gather))
            continue;
        if (attend(gather))
            continue;
        struct sk_wait wait = {
            .at = awaited, .set = gather, .n = gather->nr_entries, .wake = wake
        };
        why = sk_await_sleep(&wait, sleep_until_fired, deadline_ns); /* then one more look */
    }
    return SKUA_OK;
}
