/* A worker that waits for a running task works on what that task has to have done, and on nothing
 * else. */
#include "tests/support/harness.h"

#include "base/atomic.h"
#include "tests/support/gate.h"

/* A task that has something to be done, and one that waits for it in another worker. */
struct pair {
    skua_executor *ex;
    skua_future *f; /* what the waiter waits for */
    struct skt_latch begun;
    struct skt_latch may_wait; /* risen when the waiter is to wait */
    struct skt_latch is_set;   /* risen when f is set */
    struct skt_latch waiter_is_known;
    pthread_t waiter;
    SK_ATOMIC(int) by_waiter, by_others, nr_pieces;
    int in_wait; /* of by_waiter, when the wait had ended */
};

static void pair_init(struct pair *p, skua_executor *ex)
{
    *p = (struct pair){ .ex = ex };
    skt_latch_init(&p->begun);
    skt_latch_init(&p->may_wait);
    skt_latch_init(&p->is_set);
    skt_latch_init(&p->waiter_is_known);
}

static void pair_fini(struct pair *p)
{
    skt_latch_fini(&p->begun);
    skt_latch_fini(&p->may_wait);
    skt_latch_fini(&p->is_set);
    skt_latch_fini(&p->waiter_is_known);
}

static int wait_for_it(void *arg, void *result)
{
    struct pair *p = arg;
    (void)result;
    p->waiter = pthread_self();
    skt_latch_raise(&p->waiter_is_known);
    skt_latch_wait(&p->may_wait, 1);
    skt_latch_wait(&p->is_set, 1);
    const skua_status status = skua_result(p->f, NULL, 0, SKUA_FOREVER);
    p->in_wait = sk_load_acq(&p->by_waiter);
    return status;
}

static void note_thread(struct pair *p)
{
    sk_add_rlx(pthread_equal(pthread_self(), p->waiter) ? &p->by_waiter : &p->by_others, 1);
}

/* Two pieces, each of which goes on when both have begun. */
static int meet(size_t begin, size_t end, void *ctx)
{
    struct pair *p = ctx;
    for (size_t i = begin; i < end; i++) {
        note_thread(p);
        skt_latch_raise(&p->begun);
        skt_latch_raise(&p->may_wait);
        if (!skt_latch_wait_for(&p->begun, 2, 10 * skt_slow_factor()))
            return 1;
    }
    return 0;
}

static int run_loop_of_two(void *arg, void *result)
{
    struct pair *p = arg;
    const skua_loop o = { .grain = 1, .schedule = SKUA_DYNAMIC };
    (void)result;
    skt_latch_wait(&p->waiter_is_known, 1);
    return skua_for(p->ex, 0, 2, meet, p, &o);
}

static int note_child(void *arg)
{
    struct pair *p = arg;
    note_thread(p);
    skt_latch_raise(&p->begun);
    return 0;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* Its child is shared when a thief has asked, which it looks at as it spawns. */
static int spawn_one(void *arg, void *result)
{
    struct pair *p = arg;
    skua_child child, other;
    (void)result;
    skt_latch_wait(&p->waiter_is_known, 1);
    skua_spawn(&child, note_child, p);
    skt_latch_raise(&p->may_wait);
    const double end = skt_now() + 10 * skt_slow_factor();
    while (skt_latch_count(&p->begun) == 0 && skt_now() < end) {
        skua_spawn(&other, nothing, NULL);
        skua_sync(&other);
    }
    return skua_sync(&child);
}

/* Both workers are taken, one by the waiter. Returns how much of the two parts it has done. */
static int done_by_waiter(skua_fn *task, int parts)
{
    struct pair p;
    skua_executor *ex = skt_pool_of(2); /* in which no spare is about yet */
    pair_init(&p, ex);
    p.f = skua_submit(ex, task, &p);
    skt_latch_raise(&p.is_set);
    skua_future *waiter = skua_submit(ex, wait_for_it, &p);
    assert_status(skua_result(waiter, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_result(p.f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(&p.by_waiter) + sk_load_acq(&p.by_others), parts);
    assert_int_equal(p.in_wait, sk_load_acq(&p.by_waiter));
    skua_release(waiter);
    skua_release(p.f);
    skua_close(ex);
    pair_fini(&p);
    return p.in_wait;
}

static void a_waiter_works_in_the_loop_of_the_awaited_task(void **state)
{
    (void)state;
    for (int i = 0; i < skt_rounds(50); i++)
        assert_int_equal(done_by_waiter(run_loop_of_two, 2), 1);
}

/* A waiter whose wish is not seen for a while sleeps, and a spare takes the child. */
static void a_waiter_takes_children_of_the_awaited_task(void **state)
{
    int taken = 0;
    (void)state;
    for (int i = 0; i < skt_rounds(1000) && taken == 0; i++)
        taken += done_by_waiter(spawn_one, 1);
    assert_true(taken > 0);
}

/* Runs in a piece of a loop, on the stack of the loop's caller: that loop is not part of it. */
static int be_waited_for(void *arg, void *result)
{
    struct pair *p = arg;
    (void)result;
    skt_latch_raise(&p->may_wait);
    skt_pause(0.002);
    return 0;
}

static int first_piece_waits(size_t begin, size_t end, void *ctx)
{
    struct pair *p = ctx;
    for (size_t i = begin; i < end; i++) {
        note_thread(p);
        if (sk_add_acq_rel(&p->nr_pieces, 1) == 0) {
            p->f = skua_submit(p->ex, be_waited_for, p);
            skt_latch_raise(&p->is_set);
            skua_result(p->f, NULL, 0, SKUA_FOREVER);
        }
    }
    return 0;
}

static int run_loop_around(void *arg, void *result)
{
    struct pair *p = arg;
    const skua_loop o = { .grain = 1, .schedule = SKUA_DYNAMIC };
    (void)result;
    skt_latch_wait(&p->waiter_is_known, 1);
    return skua_for(p->ex, 0, 8, first_piece_waits, p, &o);
}

static void a_waiter_leaves_loops_around_the_awaited_task_alone(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(50); i++) {
        struct pair p;
        pair_init(&p, ex);
        skua_future *around = skua_submit(ex, run_loop_around, &p);
        skua_future *waiter = skua_submit(ex, wait_for_it, &p);
        assert_status(skua_result(waiter, NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_status(skua_result(around, NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(p.in_wait, 0);
        assert_int_equal(sk_load_acq(&p.by_others) + sk_load_acq(&p.by_waiter), 8);
        skua_release(waiter);
        skua_release(around);
        skua_release(p.f);
        pair_fini(&p);
    }
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_waiter_works_in_the_loop_of_the_awaited_task),
        SKT_TEST(a_waiter_takes_children_of_the_awaited_task),
        SKT_AT(a_waiter_leaves_loops_around_the_awaited_task_alone, 2),
        SKT_AT(a_waiter_leaves_loops_around_the_awaited_task_alone, 8),
    };
    return skt_main(argc, argv, "leapfrog", tests, SKT_COUNT(tests));
}
