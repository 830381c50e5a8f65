/* A worker whose child was taken does not idle: it leapfrogs, taking children spawned inside the
 * one it waits for from the thief that runs it (sched/split.c). With nothing there it spins a
 * little, and then sleeps while a spare worker has its core. It never takes unrelated work: that
 * could want a mutex which the frame below holds. */
#include "sched/join.h"

#include "base/spin.h"
#include "sched/circle.h"
#include "sched/idle.h"

void sk_join_share(struct sk_worker *worker)
{
    if (sk_split_publish(&worker->split))
        sk_idle_notify(worker->sched);
}

static void sleep_until_done(struct sk_split *split, struct sk_split_entry *entry)
{
    uint32_t token = sk_park_prepare(&split->joined);
    if (sk_load_sc(&entry->state) == SK_SPLIT_DONE) { /* pairs with S3 in split.c */
        sk_park_cancel(&split->joined);
        return;
    }
    struct sk_wait wait;
    sk_worker_block_begin();
    sk_circle_enter_one(&wait, &entry->awaited);
    sk_park_wait(&split->joined, token, SK_NO_DEADLINE);
    sk_circle_leave(&wait);
    sk_worker_block_end();
}

void sk_join_wait(struct sk_split *split, struct sk_split_entry *entry)
{
    struct sk_spin spin = { 0, 0 };
    while (sk_load_acq(&entry->state) != SK_SPLIT_DONE) { /* pairs with S3 in split.c */
        if (sk_spin_turn(&spin, sk_join_spin))
            sleep_until_done(split, entry);
    }
}

/* Runs a child from inside what another worker runs, if there is one to be had. */
static bool take_child(struct sk_split *self, struct sk_split_span *span)
{
    struct sk_split *thief = sk_load_acq(&span->split); /* S6 in split.c */
    struct sk_split_entry *child = thief != NULL ? sk_split_steal(thief, span) : NULL;
    if (child == NULL)
        return false;
    sk_split_run(self, thief, child);
    return true;
}

bool sk_join_help(struct sk_worker *worker, struct sk_join_span *span)
{
    if (take_child(&worker->split, &span->children))
        return true;
    /* S6 in split.c: once it has begun, outer is set. */
    return sk_load_acq(&span->children.split) != NULL &&
           sk_region_help_inside(worker, &span->children, span->outer);
}

int sk_join_slow(struct sk_worker *worker, uint32_t index)
{
    struct sk_split *split = &worker->split;
    struct sk_split_entry *entry = &split->entries[index];
    if (sk_split_reclaim(split, index)) {
        int (*fn)(void *arg) = entry->fn;
        void *arg = entry->arg;
        sk_split_remove(split, index);
        if (sk_load_rlx(&split->asked) != 0)
            sk_join_share(worker);
        return fn(arg);
    }
    struct sk_spin spin = { 0, 0 };
    while (sk_load_acq(&entry->state) != SK_SPLIT_DONE) { /* pairs with S3 in split.c */
        if (take_child(split, &entry->span))
            spin = (struct sk_spin){ 0, 0 };
        else if (sk_spin_turn(&spin, sk_join_spin))
            sleep_until_done(split, entry);
    }
    int result = entry->result;
    void *left = entry->context;
    sk_split_remove(split, index);
    if (SK_UNLIKELY(left != NULL))
        split->class->take(left);
    return result;
}
