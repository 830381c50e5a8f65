/* fork() in a program with pools: the child's are shut down, the parent's go on. */
#include "tests/support/harness.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/gate.h"

struct parent {
    skua_executor *ex;
    skua_future *pending;
    skua_future *done;
};

static int sum_piece(size_t begin, size_t end, void *ctx)
{
    size_t sum = 0;
    for (size_t i = begin; i < end; i++)
        sum += i;
    sk_add_rlx((SK_ATOMIC(size_t) *)ctx, sum);
    return 0;
}

static bool loop_works(skua_executor *ex)
{
    SK_ATOMIC(size_t) sum;
    sk_init(&sum, 0);
    return skua_for(ex, 0, 10000, sum_piece, &sum, NULL) == SKUA_OK &&
           sk_load_rlx(&sum) == 49995000;
}

/* Waits for a child task of its own. */
static int square_through_child(void *arg, void *result)
{
    skua_future *f = skt_submit_int(skua_default(), skt_square, *(int *)arg);
    const skua_status status = skua_result(f, result, sizeof(int), SKUA_FOREVER);
    skua_release(f);
    return status != SKUA_OK;
}

static bool pool_works(skua_executor *ex)
{
    int right = 0;
    skua_future *fs[8];
    for (int i = 0; i < 8; i++)
        fs[i] = skt_submit_int(ex, square_through_child, i);
    for (int i = 0; i < 8; i++) {
        int value = -1;
        right +=
            skua_result(fs[i], &value, sizeof value, SKUA_FOREVER) == SKUA_OK && value == i * i;
        skua_release(fs[i]);
    }
    return right == 8 && loop_works(ex);
}

/* What each child checks; the number of the first thing that is wrong. */
static int look_at_the_parents_pool(const struct parent *p)
{
    skua_future *f = skua_submit(p->ex, skt_nothing, NULL);
    const skua_status refused = skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    if (refused != SKUA_SHUTDOWN)
        return 1;
    if (skua_result(p->pending, NULL, 0, SKUA_FOREVER) != SKUA_SHUTDOWN)
        return 2;
    if (p->done != NULL && skua_result(p->done, NULL, 0, SKUA_FOREVER) != SKUA_OK)
        return 3;
    if (loop_works(p->ex))
        return 4;
    return 0;
}

static int child_of_busy_pool(void *arg)
{
    struct parent *p = arg;
    const int wrong = look_at_the_parents_pool(p);
    if (wrong != 0)
        return wrong;
    if (!pool_works(skua_default()))
        return 5;
    skua_release(p->pending);
    if (skua_shutdown(p->ex, SKUA_WAIT | SKUA_CANCEL_FUTURES, SKUA_FOREVER) != SKUA_OK)
        return 6;
    skua_close(p->ex);
    skua_executor *own = skua_thread_pool(&(skua_options){ .workers = 2 });
    if (own == NULL || !pool_works(own))
        return 7;
    skua_close(own);
    return 0;
}

/* ThreadSanitizer ends a child of a threaded process that starts threads. */
/* Sanitizers do not support threads in a child that was forked beside threads: ThreadSanitizer says
 * so, and AddressSanitizer's allocator may be locked for ever there. */
static void skip_under_sanitizers(void)
{
    if (!skt_has_tsan() && !skt_has_asan())
        return;
    print_message("sanitizers do not support threads in a forked child\n");
    skip();
}

static void a_child_has_a_shut_down_pool_and_may_make_new_ones(void **state)
{
    skip_under_sanitizers();
    struct parent p = { .ex = skt_pool(state) };
    struct skt_gate gate;
    skt_gate_init(&gate);
    p.done = skua_submit(p.ex, skt_nothing, NULL);
    assert_status(skua_result(p.done, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skt_gate_hold(&gate, p.ex, skt_workers(state));
    p.pending = skua_submit(p.ex, skt_nothing, NULL);
    for (int i = 0; i < 3; i++)
        assert_int_equal(skt_fork(child_of_busy_pool, &p).status, 0);
    skt_gate_open(&gate);
    assert_status(skua_result(p.pending, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_true(pool_works(p.ex));
    skua_release(p.pending);
    skua_release(p.done);
    skua_close(p.ex);
    skt_gate_fini(&gate);
}

static void a_child_of_an_idle_pool_does_not_hang(void **state)
{
    skip_under_sanitizers();
    struct parent p = { .ex = skt_pool(state) };
    struct skt_gate gate;
    skt_gate_init(&gate);
    assert_true(pool_works(p.ex));
    p.pending = skt_gate_submit(&gate, p.ex);
    assert_int_equal(skt_fork(child_of_busy_pool, &p).status, 0);
    skt_gate_open(&gate);
    assert_true(pool_works(p.ex));
    skua_release(p.pending);
    skua_close(p.ex);
    skt_gate_fini(&gate);
}

static int child_with_default(void *arg)
{
    (void)arg;
    return pool_works(skua_default()) && skua_worker() == -1 ? 0 : 1;
}

static void a_child_gets_a_new_default_pool(void **state)
{
    (void)state;
    skip_under_sanitizers();
    assert_true(pool_works(skua_default()));
    for (int i = 0; i < 5; i++)
        assert_int_equal(skt_fork(child_with_default, NULL).status, 0);
    assert_true(pool_works(skua_default()));
}

static int child_that_exits(void *arg)
{
    (void)arg;
    exit(pool_works(skua_default()) ? 0 : 1);
}

static void a_child_may_leave_by_exit(void **state)
{
    (void)state;
    skip_under_sanitizers();
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, skua_default());
    assert_int_equal(skt_fork(child_that_exits, NULL).status, 0);
    skt_gate_open(&gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skt_gate_fini(&gate);
}

static int grandchild(void *arg)
{
    (void)arg;
    if (!pool_works(skua_default()))
        return 1;
    return skt_fork(child_with_default, NULL).status == 0 ? 0 : 2;
}

static void grandchildren_work_too(void **state)
{
    (void)state;
    skip_under_sanitizers();
    assert_true(pool_works(skua_default()));
    assert_int_equal(skt_fork(grandchild, NULL).status, 0);
}

struct looper {
    skua_executor *ex;
    SK_ATOMIC(bool) over;
    struct skt_latch began;
    int wrong;
};

static void *loop_until_over(void *arg)
{
    struct looper *l = arg;
    while (!sk_load_acq(&l->over)) {
        l->wrong += !pool_works(l->ex);
        skt_latch_raise(&l->began);
    }
    return NULL;
}

static int child_amid_loop(void *arg)
{
    struct looper *l = arg;
    skua_future *f = skua_submit(l->ex, skt_nothing, NULL);
    const skua_status refused = skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    if (refused != SKUA_SHUTDOWN)
        return 1;
    return pool_works(skua_default()) ? 0 : 2;
}

static void fork_in_the_midst_of_loops_harms_nobody(void **state)
{
    skip_under_sanitizers();
    struct looper l = { .ex = skt_pool(state) };
    skt_latch_init(&l.began);
    const pthread_t thread = skt_thread(loop_until_over, &l);
    skt_latch_wait(&l.began, 1);
    int nr_wrong = 0;
    for (int i = 0; i < skt_rounds(40); i++)
        nr_wrong += skt_fork(child_amid_loop, &l).status != 0;
    sk_store_rel(&l.over, true);
    skt_join(thread);
    assert_int_equal(nr_wrong, 0);
    assert_int_equal(l.wrong, 0);
    skua_close(l.ex);
    skt_latch_fini(&l.began);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_child_has_a_shut_down_pool_and_may_make_new_ones),
        SKT_EACH(a_child_of_an_idle_pool_does_not_hang),
        SKT_TEST(a_child_gets_a_new_default_pool),
        SKT_TEST(a_child_may_leave_by_exit),
        SKT_TEST(grandchildren_work_too),
        SKT_EACH(fork_in_the_midst_of_loops_harms_nobody),
    };
    return skt_main(argc, argv, "fork", tests, SKT_COUNT(tests));
}
