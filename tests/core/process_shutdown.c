/* The end of a process pool, in all its forms: after each, no process and no descriptor is left,
 * and every future is done. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <string.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

static void nothing_is_left_of_a_closed_pool(void **state)
{
    const int before = skt_nr_descriptors();
    for (int i = 0; i < 5; i++) {
        skua_executor *ex = skua_process_pool(&(skua_options){ .workers = skt_workers(state) });
        assert_non_null(ex);
        if (i % 2 == 1)
            assert_true(skt_works(ex));
        skua_close(ex);
        struct skt_family family;
        skt_family_look(&family);
        assert_int_equal(family.nr, 0);
        assert_int_equal(skt_nr_descriptors(), before);
    }
    skua_close(NULL);
}

static void after_shutdown_submissions_are_refused(void **state)
{
    skua_executor *ex = skt_processes(state);
    assert_status(skua_shutdown(ex, 0, 0), SKUA_OK);
    skua_future *f = skua_submit(ex, skt_crash, NULL);
    assert_true(skua_done(f));
    assert_false(skua_cancelled(f));
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_SHUTDOWN);
    assert_true(strlen(skua_exception(f, 0)->message) > 0);
    int in = 3, out = 0;
    assert_status(skua_map(ex, skt_square, &in, sizeof in, &out, sizeof out, 1, NULL, 10),
                  SKUA_SHUTDOWN);
    assert_status(skua_process_refresh(ex), SKUA_SHUTDOWN);
    skua_release(f);
    skua_close(ex);
}

static void all_that_was_pending_runs(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    SK_ATOMIC(int) *runs = skt_counters(ex, 1);
    skt_shared_gate_hold(gate, ex, skt_workers(state));
    for (int i = 0; i < 100; i++)
        skua_release(skua_submit(ex, skt_count, runs));
    const double start = skt_now();
    for (int i = 0; i < 3; i++)
        assert_status(skua_shutdown(ex, 0, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0), SKUA_TIMEOUT);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0.05), SKUA_TIMEOUT);
    assert_true(skt_now() - start >= 0.05);
    assert_true(skt_now() - start < 0.05 + skt_wake_limit());
    assert_int_equal(sk_load_acq(runs), 0);
    skt_shared_gate_open(gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(runs), 100);
    assert_status(skua_shutdown(ex, SKUA_WAIT, 0), SKUA_OK);
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

/* Crashes do not keep the rest of a pool that was shut down from running. */
static void after_shutdown_a_crash_is_replaced_as_ever(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) *runs = skt_counters(ex, 1);
    skua_future *fs[40];
    for (int i = 0; i < 40; i++)
        fs[i] = skua_submit(ex, i % 4 == 0 ? skt_crash : skt_count, runs);
    assert_status(skua_shutdown(ex, 0, 0), SKUA_OK);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(runs), 30);
    skua_close(ex);
    for (int i = 0; i < 40; i++) {
        const skua_status status = skua_result(fs[i], NULL, 0, 0);
        assert_string_equal(skua_strstatus(status), i % 4 == 0 ? "SKUA_CRASHED" : "SKUA_OK");
        skua_release(fs[i]);
    }
}

struct waiter {
    skua_future *f;
    struct skt_latch *returned;
    skua_status status;
};

static void *wait_for_result(void *arg)
{
    struct waiter *w = arg;
    w->status = skua_result(w->f, NULL, 0, SKUA_FOREVER);
    skt_latch_raise(w->returned);
    return NULL;
}

static void count_callback(skua_future *f, void *ctx)
{
    skua_exception(f, 0);
    skt_count(ctx, NULL);
}

static void cancelling_all_wakes_every_waiter_and_runs_every_callback(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    skua_future *running = skt_shared_gate_submit(gate, ex), *fs[50];
    skt_shared_gate_hold(gate, ex, skt_workers(state) - 1);
    SK_ATOMIC(int) *runs = skt_counters(ex, 1);
    SK_ATOMIC(int) calls;
    sk_init(&calls, 0);
    struct skt_latch returned;
    skt_latch_init(&returned);
    struct waiter waiters[50];
    pthread_t threads[50];
    for (int i = 0; i < 50; i++) {
        fs[i] = skua_submit(ex, skt_count, runs);
        skua_add_done_callback(fs[i], count_callback, &calls);
        waiters[i] = (struct waiter){ fs[i], &returned, SKUA_OK };
        threads[i] = skt_thread(wait_for_result, &waiters[i]);
    }
    assert_status(skua_shutdown(ex, SKUA_WAIT | SKUA_CANCEL_FUTURES, 0), SKUA_TIMEOUT);
    assert_true(skt_latch_wait_for(&returned, 50, skt_wake_limit()));
    assert_int_equal(sk_load_acq(&calls), 50);
    assert_false(skua_done(running));
    skt_shared_gate_open(gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT | SKUA_CANCEL_FUTURES, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_result(running, NULL, 0, 0), SKUA_OK);
    for (int i = 0; i < 50; i++) {
        skt_join(threads[i]);
        assert_status(waiters[i].status, SKUA_CANCELLED);
        skua_release(fs[i]);
    }
    assert_int_equal(sk_load_acq(runs), 0);
    skua_release(running);
    skua_close(ex);
    skt_latch_fini(&returned);
}

/* ---- by force -------------------------------------------------------------------------------- */

static int spin_after_telling(void *arg, void *result)
{
    skt_count(arg, NULL);
    return skt_spin(arg, result);
}

static void kill_all(void **state, int flags)
{
    const int n = skt_workers(state), before = skt_nr_descriptors();
    skua_executor *ex = skt_processes_with(&(skua_options){ .workers = n, .grace = 0.1 });
    SK_ATOMIC(int) *began = skt_counters(ex, 1);
    skua_future *running[8], *queued[20];
    for (int i = 0; i < n; i++)
        running[i] = skua_submit(ex, spin_after_telling, began);
    skt_counter_wait(began, n);
    for (int i = 0; i < 20; i++)
        queued[i] = skua_submit(ex, skt_count, began);
    const double start = skt_now();
    assert_status(skua_shutdown(ex, SKUA_WAIT | flags, SKUA_FOREVER), SKUA_OK);
    assert_true(skt_now() - start < 0.1 + 2 * skt_wake_limit());
    for (int i = 0; i < n; i++) {
        assert_status(skua_result(running[i], NULL, 0, 0), SKUA_CANCELLED);
        skua_release(running[i]);
    }
    for (int i = 0; i < 20; i++) {
        assert_status(skua_result(queued[i], NULL, 0, 0), SKUA_CANCELLED);
        skua_release(queued[i]);
    }
    assert_int_equal(sk_load_acq(began), n);
    assert_status(skua_shutdown(ex, SKUA_WAIT | SKUA_KILL, SKUA_FOREVER), SKUA_OK);
    skua_close(ex);
    assert_true(skt_family_becomes(0));
    assert_true(skt_descriptors_become(before));
}

static void kill_ends_what_runs_and_cancels_the_rest(void **state)
{
    kill_all(state, SKUA_CANCEL_FUTURES | SKUA_KILL);
    kill_all(state, SKUA_KILL);
}

static void kill_before_any_task_and_twice_is_fine(void **state)
{
    const int before = skt_nr_descriptors();
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = skt_workers(state) });
    assert_non_null(ex);
    assert_status(skua_shutdown(ex, SKUA_KILL, 0), SKUA_OK);
    assert_status(skua_shutdown(ex, SKUA_KILL | SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_shutdown(ex, SKUA_KILL | SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    skua_close(ex);
    assert_true(skt_family_becomes(0));
    assert_true(skt_descriptors_become(before));
}

static void unknown_flags_are_refused(void **state)
{
    skua_executor *ex = skt_processes(state);
    assert_status(skua_shutdown(ex, 64, 0), SKUA_INVALID);
    assert_status(skua_shutdown(NULL, SKUA_WAIT, 0), SKUA_INVALID);
    assert_true(skt_works(ex));
    skua_close(ex);
}

/* ---- from within ----------------------------------------------------------------------------- */

static skua_executor *outer; /* of the process that made it, and of its workers' memory */

static int use_the_parents_pool(void *arg, void *result)
{
    skua_executor *ex = *(skua_executor **)arg;
    (void)result;
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    const skua_status submitted = skua_result(f, NULL, 0, 5);
    skua_release(f);
    if (submitted == SKUA_OK || submitted == SKUA_TIMEOUT)
        return skua_fail(1, "submitting from a worker gave %s", skua_strstatus(submitted));
    skua_shutdown(ex, SKUA_WAIT | SKUA_KILL, 5);
    skua_close(ex);
    return 0;
}

/* The worker has a copy of the pool's memory, made after the pool was. It is shut down there, as
 * after any fork(), and what is done to it does nothing to the pool. */
static void a_worker_cannot_harm_its_pool(void **state)
{
    skua_executor *first = skt_processes_of(1);
    outer = first;
    skua_executor *ex = skt_processes(state); /* whose workers know of the first one */
    skua_future *f = skua_submit_task(
        ex, &(skua_task){ .fn = use_the_parents_pool, .arg = &outer, .arg_size = sizeof outer });
    const skua_error *e = skua_exception(f, 10 * skt_slow_factor());
    if (e != NULL)
        print_error("%s\n", e->message);
    assert_null(e);
    skua_release(f);
    assert_true(skt_works(first));
    assert_true(skt_works(ex));
    skua_close(first);
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

static void pools_end_in_any_order(void **state)
{
    const int before = skt_nr_descriptors();
    skua_executor *a = skt_processes(state), *b = skt_processes_of(2), *c = skt_processes_of(1);
    skua_close(a);
    assert_true(skt_works(b) && skt_works(c));
    a = skt_processes(state);
    skua_close(c);
    assert_true(skt_works(a) && skt_works(b));
    skua_future *f = skua_submit(b, skt_crash, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
    skua_release(f);
    assert_true(skt_works(a) && skt_works(b));
    skua_close(b);
    assert_true(skt_works(a));
    skua_close(a);
    assert_true(skt_family_becomes(0));
    assert_true(skt_descriptors_become(before));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(nothing_is_left_of_a_closed_pool),
        SKT_EACH(after_shutdown_submissions_are_refused),
        SKT_EACH(all_that_was_pending_runs),
        SKT_EACH(after_shutdown_a_crash_is_replaced_as_ever),
        SKT_EACH(cancelling_all_wakes_every_waiter_and_runs_every_callback),
        SKT_EACH(kill_ends_what_runs_and_cancels_the_rest),
        SKT_EACH(kill_before_any_task_and_twice_is_fine),
        SKT_EACH(unknown_flags_are_refused),
        SKT_TEST(a_worker_cannot_harm_its_pool),
        SKT_EACH(pools_end_in_any_order),
    };
    return skt_main(argc, argv, "process_shutdown", tests, SKT_COUNT(tests));
}
