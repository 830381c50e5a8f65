/* The child's output comes through two pipes. They are read to their ends before the child is
 * waited for, so that it never blocks on a full pipe. */
#define _GNU_SOURCE
#include "tests/support/child.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/harness.h"

#define HANG_SECONDS  20 /* three times as long where everything is slow */
#define MAX_VARIABLES 256

extern char **environ;

struct pipes {
    int out[2];
    int err[2];
};

static void open_pipes(struct pipes *p)
{
    if (pipe(p->out) != 0 || pipe(p->err) != 0) {
        perror("pipe");
        abort();
    }
}

static void become_child(const struct pipes *p)
{
    signal(SIGALRM, SIG_DFL);
    alarm(HANG_SECONDS * (skt_slow_factor() > 1 ? 3 : 1));
    dup2(p->out[1], STDOUT_FILENO);
    dup2(p->err[1], STDERR_FILENO);
    close(p->out[0]);
    close(p->out[1]);
    close(p->err[0]);
    close(p->err[1]);
}

/* Reads what there is. False at the end of the pipe. */
static bool read_some(int fd, char *text, size_t *length, size_t size)
{
    char spill[512];
    const size_t room = size - 1 - *length;
    const ssize_t n = read(fd, room > 0 ? text + *length : spill, room > 0 ? room : sizeof spill);
    if (n < 0)
        return errno == EINTR;
    if (room > 0)
        *length += (size_t)n;
    text[*length] = '\0';
    return n > 0;
}

static void read_both(const struct pipes *p, struct skt_output *o)
{
    struct pollfd fds[2] = { { .fd = p->out[0], .events = POLLIN },
                             { .fd = p->err[0], .events = POLLIN } };
    while (fds[0].fd >= 0 || fds[1].fd >= 0) {
        if (poll(fds, 2, -1) < 0)
            continue;
        if (fds[0].revents != 0 && !read_some(fds[0].fd, o->out, &o->out_length, sizeof o->out))
            fds[0].fd = -1;
        if (fds[1].revents != 0 && !read_some(fds[1].fd, o->err, &o->err_length, sizeof o->err))
            fds[1].fd = -1;
    }
}

static struct skt_output finish(pid_t child, const struct pipes *p, double start)
{
    struct skt_output o = { .status = -1 };
    close(p->out[1]);
    close(p->err[1]);
    read_both(p, &o);
    close(p->out[0]);
    close(p->err[0]);
    int status = 0;
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    o.seconds = skt_now() - start;
    if (WIFEXITED(status))
        o.status = WEXITSTATUS(status);
    if (WIFSIGNALED(status))
        o.signal = WTERMSIG(status);
    if (o.status != 0)
        fprintf(stderr, "child: status %d, signal %d (%s)\n%s", o.status, o.signal,
                o.signal != 0 ? strsignal(o.signal) : "none", o.err);
    return o;
}

static pid_t checked_fork(void)
{
    fflush(NULL);
    const pid_t child = fork();
    if (child < 0) {
        perror("fork");
        abort();
    }
    return child;
}

struct skt_output skt_fork(int (*fn)(void *arg), void *arg)
{
    struct pipes p;
    open_pipes(&p);
    const double start = skt_now();
    const pid_t child = checked_fork();
    if (child == 0) {
        become_child(&p);
        _exit(fn(arg));
    }
    return finish(child, &p, start);
}

static bool is_ours(const char *variable)
{
    return strncmp(variable, "SKUA_", 5) == 0 || strncmp(variable, "OMP_", 4) == 0 ||
           strncmp(variable, "GOMP_", 5) == 0 || strncmp(variable, "KMP_", 4) == 0;
}

static void run_on_one_cpu(void)
{
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &set))
            continue;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        break;
    }
    sched_setaffinity(0, sizeof set, &set);
}

struct skt_output skt_exec(const char *argument, const char *const variables[], int one_cpu)
{
    char program[] = "/proc/self/exe";
    char copy[128];
    snprintf(copy, sizeof copy, "%s", argument);
    char *const argv[] = { program, copy, NULL };
    char *env[MAX_VARIABLES] = { NULL };
    size_t n = 0;
    for (char **v = environ; *v != NULL && n < MAX_VARIABLES - 1; v++)
        if (!is_ours(*v))
            env[n++] = *v;
    for (const char *const *v = variables; *v != NULL && n < MAX_VARIABLES - 1; v++)
        env[n++] = (char *)(uintptr_t)*v; /* execve takes no const, and writes nothing */

    struct pipes p;
    open_pipes(&p);
    const double start = skt_now();
    const pid_t child = checked_fork();
    if (child == 0) {
        become_child(&p);
        if (one_cpu)
            run_on_one_cpu();
        execve(program, argv, env);
        _exit(127);
    }
    return finish(child, &p, start);
}

int skt_output_lines(const char *text)
{
    int n = 0;
    for (const char *c = text; *c != '\0'; c++)
        n += *c == '\n';
    return n;
}
