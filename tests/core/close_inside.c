/* skua_close() by those whom it would have to wait for: a task, a callback, a loop body of a thread
 * from outside, an item of a map, a child. It does not wait; what was accepted still runs, and the
 * pool goes with its last task: no thread stays behind, and AddressSanitizer sees no memory. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

#define NR_TASKS 20

struct closer {
    skua_executor *ex;
    SK_ATOMIC(int) closed; /* the first one to come closes */
    SK_ATOMIC(int) runs;
    skua_future *last;
    struct skt_gate gate;
    struct skt_latch over; /* risen after the close */
};

static void close_once(struct closer *c)
{
    if (sk_add_acq_rel(&c->closed, 1) != 0)
        return;
    for (int i = 0; i < NR_TASKS; i++)
        skua_release(skua_submit(c->ex, skt_count, &c->runs));
    c->last = skua_submit(c->ex, skt_count, &c->runs);
    skua_close(c->ex);
    skt_latch_raise(&c->over);
}

static int close_in_task(void *arg, void *result)
{
    (void)result;
    close_once(arg);
    return 0;
}

static int close_in_child(void *arg)
{
    return close_in_task(arg, NULL);
}

static int close_in_item(void *arg, void *result)
{
    return close_in_task(*(void **)arg, result);
}

static int close_in_piece(size_t begin, size_t end, void *ctx)
{
    (void)begin;
    (void)end;
    return close_in_task(ctx, NULL);
}

static void close_in_callback(skua_future *f, void *ctx)
{
    (void)f;
    close_once(ctx);
}

static int spawn_and_close(void *arg, void *result)
{
    skua_child child;
    (void)result;
    skua_spawn(&child, close_in_child, arg);
    return skua_sync(&child);
}

static int loop_and_close(void *arg, void *result)
{
    struct closer *c = arg;
    (void)result;
    return skua_for(c->ex, 0, 100, close_in_piece, c, &(skua_loop){ .grain = 1 });
}

static void submit_and_wait(struct closer *c, skua_fn *fn)
{
    skua_future *f = skua_submit(c->ex, fn, c);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
}

static void by_task(struct closer *c)
{
    submit_and_wait(c, close_in_task);
}

static void by_child(struct closer *c)
{
    submit_and_wait(c, spawn_and_close);
}

static void by_loop_in_task(struct closer *c)
{
    submit_and_wait(c, loop_and_close);
}

static void by_loop_from_outside(struct closer *c)
{
    assert_status(skua_for(c->ex, 0, 100, close_in_piece, c, &(skua_loop){ .grain = 1 }), SKUA_OK);
}

static void by_map(struct closer *c)
{
    struct closer *items[50];
    for (int i = 0; i < 50; i++)
        items[i] = c;
    const skua_map_options o = { .chunk = 1 };
    assert_status(
        skua_map(c->ex, close_in_item, items, sizeof *items, NULL, 0, 50, &o, SKUA_FOREVER),
        SKUA_OK);
}

static void by_call(struct closer *c)
{
    assert_int_equal(skua_call(c->ex, close_in_child, c), 0);
}

static void by_callback(struct closer *c)
{
    skua_future *f = skt_gate_submit(&c->gate, c->ex);
    assert_status(skua_add_done_callback(f, close_in_callback, c), SKUA_OK);
    skt_gate_open(&c->gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
}

static void by_callback_in_cancel(struct closer *c)
{
    skua_future *held[8], *f;
    const int workers = skua_workers(c->ex);
    for (int i = 0; i < workers; i++)
        held[i] = skt_gate_submit(&c->gate, c->ex);
    f = skua_submit(c->ex, skt_nothing, NULL);
    assert_status(skua_add_done_callback(f, close_in_callback, c), SKUA_OK);
    assert_true(skua_cancel(f));
    skua_release(f);
    skt_gate_open(&c->gate);
    assert_status(skua_wait(held, (size_t)workers, SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    for (int i = 0; i < workers; i++)
        skua_release(held[i]);
}

static void check_close(void **state, void (*by)(struct closer *c))
{
    for (int i = 0; i < skt_rounds(20); i++) {
        const int before = skt_nr_threads();
        struct closer c = { .ex = skt_pool(state) };
        skt_gate_init(&c.gate);
        skt_latch_init(&c.over);
        by(&c);
        skt_latch_wait(&c.over, 1);
        assert_true(skt_threads_become(before));
        assert_status(skua_result(c.last, NULL, 0, 0), SKUA_OK);
        assert_int_equal(sk_load_acq(&c.runs), NR_TASKS + 1);
        skua_release(c.last);
        skt_gate_fini(&c.gate);
        skt_latch_fini(&c.over);
    }
}

static void a_task_may_close_its_pool(void **state)
{
    check_close(state, by_task);
}

static void a_child_may_close_its_pool(void **state)
{
    check_close(state, by_child);
}

static void a_loop_in_a_task_may_close_its_pool(void **state)
{
    check_close(state, by_loop_in_task);
}

static void a_loop_from_outside_may_close_its_pool(void **state)
{
    check_close(state, by_loop_from_outside);
}

static void an_item_of_a_map_may_close_its_pool(void **state)
{
    check_close(state, by_map);
}

static void a_call_may_close_its_pool(void **state)
{
    check_close(state, by_call);
}

static void a_callback_may_close_its_pool(void **state)
{
    check_close(state, by_callback);
}

static void a_callback_in_cancel_may_close_its_pool(void **state)
{
    check_close(state, by_callback_in_cancel);
}

int main(int argc, char **argv)
{
    skua_close(skt_pool_of(1)); /* a sanitizer's own thread begins with the first: it is counted */
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_task_may_close_its_pool),
        SKT_EACH(a_child_may_close_its_pool),
        SKT_EACH(a_loop_in_a_task_may_close_its_pool),
        SKT_EACH(a_loop_from_outside_may_close_its_pool),
        SKT_EACH(an_item_of_a_map_may_close_its_pool),
        SKT_EACH(a_call_may_close_its_pool),
        SKT_EACH(a_callback_may_close_its_pool),
        SKT_EACH(a_callback_in_cancel_may_close_its_pool),
    };
    return skt_main(argc, argv, "close_inside", tests, SKT_COUNT(tests));
}
