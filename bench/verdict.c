/* Who won. The ratio is that of the medians; beside it stand the quartiles of the ratios taken
 * round by round, which a slow drift of the machine does not touch. OpenMP's best is the best of
 * many series and skua's of two, so noise alone favours OpenMP a little. */
#include "bench/verdict.h"

#include <math.h>
#include <stdio.h>

#include "bench/samples.h"

const double *bench_samples(const struct bench_series *s, enum bench_metric metric)
{
    return metric == BENCH_TAIL ? s->tail : s->seconds;
}

double bench_share(const struct bench_series *s)
{
    return s == NULL ? 0 : bench_median(s->share, s->nr_samples);
}

/* The fastest series of a rival on some number of workers; of one compiler, or of any (-1). */
static const struct bench_series *best(const struct bench_row *row, enum bench_rival rival,
                                       int workers, int family)
{
    const struct bench_result *result = row->result;
    const struct bench_series *found = NULL;
    double least = INFINITY;
    for (int i = 0; i < result->nr_series; i++) {
        const struct bench_series *s = &result->series[i];
        if (s->failed || !s->headline || s->nr_samples == 0 || s->workers != workers)
            continue;
        if (s->runner->rival != rival || (family >= 0 && (int)s->runner->family != family))
            continue;
        const double median = bench_median(bench_samples(s, row->metric), s->nr_samples);
        if (median < least) {
            least = median;
            found = s;
        }
    }
    return found;
}

static void ratios(struct bench_duel *d, enum bench_metric metric)
{
    double ratio[BENCH_REPS_MAX];
    const int n =
        d->skua->nr_samples < d->openmp->nr_samples ? d->skua->nr_samples : d->openmp->nr_samples;
    const double *skua = bench_samples(d->skua, metric);
    const double *openmp = bench_samples(d->openmp, metric);
    for (int i = 0; i < n; i++)
        ratio[i] = skua[i] > 0 ? openmp[i] / skua[i] : 0;
    d->low = bench_quantile(ratio, n, 0.25);
    d->high = bench_quantile(ratio, n, 0.75);
    d->spread = fmax(bench_spread(skua, n), bench_spread(openmp, n));
}

static struct bench_duel duel(const struct bench_row *row, int workers, int family)
{
    struct bench_duel d = { 0 };
    d.skua = best(row, BENCH_SKUA, workers, family);
    d.openmp = best(row, BENCH_OPENMP, workers, family);
    if (d.skua != NULL)
        d.skua_time = bench_median(bench_samples(d.skua, row->metric), d.skua->nr_samples);
    if (d.openmp != NULL)
        d.openmp_time = bench_median(bench_samples(d.openmp, row->metric), d.openmp->nr_samples);
    if (d.skua == NULL || d.openmp == NULL || d.skua_time <= 0)
        return d;
    d.ratio = d.openmp_time / d.skua_time;
    d.outcome = d.ratio > 1 + BENCH_TIE         ? BENCH_WIN
                : d.ratio < 1 / (1 + BENCH_TIE) ? BENCH_LOSS
                                                : BENCH_TIED;
    ratios(&d, row->metric);
    d.unsure = d.low < 1 && d.high > 1;
    return d;
}

static void fill(struct bench_row *row, const struct bench_result *result, enum bench_metric metric,
                 int all)
{
    *row = (struct bench_row){ .result = result, .metric = metric };
    snprintf(row->name, sizeof row->name, "%s%s", result->entry->name,
             metric == BENCH_TAIL ? " p99" : "");
    const struct bench_series *serial = best(row, BENCH_SERIAL, 1, -1);
    if (serial != NULL)
        row->serial = bench_median(bench_samples(serial, metric), serial->nr_samples);
    const int workers[2] = { 1, all };
    for (int i = 0; i < (all > 1 ? 2 : 1); i++) {
        row->duel[i] = duel(row, workers[i], -1);
        for (int family = 0; family < BENCH_NR_FAMILIES; family++)
            row->same[i][family] = duel(row, workers[i], family);
    }
}

int bench_verdict(const struct bench_session *session, struct bench_row row[BENCH_ROWS_MAX])
{
    int n = 0;
    for (int i = 0; i < session->nr_results; i++) {
        const struct bench_result *result = &session->result[i];
        fill(&row[n++], result, BENCH_VALUE, session->o->workers);
        if (result->entry->kind == BENCH_REGION)
            fill(&row[n++], result, BENCH_TAIL, session->o->workers);
    }
    return n;
}
