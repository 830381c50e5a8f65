/* Waits that could never end are told so. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

#define MAX_RING 4

/* Tasks that know the futures of all. */
struct ring {
    int n;
    skua_future *fs[MAX_RING];
    struct skt_latch ready;
    struct skt_latch began;
    skua_status status[MAX_RING];
};

struct link {
    struct ring *ring;
    int number;
};

static void ring_init(struct ring *r, int n)
{
    *r = (struct ring){ .n = n };
    skt_latch_init(&r->ready);
    skt_latch_init(&r->began);
}

static void ring_fini(struct ring *r)
{
    for (int i = 0; i < r->n; i++)
        skua_release(r->fs[i]);
    skt_latch_fini(&r->ready);
    skt_latch_fini(&r->began);
}

static int by_result(void *arg, void *result)
{
    struct ring *r = arg;
    (void)result;
    skt_latch_wait(&r->ready, 1);
    r->status[0] = skua_result(r->fs[0], NULL, 0, SKUA_FOREVER);
    return 0;
}

static int by_exception(void *arg, void *result)
{
    struct ring *r = arg;
    (void)result;
    skt_latch_wait(&r->ready, 1);
    const skua_error *e = skua_exception(r->fs[0], SKUA_FOREVER);
    r->status[0] = e != NULL ? e->status : SKUA_OK;
    return 0;
}

static int by_wait(void *arg, void *result)
{
    struct ring *r = arg;
    (void)result;
    skt_latch_wait(&r->ready, 1);
    r->status[0] = skua_wait(r->fs, 1, SKUA_ALL_COMPLETED, SKUA_FOREVER);
    return 0;
}

static int by_wait_for_first(void *arg, void *result)
{
    struct ring *r = arg;
    (void)result;
    skt_latch_wait(&r->ready, 1);
    r->status[0] = skua_wait(r->fs, 1, SKUA_FIRST_COMPLETED, SKUA_FOREVER);
    return 0;
}

static int by_next(void *arg, void *result)
{
    struct ring *r = arg;
    (void)result;
    skt_latch_wait(&r->ready, 1);
    skua_iter *it = skua_as_completed(r->fs, 1, SKUA_FOREVER);
    const skua_future *f = skua_next(it, NULL);
    r->status[0] = skua_iter_close(it);
    return f != NULL;
}

static void check_self_wait(skua_executor *ex, skua_fn *way)
{
    struct ring r;
    ring_init(&r, 1);
    r.fs[0] = skua_submit(ex, way, &r);
    skt_latch_raise(&r.ready);
    assert_status(skua_result(r.fs[0], NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(r.status[0], SKUA_DEADLOCK);
    ring_fini(&r);
}

static void a_task_that_waits_for_itself_is_told_so(void **state)
{
    skua_executor *ex = skt_pool(state);
    check_self_wait(ex, by_result);
    check_self_wait(ex, by_exception);
    check_self_wait(ex, by_wait);
    skua_close(ex);
}

static void a_task_that_waits_for_the_first_of_itself_is_told_so(void **state)
{
    skua_executor *ex = skt_pool(state);
    check_self_wait(ex, by_wait_for_first);
    check_self_wait(ex, by_next);
    skua_close(ex);
}

static int wait_for_next(void *arg, void *result)
{
    const struct link *l = arg;
    struct ring *r = l->ring;
    (void)result;
    skt_latch_raise(&r->began);
    skt_latch_wait(&r->ready, 1);
    r->status[l->number] = skua_result(r->fs[(l->number + 1) % r->n], NULL, 0, SKUA_FOREVER);
    return 0;
}

/* Closes a ring of n running tasks; each pool has room for all of its own. */
static void check_ring(skua_executor *ex[MAX_RING], int n)
{
    struct ring r;
    ring_init(&r, n);
    for (int i = 0; i < n; i++) {
        struct link l = { &r, i };
        const skua_task task = { .fn = wait_for_next, .arg = &l, .arg_size = sizeof l };
        r.fs[i] = skua_submit_task(ex[i], &task);
    }
    skt_latch_wait(&r.began, n);
    skt_latch_raise(&r.ready);
    int nr_deadlocks = 0;
    for (int i = 0; i < n; i++) {
        assert_status(skua_result(r.fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        nr_deadlocks += r.status[i] == SKUA_DEADLOCK;
        assert_true(r.status[i] == SKUA_DEADLOCK || r.status[i] == SKUA_OK);
    }
    assert_in_range(nr_deadlocks, 1, n);
    ring_fini(&r);
}

static void a_ring_of_waits_is_told_to_at_least_one(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int n = 2; n <= MAX_RING && n <= skt_workers(state); n++)
        for (int i = 0; i < skt_rounds(50); i++)
            check_ring((skua_executor *[MAX_RING]){ ex, ex, ex, ex }, n);
    skua_close(ex);
}

static void a_ring_across_pools_is_told_to_at_least_one(void **state)
{
    skua_executor *one = skt_pool(state), *two = skt_pool(state);
    for (int i = 0; i < skt_rounds(50); i++)
        check_ring((skua_executor *[MAX_RING]){ one, two }, 2);
    skua_close(one);
    skua_close(two);
}

struct ancestor {
    skua_executor *ex;
    struct ring ring; /* fs[0] is the ancestor */
    skua_status child_status;
};

static int wait_for_ancestor(void *arg, void *result)
{
    struct ancestor *a = arg;
    (void)result;
    a->ring.status[0] = skua_result(a->ring.fs[0], NULL, 0, SKUA_FOREVER);
    return 0;
}

static int wait_for_descendant(void *arg, void *result)
{
    struct ancestor *a = arg;
    (void)result;
    skt_latch_wait(&a->ring.ready, 1);
    skua_future *child = skua_submit(a->ex, wait_for_ancestor, a);
    a->child_status = skua_result(child, NULL, 0, SKUA_FOREVER);
    skua_release(child);
    return 0;
}

static void a_task_and_its_child_that_wait_for_each_other_are_told(void **state)
{
    for (int i = 0; i < skt_rounds(50); i++) {
        struct ancestor a = { .ex = skt_pool(state) };
        ring_init(&a.ring, 1);
        a.ring.fs[0] = skua_submit(a.ex, wait_for_descendant, &a);
        skt_latch_raise(&a.ring.ready);
        assert_status(skua_result(a.ring.fs[0], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_close(a.ex); /* the child may still be on its way out */
        assert_true(a.ring.status[0] == SKUA_DEADLOCK || a.child_status == SKUA_DEADLOCK);
        ring_fini(&a.ring);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_task_that_waits_for_itself_is_told_so),
        SKT_EACH(a_task_and_its_child_that_wait_for_each_other_are_told),
        SKT_AT(a_ring_of_waits_is_told_to_at_least_one, 2),
        SKT_AT(a_ring_of_waits_is_told_to_at_least_one, 8),
        SKT_EACH(a_ring_across_pools_is_told_to_at_least_one),
        SKT_EACH(a_task_that_waits_for_the_first_of_itself_is_told_so),
    };
    return skt_main(argc, argv, "deadlock", tests, SKT_COUNT(tests));
}
