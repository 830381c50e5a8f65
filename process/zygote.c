#define _GNU_SOURCE
/* The problem. Workers are to be copies of the program as it was early on, cheap to make however
 * large it has grown since; the program's own SIGCHLD and waitpid() must not see them; and making
 * them must work while other threads run, which may hold malloc()'s locks or any other.
 *
 * The idea. The keeper (keeper.c) is cloned with no exit signal at all: the kernel then sends
 * nothing at its end, and only who asks with __WALL or __WCLONE waits for it. That needs the bare
 * system call, which copies locks as they are. The keeper's first act is a fork() of the zygote
 * (nursery.c), which waits for the locks that count; if one was held by a thread that is not there
 * any more, it waits for ever, and the owner hears nothing. It then looks whether the keeper sleeps
 * - where it only lacks a core it does not - kills it and tries anew at another moment.
 *
 * Beside two threads that do little but allocate, one try in ten succeeds. And OpenBLAS has fork
 * handlers that join its threads, which run from the start, and of which a bare copy has none. So
 * after some tries there is another way: a helper, cloned with no exit signal too, but as vfork()
 * does: it has this process's memory, files and thread descriptor, and a stack of its own, while
 * the calling thread sleeps. There fork() works as it would have here, locks, handlers and all. The
 * copy goes back to the calling thread's stack, which workers are to have (setcontext), and is the
 * keeper. The helper leaves, so that the keeper gets the parent that orphans get: init or a
 * subreaper. That one has to reap it, which is why this is the second way and not the first.
 *
 * Rejected: fork() by this process, whose child would be seen; exec() of a program of our own,
 * which is no copy; seccomp or ptrace to change the call that fork() makes, since workers inherit
 * the one and debuggers need the other; and clone3, which older containers refuse. */
#include "process/zygote.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "process/keeper.h"
#include "process/kin.h"
#include "process/post.h"

enum {
    STEP_MS = 4,          /* between looks at who says nothing */
    BLIND_STEPS = 10,     /* so many count as one where /proc tells nothing */
    FORK_STEPS = 2,       /* asleep so many times in a row: fork() hangs */
    PREPARE_STEPS = 50,   /* the same for what the zygote prepares, which may wait for disks */
    NR_HIDDEN = 3,        /* clone so many times at least, */
    HIDDEN_NS = 60000000, /* and for so long; then by the helper */
    NR_HELPED = 3,        /* if that hangs too, it is in what the zygote prepares */
    HELPER_STACK = 1 << 20,
    READY_SECONDS = 10, /* nothing takes so long */
    END_MS = 2500,      /* for the keeper to go; it gives its children 2 s */
    KILLED_MS = 1000,
    SOCKET_BYTES = 1 << 20 /* or what the system allows: some 500 records each way */
};

struct sk_zygote {
    int sock;
    int keeper_fd;       /* its pidfd */
    bool is_lost;        /* SK_ZYGOTE_LOST was told */
    bool is_patient;     /* the keeper was seen to work, so it ends when told to */
    uint32_t epoch;      /* zygotes that were replaced, as far as events were read */
    unsigned fork_count; /* of the process that owns it */
};

/* ---- the end --------------------------------------------------------------------------------- */

static bool wait_for_keeper(const struct sk_zygote *z, int timeout_ms)
{
    struct pollfd died = { .fd = z->keeper_fd, .events = POLLIN };
    const int64_t end = sk_now_ns() + (int64_t)timeout_ms * 1000000;
    int rc;
    do {
        int64_t left_ms = (end - sk_now_ns()) / 1000000;
        rc = poll(&died, 1, left_ms > 0 ? (int)left_ms : 0);
    } while (rc < 0 && errno == EINTR);
    return rc > 0;
}

/* By the socket's end, on which the keeper kills and reaps all and leaves; by force if it does
 * not. */
static void end_keeper(const struct sk_zygote *z)
{
    siginfo_t info;
    shutdown(z->sock, SHUT_RDWR);
    if (!z->is_patient || !wait_for_keeper(z, END_MS)) {
        syscall(SYS_pidfd_send_signal, z->keeper_fd, SIGKILL, NULL, 0);
        wait_for_keeper(z, KILLED_MS);
    }
    /* If a helper made it, it is somebody else's to reap, unless this process adopts orphans. */
    waitid(P_PIDFD, (id_t)z->keeper_fd, &info, WEXITED | WNOHANG | __WALL);
}

static void close_fds(struct sk_zygote *z)
{
    if (z->sock >= 0)
        close(z->sock);
    if (z->keeper_fd >= 0)
        close(z->keeper_fd);
    z->sock = z->keeper_fd = -1;
}

void sk_zygote_close(struct sk_zygote *zygote)
{
    if (zygote == NULL)
        return;
    if (zygote->fork_count == sk_thread_fork_count())
        end_keeper(zygote);
    close_fds(zygote);
    sk_free(zygote);
}

/* ---- the beginning --------------------------------------------------------------------------- */

/* What a keeper is made of; all but the first end are closed here once there is one. */
struct birth {
    const struct sk_zygote_config *config;
    int ends[2]; /* the owner's, the keeper's */
    int owner_fd;
};

static _Noreturn void become_keeper(const struct birth *birth)
{
    close(birth->ends[0]);
    sk_keeper_run(birth->config, birth->ends[1], birth->owner_fd);
}

/* A way to make a keeper, with all signals blocked: its pid or a negative errno value. */
typedef pid_t way(struct sk_zygote *z, const struct birth *birth);

static pid_t clone_hidden(struct sk_zygote *z, const struct birth *birth)
{
    long pid = syscall(SYS_clone, CLONE_PIDFD, NULL, &z->keeper_fd, NULL, NULL);
    if (pid == 0)
        become_keeper(birth);
    return pid < 0 ? -errno : (pid_t)pid;
}

struct helper {
    ucontext_t back; /* the calling thread, before it slept */
    volatile bool is_copy;
    pid_t keeper;
    int keeper_fd;
    int error;
};

/* In the helper; the copy that fork() makes goes from here back to the calling thread's stack. */
static int help(void *arg)
{
    struct helper *helper = arg;
    helper->keeper = fork();
    if (helper->keeper == 0) {
        helper->is_copy = true;
        setcontext(&helper->back);
        _exit(1);
    }
    /* Among this process's descriptors, which the helper shares. */
    if (helper->keeper > 0)
        helper->keeper_fd = (int)syscall(SYS_pidfd_open, helper->keeper, 0);
    if (helper->keeper_fd < 0)
        helper->error = -errno;
    return 0;
}

static pid_t fork_by_helper(struct sk_zygote *z, const struct birth *birth)
{
    struct helper helper = { .keeper = -1, .keeper_fd = -1 };
    siginfo_t info;
    char *stack = sk_pages_alloc(HELPER_STACK);
    if (stack == NULL)
        return -ENOMEM;
    getcontext(&helper.back);
    if (helper.is_copy) {
        sk_pages_free(stack, HELPER_STACK);
        become_keeper(birth);
    }
    pid_t pid = clone(help, stack + HELPER_STACK, CLONE_VM | CLONE_VFORK | CLONE_FILES, &helper);
    int error = pid < 0 ? -errno : helper.error;
    while (pid > 0 && waitid(P_PID, (id_t)pid, &info, WEXITED | __WALL) != 0 && errno == EINTR)
        continue;
    sk_pages_free(stack, HELPER_STACK);
    z->keeper_fd = helper.keeper_fd;
    return error < 0 ? error : helper.keeper;
}

/* What an attempt waits for. */
struct wait {
    pid_t pid;  /* who is at work, keeper or zygote */
    int asleep; /* looks in a row at which it slept, times BLIND_STEPS */
    int limit;  /* that many looks are too many */
    bool is_ready;
};

/* 0 or why the attempt has failed. */
static int take_news(struct sk_zygote *z, struct wait *wait, const struct sk_post_news *news)
{
    if (news->kind == SK_POST_FAILED)
        return news->error < 0 ? news->error : -EAGAIN;
    if (news->kind == SK_POST_FORKED) {
        *wait = (struct wait){ .pid = news->pid, .limit = PREPARE_STEPS };
        z->is_patient = true;
    }
    if (news->kind == SK_POST_READY) /* may overtake the other */
        wait->is_ready = z->is_patient = true;
    return 0;
}

static bool is_stuck(struct wait *wait)
{
    char state;
    pid_t parent;
    if (!sk_kin_look(wait->pid, &state, &parent))
        wait->asleep += 1;
    else
        wait->asleep = state == 'S' ? wait->asleep + BLIND_STEPS : 0;
    return wait->asleep >= wait->limit * BLIND_STEPS;
}

/* 0 once the zygote is at work; -EBUSY if that will not be. */
static int await_ready(struct sk_zygote *z, pid_t keeper)
{
    struct wait wait = { .pid = keeper, .limit = FORK_STEPS };
    const int64_t end = sk_now_ns() + READY_SECONDS * (int64_t)1000000000;
    while (!wait.is_ready) {
        struct pollfd heard = { .fd = z->sock, .events = POLLIN };
        int rc = poll(&heard, 1, STEP_MS);
        if ((rc == 0 && is_stuck(&wait)) || sk_now_ns() > end)
            return -EBUSY;
        if (rc <= 0)
            continue;
        struct sk_post_news news;
        int fd, got = sk_post_receive(z->sock, &news, sizeof news, &fd, MSG_DONTWAIT);
        if (got == 0)
            return -EAGAIN; /* somebody has killed it */
        if (fd >= 0)
            close(fd);
        int error = got == 1 ? take_news(z, &wait, &news) : 0;
        if (error != 0)
            return error;
    }
    return 0;
}

static int open_birth(struct birth *birth)
{
    const int size = SOCKET_BYTES;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, birth->ends) != 0)
        return -errno;
    for (int i = 0; i < 2; i++)
        setsockopt(birth->ends[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    birth->owner_fd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (birth->owner_fd >= 0)
        return 0;
    int error = -errno;
    close(birth->ends[0]);
    close(birth->ends[1]);
    return error;
}

/* Nothing is left of an attempt that fails. */
static int attempt(struct sk_zygote *z, const struct sk_zygote_config *config, way *make)
{
    struct birth birth = { .config = config };
    int error = open_birth(&birth);
    if (error != 0)
        return error;
    *z = (struct sk_zygote){ .sock = birth.ends[0],
                             .keeper_fd = -1,
                             .fork_count = sk_thread_fork_count() };
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const pid_t pid = make(z, &birth);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(birth.ends[1]);
    close(birth.owner_fd);
    error = pid < 0 ? pid : await_ready(z, pid);
    if (error != 0) {
        if (z->keeper_fd >= 0)
            end_keeper(z);
        close_fds(z);
    }
    return error;
}

/* So that the next attempt meets the other threads elsewhere. */
static void pause_a_little(void)
{
    struct timespec moment = { .tv_nsec = 100000 + sk_now_ns() % 1900000 };
    nanosleep(&moment, NULL);
}

static int start(struct sk_zygote *z, const struct sk_zygote_config *config)
{
    const int64_t end = sk_now_ns() + HIDDEN_NS;
    int error;
    for (int i = 0; i < NR_HIDDEN || sk_now_ns() < end; i++) {
        error = attempt(z, config, clone_hidden);
        if (error != -EBUSY)
            return error;
        pause_a_little();
    }
    for (int i = 0; i < NR_HELPED; i++) {
        error = attempt(z, config, fork_by_helper);
        if (error != -EBUSY)
            return error;
        pause_a_little();
    }
    return -EBUSY;
}

int sk_zygote_start(struct sk_zygote **out, const struct sk_zygote_config *config)
{
    *out = NULL;
    struct sk_zygote *z = sk_calloc(1, sizeof *z);
    if (z == NULL)
        return -ENOMEM;
    int cancel;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel);
    int error = start(z, config);
    pthread_setcancelstate(cancel, NULL);
    if (error != 0) {
        sk_free(z);
        return error;
    }
    *out = z;
    return 0;
}

/* ---- at work --------------------------------------------------------------------------------- */

static int request(const struct sk_zygote *z, enum sk_post_request what,
                   const struct sk_zygote_order *order, int fd)
{
    struct sk_post_order record = { .request = what, .epoch = z->epoch, .order = *order };
    for (;;) {
        int error = sk_post_send(z->sock, &record, sizeof record, fd, MSG_DONTWAIT);
        if (error != -EAGAIN)
            return error;
        struct pollfd room = { .fd = z->sock, .events = POLLIN | POLLOUT };
        int rc = poll(&room, 1, -1);
        if (rc > 0 && (room.revents & POLLIN) != 0 && (room.revents & POLLOUT) == 0)
            return -EAGAIN;
    }
}

int sk_zygote_spawn(struct sk_zygote *zygote, const struct sk_zygote_order *order, int channel_fd)
{
    return zygote->is_lost ? -EPIPE : request(zygote, SK_POST_SPAWN, order, channel_fd);
}

int sk_zygote_fd(const struct sk_zygote *zygote)
{
    return zygote->sock;
}

static void take_spawned(const struct sk_zygote *z, struct sk_zygote_event *event, int fd)
{
    event->kind = SK_ZYGOTE_SPAWNED;
    event->pidfd = fd;
    if (fd >= 0)
        return;
    /* This process has no number free for it, so it could not be ended in time: it must go. */
    const struct sk_zygote_order order = { .serial = event->serial };
    request(z, SK_POST_KILL, &order, -1);
    event->kind = SK_ZYGOTE_NOT_SPAWNED;
    event->error = -EMFILE;
}

/* False if it makes no sense. */
static bool take(struct sk_zygote *z, const struct sk_post_news *news, int fd,
                 struct sk_zygote_event *event)
{
    *event = (struct sk_zygote_event){ .serial = news->serial, .pidfd = -1 };
    event->pid = news->pid;
    if (news->kind == SK_POST_SPAWNED) {
        take_spawned(z, event, fd);
        return true;
    }
    if (fd >= 0)
        close(fd);
    switch (news->kind) {
    case SK_POST_NOT_SPAWNED:
        event->kind = SK_ZYGOTE_NOT_SPAWNED;
        event->error = news->error;
        return news->error < 0;
    case SK_POST_DIED:
        event->kind = SK_ZYGOTE_DIED;
        event->code = news->code;
        event->status = news->status;
        event->peak_bytes = news->peak_bytes;
        return news->code == CLD_EXITED || news->code == CLD_KILLED || news->code == CLD_DUMPED;
    case SK_POST_REPLACED:
        event->kind = SK_ZYGOTE_REPLACED;
        z->epoch++;
        return true;
    default:
        return false;
    }
}

bool sk_zygote_next(struct sk_zygote *zygote, struct sk_zygote_event *event)
{
    struct sk_post_news news;
    int fd;
    while (!zygote->is_lost) {
        int got = sk_post_receive(zygote->sock, &news, sizeof news, &fd, MSG_DONTWAIT);
        if (got == 0) {
            zygote->is_lost = true;
            *event = (struct sk_zygote_event){ .kind = SK_ZYGOTE_LOST, .pidfd = -1 };
            return true;
        }
        if (got < 0 && got != -EBADMSG)
            return false;
        if (got == 1 && take(zygote, &news, fd, event))
            return true;
    }
    return false;
}
