/* Fresh processes and second tries: tasks_per_worker ends a good worker after so many tasks,
 * retries runs a task again that has lost its process. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

/* ---- tasks_per_worker ------------------------------------------------------------------------ */

struct told {
    pid_t pid;
    int nth; /* of the process */
};

static int tell_turn(void *arg, void *result)
{
    static int nr_tasks;
    (void)arg;
    *(struct told *)result = (struct told){ getpid(), ++nr_tasks };
    return 0;
}

static void a_worker_is_replaced_after_so_many_tasks(void **state)
{
    const int before = skt_nr_descriptors();
    skua_executor *ex =
        skua_process_pool(&(skua_options){ .workers = skt_workers(state), .tasks_per_worker = 3 });
    assert_non_null(ex);
    skua_future *fs[60];
    struct told told[60];
    for (int i = 0; i < 60; i++)
        fs[i] = skua_submit_task(ex, &(skua_task){ .fn = tell_turn, .result_size = sizeof *told });
    for (int i = 0; i < 60; i++) {
        assert_status(skua_result(fs[i], &told[i], sizeof *told, SKUA_FOREVER), SKUA_OK);
        assert_in_range(told[i].nth, 1, 3);
        skua_release(fs[i]);
    }
    int nr_thirds = 0;
    for (int i = 0; i < 60; i++) {
        nr_thirds += told[i].nth == 3;
        for (int k = 0; k < i; k++)
            assert_false(told[k].pid == told[i].pid && told[k].nth == told[i].nth);
    }
    assert_true(nr_thirds >= 20 - skt_workers(state));
    skua_stats stats;
    assert_status(skua_executor_stats(ex, &stats), SKUA_OK);
    assert_int_equal(stats.finished, 60);
    assert_true(stats.restarts >= (size_t)(20 - skt_workers(state)));
    skua_close(ex);
    assert_true(skt_family_becomes(0));
    assert_true(skt_descriptors_become(before));
}

static void one_task_a_process_loses_nothing(void **state)
{
    skua_executor *ex =
        skua_process_pool(&(skua_options){ .workers = skt_workers(state), .tasks_per_worker = 1 });
    assert_non_null(ex);
    enum {
        NR = 100
    };
    SK_ATOMIC(int) *runs = skt_counters(ex, NR);
    skua_future *fs[NR];
    for (int i = 0; i < NR; i++)
        fs[i] = skua_submit(ex, i % 10 == 9 ? skt_crash : skt_count, &runs[i]);
    for (int i = 0; i < NR; i++) {
        const skua_status status = skua_result(fs[i], NULL, 0, SKUA_FOREVER);
        assert_string_equal(skua_strstatus(status), i % 10 == 9 ? "SKUA_CRASHED" : "SKUA_OK");
        assert_int_equal(sk_load_acq(&runs[i]), i % 10 != 9);
        skua_release(fs[i]);
    }
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

/* ---- retries --------------------------------------------------------------------------------- */

struct tries {
    SK_ATOMIC(int) nr;
    int bad;  /* the first so many tries end badly ... */
    int kind; /* ... in this way */
};

enum {
    BY_CRASH,
    BY_EXIT,
    BY_KILL,
    BY_FAILURE,
    BY_HANG
};

static int end_badly_at_first(void *arg, void *result)
{
    struct tries *t = arg;
    if (sk_add_acq_rel(&t->nr, 1) >= t->bad) {
        *(int *)result += 5; /* which is zero again */
        return 0;
    }
    *(int *)result = 100;
    switch (t->kind) {
    case BY_CRASH:
        abort();
    case BY_EXIT:
        _exit(1);
    case BY_KILL:
        kill(getpid(), SIGKILL);
        return 0;
    case BY_FAILURE:
        return skua_fail(9, "a failure is no loss of a process");
    default:
        return skt_spin(NULL, NULL);
    }
}

/* Gives the status, and in *nr how often it was tried. */
static skua_status try_with(void **state, unsigned retries, int bad, int kind, int *nr)
{
    struct skt_std s;
    skt_std_open_with(&s, &(skua_options){ .workers = skt_workers(state), .retries = retries });
    struct tries *t = skua_shared_alloc(s.ex, sizeof *t);
    assert_non_null(t);
    t->bad = bad;
    t->kind = kind;
    int value = -1;
    skua_future *f =
        skua_submit_task(s.ex, &(skua_task){ .fn = end_badly_at_first,
                                             .arg = t,
                                             .result_size = sizeof value,
                                             .time_limit = kind == BY_HANG ? 0.1 : 0 });
    const skua_status status = skua_result(f, &value, sizeof value, 10 * skt_slow_factor());
    assert_int_equal(value, status == SKUA_OK ? 5 : -1);
    assert_int_equal(skua_exception(f, 0) == NULL, status == SKUA_OK);
    *nr = sk_load_acq(&t->nr);
    skua_release(f);
    skt_std_close(&s);
    return status;
}

static void a_lost_task_is_tried_as_often_as_was_asked(void **state)
{
    static const int kinds[] = { BY_CRASH, BY_EXIT, BY_KILL };
    int nr;
    for (size_t i = 0; i < SKT_COUNT(kinds); i++) {
        assert_status(try_with(state, 1, 1, kinds[i], &nr), SKUA_OK);
        assert_int_equal(nr, 2);
    }
    assert_status(try_with(state, 3, 3, BY_CRASH, &nr), SKUA_OK);
    assert_int_equal(nr, 4);
    assert_status(try_with(state, 3, 99, BY_CRASH, &nr), SKUA_CRASHED);
    assert_int_equal(nr, 4);
}

static void without_retries_it_is_lost(void **state)
{
    int nr;
    assert_status(try_with(state, 0, 1, BY_CRASH, &nr), SKUA_CRASHED);
    assert_int_equal(nr, 1);
}

static void neither_a_failure_nor_a_time_limit_is_tried_again(void **state)
{
    int nr;
    assert_status(try_with(state, 3, 1, BY_FAILURE, &nr), SKUA_FAILED);
    assert_int_equal(nr, 1);
    assert_status(try_with(state, 3, 1, BY_HANG, &nr), SKUA_EXPIRED);
    assert_int_equal(nr, 1);
}

/* What waits for another try can be cancelled, stopped and shut down like all that waits. */
static void a_task_that_always_crashes_can_be_stopped_between_its_tries(void **state)
{
    skua_executor *ex = skt_processes_with(
        &(skua_options){ .workers = skt_workers(state), .retries = 1000000, .grace = 0.05 });
    struct tries *t = skua_shared_alloc(ex, sizeof *t);
    assert_non_null(t);
    t->bad = 1 << 30;
    skua_future *f = skua_submit_task(
        ex, &(skua_task){ .fn = end_badly_at_first, .arg = t, .result_size = sizeof(int) });
    skt_counter_wait(&t->nr, 3);
    while (!skua_done(f))
        skua_stop(f);
    const skua_status status = skua_result(f, NULL, 0, 0); /* its last crash may have come first */
    assert_true(status == SKUA_CANCELLED || status == SKUA_CRASHED);
    const int nr = sk_load_acq(&t->nr);
    assert_true(skt_meet(ex));
    assert_int_equal(sk_load_acq(&t->nr), nr);
    skua_release(f);
    skua_close(ex);
}

static int count_and_crash_once(void *arg, void *result)
{
    (void)result;
    if (sk_add_acq_rel((SK_ATOMIC(int) *)arg, 1) == 0)
        abort();
    return 0;
}

static void each_of_many_is_tried_for_itself(void **state)
{
    skua_executor *ex =
        skt_processes_with(&(skua_options){ .workers = skt_workers(state), .retries = 1 });
    enum {
        NR = 50
    };
    SK_ATOMIC(int) *runs = skt_counters(ex, NR);
    skua_future *fs[NR];
    for (int i = 0; i < NR; i++)
        fs[i] = skua_submit(ex, i % 2 == 0 ? count_and_crash_once : skt_count, &runs[i]);
    for (int i = 0; i < NR; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(sk_load_acq(&runs[i]), i % 2 == 0 ? 2 : 1);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_worker_is_replaced_after_so_many_tasks),
        SKT_EACH(one_task_a_process_loses_nothing),
        SKT_TEST(a_lost_task_is_tried_as_often_as_was_asked),
        SKT_TEST(without_retries_it_is_lost),
        SKT_TEST(neither_a_failure_nor_a_time_limit_is_tried_again),
        SKT_EACH(a_task_that_always_crashes_can_be_stopped_between_its_tries),
        SKT_EACH(each_of_many_is_tried_for_itself),
    };
    return skt_main(argc, argv, "process_again", tests, SKT_COUNT(tests));
}
