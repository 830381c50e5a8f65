/* Lines of the table, and their samples. What is judged is the median: these are latencies of
 * processes on machines shared with others, whose tails say more of the others. The spread stands
 * beside it, and every sample is in the JSON. No judgement changes the exit status, for a goal is
 * about a machine, and this may be another. */
#include "bench/process/figures.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/progress.h"
#include "bench/samples.h"

struct bench_figure *bench_figure_add(struct bench_campaign *c, enum bench_unit unit, double goal,
                                      const char *name)
{
    if (c->nr_figures == BENCH_FIGURES_MAX)
        abort();
    struct bench_figure *figure = &c->figure[c->nr_figures++];
    *figure = (struct bench_figure){ .unit = unit, .goal = goal };
    snprintf(figure->name, sizeof figure->name, "%s", name);
    return figure;
}

void bench_figure_sample(struct bench_figure *figure, double value)
{
    if (figure->nr_samples == figure->room) {
        const int room = figure->room > 0 ? 2 * figure->room : 64;
        double *larger = realloc(figure->samples, (size_t)room * sizeof *larger);
        if (larger == NULL)
            return;
        figure->samples = larger;
        figure->room = room;
    }
    figure->samples[figure->nr_samples++] = value;
}

void bench_figure_leave_out(struct bench_figure *figure, const char *format, ...)
{
    if (figure->why[0] != '\0')
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(figure->why, sizeof figure->why, format, args);
    va_end(args);
}

double bench_figure_median(const struct bench_figure *figure)
{
    return bench_median(figure->samples, figure->nr_samples);
}

bool bench_figure_is_cost(const struct bench_figure *figure)
{
    return figure->unit == BENCH_SECONDS || figure->unit == BENCH_COUNT;
}

const char *bench_figure_verdict(const struct bench_figure *figure)
{
    if (figure->goal <= 0 || figure->nr_samples == 0)
        return "";
    const double median = bench_figure_median(figure);
    const bool met = bench_figure_is_cost(figure) ? median <= figure->goal : median >= figure->goal;
    return met ? "met" : "missed";
}

void bench_figure_ratio(struct bench_figure *to, const struct bench_figure *rate,
                        const struct bench_figure *base)
{
    for (int i = 0; i < rate->nr_samples && i < base->nr_samples; i++)
        bench_figure_sample(to, rate->samples[i] / base->samples[i]);
    if (base->nr_samples == 0)
        bench_figure_leave_out(to, "%s", base->why);
}

void bench_campaign_fail(struct bench_campaign *c, const char *format, ...)
{
    const int i = c->nr_failures++;
    if (i >= BENCH_FAILURES_MAX)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(c->failures[i], sizeof c->failures[i], format, args);
    va_end(args);
    bench_progress_line("FAILED: %s", c->failures[i]);
}
