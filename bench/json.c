/* The figures as JSON: every sample, and the comparisons drawn from them. README.md has the schema.
 * Times are in seconds. */
#include <inttypes.h>

#include "bench/json_text.h"
#include "bench/outputs.h"
#include "bench/samples.h"

static void write_setting(FILE *f, const struct bench_session *session)
{
    const struct bench_machine *m = &session->machine;
    fputs("{\n  \"schema\": 1,\n  ", f);
    bench_json_member(f, "date", m->date);
    bench_json_member(f, "commit", m->commit);
    bench_json_member(f, "mode", session->o->quick ? "quick" : "full");
    fprintf(f, "\"workers\": %d,\n  \"machine\": {", session->o->workers);
    bench_json_member(f, "cpu", m->cpu);
    bench_json_member(f, "system", m->system);
    fprintf(f, "\"cpus\": %d", m->cpus);
    bench_json_samples(f, "gains", m->gain, m->nr_gains);
    fputs("},\n  \"runners\": [", f);
    const char *separator = "\n";
    for (int i = 0; i < BENCH_RUNNERS; i++) {
        const struct bench_runner *r = &session->fleet.runner[i];
        fprintf(f, "%s    {", separator);
        separator = ",\n";
        bench_json_member(f, "name", r->name);
        bench_json_member(f, "label", r->label);
        bench_json_member(f, "rival", bench_rival_name(r->rival));
        bench_json_member(f, "runtime", r->runtime);
        bench_json_member(f, "compiler", r->compiler);
        bench_json_member(f, "flags", r->flags);
        fprintf(f, "\"built\": %s}", r->built ? "true" : "false");
    }
    fputs("\n  ],\n", f);
}

static void write_series(FILE *f, const struct bench_series *s, bool latencies)
{
    fputs("      {", f);
    bench_json_member(f, "runner", s->runner->name);
    bench_json_member(f, "schedule", bench_schedule_text(s).text);
    fprintf(f, "\"workers\": %d, \"headline\": %s, \"failed\": %s, \"median\": %.6g, ", s->workers,
            s->headline ? "true" : "false", s->failed ? "true" : "false",
            bench_median(s->seconds, s->nr_samples));
    fprintf(f, "\"spread\": %.4g", bench_spread(s->seconds, s->nr_samples));
    bench_json_samples(f, "samples", s->seconds, s->nr_samples);
    if (latencies) {
        bench_json_samples(f, "p99", s->tail, s->nr_samples);
        bench_json_samples(f, "took_part", s->share, s->nr_samples);
    }
    fputc('}', f);
}

static void write_kernel(FILE *f, const struct bench_result *result)
{
    const struct bench_entry *e = result->entry;
    fputs("    {", f);
    bench_json_member(f, "name", e->name);
    bench_json_member(f, "what", e->what);
    fprintf(f, "\"size\": %zu, \"tolerance\": %g, \"checksum\": \"%016" PRIx64 "\", ", result->size,
            e->tolerance, result->bits);
    fprintf(f, "\"took\": %.3f, ", result->took);
    if (result->skipped)
        bench_json_member(f, "skipped", result->why);
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
    bench_json_member(f, "name", row->name);
    bench_json_member(f, "kernel", row->result->entry->name);
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
        bench_json_string(f, session->failures[i]);
    }
    fputs("]\n}\n", f);
}
