/* Dot product. An iteration is a block of 496 products, summed in eight strands in a fixed
 * order: so it has the same bits with every compiler, and is fast without leave to reorder
 * additions. The order in which the blocks are added is the rival's; skua can be asked for a
 * fixed one. */
#include <stdlib.h>

#include "bench/rivals/rival.h"

enum {
    STRANDS = 8,
    BLOCK = 496 /* a multiple of STRANDS, and no power of two */
};

struct dot {
    double *x, *y;
    size_t n; /* blocks */
};

static struct dot d;
static double result;

BENCH_INLINE void fill(size_t block, const struct dot *c)
{
    for (size_t i = block * BLOCK; i < (block + 1) * BLOCK; i++) {
        c->x[i] = bench_uniform(2 * i) - 0.25;
        c->y[i] = bench_uniform(2 * i + 1);
    }
}

BENCH_INLINE double block_sum(size_t block, const struct dot *c)
{
    const double *restrict x = c->x + block * BLOCK, *restrict y = c->y + block * BLOCK;
    double s[STRANDS] = { 0 };
    for (size_t i = 0; i < BLOCK; i += STRANDS)
        for (size_t k = 0; k < STRANDS; k++)
            s[k] += x[i + k] * y[i + k];
    return ((s[0] + s[1]) + (s[2] + s[3])) + ((s[4] + s[5]) + (s[6] + s[7]));
}

RIVAL_LOOP(fill_all, struct dot, fill)
RIVAL_REDUCE(sum_all, struct dot, block_sum)

static void teardown(void)
{
    free(d.x);
    free(d.y);
    d = (struct dot){ 0 };
}

static int setup(const struct bench_how *how, size_t size)
{
    d = (struct dot){ .n = size / BLOCK };
    d.x = bench_array(d.n * BLOCK, sizeof *d.x);
    d.y = bench_array(d.n * BLOCK, sizeof *d.y);
    if (d.x == NULL || d.y == NULL)
        return -1;
    fill_all(how, d.n, &d);
    return 0;
}

static void reset(const struct bench_how *how)
{
    (void)how;
    result = 0;
}

static void run(const struct bench_how *how)
{
    result = sum_all(how, d.n, &d);
}

static void run_reproducible(const struct bench_how *how)
{
    struct bench_how fixed = *how;
    fixed.reproducible = true;
    result = sum_all(&fixed, d.n, &d);
}

static struct bench_check check(void)
{
    struct bench_check c = bench_hash(&result, 1);
    c.value = result;
    return c;
}

const struct bench_kernel bench_dot = { "dot", setup, reset, run, NULL, check, teardown };
const struct bench_kernel bench_dot_reproducible = { "dot-repro", setup, reset,   run_reproducible,
                                                     NULL,        check, teardown };
