/* The table on stdout, and all samples as JSON: bench/README.md has the schema. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/json_text.h"
#include "bench/process/figures.h"
#include "bench/samples.h"

struct text {
    char text[32];
};

static struct text value_text(enum bench_unit unit, double value)
{
    struct text t;
    if (unit == BENCH_SECONDS)
        snprintf(t.text, sizeof t.text, "%s", bench_time_text(value).text);
    else if (unit == BENCH_COUNT)
        snprintf(t.text, sizeof t.text, "%.0f", value);
    else if (unit == BENCH_RATIO)
        snprintf(t.text, sizeof t.text, "%.*f x", value < 10 ? 2 : 0, value);
    else if (value >= 1e5)
        snprintf(t.text, sizeof t.text, "%.2f M/s", 1e-6 * value);
    else
        snprintf(t.text, sizeof t.text, "%.1f k/s", 1e-3 * value);
    return t;
}

static struct text goal_text(const struct bench_figure *figure)
{
    struct text t = { "" };
    if (figure->goal > 0)
        snprintf(t.text, sizeof t.text, "%s %.24s", bench_figure_is_cost(figure) ? "<=" : ">=",
                 value_text(figure->unit, figure->goal).text);
    return t;
}

static void print_figure(const struct bench_figure *figure)
{
    if (figure->nr_samples == 0) {
        printf("%-50s left out: %s\n", figure->name,
               figure->why[0] != '\0' ? figure->why : "no samples");
        return;
    }
    const char *verdict = bench_figure_verdict(figure);
    const bool colour = isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL && *verdict != '\0';
    printf("%-50s %9s %6.1f%% %5d   %-12s %s%s%s\n", figure->name,
           value_text(figure->unit, bench_figure_median(figure)).text,
           100 * bench_spread(figure->samples, figure->nr_samples), figure->nr_samples,
           goal_text(figure).text,
           !colour                       ? ""
           : strcmp(verdict, "met") == 0 ? "\033[32m"
                                         : "\033[31m",
           verdict, colour ? "\033[0m" : "");
}

void bench_figures_table(const struct bench_campaign *c)
{
    const struct bench_machine *m = &c->machine;
    printf("\n%-50s %9s %7s %5s   %-12s %s\n", "", "median", "spread", "n", "goal", "verdict");
    for (int i = 0; i < c->nr_figures; i++)
        print_figure(&c->figure[i]);
    printf("\n%s, %d CPU%s, %s, commit %s, %s\n", m->cpu, m->cpus, m->cpus > 1 ? "s" : "",
           m->system, m->commit, m->date);
    printf("compiler     %s\nflags        %s\n", BENCH_COMPILER, BENCH_FLAGS);
    printf("python       %s\n", c->python[0] != '\0' ? c->python : "none");
    const double gain = bench_median(m->gain, m->nr_gains);
    if (m->nr_gains > 0)
        printf("quality      two serial runs at once give %.2fx: %s\n", gain,
               gain >= BENCH_GAIN_GOOD ? "a good moment" : "WARNING, a busy one");
    for (int i = 0; i < c->nr_failures && i < BENCH_FAILURES_MAX; i++)
        printf("FAILED       %s\n", c->failures[i]);
}

static void write_figure(FILE *f, const struct bench_figure *figure)
{
    static const char *const units[] = { "s", "count", "tasks/s", "ratio" };
    fputs("    {", f);
    bench_json_member(f, "name", figure->name + strspn(figure->name, " "));
    bench_json_member(f, "unit", units[figure->unit]);
    bench_json_member(f, "better", bench_figure_is_cost(figure) ? "less" : "more");
    bench_json_member(f, "verdict", bench_figure_verdict(figure));
    if (figure->why[0] != '\0')
        bench_json_member(f, "left_out", figure->why);
    fprintf(f, "\"goal\": %.6g, \"median\": %.6g, \"spread\": %.4g", figure->goal,
            bench_figure_median(figure), bench_spread(figure->samples, figure->nr_samples));
    bench_json_samples(f, "samples", figure->samples, figure->nr_samples);
    fputc('}', f);
}

static void write_all(FILE *f, const struct bench_campaign *c)
{
    const struct bench_machine *m = &c->machine;
    fputs("{\n  \"schema\": 1,\n  ", f);
    bench_json_member(f, "date", m->date);
    bench_json_member(f, "commit", m->commit);
    bench_json_member(f, "mode", c->quick ? "quick" : "full");
    bench_json_member(f, "compiler", BENCH_COMPILER);
    bench_json_member(f, "flags", BENCH_FLAGS);
    bench_json_member(f, "python", c->python);
    fprintf(f, "\"pinned\": %s,\n  \"machine\": {", c->unpinned ? "false" : "true");
    bench_json_member(f, "cpu", m->cpu);
    bench_json_member(f, "system", m->system);
    fprintf(f, "\"cpus\": %d", m->cpus);
    bench_json_samples(f, "gains", m->gain, m->nr_gains);
    fputs("},\n  \"figures\": [", f);
    for (int i = 0; i < c->nr_figures; i++) {
        fputs(i > 0 ? ",\n" : "\n", f);
        write_figure(f, &c->figure[i]);
    }
    fputs("\n  ],\n  \"failures\": [", f);
    for (int i = 0; i < c->nr_failures && i < BENCH_FAILURES_MAX; i++) {
        fputs(i > 0 ? ", " : "", f);
        bench_json_string(f, c->failures[i]);
    }
    fputs("]\n}\n", f);
}

int bench_figures_json(const struct bench_campaign *c)
{
    FILE *f = fopen(c->json, "w");
    bool good = f != NULL;
    if (good) {
        write_all(f, c);
        good = ferror(f) == 0;
        good = fclose(f) == 0 && good;
    }
    if (!good)
        fprintf(stderr, "skua-bench-process: cannot write %s: %s\n", c->json, strerror(errno));
    return good ? 0 : -1;
}
