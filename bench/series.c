/* What is measured for each kernel. OpenMP competes with every schedule that a user might try on
 * all workers. On one worker schedules differ only in what they cost, so the cheapest two are
 * tried. skua competes with its default alone; its other schedules are measured for the record. */
#include "bench/series.h"

#include <stdio.h>
#include <stdlib.h>

struct plan {
    struct bench_result *result;
    const struct bench_options *o;
    struct bench_runner *runner;
};

static void add(const struct plan *p, int workers, enum bench_schedule schedule, size_t chunk,
                bool headline)
{
    struct bench_result *result = p->result;
    if (result->nr_series == BENCH_SERIES_MAX)
        return;
    result->series[result->nr_series++] = (struct bench_series){
        .runner = p->runner,
        .workers = workers,
        .schedule = schedule,
        .chunk = chunk,
        .headline = headline,
    };
}

static void add_skua(const struct plan *p, int workers)
{
    const struct bench_entry *e = p->result->entry;
    if (e->kind == BENCH_JOIN) {
        add(p, workers, BENCH_TASKS, 0, true);
        return;
    }
    /* Only STATIC promises that each worker gets its iteration: a default loop may well run two
     * empty iterations on one worker, and that would not be the latency of a region. */
    const bool region = e->kind == BENCH_REGION;
    add(p, workers, region ? BENCH_STATIC : BENCH_AUTO, 0, true);
    if (p->o->quick || workers == 1)
        return;
    add(p, workers, region ? BENCH_AUTO : BENCH_STATIC, 0, false);
    if (!region)
        add(p, workers, BENCH_DYNAMIC, e->chunks[0], false);
}

static void add_openmp(const struct plan *p, int workers)
{
    const struct bench_entry *e = p->result->entry;
    if (e->kind == BENCH_JOIN) {
        add(p, workers, BENCH_TASKS, 0, true);
        return;
    }
    add(p, workers, BENCH_STATIC, 0, true);
    if (e->blocks)
        add(p, workers, BENCH_BLOCKS, 0, true);
    if (e->kind == BENCH_REGION)
        return;
    if (workers > 1 || !p->o->quick)
        add(p, workers, BENCH_DYNAMIC, e->chunks[workers == 1], true);
    if (workers == 1)
        return;
    add(p, workers, BENCH_GUIDED, 0, true);
    if (p->o->quick)
        return;
    add(p, workers, BENCH_DYNAMIC, e->chunks[1], true);
    add(p, workers, BENCH_CYCLIC, e->chunks[0], true);
}

static void add_runner(const struct plan *p)
{
    const int workers[] = { 1, p->o->workers };
    if (p->runner->rival == BENCH_SERIAL) {
        add(p, 1, BENCH_PLAIN, 0, true);
        if (p->result->entry->serial_calls)
            add(p, 1, BENCH_CALLS, 0, false);
        return;
    }
    for (int i = 0; i < (workers[1] > 1 ? 2 : 1); i++)
        (p->runner->rival == BENCH_SKUA ? add_skua : add_openmp)(p, workers[i]);
}

int bench_result_open(struct bench_result *result, const struct bench_entry *entry,
                      struct bench_fleet *fleet, const struct bench_options *o)
{
    *result = (struct bench_result){ .entry = entry };
    result->size = o->quick ? entry->quick_size : entry->size;
    struct plan p = { .result = result, .o = o };
    for (int i = 0; i < BENCH_RUNNERS; i++) {
        p.runner = &fleet->runner[i];
        if (p.runner->pid != 0)
            add_runner(&p);
    }
    const size_t rounds = o->reps > 0 ? (size_t)o->reps : BENCH_REPS_MAX;
    for (int i = 0; i < result->nr_series; i++) {
        struct bench_series *s = &result->series[i];
        s->seconds = calloc(3 * rounds, sizeof *s->seconds);
        if (s->seconds == NULL)
            return -1;
        s->tail = s->seconds + rounds;
        s->share = s->tail + rounds;
    }
    return 0;
}

void bench_result_close(struct bench_result *result)
{
    for (int i = 0; i < result->nr_series; i++)
        free(result->series[i].seconds);
    result->nr_series = 0;
}

struct bench_label bench_schedule_text(const struct bench_series *s)
{
    static const char *const names[] = { "serial",  "calls",  "auto",   "static", "static",
                                         "dynamic", "guided", "blocks", "tasks" };
    struct bench_label label;
    if (s->schedule == BENCH_CYCLIC || s->schedule == BENCH_DYNAMIC)
        snprintf(label.text, sizeof label.text, "%s,%zu", names[s->schedule], s->chunk);
    else
        snprintf(label.text, sizeof label.text, "%s", names[s->schedule]);
    return label;
}
