/* Who survives whom: nothing survives the program, however it ends; a zygote is replaced; and what
 * tasks leave behind goes with their workers. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/nest.h"

/* ---- the program's end ----------------------------------------------------------------------- */

enum end {
    KILLED,
    EXITS,
    EXECS
};

struct ending {
    enum end how;
    int reports[2]; /* from the workers */
    int go[2];      /* a byte: end */
};

/* In the workers, whose channel may be any descriptor. */
static int report_and_wait(int fd)
{
    const pid_t pids[] = { getpid(), getppid() };
    if (write(fd, pids, sizeof pids) != (ssize_t)sizeof pids)
        return 1;
    for (;;)
        pause();
}

static _Noreturn void live_and_end(const struct ending *ending)
{
    char byte;
    struct sk_zygote *zygote;
    skt_argument = report_and_wait;
    alarm(60);
    close(ending->go[1]);
    if (sk_zygote_start(&zygote, &skt_nest_config) != 0)
        _exit(1);
    for (uint32_t i = 0; i < 3; i++) {
        const struct sk_zygote_order order = { .serial = i, .seat = SKT_ARGUE };
        if (sk_zygote_spawn(zygote, &order, ending->reports[1]) != 0)
            _exit(2);
    }
    if (read(ending->go[0], &byte, 1) != 1)
        _exit(3);
    if (ending->how == EXITS)
        exit(0); /* and the zygote is not closed */
    dup2(ending->go[0], STDIN_FILENO);
    execlp("sh", "sh", "-c", "read line", (char *)NULL); /* until the test closes it */
    _exit(4);
}

static void nothing_survives(enum end how)
{
    struct ending ending = { .how = how };
    int fds[4];
    pid_t pids[2];
    assert_int_equal(pipe2(ending.reports, O_CLOEXEC), 0);
    assert_int_equal(pipe(ending.go), 0);
    const pid_t program = fork();
    if (program == 0)
        live_and_end(&ending);
    close(ending.reports[1]);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read(ending.reports[0], pids, sizeof pids), sizeof pids);
        fds[i] = skt_pidfd(pids[0]);
    }
    fds[3] = skt_pidfd(pids[1]);
    const double start = skt_now();
    if (how == KILLED)
        kill(program, SIGKILL);
    else
        assert_int_equal(write(ending.go[1], "", 1), 1);
    for (int i = 0; i < 4; i++)
        skt_await_death(fds[i]);
    /* The keeper, too, had an end of this pipe. */
    assert_int_equal(read(ending.reports[0], pids, sizeof pids), 0);
    print_message("all gone after %.1f ms\n", (skt_now() - start) * 1e3);
    if (how == EXECS)
        assert_int_equal(waitpid(program, NULL, WNOHANG), 0); /* which is still there */
    close(ending.go[1]);
    assert_int_equal(waitpid(program, NULL, 0), program);
    close(ending.reports[0]);
    close(ending.go[0]);
}

static void nothing_survives_a_killed_program(void **state)
{
    (void)state;
    nothing_survives(KILLED);
}

static void nothing_survives_an_exit(void **state)
{
    (void)state;
    nothing_survives(EXITS);
}

static void nothing_survives_an_exec(void **state)
{
    (void)state;
    nothing_survives(EXECS);
}

static int close_anothers(void *arg)
{
    struct skt_nest *nest = arg;
    const int before = skt_nr_fds();
    skt_nest_close(nest);
    return skt_nr_fds() == before - 4 ? 0 : 1;
}

static void a_forked_child_closes_only_its_copy(void **state)
{
    (void)state;
    struct skt_nest nest;
    skt_nest_open(&nest);
    assert_int_equal(skt_fork(close_anothers, &nest).status, 0);
    skt_nest_ask(&nest, 1, SKT_EXIT_7);
    close(skt_nest_spawned(&nest, 1));
    assert_int_equal(skt_nest_died(&nest, 1).status, 7);
    skt_nest_close(&nest);
}

/* ---- what tasks leave behind ----------------------------------------------------------------- */

static void what_a_task_left_goes_with_its_worker(void **state)
{
    (void)state;
    struct skt_nest nest, own;
    skt_nest_open(&nest);
    skt_nest_ask(&nest, 1, SKT_ECHO); /* another, which is not to be hit */
    close(skt_nest_spawned(&nest, 1));
    const struct skt_report other = skt_nest_report(&nest);
    own = nest;
    for (uint32_t i = 2; i < 5; i++) {
        skt_nest_connect(&own);
        skt_nest_ask(&own, i, SKT_LEAVE);
        close(skt_nest_spawned(&own, i));
        const int left = skt_pidfd(skt_nest_report(&own).left);
        skt_nest_poke(&own);
        const struct sk_zygote_event died = skt_nest_died(&own, i);
        const double start = skt_now();
        assert_int_equal(died.status, SIGABRT);
        skt_await_death(left);
        skt_nest_await_silence(&own); /* it had a child of its own */
        print_message("gone after %.1f ms\n", (skt_now() - start) * 1e3);
    }
    skt_nest_poke(&nest);
    assert_int_equal(skt_nest_report(&nest).worker, other.worker);
    skt_nest_close(&nest);
}

static void closing_ends_what_tasks_have_left(void **state)
{
    (void)state;
    struct skt_nest nest;
    skt_nest_open(&nest);
    skt_nest_ask(&nest, 1, SKT_LEAVE);
    close(skt_nest_spawned(&nest, 1));
    const int left = skt_pidfd(skt_nest_report(&nest).left);
    sk_zygote_close(nest.zygote);
    assert_true(skt_is_dead(left)); /* that was waited for */
    skt_nest_await_silence(&nest);
}

/* ---- a lost zygote, a lost keeper ------------------------------------------------------------ */

static void a_killed_zygote_is_replaced(void **state)
{
    (void)state;
    struct skt_nest nest;
    skt_nest_open(&nest);
    for (uint32_t i = 0; i < 3; i++) {
        skt_nest_ask(&nest, 10 * i, SKT_LEAVE);
        const int worker = skt_nest_spawned(&nest, 10 * i);
        const struct skt_report r = skt_nest_report(&nest);
        const int left = skt_pidfd(r.left);
        assert_int_equal(kill(r.zygote, SIGKILL), 0);
        /* Comes to nothing: it was given before the loss was read. */
        skt_nest_ask(&nest, 10 * i + 1, SKT_EXIT_7);
        struct sk_zygote_event event = skt_nest_event(&nest);
        while (event.kind != SK_ZYGOTE_REPLACED) {
            assert_int_not_equal(event.kind, SK_ZYGOTE_LOST);
            if (event.kind == SK_ZYGOTE_SPAWNED)
                close(event.pidfd);
            event = skt_nest_event(&nest);
        }
        assert_true(skt_is_dead(worker));
        assert_true(skt_is_dead(left));
        skt_nest_ask(&nest, 10 * i + 2, SKT_EXIT_7);
        close(skt_nest_spawned(&nest, 10 * i + 2));
        assert_int_equal(skt_nest_died(&nest, 10 * i + 2).status, 7);
    }
    skt_nest_close(&nest);
    assert_false(skt_has_child());
}

static void a_killed_keeper_takes_all_with_it(void **state)
{
    (void)state;
    const int before = skt_nr_fds();
    struct skt_nest nest;
    struct sk_zygote_event event;
    skt_nest_open(&nest);
    skt_nest_ask(&nest, 1, SKT_LEAVE);
    const int worker = skt_nest_spawned(&nest, 1);
    const struct skt_report r = skt_nest_report(&nest);
    const int left = skt_pidfd(r.left), zygote = skt_pidfd(r.zygote);
    assert_int_equal(kill(r.keeper, SIGKILL), 0);
    event = skt_nest_event(&nest);
    while (event.kind == SK_ZYGOTE_DIED)
        event = skt_nest_event(&nest);
    assert_int_equal(event.kind, SK_ZYGOTE_LOST);
    assert_false(sk_zygote_next(nest.zygote, &event));
    skt_await_death(worker);
    skt_await_death(left);
    skt_await_death(zygote);
    const struct sk_zygote_order order = { .serial = 2, .seat = SKT_EXIT_7 };
    assert_int_equal(sk_zygote_spawn(nest.zygote, &order, nest.far), -EPIPE);
    skt_nest_close(&nest);
    assert_false(skt_has_child());
    assert_int_equal(skt_nr_fds(), before);
}

static void die(void *ctx)
{
    (void)ctx;
    raise(SIGKILL);
}

static void hang(void *ctx)
{
    (void)ctx;
    for (;;)
        pause();
}

static void a_start_whose_preparation_dies_fails(void **state)
{
    (void)state;
    const int before = skt_nr_fds();
    struct sk_zygote *zygote;
    const struct sk_zygote_config config = { .prepare = die, .work = skt_nest_config.work };
    assert_int_equal(sk_zygote_start(&zygote, &config), -ECHILD);
    assert_null(zygote);
    assert_false(skt_has_child());
    assert_int_equal(skt_nr_fds(), before);
}

static void a_start_whose_preparation_hangs_fails(void **state)
{
    (void)state;
    const int before = skt_nr_fds();
    struct sk_zygote *zygote;
    const struct sk_zygote_config config = { .prepare = hang, .work = skt_nest_config.work };
    assert_int_equal(sk_zygote_start(&zygote, &config), -EBUSY);
    assert_null(zygote);
    assert_false(skt_has_child());
    assert_int_equal(skt_nr_fds(), before);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(nothing_survives_a_killed_program),
        SKT_TEST(nothing_survives_an_exit),
        SKT_TEST(nothing_survives_an_exec),
        SKT_TEST(a_forked_child_closes_only_its_copy),
        SKT_TEST(what_a_task_left_goes_with_its_worker),
        SKT_TEST(closing_ends_what_tasks_have_left),
        SKT_TEST(a_killed_zygote_is_replaced),
        SKT_TEST(a_killed_keeper_takes_all_with_it),
        SKT_TEST(a_start_whose_preparation_dies_fails),
        SKT_TEST(a_start_whose_preparation_hangs_fails),
    };
    return skt_main(argc, argv, "keeper", tests, SKT_COUNT(tests));
}
