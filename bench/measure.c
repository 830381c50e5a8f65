/* Takes the samples. A round visits every series once, in an order that is turned by some places
 * from round to round: drift and disturbances of the machine hit all alike. Each visit wakes the
 * team, runs the kernel once untimed unless it is long, and then once timed. The round before the
 * first is for checking alone: it counts for nobody.
 *
 * Every result is compared: with the same bits where the order of the arithmetic is fixed, else
 * within the kernel's tolerance. The time that is left is shared out among the kernels that are
 * left, so that one that needs little gives the rest to the others. */
#include "bench/measure.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bench/progress.h"

static const double SETUP_TIMEOUT = 60, RUN_TIMEOUT = 60;
static const double LONG_RUN = 40e-3; /* seconds: not run twice in a visit */

enum {
    ROUNDS_MIN = 3,
    ROUNDS_MAX = 25
};

void bench_fail(struct bench_session *session, const char *format, ...)
{
    const int i = session->nr_failures++;
    if (i >= (int)(sizeof session->failures / sizeof session->failures[0]))
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(session->failures[i], sizeof session->failures[i], format, args);
    va_end(args);
    bench_progress_line("FAILED: %s", session->failures[i]);
}

/* Leaves a series out, or, where its runner has died, all the series of that runner. */
static void drop(struct bench_session *session, struct bench_result *result, struct bench_series *s)
{
    if (bench_interrupted)
        return;
    bench_fail(session, "%s: %s, %s on %d: %s", result->entry->name, s->runner->name,
               bench_schedule_text(s).text, s->workers, s->runner->why);
    s->failed = true;
    for (int i = 0; i < result->nr_series; i++)
        if (result->series[i].runner->pid == 0)
            result->series[i].failed = true;
}

static void check(struct bench_session *session, struct bench_result *result,
                  struct bench_series *s, uint64_t bits, double value)
{
    const struct bench_entry *e = result->entry;
    if (!result->known) {
        result->known = true;
        result->bits = bits;
        result->value = value;
    }
    bool good = e->tolerance > 0 ? fabs(value - result->value) <= e->tolerance * fabs(result->value)
                                 : bits == result->bits;
    if (e->reproducible && s->runner->rival == BENCH_SKUA) {
        if (!result->fixed)
            result->fixed_bits = bits;
        result->fixed = true;
        good = good && bits == result->fixed_bits;
    }
    if (good)
        return;
    snprintf(s->runner->why, sizeof s->runner->why,
             "wrong result %016" PRIx64 " (%.17g), expected %016" PRIx64 " (%.17g)", bits, value,
             e->reproducible && result->fixed ? result->fixed_bits : result->bits, result->value);
    drop(session, result, s);
}

/* One visit. With nothing to compare with (round < 0), or wherever checking is cheap, it checks. */
static void visit(struct bench_session *session, struct bench_result *result,
                  struct bench_series *s, int round)
{
    char reply[256];
    double seconds, tail, share, value;
    uint64_t bits;
    const bool checked = round < 0 || !result->entry->heavy;
    const bool warm = round >= 0 && s->last < LONG_RUN;
    if (bench_runner_ask(s->runner, RUN_TIMEOUT, reply, sizeof reply, "run %d %d %zu %d %d",
                         s->workers, (int)s->schedule, s->chunk, warm, checked) != 0) {
        drop(session, result, s);
        return;
    }
    if (sscanf(reply, "%lf %lf %lf %" SCNx64 " %lf", &seconds, &tail, &share, &bits, &value) != 5) {
        snprintf(s->runner->why, sizeof s->runner->why, "unreadable answer '%.80s'", reply);
        drop(session, result, s);
        return;
    }
    s->last = seconds;
    if (checked)
        check(session, result, s, bits, value);
    if (round < 0 || s->failed)
        return;
    s->seconds[s->nr_samples] = seconds;
    s->tail[s->nr_samples] = tail;
    s->share[s->nr_samples] = share;
    s->nr_samples++;
}

static int run_round(struct bench_session *session, struct bench_result *result, int round)
{
    const int n = result->nr_series, start = (round + 1) * 7 % n;
    for (int i = 0; i < n && !bench_interrupted; i++) {
        struct bench_series *s = &result->series[(start + i) % n];
        if (s->failed)
            continue;
        bench_progress("[%d/%d] %-11s round %d  %s %s on %d   %.0f s of at most %.0f",
                       session->nr_results, session->o->nr_kernels, result->entry->name, round + 1,
                       s->runner->label, bench_schedule_text(s).text, s->workers,
                       bench_now() - session->begin, session->budget);
        visit(session, result, s, round);
    }
    return bench_interrupted ? -1 : 0;
}

static void setup(struct bench_session *session, struct bench_result *result)
{
    for (int i = 0; i < BENCH_RUNNERS && !bench_interrupted; i++) {
        struct bench_runner *r = &session->fleet.runner[i];
        if (r->pid == 0)
            continue;
        bench_progress("[%d/%d] %-11s set-up of %s   %.0f s of at most %.0f", session->nr_results,
                       session->o->nr_kernels, result->entry->name, r->name,
                       bench_now() - session->begin, session->budget);
        if (bench_runner_ask(r, SETUP_TIMEOUT, NULL, 0, "setup %s %zu %d", result->entry->name,
                             result->size, session->o->workers) == 0)
            continue;
        if (!bench_interrupted)
            bench_fail(session, "%s: set-up of %s: %s", result->entry->name, r->name, r->why);
        for (int k = 0; k < result->nr_series; k++)
            if (result->series[k].runner == r)
                result->series[k].failed = true;
    }
}

/* Whether the memory of all runners together fits. */
static bool fits(struct bench_result *result, int nr_runners)
{
    const double needed = (double)result->entry->mib * nr_runners;
    const double free_mib = bench_machine_free_mib();
    if (needed <= 0.8 * free_mib)
        return true;
    result->skipped = true;
    snprintf(result->why, sizeof result->why, "needs %.0f MiB of memory, and %.0f are free", needed,
             free_mib);
    return false;
}

static void run_rounds(struct bench_session *session, struct bench_result *result, double begin)
{
    const struct bench_options *o = session->o;
    const int left = o->nr_kernels - session->nr_results + 1;
    const double until = begin + (session->begin + session->budget - begin) / left;
    setup(session, result);
    if (result->nr_series == 0 || run_round(session, result, -1) != 0)
        return;
    double longest = 0;
    for (int round = 0; round < (o->reps > 0 ? o->reps : ROUNDS_MAX); round++) {
        const double start = bench_now();
        const int least = start > session->begin + session->budget ? 1 : ROUNDS_MIN;
        if (o->reps == 0 && round >= least && start + longest > until)
            break;
        if (run_round(session, result, round) != 0)
            return;
        longest = fmax(longest, bench_now() - start);
    }
}

int bench_measure(struct bench_session *session)
{
    const struct bench_entry *entry = session->o->kernels[session->nr_results];
    struct bench_result *result = &session->result[session->nr_results++];
    const double begin = bench_now();
    int nr_runners = 0;
    bench_machine_probe(&session->machine);
    for (int i = 0; i < BENCH_RUNNERS && !bench_interrupted; i++) {
        struct bench_runner *r = &session->fleet.runner[i];
        if (r->built && bench_runner_start(&session->fleet, r) != 0 && !bench_interrupted)
            bench_fail(session, "%s: start of %s: %s", entry->name, r->name, r->why);
        nr_runners += r->pid != 0;
    }
    if (bench_result_open(result, entry, &session->fleet, session->o) != 0) {
        bench_fail(session, "%s: no memory for its samples", entry->name);
        return 0;
    }
    if (fits(result, nr_runners)) {
        run_rounds(session, result, begin);
        for (int i = 0; i < BENCH_RUNNERS && !bench_interrupted; i++)
            if (session->fleet.runner[i].pid != 0)
                bench_runner_ask(&session->fleet.runner[i], SETUP_TIMEOUT, NULL, 0, "teardown");
    }
    result->took = bench_now() - begin;
    return bench_interrupted ? -1 : 0;
}
