/* Callbacks of tasks that ran in processes: they run in this process, in order, and may use all of
 * skua. A thread of the pool runs them, which must not wait for itself. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <string.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

struct heard {
    pid_t pid;
    pthread_t thread;
    SK_ATOMIC(int) nr;
    int order[3];
    bool right;
};

struct note {
    struct heard *heard;
    int i;
};

static void take_note(skua_future *f, void *ctx)
{
    const struct note *note = ctx;
    struct heard *h = note->heard;
    int value = -1;
    h->pid = getpid();
    h->thread = pthread_self();
    h->right = skua_done(f) && !skua_running(f) &&
               skua_result(f, &value, sizeof value, 0) == SKUA_OK && value == 64;
    h->order[sk_load_rlx(&h->nr)] = note->i;
    sk_add_acq_rel(&h->nr, 1);
}

struct gated {
    struct skt_shared_gate *gate;
    int x;
};

static int square_after_the_gate(void *arg, void *result)
{
    const struct gated *g = arg;
    skt_shared_gate_task(g->gate, NULL);
    *(int *)result = g->x * g->x;
    return 0;
}

static skua_future *submit_gated(skua_executor *ex, struct skt_shared_gate *gate)
{
    struct gated g = { gate, 8 };
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = square_after_the_gate,
                                                        .arg = &g,
                                                        .arg_size = sizeof g,
                                                        .result_size = sizeof(int) });
    skt_counter_wait(&gate->began, 1);
    return f;
}

static void callbacks_run_here_in_the_order_added(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    struct heard heard = { 0 };
    struct note notes[] = { { &heard, 0 }, { &heard, 1 }, { &heard, 2 } };
    skua_future *f = submit_gated(ex, gate);
    for (int i = 0; i < 3; i++)
        assert_status(skua_add_done_callback(f, take_note, &notes[i]), SKUA_OK);
    assert_int_equal(sk_load_acq(&heard.nr), 0);
    skt_shared_gate_open(gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(&heard.nr), 3);
    assert_true(heard.right);
    assert_int_equal(heard.pid, getpid());
    assert_false(pthread_equal(heard.thread, pthread_self()));
    for (int i = 0; i < 3; i++)
        assert_int_equal(heard.order[i], i);
    skua_release(f);
    skua_close(ex);
}

static void added_after_the_end_they_run_at_once_in_this_thread(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct heard heard = { 0 };
    struct note note = { &heard, 0 };
    skua_future *f = skt_submit_int(ex, skt_square, 8);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_close(ex); /* with which the last callback thread has gone */
    assert_status(skua_add_done_callback(f, take_note, &note), SKUA_OK);
    assert_int_equal(sk_load_acq(&heard.nr), 1);
    assert_true(heard.right);
    assert_true(pthread_equal(heard.thread, pthread_self()));
    skua_release(f);
}

static void count_once(skua_future *f, void *ctx)
{
    skua_exception(f, 0);
    skt_count(ctx, NULL);
}

static void every_way_to_end_calls_back_once(void **state)
{
    struct skt_std s;
    skt_std_open_with(&s, &(skua_options){ .workers = skt_workers(state), .grace = 0.05 });
    static skua_fn *const fns[] = { skt_nothing, skt_fails, skt_crash, skt_spin };
    SK_ATOMIC(int) calls[SKT_COUNT(fns) + 1];
    skua_future *fs[SKT_COUNT(fns)];
    for (size_t i = 0; i < SKT_COUNT(calls); i++)
        sk_init(&calls[i], 0);
    for (size_t i = 0; i < SKT_COUNT(fns); i++) {
        fs[i] = skua_submit_task(s.ex, &(skua_task){ .fn = fns[i], .time_limit = 0.2 });
        assert_status(skua_add_done_callback(fs[i], count_once, &calls[i]), SKUA_OK);
    }
    assert_status(skua_wait(fs, SKT_COUNT(fns), SKUA_ALL_COMPLETED, SKUA_FOREVER), SKUA_OK);
    for (size_t i = 0; i < SKT_COUNT(fns); i++) {
        assert_true(skt_counter_becomes(&calls[i], 1, 5));
        skua_release(fs[i]);
    }
    skt_std_close(&s);
    for (size_t i = 0; i < SKT_COUNT(fns); i++)
        assert_int_equal(sk_load_acq(&calls[i]), 1);
}

static void note_thread(skua_future *f, void *ctx)
{
    (void)f;
    *(pthread_t *)ctx = pthread_self();
}

static void cancel_runs_them_before_it_returns(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    skt_shared_gate_hold(gate, ex, skt_workers(state));
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    SK_ATOMIC(int) calls;
    sk_init(&calls, 0);
    pthread_t thread;
    assert_status(skua_add_done_callback(f, count_once, &calls), SKUA_OK);
    assert_status(skua_add_done_callback(f, note_thread, &thread), SKUA_OK);
    assert_true(skua_cancel(f));
    assert_int_equal(sk_load_acq(&calls), 1);
    assert_true(pthread_equal(thread, pthread_self()));
    skt_shared_gate_open(gate);
    skua_release(f);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&calls), 1);
}

/* ---- what a callback may do ------------------------------------------------------------------ */

struct user {
    skua_executor *ex;
    skua_future *other;
    skua_status waited, shut, idle;
    SK_ATOMIC(int) done;
};

/* Waits for tasks of its own pool, too: its workers do not depend on this thread. */
static void submit_wait_and_cancel(skua_future *f, void *ctx)
{
    struct user *u = ctx;
    int value = -1;
    (void)f;
    skua_future *next = skt_submit_int(u->ex, skt_square, 11);
    u->waited = skua_result(next, &value, sizeof value, 10 * skt_slow_factor());
    if (value != 121)
        u->waited = SKUA_FAILED;
    skua_release(next);
    next = skua_submit(u->ex, skt_nothing, NULL);
    skua_cancel(next);
    skua_release(next);
    skua_future *const both[] = { u->other, f };
    u->idle = skua_wait(both, 2, SKUA_ALL_COMPLETED, 10 * skt_slow_factor());
    sk_add_acq_rel(&u->done, 1);
}

static void a_callback_may_submit_and_wait(void **state)
{
    struct user u = { .ex = skt_processes(state) };
    struct skt_shared_gate *gate = skt_shared_gate_new(u.ex);
    u.other = skt_submit_int(u.ex, skt_square, 2);
    skua_future *f = submit_gated(u.ex, gate);
    assert_status(skua_add_done_callback(f, submit_wait_and_cancel, &u), SKUA_OK);
    skt_shared_gate_open(gate);
    assert_true(skt_counter_becomes(&u.done, 1, 20));
    assert_status(u.waited, SKUA_OK);
    assert_status(u.idle, SKUA_OK);
    assert_true(skt_works(u.ex));
    skua_release(u.other);
    skua_release(f);
    skua_close(u.ex);
}

static void shut_down_and_wait(skua_future *f, void *ctx)
{
    struct user *u = ctx;
    (void)f;
    u->shut = skua_shutdown(u->ex, SKUA_WAIT, SKUA_FOREVER);
    sk_add_acq_rel(&u->done, 1);
}

static void waiting_for_its_own_pools_end_is_a_deadlock(void **state)
{
    struct user u = { .ex = skt_processes(state) };
    struct skt_shared_gate *gate = skt_shared_gate_new(u.ex);
    skua_future *f = submit_gated(u.ex, gate);
    assert_status(skua_add_done_callback(f, shut_down_and_wait, &u), SKUA_OK);
    skt_shared_gate_open(gate);
    assert_true(skt_counter_becomes(&u.done, 1, 10));
    assert_status(u.shut, SKUA_DEADLOCK);
    skua_future *refused = skua_submit(u.ex, skt_nothing, NULL);
    assert_status(skua_result(refused, NULL, 0, 0), SKUA_SHUTDOWN);
    skua_release(refused);
    skua_release(f);
    skua_close(u.ex);
}

static void close_the_pool(skua_future *f, void *ctx)
{
    struct user *u = ctx;
    (void)f;
    skua_close(u->ex);
    sk_add_acq_rel(&u->done, 1);
}

/* It is freed when its last task has ended. */
static void a_callback_may_close_its_pool(void **state)
{
    const int before = skt_nr_descriptors();
    struct user u = { .ex = skt_processes(state) };
    SK_ATOMIC(int) *runs = skt_common_counters(1);
    struct skt_shared_gate *gate = skt_shared_gate_new(u.ex);
    skua_future *f = submit_gated(u.ex, gate), *queued[10];
    assert_status(skua_add_done_callback(f, close_the_pool, &u), SKUA_OK);
    for (int i = 0; i < 10; i++)
        queued[i] = skt_submit_int(u.ex, skt_square, i);
    skt_shared_gate_open(gate);
    assert_true(skt_counter_becomes(&u.done, 1, 10));
    for (int i = 0; i < 10; i++) {
        int value = -1;
        assert_status(skua_result(queued[i], &value, sizeof value, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(value, i * i);
        skua_release(queued[i]);
    }
    skua_release(f);
    assert_true(skt_family_becomes(0));
    assert_true(skt_descriptors_become(before));
    assert_int_equal(sk_load_acq(runs), 0);
}

static void release_it(skua_future *f, void *ctx)
{
    skua_release(f);
    skt_count(ctx, NULL);
}

static void the_last_reference_may_go_in_a_callback(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) calls;
    sk_init(&calls, 0);
    for (int i = 0; i < 200; i++) {
        skua_future *f = skt_submit_int(ex, i % 20 == 0 ? skt_crash : skt_square, i);
        skua_exception(f, i % 2 == 0 ? SKUA_FOREVER : 0);
        assert_status(skua_add_done_callback(f, release_it, &calls), SKUA_OK);
    }
    skua_close(ex);
    assert_int_equal(sk_load_acq(&calls), 200);
}

/* One that takes its time holds up no worker and no other waiter. */
static void dawdle(skua_future *f, void *ctx)
{
    (void)f;
    skt_latch_raise(&((struct skt_gate *)ctx)->began);
    skt_latch_wait(&((struct skt_gate *)ctx)->open, 1);
}

static void the_waiter_is_woken_before_a_slow_callback_ends(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct skt_shared_gate *shared = skt_shared_gate_new(ex);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = submit_gated(ex, shared);
    assert_status(skua_add_done_callback(f, dawdle, &gate), SKUA_OK);
    skt_shared_gate_open(shared);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skt_latch_wait(&gate.began, 1);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0.02), SKUA_TIMEOUT);
    skt_gate_open(&gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(callbacks_run_here_in_the_order_added),
        SKT_EACH(added_after_the_end_they_run_at_once_in_this_thread),
        SKT_EACH(every_way_to_end_calls_back_once),
        SKT_EACH(cancel_runs_them_before_it_returns),
        SKT_EACH(a_callback_may_submit_and_wait),
        SKT_EACH(waiting_for_its_own_pools_end_is_a_deadlock),
        SKT_EACH(a_callback_may_close_its_pool),
        SKT_EACH(the_last_reference_may_go_in_a_callback),
        SKT_EACH(the_waiter_is_woken_before_a_slow_callback_ends),
    };
    return skt_main(argc, argv, "process_callback", tests, SKT_COUNT(tests));
}
