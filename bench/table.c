/* The table on stdout. A ratio above 1 means that skua is faster; losses are shown as losses. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/outputs.h"
#include "bench/samples.h"

double bench_gain(const struct bench_session *session)
{
    return bench_median(session->machine.gain, session->machine.nr_gains);
}

void bench_names(const struct bench_row *row, int nr_rows, int which, enum bench_outcome outcome,
                 char *text, size_t size)
{
    size_t used = 0;
    snprintf(text, size, "none");
    for (int i = 0; i < nr_rows && used < size; i++) {
        const struct bench_duel *d = &row[i].duel[which];
        if (d->outcome != outcome)
            continue;
        used += (size_t)snprintf(text + used, size - used, "%s%s%s", used > 0 ? ", " : "",
                                 row[i].name, d->unsure && outcome != BENCH_TIED ? "~" : "");
    }
}

static bool colour(void)
{
    return isatty(STDOUT_FILENO) && getenv("NO_COLOR") == NULL;
}

static void print_ratio(const struct bench_duel *d)
{
    static const char *const codes[] = { "", "\033[31m", "", "\033[32m" };
    if (d->ratio <= 0) {
        printf(" %8s ", "-");
        return;
    }
    const char *code = colour() ? codes[d->outcome] : "";
    printf(" %s%8.2f%c%s", code, d->ratio, d->unsure && d->outcome != BENCH_TIED ? '~' : ' ',
           *code != '\0' ? "\033[0m" : "");
}

static void print_row(const struct bench_row *row, bool both)
{
    if (row->result->skipped) {
        printf("%-15s left out: %s\n", row->name, row->result->why);
        return;
    }
    const struct bench_duel *one = &row->duel[0], *all = &row->duel[both];
    char who[64] = "-";
    if (all->openmp != NULL)
        snprintf(who, sizeof who, "%s %s", all->openmp->runner->label,
                 bench_schedule_text(all->openmp).text);
    printf("%-15s %8s %8s", row->name, bench_time_text(row->serial).text,
           bench_time_text(one->skua_time).text);
    if (both)
        printf(" %8s", bench_time_text(all->skua_time).text);
    printf(" %8s", bench_time_text(one->openmp_time).text);
    if (both)
        printf(" %8s", bench_time_text(all->openmp_time).text);
    print_ratio(one);
    if (both)
        print_ratio(all);
    printf(" %5.1f%%  %s\n", 100 * all->spread, who);
}

static void print_header(int workers)
{
    static const char *const titles[] = { "skua", "OMP", "ratio" };
    printf("\n%-15s %8s", "kernel", "serial");
    for (int i = 0; i < 3; i++) {
        char title[16];
        printf(" %6s x1", titles[i]);
        if (i == 2)
            putchar(' ');
        if (workers == 1)
            continue;
        snprintf(title, sizeof title, "%s x%d", titles[i], workers);
        printf(" %*s", i == 2 ? 9 : 8, title);
    }
    printf(" spread  best OpenMP on %d\n", workers);
}

static void print_setting(const struct bench_session *session)
{
    const struct bench_machine *m = &session->machine;
    printf("\n%s, %d CPU%s, %s, commit %s\n", m->cpu, m->cpus, m->cpus > 1 ? "s" : "", m->system,
           m->commit);
    const char *flags = "";
    for (int i = 0; i < BENCH_RUNNERS; i++) {
        const struct bench_runner *r = &session->fleet.runner[i];
        if (!r->built)
            printf("left out: %s (not built: see the messages of cmake)\n", r->label);
        else if (r->rival != BENCH_SERIAL)
            printf("%-12s %s, kernels by %s\n", r->label, r->runtime, r->compiler);
        if (*r->flags != '\0')
            flags = r->flags;
    }
    printf("flags        %s\n", flags);
    if (session->o->workers > m->cpus)
        printf("workers      %d on %d CPUs: they take turns\n", session->o->workers, m->cpus);
    const double gain = bench_gain(session);
    if (m->nr_gains == 0)
        printf("quality      one CPU: nothing to say about two workers\n");
    else if (gain >= BENCH_GAIN_GOOD)
        printf("quality      two serial runs at once give %.2fx: a good moment\n", gain);
    else
        printf("quality      WARNING: two serial runs at once give only %.2fx (below %.2fx): the "
               "machine is busy\n             with other work, and figures on %d workers mean "
               "little\n",
               gain, BENCH_GAIN_GOOD, session->o->workers);
}

/* Reaching all workers is what a region's latency is about: say where it was not done. */
static void print_shares(const struct bench_row *row, int nr_rows)
{
    for (int i = 0; i < nr_rows; i++) {
        const struct bench_duel *d = &row[i].duel[1];
        if (row[i].result->entry->kind != BENCH_REGION || row[i].metric != BENCH_VALUE)
            continue;
        if (d->skua == NULL || d->openmp == NULL)
            continue;
        printf("%-12s every worker took part in %.0f %% of skua's loops, %.0f %% of OpenMP's\n",
               row[i].name, 100 * bench_share(d->skua), 100 * bench_share(d->openmp));
    }
}

static void print_names(const struct bench_row *row, int nr_rows, int which, int workers)
{
    static const struct {
        enum bench_outcome outcome;
        const char *word;
    } lines[] = { { BENCH_WIN, "wins" },
                  { BENCH_TIED, "ties" },
                  { BENCH_LOSS, "losses" },
                  { BENCH_NONE, "nothing to compare" } };
    char text[1024];
    printf("on %d worker%s\n", workers, workers > 1 ? "s" : "");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        bench_names(row, nr_rows, which, lines[i].outcome, text, sizeof text);
        if (lines[i].outcome == BENCH_NONE && strcmp(text, "none") == 0)
            continue;
        printf("  %-7s %s\n", lines[i].word, text);
    }
}

void bench_table(const struct bench_session *session, const struct bench_row *row, int nr_rows)
{
    const int workers = session->o->workers;
    print_header(workers);
    for (int i = 0; i < nr_rows; i++)
        print_row(&row[i], workers > 1);
    printf("\nratio = best OpenMP / skua: above 1 skua is faster. Medians. ~: the quartiles of the "
           "ratios taken\nround by round contain 1. ties: within %.0f %%. spread: of the wider of "
           "the two, on %d.\n",
           100 * BENCH_TIE, workers);
    print_setting(session);
    print_shares(row, nr_rows);
    printf("\nskua against the best OpenMP of either runtime, ");
    print_names(row, nr_rows, 0, 1);
    if (workers > 1) {
        printf("skua against the best OpenMP of either runtime, ");
        print_names(row, nr_rows, 1, workers);
    }
    for (int i = 0; i < session->nr_failures && i < 16; i++)
        printf("FAILED: %s\n", session->failures[i]);
}
