/* What is read from a future, and what is never mixed up: numbers that tasks return and statuses of
 * skua; results that are there and memory that must stay as it is. */
#include "tests/support/harness.h"

#include <limits.h>
#include <string.h>

#include "tests/support/gate.h"
#include "tests/support/log_lines.h"

static int return_code(void *arg, void *result)
{
    (void)result;
    return *(int *)arg;
}

static int fail_with_code(void *arg, void *result)
{
    (void)result;
    return skua_fail(*(int *)arg, "code %d", *(int *)arg);
}

static void check_code(skua_executor *ex, skua_fn *fn, int code)
{
    const double timeouts[] = { SKUA_FOREVER, 100 };
    for (size_t i = 0; i < SKT_COUNT(timeouts); i++) {
        skua_future *f = skt_submit_int(ex, fn, code);
        int out = 77;
        assert_status(skua_result(f, &out, sizeof out, timeouts[i]), SKUA_FAILED);
        assert_int_equal(out, 77);
        assert_status(skua_last_error()->status, SKUA_FAILED);
        assert_int_equal(skua_last_error()->code, code);
        const skua_error *e = skua_exception(f, timeouts[i]);
        assert_non_null(e);
        assert_status(e->status, SKUA_FAILED);
        assert_int_equal(e->code, code);
        assert_true(skua_done(f));
        assert_false(skua_cancelled(f));
        assert_status(skua_wait(&f, 1, SKUA_FIRST_EXCEPTION, 0), SKUA_OK);
        skua_iter *it = skua_as_completed(&f, 1, 0);
        assert_ptr_equal(skua_next(it, NULL), f);
        assert_status(skua_iter_close(it), SKUA_OK);
        skua_release(f);
    }
}

static void no_number_that_a_task_returns_becomes_a_status(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int code = SKUA_NO_MEMORY - 1; code <= 13; code++)
        if (code != 0) {
            check_code(ex, return_code, code);
            check_code(ex, fail_with_code, code);
        }
    check_code(ex, return_code, INT_MIN);
    check_code(ex, return_code, INT_MAX);
    check_code(ex, fail_with_code, INT_MIN);
    skua_close(ex);
}

static int wait_and_return_its_status(void *arg, void *result)
{
    (void)result;
    return skua_result(arg, NULL, 0, 0);
}

static void a_status_passed_on_by_a_task_is_its_code(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *held = skt_gate_submit(&gate, other);
    skua_future *cancelled = skua_submit(other, skt_nothing, NULL);
    assert_true(skua_cancel(cancelled));
    skua_future *late = skua_submit(ex, wait_and_return_its_status, held);
    skua_future *never = skua_submit(ex, wait_and_return_its_status, cancelled);
    assert_status(skua_result(late, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    assert_int_equal(skua_exception(late, 0)->code, SKUA_TIMEOUT);
    assert_status(skua_result(never, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    assert_int_equal(skua_exception(never, 0)->code, SKUA_CANCELLED);
    assert_false(skua_cancelled(never));
    skt_gate_open(&gate);
    skua_release(held);
    skua_release(cancelled);
    skua_release(late);
    skua_release(never);
    skua_close(ex);
    skua_close(other);
    skt_gate_fini(&gate);
}

struct wide {
    char bytes[64];
};

static int fill_wide(void *arg, void *result)
{
    if (arg != NULL)
        skt_gate_task(arg, NULL);
    memset(result, 'r', sizeof(struct wide));
    return 0;
}

static void check_untouched(const struct wide *out)
{
    for (size_t i = 0; i < sizeof out->bytes; i++)
        assert_int_equal(out->bytes[i], 'u');
}

static void a_wrong_size_leaves_memory_alone_before_and_after_the_end(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    const skua_task task = { .fn = fill_wide, .arg = &gate, .result_size = sizeof(struct wide) };
    skua_future *f = skua_submit_task(ex, &task);
    skt_latch_wait(&gate.began, 1);
    const size_t wrong[] = { 0, 1, sizeof(struct wide) - 1, sizeof(struct wide) + 1, SIZE_MAX };
    struct wide out;
    memset(&out, 'u', sizeof out);
    for (int done = 0; done < 2; done++) {
        for (size_t i = 0; i < SKT_COUNT(wrong); i++) {
            assert_status(skua_result(f, &out, wrong[i], SKUA_FOREVER), SKUA_INVALID);
            assert_status(skua_last_error()->status, SKUA_INVALID);
            check_untouched(&out);
        }
        assert_status(skua_result(f, NULL, sizeof out, SKUA_FOREVER), SKUA_INVALID);
        assert_int_equal(skua_done(f), done);
        skt_gate_open(&gate);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    }
    assert_status(skua_result(f, &out, sizeof out, 0), SKUA_OK);
    assert_int_equal(out.bytes[0], 'r');
    assert_int_equal(out.bytes[63], 'r');
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static int spoil_and_fail(void *arg, void *result)
{
    (void)arg;
    memset(result, 'x', sizeof(struct wide));
    return 5;
}

static void without_success_out_is_untouched(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct wide out;
    memset(&out, 'u', sizeof out);
    skua_task task = { .fn = spoil_and_fail, .result_size = sizeof out };
    skua_future *failed = skua_submit_task(ex, &task);
    assert_status(skua_result(failed, &out, sizeof out, SKUA_FOREVER), SKUA_FAILED);
    check_untouched(&out);

    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    skua_future *pending = skua_submit_task(ex, &task);
    assert_status(skua_result(pending, &out, sizeof out, 0.001), SKUA_TIMEOUT);
    check_untouched(&out);
    assert_true(skua_cancel(pending));
    assert_status(skua_result(pending, &out, sizeof out, 0), SKUA_CANCELLED);
    check_untouched(&out);
    skt_gate_open(&gate);
    skua_release(failed);
    skua_release(pending);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static SK_ATOMIC(int) nr_dropped;

static void count_drop(void *result)
{
    (void)result;
    sk_add_acq_rel(&nr_dropped, 1);
}

struct taker {
    skua_future *f;
    struct skt_latch *begins;
    skua_status status;
};

static void *take(void *arg)
{
    struct taker *t = arg;
    struct wide out;
    skt_latch_raise(t->begins);
    t->status = skua_result(t->f, &out, sizeof out, SKUA_FOREVER);
    return NULL;
}

static void one_of_many_threads_takes_a_result_with_a_drop(void **state)
{
    skua_executor *ex = skt_pool(state);
    sk_store_rel(&nr_dropped, 0);
    for (int round = skt_rounds(50); round > 0; round--) {
        struct skt_gate gate;
        struct skt_latch begins;
        skt_gate_init(&gate);
        skt_latch_init(&begins);
        skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = fill_wide,
                                                            .arg = &gate,
                                                            .result_size = sizeof(struct wide),
                                                            .drop = count_drop });
        struct taker takers[8];
        pthread_t threads[8];
        for (int i = 0; i < 8; i++) {
            takers[i] = (struct taker){ f, &begins, SKUA_OK };
            threads[i] = skt_thread(take, &takers[i]);
        }
        skt_latch_wait(&begins, 8);
        skt_gate_open(&gate);
        int nr_taken = 0;
        for (int i = 0; i < 8; i++) {
            skt_join(threads[i]);
            nr_taken += takers[i].status == SKUA_OK;
            assert_true(takers[i].status == SKUA_OK || takers[i].status == SKUA_INVALID_STATE);
        }
        assert_int_equal(nr_taken, 1);
        assert_null(skua_exception(f, 0));
        skua_release(f);
        skt_gate_fini(&gate);
        skt_latch_fini(&begins);
    }
    skua_close(ex);
    assert_int_equal(sk_load_acq(&nr_dropped), 0);
}

/* Ends that leave nothing to drop. */
static int stop_when_asked(void *arg, void *result)
{
    (void)result;
    skt_latch_raise(arg);
    while (!skua_stopping())
        continue;
    return SKUA_CANCELLED;
}

static void nothing_is_dropped_of_a_task_that_was_stopped_expired_or_shut_down(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_latch began;
    struct skt_gate gate;
    skt_latch_init(&began);
    skt_gate_init(&gate);
    sk_store_rel(&nr_dropped, 0);
    skua_task task = { .fn = stop_when_asked, .arg = &began, .result_size = 8, .drop = count_drop };
    skua_future *f = skua_submit_task(ex, &task);
    skt_latch_wait(&began, 1);
    skua_stop(f);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
    skua_release(f);
    task.time_limit = 0.001;
    f = skua_submit_task(ex, &task);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_EXPIRED);
    skua_release(f);
    skt_gate_hold(&gate, ex, skt_workers(state));
    f = skua_submit_task(ex, &task);
    assert_status(skua_shutdown(ex, SKUA_CANCEL_FUTURES, 0), SKUA_OK);
    assert_true(skua_cancelled(f));
    skua_release(f);
    f = skua_submit_task(ex, &task);
    assert_status(skua_result(f, NULL, 0, 0), SKUA_SHUTDOWN);
    skua_release(f);
    skt_gate_open(&gate);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&nr_dropped), 0);
    skt_latch_fini(&began);
    skt_gate_fini(&gate);
}

static void a_refusal_that_nobody_read_is_told_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_shutdown(ex, 0, 0), SKUA_OK);
    skt_log_start();
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_int_equal(skt_log_lines(), 0);
    skua_release(f);
    assert_int_equal(skt_log_lines(), 1);
    assert_true(skt_log_has("SKUA_SHUTDOWN"));
    f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_exception(f, 0)->status, SKUA_SHUTDOWN);
    skua_release(f);
    assert_int_equal(skt_log_lines(), 1);
    skt_log_stop();
    skua_close(ex);
}

static void read_result(skua_future *f, void *ctx)
{
    int *value = ctx;
    if (skua_result(f, value, sizeof *value, 0) != SKUA_OK)
        *value = -1;
}

static void a_callback_reads_the_result(void **state)
{
    skua_executor *ex = skt_pool(state);
    int values[40];
    for (int i = 0; i < 40; i++) {
        skua_future *f = skt_submit_int(ex, skt_square, i);
        assert_status(skua_add_done_callback(f, read_result, &values[i]), SKUA_OK);
        skua_release(f);
    }
    skua_close(ex);
    for (int i = 0; i < 40; i++)
        assert_int_equal(values[i], i * i);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(no_number_that_a_task_returns_becomes_a_status),
        SKT_EACH(a_status_passed_on_by_a_task_is_its_code),
        SKT_EACH(a_wrong_size_leaves_memory_alone_before_and_after_the_end),
        SKT_EACH(without_success_out_is_untouched),
        SKT_EACH(one_of_many_threads_takes_a_result_with_a_drop),
        SKT_EACH(nothing_is_dropped_of_a_task_that_was_stopped_expired_or_shut_down),
        SKT_EACH(a_refusal_that_nobody_read_is_told_once),
        SKT_EACH(a_callback_reads_the_result),
    };
    return skt_main(argc, argv, "results", tests, SKT_COUNT(tests));
}
