/* The split deque: private children cost nobody else anything, the older half is shared, and each
 * child runs once, in whatever order the owner syncs and wherever a thief comes in between. Owner
 * and thieves are one thread here, so that every step is in the test's hand. */
#include "sched/split.h"

#include <errno.h>

#include "base/mem.h"
#include "tests/support/harness.h"

enum {
    NR_CHILDREN = 8,
    FIVE = 5
};

static struct sk_split owner, thief, other;
static int times[NR_CHILDREN]; /* that each child has run */

static void begin(void)
{
    assert_int_equal(sk_split_init(&owner), 0);
    assert_int_equal(sk_split_init(&thief), 0);
    assert_int_equal(sk_split_init(&other), 0);
    for (int i = 0; i < NR_CHILDREN; i++)
        times[i] = 0;
}

static void end(void)
{
    sk_split_fini(&owner);
    sk_split_fini(&thief);
    sk_split_fini(&other);
}

static int child(void *arg)
{
    int *count = arg;
    ++*count;
    return 100 + (int)(count - times);
}

/* Returns whether a thief asks. */
static bool push(struct sk_split *split, int i)
{
    uint32_t index = UINT32_MAX;
    bool asked = false;
    assert_true(sk_split_push(split, child, &times[i], &index, &asked));
    assert_int_equal(index, split->head - 1);
    return asked;
}

static void push_many(struct sk_split *split, int n)
{
    for (int i = 0; i < n; i++)
        push(split, i);
}

/* Ends a child as sk_join_sync() does, but never waits. */
static int sync_child(struct sk_split *split, uint32_t index)
{
    struct sk_split_entry *entry = &split->entries[index];
    if (sk_split_pop(split, index))
        return entry->fn(entry->arg);
    if (sk_split_reclaim(split, index)) {
        int (*fn)(void *arg) = entry->fn;
        void *arg = entry->arg;
        sk_split_remove(split, index);
        return fn(arg);
    }
    assert_int_equal(sk_load_acq(&entry->state), SK_SPLIT_DONE);
    const int result = entry->result;
    sk_split_remove(split, index);
    return result;
}

static bool steal_and_run(struct sk_split *victim)
{
    struct sk_split_entry *entry = sk_split_steal(victim, NULL);
    if (entry != NULL)
        sk_split_run(&thief, victim, entry);
    return entry != NULL;
}

static void assert_unused(struct sk_split *split)
{
    assert_int_equal(split->head, 0);
    assert_int_equal(split->nr_holes, 0);
    assert_true(sk_split_empty(split));
    assert_null(sk_split_steal(split, NULL));
}

static void pop_takes_the_youngest_alone(void **state)
{
    (void)state;
    begin();
    push_many(&owner, 4);
    assert_false(sk_split_pop(&owner, 0));
    assert_false(sk_split_pop(&owner, 2));
    for (uint32_t i = 4; i-- > 0;)
        assert_true(sk_split_pop(&owner, i));
    assert_unused(&owner);
    end();
}

static void a_thief_who_finds_nothing_shared_asks(void **state)
{
    (void)state;
    begin();
    assert_false(push(&owner, 0));
    assert_true(sk_split_empty(&owner));
    assert_null(sk_split_steal(&owner, NULL));
    assert_true(push(&owner, 1));
    assert_true(sk_split_publish(&owner));
    assert_false(push(&owner, 2));
    end();
}

static void publish_shares_the_older_half(void **state)
{
    (void)state;
    for (int n = 1; n <= NR_CHILDREN; n++) {
        begin();
        push_many(&owner, n);
        assert_true(sk_split_publish(&owner));
        assert_false(sk_split_empty(&owner));
        const int nr_shared = (n + 1) / 2;
        for (int i = 0; i < nr_shared; i++)
            assert_ptr_equal(sk_split_steal(&owner, NULL), &owner.entries[i]);
        assert_true(sk_split_empty(&owner));
        assert_null(sk_split_steal(&owner, NULL));
        end();
    }
}

static void publish_without_private_children_shares_nothing(void **state)
{
    (void)state;
    begin();
    assert_false(sk_split_publish(&owner));
    push(&owner, 0);
    assert_true(sk_split_publish(&owner));
    assert_false(sk_split_publish(&owner));
    assert_ptr_equal(sk_split_steal(&owner, NULL), &owner.entries[0]);
    assert_false(sk_split_publish(&owner));
    end();
}

static void what_is_shared_is_not_popped_but_reclaimed(void **state)
{
    (void)state;
    begin();
    push_many(&owner, 4);
    assert_true(sk_split_publish(&owner)); /* 0 and 1 */
    assert_true(sk_split_reclaim(&owner, 3));
    assert_true(sk_split_pop(&owner, 3));
    assert_true(sk_split_pop(&owner, 2));
    assert_false(sk_split_pop(&owner, 1));
    assert_true(sk_split_reclaim(&owner, 1));
    assert_true(sk_split_pop(&owner, 1));
    assert_true(steal_and_run(&owner));
    assert_false(sk_split_reclaim(&owner, 0));
    assert_int_equal(sync_child(&owner, 0), 100);
    assert_unused(&owner);
    end();
}

static void what_was_reclaimed_is_not_stolen(void **state)
{
    (void)state;
    begin();
    push_many(&owner, 6);
    assert_true(sk_split_publish(&owner)); /* 0, 1 and 2 */
    assert_true(sk_split_reclaim(&owner, 1));
    assert_ptr_equal(sk_split_steal(&owner, NULL), &owner.entries[0]);
    assert_null(sk_split_steal(&owner, NULL));
    end();
}

static void a_stolen_child_tells_its_result(void **state)
{
    (void)state;
    begin();
    push_many(&owner, 2);
    assert_true(sk_split_publish(&owner));
    struct sk_split_entry *entry = sk_split_steal(&owner, NULL);
    assert_non_null(entry);
    assert_int_equal(sk_load_acq(&entry->state), SK_SPLIT_OPEN);
    sk_split_run(&thief, &owner, entry);
    assert_int_equal(sk_load_acq(&entry->state), SK_SPLIT_DONE);
    assert_int_equal(entry->result, 100);
    assert_null(sk_load_acq(&entry->span.split));
    assert_int_equal(sync_child(&owner, 1), 101);
    assert_int_equal(sync_child(&owner, 0), 100);
    assert_unused(&owner);
    end();
}

/* ---- any order ------------------------------------------------------------------------------- */

/* The next order of five numbers, or false after the last. */
static bool next_order(uint32_t order[FIVE])
{
    int i = FIVE - 2, j = FIVE - 1;
    while (i >= 0 && order[i] > order[i + 1])
        i--;
    if (i < 0)
        return false;
    while (order[j] < order[i])
        j--;
    const uint32_t swapped = order[i];
    order[i] = order[j];
    order[j] = swapped;
    for (int low = i + 1, high = FIVE - 1; low < high; low++, high--) {
        const uint32_t kept = order[low];
        order[low] = order[high];
        order[high] = kept;
    }
    return true;
}

/* Where the thief comes in: before sync number `when` the owner shares some, and it steals some. */
struct visit {
    int when, nr_publishes, nr_steals;
};

static void sync_in_order(const uint32_t order[FIVE], struct visit visit)
{
    push_many(&owner, FIVE);
    for (int i = 0; i < FIVE; i++) {
        for (int n = 0; i == visit.when && n < visit.nr_publishes; n++)
            sk_split_publish(&owner);
        for (int n = 0; i == visit.when && n < visit.nr_steals; n++)
            steal_and_run(&owner);
        assert_int_equal(sync_child(&owner, order[i]), 100 + order[i]);
    }
    assert_unused(&owner);
    for (int i = 0; i < FIVE; i++) {
        assert_int_equal(times[i], 1);
        times[i] = 0;
    }
}

static void five_children_are_synced_in_every_order(void **state)
{
    (void)state;
    uint32_t order[FIVE] = { 0, 1, 2, 3, 4 };
    int nr_orders = 0;
    begin();
    do {
        for (int when = 0; when < FIVE; when++) {
            for (int publishes = 0; publishes <= 3; publishes++) {
                for (int steals = 0; steals <= FIVE; steals++)
                    sync_in_order(order, (struct visit){ when, publishes, steals });
            }
        }
        nr_orders++;
    } while (next_order(order));
    assert_int_equal(nr_orders, 120);
    end();
}

static void a_hole_is_stolen_without_running_it(void **state)
{
    (void)state;
    begin();
    push_many(&owner, 3);
    assert_int_equal(sync_child(&owner, 0), 100);
    assert_int_equal(owner.nr_holes, 1);
    assert_true(sk_split_publish(&owner));
    assert_true(steal_and_run(&owner)); /* the hole */
    assert_true(steal_and_run(&owner)); /* child 1 */
    assert_int_equal(times[0], 1);
    assert_int_equal(times[1], 1);
    assert_int_equal(sync_child(&owner, 2), 102);
    assert_int_equal(sync_child(&owner, 1), 101);
    assert_unused(&owner);
    end();
}

static void children_are_pushed_above_holes(void **state)
{
    (void)state;
    begin();
    push_many(&owner, 3);
    assert_int_equal(sync_child(&owner, 1), 101);
    push(&owner, 3);
    assert_int_equal(owner.head, 4);
    assert_int_equal(sync_child(&owner, 2), 102);
    assert_int_equal(owner.head, 4);
    assert_int_equal(sync_child(&owner, 3), 103); /* and the holes under it */
    assert_int_equal(owner.head, 1);
    push(&owner, 4);
    assert_true(sk_split_pop(&owner, 1)); /* the fast way again */
    assert_int_equal(sync_child(&owner, 0), 100);
    assert_unused(&owner);
    end();
}

/* ---- capacity -------------------------------------------------------------------------------- */

static void a_full_deque_takes_no_more(void **state)
{
    (void)state;
    uint32_t index = 0;
    bool asked;
    begin();
    for (uint32_t i = 0; i < SK_SPLIT_CAPACITY; i++)
        push(&owner, 0);
    assert_false(sk_split_push(&owner, child, &times[1], &index, &asked));
    assert_true(sk_split_publish(&owner));
    assert_true(steal_and_run(&owner));
    assert_false(sk_split_push(&owner, child, &times[1], &index, &asked));
    assert_int_equal(sync_child(&owner, SK_SPLIT_CAPACITY - 1), 100);
    push(&owner, 1);
    for (uint32_t i = SK_SPLIT_CAPACITY; i-- > 0;)
        sync_child(&owner, i);
    assert_unused(&owner);
    assert_int_equal(times[0], SK_SPLIT_CAPACITY);
    assert_int_equal(times[1], 1);
    end();
}

static bool refuse(size_t size)
{
    (void)size;
    return false;
}

static void without_memory_there_is_no_deque(void **state)
{
    (void)state;
    sk_mem_set_hook(refuse);
    const int error = sk_split_init(&owner);
    sk_mem_set_hook(NULL);
    assert_int_equal(error, -ENOMEM);
    sk_split_fini(&owner);
}

/* ---- stealing within an entry ---------------------------------------------------------------- */

static struct sk_split_entry *running; /* what the thief runs */

/* Runs on the thief, above two older children of its own. */
static int spawn_inside(void *arg)
{
    (void)arg;
    push(&thief, 3);
    push(&thief, 4);
    while (sk_split_publish(&thief)) {
    }
    assert_int_equal(running->span.base, 2);
    assert_null(sk_split_steal(&thief, &running->span)); /* the oldest is no child of what runs */
    assert_ptr_equal(sk_split_steal(&thief, NULL), &thief.entries[0]);
    assert_null(sk_split_steal(&thief, &running->span));
    assert_ptr_equal(sk_split_steal(&thief, NULL), &thief.entries[1]);
    struct sk_split_entry *inner = sk_split_steal(&thief, &running->span);
    assert_ptr_equal(inner, &thief.entries[2]);
    sk_split_run(&other, &thief, inner);
    assert_int_equal(sync_child(&thief, 3), 104);
    assert_null(sk_split_steal(&thief, &running->span));
    assert_int_equal(sync_child(&thief, 2), 103);
    return 7;
}

static void stealing_within_an_entry_takes_only_its_descendants(void **state)
{
    (void)state;
    uint32_t index;
    bool asked;
    begin();
    push_many(&thief, 2);
    assert_true(sk_split_push(&owner, spawn_inside, NULL, &index, &asked));
    assert_true(sk_split_publish(&owner));
    running = sk_split_steal(&owner, NULL);
    assert_non_null(running);
    sk_split_run(&thief, &owner, running);
    assert_int_equal(running->result, 7);
    assert_int_equal(times[3] + times[4], 2);
    /* What the thief shares later is no part of an entry that is done. */
    push(&thief, 5);
    assert_true(sk_split_publish(&thief));
    assert_null(sk_split_steal(&thief, &running->span));
    assert_ptr_equal(sk_split_steal(&thief, NULL), &thief.entries[2]);
    end();
}

/* ---- causes ---------------------------------------------------------------------------------- */

static int tasks[3]; /* what children are a part of */

static void share_all(struct sk_split *split)
{
    while (sk_split_publish(split)) {
    }
}

static void a_shared_child_knows_its_cause(void **state)
{
    (void)state;
    begin();
    sk_split_set_cause(&owner, &tasks[0]);
    push_many(&owner, 2);
    sk_split_set_cause(&owner, &tasks[1]);
    push(&owner, 2);
    share_all(&owner);
    assert_ptr_equal(owner.entries[0].context, &tasks[0]);
    assert_ptr_equal(owner.entries[1].context, &tasks[0]);
    assert_ptr_equal(owner.entries[2].context, &tasks[1]);
    sync_child(&owner, 2);
    sk_split_set_cause(&owner, &tasks[0]);
    sync_child(&owner, 1);
    push(&owner, 3);
    push(&owner, 4);
    share_all(&owner);
    for (uint32_t i = 0; i < 3; i++)
        assert_ptr_equal(owner.entries[i].context, &tasks[0]);
    end();
}

/* What an earlier cause left in entries that are pushed again is not believed. */
static void a_cause_ends_with_its_children(void **state)
{
    (void)state;
    begin();
    sk_split_set_cause(&owner, &tasks[0]);
    push(&owner, 0);
    sk_split_set_cause(&owner, &tasks[1]);
    push(&owner, 1);
    push(&owner, 2);
    share_all(&owner);
    sk_split_set_cause(&owner, &tasks[2]); /* a third one inside, without children */
    sk_split_set_cause(&owner, &tasks[1]);
    sync_child(&owner, 2);
    sync_child(&owner, 1);
    sk_split_set_cause(&owner, &tasks[0]);
    push(&owner, 3);
    push(&owner, 4);
    share_all(&owner);
    for (uint32_t i = 0; i < 3; i++)
        assert_ptr_equal(owner.entries[i].context, &tasks[0]);
    sync_child(&owner, 2);
    sync_child(&owner, 1);
    sync_child(&owner, 0);
    sk_split_set_cause(&owner, NULL);
    push(&owner, 0);
    share_all(&owner);
    assert_null(owner.entries[0].context);
    end();
}

static int luggage;

static int run_as_part(int (*fn)(void *arg), void *arg, void *cause, void **left)
{
    assert_ptr_equal(cause, &tasks[1]);
    *left = &luggage;
    return fn(arg) + 1000;
}

static void a_stolen_child_runs_by_its_class(void **state)
{
    (void)state;
    static const struct sk_child_class class = { .run = run_as_part };
    begin();
    owner.class = &class;
    sk_split_set_cause(&owner, &tasks[1]);
    push(&owner, 0);
    share_all(&owner);
    struct sk_split_entry *stolen = sk_split_steal(&owner, NULL);
    assert_non_null(stolen);
    sk_split_run(&thief, &owner, stolen);
    assert_int_equal(stolen->result, 1100);
    assert_ptr_equal(stolen->context, &luggage);
    assert_int_equal(times[0], 1);
    end();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(pop_takes_the_youngest_alone),
        SKT_TEST(a_thief_who_finds_nothing_shared_asks),
        SKT_TEST(publish_shares_the_older_half),
        SKT_TEST(publish_without_private_children_shares_nothing),
        SKT_TEST(what_is_shared_is_not_popped_but_reclaimed),
        SKT_TEST(what_was_reclaimed_is_not_stolen),
        SKT_TEST(a_stolen_child_tells_its_result),
        SKT_TEST(five_children_are_synced_in_every_order),
        SKT_TEST(a_hole_is_stolen_without_running_it),
        SKT_TEST(children_are_pushed_above_holes),
        SKT_TEST(a_full_deque_takes_no_more),
        SKT_TEST(without_memory_there_is_no_deque),
        SKT_TEST(stealing_within_an_entry_takes_only_its_descendants),
        SKT_TEST(a_shared_child_knows_its_cause),
        SKT_TEST(a_cause_ends_with_its_children),
        SKT_TEST(a_stolen_child_runs_by_its_class),
    };
    return skt_main(argc, argv, "split", tests, SKT_COUNT(tests));
}
