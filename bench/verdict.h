/* Who won: skua's default, from the better of its builds, against the best OpenMP schedule of
 * either runtime, on one worker and on all. */
#ifndef BENCH_VERDICT_H
#define BENCH_VERDICT_H

#include "bench/measure.h"

/** Medians closer than this are a tie. */
#define BENCH_TIE 0.03

enum bench_metric {
    BENCH_VALUE, /* the run; of latencies the median */
    BENCH_TAIL   /* of latencies the 99th percentile */
};

enum bench_outcome {
    BENCH_NONE, /* nothing to compare */
    BENCH_LOSS,
    BENCH_TIED,
    BENCH_WIN
};

/** A comparison on some number of workers. */
struct bench_duel {
    const struct bench_series *skua, *openmp; /* the best of each; NULL where there is none */
    double skua_time, openmp_time;            /* medians, seconds */
    double ratio;                             /* openmp over skua; 0 where there is none */
    double low, high;                         /* quartiles of the ratios taken round by round */
    double spread;                            /* the wider of the two */
    bool unsure;                              /* the quartiles contain 1 */
    enum bench_outcome outcome;
};

/** A line of the table. */
struct bench_row {
    const struct bench_result *result;
    enum bench_metric metric;
    char name[32];
    double serial;                                /* the better build's median */
    struct bench_duel duel[2];                    /* on one worker, on all */
    struct bench_duel same[2][BENCH_NR_FAMILIES]; /* the same, within each compiler */
};

enum {
    BENCH_ROWS_MAX = 2 * BENCH_KERNELS_MAX
};

/** Fills the rows of a session; returns how many. */
int bench_verdict(const struct bench_session *session, struct bench_row row[BENCH_ROWS_MAX]);

/** A series' samples of one metric. */
const double *bench_samples(const struct bench_series *s, enum bench_metric metric);

/** The part of the regions in which every worker took part: the median of a series; 0 for NULL. */
double bench_share(const struct bench_series *s);

#endif
