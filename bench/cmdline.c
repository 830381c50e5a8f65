/* The driver's command line. By hand and not by getopt_long: a mistake names its valid values. */
#include "bench/cmdline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char help[] =
    "usage: skua-bench [--quick] [--kernel NAME]... [--workers N] [--reps N]\n"
    "                  [--json FILE] [--html FILE] [--list] [--help]\n"
    "\n"
    "Runs each kernel serially, with skua and with OpenMP (gcc's libgomp, clang's libomp), on one\n"
    "worker and on all, interleaved, and prints medians and ratios. Under 4 minutes on 2 cores.\n"
    "\n"
    "  --quick         smaller sizes and fewer schedules: under 45 seconds\n"
    "  --kernel NAME   only this kernel; may be repeated (names: --list)\n"
    "  --workers N     what \"all\" workers are; otherwise the CPUs this process may use\n"
    "  --reps N        N rounds for each kernel; otherwise as many as the time allows\n"
    "  --json FILE     where all samples go; otherwise results.json in the build folder\n"
    "  --html FILE     where the report goes; otherwise bench-report.html in the build folder\n"
    "  --list          the kernels\n"
    "  --help          this text\n"
    "\n"
    "Exit status: 0; 1 where a result was wrong or a runner failed; 2 for a wrong argument.\n";

static int mistake(const char *format, const char *word, const char *more)
{
    fprintf(stderr, "skua-bench: ");
    fprintf(stderr, format, word, more);
    fprintf(stderr, "; see skua-bench --help\n");
    return 2;
}

static int list(void)
{
    for (int i = 0; i < bench_nr_entries; i++)
        printf("%-12s %s\n", bench_catalogue[i].name, bench_catalogue[i].what);
    return 0;
}

static int add_kernel(const char *name, struct bench_options *o)
{
    const struct bench_entry *e = bench_find(name);
    if (e == NULL) {
        fprintf(stderr, "skua-bench: no kernel '%s'; there are", name);
        for (int i = 0; i < bench_nr_entries; i++)
            fprintf(stderr, " %s", bench_catalogue[i].name);
        fprintf(stderr, "\n");
        return 2;
    }
    for (int i = 0; i < o->nr_kernels; i++)
        if (o->kernels[i] == e)
            return -1;
    o->kernels[o->nr_kernels++] = e;
    return -1;
}

static int read_number(const char *name, const char *word, int max, int *to)
{
    char *end, range[48];
    errno = 0;
    const long value = strtol(word, &end, 10);
    if (errno == 0 && end != word && *end == '\0' && value >= 1 && value <= max) {
        *to = (int)value;
        return -1;
    }
    snprintf(range, sizeof range, "'%s' is not in 1 to %d", word, max);
    return mistake("%s: %s", name, range);
}

static int read_option(const char *name, const char *word, struct bench_options *o)
{
    if (strcmp(name, "--kernel") == 0)
        return add_kernel(word, o);
    if (strcmp(name, "--workers") == 0)
        return read_number(name, word, BENCH_WORKERS_MAX, &o->workers);
    if (strcmp(name, "--reps") == 0)
        return read_number(name, word, BENCH_REPS_MAX, &o->reps);
    if (*word == '\0')
        return mistake("%s needs a file name%s", name, "");
    if (strcmp(name, "--json") == 0)
        o->json = word;
    else
        o->html = word;
    return -1;
}

static bool takes_word(const char *name)
{
    static const char *const names[] = { "--kernel", "--workers", "--reps", "--json", "--html" };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

int bench_cmdline(int argc, char **argv, struct bench_options *o)
{
    *o = (struct bench_options){ 0 };
    for (int i = 1; i < argc; i++) {
        char name[32];
        const char *equals = strchr(argv[i], '=');
        const size_t length = equals != NULL ? (size_t)(equals - argv[i]) : strlen(argv[i]);
        snprintf(name, sizeof name, "%.*s", (int)(length < 31 ? length : 31), argv[i]);
        int rc = -1;
        if (takes_word(name)) {
            const char *word = equals != NULL ? equals + 1 : argv[++i];
            rc =
                word != NULL ? read_option(name, word, o) : mistake("%s needs a%s", name, " value");
        } else if (strcmp(argv[i], "--quick") == 0) {
            o->quick = true;
        } else if (strcmp(argv[i], "--list") == 0) {
            return list();
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        } else {
            rc = mistake("unknown argument '%s'%s", argv[i], "");
        }
        if (rc >= 0)
            return rc;
    }
    if (o->nr_kernels == 0)
        for (int i = 0; i < bench_nr_entries; i++)
            o->kernels[o->nr_kernels++] = &bench_catalogue[i];
    return -1;
}
