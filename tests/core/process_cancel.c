/* What has not begun can be cancelled, also when it was sent to a worker already; what runs can be
 * stopped, by asking first and by force after the grace. A task counts its runs in shared memory,
 * so that a run nobody asked for is seen. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <string.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

static void running_is_false_in_a_busy_workers_queue(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    skua_future *held[8], *queued[30];
    for (int i = 0; i < skt_workers(state); i++)
        held[i] = skt_shared_gate_submit(gate, ex);
    for (int i = 0; i < 30; i++)
        queued[i] = skua_submit(ex, skt_nothing, NULL);
    skt_pause(0.02); /* not synchronisation: gives them the time to be sent to the workers */
    for (int i = 0; i < skt_workers(state); i++) {
        assert_true(skua_running(held[i]));
        assert_false(skua_cancel(held[i]));
    }
    for (int i = 0; i < 30; i++) {
        assert_false(skua_running(queued[i]));
        assert_false(skua_done(queued[i]));
    }
    skt_shared_gate_open(gate);
    for (int i = 0; i < skt_workers(state); i++) {
        assert_status(skua_result(held[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_false(skua_running(held[i]));
        skua_release(held[i]);
    }
    for (int i = 0; i < 30; i++) {
        assert_status(skua_result(queued[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_false(skua_cancel(queued[i]));
        skua_release(queued[i]);
    }
    skua_close(ex);
}

/* In which order they are cancelled: from the front, from the back, every third and then the rest.
 * */
static int nth(int order, int i)
{
    return order == 0 ? i : order == 1 ? 29 - i : i < 10 ? 3 * i : 3 * ((i - 10) / 2) + 1 + i % 2;
}

static void all_thirty_behind_a_busy_worker_can_be_cancelled(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) *runs = skt_counters(ex, 1);
    for (int order = 0; order < 3; order++) {
        struct skt_shared_gate *gate = skt_shared_gate_new(ex);
        skua_future *queued[30];
        skt_shared_gate_hold(gate, ex, skt_workers(state));
        for (int i = 0; i < 30; i++)
            queued[i] = skua_submit(ex, skt_count, runs);
        for (int i = 0; i < 30; i++) {
            skua_future *f = queued[nth(order, i)];
            const double start = skt_now();
            assert_true(skua_cancel(f));
            assert_true(skua_cancel(f));
            assert_true(skua_cancelled(f));
            assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
            assert_true(skt_now() - start < skt_wake_limit());
        }
        skt_shared_gate_open(gate);
        assert_true(skt_meet(ex));
        for (int i = 0; i < 30; i++)
            skua_release(queued[i]);
        skua_shared_free(ex, gate);
    }
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(sk_load_acq(runs), 0);
    skua_close(ex);
}

static void cancelled_tasks_never_run_and_the_others_do(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) *runs = skt_counters(ex, 1000);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    skua_future *fs[1000];
    bool cancelled[1000] = { false };
    skt_shared_gate_hold(gate, ex, skt_workers(state));
    for (int i = 0; i < 1000; i++)
        fs[i] = skua_submit(ex, skt_count, &runs[i]);
    for (int i = 0; i < 1000; i += 2)
        cancelled[i] = skua_cancel(fs[i]);
    skt_shared_gate_open(gate);
    for (int i = 1; i < 1000; i += 4)
        cancelled[i] = skua_cancel(fs[i]); /* races with their beginning */
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    for (int i = 0; i < 1000; i++) {
        assert_true(cancelled[i] || i % 2 == 1);
        assert_int_equal(sk_load_acq(&runs[i]), !cancelled[i]);
        assert_int_equal(skua_cancelled(fs[i]), cancelled[i]);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

/* ---- stop ------------------------------------------------------------------------------------ */

static int poll_until_stopped(void *arg, void *result)
{
    SK_ATOMIC(int) *began = arg;
    (void)result;
    skt_count(began, NULL);
    while (!skua_stopping())
        continue;
    return SKUA_CANCELLED;
}

static void stop_reaches_a_task_that_asks(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) *began = skt_counters(ex, 1);
    const pid_t pid = skt_workers(state) == 1 ? skt_ask(ex, skt_tell_pid) : 0;
    skua_future *f = skua_submit(ex, poll_until_stopped, began);
    skt_counter_wait(began, 1);
    assert_false(skua_cancel(f));
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    assert_true(skua_cancelled(f));
    if (pid != 0)
        assert_int_equal(skt_ask(ex, skt_tell_pid), pid);
    /* The next task of that worker is not asked to stop. */
    assert_true(skt_works(ex));
    skua_release(f);
    skua_close(ex);
}

static int end_well_when_stopped(void *arg, void *result)
{
    poll_until_stopped(arg, NULL);
    *(int *)result = 6;
    return 0;
}

static void a_stopped_task_that_ends_well_has_its_result(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) *began = skt_counters(ex, 1);
    int value = 0;
    skua_future *f = skua_submit_task(
        ex, &(skua_task){ .fn = end_well_when_stopped, .arg = began, .result_size = sizeof value });
    skt_counter_wait(began, 1);
    skua_stop(f);
    assert_status(skua_result(f, &value, sizeof value, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(value, 6);
    skua_release(f);
    skua_close(ex);
}

static int spin_after_telling(void *arg, void *result)
{
    sk_store_rel((SK_ATOMIC(int) *)arg, (int)getpid());
    return skt_spin(arg, result);
}

static void a_task_that_does_not_ask_is_killed_after_the_grace(void **state)
{
    struct skt_std s;
    skt_std_open_with(&s, &(skua_options){ .workers = skt_workers(state), .grace = 0.1 });
    SK_ATOMIC(int) *pid = skt_counters(s.ex, 1);
    skua_future *f = skua_submit(s.ex, spin_after_telling, pid);
    skt_counter_wait(pid, 1);
    const pid_t old = sk_load_acq(pid);
    const double start = skt_now();
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    const double took = skt_now() - start;
    assert_true(took >= 0.09);
    assert_true(took < 0.1 + skt_wake_limit());
    assert_true(skua_cancelled(f));
    assert_true(skt_gets_gone(old, 1));
    skua_release(f);
    assert_int_not_equal(skt_ask(s.ex, skt_tell_pid), old);
    skt_std_close(&s);
}

static void without_a_grace_it_is_a_second(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) *pid = skt_counters(ex, 1);
    skua_future *f = skua_submit(ex, spin_after_telling, pid);
    skt_counter_wait(pid, 1);
    const double start = skt_now();
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    assert_true(skt_now() - start >= 0.9);
    assert_true(skt_now() - start < 1 + skt_wake_limit());
    skua_release(f);
    skua_close(ex);
}

static void stopping_what_waits_cancels_it(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    skt_shared_gate_hold(gate, ex, skt_workers(state));
    skua_future *f = skua_submit(ex, skt_crash, NULL);
    skua_stop(f);
    assert_true(skua_cancelled(f));
    assert_status(skua_result(f, NULL, 0, 0), SKUA_CANCELLED);
    skt_shared_gate_open(gate);
    skua_release(f);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(running_is_false_in_a_busy_workers_queue),
        SKT_EACH(all_thirty_behind_a_busy_worker_can_be_cancelled),
        SKT_EACH(cancelled_tasks_never_run_and_the_others_do),
        SKT_EACH(stop_reaches_a_task_that_asks),
        SKT_EACH(a_stopped_task_that_ends_well_has_its_result),
        SKT_EACH(a_task_that_does_not_ask_is_killed_after_the_grace),
        SKT_TEST(without_a_grace_it_is_a_second),
        SKT_EACH(stopping_what_waits_cancels_it),
    };
    return skt_main(argc, argv, "process_cancel", tests, SKT_COUNT(tests));
}
