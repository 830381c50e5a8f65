/* Statistics of a few samples. Medians and quartiles, not means: one interruption by another
 * program makes a mean of ten samples worthless, and moves their median hardly at all. */
#include "bench/samples.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int ascending(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

double bench_quantile(const double *values, int n, double q)
{
    if (n <= 0)
        return 0;
    double *sorted = malloc((size_t)n * sizeof *sorted);
    if (sorted == NULL)
        return values[0];
    memcpy(sorted, values, (size_t)n * sizeof *sorted);
    qsort(sorted, (size_t)n, sizeof *sorted, ascending);
    const double at = q * (n - 1);
    const int below = (int)floor(at);
    const int above = below + 1 < n ? below + 1 : below;
    const double value = sorted[below] + (at - below) * (sorted[above] - sorted[below]);
    free(sorted);
    return value;
}

double bench_spread(const double *values, int n)
{
    const double median = bench_median(values, n);
    if (median <= 0)
        return 0;
    return (bench_quantile(values, n, 0.75) - bench_quantile(values, n, 0.25)) / median;
}

struct bench_time bench_time_text(double seconds)
{
    static const struct {
        double unit;
        const char *name;
    } units[] = { { 1, "s" }, { 1e-3, "ms" }, { 1e-6, "us" }, { 1e-9, "ns" } };
    struct bench_time t;
    size_t u = 0;
    while (u < 3 && seconds < 0.9995 * units[u].unit)
        u++;
    const double x = seconds / units[u].unit;
    const int decimals = x >= 99.95 ? 0 : x >= 9.995 ? 1 : 2;
    if (seconds <= 0)
        snprintf(t.text, sizeof t.text, "-");
    else
        snprintf(t.text, sizeof t.text, "%.*f %s", decimals, x, units[u].name);
    return t;
}
