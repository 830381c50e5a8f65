/* Statistics of a few samples: quantiles, and times as people write them. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

/** The quantile q in [0, 1] of n values, interpolated; 0 where there are none. */
double bench_quantile(const double *values, int n, double q);

static inline double bench_median(const double *values, int n)
{
    return bench_quantile(values, n, 0.5);
}

/** The distance of the quartiles over the median: how much a median is to be trusted. */
double bench_spread(const double *values, int n);

/** Room for a time as text. */
struct bench_time {
    char text[16];
};

/** A time in s, ms, us or ns with three digits; "-" for 0, which stands for none. */
struct bench_time bench_time_text(double seconds);

#endif
