/* Python's ProcessPoolExecutor, in a child that runs python_pool.py and answers questions. */
#ifndef BENCH_PROCESS_PYTHON_H
#define BENCH_PROCESS_PYTHON_H

#include <stdbool.h>
#include <sys/types.h>

struct bench_python {
    pid_t pid; /* 0: there is none */
    int to, from;
    char version[32];
    char why[160]; /* why there is none, or "" */
};

/** Starts it, and waits until its pool is warm. Where that fails, `why` has the words. */
void bench_python_open(struct bench_python *python, int workers);
/** Asks it something, and reads two numbers at most. False: no answer that makes sense; it is
 * closed then, and has a reason. */
bool bench_python_ask(struct bench_python *python, double answer[2], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/** Ends it; fine where there is none. */
void bench_python_close(struct bench_python *python);

#endif
