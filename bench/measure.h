/* Takes the samples of a kernel, round by round over all its series. */
#ifndef BENCH_MEASURE_H
#define BENCH_MEASURE_H

#include "bench/machine.h"
#include "bench/series.h"

struct bench_session {
    const struct bench_options *o;
    struct bench_fleet fleet;
    struct bench_machine machine;
    struct bench_result result[BENCH_KERNELS_MAX];
    int nr_results;
    char failures[16][256]; /* a line each: what went wrong, and where */
    int nr_failures;        /* may be larger than there is room for */
    double begin, budget;   /* seconds */
};

/** Measures the next kernel of the options; adds a result to the session. Returns 0, or -1 where it
 * was interrupted. What went wrong is among the failures. */
int bench_measure(struct bench_session *session);

/** Notes a failure. */
void bench_fail(struct bench_session *session, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
