/* The verbs of every executor, on worker processes: submit and result, failures and their words,
 * priorities, limits on what is pending, numbers and statistics. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/log_lines.h"
#include "tests/support/process.h"

/* ---- results --------------------------------------------------------------------------------- */

struct asker {
    skua_future *f;
    int nr_right;
};

static void *ask_often(void *arg)
{
    struct asker *a = arg;
    for (int i = 0; i < 100; i++) {
        int value = -1;
        a->nr_right +=
            skua_result(a->f, &value, sizeof value, SKUA_FOREVER) == SKUA_OK && value == 81;
    }
    return NULL;
}

static void a_result_may_be_read_often_and_by_many(void **state)
{
    skua_executor *ex = skt_processes(state);
    skua_future *f = skt_submit_int(ex, skt_square, 9);
    struct asker askers[8];
    pthread_t threads[8];
    for (int i = 0; i < 8; i++) {
        askers[i] = (struct asker){ f, 0 };
        threads[i] = skt_thread(ask_often, &askers[i]);
    }
    for (int i = 0; i < 8; i++) {
        skt_join(threads[i]);
        assert_int_equal(askers[i].nr_right, 100);
    }
    assert_null(skua_exception(f, 0));
    skua_close(ex);
    int value = 0;
    assert_status(skua_result(f, &value, sizeof value, 0), SKUA_OK);
    assert_int_equal(value, 81);
    skua_release(f);
}

static void each_task_has_its_own_copy_of_the_argument(void **state)
{
    skua_executor *ex = skt_processes(state);
    skua_future *fs[1000];
    int x;
    for (x = 0; x < 1000; x++)
        fs[x] = skua_submit_task(
            ex, &(skua_task){
                    .fn = skt_square, .arg = &x, .arg_size = sizeof x, .result_size = sizeof x });
    x = -1;
    for (int i = 0; i < 1000; i++) {
        int value = -1;
        assert_status(skua_result(fs[i], &value, sizeof value, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(value, i * i);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

static void a_wrong_size_is_refused_and_the_right_one_works_after(void **state)
{
    skua_executor *ex = skt_processes(state);
    skua_future *f = skt_submit_int(ex, skt_square, 5);
    char out[8] = "unmoved";
    assert_status(skua_result(f, out, 8, SKUA_FOREVER), SKUA_INVALID);
    assert_status(skua_result(f, out, 1, SKUA_FOREVER), SKUA_INVALID);
    assert_string_equal(out, "unmoved");
    int value = 0;
    assert_status(skua_result(f, &value, sizeof value, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(value, 25);
    skua_release(f);
    skua_close(ex);
}

/* Fills its result at first, then writes only every other byte. */
static int write_some(void *arg, void *result)
{
    unsigned char *bytes = result;
    for (int i = 0; i < 2000; i += *(int *)arg)
        bytes[i] = 0xff;
    return 0;
}

static void bytes_that_the_task_does_not_write_are_zero(void **state)
{
    skua_executor *ex = skt_processes(state);
    for (int round = 0; round < 20; round++) {
        int step = round % 2 == 0 ? 1 : 2;
        unsigned char bytes[2000];
        skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = write_some,
                                                            .arg = &step,
                                                            .arg_size = sizeof step,
                                                            .result_size = sizeof bytes });
        assert_status(skua_result(f, bytes, sizeof bytes, SKUA_FOREVER), SKUA_OK);
        int nr_wrong = 0;
        for (int i = 0; i < 2000; i++)
            nr_wrong += bytes[i] != (i % step == 0 ? 0xff : 0);
        assert_int_equal(nr_wrong, 0);
        skua_release(f);
    }
    skua_close(ex);
}

static void a_timeout_that_passes_leaves_the_task_alone(void **state)
{
    static const double timeouts[] = { 0, -1, -1e300, 0.01 };
    skua_executor *ex = skt_processes(state);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    skua_future *f = skt_shared_gate_submit(gate, ex);
    const double start = skt_now();
    for (size_t i = 0; i < SKT_COUNT(timeouts); i++)
        assert_status(skua_result(f, NULL, 0, timeouts[i]), SKUA_TIMEOUT);
    assert_status(skua_result(f, NULL, 0, (double)NAN), SKUA_TIMEOUT);
    assert_status(skua_exception(f, 0)->status, SKUA_TIMEOUT);
    assert_true(skt_now() - start < skt_wake_limit());
    assert_true(skua_running(f));
    skt_shared_gate_open(gate);
    assert_status(skua_result(f, NULL, 0, 1e300), SKUA_OK);
    skua_release(f);
    skua_close(ex);
}

static void a_future_released_at_once_still_runs_once(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) *runs = skt_counters(ex, 500);
    for (int i = 0; i < 500; i++)
        skua_release(skua_submit(ex, skt_count, &runs[i]));
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    for (int i = 0; i < 500; i++)
        assert_int_equal(sk_load_acq(&runs[i]), 1);
    skua_close(ex);
}

static void drop(void *result)
{
    skt_count(*(void **)result, NULL); /* in the parent: the result is the address of a counter */
}

static int give_back(void *arg, void *result)
{
    *(void **)result = *(void **)arg;
    return 0;
}

static void a_result_that_nobody_took_is_dropped_here(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) drops;
    sk_init(&drops, 0);
    void *arg = &drops, *out = NULL;
    const skua_task task = { .fn = give_back,
                             .arg = &arg,
                             .arg_size = sizeof arg,
                             .result_size = sizeof arg,
                             .drop = drop };
    skua_future *taken = skua_submit_task(ex, &task), *left = skua_submit_task(ex, &task);
    assert_status(skua_result(taken, &out, sizeof out, SKUA_FOREVER), SKUA_OK);
    assert_ptr_equal(out, arg);
    assert_status(skua_result(taken, &out, sizeof out, SKUA_FOREVER), SKUA_INVALID_STATE);
    assert_status(skua_result(left, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(taken);
    assert_int_equal(sk_load_acq(&drops), 0);
    skua_release(left);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&drops), 1);
}

/* ---- failures -------------------------------------------------------------------------------- */

static int fail_with_words(void *arg, void *result)
{
    *(int *)result = 1;
    return skua_fail(7, "x=%d", *(int *)arg);
}

static void words_come_with_file_and_line(void **state)
{
    skua_executor *ex = skt_processes(state);
    int x = 3, value = 55;
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = fail_with_words,
                                                        .arg = &x,
                                                        .arg_size = sizeof x,
                                                        .result_size = sizeof value,
                                                        .name = "wordy" });
    assert_status(skua_result(f, &value, sizeof value, SKUA_FOREVER), SKUA_FAILED);
    assert_int_equal(value, 55);
    skua_close(ex);
    const skua_error *e = skua_exception(f, 0);
    assert_status(e->status, SKUA_FAILED);
    assert_int_equal(e->code, 7);
    assert_string_equal(e->message, "x=3");
    assert_non_null(strstr(e->where, "process_verbs.c:"));
    assert_string_equal(e->task, "wordy");
    assert_int_equal(e->fault, SKUA_FAULT_NONE);
    assert_int_equal(e->signal, 0);
    assert_string_equal(e->backtrace, "");
    assert_in_range(e->worker, 0, skt_workers(state) - 1);
    skua_release(f);
}

static int fail_at_length(void *arg, void *result)
{
    (void)arg;
    (void)result;
    char words[600];
    memset(words, 'w', sizeof words - 1);
    words[sizeof words - 1] = '\0';
    return skua_fail(0, "%s", words);
}

static void long_words_are_cut_and_a_code_of_0_is_1(void **state)
{
    skua_executor *ex = skt_processes(state);
    skua_future *f = skua_submit(ex, fail_at_length, NULL);
    skua_close(ex);
    const skua_error *e = skua_exception(f, 0);
    assert_status(e->status, SKUA_FAILED);
    assert_int_equal(e->code, 1);
    assert_in_range(strlen(e->message), 300, 400);
    skua_release(f);
}

static int return_its_argument(void *arg, void *result)
{
    (void)result;
    return *(int *)arg;
}

/* Also those that are numbers of statuses. */
static void any_code_without_words_is_a_failure(void **state)
{
    static const int codes[] = { 1, -1, SKUA_CANCELLED, SKUA_TIMEOUT, SKUA_CRASHED, 255, 1 << 30 };
    skua_executor *ex = skt_processes(state);
    for (size_t i = 0; i < SKT_COUNT(codes); i++) {
        int code = codes[i];
        skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = return_its_argument,
                                                            .arg = &code,
                                                            .arg_size = sizeof code,
                                                            .name = "coded" });
        const skua_error *e = skua_exception(f, SKUA_FOREVER);
        assert_non_null(e);
        assert_status(e->status, SKUA_FAILED);
        assert_int_equal(e->code, code);
        assert_non_null(strstr(e->message, "coded"));
        skua_release(f);
    }
    assert_true(skt_works(ex));
    skua_close(ex);
}

static void a_failure_nobody_read_is_one_line_here(void **state)
{
    skua_executor *ex = skt_processes(state);
    skt_log_start();
    skua_future *read = skua_submit(ex, skt_fails, NULL);
    skua_exception(read, SKUA_FOREVER);
    skua_release(read);
    assert_int_equal(skt_log_lines(), 0);
    skua_release(skua_submit_task(ex, &(skua_task){ .fn = skt_fails, .name = "unread failure" }));
    skua_release(skua_submit_task(ex, &(skua_task){ .fn = skt_crash, .name = "unread crash" }));
    skua_close(ex);
    assert_int_equal(skt_log_lines(), 2);
    assert_true(skt_log_has("unread failure"));
    assert_true(skt_log_has("broken on purpose"));
    assert_true(skt_log_has("unread crash"));
    skt_log_stop();
}

/* ---- order and numbers ----------------------------------------------------------------------- */

struct order {
    SK_ATOMIC(int) next;
    int places[32];
};

struct place {
    struct order *order;
    int i;
};

static int take_a_place(void *arg, void *result)
{
    const struct place *p = arg;
    (void)result;
    p->order->places[sk_add_acq_rel(&p->order->next, 1)] = p->i;
    return 0;
}

/* Of one priority as submitted; what was sent to the worker ahead of its turn is no exception. */
static void one_worker_begins_by_priority_then_in_order(void **state)
{
    (void)state;
    skua_executor *ex = skt_processes_of(1);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    struct order *order = skua_shared_alloc(ex, sizeof *order);
    assert_non_null(order);
    skt_shared_gate_hold(gate, ex, 1);
    for (int i = 0; i < 30; i++) {
        struct place place = { order, i };
        skua_release(skua_submit_task(ex, &(skua_task){ .fn = take_a_place,
                                                        .arg = &place,
                                                        .arg_size = sizeof place,
                                                        .priority = (skua_priority)(i / 10 - 1) }));
    }
    skt_shared_gate_open(gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    for (int i = 0; i < 30; i++)
        assert_int_equal(order->places[i], (2 - i / 10) * 10 + i % 10);
    skua_close(ex);
}

struct submitter {
    skua_executor *ex;
    SK_ATOMIC(int) nr_submitted;
};

static void *submit_twelve(void *arg)
{
    struct submitter *s = arg;
    for (int i = 0; i < 12; i++) {
        skua_release(skua_submit(s->ex, skt_nothing, NULL));
        sk_add_acq_rel(&s->nr_submitted, 1);
    }
    return NULL;
}

static void submitting_waits_while_too_many_are_pending(void **state)
{
    struct submitter s = { .ex = skt_processes_with(&(skua_options){ .workers = skt_workers(state),
                                                                     .max_pending = 8 }) };
    struct skt_shared_gate *gate = skt_shared_gate_new(s.ex);
    skt_shared_gate_hold(gate, s.ex, skt_workers(state));
    const pthread_t thread = skt_thread(submit_twelve, &s);
    assert_true(skt_counter_becomes(&s.nr_submitted, 8, 5));
    skt_pause(0.05); /* not synchronisation: gives the ninth the time to be wrong */
    assert_int_equal(sk_load_acq(&s.nr_submitted), 8);
    skt_shared_gate_open(gate);
    skt_join(thread);
    assert_int_equal(sk_load_acq(&s.nr_submitted), 12);
    skua_close(s.ex);
}

static void workers_have_the_numbers_0_to_n_also_after_crashes(void **state)
{
    skua_executor *ex = skt_processes(state);
    for (int i = 0; i < 2 * skt_workers(state); i++) {
        skua_future *f = skua_submit(ex, skt_crash, NULL);
        const skua_error *e = skua_exception(f, SKUA_FOREVER);
        assert_non_null(e);
        assert_in_range(e->worker, 0, skt_workers(state) - 1);
        skua_release(f);
    }
    assert_true(skt_meet(ex));
    assert_int_equal(skua_worker(), -1);
    skua_close(ex);
}

/* What all that has ended adds up to. */
static void statistics_add_up(void **state)
{
    skua_executor *ex = skt_processes(state);
    skua_stats before, stats;
    assert_status(skua_executor_stats(ex, &before), SKUA_OK);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    const size_t n = (size_t)skt_workers(state);
    skt_shared_gate_hold(gate, ex, (int)n);
    skua_future *fs[40];
    for (int i = 0; i < 40; i++)
        fs[i] = skua_submit(ex,
                            i % 4 == 0   ? skt_crash
                            : i % 4 == 1 ? skt_fails
                                         : skt_nothing,
                            NULL);
    assert_status(skua_executor_stats(ex, &stats), SKUA_OK);
    assert_int_equal(stats.workers, n);
    assert_int_equal(stats.running, n);
    assert_int_equal(stats.pending, 40);
    for (int i = 3; i < 40; i += 4)
        assert_true(skua_cancel(fs[i]));
    skt_shared_gate_open(gate);
    skua_wait(fs, 40, SKUA_ALL_COMPLETED, SKUA_FOREVER);
    for (int i = 0; i < 40; i++) {
        skua_exception(fs[i], 0);
        skua_release(fs[i]);
    }
    assert_true(skt_family_becomes((int)n + SKT_AROUND));
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_executor_stats(ex, &stats), SKUA_OK);
    assert_int_equal(stats.finished - before.finished, n + 10);
    assert_int_equal(stats.failed - before.failed, 20);
    assert_int_equal(stats.cancelled - before.cancelled, 10);
    assert_int_equal(stats.restarts - before.restarts, 10);
    assert_int_equal(stats.pending + stats.running, 0);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_result_may_be_read_often_and_by_many),
        SKT_EACH(each_task_has_its_own_copy_of_the_argument),
        SKT_EACH(a_wrong_size_is_refused_and_the_right_one_works_after),
        SKT_EACH(bytes_that_the_task_does_not_write_are_zero),
        SKT_EACH(a_timeout_that_passes_leaves_the_task_alone),
        SKT_EACH(a_future_released_at_once_still_runs_once),
        SKT_EACH(a_result_that_nobody_took_is_dropped_here),
        SKT_EACH(words_come_with_file_and_line),
        SKT_EACH(long_words_are_cut_and_a_code_of_0_is_1),
        SKT_EACH(any_code_without_words_is_a_failure),
        SKT_EACH(a_failure_nobody_read_is_one_line_here),
        SKT_TEST(one_worker_begins_by_priority_then_in_order),
        SKT_EACH(submitting_waits_while_too_many_are_pending),
        SKT_EACH(workers_have_the_numbers_0_to_n_also_after_crashes),
        SKT_EACH(statistics_add_up),
    };
    return skt_main(argc, argv, "process_verbs", tests, SKT_COUNT(tests));
}
