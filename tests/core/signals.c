/* Workers leave the program's signals to the program's own threads. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "tests/support/gate.h"

/* Those that a program may wait for; a fault's own signal is none of them. */
static const int asynchronous[] = { SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGCHLD, SIGALRM, SIGUSR1,
                                    SIGUSR2, SIGPIPE, SIGPROF, SIGIO,   SIGURG,  SIGWINCH };

static int count_open_signals(void *arg, void *result)
{
    sigset_t blocked;
    (void)arg;
    if (pthread_sigmask(SIG_BLOCK, NULL, &blocked) != 0)
        return 1;
    for (size_t i = 0; i < SKT_COUNT(asynchronous); i++)
        *(int *)result += !sigismember(&blocked, asynchronous[i]);
    return 0;
}

static int count_at_gate(void *arg, void *result)
{
    const int rc = count_open_signals(arg, result);
    skt_gate_task(arg, NULL);
    return rc;
}

static void check_no_signal_is_open(skua_future *f)
{
    int nr_open = -1;
    assert_status(skua_result(f, &nr_open, sizeof nr_open, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(nr_open, 0);
    skua_release(f);
}

static void every_worker_has_all_signals_blocked(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skua_future *fs[8];
    const skua_task task = { .fn = count_at_gate, .arg = &gate, .result_size = sizeof(int) };
    for (int i = 0; i < skt_workers(state); i++)
        fs[i] = skua_submit_task(ex, &task);
    skt_latch_wait(&gate.began, skt_workers(state));
    skt_gate_open(&gate);
    for (int i = 0; i < skt_workers(state); i++)
        check_no_signal_is_open(fs[i]);
    skua_close(ex);
    skt_gate_fini(&gate);
}

struct pair {
    skua_future *held;
    struct skt_latch began;
};

static int wait_for_held(void *arg, void *result)
{
    struct pair *p = arg;
    (void)result;
    skt_latch_raise(&p->began);
    return skua_result(p->held, NULL, 0, SKUA_FOREVER);
}

static void a_spare_worker_has_all_signals_blocked_too(void **state)
{
    skua_executor *ex = skt_pool(state), *other = skt_pool_of(1);
    struct skt_gate gate;
    skt_gate_init(&gate);
    struct pair p = { .held = skt_gate_submit(&gate, other) };
    skt_latch_init(&p.began);
    for (int i = 0; i < skt_workers(state); i++)
        skua_release(skua_submit(ex, wait_for_held, &p));
    skt_latch_wait(&p.began, skt_workers(state));
    const skua_task task = { .fn = count_open_signals, .result_size = sizeof(int) };
    check_no_signal_is_open(skua_submit_task(ex, &task));
    skt_gate_open(&gate);
    skua_close(ex);
    skua_release(p.held);
    skua_close(other);
    skt_gate_fini(&gate);
    skt_latch_fini(&p.began);
}

static SK_ATOMIC(int) nr_caught;
static SK_ATOMIC(int) nr_in_workers;
static pthread_t main_thread;

static void on_signal(int signo)
{
    (void)signo;
    sk_add_rlx(&nr_caught, 1);
    sk_add_rlx(&nr_in_workers, !pthread_equal(pthread_self(), main_thread));
}

static void a_signal_to_the_process_is_never_handled_by_a_worker(void **state)
{
    struct sigaction action = { .sa_handler = on_signal }, before;
    sigemptyset(&action.sa_mask);
    main_thread = pthread_self();
    sk_store_rel(&nr_caught, 0);
    sk_store_rel(&nr_in_workers, 0);
    assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
    skua_executor *ex = skt_pool(state);
    SK_ATOMIC(int) runs;
    sk_init(&runs, 0);
    for (int i = 0; i < 200; i++) {
        skua_future *f = skua_submit(ex, skt_count, &runs);
        assert_int_equal(kill(getpid(), SIGUSR1), 0);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(f);
    }
    skua_close(ex);
    while (sk_load_acq(&nr_caught) == 0)
        sched_yield();
    assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
    assert_int_equal(sk_load_acq(&runs), 200);
    assert_int_equal(sk_load_acq(&nr_in_workers), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(every_worker_has_all_signals_blocked),
        SKT_EACH(a_spare_worker_has_all_signals_blocked_too),
        SKT_EACH(a_signal_to_the_process_is_never_handled_by_a_worker),
    };
    return skt_main(argc, argv, "signals", tests, SKT_COUNT(tests));
}
