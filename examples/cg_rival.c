/* Runs the other solver as a process of its own, with a pipe for its standard output. That both are
 * not one program is the point: two runtimes in one process would disturb each other, by threads
 * that spin while the other is measured. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "cg_rival.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

bool rival_find(const char *name, char *path, size_t path_size)
{
    const ssize_t length = readlink("/proc/self/exe", path, path_size);
    if (length <= 0 || (size_t)length >= path_size)
        return false;
    path[length] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL)
        return false;
    const size_t used = (size_t)(slash + 1 - path);
    if (strlen(name) >= path_size - used)
        return false;
    memcpy(slash + 1, name, strlen(name) + 1);
    return access(path, X_OK) == 0;
}

/* Starts argv[0] with its standard output into a pipe, whose other end is given back, or -1. */
static int start(char *const argv[], pid_t *pid)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    posix_spawn_file_actions_t actions;
    int rc = posix_spawn_file_actions_init(&actions);
    if (rc == 0) {
        rc = posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
        if (rc == 0)
            rc = posix_spawn(pid, argv[0], &actions, NULL, argv, environ);
        (void)posix_spawn_file_actions_destroy(&actions);
    }
    (void)close(ends[1]);
    if (rc == 0)
        return ends[0];
    (void)close(ends[0]);
    errno = rc;
    return -1;
}

/* Reads the stream to its end, so that the writer is not killed by a closed pipe. */
static void read_result(FILE *in, struct rival_result *result)
{
    char line[256];
    *result = (struct rival_result){ .seconds = -1, .iterations = -1 };
    while (fgets(line, sizeof line, in) != NULL) {
        if (strncmp(line, "time ", 5) == 0)
            result->seconds = strtod(line + 5, NULL);
        else if (strncmp(line, "iterations ", 11) == 0)
            result->iterations = strtol(line + 11, NULL, 10);
    }
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return status;
}

bool rival_run(char *const argv[], struct rival_result *result, char *words, size_t words_size)
{
    pid_t pid = -1;
    const int fd = start(argv, &pid);
    if (fd < 0) {
        (void)snprintf(words, words_size, "could not be started: %s", strerror(errno));
        return false;
    }
    FILE *in = fdopen(fd, "r");
    if (in == NULL) {
        (void)snprintf(words, words_size, "cannot be read from: %s", strerror(errno));
        (void)close(fd);
        (void)wait_for(pid);
        return false;
    }
    read_result(in, result);
    (void)fclose(in);
    const int status = wait_for(pid);
    if (status != -1 && WIFSIGNALED(status))
        (void)snprintf(words, words_size, "was ended by signal %d", WTERMSIG(status));
    else if (status != 0)
        (void)snprintf(words, words_size, "ended with exit status %d", WEXITSTATUS(status));
    else if (result->seconds <= 0 || result->iterations < 0)
        (void)snprintf(words, words_size, "printed no time");
    else
        return true;
    return false;
}
