/* Waits inside tasks, deep and many: chains, pools that wait for each other, timeouts that pass
 * just when the task ends, iterators that are closed early. */
#include "tests/support/harness.h"

#include <sched.h>

#include "tests/support/gate.h"

static int chain(void *arg, void *result)
{
    const int left = *(int *)arg;
    if (left == 0)
        return 0;
    skua_future *f = skt_submit_int(skua_default(), chain, left - 1);
    int below = -1;
    const skua_status status = skua_result(f, &below, sizeof below, SKUA_FOREVER);
    skua_release(f);
    *(int *)result = below + 1;
    return status == SKUA_OK ? 0 : 1;
}

static void a_chain_of_ten_thousand_waits_does_not_overflow(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int depth = skt_slow_factor() > 1 ? 2000 : 10000;
    skua_future *f = skt_submit_int(ex, chain, depth);
    int reached = 0;
    const skua_status status = skua_result(f, &reached, sizeof reached, SKUA_FOREVER);
    if (status == SKUA_OK)
        assert_int_equal(reached, depth);
    else
        print_message("the chain ended with %s\n", skua_strstatus(status));
    skua_release(f);
    skua_close(ex);
}

struct net {
    skua_executor *ex[2];
    SK_ATOMIC(int) runs;
};

struct knot {
    struct net *net;
    int depth;
    int side;
};

/* Each waits for two below it, one in its own pool and one in the other. */
static int tie(void *arg, void *result)
{
    const struct knot *k = arg;
    struct net *net = k->net;
    (void)result;
    sk_add_acq_rel(&net->runs, 1);
    skua_future *fs[2] = { NULL, NULL };
    for (int i = 0; i < 2 && k->depth > 0; i++) {
        struct knot below = { net, k->depth - 1, k->side ^ i };
        const skua_task task = { .fn = tie, .arg = &below, .arg_size = sizeof below };
        fs[i] = skua_submit_task(net->ex[k->side ^ i], &task);
    }
    int rc = skua_wait(fs, 2, SKUA_ALL_COMPLETED, SKUA_FOREVER);
    for (int i = 0; i < 2; i++) {
        rc |= fs[i] != NULL && skua_result(fs[i], NULL, 0, 0) != SKUA_OK;
        skua_release(fs[i]);
    }
    return rc;
}

static void a_net_of_waits_over_two_pools_comes_undone(void **state)
{
    for (int round = skt_rounds(10); round > 0; round--) {
        struct net net = { .ex = { skt_pool(state), skt_pool(state) } };
        const int depth = 8;
        struct knot top = { &net, depth, 0 };
        skua_future *f = skua_submit(net.ex[0], tie, &top);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(sk_load_acq(&net.runs), (2 << depth) - 1);
        skua_release(f);
        skua_close(net.ex[0]);
        skua_close(net.ex[1]);
    }
}

static int yield_a_little(void *arg, void *result)
{
    (void)result;
    for (uint32_t i = *(uint32_t *)arg; i > 0; i--)
        sched_yield();
    return 0;
}

static void a_timeout_that_races_with_the_end_tells_one_or_the_other(void **state)
{
    skua_executor *ex = skt_pool(state);
    uint32_t seed = 17;
    int nr_timeouts = 0;
    for (int i = skt_rounds(20000); i > 0; i--) {
        uint32_t yields = skt_random(&seed) % 20;
        const skua_task task = { .fn = yield_a_little, .arg = &yields, .arg_size = sizeof yields };
        skua_future *fs[2] = { skua_submit_task(ex, &task), skua_submit(ex, skt_nothing, NULL) };
        const double timeout = skt_random(&seed) % 50 * 1e-6;
        skua_status status;
        if (i % 2 == 0)
            status = skua_result(fs[0], NULL, 0, timeout);
        else
            status = skua_wait(fs, 2, SKUA_ALL_COMPLETED, timeout);
        assert_true(status == SKUA_OK || status == SKUA_TIMEOUT);
        assert_true(status == SKUA_TIMEOUT || skua_done(fs[0]));
        nr_timeouts += status == SKUA_TIMEOUT;
        skua_release(fs[0]);
        skua_release(fs[1]);
    }
    print_message("%d timeouts\n", nr_timeouts);
    skua_close(ex);
}

static void iterators_may_be_closed_at_any_moment(void **state)
{
    skua_executor *ex = skt_pool(state);
    uint32_t seed = 23;
    for (int i = skt_rounds(3000); i > 0; i--) {
        skua_future *fs[16];
        for (int k = 0; k < 16; k++)
            fs[k] = skua_submit(ex, skt_nothing, NULL);
        skua_iter *it = skua_as_completed(fs, 16, skt_random(&seed) % 2 == 0 ? 0 : SKUA_FOREVER);
        assert_non_null(it);
        for (uint32_t k = skt_random(&seed) % 17; k > 0; k--)
            if (skua_next(it, NULL) == NULL)
                break;
        const skua_status status = skua_iter_close(it);
        assert_true(status == SKUA_OK || status == SKUA_TIMEOUT);
        for (int k = 0; k < 16; k++)
            skua_release(fs[k]);
    }
    skua_close(ex);
}

struct fib {
    int n;
    long value;
};

static int fib(void *arg)
{
    struct fib *f = arg, a = { f->n - 1, 0 }, b = { f->n - 2, 0 };
    if (f->n < 2) {
        f->value = f->n;
        return 0;
    }
    skua_child child;
    skua_spawn(&child, fib, &a);
    fib(&b);
    const int rc = skua_sync(&child);
    f->value = a.value + b.value;
    return rc;
}

static int fib_piece(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++) {
        struct fib f = { 10, 0 };
        skua_future *child = skua_submit(skua_default(), skt_count, ctx);
        if (fib(&f) != 0 || f.value != 55)
            return 1;
        if (skua_result(child, NULL, 0, SKUA_FOREVER) != SKUA_OK)
            return 2;
        skua_release(child);
    }
    return 0;
}

static int everything_at_once(void *arg, void *result)
{
    struct net *net = arg;
    (void)result;
    struct fib f = { 14, 0 };
    if (skua_call(net->ex[0], fib, &f) != 0 || f.value != 377)
        return 1;
    return skua_for(net->ex[0], 0, 20, fib_piece, &net->runs, &(skua_loop){ .grain = 1 });
}

static void spawns_loops_and_waits_mix(void **state)
{
    struct net net = { .ex = { skt_pool(state) } };
    const int n = skt_rounds(500);
    for (int round = 0; round < n; round += 10) {
        skua_future *fs[10];
        for (int i = 0; i < 10; i++)
            fs[i] = skua_submit(net.ex[0], everything_at_once, &net);
        for (int i = 0; i < 10; i++) {
            assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
            skua_release(fs[i]);
        }
    }
    assert_int_equal(sk_load_acq(&net.runs), (n + 9) / 10 * 200);
    skua_close(net.ex[0]);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_AT(a_chain_of_ten_thousand_waits_does_not_overflow, 1),
        SKT_AT(a_chain_of_ten_thousand_waits_does_not_overflow, 2),
        SKT_EACH(a_net_of_waits_over_two_pools_comes_undone),
        SKT_EACH(a_timeout_that_races_with_the_end_tells_one_or_the_other),
        SKT_EACH(iterators_may_be_closed_at_any_moment),
        SKT_EACH(spawns_loops_and_waits_mix),
    };
    return skt_main(argc, argv, "api_waits", tests, SKT_COUNT(tests));
}
