/* What begins when: priorities, order, limits on what is pending; submitting from everywhere. */
#include "tests/support/harness.h"

#include <sched.h>

#include "tests/support/gate.h"

#define MAX_ORDER 2000

/* Tasks append their tag. */
struct order {
    pthread_mutex_t mutex;
    int n;
    int tags[MAX_ORDER];
};

struct tag {
    struct order *order;
    int value;
};

static int append(void *arg, void *result)
{
    const struct tag *tag = arg;
    (void)result;
    pthread_mutex_lock(&tag->order->mutex);
    tag->order->tags[tag->order->n++] = tag->value;
    pthread_mutex_unlock(&tag->order->mutex);
    return 0;
}

static void submit_tag(skua_executor *ex, struct order *order, int value, skua_priority priority)
{
    struct tag tag = { order, value };
    skua_release(skua_submit_task(
        ex,
        &(skua_task){ .fn = append, .arg = &tag, .arg_size = sizeof tag, .priority = priority }));
}

static void with_one_worker_outside_submissions_begin_in_order(void **state)
{
    (void)state;
    skua_executor *ex = skt_pool_of(1);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, 1);
    struct order order = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    for (int i = 0; i < MAX_ORDER; i++)
        submit_tag(ex, &order, i, SKUA_NORMAL);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(order.n, MAX_ORDER);
    for (int i = 0; i < MAX_ORDER; i++)
        assert_int_equal(order.tags[i], i);
    skt_gate_fini(&gate);
}

static void high_goes_before_normal_before_low(void **state)
{
    (void)state;
    skua_executor *ex = skt_pool_of(1);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, 1);
    struct order order = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    const skua_priority priorities[] = { SKUA_LOW, SKUA_HIGH, SKUA_NORMAL };
    const int base[] = { 200, 0, 100 };
    for (int i = 0; i < 100; i++)
        for (int k = 0; k < 3; k++)
            submit_tag(ex, &order, base[(i + k) % 3] + i, priorities[(i + k) % 3]);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(order.n, 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(order.tags[i], i);
    skt_gate_fini(&gate);
}

static void a_task_near_data_runs(void **state)
{
    skua_executor *ex = skt_pool(state);
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    static const int data[4];
    const void *near[] = { &runs, data, NULL };
    for (size_t i = 0; i < SKT_COUNT(near); i++)
        skua_release(skua_submit_task(
            ex, &(skua_task){ .fn = skt_count, .arg = &runs, .near_data = near[i] }));
    skua_close(ex);
    assert_int_equal(sk_load_acq(&runs), 3);
}

struct limited {
    skua_executor *ex;
    struct skt_gate gate;
    struct skt_latch begins;
    struct skt_latch returned;
    struct skt_latch called;
    skua_status status;
    bool accepted;
};

static void *submit_the_ninth(void *arg)
{
    struct limited *l = arg;
    skt_latch_raise(&l->begins);
    skua_future *f = skua_submit(l->ex, skt_nothing, NULL);
    l->accepted = !skua_done(f);
    skt_latch_raise(&l->returned);
    l->status = skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    return NULL;
}

/* All workers at the gate, eight pending, and a thread that blocks in submitting the ninth. */
static pthread_t fill(struct limited *l, skua_future *fs[8], int workers)
{
    l->ex = skua_thread_pool(&(skua_options){ .workers = workers, .max_pending = 8 });
    assert_non_null(l->ex);
    skt_gate_init(&l->gate);
    skt_latch_init(&l->begins);
    skt_latch_init(&l->returned);
    skt_gate_hold(&l->gate, l->ex, workers);
    for (int i = 0; i < 8; i++)
        fs[i] = skua_submit(l->ex, skt_nothing, NULL);
    const pthread_t thread = skt_thread(submit_the_ninth, l);
    skt_latch_wait(&l->begins, 1);
    skt_pause(0.02); /* not synchronisation: gives a submission that does not block time to show */
    assert_int_equal(skt_latch_count(&l->returned), 0);
    return thread;
}

static void empty(struct limited *l, skua_future *fs[8])
{
    for (int i = 0; i < 8; i++)
        skua_release(fs[i]);
    skua_close(l->ex);
    skt_gate_fini(&l->gate);
    skt_latch_fini(&l->begins);
    skt_latch_fini(&l->returned);
}

static void a_full_pool_makes_submitting_wait_until_one_begins(void **state)
{
    struct limited l = { .status = SKUA_INVALID };
    skua_future *fs[8];
    const pthread_t thread = fill(&l, fs, skt_workers(state));
    skt_gate_open(&l.gate);
    assert_true(skt_latch_wait_for(&l.returned, 1, skt_wake_limit()));
    skt_join(thread);
    assert_status(l.status, SKUA_OK);
    empty(&l, fs);
}

static void a_cancelled_task_makes_room_in_a_full_pool(void **state)
{
    struct limited l = { .status = SKUA_INVALID };
    skua_future *fs[8];
    const pthread_t thread = fill(&l, fs, skt_workers(state));
    assert_true(skua_cancel(fs[5]));
    const bool returned = skt_latch_wait_for(&l.returned, 1, skt_wake_limit());
    skt_gate_open(&l.gate);
    skt_join(thread);
    assert_true(returned);
    assert_true(l.accepted);
    assert_status(l.status, SKUA_OK);
    empty(&l, fs);
}

static void shutdown_wakes_who_waits_to_submit(void **state)
{
    struct limited l = { .status = SKUA_INVALID };
    skua_future *fs[8];
    const pthread_t thread = fill(&l, fs, skt_workers(state));
    assert_status(skua_shutdown(l.ex, 0, 0), SKUA_OK);
    const bool returned = skt_latch_wait_for(&l.returned, 1, skt_wake_limit());
    skt_gate_open(&l.gate);
    skt_join(thread);
    assert_true(returned);
    assert_false(l.accepted);
    assert_status(l.status, SKUA_SHUTDOWN);
    empty(&l, fs);
}

static void shutdown_that_cancels_wakes_who_waits_to_submit(void **state)
{
    struct limited l = { .status = SKUA_INVALID };
    skua_future *fs[8];
    const pthread_t thread = fill(&l, fs, skt_workers(state));
    assert_status(skua_shutdown(l.ex, SKUA_CANCEL_FUTURES, 0), SKUA_OK);
    const bool returned = skt_latch_wait_for(&l.returned, 1, skt_wake_limit());
    skt_gate_open(&l.gate);
    skt_join(thread);
    assert_true(returned);
    assert_status(l.status, SKUA_SHUTDOWN);
    for (int i = 0; i < 8; i++)
        assert_true(skua_cancelled(fs[i]));
    empty(&l, fs);
}

static void submit_two_more(skua_future *f, void *ctx)
{
    struct limited *l = ctx;
    (void)f;
    for (int i = 0; i < 2; i++)
        skua_release(skua_submit(l->ex, skt_nothing, NULL));
    skt_latch_raise(&l->called);
}

static void a_callback_of_a_cancelled_task_never_waits_to_submit(void **state)
{
    struct limited l = { .status = SKUA_INVALID };
    skua_future *fs[8];
    const pthread_t thread = fill(&l, fs, skt_workers(state));
    skt_latch_init(&l.called);
    assert_status(skua_add_done_callback(fs[3], submit_two_more, &l), SKUA_OK);
    assert_true(skua_cancel(fs[3]));
    assert_int_equal(skt_latch_count(&l.called), 1);
    skt_gate_open(&l.gate);
    skt_join(thread);
    assert_status(l.status, SKUA_OK);
    skt_latch_fini(&l.called);
    empty(&l, fs);
}

struct many {
    skua_executor *ex;
    SK_ATOMIC(int) runs;
};

static int submit_a_hundred(void *arg, void *result)
{
    struct many *m = arg;
    (void)result;
    for (int i = 0; i < 100; i++)
        skua_release(skua_submit(m->ex, skt_count, &m->runs));
    return 0;
}

static void a_task_of_a_full_pool_never_waits_to_submit(void **state)
{
    struct many m = { .ex = skua_thread_pool(
                          &(skua_options){ .workers = skt_workers(state), .max_pending = 1 }) };
    assert_non_null(m.ex);
    skua_future *f = skua_submit(m.ex, submit_a_hundred, &m);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(m.ex);
    assert_int_equal(sk_load_acq(&m.runs), 100);
}

static void a_limit_lets_everything_through_in_the_end(void **state)
{
    struct many m = { .ex = skua_thread_pool(
                          &(skua_options){ .workers = skt_workers(state), .max_pending = 2 }) };
    assert_non_null(m.ex);
    const int n = skt_rounds(3000);
    for (int i = 0; i < n; i++)
        skua_release(skua_submit(m.ex, skt_count, &m.runs));
    skua_close(m.ex);
    assert_int_equal(sk_load_acq(&m.runs), n);
}

static void *submit_many(void *arg)
{
    struct many *m = arg;
    for (int i = skt_rounds(10000); i > 0; i--)
        skua_release(skua_submit(m->ex, skt_count, &m->runs));
    return NULL;
}

static void all_that_many_threads_submit_runs_once(void **state)
{
    struct many m = { .ex = skt_pool(state) };
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        threads[i] = skt_thread(submit_many, &m);
    for (int i = 0; i < 8; i++)
        skt_join(threads[i]);
    skua_close(m.ex);
    assert_int_equal(sk_load_acq(&m.runs), 8 * skt_rounds(10000));
}

struct branch {
    struct many *m;
    int depth;
};

static int grow(void *arg, void *result)
{
    const struct branch *b = arg;
    (void)result;
    sk_add_acq_rel(&b->m->runs, 1);
    struct branch below = { b->m, b->depth - 1 };
    const skua_task task = { .fn = grow, .arg = &below, .arg_size = sizeof below };
    for (int i = 0; i < 3 && b->depth > 0; i++)
        skua_release(skua_submit_task(b->m->ex, &task));
    return 0;
}

static void tasks_that_submit_tasks_all_run(void **state)
{
    struct many m = { .ex = skt_pool(state) };
    struct branch root = { &m, 7 };
    skua_release(skua_submit(m.ex, grow, &root));
    const int all = (6561 - 1) / 2;
    while (sk_load_acq(&m.runs) < all)
        sched_yield();
    skua_close(m.ex);
    assert_int_equal(sk_load_acq(&m.runs), all);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(with_one_worker_outside_submissions_begin_in_order),
        SKT_TEST(high_goes_before_normal_before_low),
        SKT_EACH(a_task_near_data_runs),
        SKT_EACH(a_full_pool_makes_submitting_wait_until_one_begins),
        SKT_EACH(a_cancelled_task_makes_room_in_a_full_pool),
        SKT_EACH(shutdown_wakes_who_waits_to_submit),
        SKT_EACH(shutdown_that_cancels_wakes_who_waits_to_submit),
        SKT_EACH(a_callback_of_a_cancelled_task_never_waits_to_submit),
        SKT_EACH(a_task_of_a_full_pool_never_waits_to_submit),
        SKT_EACH(a_limit_lets_everything_through_in_the_end),
        SKT_EACH(all_that_many_threads_submit_runs_once),
        SKT_EACH(tasks_that_submit_tasks_all_run),
    };
    return skt_main(argc, argv, "submit", tests, SKT_COUNT(tests));
}
