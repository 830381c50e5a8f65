/* The figures as JSON: every sample, and the comparisons drawn from them. README.md has the schema.
 * Times are in seconds. */
#include <inttypes.h>

#include "bench/outputs.h"
#include "bench/samples.h"

static void string(FILE *f, const char *text)
{
    fputc('"', f);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(f, "\\%c", *c);
        else if (*c < 0x20)
            fprintf(f, "\\u%04x", *c);
        else
            fputc(*c, f);
    }
    fputc('"', f);
}

static void member(FILE *f, const char *name, const char *text)
{
    fprintf(f, "\"%s\": ", name);
    string(f, text);
    fputs(", ", f);
}

static void samples(FILE *f, const char *name, const double *values, int n)
{
    fprintf(f, ", \"%s\": [", name);
    for (int i = 0; i < n; i++)
        fprintf(f, "%s%.6g", i > 0 ? ", " : "", values[i]);
    fputc(']', f);
}

static void write_setting(FILE *f, const struct bench_session *session)
{
    const struct bench_machine *m = &session->machine;
    fputs("{\n  \"schema\": 1,\n  ", f);
    member(f, "date", m->date);
    member(f, "commit", m->commit);
    member(f, "mode", session->o->quick ? "quick" : "full");
    fprintf(f, "\"workers\": %d,\n  \"machine\": {", session->o->workers);
    member(f, "cpu", m->cpu);
    member(f, "system", m->system);
    fprintf(f, "\"cpus\": %d", m->cpus);
    samples(f, "gains", m->gain, m->nr_gains);
    fputs("},\n  \"runners\": [", f);
    const char *separator = "\n";
    for (int i = 0; i < BENCH_RUNNERS; i++) {
        const struct bench_runner *r = &session->fleet.runner[i];
        fprintf(f, "%s    {", separator);
        separator = ",\n";
        member(f, "name", r->name);
        member(f, "label", r->label);
        member(f, "rival", bench_rival_name(r->rival));
        member(f, "runtime", r->runtime);
        member(f, "compiler", r->compiler);
        member(f, "flags", r->flags);
        fprintf(f, "\"built\": %s}", r->built ? "true" : "false");
    }
    fputs("\n  ],\n", f);
}

static void write_series(FILE *f, const struct bench_series *s, bool latencies)
{
    fputs("      {", f);
    member(f, "runner", s->runner->name);
    member(f, "schedule", bench_schedule_text(s).text);
    fprintf(f, "\"workers\": %d, \"headline\": %s, \"failed\": %s, \"median\": %.6g, ", s->workers,
            s->headline ? "true" : "false", s->failed ? "true" : "false",
            bench_median(s->seconds, s->nr_samples));
    fprintf(f, "\"spread\": %.4g", bench_spread(s->seconds, s->nr_samples));
    samples(f, "samples", s->seconds, s->nr_samples);
    if (latencies) {
        samples(f, "p99", s->tail, s->nr_samples);
        samples(f, "took_part", s->share, s->nr_samples);
    }
    fputc('}', f);
}

static void write_kernel(FILE *f, const struct bench_result *result)
{
    const struct bench_entry *e = result->entry;
    fputs("    {", f);
    member(f, "name", e->name);
    member(f, "what", e->what);
    fprintf(f, "\"size\": %zu, \"tolerance\": %g, \"checksum\": \"%016" PRIx64 "\", ", result->size,
            e->tolerance, result->bits);
    fprintf(f, "\"took\": %.3f, ", result->took);
    if (result->skipped)
        member(f, "skipped", result->why);
    fputs("\"series\": [", f);
    for (int i = 0; i < result->nr_series; i++) {
        fputs(i > 0 ? ",\n" : "\n", f);
        write_series(f, &result->series[i], e->kind == BENCH_REGION);
    }
    fputs("\n    ]}", f);
}

static void write_duel(FILE *f, const struct bench_duel *d)
{
    static const char *const outcomes[] = { "none", "loss", "tie", "win" };
    fprintf(f, "{\"outcome\": \"%s\"", outcomes[d->outcome]);
    if (d->skua != NULL)
        fprintf(f, ", \"skua\": %.6g, \"skua_runner\": \"%s\"", d->skua_time,
                d->skua->runner->name);
    if (d->openmp != NULL)
        fprintf(f, ", \"openmp\": %.6g, \"openmp_runner\": \"%s\", \"openmp_schedule\": \"%s\"",
                d->openmp_time, d->openmp->runner->name, bench_schedule_text(d->openmp).text);
    if (d->ratio > 0)
        fprintf(f, ", \"ratio\": %.4f, \"quartiles\": [%.4f, %.4f], \"unsure\": %s", d->ratio,
                d->low, d->high, d->unsure ? "true" : "false");
    fputc('}', f);
}

static void write_row(FILE *f, const struct bench_row *row, int workers)
{
    fputs("    {", f);
    member(f, "name", row->name);
    member(f, "kernel", row->result->entry->name);
    fprintf(f, "\"metric\": \"%s\", \"serial\": %.6g", row->metric == BENCH_TAIL ? "p99" : "median",
            row->serial);
    for (int i = 0; i < (workers > 1 ? 2 : 1); i++) {
        fprintf(f, ",\n     \"%s\": ", i == 0 ? "one" : "all");
        write_duel(f, &row->duel[i]);
        for (int family = 0; family < BENCH_NR_FAMILIES; family++) {
            fprintf(f, ",\n     \"%s_%s\": ", i == 0 ? "one" : "all",
                    bench_family_name((enum bench_family)family));
            write_duel(f, &row->same[i][family]);
        }
    }
    fputc('}', f);
}

void bench_json(FILE *f, const struct bench_session *session, const struct bench_row *row,
                int nr_rows)
{
    write_setting(f, session);
    fputs("  \"kernels\": [", f);
    for (int i = 0; i < session->nr_results; i++) {
        fputs(i > 0 ? ",\n" : "\n", f);
        write_kernel(f, &session->result[i]);
    }
    fputs("\n  ],\n  \"rows\": [", f);
    for (int i = 0; i < nr_rows; i++) {
        fputs(i > 0 ? ",\n" : "\n", f);
        write_row(f, &row[i], session->o->workers);
    }
    fputs("\n  ],\n  \"failures\": [", f);
    for (int i = 0; i < session->nr_failures && i < 16; i++) {
        fputs(i > 0 ? ", " : "", f);
        string(f, session->failures[i]);
    }
    fputs("]\n}\n", f);
}
