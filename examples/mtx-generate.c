/* mtx-generate: writes symmetric positive definite matrices as Matrix Market files.
 *
 *     mtx-generate poisson2d 300 > big.mtx
 *
 * The files hold the lower triangle. The same arguments give the same file, everywhere.
 *
 * Exit status: 0 written; 1 the file could not be written; 2 wrong usage. */
#define _POSIX_C_SOURCE 200809L
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    EXIT_NOT_WRITTEN = 1,
    EXIT_USAGE = 2
};

static const char usage[] =
    "usage: mtx-generate [options] KIND N\n"
    "Writes a symmetric positive definite matrix as a Matrix Market file. KIND is\n"
    "  poisson2d  the 5-point Laplacian on an N x N grid: N^2 rows\n"
    "  poisson3d  the 7-point Laplacian on an N x N x N grid: N^3 rows\n"
    "  random     N rows with entries at random columns, dominated by the diagonal\n"
    "and the options are\n"
    "  --output FILE  write there; to standard output if not given\n"
    "  --per-row K    random: at most K entries in a row left of the diagonal; 8 if not given\n"
    "  --seed S       random: another matrix for each S; 1 if not given\n"
    "  --help         print this\n";

struct arguments {
    const char *kind;
    const char *output; /* NULL: standard output */
    uint64_t n;
    uint64_t per_row;
    uint64_t seed;
    bool help;
};

/* The 2- and 3-D Laplacians: the diagonal is twice the number of dimensions, each neighbour -1. */
static void write_poisson(FILE *out, uint64_t n, int dimensions)
{
    const uint64_t stride[] = { 1, n, n * n };
    const uint64_t rows = dimensions == 2 ? n * n : n * n * n;
    const uint64_t neighbours = (uint64_t)dimensions * (rows - rows / n);
    (void)fprintf(out, "%%%%MatrixMarket matrix coordinate integer symmetric\n");
    (void)fprintf(out,
                  "%% the Laplacian on a %d-dimensional grid with sides of %" PRIu64 " points\n",
                  dimensions, n);
    (void)fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", rows, rows, rows + neighbours);
    for (uint64_t i = 0; i < rows && !ferror(out); i++) {
        for (int d = dimensions - 1; d >= 0; d--)
            if (i / stride[d] % n > 0)
                (void)fprintf(out, "%" PRIu64 " %" PRIu64 " -1\n", i + 1, i + 1 - stride[d]);
        (void)fprintf(out, "%" PRIu64 " %" PRIu64 " %d\n", i + 1, i + 1, 2 * dimensions);
    }
}

/* A hash whose values look random: the finaliser of splitmix64 (Steele, Lea, Flood, 2014). */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* The k-th of the count entries of row i, 0 <= k < count <= i. Each lies in a stretch of columns of
 * its own, so they differ and ascend. */
static double random_entry(uint64_t seed, uint64_t i, uint64_t k, uint64_t count, uint64_t *column)
{
    const uint64_t begin = i * k / count;
    const uint64_t end = i * (k + 1) / count;
    const uint64_t bits = mix(mix(mix(seed) ^ i) ^ k);
    *column = begin + bits % (end - begin);
    return (double)(mix(bits) >> 11) * 0x1p-52 - 1.0;
}

static uint64_t row_count(const struct arguments *a, uint64_t i)
{
    return i < a->per_row ? i : a->per_row;
}

/* Each diagonal entry is the sum of the magnitudes in its row, plus one: by Gershgorin's circles
 * all eigenvalues are at least one. The entries are made twice, for the sums and for the file. */
static bool write_random(FILE *out, const struct arguments *a)
{
    double *diagonal = calloc(a->n, sizeof *diagonal);
    if (diagonal == NULL)
        return false;
    uint64_t entries = a->n;
    uint64_t j = 0;
    for (uint64_t i = 0; i < a->n; i++) {
        const uint64_t count = row_count(a, i);
        entries += count;
        diagonal[i] += 1.0;
        for (uint64_t k = 0; k < count; k++) {
            const double value = random_entry(a->seed, i, k, count, &j);
            diagonal[i] += value < 0 ? -value : value;
            diagonal[j] += value < 0 ? -value : value;
        }
    }
    (void)fprintf(out, "%%%%MatrixMarket matrix coordinate real symmetric\n");
    (void)fprintf(out, "%% random, dominated by its diagonal; seed %" PRIu64 "\n", a->seed);
    (void)fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", a->n, a->n, entries);
    for (uint64_t i = 0; i < a->n && !ferror(out); i++) {
        const uint64_t count = row_count(a, i);
        for (uint64_t k = 0; k < count; k++) {
            const double value = random_entry(a->seed, i, k, count, &j);
            (void)fprintf(out, "%" PRIu64 " %" PRIu64 " %.17g\n", i + 1, (j + 1), value);
        }
        (void)fprintf(out, "%" PRIu64 " %" PRIu64 " %.17g\n", i + 1, i + 1, diagonal[i]);
    }
    free(diagonal);
    return true;
}

static bool parse_number(const char *what, const char *text, uint64_t low, uint64_t high,
                         uint64_t *value)
{
    errno = 0;
    *value = strtoull(text, NULL, 10);
    if (*text != '\0' && text[strspn(text, "0123456789")] == '\0' && errno == 0 && *value >= low &&
        *value <= high)
        return true;
    (void)fprintf(stderr, "mtx-generate: %s %s is not a whole number in %" PRIu64 "..%" PRIu64 "\n",
                  what, text, low, high);
    return false;
}

static bool parse_options(int argc, char *argv[], struct arguments *a)
{
    static const struct option options[] = {
        { "output", required_argument, NULL, 'o' },
        { "per-row", required_argument, NULL, 'k' },
        { "seed", required_argument, NULL, 's' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    bool good = true;
    for (int option = 0; good && (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'o')
            a->output = optarg;
        else if (option == 'k')
            good = parse_number("--per-row", optarg, 0, 1000000, &a->per_row);
        else if (option == 's')
            good = parse_number("--seed", optarg, 0, UINT64_MAX, &a->seed);
        else if (option == 'h')
            a->help = true;
        else
            good = false;
    }
    return good;
}

/* The largest N of each kind keeps the number of rows in 32 bits, as readers expect. */
static bool parse_arguments(int argc, char *argv[], struct arguments *a)
{
    if (!parse_options(argc, argv, a))
        return false;
    if (a->help)
        return true;
    if (argc - optind != 2) {
        (void)fprintf(stderr,
                      "mtx-generate: it takes a kind and a size; see mtx-generate --help\n");
        return false;
    }
    a->kind = argv[optind];
    const char *size = argv[optind + 1];
    if (strcmp(a->kind, "poisson2d") == 0)
        return parse_number("size", size, 1, 65535, &a->n);
    if (strcmp(a->kind, "poisson3d") == 0)
        return parse_number("size", size, 1, 1625, &a->n);
    if (strcmp(a->kind, "random") == 0)
        return parse_number("size", size, 1, UINT32_MAX, &a->n);
    (void)fprintf(stderr, "mtx-generate: kind '%s' is none of poisson2d, poisson3d and random\n",
                  a->kind);
    return false;
}

static bool write_matrix(FILE *out, const struct arguments *a)
{
    if (strcmp(a->kind, "random") == 0)
        return write_random(out, a);
    write_poisson(out, a->n, strcmp(a->kind, "poisson2d") == 0 ? 2 : 3);
    return true;
}

int main(int argc, char *argv[])
{
    struct arguments a = { .per_row = 8, .seed = 1 };
    if (!parse_arguments(argc, argv, &a))
        return EXIT_USAGE;
    if (a.help)
        return fputs(usage, stdout) == EOF ? EXIT_NOT_WRITTEN : EXIT_SUCCESS;

    const char *name = a.output != NULL ? a.output : "standard output";
    FILE *out = a.output != NULL ? fopen(a.output, "w") : stdout;
    if (out == NULL) {
        (void)fprintf(stderr, "mtx-generate: cannot open %s: %s\n", name, strerror(errno));
        return EXIT_NOT_WRITTEN;
    }
    if (!write_matrix(out, &a)) {
        (void)fprintf(stderr, "mtx-generate: no memory for %" PRIu64 " rows\n", a.n);
        return EXIT_NOT_WRITTEN;
    }
    bool failed = ferror(out) != 0;
    int why = errno;
    if (fclose(out) != 0 && !failed) {
        failed = true;
        why = errno;
    }
    if (!failed)
        return EXIT_SUCCESS;
    (void)fprintf(stderr, "mtx-generate: cannot write %s: %s\n", name, strerror(why));
    return EXIT_NOT_WRITTEN;
}
