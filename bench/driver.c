/* skua-bench: skua against serial code and both OpenMP runtimes, over kernels with one body
 * each. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/outputs.h"
#include "bench/progress.h"

static const double FULL_BUDGET = 205,
                    QUICK_BUDGET = 33; /* seconds, for what must end in 240, 45 */

static void interrupt(int signal_number)
{
    bench_interrupted = signal_number;
}

static void catch_signals(void)
{
    const struct sigaction action = { .sa_handler = interrupt };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* The folder of the build: the one above the program's. */
static void output_path(const struct bench_session *session, const char *given, const char *name,
                        char *path, size_t size)
{
    if (given != NULL) {
        snprintf(path, size, "%s", given);
        return;
    }
    char folder[sizeof session->fleet.folder];
    snprintf(folder, sizeof folder, "%s", session->fleet.folder);
    char *slash = strrchr(folder, '/');
    if (slash != NULL && slash != folder)
        *slash = '\0';
    snprintf(path, size, "%s/%s", folder, name);
}

typedef void write_fn(FILE *f, const struct bench_session *session, const struct bench_row *row,
                      int nr_rows);

static int write_file(const char *path, write_fn *fn, const struct bench_session *session,
                      const struct bench_row *row, int nr_rows)
{
    FILE *f = fopen(path, "w");
    bool good = f != NULL;
    if (good) {
        fn(f, session, row, nr_rows);
        good = ferror(f) == 0;
        good = fclose(f) == 0 && good;
    }
    if (!good)
        fprintf(stderr, "skua-bench: cannot write %s: %s\n", path, strerror(errno));
    return good ? 0 : -1;
}

static int report(const struct bench_session *session)
{
    char json[4096], html[4096];
    static struct bench_row row[BENCH_ROWS_MAX];
    const int nr_rows = bench_verdict(session, row);
    bench_table(session, row, nr_rows);
    output_path(session, session->o->json, "results.json", json, sizeof json);
    output_path(session, session->o->html, "bench-report.html", html, sizeof html);
    fflush(stdout);
    int rc = write_file(json, bench_json, session, row, nr_rows);
    rc |= write_file(html, bench_html, session, row, nr_rows);
    if (rc == 0)
        printf("\n%.0f s; all samples: %s\na report to open: %s\n", bench_now() - session->begin,
               json, html);
    return rc;
}

/* Whether there is enough to compare: skua and serial runners. */
static int find_runners(struct bench_session *session)
{
    bool skua = false;
    if (bench_fleet_open(&session->fleet) > 0)
        for (int i = 0; i < BENCH_RUNNERS; i++)
            skua |= session->fleet.runner[i].built && session->fleet.runner[i].rival == BENCH_SKUA;
    if (skua)
        return 0;
    fprintf(stderr, "skua-bench: no runner-skua-* beside this program: build all of bench/\n");
    return -1;
}

static void measure_all(struct bench_session *session)
{
    while (session->nr_results < session->o->nr_kernels && !bench_interrupted) {
        if (bench_measure(session) != 0)
            return;
        const struct bench_result *last = &session->result[session->nr_results - 1];
        int rounds = 0;
        for (int i = 0; i < last->nr_series; i++)
            if (last->series[i].nr_samples > rounds)
                rounds = last->series[i].nr_samples;
        bench_progress_line("[%2d/%d] %-12s %3d rounds of %2d series, %4.1f s %s",
                            session->nr_results, session->o->nr_kernels, last->entry->name, rounds,
                            last->nr_series, last->took, last->why);
    }
}

int main(int argc, char **argv)
{
    struct bench_options o;
    static struct bench_session session;
    const int rc = bench_cmdline(argc, argv, &o);
    if (rc >= 0)
        return rc;
    catch_signals();
    session.o = &o;
    session.begin = bench_now();
    session.budget = o.quick ? QUICK_BUDGET : FULL_BUDGET;
    bench_machine_read(&session.machine);
    if (o.workers == 0)
        o.workers = session.machine.cpus;
    if (find_runners(&session) != 0)
        return 1;
    measure_all(&session);
    bench_fleet_close(&session.fleet);
    bench_progress_clear();
    int status = session.nr_failures > 0;
    if (bench_interrupted) {
        fprintf(stderr, "skua-bench: interrupted; nothing was written\n");
        status = 128 + bench_interrupted;
    } else if (report(&session) != 0) {
        status = 1;
    }
    for (int i = 0; i < session.nr_results; i++)
        bench_result_close(&session.result[i]);
    return status;
}
