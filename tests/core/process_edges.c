/* The edges of what a process pool promises: races of its verbs with each other and with its end,
 * pools made where others would not make them, and tasks that ruin what ends them or wakes the
 * parent. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/gate.h"
#include "tests/support/process.h"

/* Descriptors of whoever started this program are not to be harmed. */
static bool was_there[1024];

/* ---- a forked child -------------------------------------------------------------------------- */

/* Looks for long enough that tasks end in the meantime. */
static int ask_for_stats(void *arg)
{
    const double end = skt_now() + 0.2;
    do {
        skua_stats stats;
        if (skua_executor_stats(arg, &stats) != SKUA_SHUTDOWN)
            return 1;
        skt_pause(0.001); /* not synchronisation: between two looks */
    } while (skt_now() < end);
    return 0;
}

struct counted {
    SK_ATOMIC(int) * runs;
    int value;
};

static int count_and_return(void *arg, void *result)
{
    const struct counted *c = arg;
    sk_add_acq_rel(c->runs, 1);
    skt_pause(0.01); /* so that some tasks end beside the forked child, and some after it */
    *(int *)result = c->value;
    return 0;
}

static void a_forked_childs_look_at_the_stats_takes_nothing(void **state)
{
    (void)state;
    enum {
        NR = 30
    };
    skua_executor *ex = skt_processes_of(1);
    SK_ATOMIC(int) *runs = skt_counters(ex, NR);
    skua_future *fs[NR];
    for (int i = 0; i < NR; i++) {
        struct counted c = { &runs[i], i };
        fs[i] = skua_submit_task(ex, &(skua_task){ .fn = count_and_return,
                                                   .arg = &c,
                                                   .arg_size = sizeof c,
                                                   .result_size = sizeof(int) });
    }
    assert_int_equal(skt_fork(ask_for_stats, ex).status, 0);
    for (int i = 0; i < NR; i++) {
        int value = -1;
        assert_status(skua_result(fs[i], &value, sizeof value, 20 * skt_slow_factor()), SKUA_OK);
        assert_int_equal(value, i);
        assert_int_equal(sk_load_acq(&runs[i]), 1);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

/* ---- races ----------------------------------------------------------------------------------- */

/* A thread that is interrupted in the middle of a look at a future looks for longer. */
static void linger(int signal)
{
    static _Thread_local uint32_t seed = 1;
    const int error = errno;
    (void)signal;
    skt_pause(0.0002 + skt_random(&seed) % 3000 * 1e-6);
    errno = error;
}

static int nap(void *arg, void *result)
{
    (void)arg;
    (void)result;
    skt_pause(0.002); /* not synchronisation: the pool is closed in the middle */
    return 0;
}

static void *look_until_done(void *future)
{
    while (!skua_done(future))
        skua_running(future);
    skua_release(future);
    return NULL;
}

static void *wait_for_result(void *future)
{
    skua_result(future, NULL, 0, SKUA_FOREVER);
    skua_release(future);
    return NULL;
}

enum {
    NR_LOOKERS = 3
};

struct kicker {
    SK_ATOMIC(int) stop;
    pthread_t lookers[NR_LOOKERS];
};

static void *kick(void *arg)
{
    struct kicker *k = arg;
    uint32_t seed = 2;
    while (!sk_load_acq(&k->stop)) {
        for (int i = 0; i < NR_LOOKERS; i++)
            pthread_kill(k->lookers[i], SIGUSR1);
        skt_pause(0.0003 + skt_random(&seed) % 1500 * 1e-6); /* not synchronisation: random */
    }
    return NULL;
}

static void a_pool_is_closed_beside_threads_that_look_at_its_futures(void **state)
{
    (void)state;
    struct sigaction before, lingering = { .sa_handler = linger, .sa_flags = SA_RESTART };
    sigaction(SIGUSR1, &lingering, &before);
    for (int round = 0; round < skt_rounds(30); round++) {
        skua_executor *ex =
            skua_process_pool(&(skua_options){ .workers = 24, .bind = SKUA_BIND_NONE });
        assert_non_null(ex);
        struct kicker k = { .stop = 0 };
        for (int i = 0; i < NR_LOOKERS; i++)
            k.lookers[i] = skt_thread(look_until_done, skua_submit(ex, nap, NULL));
        const pthread_t waiter = skt_thread(wait_for_result, skua_submit(ex, nap, NULL));
        const pthread_t kicker = skt_thread(kick, &k);
        skua_close(ex);
        sk_store_rel(&k.stop, 1);
        skt_join(kicker);
        for (int i = 0; i < NR_LOOKERS; i++)
            skt_join(k.lookers[i]);
        skt_join(waiter);
    }
    sigaction(SIGUSR1, &before, NULL);
    assert_true(skt_family_becomes(0));
}

enum {
    NR_CANCELLED = 500
};

struct canceller {
    pthread_barrier_t *barrier;
    skua_future **fs;
    bool told[NR_CANCELLED];
};

static void *cancel_all(void *arg)
{
    struct canceller *c = arg;
    pthread_barrier_wait(c->barrier);
    for (int i = 0; i < NR_CANCELLED; i++)
        c->told[i] = skua_cancel(c->fs[i]);
    return NULL;
}

/* No task can begin: the only worker is held. */
static void of_two_threads_that_cancel_both_are_told_so(void **state)
{
    (void)state;
    skua_executor *ex = skt_processes_of(1);
    for (int round = 0; round < skt_rounds(40); round++) {
        struct skt_shared_gate *gate = skt_shared_gate_new(ex);
        skua_future *fs[NR_CANCELLED], *held = skt_shared_gate_submit(gate, ex);
        for (int i = 0; i < NR_CANCELLED; i++)
            fs[i] = skua_submit(ex, skt_nothing, NULL);
        pthread_barrier_t barrier;
        pthread_barrier_init(&barrier, NULL, 2);
        struct canceller a = { .barrier = &barrier, .fs = fs }, b = a;
        const pthread_t other = skt_thread(cancel_all, &b);
        cancel_all(&a);
        skt_join(other);
        pthread_barrier_destroy(&barrier);
        skt_shared_gate_open(gate);
        for (int i = 0; i < NR_CANCELLED; i++) {
            assert_true(a.told[i] && b.told[i]);
            assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_CANCELLED);
            skua_release(fs[i]);
        }
        assert_status(skua_result(held, NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(held);
        skua_shared_free(ex, gate);
    }
    skua_close(ex);
}

/* ---- pools that are made --------------------------------------------------------------------- */

static int make_pool(void *arg, void *result)
{
    (void)arg;
    *(skua_executor **)result = skua_process_pool(NULL);
    return 0;
}

/* Although a worker of the default pool is bound to one core. */
static void a_pool_made_in_a_task_is_as_large_as_one_made_outside(void **state)
{
    (void)state;
    skua_executor *inside = NULL, *outside = skua_process_pool(NULL);
    skua_future *f = skua_submit_task(
        skua_default(), &(skua_task){ .fn = make_pool, .result_size = sizeof(skua_executor *) });
    assert_status(skua_result(f, &inside, sizeof inside, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    assert_non_null(outside);
    assert_non_null(inside);
    assert_int_equal(skua_workers(inside), skua_workers(outside));
    assert_true(skt_meet(inside));
    skua_close(inside);
    skua_close(outside);
    assert_true(skt_family_becomes(0));
}

static int make_more_than_descriptors_allow(void *arg)
{
    (void)arg;
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1;
    const skua_options options = { .workers = 100, .bind = SKUA_BIND_NONE };
    if (skua_process_pool(&options) != NULL)
        return 2;
    fprintf(stderr, "%s\n", skua_last_error()->message);
    if (skua_last_error()->status != SKUA_NO_MEMORY)
        return 3;
    if (strstr(skua_last_error()->message, "RLIMIT_NOFILE is 64") == NULL)
        return 4;
    return skt_family_becomes(0) ? 0 : 5;
}

static void too_many_workers_for_the_descriptors_are_refused_with_the_limit(void **state)
{
    (void)state;
    const struct skt_output o = skt_fork(make_more_than_descriptors_allow, NULL);
    print_message("%s", o.err);
    assert_int_equal(o.status, 0);
}

static int fail_at_once(void *ctx)
{
    (void)ctx;
    return 3;
}

static void a_broken_pool_refuses_to_be_refreshed_and_says_why(void **state)
{
    skua_executor *ex =
        skua_process_pool(&(skua_options){ .workers = skt_workers(state), .init = fail_at_once });
    assert_non_null(ex);
    skua_future *f = skua_submit(ex, skt_nothing, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_BROKEN_PROCESS_POOL);
    skua_release(f);
    assert_status(skua_process_refresh(ex), SKUA_BROKEN_PROCESS_POOL);
    assert_non_null(strstr(skua_last_error()->message, "init"));
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

static void a_crash_counts_as_a_restart_also_where_each_task_has_its_process(void **state)
{
    (void)state;
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 1, .tasks_per_worker = 1 });
    assert_non_null(ex);
    for (int i = 0; i < 10; i++) {
        skua_future *f = skua_submit(ex, skt_crash, NULL);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
        skua_release(f);
    }
    skua_stats stats;
    const double end = skt_now() + 5 * skt_slow_factor();
    do
        assert_status(skua_executor_stats(ex, &stats), SKUA_OK);
    while (stats.restarts < 10 && skt_now() < end);
    assert_int_equal(stats.restarts, 10);
    assert_int_equal(stats.failed, 10);
    skua_close(ex);
}

/* ---- tasks that ruin ------------------------------------------------------------------------- */

/* What the worker answers in, found beforehand so that the next task loses no time. */
static struct skt_mapping up;

static int find_up(void *arg, void *result)
{
    struct skt_maps maps;
    struct skt_mapping m;
    (void)arg;
    (void)result;
    if (!skt_maps_open(&maps, 0))
        return 1;
    while (skt_maps_next_channel(&maps, &m))
        up = m.writable ? m : up;
    skt_maps_close(&maps);
    return up.begin != 0 ? 0 : 2;
}

static int clear_up_and_hang(void *arg, void *result)
{
    (void)arg;
    (void)result;
    if (up.begin != 0) /* a fresh process has not looked for it */
        memset((void *)up.begin, 0, up.end - up.begin);
    return skt_spin(NULL, NULL);
}

/* The parent cannot see that it has begun, and kills it all the same. */
static void a_task_that_takes_back_that_it_began_is_ended(void **state)
{
    (void)state;
    skua_executor *ex = skt_processes_of(1);
    skua_future *f = skua_submit(ex, find_up, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    f = skua_submit_task(ex, &(skua_task){ .fn = clear_up_and_hang, .time_limit = 0.2 });
    skua_future *next = skt_submit_int(ex, skt_square, 7);
    const double start = skt_now();
    const skua_error *e = skua_exception(f, 60);
    assert_non_null(e);
    print_message("after %.1f s: %s\n", skt_now() - start, e->message);
    if (e->status != SKUA_EXPIRED)
        skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_PROTOCOL, 0, 0);
    int value = -1;
    assert_status(skua_result(next, &value, sizeof value, 60), SKUA_OK);
    assert_int_equal(value, 49);
    skua_release(next);
    skua_release(f);
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

static int shut_all_sockets_down(void *arg, void *result)
{
    (void)arg;
    (void)result;
    for (int fd = 3; fd < 1024; fd++)
        if (!was_there[fd])
            shutdown(fd, SHUT_RDWR);
    return 0;
}

/* The doorbell among them, by which the parent is woken: it stays awake enough to see what is due,
 * and no more than that. */
static void a_task_that_shuts_all_sockets_down_leaves_the_parent_at_work_and_at_peace(void **state)
{
    skua_executor *ex = skt_processes(state);
    for (int i = 0; i < 3; i++) {
        skua_future *f = skua_submit(ex, shut_all_sockets_down, NULL);
        skua_result(f, NULL, 0, SKUA_FOREVER);
        skua_release(f);
        assert_true(skt_meet(ex));
    }
    const double before = skt_cpu_seconds();
    skt_pause(0.5); /* not synchronisation: what is measured is this */
    assert_true(skt_cpu_seconds() - before < 0.25);
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = skt_spin, .time_limit = 0.1 });
    assert_status(skua_result(f, NULL, 0, 5 * skt_slow_factor()), SKUA_EXPIRED);
    skua_release(f);
    for (int i = 0; i < 10; i++)
        assert_true(skt_works(ex));
    assert_true(skt_meet(ex));
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

static SK_ATOMIC(int) * nr_farewells;

static void bid_farewell(void)
{
    sk_add_acq_rel(nr_farewells, 1);
}

static int say_and_exit(void *arg, void *result)
{
    (void)arg;
    (void)result;
    printf("said\n");
    exit(3);
}

static int let_tasks_exit(void *arg)
{
    (void)arg;
    struct stat st;
    FILE *log = tmpfile();
    if (log == NULL || fprintf(log, "one line\n") != 9 || atexit(bid_farewell) != 0)
        return 1;
    skua_executor *ex = skua_process_pool(&(skua_options){ .workers = 1 });
    for (int i = 0; i < 3; i++) {
        skua_future *f = skua_submit(ex, say_and_exit, NULL);
        const skua_error *e = skua_exception(f, SKUA_FOREVER);
        if (e == NULL || e->fault != SKUA_FAULT_EXIT || e->code != 3)
            return 2;
        skua_release(f);
    }
    skua_close(ex);
    if (fflush(log) != 0 || fstat(fileno(log), &st) != 0)
        return 3;
    fclose(log);
    return st.st_size == 9 && sk_load_acq(nr_farewells) == 0 ? 0 : 4;
}

static void exit_in_a_task_ends_nothing_of_the_programs(void **state)
{
    (void)state;
    if (skt_has_tsan()) {
        print_message("ThreadSanitizer starts no threads in a child of a program that has some\n");
        skip();
    }
    nr_farewells = skt_common_counters(1);
    const struct skt_output o = skt_fork(let_tasks_exit, NULL);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, "said\nsaid\nsaid\n");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_forked_childs_look_at_the_stats_takes_nothing),
        SKT_TEST(a_pool_is_closed_beside_threads_that_look_at_its_futures),
        SKT_TEST(of_two_threads_that_cancel_both_are_told_so),
        SKT_TEST(a_pool_made_in_a_task_is_as_large_as_one_made_outside),
        SKT_TEST(too_many_workers_for_the_descriptors_are_refused_with_the_limit),
        SKT_TEST(a_broken_pool_refuses_to_be_refreshed_and_says_why),
        SKT_TEST(a_crash_counts_as_a_restart_also_where_each_task_has_its_process),
        SKT_TEST(a_task_that_takes_back_that_it_began_is_ended),
        SKT_AT(a_task_that_shuts_all_sockets_down_leaves_the_parent_at_work_and_at_peace, 1),
        SKT_AT(a_task_that_shuts_all_sockets_down_leaves_the_parent_at_work_and_at_peace, 2),
        SKT_TEST(exit_in_a_task_ends_nothing_of_the_programs),
    };
    for (int fd = 0; fd < 1024; fd++)
        was_there[fd] = fcntl(fd, F_GETFD) >= 0;
    return skt_main(argc, argv, "process_edges", tests, SKT_COUNT(tests));
}
