/* link: -Wl,--wrap=pthread_create */
/* Threads run out: pthread_create() fails for some workers, and for all. */
#include "tests/support/harness.h"

#include <errno.h>
#include <string.h>

#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

static SK_ATOMIC(int) nr_allowed = INT32_MAX;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg)
{
    if (sk_sub_acq_rel(&nr_allowed, 1) <= 0)
        return EAGAIN;
    return __real_pthread_create(thread, attr, fn, arg);
}

static skua_executor *pool_with_threads(int workers, int threads)
{
    sk_store_rel(&nr_allowed, threads);
    skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = workers });
    sk_store_rel(&nr_allowed, INT32_MAX);
    return ex;
}

static void without_a_single_thread_there_is_no_pool(void **state)
{
    const int before = skt_nr_threads();
    skt_log_start();
    assert_null(pool_with_threads(skt_workers(state), 0));
    assert_status(skua_last_error()->status, SKUA_NO_MEMORY);
    skt_log_stop();
    assert_true(skt_threads_become(before));
}

static int touch(size_t begin, size_t end, void *ctx)
{
    sk_add_rlx((SK_ATOMIC(int) *)ctx, (int)(end - begin));
    return 0;
}

static void with_fewer_threads_the_pool_is_smaller_and_says_so(void **state)
{
    const int workers = skt_workers(state);
    for (int threads = 1; threads < workers; threads++) {
        skt_log_start();
        skua_executor *ex = pool_with_threads(workers, threads);
        assert_non_null(ex);
        assert_int_equal(skua_workers(ex), threads);
        assert_int_equal(skt_log_lines(), 1);
        skt_log_stop();

        SK_ATOMIC(int) runs;
        sk_init(&runs, 0);
        struct skt_gate gate;
        skt_gate_init(&gate);
        skt_gate_hold(&gate, ex, threads);
        for (int i = 0; i < 100; i++)
            skua_release(skua_submit(ex, skt_count, &runs));
        skt_gate_open(&gate);
        assert_status(skua_for(ex, 0, 1000, touch, &runs, &(skua_loop){ .grain = 1 }), SKUA_OK);
        const skua_loop blocks = { .schedule = SKUA_STATIC };
        assert_status(skua_for(ex, 0, 1000, touch, &runs, &blocks), SKUA_OK);
        skua_close(ex);
        assert_int_equal(sk_load_acq(&runs), 2100);
        skt_gate_fini(&gate);
    }
}

static int wait_a_little(void *arg, void *result)
{
    (void)result;
    const skua_status status = skua_result(arg, NULL, 0, 0.05);
    return status == SKUA_TIMEOUT || status == SKUA_NO_MEMORY ? 0 : 1;
}

static void a_wait_inside_a_task_survives_without_a_spare_thread(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *held = skt_gate_submit(&gate, other);
    skt_log_start();
    sk_store_rel(&nr_allowed, 0);
    skua_future *fs[8];
    for (int i = 0; i < 8; i++)
        fs[i] = skua_submit(ex, wait_a_little, held);
    for (int i = 0; i < 8; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    sk_store_rel(&nr_allowed, INT32_MAX);
    skt_log_stop();
    skt_gate_open(&gate);
    skua_release(held);
    skua_close(ex);
    skua_close(other);
    skt_gate_fini(&gate);
}

static int meet(int rank, int members, void *ctx)
{
    (void)rank;
    (void)members;
    (void)ctx;
    return skua_team_barrier();
}

static int begin_another(int rank, int members, void *ctx)
{
    skua_status status = SKUA_OK;
    if (rank == 0)
        status = skua_team(ctx, members, meet, NULL);
    return skua_team_barrier() == SKUA_OK ? (int)status : 1;
}

/* The others sleep at the barrier, and nobody stands in for them. */
static void a_team_inside_a_team_gives_up_without_a_spare_thread(void **state)
{
    skua_executor *ex = skt_pool(state);
    sk_store_rel(&nr_allowed, 0);
    assert_status(skua_team(ex, skt_workers(state), begin_another, ex), SKUA_FAILED);
    assert_int_equal(skua_last_error()->code, SKUA_NO_MEMORY);
    assert_non_null(strstr(skua_last_error()->message, "no thread"));
    sk_store_rel(&nr_allowed, INT32_MAX);
    assert_status(skua_team(ex, skt_workers(state), begin_another, ex), SKUA_OK);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(without_a_single_thread_there_is_no_pool),
        SKT_AT(with_fewer_threads_the_pool_is_smaller_and_says_so, 2),
        SKT_AT(with_fewer_threads_the_pool_is_smaller_and_says_so, 8),
        SKT_EACH(a_wait_inside_a_task_survives_without_a_spare_thread),
        SKT_AT(a_team_inside_a_team_gives_up_without_a_spare_thread, 2),
        SKT_AT(a_team_inside_a_team_gives_up_without_a_spare_thread, 8),
    };
    return skt_main(argc, argv, "fail_threads", tests, SKT_COUNT(tests));
}
