#define _GNU_SOURCE
#include "tests/support/nest.h"

#include "tests/support/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"

#define HANG_MS 30000 /* a guard: nothing here takes so long */

int (*skt_argument)(int channel_fd);

static pid_t zygote_pid, keeper_pid; /* written by prepare, so known to all workers */

static void prepare(void *ctx)
{
    (void)ctx;
    zygote_pid = getpid();
    keeper_pid = getppid();
}

static void report(int fd, uint32_t serial, pid_t left)
{
    const struct skt_report r = { .serial = serial,
                                  .worker = getpid(),
                                  .zygote = zygote_pid,
                                  .keeper = keeper_pid,
                                  .left = left,
                                  .now_ns = sk_now_ns() };
    if (write(fd, &r, sizeof r) != (ssize_t)sizeof r)
        _exit(99);
}

static void echo(int fd, uint32_t serial)
{
    char byte;
    while (read(fd, &byte, 1) == 1)
        report(fd, serial, 0);
}

static void leave(int fd, uint32_t serial)
{
    char byte;
    const pid_t stubborn = fork();
    if (stubborn == 0) {
        sigset_t all;
        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        setsid();
        if (fork() < 0) /* and there are two of them */
            _exit(1);
        for (;;)
            pause();
    }
    report(fd, serial, stubborn);
    if (read(fd, &byte, 1) == 1)
        abort();
}

static int adopt(void)
{
    int status, go[2];
    char byte = 0;
    if (pipe(go) != 0)
        return 1;
    const pid_t child = fork();
    if (child == 0) {
        if (fork() == 0) {
            close(go[1]);
            _exit(read(go[0], &byte, 1) == 1 ? 9 : 8); /* ends after its parent */
        }
        _exit(0);
    }
    if (waitpid(child, &status, 0) != child)
        return 2;
    if (write(go[1], &byte, 1) != 1)
        return 3;
    return wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 9 ? 0 : 4;
}

static bool disposition_is(int signo, void (*handler)(int))
{
    struct sigaction action;
    return sigaction(signo, NULL, &action) == 0 && action.sa_handler == handler;
}

static int look_at_signals(void)
{
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int signo = 1; signo <= SIGRTMAX; signo++)
        if (sigismember(&mask, signo) == 1)
            return 1;
    if (!disposition_is(SIGINT, SIG_IGN) || !disposition_is(SIGPIPE, SIG_IGN))
        return 2;
    return disposition_is(SIGUSR1, SIG_DFL) && disposition_is(SIGCHLD, SIG_DFL) ? 0 : 3;
}

static void work(void *ctx, const struct sk_zygote_order *order, int fd)
{
    (void)ctx;
    switch ((enum skt_deed)order->seat) {
    case SKT_EXIT_7:
        _exit(7);
    case SKT_ADOPT:
        _exit(adopt());
    case SKT_SIGNALS:
        _exit(look_at_signals());
    case SKT_FLUSH:
        exit(0);
    case SKT_ARGUE:
        _exit(skt_argument(fd));
    case SKT_LEAVE:
        leave(fd, order->serial);
        break;
    default:
        report(fd, order->serial, 0);
    }
    if (order->seat == SKT_SEGV)
        raise(SIGSEGV);
    if (order->seat == SKT_KILL_SELF)
        kill(getpid(), SIGKILL);
    if (order->seat == SKT_ECHO)
        echo(fd, order->serial);
    _exit(0);
}

const struct sk_zygote_config skt_nest_config = { .prepare = prepare, .work = work };

void skt_nest_connect(struct skt_nest *nest)
{
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    nest->near = ends[0];
    nest->far = ends[1];
}

void skt_nest_open(struct skt_nest *nest)
{
    assert_int_equal(sk_zygote_start(&nest->zygote, &skt_nest_config), 0);
    assert_non_null(nest->zygote);
    skt_nest_connect(nest); /* later, so that the workers have no copy of the near end */
}

void skt_nest_close(struct skt_nest *nest)
{
    sk_zygote_close(nest->zygote);
    close(nest->near);
    close(nest->far);
}

void skt_nest_ask(struct skt_nest *nest, uint32_t serial, enum skt_deed deed)
{
    const struct sk_zygote_order order = { .serial = serial, .seat = (int32_t)deed };
    assert_int_equal(sk_zygote_spawn(nest->zygote, &order, nest->far), 0);
}

void skt_nest_poke(struct skt_nest *nest)
{
    assert_int_equal(write(nest->near, "", 1), 1);
}

struct sk_zygote_event skt_nest_event(struct skt_nest *nest)
{
    struct sk_zygote_event event;
    while (!sk_zygote_next(nest->zygote, &event)) {
        struct pollfd some = { .fd = sk_zygote_fd(nest->zygote), .events = POLLIN };
        assert_int_not_equal(poll(&some, 1, HANG_MS), 0);
    }
    return event;
}

struct skt_report skt_nest_report(struct skt_nest *nest)
{
    struct skt_report report;
    struct pollfd some = { .fd = nest->near, .events = POLLIN };
    assert_int_equal(poll(&some, 1, HANG_MS), 1);
    assert_int_equal(read(nest->near, &report, sizeof report), sizeof report);
    return report;
}

void skt_nest_await_silence(struct skt_nest *nest)
{
    char byte;
    struct pollfd end = { .fd = nest->near, .events = POLLIN };
    close(nest->far);
    assert_int_equal(poll(&end, 1, HANG_MS), 1);
    assert_int_equal(read(nest->near, &byte, 1), 0);
    close(nest->near);
}

int skt_nest_spawned(struct skt_nest *nest, uint32_t serial)
{
    const struct sk_zygote_event event = skt_nest_event(nest);
    assert_int_equal(event.kind, SK_ZYGOTE_SPAWNED);
    assert_int_equal(event.serial, serial);
    assert_true(event.pid > 0);
    assert_true(event.pidfd >= 0);
    assert_int_equal(fcntl(event.pidfd, F_GETFD), FD_CLOEXEC);
    return event.pidfd;
}

struct sk_zygote_event skt_nest_died(struct skt_nest *nest, uint32_t serial)
{
    const struct sk_zygote_event event = skt_nest_event(nest);
    assert_int_equal(event.kind, SK_ZYGOTE_DIED);
    assert_int_equal(event.serial, serial);
    assert_true(event.pid > 0);
    assert_true(event.peak_bytes >= 4096);
    return event;
}

int skt_pidfd(pid_t pid)
{
    const int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    assert_true(fd >= 0);
    return fd;
}

double skt_await_death(int pidfd)
{
    const double start = skt_now();
    struct pollfd died = { .fd = pidfd, .events = POLLIN };
    assert_int_equal(poll(&died, 1, HANG_MS), 1);
    close(pidfd);
    return skt_now() - start;
}

bool skt_is_dead(int pidfd)
{
    struct pollfd died = { .fd = pidfd, .events = POLLIN };
    const bool is = poll(&died, 1, 0) == 1;
    close(pidfd);
    return is;
}

int skt_nr_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 1024; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

bool skt_has_child(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 || errno != ECHILD;
}
