/* Idle workers, and threads that wait, cost no processor time. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

#define SECONDS 1.0

/* Of a second; the sanitizers have threads of their own. */
static double burn_limit(void)
{
    return skt_slow_factor() > 1 ? 0.3 : 0.05;
}

static double burn_of_a_second(void)
{
    const double before = skt_cpu_seconds();
    skt_pause(SECONDS); /* not synchronisation: the time in which nothing may be burnt */
    return (skt_cpu_seconds() - before) / SECONDS;
}

static int touch(size_t begin, size_t end, void *ctx)
{
    sk_add_rlx((SK_ATOMIC(size_t) *)ctx, end - begin);
    return 0;
}

static void an_idle_pool_burns_nothing(void **state)
{
    skua_executor *ex = skt_pool(state);
    SK_ATOMIC(size_t) sum;
    sk_init(&sum, 0);
    assert_status(skua_for(ex, 0, 100000, touch, &sum, &(skua_loop){ .grain = 10 }), SKUA_OK);
    const double burn = burn_of_a_second();
    print_message("%.4f CPU seconds a second\n", burn);
    assert_true(burn <= burn_limit());
    skua_close(ex);
}

static void *wait_outside(void *f)
{
    return (void *)(intptr_t)skua_result(f, NULL, 0, SKUA_FOREVER);
}

static int wait_inside(void *arg, void *result)
{
    (void)result;
    return skua_result(arg, NULL, 0, SKUA_FOREVER);
}

static void waiting_burns_nothing(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *held = skt_gate_submit(&gate, other);
    skua_future *inside = skua_submit(ex, wait_inside, held);
    const pthread_t outside = skt_thread(wait_outside, held);
    skt_pause(0.05); /* not synchronisation: lets the waits go to sleep */
    const double burn = burn_of_a_second();
    print_message("%.4f CPU seconds a second\n", burn);
    skt_gate_open(&gate);
    skt_join(outside);
    assert_status(skua_result(inside, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_true(burn <= burn_limit());
    skua_release(held);
    skua_release(inside);
    skua_close(ex);
    skua_close(other);
    skt_gate_fini(&gate);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(an_idle_pool_burns_nothing),
        SKT_AT(waiting_burns_nothing, 1),
        SKT_AT(waiting_burns_nothing, 8),
    };
    return skt_main(argc, argv, "idle", tests, SKT_COUNT(tests));
}
