/* The driver's command line. */
#ifndef BENCH_CMDLINE_H
#define BENCH_CMDLINE_H

#include <stdbool.h>

#include "bench/kernels/catalogue.h"

enum {
    BENCH_KERNELS_MAX = 32,
    BENCH_REPS_MAX = 1000,
    BENCH_WORKERS_MAX = 1024
};

struct bench_options {
    const struct bench_entry *kernels[BENCH_KERNELS_MAX]; /* in the order to run them */
    int nr_kernels;
    int workers;      /* 0: as many as the process has CPUs */
    int reps;         /* 0: as many as the time allows */
    bool quick;       /* small sizes, few schedules, under 45 s */
    const char *json; /* NULL: results.json in the build folder */
    const char *html; /* NULL: bench-report.html in the build folder */
};

/** Reads the command line. Returns -1 to go on, or the status to exit with after --help, --list (0)
 * or a mistake (2), about which it has printed a line. */
int bench_cmdline(int argc, char **argv, struct bench_options *o);

#endif
