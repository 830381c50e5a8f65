/* The Mandelbrot set, a row an iteration. The window is not symmetric, so that equal blocks of rows
 * are unequal work for any number of workers. */
#include <stdlib.h>
#include <string.h>

#include "bench/rivals/rival.h"

enum {
    ITERATIONS = 256
};

struct picture {
    uint16_t *counts;
    size_t n; /* rows, and columns */
};

static struct picture p;

BENCH_INLINE int escape(double cx, double cy)
{
    double x = 0, y = 0, xx = 0, yy = 0;
    int k = 0;
    while (k < ITERATIONS && xx + yy <= 4.0) {
        y = 2 * x * y + cy;
        x = xx - yy + cx;
        xx = x * x;
        yy = y * y;
        k++;
    }
    return k;
}

BENCH_INLINE void row(size_t i, const struct picture *c)
{
    const double step = 1.0 / (double)c->n;
    const double cy = -0.2 + 1.4 * step * (double)i;
    for (size_t j = 0; j < c->n; j++)
        c->counts[i * c->n + j] = (uint16_t)escape(-2.0 + 2.6 * step * (double)j, cy);
}

RIVAL_LOOP(all_rows, struct picture, row)

static void teardown(void)
{
    free(p.counts);
    p = (struct picture){ 0 };
}

static int setup(const struct bench_how *how, size_t size)
{
    (void)how;
    p.n = size;
    p.counts = bench_array(size * size, sizeof *p.counts);
    return p.counts == NULL ? -1 : 0;
}

static void reset(const struct bench_how *how)
{
    (void)how;
    memset(p.counts, 0, p.n * p.n * sizeof *p.counts);
}

static void run(const struct bench_how *how)
{
    all_rows(how, p.n, &p);
}

static struct bench_check check(void)
{
    struct bench_check c = { 0, 0 };
    for (size_t i = 0; i < p.n * p.n; i++)
        c.bits = bench_mix(c.bits ^ p.counts[i]);
    return c;
}

const struct bench_kernel bench_mandelbrot = { "mandelbrot", setup, reset,   run,
                                               NULL,         check, teardown };
