/* The list of kernels, as the driver and the runners both know it: names, sizes, what to try. */
#ifndef BENCH_CATALOGUE_H
#define BENCH_CATALOGUE_H

#include <stdbool.h>
#include <stddef.h>

enum bench_kind {
    BENCH_LOOP,  /* loops and reductions: every schedule is tried */
    BENCH_JOIN,  /* fork and join */
    BENCH_REGION /* latencies: a median and a 99th percentile */
};

struct bench_entry {
    const char *name;
    const char *what;
    enum bench_kind kind;
    size_t size, quick_size;
    size_t mib;        /* memory of one runner, about */
    size_t chunks[2];  /* for dynamic schedules; the first also for cyclic static */
    bool blocks;       /* its loops are short: try a bare region with hand-cut blocks as well */
    bool serial_calls; /* the serial rival also has a form whose calls stay calls */
    bool heavy;        /* checking costs as much as running: check the first, untimed run only */
    bool reproducible; /* skua's results must agree in every bit among themselves */
    double tolerance;  /* relative; 0: every rival's result has the same bits */
};

extern const struct bench_entry bench_catalogue[];
extern const int bench_nr_entries;

/** The entry with that name, or NULL. */
const struct bench_entry *bench_find(const char *name);

#endif
