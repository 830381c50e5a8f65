/* cg: reads a Matrix Market file and solves a system with its matrix by conjugate gradients.
 *
 *     cg examples/data/poisson2d-20.mtx
 *
 * The work is done by skua; built with -DCG_OPENMP -fopenmp the same files are the same program on
 * OpenMP. Where that one lies beside this one as cg-openmp, it is run too, and the times compared.
 *
 * Exit status: 0 converged; 1 it did not, or memory ran out; 2 wrong usage or a bad file. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cg_rival.h"
#include "cg_solve.h"
#include "mtx.h"

enum {
    EXIT_NOT_SOLVED = 1,
    EXIT_BAD_INPUT = 2
};

/* More threads than any machine has are a slip of the hand. */
#define MAX_WORKERS 4096

static const char usage[] =
    "usage: cg [options] FILE.mtx\n"
    "Solves A x = A * ones by conjugate gradients. A is the symmetric matrix in FILE.mtx; - is\n"
    "standard input.\n"
    "  --workers N         threads to use; the library's choice if not given\n"
    "  --tolerance T       stop at this residual, relative to the start; 1e-8 if not given\n"
    "  --max-iterations N  give up after N; 10000 if not given\n"
    "  --alone             do not run cg-openmp for comparison\n"
    "  --verbose           print the residual with all its digits\n"
    "  --help              print this\n";

struct arguments {
    struct cg_options cg;
    bool alone;
    bool verbose;
    bool help;
    char *path;
};

static bool parse_whole(const char *option, const char *text, long high, long *value)
{
    char *end = NULL;
    errno = 0;
    *value = strtol(text, &end, 10);
    if (end != text && *end == '\0' && errno == 0 && *value >= 1 && *value <= high)
        return true;
    (void)fprintf(stderr, "cg: --%s %s is not a whole number in 1..%ld\n", option, text, high);
    return false;
}

static bool parse_tolerance(const char *text, double *value)
{
    char *end = NULL;
    *value = strtod(text, &end);
    if (end != text && *end == '\0' && *value > 0.0 && *value < 1.0)
        return true;
    (void)fprintf(stderr, "cg: --tolerance %s is not a number between 0 and 1\n", text);
    return false;
}

static bool parse_option(int option, struct arguments *a)
{
    long workers = 0;
    switch (option) {
    case 'w':
        if (!parse_whole("workers", optarg, MAX_WORKERS, &workers))
            return false;
        a->cg.workers = (int)workers;
        return true;
    case 't':
        return parse_tolerance(optarg, &a->cg.tolerance);
    case 'm':
        return parse_whole("max-iterations", optarg, LONG_MAX, &a->cg.max_iterations);
    case 'a':
        return a->alone = true;
    case 'v':
        return a->verbose = true;
    case 'h':
        return a->help = true;
    default:
        return false; /* getopt_long() has said why */
    }
}

static bool parse_arguments(int argc, char *argv[], struct arguments *a)
{
    static const struct option options[] = {
        { "workers", required_argument, NULL, 'w' },
        { "tolerance", required_argument, NULL, 't' },
        { "max-iterations", required_argument, NULL, 'm' },
        { "alone", no_argument, NULL, 'a' },
        { "verbose", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    for (int option = 0; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        if (!parse_option(option, a))
            return false;
    if (a->help)
        return true;
    if (argc - optind != 1) {
        (void)fprintf(stderr, "cg: %d files given, but it takes one; see cg --help\n",
                      argc - optind);
        return false;
    }
    a->path = argv[optind];
    return true;
}

/* Whether standard output is a terminal; main() finds out. */
static bool on_terminal;

/* On a terminal one line that is written over ten times a second, else a line after 0, 1, 2, 4, 8,
 * ... iterations, so that a log stays short. */
static void show_progress(long iteration, double residual)
{
    static long next = 0;
    static struct timespec shown = { 0, 0 };
    if (!on_terminal) {
        if (iteration < next)
            return;
        next = iteration < 1 ? 1 : iteration > LONG_MAX / 2 ? LONG_MAX : 2 * iteration;
        (void)printf("iteration %6ld  residual %.3e\n", iteration, residual);
        return;
    }
    struct timespec t = { 0, 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    const double since =
        (double)(t.tv_sec - shown.tv_sec) + 1e-9 * (double)(t.tv_nsec - shown.tv_nsec);
    if (since < 0.1)
        return;
    shown = t;
    (void)printf("\riteration %6ld  residual %.3e ", iteration, residual);
    (void)fflush(stdout);
}

static int load(const char *path, struct mtx_csr *m)
{
    char error[MTX_ERROR_SIZE];
    const bool piped = strcmp(path, "-") == 0;
    const char *name = piped ? "standard input" : path;
    enum mtx_status status = piped ? mtx_read(stdin, name, 0, m, error, sizeof error)
                                   : mtx_load(path, m, error, sizeof error);
    if (status == MTX_OK)
        status = mtx_check_symmetric(m, name, error, sizeof error);
    if (status == MTX_OK)
        return 0;
    (void)fprintf(stderr, "%s\n", error);
    mtx_free(m);
    return status == MTX_NO_MEMORY ? EXIT_NOT_SOLVED : EXIT_BAD_INPUT;
}

static void report(const struct cg_result *r, const struct mtx_csr *m, bool verbose)
{
    const int digits = verbose ? 17 : 3;
    if (on_terminal)
        (void)printf("\r%-48s\r", "");
    (void)printf("matrix         %zu rows, %zu entries\n", m->rows, m->row_start[m->rows]);
    (void)printf("iterations     %ld\n", r->iterations);
    (void)printf("residual       %.*g\n", digits, r->residual);
    (void)printf("true residual  %.*g\n", digits, r->true_residual);
    (void)printf("max error      %.*g\n", digits, r->max_error);
    (void)printf("time           %.6f s\n", r->seconds);
    (void)printf("workers        %d (%s)\n", r->workers, r->library);
}

/* Runs the OpenMP program on the same file with as many threads, if it is there. */
static void compare(const struct arguments *a, const struct cg_result *mine)
{
    char path[PATH_MAX];
    char workers[32];
    char tolerance[48];
    char iterations[48];
    char words[128];
    struct rival_result other = { 0, 0 };
    if (!rival_find("cg-openmp", path, sizeof path))
        return;
    (void)snprintf(workers, sizeof workers, "--workers=%d", mine->workers);
    (void)snprintf(tolerance, sizeof tolerance, "--tolerance=%.17g", a->cg.tolerance);
    (void)snprintf(iterations, sizeof iterations, "--max-iterations=%ld", a->cg.max_iterations);
    char alone[] = "--alone";
    char end[] = "--";
    char *argv[] = { path, alone, workers, tolerance, iterations, end, a->path, NULL };
    (void)fflush(stdout);
    if (!rival_run(argv, &other, words, sizeof words)) {
        (void)printf("openmp         cg-openmp %s\n", words);
        return;
    }
    (void)printf("openmp         %.6f s, %ld iterations\n", other.seconds, other.iterations);
    (void)printf("ratio          %.2f (time of %s / time of openmp)\n",
                 mine->seconds / other.seconds, mine->library);
}

static int judge(const struct arguments *a, const struct cg_result *r)
{
    switch (r->end) {
    case CG_CONVERGED:
        return EXIT_SUCCESS;
    case CG_GAVE_UP:
        (void)fprintf(stderr, "cg: no convergence: residual %.3e after %ld iterations\n",
                      r->residual, r->iterations);
        return EXIT_NOT_SOLVED;
    default:
        (void)fprintf(stderr, "cg: %s: %s after %ld iterations\n", a->path, r->problem,
                      r->iterations);
        return EXIT_NOT_SOLVED;
    }
}

int main(int argc, char *argv[])
{
    struct arguments a = {
        .cg = { .tolerance = 1e-8, .max_iterations = 10000, .progress = show_progress }
    };
    if (!parse_arguments(argc, argv, &a))
        return EXIT_BAD_INPUT;
    if (a.help)
        return fputs(usage, stdout) == EOF ? EXIT_NOT_SOLVED : EXIT_SUCCESS;

    on_terminal = isatty(STDOUT_FILENO);
    struct mtx_csr m;
    int rc = load(a.path, &m);
    if (rc != 0)
        return rc;
    struct cg_result result;
    cg_solve(&m, &a.cg, &result);
    if (result.end == CG_CONVERGED || result.end == CG_GAVE_UP)
        report(&result, &m, a.verbose);
    mtx_free(&m);
    /* What came through a pipe cannot be read a second time. */
    if (result.end == CG_CONVERGED && !a.alone && strcmp(a.path, "-") != 0 &&
        strcmp(result.library, "openmp") != 0)
        compare(&a, &result);
    (void)fflush(stdout);
    rc = judge(&a, &result);
    if (ferror(stdout)) {
        (void)fprintf(stderr, "cg: cannot write the results\n");
        return EXIT_NOT_SOLVED;
    }
    return rc;
}
