/* What is measured: a series is one runner with one schedule on one number of workers; a result is
 * all the series of one kernel, with a sample for each round. */
#ifndef BENCH_SERIES_H
#define BENCH_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/cmdline.h"
#include "bench/fleet.h"
#include "bench/kernels/catalogue.h"
#include "bench/kernels/kernel.h"

enum {
    BENCH_SERIES_MAX = 64
};

struct bench_series {
    struct bench_runner *runner;
    int workers;
    enum bench_schedule schedule;
    size_t chunk;
    bool headline;   /* skua: what a user gets who asks for nothing; OpenMP: all compete */
    bool failed;     /* its runner died or its result was wrong: left out from then on */
    double last;     /* seconds of its last run */
    double *seconds; /* a sample a round; of latencies the median */
    double *tail;    /* of latencies the 99th percentile */
    double *share;   /* of latencies the part that reached every worker */
    int nr_samples;
};

struct bench_result {
    const struct bench_entry *entry;
    size_t size;
    double took;         /* seconds, with the set-up */
    bool skipped;        /* did not run at all */
    char why[160];       /* then why */
    bool known;          /* reference and reproducible below are set */
    uint64_t bits;       /* of the reference: the first result of all */
    double value;        /* the same */
    bool fixed;          /* fixed_bits is set */
    uint64_t fixed_bits; /* of skua's reproducible reductions */
    int nr_series;
    struct bench_series series[BENCH_SERIES_MAX];
};

/** Lists what is to be measured for a kernel, for the runners that run. Returns 0, or -1 where
 * memory is short. */
int bench_result_open(struct bench_result *result, const struct bench_entry *entry,
                      struct bench_fleet *fleet, const struct bench_options *o);
void bench_result_close(struct bench_result *result);

/** The schedule as people write it: "dynamic,64". */
struct bench_label {
    char text[32];
};
struct bench_label bench_schedule_text(const struct bench_series *s);

#endif
