/* Making pools: options, names, initializers; and what a worker knows of its pool. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gate.h"

static void check_refused_options(const skua_options *o)
{
    assert_null(skua_thread_pool(o));
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_true(strlen(skua_last_error()->message) > 0);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    check_refused_options(&(skua_options){ .workers = -1 });
    check_refused_options(&(skua_options){ .workers = INT32_MIN });
    check_refused_options(&(skua_options){ .workers = INT32_MAX });
    check_refused_options(&(skua_options){ .workers = 1, .bind = (skua_bind)4 });
    check_refused_options(&(skua_options){ .workers = 1, .bind = (skua_bind)-1 });
    check_refused_options(&(skua_options){ .workers = 1, .bind = (skua_bind)1000 });
}

static void options_of_process_pools_are_refused(void **state)
{
    (void)state;
    check_refused_options(&(skua_options){ .workers = 1, .tasks_per_worker = 1 });
    check_refused_options(&(skua_options){ .workers = 1, .memory_limit = 1 << 20 });
    check_refused_options(&(skua_options){ .workers = 1, .retries = 1 });
    check_refused_options(&(skua_options){ .workers = 1, .grace = 0.5 });
}

static void an_unknown_bind_is_refused_with_the_valid_ones_named(void **state)
{
    (void)state;
    check_refused_options(&(skua_options){ .workers = 1, .bind = (skua_bind)9 });
    assert_non_null(strstr(skua_last_error()->message, "_SPREAD"));
}

static void every_bind_makes_a_pool_that_works(void **state)
{
    const skua_bind binds[] = { SKUA_BIND_AUTO, SKUA_BIND_CLOSE, SKUA_BIND_SPREAD, SKUA_BIND_NONE };
    for (size_t i = 0; i < SKT_COUNT(binds); i++) {
        const skua_options o = { .workers = skt_workers(state), .bind = binds[i] };
        skua_executor *ex = skua_thread_pool(&o);
        assert_non_null(ex);
        assert_int_equal(skua_workers(ex), skt_workers(state));
        SK_ATOMIC(int) runs;
        sk_init(&runs, 0);
        for (int k = 0; k < 100; k++)
            skua_release(skua_submit(ex, skt_count, &runs));
        skua_close(ex);
        assert_int_equal(sk_load_acq(&runs), 100);
    }
}

static void the_usual_pool_has_at_least_one_worker(void **state)
{
    (void)state;
    skua_executor *usual = skua_thread_pool(NULL);
    assert_non_null(usual);
    assert_true(skua_workers(usual) >= 1);
    skua_executor *zero = skua_thread_pool(&(skua_options){ .workers = 0 });
    assert_non_null(zero);
    assert_int_equal(skua_workers(zero), skua_workers(usual));
    skua_close(usual);
    skua_close(zero);
}

/* One task on each worker at the same time, which notes what it sees there. */
struct sight {
    struct skt_gate gate;
    SK_ATOMIC(int) n;
    struct {
        char name[16];
        int worker;
        skua_executor *pool;
        int nr_init;
    } seen[8];
};

static _Thread_local int nr_init_here;

static int look_around(void *arg, void *result)
{
    struct sight *s = arg;
    (void)result;
    const int i = sk_add_acq_rel(&s->n, 1);
    pthread_getname_np(pthread_self(), s->seen[i].name, sizeof s->seen[i].name);
    s->seen[i].worker = skua_worker();
    s->seen[i].pool = skua_default();
    s->seen[i].nr_init = nr_init_here;
    return skt_gate_task(&s->gate, NULL);
}

static void look_on_all_workers(struct sight *s, skua_executor *ex)
{
    skt_gate_init(&s->gate);
    for (int i = 0; i < skua_workers(ex); i++)
        skua_release(skua_submit(ex, look_around, s));
    skt_latch_wait(&s->gate.began, skua_workers(ex));
    skt_gate_open(&s->gate);
}

static void threads_are_named_and_numbered(void **state)
{
    const int workers = skt_workers(state);
    char pool_name[] = "gull";
    skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = workers, .name = pool_name });
    assert_non_null(ex);
    memset(pool_name, '?', sizeof pool_name - 1);
    assert_int_equal(skua_worker(), -1);
    struct sight s = { .n = 0 };
    look_on_all_workers(&s, ex);
    skua_close(ex);
    unsigned numbers = 0;
    for (int i = 0; i < workers; i++) {
        char name[16];
        assert_in_range(s.seen[i].worker, 0, workers - 1);
        snprintf(name, sizeof name, "gull-%u", (unsigned)s.seen[i].worker % 100u);
        assert_string_equal(s.seen[i].name, name);
        numbers |= 1u << s.seen[i].worker;
    }
    assert_int_equal(numbers, (1u << workers) - 1);
    skt_gate_fini(&s.gate);
}

static void a_long_name_keeps_its_number(void **state)
{
    (void)state;
    const skua_options o = { .workers = 2, .name = "a-name-that-no-thread-can-have" };
    skua_executor *ex = skua_thread_pool(&o);
    assert_non_null(ex);
    struct sight s = { .n = 0 };
    look_on_all_workers(&s, ex);
    skua_close(ex);
    assert_string_not_equal(s.seen[0].name, s.seen[1].name);
    assert_memory_equal(s.seen[0].name, "a-name-", 7);
    skt_gate_fini(&s.gate);
}

static void inside_a_task_the_default_pool_is_its_own(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct sight s = { .n = 0 };
    look_on_all_workers(&s, ex);
    for (int i = 0; i < skt_workers(state); i++)
        assert_ptr_equal(s.seen[i].pool, ex);
    assert_ptr_not_equal(skua_default(), ex);
    skua_close(ex);
    skt_gate_fini(&s.gate);
}

static void the_default_pool_is_one_for_all_threads(void **state)
{
    (void)state;
    skua_executor *ex = skua_default();
    assert_non_null(ex);
    assert_ptr_equal(skua_default(), ex);
    assert_true(skua_workers(ex) >= 1);
    skua_future *f = skt_submit_int(ex, skt_square, 11);
    int value = 0;
    assert_status(skua_result(f, &value, sizeof value, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(value, 121);
    skua_release(f);
}

struct start {
    SK_ATOMIC(int) calls;
    struct skt_latch open;
    int fail_from; /* from this call on it fails; 0: never */
};

static int init_worker(void *arg)
{
    struct start *s = arg;
    nr_init_here++;
    skt_latch_wait(&s->open, 1);
    const int call = 1 + sk_add_acq_rel(&s->calls, 1);
    return s->fail_from != 0 && call >= s->fail_from ? 33 : 0;
}

static skua_executor *pool_with_init(struct start *s, int workers)
{
    skt_latch_init(&s->open);
    skua_executor *ex =
        skua_thread_pool(&(skua_options){ .workers = workers, .init = init_worker, .init_arg = s });
    assert_non_null(ex);
    return ex;
}

static void init_runs_once_in_each_worker_before_its_first_task(void **state)
{
    struct start start = { .fail_from = 0 };
    skua_executor *ex = pool_with_init(&start, skt_workers(state));
    skt_latch_raise(&start.open);
    struct sight s = { .n = 0 };
    look_on_all_workers(&s, ex);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&start.calls), skt_workers(state));
    for (int i = 0; i < skt_workers(state); i++)
        assert_int_equal(s.seen[i].nr_init, 1);
    skt_gate_fini(&s.gate);
    skt_latch_fini(&start.open);
}

static void count_callback(skua_future *f, void *ctx)
{
    (void)f;
    skt_count(ctx, NULL);
}

static int do_nothing_with_piece(size_t begin, size_t end, void *ctx)
{
    (void)begin;
    (void)end;
    (void)ctx;
    return 0;
}

static int call_nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void a_failed_init_fails_all_that_is_pending_and_all_that_comes(void **state)
{
    struct start start = { .fail_from = 1 };
    skua_executor *ex = pool_with_init(&start, skt_workers(state));
    SK_ATOMIC(int) runs, calls;
    sk_init(&runs, 0);
    sk_init(&calls, 0);
    skua_future *fs[20];
    for (int i = 0; i < 20; i++) {
        fs[i] = skua_submit(ex, skt_count, &runs);
        assert_status(skua_add_done_callback(fs[i], count_callback, &calls), SKUA_OK);
    }
    skt_latch_raise(&start.open);
    for (int i = 0; i < 20; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_BROKEN_THREAD_POOL);
        assert_false(skua_cancelled(fs[i]));
        skua_release(fs[i]);
    }
    skua_future *late = skua_submit(ex, skt_count, &runs);
    assert_true(skua_done(late));
    assert_status(skua_result(late, NULL, 0, 0), SKUA_BROKEN_THREAD_POOL);
    skua_release(late);
    assert_status(skua_for(ex, 0, 10, do_nothing_with_piece, NULL, NULL), SKUA_BROKEN_THREAD_POOL);
    assert_status((skua_status)skua_call(ex, call_nothing, NULL), SKUA_BROKEN_THREAD_POOL);
    int in = 1, out = 0;
    assert_status(skua_map(ex, skt_square, &in, sizeof in, &out, sizeof out, 1, NULL, SKUA_FOREVER),
                  SKUA_BROKEN_THREAD_POOL);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&runs), 0);
    assert_int_equal(sk_load_acq(&calls), 20);
    skt_latch_fini(&start.open);
}

static void one_failed_init_is_enough_to_break_a_pool(void **state)
{
    struct start start = { .fail_from = skt_workers(state) };
    skua_executor *ex = pool_with_init(&start, skt_workers(state));
    skt_latch_raise(&start.open);
    skua_status status = SKUA_OK;
    while (status == SKUA_OK) {
        skua_future *f = skua_submit(ex, skt_nothing, NULL);
        status = skua_result(f, NULL, 0, SKUA_FOREVER);
        skua_release(f);
    }
    assert_status(status, SKUA_BROKEN_THREAD_POOL);
    skua_close(ex);
    skt_latch_fini(&start.open);
}

static void a_pool_may_be_closed_while_it_initializes(void **state)
{
    for (int fail_from = 0; fail_from < 2; fail_from++) {
        struct start start = { .fail_from = fail_from };
        skua_executor *ex = pool_with_init(&start, skt_workers(state));
        skua_future *f = skua_submit(ex, skt_nothing, NULL);
        skt_latch_raise(&start.open);
        skua_close(ex);
        assert_true(skua_done(f));
        assert_int_equal(skua_exception(f, 0) != NULL, fail_from != 0);
        skua_release(f);
        skt_latch_fini(&start.open);
    }
}

static void a_scoped_pool_is_closed_when_its_block_is_left(void **state)
{
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    const int before = skt_nr_threads();
    {
        skua_scoped(skua_executor) ex = skt_pool(state);
        skua_scoped(skua_future) f = skua_submit(ex, skt_count, &runs);
        skua_scoped(skua_iter) it = skua_as_completed(&f, 1, SKUA_FOREVER);
        assert_ptr_equal(skua_next(it, NULL), f);
        skua_release(skua_submit(ex, skt_count, &runs));
    }
    assert_int_equal(sk_load_acq(&runs), 2);
    assert_true(skt_threads_become(before));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(options_that_make_no_sense_are_refused),
        SKT_TEST(options_of_process_pools_are_refused),
        SKT_TEST(an_unknown_bind_is_refused_with_the_valid_ones_named),
        SKT_EACH(every_bind_makes_a_pool_that_works),
        SKT_TEST(the_usual_pool_has_at_least_one_worker),
        SKT_EACH(threads_are_named_and_numbered),
        SKT_TEST(a_long_name_keeps_its_number),
        SKT_EACH(inside_a_task_the_default_pool_is_its_own),
        SKT_TEST(the_default_pool_is_one_for_all_threads),
        SKT_EACH(init_runs_once_in_each_worker_before_its_first_task),
        SKT_EACH(a_failed_init_fails_all_that_is_pending_and_all_that_comes),
        SKT_EACH(one_failed_init_is_enough_to_break_a_pool),
        SKT_EACH(a_pool_may_be_closed_while_it_initializes),
        SKT_EACH(a_scoped_pool_is_closed_when_its_block_is_left),
    };
    return skt_main(argc, argv, "executor", tests, SKT_COUNT(tests));
}
