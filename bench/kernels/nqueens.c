/* All solutions of the n queens problem, a task for each placed queen: irregular fork and join. The
 * recursion itself is in rivals, for it is made of what they differ in. */
#include "bench/rivals/rival.h"

static int n;
static volatile long result; /* volatile: a run must not be left out */

static int setup(const struct bench_how *how, size_t size)
{
    (void)how;
    n = (int)size;
    return 0;
}

static void reset(const struct bench_how *how)
{
    (void)how;
    result = -1;
}

static void run(const struct bench_how *how)
{
    result = rival_nqueens(how, n);
}

static struct bench_check check(void)
{
    return (struct bench_check){ (uint64_t)result, (double)result };
}

static void teardown(void)
{
}

const struct bench_kernel bench_nqueens = { "nqueens", setup, reset, run, NULL, check, teardown };
