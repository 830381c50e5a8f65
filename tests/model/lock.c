/* base/lock.c: mutual exclusion, and no sleeper forgotten. */
#include "base/lock.h"

#include "base/mem.h"
#include "tests/model/checker.h"

static struct sk_lock lock = SK_LOCK_INIT(SK_RANK_LEAF);
static struct sk_lock *heap_lock;
static int count; /* plain: protected by the lock */

static void start(void)
{
    sk_lock_init(&lock, SK_RANK_LEAF);
    count = 0;
}

static void lock_once(void)
{
    sk_lock_lock(&lock);
    count++;
    sk_lock_unlock(&lock);
}

static void lock_twice(void)
{
    lock_once();
    lock_once();
}

static void try_once(void)
{
    if (sk_lock_try_lock(&lock)) {
        count++;
        sk_lock_unlock(&lock);
    } else {
        lock_once();
    }
}

static void finish_3(void)
{
    model_check(model_newest(&lock.word) == 0);
    model_check(count == 3);
}

static void finish_4(void)
{
    model_check(model_newest(&lock.word) == 0);
    model_check(count == 4);
}

/* The last holder frees the lock's memory: the one before it may still be in unlock. */
static void start_on_heap(void)
{
    count = 0;
    heap_lock = sk_calloc(1, sizeof *heap_lock);
    sk_lock_init(heap_lock, SK_RANK_LEAF);
}

static void lock_and_free(void)
{
    sk_lock_lock(heap_lock);
    bool last = ++count == 2;
    sk_lock_unlock(heap_lock);
    if (last)
        sk_free(heap_lock);
}

static const struct model_test tests[] = {
    { .name = "excludes_two",
      .setup = start,
      .thread = { lock_twice, lock_twice },
      .finish = finish_4,
      .flags = MODEL_SPURIOUS },
    { .name = "excludes_three",
      .setup = start,
      .thread = { lock_once, lock_once, lock_once },
      .finish = finish_3,
      .flags = MODEL_SPURIOUS },
    { .name = "excludes_four",
      .setup = start,
      .thread = { lock_once, lock_once, lock_once, lock_once },
      .finish = finish_4 },
    { .name = "try_lock_takes_or_declines",
      .setup = start,
      .thread = { lock_once, try_once, try_once },
      .finish = finish_3 },
    { .name = "last_holder_frees",
      .setup = start_on_heap,
      .thread = { lock_and_free, lock_and_free } },
};

MODEL_MAIN("lock", tests)
