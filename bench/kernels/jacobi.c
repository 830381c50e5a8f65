/* Jacobi sweeps of the five-point Laplacian, a row an iteration, a loop for each sweep. 200 x
 * 200 fits into a core's cache and a sweep takes microseconds: the cost of a region decides.
 * 4000 x 4000 lives in memory. The grid starts from numbers in [1, 2), so that no value ever
 * becomes denormal. */
#include <stdlib.h>

#include "bench/rivals/rival.h"

struct grid {
    double *from, *to;
    size_t n; /* rows, and columns, with the border */
};

static struct grid g;
static size_t sweeps; /* of a run; even, so that the result is in from */

BENCH_INLINE void fill(size_t i, const struct grid *c)
{
    for (size_t j = 0; j < c->n; j++) {
        const double v = 1.0 + bench_uniform(i * c->n + j);
        c->from[i * c->n + j] = v;
        c->to[i * c->n + j] = v;
    }
}

BENCH_INLINE void sweep(size_t i, const struct grid *c)
{
    const size_t n = c->n;
    const double *restrict from = c->from + (i + 1) * n;
    double *restrict to = c->to + (i + 1) * n;
    for (size_t j = 1; j < n - 1; j++)
        to[j] = 0.25 * ((from[j - n] + from[j + n]) + (from[j - 1] + from[j + 1]));
}

RIVAL_LOOP(fill_all, struct grid, fill)
RIVAL_LOOP(sweep_all, struct grid, sweep)

static void teardown(void)
{
    free(g.from);
    free(g.to);
    g = (struct grid){ 0 };
}

static void reset(const struct bench_how *how)
{
    fill_all(how, g.n, &g);
}

static int setup(const struct bench_how *how, size_t n, size_t nr_sweeps)
{
    sweeps = nr_sweeps + nr_sweeps % 2;
    g.n = n;
    g.from = bench_array(n * n, sizeof *g.from);
    g.to = bench_array(n * n, sizeof *g.to);
    if (g.from == NULL || g.to == NULL)
        return -1;
    reset(how);
    return 0;
}

static int setup_small(const struct bench_how *how, size_t nr_sweeps)
{
    return setup(how, 200, nr_sweeps);
}

static int setup_large(const struct bench_how *how, size_t nr_sweeps)
{
    return setup(how, 4000, nr_sweeps);
}

static void run(const struct bench_how *how)
{
    for (size_t s = 0; s < sweeps; s++) {
        sweep_all(how, g.n - 2, &g);
        double *swap = g.from;
        g.from = g.to;
        g.to = swap;
    }
}

static struct bench_check check(void)
{
    return bench_hash(g.from, g.n * g.n);
}

const struct bench_kernel bench_jacobi200 = { "jacobi200", setup_small, reset,   run,
                                              NULL,        check,       teardown };
const struct bench_kernel bench_jacobi4000 = { "jacobi4000", setup_large, reset,   run,
                                               NULL,         check,       teardown };
