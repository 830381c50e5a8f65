/* C++ exceptions thrown out of the user's functions: the failure of that task, loop, item or call,
 * and of nothing else. The functions that throw are in throw.cpp. */
#include "tests/core/throw.h"

#include <sched.h>
#include <string.h>

#include "base/guard.h"
#include "tests/support/gate.h"
#include "tests/support/harness.h"
#include "tests/support/log_lines.h"

#define THREW "threw a C++ exception of type "
#define LUCK  THREW "std::runtime_error: out of luck"

static void assert_threw(const skua_error *error, const char *words)
{
    assert_non_null(error);
    assert_status(error->status, SKUA_FAILED);
    assert_int_equal(error->code, SKUA_FAILED);
    if (strstr(error->message, words) == NULL)
        fail_msg("'%s' does not say '%s'", error->message, words);
}

static int nothing_is_uncaught(void *arg, void *result)
{
    (void)arg;
    *(int *)result = uncaught_here();
    return 0;
}

/* No worker takes an exception for one that is still under way. */
static void assert_all_caught(skua_executor *ex)
{
    skua_future *fs[20];
    for (int i = 0; i < 20; i++)
        fs[i] = skt_submit_int(ex, nothing_is_uncaught, 0);
    for (int i = 0; i < 20; i++) {
        int uncaught = -1;
        assert_status(skua_result(fs[i], &uncaught, sizeof uncaught, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(uncaught, 0);
        skua_release(fs[i]);
    }
    assert_int_equal(uncaught_here(), 0);
}

/* --- tasks --- */

static void an_exception_is_the_failure_of_its_task_alone(void **state)
{
    static const struct {
        skua_fn *fn;
        const char *words;
        int destructors;
    } cases[] = {
        { throws_runtime_error, LUCK, 1 },
        { throws_derived, THREW "skt::unlucky: very unlucky", 1 },
        { throws_int, THREW "int", 1 },
        { throws_counted, THREW "skt::counted", 1 },
        { throws_again, LUCK, 1 },
    };
    skua_executor *ex = skt_pool(state);
    for (size_t i = 0; i < SKT_COUNT(cases); i++) {
        destructors_run();
        skua_future *f = skua_submit(ex, cases[i].fn, NULL);
        assert_threw(skua_exception(f, SKUA_FOREVER), cases[i].words);
        assert_int_equal(destructors_run(), cases[i].destructors);
        skua_release(f);
    }
    assert_all_caught(ex);
    skua_close(ex);
}

static void an_exception_that_the_task_catches_is_its_own_affair(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, throws_and_catches, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(ex);
}

static void a_thousand_exceptions_leave_the_pool_whole(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int threads = skt_nr_threads();
    destructors_run();
    for (int i = 0; i < skt_rounds(1000); i++) {
        skua_future *f = skua_submit(ex, throws_runtime_error, NULL);
        assert_threw(skua_exception(f, SKUA_FOREVER), LUCK);
        skua_release(f);
    }
    assert_int_equal(destructors_run(), skt_rounds(1000));
    assert_int_equal(skt_nr_threads(), threads);
    assert_all_caught(ex);
    skua_close(ex);
}

static void an_exit_below_a_handler_that_throws_on_is_a_failure(void **state)
{
    if (!SK_GUARD_CATCHES_EXIT)
        return;
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(100); i++) {
        destructors_run();
        skua_future *f = skua_submit(ex, exits_in_cpp, NULL);
        assert_threw(skua_exception(f, SKUA_FOREVER), "called pthread_exit()");
        assert_int_equal(destructors_run(), 1);
        skua_release(f);
        assert_all_caught(ex);
    }
    skua_close(ex);
}

/* --- loops, maps, calls, callbacks, initializers --- */

static void loops_fail_when_a_body_throws(skua_executor *ex)
{
    const skua_schedule schedules[] = { SKUA_AUTO, SKUA_STATIC, SKUA_DYNAMIC };
    for (size_t i = 0; i < SKT_COUNT(schedules); i++) {
        const skua_loop how = { .schedule = schedules[i], .grain = 10 };
        destructors_run();
        assert_status(skua_for(ex, 0, 1000, body_throws, NULL, &how), SKUA_FAILED);
        assert_threw(skua_last_error(), LUCK);
        assert_int_equal(destructors_run(), 1);
    }
}

static void a_loop_fails_when_a_body_throws(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(50); i++)
        loops_fail_when_a_body_throws(ex);
    assert_all_caught(ex);
    skua_close(ex);
}

static int task_with_loops(void *arg, void *result)
{
    (void)result;
    loops_fail_when_a_body_throws(arg);
    return 0;
}

static void a_loop_inside_a_task_fails_when_a_body_throws(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(20); i++) {
        skua_future *f = skua_submit(ex, task_with_loops, ex);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(f);
    }
    assert_all_caught(ex);
    skua_close(ex);
}

static void a_map_fails_when_an_item_throws(void **state)
{
    skua_executor *ex = skt_pool(state);
    int in[100], out[100] = { 0 };
    for (int i = 0; i < 100; i++)
        in[i] = i;
    assert_status(skua_map(ex, item_throws, in, sizeof *in, out, sizeof *out, 100, NULL, 60),
                  SKUA_FAILED);
    assert_threw(skua_last_error(), LUCK);
    for (int i = 0; i < 37; i++)
        assert_int_equal(out[i], i);
    assert_all_caught(ex);
    skua_close(ex);
}

static void a_call_fails_when_its_function_throws(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status((skua_status)skua_call(ex, call_throws, NULL), SKUA_FAILED);
    assert_threw(skua_last_error(), LUCK);
    assert_all_caught(ex);
    skua_close(ex);
}

static void callback_counts(skua_future *f, void *ctx)
{
    (void)f;
    skt_count(ctx, NULL);
}

static void a_callback_that_throws_is_told_and_the_others_run(void **state)
{
    skua_executor *ex = skt_pool(state);
    SK_ATOMIC(int) count;
    sk_init(&count, 0);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *f = skt_gate_submit(&gate, ex);
    skt_log_start();
    skua_add_done_callback(f, callback_throws, NULL);
    skua_add_done_callback(f, callback_counts, &count);
    skt_gate_open(&gate);
    skua_close(ex);
    skua_add_done_callback(f, callback_throws, NULL); /* here and at once */
    assert_int_equal(sk_load_acq(&count), 1);
    assert_int_equal(skt_log_lines(), 2);
    assert_true(skt_log_has(LUCK));
    assert_int_equal(uncaught_here(), 0);
    skt_log_stop();
    skua_release(f);
    skt_gate_fini(&gate);
}

static void an_initializer_that_throws_breaks_the_pool(void **state)
{
    skua_executor *ex =
        skua_thread_pool(&(skua_options){ .workers = skt_workers(state), .init = init_throws });
    assert_non_null(ex);
    for (int i = 0; i < 2; i++) { /* accepted before it broke, maybe, and refused after */
        skua_future *f = skua_submit(ex, skt_nothing, NULL);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_BROKEN_THREAD_POOL);
        assert_non_null(strstr(skua_exception(f, 0)->message, LUCK));
        skua_release(f);
    }
    skua_close(ex);
}

/* --- children --- */

struct family {
    struct skt_latch began;
    SK_ATOMIC(int) runs, ends;
};

static int nothing(void *arg)
{
    (void)arg;
    return 0;
}

static void spawn_a_little(void *arg)
{
    (void)arg;
    for (int i = 0; i < 100; i++) {
        skua_child child;
        skua_spawn(&child, nothing, NULL);
        skua_sync(&child);
        sched_yield();
    }
}

static int has_child_that_throws(void *arg, void *result)
{
    (void)result;
    return child_throws(spawn_a_little, arg);
}

static void an_exception_in_a_child_fails_its_task(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(200); i++) {
        destructors_run();
        skua_future *f = skua_submit(ex, has_child_that_throws, NULL);
        assert_threw(skua_exception(f, SKUA_FOREVER), LUCK);
        assert_int_equal(destructors_run(), 1);
        skua_release(f);
    }
    assert_all_caught(ex);
    skua_close(ex);
}

static int runs_a_while(void *arg)
{
    struct family *family = arg;
    sk_add_acq_rel(&family->runs, 1);
    skt_latch_raise(&family->began);
    skt_pause(0.001); /* not synchronisation: time for the throw */
    sk_add_acq_rel(&family->ends, 1);
    return 0;
}

/* With several workers: until one of the children has been taken. */
static void wait_until_taken(void *arg)
{
    struct family *family = arg;
    while (skt_latch_count(&family->began) == 0)
        spawn_a_little(NULL);
}

static int task_over_children(void *arg, void *result)
{
    (void)result;
    return throws_over_child(runs_a_while, wait_until_taken, arg);
}

static int task_over_untaken(void *arg, void *result)
{
    (void)result;
    return throws_over_child(runs_a_while, spawn_a_little, arg);
}

static void children_of_a_task_that_throws_end_before_it(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(50); i++) {
        struct family family;
        skt_latch_init(&family.began);
        sk_init(&family.runs, 0);
        sk_init(&family.ends, 0);
        skua_future *f = skua_submit(
            ex, skt_workers(state) > 1 ? task_over_children : task_over_untaken, &family);
        assert_threw(skua_exception(f, SKUA_FOREVER), LUCK);
        assert_int_equal(sk_load_acq(&family.ends), sk_load_acq(&family.runs));
        if (skt_workers(state) == 1)
            assert_int_equal(sk_load_acq(&family.runs), 0);
        else
            assert_in_range(sk_load_acq(&family.runs), 1, 3);
        skua_release(f);
        skt_latch_fini(&family.began);
    }
    assert_all_caught(ex);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(an_exception_is_the_failure_of_its_task_alone),
        SKT_EACH(an_exception_that_the_task_catches_is_its_own_affair),
        SKT_EACH(a_thousand_exceptions_leave_the_pool_whole),
        SKT_EACH(an_exit_below_a_handler_that_throws_on_is_a_failure),
        SKT_EACH(a_loop_fails_when_a_body_throws),
        SKT_EACH(a_loop_inside_a_task_fails_when_a_body_throws),
        SKT_EACH(a_map_fails_when_an_item_throws),
        SKT_EACH(a_call_fails_when_its_function_throws),
        SKT_EACH(a_callback_that_throws_is_told_and_the_others_run),
        SKT_EACH(an_initializer_that_throws_breaks_the_pool),
        SKT_EACH(an_exception_in_a_child_fails_its_task),
        SKT_EACH(children_of_a_task_that_throws_end_before_it),
    };
    if (!SK_GUARD_CATCHES) {
        print_message("skipped: exceptions cannot be caught here\n");
        return 77;
    }
    return skt_main(argc, argv, "core/throw", tests, SKT_COUNT(tests));
}
