/* What the record of a failure says, how long it says it, and who changes the last error of a
 * thread: its own failing calls, and nothing else. */
#include "tests/support/harness.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

static int fail_softly(void *arg, void *result)
{
    (void)result;
    return arg != NULL ? *(int *)arg : skua_fail(7, "the pivot is %d", 0);
}

static skua_future *submit_named(skua_executor *ex, skua_fn *fn, void *arg, const char *name)
{
    return skua_submit_task(ex, &(skua_task){ .fn = fn, .arg = arg, .name = name });
}

/* ---- failures -------------------------------------------------------------------------------- */

static void a_failure_is_told_in_full_after_the_pool_is_closed(void **state)
{
    skua_executor *ex = skt_pool(state);
    char name[] = "factor 12";
    skua_future *f = submit_named(ex, fail_softly, NULL, name);
    memset(name, 'x', sizeof name - 1);
    skua_close(ex);
    const skua_error *e = skua_exception(f, 0);
    assert_non_null(e);
    assert_status(e->status, SKUA_FAILED);
    assert_int_equal(e->code, 7);
    assert_in_range(e->worker, 0, skt_workers(state) - 1);
    assert_string_equal(e->message, "the pivot is 0");
    assert_non_null(strstr(e->where, "error_records.c:"));
    assert_string_equal(e->task, "factor 12");
    assert_string_equal(e->backtrace, "");
    skua_release(f);
}

static void a_code_without_words_names_the_task(void **state)
{
    skua_executor *ex = skt_pool(state);
    int code = -44;
    skua_future *named = submit_named(ex, fail_softly, &code, "solve");
    skua_future *nameless = skua_submit(ex, fail_softly, &code);
    assert_string_equal(skua_exception(named, SKUA_FOREVER)->message, "solve returned -44");
    assert_string_equal(skua_exception(named, SKUA_FOREVER)->task, "solve");
    assert_string_equal(skua_exception(nameless, SKUA_FOREVER)->message, "the task returned -44");
    assert_string_equal(skua_exception(nameless, SKUA_FOREVER)->task, "");
    skua_release(named);
    skua_release(nameless);
    skua_close(ex);
}

static int stop_with_words(void *arg, void *result)
{
    (void)result;
    while (!skua_stopping()) {
    }
    return arg != NULL ? skua_fail(SKUA_CANCELLED, "stopped at step 3") : SKUA_CANCELLED;
}

static void an_expired_task_keeps_its_words(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_task task = { .fn = stop_with_words, .arg = ex, .name = "slow", .time_limit = 0.01 };
    skua_future *f = skua_submit_task(ex, &task);
    task.arg = NULL;
    skua_future *silent = skua_submit_task(ex, &task);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_status(e->status, SKUA_EXPIRED);
    assert_string_equal(e->message, "stopped at step 3");
    assert_string_equal(e->task, "slow");
    e = skua_exception(silent, SKUA_FOREVER);
    assert_status(e->status, SKUA_EXPIRED);
    assert_non_null(strstr(e->message, "slow was asked to stop after its time_limit"));
    assert_string_equal(e->task, "slow");
    skua_release(f);
    skua_release(silent);
    skua_close(ex);
}

static int init_fails(void *arg)
{
    (void)arg;
    return 1;
}

static void what_was_refused_has_the_name_of_its_task(void **state)
{
    (void)state;
    skua_executor *ex = skt_pool_of(1);
    skua_executor *broken = skua_thread_pool(&(skua_options){ .workers = 1, .init = init_fails });
    skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER);
    skua_future *fs[] = { submit_named(NULL, skt_nothing, NULL, "nowhere"),
                          submit_named(ex, skt_nothing, NULL, "too late"),
                          submit_named(ex, NULL, NULL, "no function"),
                          submit_named(broken, skt_nothing, NULL, "in vain") };
    const char *const names[] = { "nowhere", "too late", "no function", "in vain" };
    const skua_status statuses[] = { SKUA_INVALID, SKUA_SHUTDOWN, SKUA_INVALID,
                                     SKUA_BROKEN_THREAD_POOL };
    skua_close(ex);
    skua_close(broken);
    for (size_t i = 0; i < SKT_COUNT(fs); i++) {
        const skua_error *e = skua_exception(fs[i], SKUA_FOREVER);
        assert_int_equal(e->status, statuses[i]);
        assert_string_equal(e->task, names[i]);
        assert_true(strlen(e->message) > 0);
        skua_release(fs[i]);
    }
}

static void the_last_error_outlives_its_future(void **state)
{
    skua_executor *ex = skt_pool(state);
    char name[300];
    memset(name, 'n', sizeof name);
    name[sizeof name - 1] = '\0';
    skua_future *f = submit_named(ex, fail_softly, NULL, name);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    assert_string_equal(skua_exception(f, 0)->task, name);
    skua_release(f);
    skua_close(ex);
    const skua_error *e = skua_last_error();
    assert_int_equal(e->code, 7);
    assert_string_equal(e->message, "the pivot is 0");
    assert_int_equal(strlen(e->task), 127);
    assert_memory_equal(e->task, name, 127);
}

/* ---- the line for a failure that nobody read ------------------------------------------------- */

static void ignore(skua_future *f, void *ctx)
{
    (void)f;
    (void)ctx;
}

static void read_it(skua_future *f, void *ctx)
{
    (void)ctx;
    skua_exception(f, 0);
}

static void a_failure_nobody_read_is_printed_once_in_full(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = submit_named(ex, fail_softly, NULL, "factor");
    skua_wait(&f, 1, SKUA_ALL_COMPLETED, SKUA_FOREVER); /* not a look at how it ended */
    assert_true(skua_done(f));
    skua_add_done_callback(f, ignore, NULL);
    skua_retain(f);
    skua_close(ex); /* the queue has no reference left */
    skt_log_start();
    skua_release(f);
    assert_int_equal(skt_log_lines(), 0);
    skua_release(f);
    skt_log_stop();
    assert_int_equal(skt_log_lines(), 1);
    assert_true(skt_log_has("SKUA_FAILED in factor: the pivot is 0 at "));
    assert_true(skt_log_has("error_records.c:"));
}

static void a_failure_that_was_read_is_not_printed(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *fs[3];
    skt_log_start();
    for (size_t i = 0; i < SKT_COUNT(fs); i++)
        fs[i] = submit_named(ex, fail_softly, NULL, "factor");
    assert_status(skua_result(fs[0], NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    assert_non_null(skua_exception(fs[1], SKUA_FOREVER));
    skua_add_done_callback(fs[2], read_it, NULL);
    skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER);
    for (size_t i = 0; i < SKT_COUNT(fs); i++)
        skua_release(fs[i]);
    skua_close(ex);
    skt_log_stop();
    assert_int_equal(skt_log_lines(), 0);
}

static void what_was_refused_is_printed_and_what_was_cancelled_is_not(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skt_log_start();
    skua_future *cancelled = submit_named(ex, skt_nothing, NULL, "cancelled");
    assert_true(skua_cancel(cancelled));
    skua_release(cancelled);
    skt_gate_open(&gate);
    skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER);
    assert_int_equal(skt_log_lines(), 0);
    skua_release(submit_named(ex, skt_nothing, NULL, "too late"));
    skt_log_stop();
    assert_int_equal(skt_log_lines(), 1);
    assert_true(skt_log_has("SKUA_SHUTDOWN in too late: "));
    skua_close(ex);
    skt_gate_fini(&gate);
}

/* ---- the last error -------------------------------------------------------------------------- */

struct other_thread {
    struct skt_latch failed, looked;
    bool wrong;
};

static void *fail_in_between(void *arg)
{
    struct other_thread *t = arg;
    skua_result(NULL, NULL, 0, 0);
    skt_latch_raise(&t->failed);
    skt_latch_wait(&t->looked, 1);
    t->wrong = skua_last_error()->status != SKUA_INVALID ||
               strstr(skua_last_error()->message, "skua_result") == NULL;
    return NULL;
}

static void a_failing_call_changes_its_own_threads_error_alone(void **state)
{
    (void)state;
    struct other_thread t = { .wrong = true };
    skt_latch_init(&t.failed);
    skt_latch_init(&t.looked);
    assert_null(skua_thread_pool(&(skua_options){ .workers = -3 }));
    char before[400];
    snprintf(before, sizeof before, "%s", skua_last_error()->message);
    pthread_t thread = skt_thread(fail_in_between, &t);
    skt_latch_wait(&t.failed, 1);
    assert_string_equal(skua_last_error()->message, before);
    skua_wait(NULL, 1, (skua_when)77, 0);
    assert_string_not_equal(skua_last_error()->message, before);
    skt_latch_raise(&t.looked);
    skt_join(thread);
    assert_false(t.wrong);
    skt_latch_fini(&t.failed);
    skt_latch_fini(&t.looked);
}

static int fail_calls_in_piece(size_t begin, size_t end, void *ctx)
{
    (void)ctx;
    skua_wait(NULL, 1, (skua_when)77, 0);
    return begin < end ? 0 : 1;
}

static void successes_leave_the_last_error(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *failed = submit_named(ex, fail_softly, NULL, "first");
    assert_status(skua_result(failed, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    skua_release(failed);
    for (int i = 0; i < skt_rounds(1000); i++) {
        int value = 0;
        skua_future *f = skt_submit_int(ex, skt_square, i);
        assert_status(skua_result(f, &value, sizeof value, SKUA_FOREVER), SKUA_OK);
        assert_null(skua_exception(f, 0));
        skua_release(f);
    }
    skua_close(ex);
    assert_status(skua_last_error()->status, SKUA_FAILED);
    assert_int_equal(skua_last_error()->code, 7);
    assert_string_equal(skua_last_error()->message, "the pivot is 0");
    assert_string_equal(skua_last_error()->task, "first");
}

/* A callback, a drop and a log function that fail and speak. */
static SK_ATOMIC(int) nr_noises;

static void make_noise(void)
{
    skua_wait(NULL, 1, (skua_when)77, 0);
    skua_fail(99, "noise");
    sk_add_acq_rel(&nr_noises, 1);
}

static void noisy_callback(skua_future *f, void *ctx)
{
    (void)f;
    (void)ctx;
    make_noise();
}

static void noisy_drop(void *result)
{
    (void)result;
    make_noise();
}

static void noisy_log(skua_log_level level, const char *line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
    make_noise();
}

/* Makes skua run all three in this thread. */
static void surround_with_noise(skua_executor *ex)
{
    skua_future *pending = skua_submit(ex, skt_nothing, NULL);
    skua_add_done_callback(pending, noisy_callback, NULL);
    skua_cancel(pending);
    skua_add_done_callback(pending, noisy_callback, NULL);
    skua_release(pending);
    skua_future *dropped = skua_future_new(sizeof(int));
    skua_set_running_or_notify_cancel(dropped);
    skua_add_done_callback(dropped, noisy_callback, NULL);
    int value = 3;
    skua_set_result(dropped, &value, sizeof value);
    skua_release(dropped);
}

static void callbacks_leave_the_last_error(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    sk_store_rel(&nr_noises, 0);
    skua_result(NULL, NULL, 0, 0);
    const skua_error *e = skua_last_error();
    surround_with_noise(ex);
    assert_int_equal(sk_load_acq(&nr_noises), 3);
    assert_status(e->status, SKUA_INVALID);
    assert_non_null(strstr(e->message, "skua_result"));
    skt_gate_open(&gate);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static void drops_and_log_functions_leave_the_last_error(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *dropped = skua_submit_task(
        ex, &(skua_task){ .fn = skt_nothing, .result_size = 4, .drop = noisy_drop });
    skua_future *unread = skua_submit(ex, skt_fails, NULL);
    skua_close(ex);
    sk_store_rel(&nr_noises, 0);
    skua_result(NULL, NULL, 0, 0);
    skua_release(dropped);
    skua_set_log(noisy_log, NULL);
    skua_release(unread);
    skua_set_log(NULL, NULL);
    assert_int_equal(sk_load_acq(&nr_noises), 2);
    assert_non_null(strstr(skua_last_error()->message, "skua_result"));
}

static void *callbacks_in_fresh_thread(void *arg)
{
    skua_future *f = arg;
    skua_add_done_callback(f, noisy_callback, NULL);
    return (void *)(intptr_t)(skua_last_error()->status != SKUA_OK);
}

static void callbacks_in_a_thread_without_failures_leave_it_without(void **state)
{
    (void)state;
    skua_future *f = skua_submit(NULL, skt_nothing, NULL);
    void *wrong = NULL;
    assert_int_equal(pthread_join(skt_thread(callbacks_in_fresh_thread, f), &wrong), 0);
    assert_null(wrong);
    assert_status(skua_exception(f, 0)->status, SKUA_INVALID);
    skua_release(f);
}

struct speaker {
    skua_executor *ex;
    bool last_kept; /* its last error survived */
};

static int noisy_task(void *arg, void *result)
{
    (void)arg;
    (void)result;
    make_noise();
    return 0;
}

/* Speaks, and then runs callbacks, loops and another task in this thread before it returns. */
static int speak_through_noise(void *arg, void *result)
{
    struct speaker *s = arg;
    (void)result;
    const int code = skua_fail(5, "what matters");
    skua_result(NULL, NULL, 0, 0);
    skua_future *done = skua_future_new(0);
    skua_set_result(done, NULL, 0);
    skua_add_done_callback(done, noisy_callback, NULL);
    skua_release(done);
    skua_future *f = skua_submit(s->ex, noisy_task, NULL);
    skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    skua_for(s->ex, 0, 64, fail_calls_in_piece, NULL, NULL);
    s->last_kept = skua_last_error()->status == SKUA_INVALID &&
                   strstr(skua_last_error()->message, "skua_result") != NULL;
    return code;
}

static void a_tasks_words_and_last_error_survive_what_it_runs_on_its_way(void **state)
{
    struct speaker s = { .ex = skt_pool(state) };
    skua_future *f = skua_submit(s.ex, speak_through_noise, &s);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    assert_int_equal(e->code, 5);
    assert_string_equal(e->message, "what matters");
    assert_true(s.last_kept);
    skua_release(f);
    skua_close(s.ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_failure_is_told_in_full_after_the_pool_is_closed),
        SKT_EACH(a_code_without_words_names_the_task),
        SKT_EACH(an_expired_task_keeps_its_words),
        SKT_TEST(what_was_refused_has_the_name_of_its_task),
        SKT_EACH(the_last_error_outlives_its_future),
        SKT_EACH(a_failure_nobody_read_is_printed_once_in_full),
        SKT_EACH(a_failure_that_was_read_is_not_printed),
        SKT_EACH(what_was_refused_is_printed_and_what_was_cancelled_is_not),
        SKT_TEST(a_failing_call_changes_its_own_threads_error_alone),
        SKT_EACH(successes_leave_the_last_error),
        SKT_EACH(callbacks_leave_the_last_error),
        SKT_EACH(drops_and_log_functions_leave_the_last_error),
        SKT_TEST(callbacks_in_a_thread_without_failures_leave_it_without),
        SKT_EACH(a_tasks_words_and_last_error_survive_what_it_runs_on_its_way),
    };
    return skt_main(argc, argv, "error_records", tests, SKT_COUNT(tests));
}
