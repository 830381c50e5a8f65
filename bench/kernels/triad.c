/* a = b + s c over arrays larger than any cache: memory bound and balanced. */
#include <stdlib.h>

#include "bench/rivals/rival.h"

struct triad {
    double *a, *b, *c;
    double s;
    size_t n;
};

static struct triad t;

BENCH_INLINE void fill(size_t i, const struct triad *c)
{
    c->a[i] = 0;
    c->b[i] = (double)(i % 1000);
    c->c[i] = (double)(i % 777);
}

BENCH_INLINE void clear(size_t i, const struct triad *c)
{
    c->a[i] = 0;
}

BENCH_INLINE void combine(size_t i, const struct triad *c)
{
    c->a[i] = c->b[i] + c->s * c->c[i];
}

RIVAL_LOOP(fill_all, struct triad, fill)
RIVAL_LOOP(clear_all, struct triad, clear)
RIVAL_LOOP(combine_all, struct triad, combine)

static void teardown(void)
{
    free(t.a);
    free(t.b);
    free(t.c);
    t = (struct triad){ 0 };
}

static int setup(const struct bench_how *how, size_t size)
{
    t = (struct triad){ .s = 3.0, .n = size };
    t.a = bench_array(size, sizeof *t.a);
    t.b = bench_array(size, sizeof *t.b);
    t.c = bench_array(size, sizeof *t.c);
    if (t.a == NULL || t.b == NULL || t.c == NULL)
        return -1;
    fill_all(how, size, &t);
    return 0;
}

static void reset(const struct bench_how *how)
{
    clear_all(how, t.n, &t);
}

static void run(const struct bench_how *how)
{
    combine_all(how, t.n, &t);
}

static struct bench_check check(void)
{
    return bench_hash(t.a, t.n);
}

const struct bench_kernel bench_triad = { "triad", setup, reset, run, NULL, check, teardown };
