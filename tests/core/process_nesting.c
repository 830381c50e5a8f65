/* skua inside a worker: its default pool is one of threads, as many as are the worker's share of
 * the cores; other libraries are told that share; and process pools are refused there. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/gate.h"
#include "tests/support/process.h"

static int nr_cores(void)
{
    skua_executor *ex = skua_thread_pool(NULL);
    assert_non_null(ex);
    const int n = skua_workers(ex);
    skua_close(ex);
    return n;
}

static int share(int cores, int workers)
{
    return cores / workers > 1 ? cores / workers : 1;
}

/* Runs a task and prints why it failed. */
static void expect_success(skua_executor *ex, skua_fn *fn)
{
    skua_future *f = skua_submit(ex, fn, NULL);
    const skua_error *e = skua_exception(f, 30 * skt_slow_factor());
    if (e != NULL)
        print_error("%s: %s\n", e->where, e->message);
    assert_null(e);
    skua_release(f);
}

static int sum_piece(size_t begin, size_t end, void *ctx)
{
    size_t sum = 0;
    for (size_t i = begin; i < end; i++)
        sum += i;
    sk_add_rlx((SK_ATOMIC(size_t) *)ctx, sum);
    return 0;
}

static int fib(void *arg)
{
    int *n = arg;
    if (*n < 2)
        return 0;
    int left = *n - 1, right = *n - 2;
    skua_child child;
    skua_spawn(&child, fib, &left);
    fib(&right);
    skua_sync(&child);
    *n = left + right;
    return 0;
}

static int use_the_default_pool(void *arg, void *result)
{
    (void)arg;
    (void)result;
    SK_ATOMIC(size_t) sum;
    sk_init(&sum, 0);
    const skua_status status = skua_for(skua_default(), 0, 100000, sum_piece, &sum, NULL);
    if (status != SKUA_OK)
        return skua_fail(1, "a loop gave %s", skua_strstatus(status));
    if (sk_load_rlx(&sum) != (size_t)4999950000)
        return skua_fail(2, "the sum is %zu", sk_load_rlx(&sum));
    skua_future *fs[20];
    int wrong = 0;
    for (int i = 0; i < 20; i++)
        fs[i] = skt_submit_int(skua_default(), skt_square, i);
    for (int i = 0; i < 20; i++) {
        int value = -1;
        wrong +=
            skua_result(fs[i], &value, sizeof value, SKUA_FOREVER) != SKUA_OK || value != i * i;
        skua_release(fs[i]);
    }
    int n = 12;
    const int rc = skua_call(skua_default(), fib, &n);
    return wrong == 0 && rc == 0 && n == 144 ? 0 : skua_fail(3, "%d wrong, fib %d", wrong, n);
}

static void the_default_pool_works_in_a_worker(void **state)
{
    skua_executor *ex = skt_processes(state);
    for (int i = 0; i < 3 * skt_workers(state); i++)
        expect_success(ex, use_the_default_pool);
    skua_close(ex);
}

/* The program has a default pool already, whose threads are not in the workers. */
static void also_where_the_program_has_one(void **state)
{
    if (skt_has_asan() || skt_has_tsan()) {
        print_message("sanitizers do not support threads in a forked child of threads\n");
        skip();
    }
    SK_ATOMIC(size_t) sum;
    sk_init(&sum, 0);
    assert_status(skua_for(skua_default(), 0, 1000, sum_piece, &sum, NULL), SKUA_OK);
    skua_executor *ex = skt_processes(state);
    for (int i = 0; i < 3 * skt_workers(state); i++)
        expect_success(ex, use_the_default_pool);
    sk_init(&sum, 0);
    assert_status(skua_for(skua_default(), 0, 1000, sum_piece, &sum, NULL), SKUA_OK);
    assert_int_equal(sk_load_rlx(&sum), 499500);
    skua_close(ex);
}

static int tell_default_workers(void *arg, void *result)
{
    (void)arg;
    *(int *)result = skua_workers(skua_default());
    return 0;
}

static void its_size_is_the_workers_share_of_the_cores(void **state)
{
    const int expected = share(nr_cores(), skt_workers(state));
    skua_executor *ex = skt_processes(state);
    assert_int_equal(skt_ask(ex, tell_default_workers), expected);
    skua_close(ex);
}

static int use_an_own_thread_pool(void *arg, void *result)
{
    (void)arg;
    (void)result;
    skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = 2 });
    if (ex == NULL)
        return skua_fail(1, "%s", skua_last_error()->message);
    const bool works = skt_works(ex);
    skua_close(ex);
    return works ? 0 : skua_fail(2, "a thread pool of its own does not work");
}

static void a_task_may_make_thread_pools(void **state)
{
    skua_executor *ex = skt_processes(state);
    for (int i = 0; i < 5; i++)
        expect_success(ex, use_an_own_thread_pool);
    skua_close(ex);
}

/* The threads of its default pool live on when the task has ended. */
static int crash_on_the_default_pool(void *arg, void *result)
{
    (void)arg;
    (void)result;
    skua_future *f = skua_submit(skua_default(), skt_crash, NULL);
    skua_result(f, NULL, 0, SKUA_FOREVER);
    skua_release(f);
    return 0;
}

static void a_crash_on_the_threads_of_a_worker_is_the_tasks(void **state)
{
    struct skt_std s;
    skua_future *f;
    skt_std_open(&s, skt_workers(state));
    const skua_error *e = skt_std_fault(&s, crash_on_the_default_pool, &f);
    assert_status(e->status, SKUA_CRASHED);
    assert_int_equal(e->signal, SIGSEGV);
    skua_release(f);
    skt_std_close(&s);
}

/* ---- refused --------------------------------------------------------------------------------- */

static int make_a_process_pool(void *arg, void *result)
{
    (void)arg;
    (void)result;
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 1 });
    if (ex != NULL)
        return skua_fail(1, "a process pool could be made");
    const skua_error *e = skua_last_error();
    if (e->status != SKUA_INVALID || strstr(e->message, "worker") == NULL)
        return skua_fail(2, "%s: %s", skua_strstatus(e->status), e->message);
    return 0;
}

/* On the threads of the worker, too. */
static int make_a_process_pool_on_a_thread(void *arg, void *result)
{
    (void)arg;
    (void)result;
    skua_future *f = skua_submit(skua_default(), make_a_process_pool, NULL);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    const int rc = e == NULL ? 0 : skua_fail(1, "%s", e->message);
    skua_release(f);
    return rc;
}

static void a_process_pool_in_a_worker_is_refused_with_words(void **state)
{
    skua_executor *ex = skt_processes(state);
    expect_success(ex, make_a_process_pool);
    expect_success(ex, make_a_process_pool_on_a_thread);
    skua_close(ex);
}

/* ---- what other libraries are told ----------------------------------------------------------- */

static int tell_variable(void *arg, void *result)
{
    const char *value = getenv(arg);
    snprintf(result, 64, "%s", value != NULL ? value : "unset");
    return 0;
}

/* Prints "here/in the worker" for each variable. */
static int print_variables(int workers)
{
    static const char *const names[] = { "OMP_NUM_THREADS",     "OPENBLAS_NUM_THREADS",
                                         "MKL_NUM_THREADS",     "BLIS_NUM_THREADS",
                                         "NUMEXPR_NUM_THREADS", "SKUA_NUM_THREADS" };
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = workers });
    if (ex == NULL)
        return 1;
    for (size_t i = 0; i < SKT_COUNT(names); i++) {
        char there[64] = "", name[32];
        snprintf(name, sizeof name, "%s", names[i]);
        skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = tell_variable,
                                                            .arg = name,
                                                            .arg_size = sizeof name,
                                                            .result_size = sizeof there });
        if (skua_result(f, there, sizeof there, SKUA_FOREVER) != SKUA_OK)
            return 2;
        skua_release(f);
        const char *here = getenv(names[i]);
        printf("%s: %s/%s\n", names[i], here != NULL ? here : "unset", there);
    }
    skua_close(ex);
    return 0;
}

static void libraries_are_told_the_share_unless_the_user_has(void **state)
{
    (void)state;
    static const char *const none[] = { NULL };
    static const char *const some[] = { "OMP_NUM_THREADS=5", NULL };
    char expected[64];
    struct skt_output o = skt_exec("--variables", none, 0);
    assert_int_equal(o.status, 0);
    snprintf(expected, sizeof expected, "OMP_NUM_THREADS: unset/%d\n", share(nr_cores(), 2));
    assert_non_null(strstr(o.out, expected));
    snprintf(expected, sizeof expected, "OPENBLAS_NUM_THREADS: unset/%d\n", share(nr_cores(), 2));
    assert_non_null(strstr(o.out, expected));
    snprintf(expected, sizeof expected, "SKUA_NUM_THREADS: unset/%d\n", share(nr_cores(), 2));
    assert_non_null(strstr(o.out, expected));
    o = skt_exec("--variables", some, 0);
    assert_int_equal(o.status, 0);
    assert_non_null(strstr(o.out, "OMP_NUM_THREADS: 5/5\n"));
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--variables") == 0)
        return print_variables(2);
    const struct CMUnitTest tests[] = {
        SKT_EACH(the_default_pool_works_in_a_worker),
        SKT_EACH(also_where_the_program_has_one),
        SKT_EACH(its_size_is_the_workers_share_of_the_cores),
        SKT_EACH(a_task_may_make_thread_pools),
        SKT_TEST(a_crash_on_the_threads_of_a_worker_is_the_tasks),
        SKT_EACH(a_process_pool_in_a_worker_is_refused_with_words),
        SKT_TEST(libraries_are_told_the_share_unless_the_user_has),
    };
    return skt_main(argc, argv, "process_nesting", tests, SKT_COUNT(tests));
}
