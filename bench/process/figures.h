/* A figure is a line of the table: a name, samples, and the goal that it is held against. */
#ifndef BENCH_PROCESS_FIGURES_H
#define BENCH_PROCESS_FIGURES_H

#include <stdbool.h>

#include "bench/machine.h"

enum {
    BENCH_FIGURES_MAX = 40,
    BENCH_FAILURES_MAX = 16
};

enum bench_unit {
    BENCH_SECONDS, /* of which less is better */
    BENCH_COUNT,   /* the same */
    BENCH_RATE,    /* tasks a second: more is better */
    BENCH_RATIO    /* times as fast: more is better */
};

struct bench_figure {
    char name[64]; /* begins with blanks if it is there to be compared with one above */
    enum bench_unit unit;
    double goal; /* at most that, or at least where more is better; 0: none */
    double *samples;
    int nr_samples, room;
    char why[160]; /* not "": left out, for that reason */
};

/** How to measure, and what was. Zero, but for what says otherwise. */
struct bench_campaign {
    bool quick;
    bool unpinned;    /* leave all processes where the system puts them */
    const char *only; /* the one part to measure, or NULL */
    const char *json;
    struct bench_machine machine;
    char python[32]; /* the version, or "" */
    struct bench_figure figure[BENCH_FIGURES_MAX];
    int nr_figures;
    char failures[BENCH_FAILURES_MAX][256];
    int nr_failures; /* may be larger than there is room for */
};

/** Adds a line. It stays where it is until the end of the program. */
struct bench_figure *bench_figure_add(struct bench_campaign *c, enum bench_unit unit, double goal,
                                      const char *name);
void bench_figure_sample(struct bench_figure *figure, double value);
/** Says why there are no samples. The first reason stays. */
void bench_figure_leave_out(struct bench_figure *figure, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
double bench_figure_median(const struct bench_figure *figure);
/** Whether less is better. */
bool bench_figure_is_cost(const struct bench_figure *figure);
/** "met", "missed", or "" where there is no goal or nothing to hold against it. */
const char *bench_figure_verdict(const struct bench_figure *figure);

/** Adds to `to` the ratios of two rates, round by round. */
void bench_figure_ratio(struct bench_figure *to, const struct bench_figure *rate,
                        const struct bench_figure *base);

/** Notes what went wrong: it is printed, and the exit status will be 1. */
void bench_campaign_fail(struct bench_campaign *c, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** How many rounds, or tries: the first number in a quick run. */
static inline int bench_campaign_count(const struct bench_campaign *c, int quick, int full)
{
    return c->quick ? quick : full;
}

/** Prints the table. */
void bench_figures_table(const struct bench_campaign *c);
/** Writes all samples to the campaign's file. 0, or -1 with a line on stderr. */
int bench_figures_json(const struct bench_campaign *c);

#endif
