/* Waiting inside tasks never blocks the pool. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

enum way {
    BY_RESULT,
    BY_EXCEPTION,
    BY_WAIT,
    BY_NEXT,
    NR_WAYS
};

static skua_status wait_by(enum way way, skua_future *f)
{
    skua_future *const one[] = { f };
    if (way == BY_RESULT)
        return skua_result(f, NULL, 0, SKUA_FOREVER);
    if (way == BY_EXCEPTION) {
        const skua_error *e = skua_exception(f, SKUA_FOREVER);
        return e == NULL ? SKUA_OK : e->status;
    }
    if (way == BY_WAIT)
        return skua_wait(one, 1, SKUA_ALL_COMPLETED, SKUA_FOREVER);
    skua_iter *it = skua_as_completed(one, 1, SKUA_FOREVER);
    while (skua_next(it, NULL) != NULL)
        continue;
    return skua_iter_close(it);
}

struct parent {
    skua_executor *ex;
    enum way way;
    SK_ATOMIC(int) runs;
};

static int wait_for_own_child(void *arg, void *result)
{
    struct parent *p = arg;
    (void)result;
    skua_future *child = skua_submit(p->ex, skt_count, &p->runs);
    const skua_status status = wait_by(p->way, child);
    const bool done = skua_done(child);
    skua_release(child);
    return status == SKUA_OK && done ? 0 : 1;
}

static void a_task_may_wait_for_its_own_child(void **state)
{
    for (int way = 0; way < NR_WAYS; way++) {
        struct parent p = { .ex = skt_pool(state), .way = (enum way)way };
        skua_future *fs[50];
        for (int i = 0; i < 50; i++)
            fs[i] = skua_submit(p.ex, wait_for_own_child, &p);
        for (int i = 0; i < 50; i++) {
            assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
            skua_release(fs[i]);
        }
        assert_int_equal(sk_load_acq(&p.runs), 50);
        skua_close(p.ex);
    }
}

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

static void chains_of_waiting_tasks_are_followed(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skt_submit_int(ex, chain, 1000);
    int depth = 0;
    assert_status(skua_result(f, &depth, sizeof depth, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(depth, 1000);
    skua_release(f);
    skua_close(ex);
}

static int tree(void *arg, void *result)
{
    const int depth = *(int *)arg;
    *(int *)result = 1;
    if (depth == 0)
        return 0;
    skua_future *fs[3];
    for (int i = 0; i < 3; i++)
        fs[i] = skt_submit_int(skua_default(), tree, depth - 1);
    if (skua_wait(fs, 3, SKUA_ALL_COMPLETED, SKUA_FOREVER) != SKUA_OK)
        return 1;
    for (int i = 0; i < 3; i++) {
        int below = 0;
        if (skua_result(fs[i], &below, sizeof below, 0) != SKUA_OK)
            return 2;
        *(int *)result += below;
        skua_release(fs[i]);
    }
    return 0;
}

static void trees_of_waiting_tasks_are_followed(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skt_submit_int(ex, tree, 6);
    int nodes = 0;
    assert_status(skua_result(f, &nodes, sizeof nodes, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(nodes, (3 * 729 - 1) / 2);
    skua_release(f);
    skua_close(ex);
}

/* Tasks that wait for an event: a future of another pool, which ends when its gate is opened. */
struct event {
    skua_executor *other;
    struct skt_gate gate;
    skua_future *f;
    struct skt_latch waiting;
    struct skt_latch opened;
};

static void event_open(struct event *e)
{
    e->other = skt_pool_of(1);
    skt_gate_init(&e->gate);
    skt_latch_init(&e->waiting);
    skt_latch_init(&e->opened);
    e->f = skt_gate_submit(&e->gate, e->other);
}

static void event_close(struct event *e)
{
    skua_release(e->f);
    skua_close(e->other);
    skt_gate_fini(&e->gate);
    skt_latch_fini(&e->waiting);
    skt_latch_fini(&e->opened);
}

static int wait_for_event(void *arg, void *result)
{
    struct event *e = arg;
    (void)result;
    skt_latch_raise(&e->waiting);
    return skua_result(e->f, NULL, 0, SKUA_FOREVER);
}

static int open_event(void *arg, void *result)
{
    struct event *e = arg;
    (void)result;
    skt_latch_raise(&e->opened);
    skt_gate_open(&e->gate);
    return 0;
}

/* n tasks wait for what only one more task of their pool can bring about. */
static void check_event(skua_executor *ex, int n)
{
    struct event e;
    event_open(&e);
    skua_future *fs[64];
    for (int i = 0; i < n; i++)
        fs[i] = skua_submit(ex, wait_for_event, &e);
    skt_latch_wait(&e.waiting, skua_workers(ex));
    skua_future *opener = skua_submit(ex, open_event, &e);
    const bool opened = skt_latch_wait_for(&e.opened, 1, 10 * skt_slow_factor());
    skt_gate_open(&e.gate);
    for (int i = 0; i < n; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    assert_status(skua_result(opener, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_true(opened);
    skua_release(opener);
    event_close(&e);
}

static void while_all_workers_wait_another_task_still_runs(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < 5; i++)
        check_event(ex, skt_workers(state));
    skua_close(ex);
}

static void however_many_tasks_wait_another_still_runs(void **state)
{
    skua_executor *ex = skt_pool(state);
    check_event(ex, 50);
    skua_close(ex);
}

static void waiting_again_and_again_does_not_pile_up_threads(void **state)
{
    skua_executor *ex = skt_pool(state);
    check_event(ex, skt_workers(state));
    const int before = skt_nr_threads();
    for (int i = 0; i < skt_rounds(100); i++)
        check_event(ex, skt_workers(state));
    assert_in_range(skt_nr_threads(), 1, before + skt_workers(state) + 2);
    skua_close(ex);
}

struct siblings {
    struct event e;
    pthread_mutex_t mutex;
    struct skt_latch sibling_began;
    pthread_t waiter, sibling;
};

static int wait_with_mutex(void *arg, void *result)
{
    struct siblings *s = arg;
    s->waiter = pthread_self();
    pthread_mutex_lock(&s->mutex);
    const int rc = wait_for_event(&s->e, result);
    pthread_mutex_unlock(&s->mutex);
    return rc;
}

static int want_mutex(void *arg, void *result)
{
    struct siblings *s = arg;
    (void)result;
    s->sibling = pthread_self();
    skt_latch_raise(&s->sibling_began);
    pthread_mutex_lock(&s->mutex);
    pthread_mutex_unlock(&s->mutex);
    return 0;
}

static void an_unrelated_task_never_runs_on_a_waiters_stack(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state) - 1);
    struct siblings s = { .mutex = PTHREAD_MUTEX_INITIALIZER };
    event_open(&s.e);
    skt_latch_init(&s.sibling_began);
    skua_future *waiter = skua_submit(ex, wait_with_mutex, &s);
    skt_latch_wait(&s.e.waiting, 1);
    skua_future *sibling = skua_submit(ex, want_mutex, &s);
    const bool began = skt_latch_wait_for(&s.sibling_began, 1, 10 * skt_slow_factor());
    skt_gate_open(&s.e.gate);
    assert_status(skua_result(waiter, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_result(sibling, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_true(began);
    assert_false(pthread_equal(s.waiter, s.sibling));
    skua_release(waiter);
    skua_release(sibling);
    event_close(&s.e);
    skt_latch_fini(&s.sibling_began);
    skt_gate_open(&gate);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static int wait_a_little(void *arg, void *result)
{
    struct event *e = arg;
    (void)result;
    const double start = skt_now();
    const skua_status status = skua_result(e->f, NULL, 0, 0.05);
    const double took = skt_now() - start;
    if (status != SKUA_TIMEOUT || took < 0.05 || took > 0.05 + skt_wake_limit())
        return 1;
    if (skua_result(e->f, NULL, 0, 0) != SKUA_TIMEOUT)
        return 2;
    return skua_wait(&e->f, 1, SKUA_ALL_COMPLETED, 0.01) == SKUA_TIMEOUT ? 0 : 3;
}

static void timeouts_hold_inside_tasks_too(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct event e;
    event_open(&e);
    skua_future *fs[8];
    for (int i = 0; i < 8; i++)
        fs[i] = skua_submit(ex, wait_a_little, &e);
    for (int i = 0; i < 8; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    skt_gate_open(&e.gate);
    event_close(&e);
    skua_close(ex);
}

static int poll_pending(void *arg, void *result)
{
    struct parent *p = arg;
    (void)result;
    skua_future *f = skua_submit(p->ex, skt_count, &p->runs);
    const skua_status polled = skua_result(f, NULL, 0, 0);
    const skua_status status = skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    return (polled == SKUA_TIMEOUT || polled == SKUA_OK) && status == SKUA_OK ? 0 : 1;
}

static void a_poll_inside_a_task_does_not_break_the_wait_after_it(void **state)
{
    struct parent p = { .ex = skt_pool(state) };
    skua_future *f = skua_submit(p.ex, poll_pending, &p);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(&p.runs), 1);
    skua_release(f);
    skua_close(p.ex);
}

struct pools {
    skua_executor *ex[2];
    int left;
};

static int ping_pong(void *arg, void *result)
{
    const struct pools *p = arg;
    struct pools below = { { p->ex[1], p->ex[0] }, p->left - 1 };
    (void)result;
    if (p->left == 0)
        return 0;
    skua_future *f = skua_submit(p->ex[1], ping_pong, &below);
    const skua_status status = skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    return status == SKUA_OK ? 0 : 1;
}

static void two_pools_may_wait_for_each_other(void **state)
{
    struct pools p = { { skt_pool(state), skt_pool(state) }, 50 };
    skua_future *f = skua_submit(p.ex[0], ping_pong, &p);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(p.ex[0]);
    skua_close(p.ex[1]);
}

struct first_of_two {
    skua_executor *ex;
    struct skt_gate gate;
};

/* Waits for the first of a task that is held at a gate and one that is not, and opens the gate. */
static int wait_for_first(void *arg, void *result)
{
    struct first_of_two *t = arg;
    skua_future *fs[2] = { skua_submit(t->ex, skt_gate_task, &t->gate),
                           skua_submit(t->ex, skt_nothing, NULL) };
    *(skua_status *)result = skua_wait(fs, 2, SKUA_FIRST_COMPLETED, SKUA_FOREVER);
    const bool right = skua_done(fs[1]) && !skua_done(fs[0]);
    skt_gate_open(&t->gate);
    skua_release(fs[0]);
    skua_release(fs[1]);
    return right ? 0 : 1;
}

static void a_wait_for_the_first_is_not_held_back_by_the_slow_one(void **state)
{
    struct first_of_two t = { .ex = skt_pool(state) };
    skt_gate_init(&t.gate);
    const skua_task task = { .fn = wait_for_first, .arg = &t, .result_size = sizeof(skua_status) };
    skua_status status = SKUA_INVALID;
    skua_future *f = skua_submit_task(t.ex, &task);
    assert_status(skua_result(f, &status, sizeof status, SKUA_FOREVER), SKUA_OK);
    assert_status(status, SKUA_OK);
    skua_release(f);
    skua_close(t.ex);
    skt_gate_fini(&t.gate);
}

static int child_waits(void *arg)
{
    struct parent *p = arg;
    return wait_for_own_child(p, NULL);
}

static int spawn_waiting_children(void *arg, void *result)
{
    skua_child children[10];
    int rc = 0;
    (void)result;
    for (int i = 0; i < 10; i++)
        skua_spawn(&children[i], child_waits, arg);
    for (int i = 9; i >= 0; i--)
        rc |= skua_sync(&children[i]);
    return rc;
}

static void spawned_children_may_wait_too(void **state)
{
    struct parent p = { .ex = skt_pool(state) };
    skua_future *fs[10];
    for (int i = 0; i < 10; i++)
        fs[i] = skua_submit(p.ex, spawn_waiting_children, &p);
    for (int i = 0; i < 10; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    assert_int_equal(sk_load_acq(&p.runs), 100);
    skua_close(p.ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_task_may_wait_for_its_own_child),
        SKT_EACH(chains_of_waiting_tasks_are_followed),
        SKT_EACH(trees_of_waiting_tasks_are_followed),
        SKT_EACH(while_all_workers_wait_another_task_still_runs),
        SKT_EACH(however_many_tasks_wait_another_still_runs),
        SKT_EACH(waiting_again_and_again_does_not_pile_up_threads),
        SKT_EACH(an_unrelated_task_never_runs_on_a_waiters_stack),
        SKT_EACH(timeouts_hold_inside_tasks_too),
        SKT_EACH(a_poll_inside_a_task_does_not_break_the_wait_after_it),
        SKT_EACH(two_pools_may_wait_for_each_other),
        SKT_AT(a_wait_for_the_first_is_not_held_back_by_the_slow_one, 2),
        SKT_AT(a_wait_for_the_first_is_not_held_back_by_the_slow_one, 8),
        SKT_EACH(spawned_children_may_wait_too),
    };
    return skt_main(argc, argv, "inside", tests, SKT_COUNT(tests));
}
