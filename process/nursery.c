#define _GNU_SOURCE
/* The zygote's problem: a worker must be there within 0.3 ms of being asked for, be a copy of the
 * program as it was, and never be the owner's own child.
 *
 * The idea. A process with one thread and little memory of its own forks them, on orders that come
 * over the socket. The kernel ties PDEATHSIG to the thread that has forked, so with one thread it
 * means what it says: workers die with their zygote. Between a death and the replacement's order
 * nothing is done but to reap, to say so and to raise the bell; orphans are the keeper's business.
 *
 * Each worker is a subreaper too. Otherwise a daemon that a task starts would be the keeper's child
 * at once, and be killed while its task still runs.
 *
 * If the keeper is killed its zygote takes over, for the rest of its short life: it becomes the
 * subreaper, so that it inherits from the workers that it kills, and goes when none is left. The
 * owner sees the end of the socket after that. PDEATHSIG tells it, as SIGCHLD, which it waits for
 * anyhow; until the zygote has come so far, SIGKILL. If both are killed at once, what the tasks
 * have started is not found.
 *
 * Orders carry the sender's count of zygotes, and those meant for one before are dropped: so the
 * owner, once it has read that a zygote was replaced, knows which workers there are, namely none.
 *
 * News are sent blocking: if the owner does not read them the zygote reads no orders, and the owner
 * gets -EAGAIN in the end. */
#include "process/keeper.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "process/kin.h"
#include "process/post.h"

enum {
    MAX_WORKERS = 8192,
    END_NS = 2000000000
};

struct worker {
    pid_t pid;
    uint32_t serial;
};

struct zygote {
    struct sk_nursery n;
    pid_t self;
    bool deaf;              /* the owner's end is closed, and the keeper about to act */
    int nr_workers;         /* of workers[] */
    struct worker *workers; /* those that live and are to be told about; in no order */
};

static void reset_signals(void)
{
    struct sigaction action = { .sa_handler = SIG_DFL };
    for (int signo = 1; signo <= SIGRTMAX; signo++) {
        struct sigaction old;
        /* glibc keeps two numbers to itself, and refuses. */
        if (sigaction(signo, NULL, &old) == 0 && old.sa_handler != SIG_DFL &&
            old.sa_handler != SIG_IGN)
            sigaction(signo, &action, NULL);
    }
    action.sa_handler = SIG_IGN;
    sigaction(SIGINT, &action, NULL);
}

enum {
    SK_NURSERY_NO_RIGHTS = 123 /* a worker's exit status */
};

static _Noreturn void become_worker(const struct zygote *z, const struct sk_zygote_order *order,
                                    int channel)
{
    /* Without these it would outlive the program, or what it starts would: then it is not to be. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        _exit(SK_NURSERY_NO_RIGHTS);
    if (getppid() != z->self)
        _exit(0); /* it died before that */
    prctl(PR_SET_NAME, "skua-worker");
    close(z->n.sock);
    close(z->n.bell);
    close(z->n.signal_fd);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL); /* as in any first thread */
    z->n.config->work(z->n.config->ctx, order, channel);
    _exit(125);
}

static int tell(const struct zygote *z, const struct sk_post_news *news, int fd)
{
    return sk_post_send(z->n.sock, news, sizeof *news, fd, 0);
}

/* Forks, and tells of the worker. On failure nothing is told and there is none. */
static int spawn(struct zygote *z, const struct sk_zygote_order *order, int channel)
{
    if (channel < 0)
        return -EMFILE; /* there was no number free for it here */
    if (z->nr_workers == MAX_WORKERS)
        return -EAGAIN;
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        become_worker(z, order, channel);
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0), error = pidfd < 0 ? -errno : 0;
    struct sk_post_news news = { .kind = SK_POST_SPAWNED, .serial = order->serial, .pid = pid };
    if (error == 0) {
        error = tell(z, &news, pidfd);
        close(pidfd);
    }
    if (error == 0)
        z->workers[z->nr_workers++] = (struct worker){ .pid = pid, .serial = order->serial };
    else
        kill(pid, SIGKILL); /* and reaped as one that nobody knows */
    return error;
}

static void forget(struct zygote *z, int i)
{
    z->workers[i] = z->workers[--z->nr_workers];
}

static void kill_worker(struct zygote *z, uint32_t serial)
{
    for (int i = 0; i < z->nr_workers; i++)
        if (z->workers[i].serial == serial) {
            kill(z->workers[i].pid, SIGKILL);
            forget(z, i);
            return;
        }
}

static void serve(struct zygote *z)
{
    struct sk_post_order order;
    int channel;
    int got = sk_post_receive(z->n.sock, &order, sizeof order, &channel, MSG_DONTWAIT);
    z->deaf = got == 0;
    if (got != 1)
        return;
    if (order.epoch == z->n.epoch && order.request == SK_POST_SPAWN) {
        int error = spawn(z, &order.order, channel);
        struct sk_post_news news = { .kind = SK_POST_NOT_SPAWNED,
                                     .serial = order.order.serial,
                                     .error = error };
        if (error != 0)
            tell(z, &news, -1);
    } else if (order.epoch == z->n.epoch && order.request == SK_POST_KILL) {
        kill_worker(z, order.order.serial);
    }
    if (channel >= 0)
        close(channel);
}

static void tell_death(struct zygote *z, const siginfo_t *info, const struct rusage *usage)
{
    int i = 0;
    while (i < z->nr_workers && z->workers[i].pid != info->si_pid)
        i++;
    if (i == z->nr_workers)
        return;
    struct sk_post_news news = { .kind = SK_POST_DIED,
                                 .serial = z->workers[i].serial,
                                 .pid = info->si_pid,
                                 .code = info->si_code,
                                 .status = info->si_status,
                                 .peak_bytes = (uint64_t)usage->ru_maxrss * 1024 };
    forget(z, i);
    tell(z, &news, -1);
}

static void collect(struct zygote *z)
{
    struct signalfd_siginfo ignored;
    bool any = false;
    while (read(z->n.signal_fd, &ignored, sizeof ignored) > 0)
        continue;
    for (;;) {
        siginfo_t info = { .si_pid = 0 };
        struct rusage usage;
        /* The system call has a fifth argument that the library's function has not. */
        if (syscall(SYS_waitid, P_ALL, 0, &info, WEXITED | WNOHANG, &usage) != 0 ||
            info.si_pid == 0)
            break;
        tell_death(z, &info, &usage);
        any = true;
    }
    uint64_t one = 1;
    if (any && write(z->n.bell, &one, sizeof one) < 0)
        _exit(1); /* not possible: only we raise it, and not 2^64 times */
}

/* The keeper is dead: ends the workers, and inherits what they leave. */
static _Noreturn void end(const struct zygote *z)
{
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    for (int i = 0; i < z->nr_workers; i++)
        kill(z->workers[i].pid, SIGKILL);
    sk_kin_end(z->n.signal_fd, END_NS);
    _exit(1);
}

static void begin(struct zygote *z)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != z->n.keeper)
        _exit(1);
    prctl(PR_SET_NAME, "skua-zygote");
    reset_signals();
    z->workers = sk_pages_alloc(MAX_WORKERS * sizeof *z->workers);
    if (z->workers == NULL)
        _exit(1);
    z->n.config->prepare(z->n.config->ctx);
    prctl(PR_SET_PDEATHSIG, SIGCHLD); /* pending, should the keeper die before the next line */
    if (getppid() != z->n.keeper)
        _exit(1);
    struct sk_post_news news = { .kind = z->n.epoch == 0 ? SK_POST_READY : SK_POST_REPLACED };
    uint64_t one = 1;
    if (tell(z, &news, -1) != 0 || write(z->n.bell, &one, sizeof one) < 0)
        _exit(1);
}

_Noreturn void sk_nursery_run(const struct sk_nursery *nursery)
{
    enum {
        SOCK,
        SIGNALS,
        NR_FDS
    };
    struct zygote z = { .n = *nursery, .self = getpid() };
    begin(&z);
    for (;;) {
        struct pollfd fds[NR_FDS] = {
            [SOCK] = { .fd = z.deaf ? -1 : z.n.sock, .events = POLLIN },
            [SIGNALS] = { .fd = z.n.signal_fd, .events = POLLIN },
        };
        if (poll(fds, NR_FDS, -1) < 0)
            continue;
        if (fds[SIGNALS].revents != 0) {
            collect(&z);
            if (getppid() != z.n.keeper)
                end(&z);
        }
        if (fds[SOCK].revents != 0)
            serve(&z);
    }
}
