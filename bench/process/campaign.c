/* skua-bench-process: what the process pool costs, and how fast it recovers, beside the floor of
 * two processes that share a cache line, skua's own thread pool, and Python's ProcessPoolExecutor.
 * Core files are forbidden: the time to write one is the disk's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "bench/process/parts.h"
#include "bench/process/pinning.h"
#include "bench/progress.h"

static const char *const parts[] = { "roundtrip", "stream", "recovery", "overshoot", "abort" };

enum {
    NR_PARTS = sizeof parts / sizeof parts[0]
};

static const char help[] =
    "usage: skua-bench-process [--quick] [--part NAME] [--unpinned] [--json FILE] [--help]\n"
    "\n"
    "Measures the process pool: one table, each goal beside its figure. Some 90 seconds.\n"
    "\n"
    "  --quick      fewer rounds: about 30 seconds\n"
    "  --part NAME  only roundtrip, stream, recovery, overshoot or abort\n"
    "  --unpinned   leave all processes where the system puts them; otherwise, but for stream and\n"
    "               abort, the caller is on one CPU and the workers are on another\n"
    "  --json FILE  where all samples go; otherwise process.json in the build folder\n"
    "  --help       this text\n"
    "\n"
    "Exit status: 0 whatever the figures; 1 where something went wrong; 2 for a wrong argument.\n";

static int mistake(const char *what, const char *word)
{
    fprintf(stderr, "skua-bench-process: %s '%s'; see skua-bench-process --help\n", what, word);
    return 2;
}

/* -1 to go on, or the status to exit with. */
static int read_arguments(int argc, char **argv, struct bench_campaign *c)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (strcmp(name, "--quick") == 0) {
            c->quick = true;
        } else if (strcmp(name, "--unpinned") == 0) {
            c->unpinned = true;
        } else if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
            fputs(help, stdout);
            return 0;
        } else if (strcmp(name, "--json") == 0 || strcmp(name, "--part") == 0) {
            if (++i == argc)
                return mistake("a word is missing after", name);
            *(name[2] == 'j' ? &c->json : &c->only) = argv[i];
        } else {
            return mistake("unknown argument", name);
        }
    }
    for (int i = 0; c->only != NULL && i < NR_PARTS; i++)
        if (strcmp(c->only, parts[i]) == 0)
            return -1;
    return c->only != NULL ? mistake("there is no part", c->only) : -1;
}

static void measure(struct bench_campaign *c, struct bench_python *python, int part)
{
    bench_progress("[%d/%d] %s", part + 1, NR_PARTS, parts[part]);
    bench_machine_probe(&c->machine);
    switch (part) {
    case 0:
        bench_roundtrip(c, python);
        break;
    case 1:
        bench_stream(c, python);
        break;
    case 2:
        bench_recovery(c);
        break;
    case 3:
        bench_overshoot(c);
        break;
    default:
        bench_abort(c, python);
    }
}

int main(int argc, char **argv)
{
    static struct bench_campaign c = { .json = BENCH_JSON };
    const int rc = read_arguments(argc, argv, &c);
    if (rc >= 0)
        return rc;
    bench_machine_read(&c.machine);
    if (c.machine.cpus < 2)
        c.unpinned = true;
    bench_pin_open();
    const struct rlimit none = { 0, 0 };
    setrlimit(RLIMIT_CORE, &none);
    struct bench_python python;
    bench_python_open(&python, 2);
    snprintf(c.python, sizeof c.python, "%s", python.version);
    for (int i = 0; i < NR_PARTS; i++)
        if (c.only == NULL || strcmp(c.only, parts[i]) == 0)
            measure(&c, &python, i);
    bench_python_close(&python);
    bench_progress_clear();
    bench_figures_table(&c);
    const int written = bench_figures_json(&c);
    if (written == 0)
        printf("\nall samples: %s\n", c.json);
    for (int i = 0; i < c.nr_figures; i++)
        free(c.figure[i].samples);
    return written != 0 || c.nr_failures > 0;
}
