/* Sparse matrix times vector, a row an iteration. The matrix is the adjacency matrix of an R-MAT
 * graph (Chakrabarti, Zhan and Faloutsos, 2004; a, b, c = 0.57, 0.19, 0.19) with 2^scale rows
 * and 16 entries a row on average. Its rows are left in the order in which they come: long ones
 * first. */
#include <stdlib.h>
#include <string.h>

#include "bench/rivals/rival.h"

enum {
    ROW_MEAN = 16,
    PRODUCTS = 4 /* in a run */
};

struct matrix {
    uint32_t *start;  /* of row i: start[i] .. start[i + 1] */
    uint32_t *column; /* of each entry */
    double *value;    /* of each entry */
    double *x, *y;
    size_t n;
};

static struct matrix m;

/* Entry e falls, at each level, into one of the four quadrants; four levels take one random
 * word. */
static void entry(uint64_t e, size_t scale, size_t *row, size_t *column)
{
    uint64_t r = 0;
    *row = *column = 0;
    for (size_t level = 0; level < scale; level++) {
        if (level % 4 == 0)
            r = bench_mix(e * 64 + level / 4);
        const unsigned u = (unsigned)(r & 0xffff);
        r >>= 16;
        const unsigned a = 37355, ab = 49807, abc = 62259; /* of 65536 */
        *row = *row * 2 + (u >= ab);
        *column = *column * 2 + ((u >= a && u < ab) || u >= abc);
    }
}

static void fill(size_t scale)
{
    const size_t nr_entries = m.n * ROW_MEAN;
    size_t row, column;
    memset(m.start, 0, (m.n + 2) * sizeof *m.start);
    for (size_t e = 0; e < nr_entries; e++) {
        entry(e, scale, &row, &column);
        m.start[row + 2]++;
    }
    for (size_t i = 2; i < m.n + 2; i++)
        m.start[i] += m.start[i - 1];
    for (size_t e = 0; e < nr_entries; e++) {
        entry(e, scale, &row, &column);
        const uint32_t k = m.start[row + 1]++; /* ends up as the start of row + 1 */
        m.column[k] = (uint32_t)column;
        m.value[k] = bench_uniform(e) - 0.5;
    }
    for (size_t i = 0; i < m.n; i++) {
        m.x[i] = bench_uniform(i + nr_entries);
        m.y[i] = 0;
    }
}

BENCH_INLINE void multiply(size_t i, const struct matrix *c)
{
    const uint32_t *restrict column = c->column;
    const double *restrict value = c->value, *restrict x = c->x;
    double sum = 0;
    for (uint32_t k = c->start[i]; k < c->start[i + 1]; k++)
        sum += value[k] * x[column[k]];
    c->y[i] = sum;
}

RIVAL_LOOP(multiply_all, struct matrix, multiply)

static void teardown(void)
{
    free(m.start);
    free(m.column);
    free(m.value);
    free(m.x);
    free(m.y);
    m = (struct matrix){ 0 };
}

static int setup(const struct bench_how *how, size_t scale)
{
    (void)how;
    m.n = (size_t)1 << scale;
    m.start = bench_array(m.n + 2, sizeof *m.start);
    m.column = bench_array(m.n * ROW_MEAN, sizeof *m.column);
    m.value = bench_array(m.n * ROW_MEAN, sizeof *m.value);
    m.x = bench_array(m.n, sizeof *m.x);
    m.y = bench_array(m.n, sizeof *m.y);
    if (m.start == NULL || m.column == NULL || m.value == NULL || m.x == NULL || m.y == NULL)
        return -1;
    fill(scale);
    return 0;
}

static void reset(const struct bench_how *how)
{
    (void)how;
    memset(m.y, 0, m.n * sizeof *m.y);
}

static void run(const struct bench_how *how)
{
    for (int i = 0; i < PRODUCTS; i++)
        multiply_all(how, m.n, &m);
}

static struct bench_check check(void)
{
    return bench_hash(m.y, m.n);
}

const struct bench_kernel bench_spmv = { "spmv", setup, reset, run, NULL, check, teardown };
