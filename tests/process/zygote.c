/* Workers: how they are asked for, what they are like, what is told of them; and the start beside
 * threads that are busy. Who survives whom is in keeper.c. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/time.h"
#include "tests/support/child.h"
#include "tests/support/latch.h"
#include "tests/support/nest.h"

static SK_ATOMIC(int) nr_sigchld;

static void on_sigchld(int signo)
{
    (void)signo;
    sk_add_rlx(&nr_sigchld, 1);
}

static void starting_and_closing_leaves_nothing(void **state)
{
    (void)state;
    const int before = skt_nr_fds();
    for (int i = 0; i < 10; i++) {
        struct sk_zygote *zygote;
        assert_int_equal(sk_zygote_start(&zygote, &skt_nest_config), 0);
        assert_true(skt_has_child());
        sk_zygote_close(zygote);
        assert_false(skt_has_child());
        assert_int_equal(skt_nr_fds(), before);
    }
    sk_zygote_close(NULL);
}

static void closing_ends_the_workers(void **state)
{
    (void)state;
    const int before = skt_nr_fds();
    struct skt_nest nest;
    skt_nest_open(&nest);
    skt_nest_ask(&nest, 1, SKT_ECHO);
    const int worker = skt_nest_spawned(&nest, 1);
    const struct skt_report r = skt_nest_report(&nest);
    const int keeper = skt_pidfd(r.keeper), zygote = skt_pidfd(r.zygote);
    skt_nest_close(&nest);
    skt_await_death(worker);
    skt_await_death(zygote);
    skt_await_death(keeper);
    assert_false(skt_has_child());
    assert_int_equal(skt_nr_fds(), before);
}

static void the_program_sees_no_children(void **state)
{
    (void)state;
    struct skt_nest nest;
    struct sigaction old, action = { .sa_handler = on_sigchld };
    assert_int_equal(sigaction(SIGCHLD, &action, &old), 0);
    sk_store_rlx(&nr_sigchld, 0);
    skt_nest_open(&nest);
    for (uint32_t i = 1; i <= 3; i++) {
        skt_nest_ask(&nest, i, SKT_EXIT_7);
        close(skt_nest_spawned(&nest, i));
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
        assert_int_equal(errno, ECHILD);
        skt_nest_died(&nest, i);
    }
    skt_nest_close(&nest);
    assert_int_equal(waitpid(-1, NULL, 0), -1);
    assert_int_equal(errno, ECHILD);
    sigaction(SIGCHLD, &old, NULL);
    assert_int_equal(sk_load_rlx(&nr_sigchld), 0);
}

static void a_death_is_told_as_it_was(void **state)
{
    (void)state;
    static const struct {
        enum skt_deed deed;
        int code, status;
    } cases[] = { { SKT_EXIT_7, CLD_EXITED, 7 },
                  { SKT_REPORT, CLD_EXITED, 0 },
                  { SKT_KILL_SELF, CLD_KILLED, SIGKILL },
                  { SKT_SEGV, CLD_KILLED, SIGSEGV } };
    struct skt_nest nest;
    skt_nest_open(&nest);
    for (uint32_t i = 0; i < SKT_COUNT(cases); i++) {
        skt_nest_ask(&nest, i, cases[i].deed);
        const int pidfd = skt_nest_spawned(&nest, i);
        const struct sk_zygote_event died = skt_nest_died(&nest, i);
        assert_int_equal(died.status, cases[i].status);
        assert_true(died.code == cases[i].code ||
                    (died.code == CLD_DUMPED && cases[i].deed == SKT_SEGV));
        skt_await_death(pidfd);
    }
    skt_nest_close(&nest);
}

static void a_killed_worker_is_told_of(void **state)
{
    (void)state;
    struct skt_nest nest;
    skt_nest_open(&nest);
    skt_nest_ask(&nest, 5, SKT_ECHO);
    close(skt_nest_spawned(&nest, 5));
    const struct skt_report r = skt_nest_report(&nest);
    assert_int_equal(kill(r.worker, SIGKILL), 0);
    const struct sk_zygote_event died = skt_nest_died(&nest, 5);
    assert_int_equal(died.pid, r.worker);
    assert_int_equal(died.code, CLD_KILLED);
    assert_int_equal(died.status, SIGKILL);
    skt_nest_close(&nest);
}

static void many_live_at_once_and_each_is_told_of(void **state)
{
    (void)state;
    enum {
        MOST = 200
    };
    const int n = skt_rounds(MOST), before = skt_nr_fds();
    int pidfds[MOST], nr_died = 0;
    bool died[MOST] = { false };
    struct skt_nest nest;
    skt_nest_open(&nest);
    for (int i = 0; i < n; i++)
        skt_nest_ask(&nest, (uint32_t)i, SKT_ECHO);
    for (int i = 0; i < n; i++)
        pidfds[i] = skt_nest_spawned(&nest, (uint32_t)i);
    for (int i = 0; i < n; i++)
        skt_nest_report(&nest);
    close(nest.far); /* and with the last copy of the near end they go */
    close(nest.near);
    for (; nr_died < n; nr_died++) {
        const struct sk_zygote_event event = skt_nest_event(&nest);
        assert_int_equal(event.kind, SK_ZYGOTE_DIED);
        assert_in_range(event.serial, 0, n - 1);
        assert_false(died[event.serial]);
        died[event.serial] = true;
        assert_int_equal(event.code, CLD_EXITED);
        assert_int_equal(event.status, 0);
    }
    for (int i = 0; i < n; i++)
        skt_await_death(pidfds[i]);
    struct sk_zygote_event none;
    assert_false(sk_zygote_next(nest.zygote, &none));
    sk_zygote_close(nest.zygote);
    assert_int_equal(skt_nr_fds(), before);
}

static void unread_events_refuse_orders_and_block_nobody(void **state)
{
    (void)state;
    struct skt_nest nest;
    skt_nest_open(&nest);
    uint32_t nr_asked = 0;
    int error = 0;
    while (error == 0 && nr_asked < 5000) {
        const struct sk_zygote_order order = { .serial = nr_asked, .seat = SKT_EXIT_7 };
        error = sk_zygote_spawn(nest.zygote, &order, nest.far);
        nr_asked += error == 0;
    }
    assert_int_equal(error, -EAGAIN);
    assert_true(nr_asked > 100);
    for (uint32_t nr_spawned = 0, nr_died = 0; nr_spawned + nr_died < 2 * nr_asked;) {
        const struct sk_zygote_event event = skt_nest_event(&nest);
        if (event.kind == SK_ZYGOTE_SPAWNED) {
            assert_int_equal(event.serial, nr_spawned++);
            close(event.pidfd);
        } else {
            assert_int_equal(event.kind, SK_ZYGOTE_DIED);
            nr_died++;
        }
    }
    skt_nest_close(&nest);
}

/* ---- what a worker is like ------------------------------------------------------------------- */

static void expect_exit(struct skt_nest *nest, enum skt_deed deed, int status)
{
    skt_nest_ask(nest, 1, deed);
    close(skt_nest_spawned(nest, 1));
    const struct sk_zygote_event died = skt_nest_died(nest, 1);
    assert_int_equal(died.code, CLD_EXITED);
    assert_int_equal(died.status, status);
}

static void signals_are_back_to_their_defaults(void **state)
{
    (void)state;
    struct skt_nest nest;
    sigset_t some, before;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR2);
    sigprocmask(SIG_BLOCK, &some, &before);
    signal(SIGUSR1, on_sigchld);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN);
    skt_nest_open(&nest);
    assert_int_equal(sigismember(&before, SIGUSR2), 0);
    expect_exit(&nest, SKT_SIGNALS, 0);
    skt_nest_close(&nest);
    sigset_t after;
    sigprocmask(SIG_SETMASK, &before, &after);
    assert_int_equal(sigismember(&after, SIGUSR2), 1);
    assert_int_equal(sigismember(&after, SIGTERM), 0);
    signal(SIGUSR1, SIG_DFL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGCHLD, SIG_DFL);
}

static void a_tasks_own_daemons_are_its_workers_children(void **state)
{
    (void)state;
    struct skt_nest nest;
    skt_nest_open(&nest);
    expect_exit(&nest, SKT_ADOPT, 0);
    skt_nest_close(&nest);
}

static int write_once(void *arg)
{
    (void)arg;
    struct skt_nest nest;
    printf("once");
    skt_nest_open(&nest);
    expect_exit(&nest, SKT_FLUSH, 0);
    skt_nest_close(&nest);
    return fflush(stdout);
}

static void unwritten_output_is_written_once(void **state)
{
    (void)state;
    const struct skt_output output = skt_fork(write_once, NULL);
    assert_int_equal(output.status, 0);
    assert_string_equal(output.out, "once");
}

static int return_to_caller(int fd)
{
    (void)fd;
    return 3;
}

static int run_without_terminal_signals(void *arg)
{
    (void)arg;
    struct skt_nest nest;
    if (setpgid(0, 0) != 0)
        return 1;
    skt_nest_open(&nest);
    skt_nest_ask(&nest, 1, SKT_ECHO);
    close(skt_nest_spawned(&nest, 1));
    skt_nest_report(&nest);
    signal(SIGINT, SIG_IGN);
    kill(0, SIGINT);
    skt_nest_poke(&nest);
    skt_nest_report(&nest);
    skt_nest_close(&nest);
    return 0;
}

static void ctrl_c_is_not_for_workers(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(run_without_terminal_signals, NULL).status, 0);
}

static void workers_are_as_the_program_was(void **state)
{
    (void)state;
    struct skt_nest nest;
    skt_argument = return_to_caller;
    skt_nest_open(&nest);
    skt_argument = NULL;
    expect_exit(&nest, SKT_ARGUE, 3);
    skt_nest_close(&nest);
}

/* ---- beside threads -------------------------------------------------------------------------- */

struct crowd {
    SK_ATOMIC(bool) over;
    struct skt_latch began;
    pthread_t threads[8];
    int n;
};

static void *allocate(void *arg)
{
    struct crowd *crowd = arg;
    uint32_t seed = (uint32_t)(uintptr_t)&seed;
    void *held[64] = { NULL };
    skt_latch_raise(&crowd->began);
    while (!sk_load_acq(&crowd->over)) {
        const uint32_t x = skt_random(&seed);
        free(held[x % 64]);
        held[x % 64] = malloc(16 + x % 5000);
    }
    for (int i = 0; i < 64; i++)
        free(held[i]);
    return NULL;
}

static void gather(struct crowd *crowd, int n)
{
    sk_init(&crowd->over, false);
    skt_latch_init(&crowd->began);
    crowd->n = n;
    for (int i = 0; i < n; i++)
        crowd->threads[i] = skt_thread(allocate, crowd);
    skt_latch_wait(&crowd->began, n);
}

static void dissolve(struct crowd *crowd)
{
    sk_store_rel(&crowd->over, true);
    for (int i = 0; i < crowd->n; i++)
        skt_join(crowd->threads[i]);
    skt_latch_fini(&crowd->began);
}

static void workers_come_beside_busy_threads(void **state)
{
    (void)state;
    struct crowd crowd;
    struct skt_nest nest;
    skt_nest_open(&nest);
    gather(&crowd, 4);
    for (uint32_t i = 0; i < (uint32_t)skt_rounds(50); i++) {
        skt_nest_ask(&nest, i, SKT_EXIT_7);
        close(skt_nest_spawned(&nest, i));
        skt_nest_died(&nest, i);
    }
    dissolve(&crowd);
    skt_nest_close(&nest);
}

static void a_late_start_beside_busy_threads_succeeds(void **state)
{
    const int before = skt_nr_fds();
    struct crowd crowd;
    struct sigaction old, action = { .sa_handler = on_sigchld, .sa_flags = SA_RESTART };
    assert_int_equal(sigaction(SIGCHLD, &action, &old), 0);
    sk_store_rlx(&nr_sigchld, 0);
    gather(&crowd, skt_workers(state));
    const double start = skt_now();
    double worst = 0;
    int nr_helped = 0;
    const int n = skt_rounds(24 / skt_workers(state));
    for (int i = 0; i < n; i++) {
        struct skt_nest nest;
        const double begin = skt_now();
        skt_nest_open(&nest);
        worst = skt_now() - begin > worst ? skt_now() - begin : worst;
        nr_helped += !skt_has_child();
        expect_exit(&nest, SKT_EXIT_7, 7);
        skt_nest_close(&nest);
    }
    print_message("%d starts: %.0f ms each, %.0f ms at most, %d with a helper\n", n,
                  (skt_now() - start) * 1e3 / n, worst * 1e3, nr_helped);
    assert_int_equal(sk_load_rlx(&nr_sigchld), 0);
    dissolve(&crowd);
    sigaction(SIGCHLD, &old, NULL);
    assert_false(skt_has_child());
    assert_int_equal(skt_nr_fds(), before);
}

/* As OpenBLAS does: its handler joins its threads, which only the program itself has. */
static pthread_t helper;
static struct skt_latch helper_may_go;
static bool has_helper;

static void *help(void *arg)
{
    (void)arg;
    skt_latch_wait(&helper_may_go, 1);
    return NULL;
}

static void join_helper(void)
{
    if (!has_helper)
        return;
    skt_latch_raise(&helper_may_go);
    skt_join(helper);
    has_helper = false;
}

static int start_beside_a_helper(void *arg)
{
    (void)arg;
    struct skt_nest nest;
    const int before = skt_nr_fds();
    skt_latch_init(&helper_may_go);
    helper = skt_thread(help, NULL);
    has_helper = true;
    pthread_atfork(join_helper, NULL, NULL);
    skt_nest_open(&nest);
    if (has_helper || skt_has_child())
        return 1;
    expect_exit(&nest, SKT_EXIT_7, 7);
    skt_nest_ask(&nest, 2, SKT_ECHO);
    const int worker = skt_nest_spawned(&nest, 2);
    const struct skt_report r = skt_nest_report(&nest);
    const int keeper = skt_pidfd(r.keeper);
    skt_nest_close(&nest);
    skt_await_death(worker);
    skt_await_death(keeper);
    return skt_nr_fds() == before ? 0 : 2;
}

static void fork_handlers_that_join_threads_are_no_obstacle(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(start_beside_a_helper, NULL).status, 0);
}

/* ---- what is scarce -------------------------------------------------------------------------- */

static void limit_to(int resource, int n)
{
    struct rlimit limit;
    getrlimit(resource, &limit);
    limit.rlim_cur = (rlim_t)n;
    setrlimit(resource, &limit);
}

/* Raises a limit step by step until a start succeeds; until then the error must be `wanted`. Then
 * asks for a worker, which may be more than there is. */
static int start_at_each_limit(int resource, int from, int to, int wanted)
{
    const int before = skt_nr_fds();
    struct sk_zygote *zygote = NULL;
    int n = from, error;
    for (; n < to; n++) {
        limit_to(resource, n);
        error = sk_zygote_start(&zygote, &skt_nest_config);
        if (error == 0)
            break;
        if (error != wanted || skt_nr_fds() != before || skt_has_child())
            return 1;
    }
    if (n == from)
        return 2;
    if (zygote == NULL)
        return 0; /* others of this user have more processes than that */
    struct skt_nest nest = { .zygote = zygote, .near = -1, .far = STDIN_FILENO };
    skt_nest_ask(&nest, 1, SKT_EXIT_7);
    const struct sk_zygote_event event = skt_nest_event(&nest);
    if (event.kind == SK_ZYGOTE_SPAWNED)
        close(event.pidfd);
    else if (event.kind != SK_ZYGOTE_NOT_SPAWNED || event.error != wanted)
        return 3;
    sk_zygote_close(zygote);
    return skt_nr_fds() == before && !skt_has_child() ? 0 : 4;
}

static int have_no_processes(void *arg)
{
    (void)arg;
    if (getuid() == 0 && setuid(65534) != 0)
        return 77;
    prctl(PR_SET_DUMPABLE, 1);
    return start_at_each_limit(RLIMIT_NPROC, 1, 64, -EAGAIN);
}

static void without_processes_it_fails_cleanly(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(have_no_processes, NULL).status, 0);
}

static int have_no_descriptors(void *arg)
{
    (void)arg;
    int free_fd = dup(0);
    close(free_fd);
    return start_at_each_limit(RLIMIT_NOFILE, free_fd, free_fd + 64, -EMFILE);
}

static void without_descriptors_it_fails_cleanly(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(have_no_descriptors, NULL).status, 0);
}

static void a_pidfd_without_a_number_is_no_worker(void **state)
{
    (void)state;
    struct skt_nest nest;
    struct rlimit old;
    skt_nest_open(&nest);
    const int before = skt_nr_fds();
    getrlimit(RLIMIT_NOFILE, &old);
    limit_to(RLIMIT_NOFILE, 1);
    skt_nest_ask(&nest, 1, SKT_ECHO);
    const struct sk_zygote_event event = skt_nest_event(&nest);
    setrlimit(RLIMIT_NOFILE, &old);
    assert_int_equal(event.kind, SK_ZYGOTE_NOT_SPAWNED);
    assert_int_equal(event.error, -EMFILE);
    expect_exit(&nest, SKT_EXIT_7, 7); /* nothing is told of the other */
    assert_int_equal(skt_nr_fds(), before);
    skt_nest_close(&nest);
}

/* ---- how fast -------------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double median_us(int64_t *ns, int n)
{
    qsort(ns, (size_t)n, sizeof *ns, compare);
    return (double)ns[n / 2] / 1e3;
}

static void it_is_quick(void **state)
{
    (void)state;
    enum {
        MOST = 200
    };
    int64_t born[MOST], told[MOST], died[MOST], again[MOST], crash = 0;
    const int n = skt_rounds(MOST);
    struct skt_nest nest;
    skt_nest_open(&nest);
    for (int i = 0; i < n; i++) {
        const int64_t asked = sk_now_ns();
        skt_nest_ask(&nest, (uint32_t)i, SKT_KILL_SELF);
        close(skt_nest_spawned(&nest, (uint32_t)i));
        told[i] = sk_now_ns() - asked;
        const struct skt_report r = skt_nest_report(&nest);
        born[i] = r.now_ns - asked;
        again[i] = r.now_ns - crash; /* since the one before died */
        skt_nest_died(&nest, (uint32_t)i);
        died[i] = sk_now_ns() - r.now_ns;
        crash = r.now_ns;
    }
    skt_nest_close(&nest);
    print_message(
        "medians of %d, us: worker runs %.0f after the order, SPAWNED is there after %.0f, "
        "DIED %.0f after the death, a replacement runs after %.0f\n",
        n, median_us(born, n), median_us(told, n), median_us(died, n), median_us(again, n));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(starting_and_closing_leaves_nothing),
        SKT_TEST(closing_ends_the_workers),
        SKT_TEST(the_program_sees_no_children),
        SKT_TEST(a_death_is_told_as_it_was),
        SKT_TEST(a_killed_worker_is_told_of),
        SKT_TEST(many_live_at_once_and_each_is_told_of),
        SKT_TEST(unread_events_refuse_orders_and_block_nobody),
        SKT_TEST(signals_are_back_to_their_defaults),
        SKT_TEST(a_tasks_own_daemons_are_its_workers_children),
        SKT_TEST(unwritten_output_is_written_once),
        SKT_TEST(ctrl_c_is_not_for_workers),
        SKT_TEST(workers_are_as_the_program_was),
        SKT_TEST(workers_come_beside_busy_threads),
        SKT_EACH(a_late_start_beside_busy_threads_succeeds),
        SKT_TEST(fork_handlers_that_join_threads_are_no_obstacle),
        SKT_TEST(without_processes_it_fails_cleanly),
        SKT_TEST(without_descriptors_it_fails_cleanly),
        SKT_TEST(a_pidfd_without_a_number_is_no_worker),
        SKT_TEST(it_is_quick),
    };
    return skt_main(argc, argv, "zygote", tests, SKT_COUNT(tests));
}
