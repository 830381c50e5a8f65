/* Python's pool takes part in the same run, round by round, since figures of a shared machine
 * cannot be compared with those of another hour. It lives in a child for as long as the benchmark,
 * asleep on its pipes while others are measured, as a program's pool would be.
 *
 * The end of its input ends it, in good order: killed, it would leave its own workers behind. It
 * has a process group of its own, so that they can be found where that does not help. */
#include "bench/process/python.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/kernels/kernel.h"

static const char script[] = BENCH_SOURCE_DIR "/bench/process/python_pool.py";
static const double PATIENCE = 30; /* seconds for an answer that takes two */

void bench_python_close(struct bench_python *python)
{
    if (python->pid == 0)
        return;
    close(python->to);
    const double until = bench_now() + PATIENCE;
    while (waitpid(python->pid, NULL, WNOHANG) == 0) {
        const struct timespec pause = { 0, 1000000 };
        nanosleep(&pause, NULL);
        if (bench_now() > until)
            kill(-python->pid, SIGKILL);
    }
    close(python->from);
    python->pid = 0;
}

/* Returns false, for its callers to return. */
static bool give_up(struct bench_python *python, const char *why)
{
    snprintf(python->why, sizeof python->why, "%s", why);
    bench_python_close(python);
    return false;
}

/* A line, without its end. */
static bool read_line(struct bench_python *python, char *line, size_t size)
{
    const double until = bench_now() + PATIENCE;
    for (size_t used = 0; used + 1 < size;) {
        struct pollfd p = { .fd = python->from, .events = POLLIN };
        const double left = until - bench_now();
        if (left <= 0 || poll(&p, 1, (int)(1e3 * left) + 1) == 0)
            return give_up(python, "python3 did not answer in time");
        const ssize_t n = read(python->from, line + used, 1);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return give_up(python, "python3 ended: its last words are above");
        if (line[used] == '\n') {
            line[used] = '\0';
            return true;
        }
        used++;
    }
    return give_up(python, "python3 said more than was asked for");
}

static int spawn(struct bench_python *python, int workers)
{
    extern char **environ;
    int in[2], out[2];
    char number[16], program[] = "python3", path[sizeof script];
    snprintf(number, sizeof number, "%d", workers);
    memcpy(path, script, sizeof script);
    char *argv[] = { program, path, number, NULL };
    if (pipe2(in, O_CLOEXEC) != 0)
        return errno;
    if (pipe2(out, O_CLOEXEC) != 0) {
        close(in[0]);
        close(in[1]);
        return EMFILE;
    }
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t group;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawnattr_init(&group);
    posix_spawnattr_setflags(&group, POSIX_SPAWN_SETPGROUP);
    const int rc = posix_spawnp(&python->pid, program, &actions, &group, argv, environ);
    posix_spawnattr_destroy(&group);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    python->to = in[1];
    python->from = out[0];
    if (rc != 0) {
        python->pid = 0;
        close(in[1]);
        close(out[0]);
    }
    return rc;
}

void bench_python_open(struct bench_python *python, int workers)
{
    *python = (struct bench_python){ 0 };
    signal(SIGPIPE, SIG_IGN);
    const int rc = spawn(python, workers);
    if (rc == ENOENT) {
        snprintf(python->why, sizeof python->why, "there is no python3 (Debian: python3)");
        return;
    }
    if (rc != 0) {
        snprintf(python->why, sizeof python->why, "python3 cannot be started: %s", strerror(rc));
        return;
    }
    char line[64];
    if (!read_line(python, line, sizeof line))
        return;
    if (sscanf(line, "ready %31s", python->version) != 1)
        give_up(python, "python3 did not get ready");
}

bool bench_python_ask(struct bench_python *python, double answer[2], const char *format, ...)
{
    char line[128];
    va_list args;
    if (python->pid == 0)
        return false;
    va_start(args, format);
    const int length = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    line[length] = '\n';
    if (write(python->to, line, (size_t)length + 1) != length + 1)
        return give_up(python, "python3 does not listen");
    answer[0] = answer[1] = 0;
    if (!read_line(python, line, sizeof line))
        return false;
    if (sscanf(line, "%lf %lf", &answer[0], &answer[1]) < 1)
        return give_up(python, "python3 gave no number");
    return true;
}
