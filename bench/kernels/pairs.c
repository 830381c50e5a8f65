/* The forces of all pairs j > i, an i an iteration: the first iteration is the longest, the last
 * does nothing. Only the force on i is summed up; adding to j as well would be a race in every
 * rival. */
#include <stdlib.h>
#include <string.h>

#include "bench/rivals/rival.h"

struct bodies {
    double *x, *y, *z;
    double *force; /* three for each body */
    size_t n;
};

static struct bodies b;

BENCH_INLINE void pull(size_t i, const struct bodies *c)
{
    const double *restrict x = c->x, *restrict y = c->y, *restrict z = c->z;
    const double xi = x[i], yi = y[i], zi = z[i];
    double fx = 0, fy = 0, fz = 0;
    for (size_t j = i + 1; j < c->n; j++) {
        const double dx = x[j] - xi, dy = y[j] - yi, dz = z[j] - zi;
        const double rr = dx * dx + dy * dy + dz * dz + 1e-3;
        const double w = 1.0 / (rr * rr);
        fx += w * dx;
        fy += w * dy;
        fz += w * dz;
    }
    c->force[3 * i] = fx;
    c->force[3 * i + 1] = fy;
    c->force[3 * i + 2] = fz;
}

RIVAL_LOOP(pull_all, struct bodies, pull)

static void teardown(void)
{
    free(b.x);
    free(b.y);
    free(b.z);
    free(b.force);
    b = (struct bodies){ 0 };
}

static int setup(const struct bench_how *how, size_t size)
{
    (void)how;
    b.n = size;
    b.x = bench_array(size, sizeof *b.x);
    b.y = bench_array(size, sizeof *b.y);
    b.z = bench_array(size, sizeof *b.z);
    b.force = bench_array(3 * size, sizeof *b.force);
    if (b.x == NULL || b.y == NULL || b.z == NULL || b.force == NULL)
        return -1;
    for (size_t i = 0; i < size; i++) {
        b.x[i] = bench_uniform(3 * i);
        b.y[i] = bench_uniform(3 * i + 1);
        b.z[i] = bench_uniform(3 * i + 2);
    }
    return 0;
}

static void reset(const struct bench_how *how)
{
    (void)how;
    memset(b.force, 0, 3 * b.n * sizeof *b.force);
}

static void run(const struct bench_how *how)
{
    pull_all(how, b.n, &b);
}

static struct bench_check check(void)
{
    return bench_hash(b.force, 3 * b.n);
}

const struct bench_kernel bench_pairs = { "pairs", setup, reset, run, NULL, check, teardown };
