/* The report: one HTML file with a chart and a table, which needs nothing from anywhere else. The
 * bars are on a logarithmic scale, so that twice as fast and half as fast are equally long. */
#include <math.h>

#include "bench/outputs.h"
#include "bench/samples.h"

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<title>skua against OpenMP</title>\n<style>\n"
    ":root { --ink: #1d2433; --soft: #5b6475; --line: #d5dae3; --paper: #fff;"
    " --win: #1a7f4b; --tie: #7a8496; --loss: #c0392b; }\n"
    "@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b5;"
    " --line: #343c4b; --paper: #151a23; --win: #4cc38a; --tie: #8791a3; --loss: #ff7b6b; } }\n"
    "body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);"
    " max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }\n"
    "h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }\n"
    ".scroll { overflow-x: auto; }\n"
    "table { border-collapse: collapse; font-variant-numeric: tabular-nums; width: 100%; }\n"
    "th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right;"
    " white-space: nowrap; }\n"
    "th:first-child, td:first-child, td:last-child, th:last-child { text-align: left; }\n"
    "svg text { font: 12px system-ui, sans-serif; fill: var(--ink); }\n"
    ".win { fill: var(--win); color: var(--win); } .tie { fill: var(--tie); }\n"
    ".loss { fill: var(--loss); color: var(--loss); } .soft { color: var(--soft); }\n"
    ".warn { color: var(--loss); font-weight: 600; }\n"
    "line { stroke: var(--line); } line.one { stroke: var(--soft); }\n"
    "</style></head><body>\n";

enum {
    NAME_WIDTH = 130,
    CHART_WIDTH = 760,
    ROW_HEIGHT = 40,
    BAR_HEIGHT = 14,
    EDGE_MAX = 3 /* bars end at a ratio of 8: beyond, the figure beside them says it */
};

static void text(FILE *f, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '<')
            fputs("&lt;", f);
        else if (*s == '>')
            fputs("&gt;", f);
        else if (*s == '&')
            fputs("&amp;", f);
        else if (*s == '"')
            fputs("&quot;", f);
        else
            fputc(*s, f);
    }
}

static const char *class_of(const struct bench_duel *d)
{
    static const char *const classes[] = { "tie", "loss", "tie", "win" };
    return classes[d->outcome];
}

/* The ratio that the chart's edges stand for: a power of two. */
static double chart_edge(const struct bench_row *row, int nr_rows)
{
    double most = 1;
    for (int i = 0; i < nr_rows; i++)
        for (int k = 0; k < 2; k++)
            if (row[i].duel[k].ratio > 0)
                most = fmax(most, fabs(log2(row[i].duel[k].ratio)));
    return fmin(ceil(most), EDGE_MAX);
}

static void write_bar(FILE *f, const struct bench_duel *d, double edge, double y, int workers)
{
    if (d->ratio <= 0)
        return;
    const double middle = NAME_WIDTH + (CHART_WIDTH - NAME_WIDTH) / 2.0;
    const double half = (CHART_WIDTH - NAME_WIDTH) / 2.0 - 60; /* leaves room for the figures */
    const double end = middle + half * fmax(-1, fmin(1, log2(d->ratio) / edge));
    fprintf(f, "<rect class=\"%s\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\"",
            class_of(d), fmin(end, middle), y, fmax(fabs(end - middle), 1), BAR_HEIGHT);
    fprintf(f, "%s/>", workers == 1 ? " opacity=\"0.55\"" : "");
    fprintf(f, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">%.2f on %d</text>\n",
            end >= middle ? end + 4 : end - 4, y + 11, end >= middle ? "start" : "end", d->ratio,
            workers);
}

static void write_chart(FILE *f, const struct bench_row *row, int nr_rows, int workers)
{
    const double edge = chart_edge(row, nr_rows);
    const double middle = NAME_WIDTH + (CHART_WIDTH - NAME_WIDTH) / 2.0;
    const double half = (CHART_WIDTH - NAME_WIDTH) / 2.0 - 60;
    const int height = nr_rows * ROW_HEIGHT + 24;
    fprintf(f, "<div class=\"scroll\"><svg width=\"%d\" height=\"%d\" role=\"img\" aria-label=\"",
            CHART_WIDTH, height);
    fputs("ratios of the best OpenMP time to skua's\">\n", f);
    for (int e = -(int)edge; e <= (int)edge; e++) {
        const double x = middle + half * e / edge;
        fprintf(f, "<line%s x1=\"%.1f\" x2=\"%.1f\" y1=\"16\" y2=\"%d\"/>",
                e == 0 ? " class=\"one\"" : "", x, x, height);
        fprintf(f, "<text x=\"%.1f\" y=\"11\" text-anchor=\"middle\">%g</text>\n", x, exp2(e));
    }
    for (int i = 0; i < nr_rows; i++) {
        const double y = 22 + i * ROW_HEIGHT;
        fprintf(f, "<text x=\"0\" y=\"%.1f\">", y + 18);
        text(f, row[i].name);
        fputs("</text>\n", f);
        write_bar(f, &row[i].duel[0], edge, y, 1);
        if (workers > 1)
            write_bar(f, &row[i].duel[1], edge, y + BAR_HEIGHT + 2, workers);
    }
    fputs("</svg></div>\n", f);
}

static void write_ratio(FILE *f, const struct bench_duel *d)
{
    if (d->ratio <= 0)
        fputs("<td>-</td>", f);
    else
        fprintf(f, "<td class=\"%s\" title=\"quartiles %.2f to %.2f\">%.2f%s</td>", class_of(d),
                d->low, d->high, d->ratio, d->unsure && d->outcome != BENCH_TIED ? "~" : "");
}

static void write_cells(FILE *f, const struct bench_row *row, int workers)
{
    const int nr = workers > 1 ? 2 : 1;
    const struct bench_duel *last = &row->duel[nr - 1];
    fputs("<tr><td>", f);
    text(f, row->name);
    fprintf(f, "</td><td>%s</td>", bench_time_text(row->serial).text);
    for (int i = 0; i < nr; i++)
        fprintf(f, "<td>%s</td>", bench_time_text(row->duel[i].skua_time).text);
    for (int i = 0; i < nr; i++)
        fprintf(f, "<td>%s</td>", bench_time_text(row->duel[i].openmp_time).text);
    for (int i = 0; i < nr; i++)
        write_ratio(f, &row->duel[i]);
    fprintf(f, "<td>%.1f %%</td><td>", 100 * last->spread);
    if (row->result->skipped) {
        text(f, row->result->why);
    } else if (last->openmp != NULL) {
        text(f, last->openmp->runner->label);
        fputc(' ', f);
        text(f, bench_schedule_text(last->openmp).text);
    }
    fputs("</td></tr>\n", f);
}

static void write_table(FILE *f, const struct bench_row *row, int nr_rows, int workers)
{
    fputs("<div class=\"scroll\"><table><tr><th>kernel</th><th>serial</th><th>skua 1</th>", f);
    if (workers > 1)
        fprintf(f, "<th>skua %d</th>", workers);
    fputs("<th>OpenMP 1</th>", f);
    if (workers > 1)
        fprintf(f, "<th>OpenMP %d</th>", workers);
    fputs("<th>ratio 1</th>", f);
    if (workers > 1)
        fprintf(f, "<th>ratio %d</th>", workers);
    fprintf(f, "<th>spread</th><th>best OpenMP on %d</th></tr>\n", workers);
    for (int i = 0; i < nr_rows; i++)
        write_cells(f, &row[i], workers);
    fputs("</table></div>\n", f);
}

static void write_verdict(FILE *f, const struct bench_row *row, int nr_rows, int workers)
{
    static const enum bench_outcome outcomes[] = { BENCH_WIN, BENCH_TIED, BENCH_LOSS };
    static const char *const words[] = { "wins", "ties (within 3 %)", "losses" };
    char names[1024];
    for (int which = 0; which < (workers > 1 ? 2 : 1); which++) {
        fprintf(f, "<p><b>On %d worker%s</b>", which == 0 ? 1 : workers, which == 0 ? "" : "s");
        for (int i = 0; i < 3; i++) {
            bench_names(row, nr_rows, which, outcomes[i], names, sizeof names);
            fprintf(f, "<br>%s: ", words[i]);
            text(f, names);
        }
        fputs("</p>\n", f);
    }
}

static void write_setting(FILE *f, const struct bench_session *session)
{
    const struct bench_machine *m = &session->machine;
    fputs("<h2>Setting</h2>\n<p>", f);
    text(f, m->cpu);
    fprintf(f, ", %d CPUs, ", m->cpus);
    text(f, m->system);
    fputs("<br>commit ", f);
    text(f, m->commit);
    fputs("</p>\n<ul>\n", f);
    for (int i = 0; i < BENCH_RUNNERS; i++) {
        const struct bench_runner *r = &session->fleet.runner[i];
        fputs("<li>", f);
        text(f, r->label);
        fputs(": ", f);
        text(f, r->built ? r->runtime : "not built");
        fputs(r->built ? ", kernels by " : "", f);
        text(f, r->compiler);
        fputs(" ", f);
        text(f, r->flags);
        fputs("</li>\n", f);
    }
    fputs("</ul>\n", f);
    for (int i = 0; i < session->nr_failures && i < 16; i++) {
        fputs("<p class=\"warn\">FAILED: ", f);
        text(f, session->failures[i]);
        fputs("</p>\n", f);
    }
}

void bench_html(FILE *f, const struct bench_session *session, const struct bench_row *row,
                int nr_rows)
{
    const int workers = session->o->workers;
    const double gain = bench_gain(session);
    fputs(head, f);
    fprintf(f, "<h1>skua against OpenMP</h1>\n<p class=\"soft\">%s</p>\n", session->machine.date);
    fputs(
        "<p>Bars: the time of the best OpenMP schedule of either runtime over skua's, on a "
        "logarithmic scale. Right of 1 skua is faster, left of it OpenMP is; a bar that ends at 8 "
        "may stand for more. Grey: a tie. Pale: "
        "on one worker.</p>\n",
        f);
    if (session->machine.nr_gains > 0 && gain < BENCH_GAIN_GOOD)
        fprintf(f,
                "<p class=\"warn\">Two serial runs at once gave only %.2fx: the machine was busy "
                "with other work, and figures on %d workers mean little.</p>\n",
                gain, workers);
    write_chart(f, row, nr_rows, workers);
    fputs("<h2>Verdict</h2>\n", f);
    write_verdict(f, row, nr_rows, workers);
    fputs("<h2>Medians</h2>\n", f);
    write_table(f, row, nr_rows, workers);
    write_setting(f, session);
    fputs("</body></html>\n", f);
}
