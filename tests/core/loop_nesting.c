/* Loops in loops, in tasks, and from several threads at once. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

static const skua_schedule schedules[] = { SKUA_AUTO, SKUA_STATIC, SKUA_DYNAMIC };

struct nest {
    skua_executor *ex;
    const skua_loop *o;
    size_t n;
    SK_ATOMIC(size_t) count;
};

struct level {
    struct nest *nest;
    int depth;
};

static int nested_body(size_t begin, size_t end, void *ctx)
{
    const struct level *level = ctx;
    struct nest *nest = level->nest;
    if (level->depth == 0) {
        sk_add_rlx(&nest->count, end - begin);
        return 0;
    }
    struct level below = { nest, level->depth - 1 };
    for (size_t i = begin; i < end; i++)
        if (skua_for(nest->ex, 0, nest->n, nested_body, &below, nest->o) != SKUA_OK)
            return 1;
    return 0;
}

static void check_nest(skua_executor *ex, size_t n, int depth, const skua_loop *o)
{
    struct nest nest = { .ex = ex, .o = o, .n = n };
    struct level top = { &nest, depth };
    assert_status(skua_for(ex, 0, n, nested_body, &top, o), SKUA_OK);
    size_t expected = n;
    for (int i = 0; i < depth; i++)
        expected *= n;
    assert_int_equal(sk_load_rlx(&nest.count), expected);
}

static void nested_loops_run_every_index_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (size_t k = 0; k < 3; k++) {
        check_nest(ex, 31, 1, &(skua_loop){ .schedule = schedules[k] });
        check_nest(ex, 31, 1, &(skua_loop){ .schedule = schedules[k], .grain = 1 });
        check_nest(ex, 9, 2, &(skua_loop){ .schedule = schedules[k], .grain = 1 });
        check_nest(ex, 2, 7, &(skua_loop){ .schedule = schedules[k], .grain = 1 });
    }
    skua_close(ex);
}

static void nested_loops_start_no_threads(void **state)
{
    skua_executor *ex = skt_pool(state);
    check_nest(ex, 4, 1, &(skua_loop){ .grain = 1 });
    const int before = skt_nr_threads();
    for (int i = 0; i < 20; i++)
        check_nest(ex, 6, 2, &(skua_loop){ .grain = 1 });
    /* Where everything is slow a member may have to sleep, and a spare has its core meanwhile. */
    const int spares = skt_slow_factor() > 1 ? skt_workers(state) : 0;
    assert_in_range(skt_nr_threads(), before, before + spares);
    skua_close(ex);
}

static int sum_piece(size_t begin, size_t end, void *ctx)
{
    size_t sum = 0;
    for (size_t i = begin; i < end; i++)
        sum += i;
    sk_add_rlx((SK_ATOMIC(size_t) *)ctx, sum);
    return 0;
}

static int loops_in_task(void *arg, void *result)
{
    (void)arg;
    (void)result;
    for (size_t k = 0; k < 3; k++) {
        SK_ATOMIC(size_t) sum;
        sk_init(&sum, 0);
        const skua_loop o = { .schedule = schedules[k] };
        if (skua_for(skua_default(), 0, 1000, sum_piece, &sum, &o) != SKUA_OK)
            return 1;
        if (sk_load_rlx(&sum) != 499500)
            return 2;
    }
    return 0;
}

static void loops_run_in_tasks(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *fs[100];
    for (int i = 0; i < 100; i++)
        fs[i] = skua_submit(ex, loops_in_task, NULL);
    for (int i = 0; i < 100; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

struct runner {
    skua_executor *ex;
    int rounds;
    int wrong;
};

static void *run_loops(void *arg)
{
    struct runner *r = arg;
    for (int i = 0; i < r->rounds; i++) {
        SK_ATOMIC(size_t) sum;
        sk_init(&sum, 0);
        const skua_loop o = { .schedule = schedules[i % 3], .grain = (size_t)i % 4 };
        r->wrong += skua_for(r->ex, 0, 1000, sum_piece, &sum, &o) != SKUA_OK;
        r->wrong += sk_load_rlx(&sum) != 499500;
    }
    return NULL;
}

static void several_threads_run_loops_at_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct runner runners[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        runners[i] = (struct runner){ ex, skt_rounds(300), 0 };
        threads[i] = skt_thread(run_loops, &runners[i]);
    }
    for (int i = 0; i < 4; i++) {
        skt_join(threads[i]);
        assert_int_equal(runners[i].wrong, 0);
    }
    skua_close(ex);
}

static void loops_run_among_tasks(void **state)
{
    skua_executor *ex = skt_pool(state);
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    struct runner runner = { ex, skt_rounds(300), 0 };
    const pthread_t thread = skt_thread(run_loops, &runner);
    for (int i = skt_rounds(10000); i > 0; i--)
        skua_release(skua_submit(ex, skt_count, &runs));
    skt_join(thread);
    assert_int_equal(runner.wrong, 0);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&runs), skt_rounds(10000));
}

struct other_pool {
    skua_executor *other;
    SK_ATOMIC(size_t) sum;
};

static int loop_on_other_pool(size_t begin, size_t end, void *ctx)
{
    struct other_pool *o = ctx;
    for (size_t i = begin; i < end; i++)
        if (skua_for(o->other, 0, 100, sum_piece, &o->sum, NULL) != SKUA_OK)
            return 1;
    return 0;
}

static void a_loop_may_run_loops_on_another_pool(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct other_pool o = { .other = skt_pool_of(2) };
    assert_status(skua_for(ex, 0, 50, loop_on_other_pool, &o, &(skua_loop){ .grain = 1 }), SKUA_OK);
    assert_int_equal(sk_load_rlx(&o.sum), 50 * 4950);
    skua_close(ex);
    skua_close(o.other);
}

static int note_number(size_t begin, size_t end, void *ctx)
{
    (void)begin;
    (void)end;
    const int worker = skua_worker();
    if (worker < 0 || worker >= *(int *)ctx)
        return skua_fail(1, "worker %d", worker);
    return 0;
}

static void pieces_know_the_worker_they_stand_in_for(void **state)
{
    skua_executor *ex = skt_pool(state);
    int workers = skt_workers(state);
    for (size_t k = 0; k < 3; k++) {
        const skua_loop o = { .schedule = schedules[k], .grain = 1 };
        assert_status(skua_for(ex, 0, 1000, note_number, &workers, &o), SKUA_OK);
        assert_int_equal(skua_worker(), -1);
    }
    skua_close(ex);
}

static int submit_piece(size_t begin, size_t end, void *ctx)
{
    struct nest *nest = ctx;
    for (size_t i = begin; i < end; i++) {
        skua_future *f = skt_submit_int(nest->ex, skt_square, (int)i);
        int value = -1;
        if (skua_result(f, &value, sizeof value, SKUA_FOREVER) != SKUA_OK)
            return 1;
        sk_add_rlx(&nest->count, (size_t)value);
        skua_release(f);
    }
    return 0;
}

static void bodies_may_submit_and_wait(void **state)
{
    struct nest nest = { .ex = skt_pool(state) };
    assert_status(skua_for(nest.ex, 0, 100, submit_piece, &nest, &(skua_loop){ .grain = 1 }),
                  SKUA_OK);
    assert_int_equal(sk_load_rlx(&nest.count), 328350);
    skua_close(nest.ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(nested_loops_run_every_index_once),
        SKT_EACH(nested_loops_start_no_threads),
        SKT_EACH(loops_run_in_tasks),
        SKT_EACH(several_threads_run_loops_at_once),
        SKT_EACH(loops_run_among_tasks),
        SKT_EACH(a_loop_may_run_loops_on_another_pool),
        SKT_EACH(pieces_know_the_worker_they_stand_in_for),
        SKT_EACH(bodies_may_submit_and_wait),
    };
    return skt_main(argc, argv, "loop_nesting", tests, SKT_COUNT(tests));
}
