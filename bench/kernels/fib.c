/* Fibonacci numbers by recursion, a task for each first call: nothing but the cost of fork and
 * join. The recursion itself is in rivals, for it is made of what they differ in. */
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
    result = rival_fib(how, n);
}

static struct bench_check check(void)
{
    return (struct bench_check){ (uint64_t)result, (double)result };
}

static void teardown(void)
{
}

const struct bench_kernel bench_fib = { "fib", setup, reset, run, NULL, check, teardown };
