#define _GNU_SOURCE
/* A task may start processes and leave them behind. When their parent dies, the kernel hands them
 * to the nearest ancestor that is a subreaper, and that one wants to know which they are: there is
 * no call that lists a process's children. Some kernels have a file for it,
 * /proc/thread-self/children; where it is missing (CONFIG_PROC_CHILDREN) all processes are looked
 * at for their parent's number, some 4 us each.
 *
 * Nobody else may be hit, though /proc may show another pid namespace than ours and numbers are
 * used again. So each candidate is asked for by waitid() with WNOWAIT first, which knows our own
 * children only; and a child's number stays its own until we reap it.
 *
 * The keeper, which has no sure malloc(), is one of the callers: hence getdents64() into a buffer
 * and no opendir(). Rejected: a process group for each worker, by which to kill, since a task's
 * child can leave it (setsid), and job control of the terminal would not reach it; a cgroup, which
 * is delegated on few machines; asking waitid() for each number there may be, which takes 0.6 s
 * where pid_max is 4 million. */
#include "process/kin.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/time.h"

enum {
    LOOK_AGAIN_MS = 10, /* a child may have been adopted meanwhile, or be slow to die */
    LIST_BYTES = 8192
};

/* As getdents64() fills it in. */
struct entry {
    uint64_t inode;
    int64_t offset;
    unsigned short length; /* of this entry */
    unsigned char type;
    char name[];
};

bool sk_kin_look(pid_t pid, char *state, pid_t *parent)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t length = read(fd, text, sizeof text - 1);
    close(fd);
    if (length <= 0)
        return false;
    text[length] = '\0';
    /* "71 (name) S 70 ...", where the name may have anything in it */
    const char *behind = strrchr(text, ')');
    if (behind == NULL || strlen(behind) < 4)
        return false;
    *state = behind[2];
    *parent = (pid_t)strtol(behind + 3, NULL, 10);
    return true;
}

static bool is_child(pid_t pid)
{
    siginfo_t info;
    return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0;
}

static int kill_one(pid_t pid, pid_t spared)
{
    if (pid <= 0 || pid == spared || !is_child(pid))
        return 0;
    kill(pid, SIGKILL);
    return 1;
}

/* By the list of children, "71 72 ", which may end amid a number at a buffer's end. */
static int kill_listed(int fd, pid_t spared)
{
    char text[LIST_BYTES];
    pid_t pid = 0;
    int n = 0;
    for (ssize_t length; (length = read(fd, text, sizeof text)) > 0;)
        for (ssize_t i = 0; i < length; i++) {
            if (text[i] >= '0' && text[i] <= '9') {
                pid = pid * 10 + (text[i] - '0');
                continue;
            }
            n += kill_one(pid, spared);
            pid = 0;
        }
    return n;
}

/* By looking at all processes. */
static int kill_searched(int proc, pid_t spared)
{
    _Alignas(struct entry) char entries[LIST_BYTES];
    const pid_t self = getpid();
    int n = 0;
    for (long length; (length = syscall(SYS_getdents64, proc, entries, sizeof entries)) > 0;)
        for (long at = 0; at < length;) {
            const struct entry *entry = (const struct entry *)(const void *)(entries + at);
            at += entry->length;
            if (entry->name[0] < '1' || entry->name[0] > '9')
                continue;
            pid_t pid = (pid_t)strtol(entry->name, NULL, 10), parent;
            char state;
            if (sk_kin_look(pid, &state, &parent) && parent == self)
                n += kill_one(pid, spared);
        }
    return n;
}

int sk_kin_kill(pid_t spared)
{
    int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC), n = 0;
    if (fd >= 0) {
        n = kill_listed(fd, spared);
    } else {
        fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
            return 0;
        n = kill_searched(fd, spared);
    }
    close(fd);
    return n;
}

/* False once there is no child. */
static bool reap(void)
{
    for (;;) {
        siginfo_t info = { .si_pid = 0 };
        if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WALL) != 0)
            return errno == EINTR;
        if (info.si_pid == 0)
            return true;
    }
}

bool sk_kin_end(int signal_fd, int64_t limit_ns)
{
    const int64_t end = sk_now_ns() + limit_ns;
    struct pollfd died = { .fd = signal_fd, .events = POLLIN };
    struct signalfd_siginfo info;
    while (reap()) {
        if (sk_now_ns() > end)
            return false;
        sk_kin_kill(0);
        if (poll(&died, 1, LOOK_AGAIN_MS) > 0)
            while (read(signal_fd, &info, sizeof info) > 0)
                continue;
    }
    return true;
}
