/* Child processes of a test: a fork that runs a function, and the test program started anew with
 * another environment. Both are killed by a timer of their own when they hang. */
#ifndef SKT_CHILD_H
#define SKT_CHILD_H

#include <stddef.h>

/* What a child left. */
struct skt_output {
    int status; /* its exit status, or -1 if a signal killed it: SIGALRM means that it hung */
    int signal; /* that signal, or 0 */
    double seconds;
    size_t out_length; /* what it wrote on stdout and stderr, cut, with a NUL at the end */
    size_t err_length;
    char out[4096];
    char err[8192];
};

/* Forks; the child runs fn(arg) and leaves by _exit with what it returned. */
struct skt_output skt_fork(int (*fn)(void *arg), void *arg);
/* Starts this program again with one argument, an environment without any SKUA_ or OMP_ variable
 * but those given ("NAME=value", up to a NULL), and on one CPU only where one_cpu is not 0. */
struct skt_output skt_exec(const char *argument, const char *const variables[], int one_cpu);
int skt_output_lines(const char *text);

#endif
