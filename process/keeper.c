#define _GNU_SOURCE
/* The keeper's problem: processes that tasks have started must not outlive their worker, a zygote
 * that somebody kills must not be the end of the pool, and nothing at all may outlive the owner,
 * whatever ends that one: exit(), exec(), a signal that cannot be caught.
 *
 * The idea. A process that does nothing but wait, so that little can happen to it. It is a
 * subreaper: what a dead worker or a dead zygote leaves behind becomes its child, and the zygote is
 * its only child else; so it may kill whatever it finds. It waits for four things:
 *   - the owner's pidfd: the owner is dead. Unlike PDEATHSIG that has nothing to do with the thread
 *     that made the pool.
 *   - the end of the socket, which exec() closes, and sk_zygote_close() shuts down. Children that
 *     the owner has forked have copies of its end: if such a child lives on, an exec() is not seen.
 *   - SIGCHLD by a signalfd: a child is to be reaped; if it is the zygote, all that is left is
 *     ended and a new one forked. That is as pristine as the first, since the keeper has not
 *     changed.
 *   - the bell, an eventfd that the zygote raises once it is at work, and after deaths of workers:
 *     there may be orphans.
 *
 * Looking for orphans may cost a millisecond, or ten on a machine with many processes (kin.c). It
 * is done here and not by the zygote, and some moments after the death, since a replacement is
 * being forked just then; and never for more than a fifth of the keeper's time, however many
 * workers crash. So a crash storm costs the recovery nothing.
 *
 * The keeper is a raw copy of a process whose other threads may have held any lock, malloc()'s
 * among them. Up to its fork() it calls nothing that takes one. fork() itself takes those that
 * matter, and if one of them was held it never returns: the owner sees that nothing is said and
 * kills the keeper. If it returns, the child's memory is as consistent as after any fork().
 *
 * Signals: all are blocked for ever; SIGKILL alone ends keeper and zygote. */
#include "process/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"
#include "process/kin.h"
#include "process/post.h"

enum {
    LOOK_AFTER_NS = 5000000, /* a replacement takes 0.3 ms, but may wait for a core */
    LOOK_SHARE = 4,          /* rest so many times as long as the last look took */
    REPLACE_NS = 1000000000, /* for what a zygote has left behind to die */
    END_NS = 2000000000
};

struct keeper {
    struct sk_nursery nursery; /* what a zygote gets */
    int owner_pidfd;
    pid_t zygote;          /* 0: none */
    bool ready;            /* this zygote has raised the bell */
    int64_t look_at_ns;    /* when to look for orphans; 0: no need */
    int64_t look_takes_ns; /* the last time */
};

static void tell(const struct keeper *k, enum sk_post_kind kind, pid_t pid, int error)
{
    struct sk_post_news news = { .kind = kind, .pid = pid, .error = error };
    sk_post_send(k->nursery.sock, &news, sizeof news, -1, 0);
}

static int open_fds(struct sk_nursery *nursery)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    nursery->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (nursery->signal_fd < 0)
        return -errno;
    nursery->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return nursery->bell < 0 ? -errno : 0;
}

static int breed(struct keeper *k)
{
    k->ready = false;
    k->zygote = fork();
    if (k->zygote == 0) {
        close(k->owner_pidfd);
        sk_nursery_run(&k->nursery);
    }
    if (k->zygote > 0)
        return 0;
    k->zygote = 0;
    return -errno;
}

static _Noreturn void end(const struct keeper *k)
{
    if (k->zygote > 0)
        kill(k->zygote, SIGKILL);
    sk_kin_end(k->nursery.signal_fd, END_NS);
    _exit(0);
}

/* Orphans may be there: looks soon, but not too often. */
static void look_soon(struct keeper *k)
{
    int64_t rest = LOOK_SHARE * k->look_takes_ns;
    if (k->look_at_ns == 0)
        k->look_at_ns = sk_now_ns() + (rest > LOOK_AFTER_NS ? rest : LOOK_AFTER_NS);
}

static void look(struct keeper *k)
{
    int64_t began = sk_now_ns();
    k->look_at_ns = 0;
    sk_kin_kill(k->zygote);
    k->look_takes_ns = sk_now_ns() - began;
}

static void hear_bell(struct keeper *k)
{
    uint64_t count;
    if (read(k->nursery.bell, &count, sizeof count) != (ssize_t)sizeof count)
        return;
    if (k->ready || count > 1) /* the first time it tells of no death */
        look_soon(k);
    k->ready = true;
}

static void reap(struct keeper *k)
{
    struct signalfd_siginfo ignored;
    while (read(k->nursery.signal_fd, &ignored, sizeof ignored) > 0)
        continue;
    for (;;) {
        siginfo_t info = { .si_pid = 0 };
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) != 0 || info.si_pid == 0)
            return;
        if (info.si_pid == k->zygote)
            k->zygote = 0;
        else
            look_soon(k); /* its children may be ours */
    }
}

/* The zygote is dead. If it never got to work another one would not either. */
static void replace(struct keeper *k)
{
    uint64_t count;
    if (!k->ready) {
        if (k->nursery.epoch == 0)
            tell(k, SK_POST_FAILED, 0, -ECHILD);
        end(k);
    }
    sk_kin_end(k->nursery.signal_fd, REPLACE_NS);
    while (read(k->nursery.bell, &count, sizeof count) > 0)
        continue;
    k->nursery.epoch++;
    if (breed(k) != 0)
        end(k);
}

static int timeout_ms(const struct keeper *k)
{
    if (k->look_at_ns == 0)
        return -1;
    int64_t left = k->look_at_ns - sk_now_ns();
    return left <= 0 ? 0 : (int)(left / 1000000) + 1;
}

static void watch(struct keeper *k)
{
    enum {
        OWNER,
        SOCK,
        SIGNALS,
        BELL,
        NR_FDS
    };
    struct pollfd fds[NR_FDS] = {
        [OWNER] = { .fd = k->owner_pidfd, .events = POLLIN },
        [SOCK] = { .fd = k->nursery.sock }, /* its end alone, which is always told */
        [SIGNALS] = { .fd = k->nursery.signal_fd, .events = POLLIN },
        [BELL] = { .fd = k->nursery.bell, .events = POLLIN },
    };
    if (poll(fds, NR_FDS, timeout_ms(k)) < 0)
        return;
    if (fds[OWNER].revents != 0 || (fds[SOCK].revents & (POLLHUP | POLLNVAL)) != 0)
        end(k);
    if (fds[BELL].revents != 0) /* before a death of the zygote is seen: it may have been ready */
        hear_bell(k);
    if (fds[SIGNALS].revents != 0)
        reap(k);
    if (k->zygote == 0)
        replace(k);
    if (k->look_at_ns != 0 && sk_now_ns() >= k->look_at_ns)
        look(k);
}

_Noreturn void sk_keeper_run(const struct sk_zygote_config *config, int sock, int owner_pidfd)
{
    struct keeper k = { .nursery = { .config = config, .keeper = getpid(), .sock = sock },
                        .owner_pidfd = owner_pidfd };
    /* Ignored, it would let children vanish without a word. */
    struct sigaction standard = { .sa_handler = SIG_DFL, .sa_flags = SA_NOCLDSTOP };
    sigaction(SIGCHLD, &standard, NULL);
    prctl(PR_SET_NAME, "skua-keeper");
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    /* What the program has written and not flushed is the program's to write. */
    __fpurge(stdout);
    __fpurge(stderr);
    int error = open_fds(&k.nursery);
    if (error == 0)
        error = breed(&k);
    if (error != 0) {
        tell(&k, SK_POST_FAILED, 0, error);
        _exit(1);
    }
    tell(&k, SK_POST_FORKED, k.zygote, 0);
    for (;;)
        watch(&k);
}
