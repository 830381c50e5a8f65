/* The split deque: children spawned and synced in random order, by an owner and three thieves that
 * spawn too, each run once and give their result back. */
#include "sched/split.h"

#include <sched.h>

#include "base/time.h"
#include "tests/support/harness.h"

enum {
    NR_THREADS = 4,        /* the owner and three thieves */
    NR_CHILDREN = 1000000, /* at least */
    NR_STOLEN = 100000,    /* of them, within */
    SECONDS = 10,
    MAX_OPEN = 12, /* children open at once in one frame */
    MAX_DEPTH = 5
};

static struct sk_split splits[NR_THREADS];
static SK_THREAD_LOCAL struct sk_split *self;
static SK_THREAD_LOCAL uint32_t seed;
static SK_THREAD_LOCAL int nr_spawned; /* by this thread */

static struct {
    SK_ATOMIC(bool) over;
    SK_ATOMIC(int) nr_ran, nr_spawned, nr_stolen, nr_wrong, nr_stalls;
} sum;

/* One child, in the frame of who spawned it. */
struct child {
    SK_ATOMIC(int) runs;
    int depth;
    int result; /* what it shall return */
    uint32_t index;
};

static int run_child(void *arg);

static bool spawn(struct child *child)
{
    bool asked = false;
    if (!sk_split_push(self, run_child, child, &child->index, &asked))
        return false;
    nr_spawned++;
    if (asked)
        sk_split_publish(self);
    return true;
}

static void wait_until_done(struct sk_split_entry *entry)
{
    const uint32_t token = sk_park_prepare(&self->joined);
    if (sk_load_sc(&entry->state) == SK_SPLIT_DONE)
        sk_park_cancel(&self->joined);
    else if (!sk_park_wait(&self->joined, token, sk_deadline_ns(1.0 * skt_slow_factor())) &&
             sk_load_sc(&entry->state) == SK_SPLIT_DONE)
        sk_add_rlx(&sum.nr_stalls, 1); /* it had ended, and nobody told */
}

/* As sched/join.c does it, but it sleeps early. */
static int sync_child(uint32_t index)
{
    struct sk_split_entry *entry = &self->entries[index];
    if (sk_split_pop(self, index))
        return entry->fn(entry->arg);
    if (sk_split_reclaim(self, index)) {
        int (*fn)(void *arg) = entry->fn;
        void *arg = entry->arg;
        sk_split_remove(self, index);
        return fn(arg);
    }
    for (int turn = 0; sk_load_acq(&entry->state) != SK_SPLIT_DONE; turn++) {
        struct sk_split *thief = sk_load_acq(&entry->span.split);
        struct sk_split_entry *within = thief != NULL ? sk_split_steal(thief, &entry->span) : NULL;
        if (within != NULL)
            sk_split_run(self, thief, within);
        else if (turn % 8 == 7)
            wait_until_done(entry);
    }
    const int result = entry->result;
    sk_split_remove(self, index);
    return result;
}

static void sync_one(struct child *open[], int *nr_open, int which)
{
    struct child *child = open[which];
    open[which] = open[--*nr_open];
    if (sync_child(child->index) != child->result || sk_load_acq(&child->runs) != 1)
        sk_add_rlx(&sum.nr_wrong, 1);
}

/* Spawns n children in all, and syncs them at any time in any order. */
static void spawn_and_sync(int n, int depth)
{
    struct child children[MAX_OPEN * 2], *open[MAX_OPEN];
    int nr_open = 0, nr = 0;
    while (nr < n || nr_open > 0) {
        const bool may_spawn = nr < n && nr_open < MAX_OPEN;
        if (may_spawn && (nr_open == 0 || skt_random(&seed) % 3 != 0)) {
            struct child *child = &children[nr++];
            sk_init(&child->runs, 0);
            child->depth = depth;
            child->result = (int)(skt_random(&seed) % 1000);
            open[nr_open] = child;
            if (spawn(child))
                nr_open++;
            else
                sk_add_rlx(&sum.nr_wrong, 1);
        } else {
            const bool youngest = skt_random(&seed) % 2 == 0;
            const int which = youngest ? nr_open - 1 : (int)(skt_random(&seed) % (uint32_t)nr_open);
            sync_one(open, &nr_open, which);
        }
    }
}

static int run_child(void *arg)
{
    struct child *child = arg;
    sk_add_acq_rel(&child->runs, 1);
    sk_add_rlx(&sum.nr_ran, 1);
    if (child->depth < MAX_DEPTH && skt_random(&seed) % 2 == 0)
        spawn_and_sync((int)(skt_random(&seed) % 4), child->depth + 1);
    return child->result;
}

static void *steal_until_over(void *arg)
{
    const int me = (int)((struct sk_split *)arg - splits);
    self = arg;
    seed = (uint32_t)me + 1;
    nr_spawned = 0;
    while (!sk_load_acq(&sum.over)) {
        for (int i = 1; i < NR_THREADS; i++) {
            struct sk_split *victim = &splits[(me + i) % NR_THREADS];
            struct sk_split_entry *entry = sk_split_steal(victim, NULL);
            if (entry != NULL) {
                sk_split_run(self, victim, entry);
                sk_add_rlx(&sum.nr_stolen, 1);
            }
        }
        if (skt_random(&seed) % 16 == 0)
            sched_yield();
    }
    sk_add_rlx(&sum.nr_spawned, nr_spawned);
    return NULL;
}

static void children_run_once_in_whatever_order_they_are_synced(void **state)
{
    (void)state;
    const int n = skt_rounds(NR_CHILDREN);
    pthread_t thieves[NR_THREADS];
    self = &splits[0];
    seed = 1;
    nr_spawned = 0;
    for (int i = 0; i < NR_THREADS; i++)
        assert_int_equal(sk_split_init(&splits[i]), 0);
    for (int i = 1; i < NR_THREADS; i++)
        thieves[i] = skt_thread(steal_until_over, &splits[i]);
    const double enough = skt_now() + SECONDS; /* one core gives thieves few turns */
    while (sk_load_rlx(&sum.nr_ran) < n ||
           (sk_load_rlx(&sum.nr_stolen) < skt_rounds(NR_STOLEN) && skt_now() < enough))
        spawn_and_sync((int)(skt_random(&seed) % (MAX_OPEN * 2)) + 1, 0);
    sk_store_rel(&sum.over, true);
    for (int i = 1; i < NR_THREADS; i++)
        skt_join(thieves[i]);
    assert_int_equal(sk_load_rlx(&sum.nr_wrong), 0);
    assert_int_equal(sk_load_rlx(&sum.nr_stalls), 0);
    assert_int_equal(sk_load_rlx(&sum.nr_ran), sk_load_rlx(&sum.nr_spawned) + nr_spawned);
    for (int i = 0; i < NR_THREADS; i++) {
        assert_int_equal(splits[i].head, 0);
        assert_int_equal(splits[i].nr_holes, 0);
        assert_true(sk_split_empty(&splits[i]));
        sk_split_fini(&splits[i]);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(children_run_once_in_whatever_order_they_are_synced),
    };
    return skt_main(argc, argv, "split", tests, SKT_COUNT(tests));
}
