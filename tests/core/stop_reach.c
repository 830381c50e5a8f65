/* Asking a task to end reaches what runs for it on other threads: children, called functions, the
 * items of maps, however they are inside each other; and reaches nothing else. */
#include "tests/support/harness.h"

#include <sched.h>

#include "tests/support/gate.h"

/* What runs on behalf of a task, and asks. */
struct asker {
    struct skt_latch began;
    struct skt_latch asked; /* it has looked when the test told it to */
    struct skt_latch look;  /* the test tells it to look once */
    bool early;             /* what it saw then */
    SK_ATOMIC(int) worker;  /* who ran it last */
};

static void asker_init(struct asker *a)
{
    skt_latch_init(&a->began);
    skt_latch_init(&a->asked);
    skt_latch_init(&a->look);
    a->early = true;
    sk_init(&a->worker, -2);
}

static void asker_fini(struct asker *a)
{
    skt_latch_fini(&a->began);
    skt_latch_fini(&a->asked);
    skt_latch_fini(&a->look);
}

static void wait_until_asked(struct asker *a)
{
    sk_store_rel(&a->worker, skua_worker());
    skt_latch_raise(&a->began);
    while (!skua_stopping())
        sched_yield();
}

static int child_until_asked(void *arg)
{
    wait_until_asked(arg);
    return SKUA_CANCELLED;
}

static int item_until_asked(void *arg, void *result)
{
    (void)result;
    wait_until_asked(*(struct asker **)arg);
    return SKUA_CANCELLED;
}

/* Looks once when told to, and then waits until it is asked. */
static int look_and_wait(void *arg)
{
    struct asker *a = arg;
    skt_latch_raise(&a->began);
    skt_latch_wait(&a->look, 1);
    a->early = skua_stopping();
    skt_latch_raise(&a->asked);
    while (!skua_stopping())
        sched_yield();
    return SKUA_CANCELLED;
}

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

/* Spawns until a child spawned before has been taken by another worker. */
static void spawn_until_begun(struct asker *a)
{
    skua_child c;
    while (skt_latch_count(&a->began) == 0) {
        skua_spawn(&c, nothing, NULL);
        skua_sync(&c);
    }
}

static int spawn_asker(void *arg, void *result)
{
    struct asker *a = arg;
    skua_child c;
    (void)result;
    skua_spawn(&c, child_until_asked, a);
    spawn_until_begun(a);
    return skua_sync(&c);
}

static void a_stop_reaches_a_stolen_child(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct asker a;
    asker_init(&a);
    skua_future *f = skua_submit(ex, spawn_asker, &a);
    skt_latch_wait(&a.began, 1);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skua_release(f);
    skua_close(ex);
    asker_fini(&a);
}

static void a_time_limit_reaches_a_stolen_child(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct asker a;
    asker_init(&a);
    skua_future *f =
        skua_submit_task(ex, &(skua_task){ .fn = spawn_asker, .arg = &a, .time_limit = 0.05 });
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_EXPIRED);
    skua_release(f);
    skua_close(ex);
    asker_fini(&a);
}

static void a_kill_reaches_a_stolen_child(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct asker a;
    asker_init(&a);
    skua_future *f = skua_submit(ex, spawn_asker, &a);
    skt_latch_wait(&a.began, 1);
    assert_status(skua_shutdown(ex, SKUA_WAIT | SKUA_KILL, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_result(f, NULL, 0, 0), SKUA_CANCELLED);
    skua_release(f);
    skua_close(ex);
    asker_fini(&a);
}

/* A stolen child that spawns a child, which is stolen in turn. */
static int spawn_asker_again(void *arg)
{
    return spawn_asker(arg, NULL);
}

struct family {
    struct asker *asker;
    struct skt_latch began;
};

static int middle_child(void *arg)
{
    struct family *family = arg;
    skt_latch_raise(&family->began);
    return spawn_asker_again(family->asker);
}

static int spawn_family(void *arg, void *result)
{
    struct family *family = arg;
    skua_child c, filler;
    (void)result;
    skua_spawn(&c, middle_child, family);
    while (skt_latch_count(&family->began) == 0) {
        skua_spawn(&filler, nothing, NULL);
        skua_sync(&filler);
    }
    return skua_sync(&c);
}

static void a_stop_reaches_a_childs_stolen_child(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct asker a;
    struct family family = { .asker = &a };
    asker_init(&a);
    skt_latch_init(&family.began);
    skua_future *f = skua_submit(ex, spawn_family, &family);
    skt_latch_wait(&a.began, 1);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skua_release(f);
    skua_close(ex);
    skt_latch_fini(&family.began);
    asker_fini(&a);
}

/* An outer task spawns a child and waits for an inner task, which its worker runs itself and which
 * spawns another child. Both children are shared while the inner task runs. */
struct nest {
    skua_executor *ex;
    struct skt_gate *gate; /* holds the other workers until the inner task runs */
    struct asker outer, inner;
    skua_future *inner_task;
    int outer_worker, inner_worker;
};

static int run_inner(void *arg, void *result)
{
    struct nest *n = arg;
    skua_child c;
    (void)result;
    n->inner_worker = skua_worker();
    skua_spawn(&c, look_and_wait, &n->inner);
    skt_gate_open(n->gate);
    spawn_until_begun(&n->outer);
    spawn_until_begun(&n->inner);
    return skua_sync(&c);
}

static int run_outer(void *arg, void *result)
{
    struct nest *n = arg;
    skua_child c;
    (void)result;
    n->outer_worker = skua_worker();
    skua_spawn(&c, look_and_wait, &n->outer);
    n->inner_task = skua_submit(n->ex, run_inner, n);
    skua_result(n->inner_task, NULL, 0, SKUA_FOREVER);
    return skua_sync(&c);
}

static void a_stop_reaches_the_children_of_that_task_alone(void **state)
{
    (void)state;
    struct skt_gate gate;
    struct nest n = { .ex = skt_pool_of(3), .gate = &gate };
    skt_gate_init(&gate);
    asker_init(&n.outer);
    asker_init(&n.inner);
    skt_gate_hold(&gate, n.ex, 2);
    skua_future *f = skua_submit(n.ex, run_outer, &n);
    skt_latch_wait(&n.outer.began, 1);
    skt_latch_wait(&n.inner.began, 1);
    assert_int_equal(n.outer_worker, n.inner_worker);
    skua_stop(n.inner_task);
    skt_latch_raise(&n.outer.look); /* the outer task's child is not asked */
    skt_latch_wait(&n.outer.asked, 1);
    assert_false(n.outer.early);
    skt_latch_raise(&n.inner.look); /* the inner one's is */
    assert_status(skua_result(n.inner_task, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    assert_true(n.inner.early);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skua_release(n.inner_task);
    skua_release(f);
    skua_close(n.ex);
    asker_fini(&n.outer);
    asker_fini(&n.inner);
    skt_gate_fini(&gate);
}

/* ---- calls ----------------------------------------------------------------------------------- */

struct caller {
    skua_executor *other;
    struct asker *asker;
};

static int call_asker(void *arg, void *result)
{
    struct caller *c = arg;
    (void)result;
    return skua_call(c->other, child_until_asked, c->asker);
}

static int call_spawner(void *arg, void *result)
{
    struct caller *c = arg;
    (void)result;
    return skua_call(c->other, spawn_asker_again, c->asker);
}

static void check_call(void **state, skua_fn *fn)
{
    skua_executor *ex = skt_pool_of(1), *other = skt_pool(state);
    struct asker a;
    struct caller c = { other, &a };
    asker_init(&a);
    skua_future *f = skua_submit(ex, fn, &c);
    skt_latch_wait(&a.began, 1);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skua_release(f);
    skua_close(ex);
    skua_close(other);
    asker_fini(&a);
}

static void a_stop_reaches_a_called_function(void **state)
{
    check_call(state, call_asker);
}

static void a_stop_reaches_a_stolen_child_of_a_called_function(void **state)
{
    check_call(state, call_spawner);
}

/* ---- maps ------------------------------------------------------------------------------------ */

enum {
    NR_ITEMS = 8
};

struct mapper {
    skua_executor *ex;
    struct asker *asker;
    double timeout;
    skua_status status;
};

static int map_askers(void *arg, void *result)
{
    struct mapper *m = arg;
    struct asker *items[NR_ITEMS];
    (void)result;
    for (int i = 0; i < NR_ITEMS; i++)
        items[i] = m->asker;
    m->status = skua_map(m->ex, item_until_asked, items, sizeof items[0], NULL, 0, NR_ITEMS,
                         &(skua_map_options){ .chunk = 1 }, m->timeout);
    return m->status == SKUA_FAILED ? SKUA_CANCELLED : 1;
}

static void check_map(void **state, skua_executor *ex, double timeout)
{
    struct asker a;
    struct mapper m = { ex, &a, timeout, SKUA_OK };
    asker_init(&a);
    skua_future *f = skua_submit(ex, map_askers, &m);
    const int helpers = timeout == SKUA_FOREVER ? skt_workers(state) : 1;
    skt_latch_wait(&a.began, helpers < NR_ITEMS ? helpers : NR_ITEMS);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    assert_status(m.status, SKUA_FAILED);
    skua_release(f);
    asker_fini(&a);
}

static void a_stop_reaches_the_items_of_a_map(void **state)
{
    skua_executor *ex = skt_pool(state);
    check_map(state, ex, SKUA_FOREVER);
    check_map(state, ex, 1000);
    skua_close(ex);
}

static void a_time_limit_reaches_the_items_of_a_map(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct asker a;
    struct mapper m = { ex, &a, SKUA_FOREVER, SKUA_OK };
    asker_init(&a);
    skua_future *f =
        skua_submit_task(ex, &(skua_task){ .fn = map_askers, .arg = &m, .time_limit = 0.05 });
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_EXPIRED);
    skua_release(f);
    skua_close(ex);
    asker_fini(&a);
}

/* An item of a map outlives the map, the task that began it, its future and its pool. */
struct straggler {
    skua_executor *other;
    struct skt_latch began, gone;
    bool stopping;
    int status;
};

static int ask_after_the_end(void *arg, void *result)
{
    struct straggler *s = *(struct straggler **)arg;
    (void)result;
    skt_latch_raise(&s->began);
    skt_latch_wait(&s->gone, 1);
    s->stopping = skua_stopping();
    return 0;
}

static int map_and_leave(void *arg, void *result)
{
    struct straggler *s = arg;
    (void)result;
    skua_status status = SKUA_TIMEOUT; /* until an item has begun in time */
    while (status == SKUA_TIMEOUT && skt_latch_count(&s->began) == 0)
        status = skua_map(s->other, ask_after_the_end, &s, sizeof s, NULL, 0, 1, NULL, 0.01);
    return status == SKUA_TIMEOUT ? 0 : 1;
}

static void check_straggler(int flags)
{
    skua_executor *ex = skt_pool_of(1);
    struct straggler s = { .other = skt_pool_of(1) };
    skt_latch_init(&s.began);
    skt_latch_init(&s.gone);
    skua_future *f = skua_submit(ex, map_and_leave, &s);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    assert_status(skua_shutdown(ex, flags, SKUA_FOREVER), SKUA_OK);
    skua_close(ex);
    skt_latch_raise(&s.gone);
    skua_close(s.other);
    assert_int_equal(s.stopping, (flags & SKUA_KILL) != 0);
    skt_latch_fini(&s.began);
    skt_latch_fini(&s.gone);
}

static void an_item_may_ask_when_its_task_and_pool_are_gone(void **state)
{
    (void)state;
    check_straggler(SKUA_WAIT);
    check_straggler(SKUA_WAIT | SKUA_KILL);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_AT(a_stop_reaches_a_stolen_child, 2),
        SKT_AT(a_stop_reaches_a_stolen_child, 8),
        SKT_AT(a_time_limit_reaches_a_stolen_child, 2),
        SKT_AT(a_time_limit_reaches_a_stolen_child, 8),
        SKT_AT(a_kill_reaches_a_stolen_child, 2),
        SKT_AT(a_kill_reaches_a_stolen_child, 8),
        SKT_AT(a_stop_reaches_a_childs_stolen_child, 3),
        SKT_AT(a_stop_reaches_a_childs_stolen_child, 8),
        SKT_TEST(a_stop_reaches_the_children_of_that_task_alone),
        SKT_EACH(a_stop_reaches_a_called_function),
        SKT_AT(a_stop_reaches_a_stolen_child_of_a_called_function, 2),
        SKT_AT(a_stop_reaches_a_stolen_child_of_a_called_function, 8),
        SKT_EACH(a_stop_reaches_the_items_of_a_map),
        SKT_EACH(a_time_limit_reaches_the_items_of_a_map),
        SKT_TEST(an_item_may_ask_when_its_task_and_pool_are_gone),
    };
    return skt_main(argc, argv, "stop_reach", tests, SKT_COUNT(tests));
}
