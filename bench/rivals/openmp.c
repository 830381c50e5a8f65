/* The OpenMP rivals, libgomp and libomp. The wait policy is left as each runtime has it by default;
 * fork-join programs use tasks, one for each call, as their text-book versions do. */
#include <omp.h>
#include <stdio.h>

#include "bench/kernels/board.h"
#include "bench/rivals/rival.h"

const char rival_kind[] = "openmp";

const char *rival_runtime(void)
{
    static char text[64];
    snprintf(text, sizeof text, "%s (OpenMP %d)", RIVAL_RUNTIME, _OPENMP);
    return text;
}

BENCH_INLINE void nothing(size_t i, const int *ctx)
{
    (void)i;
    (void)ctx;
}

RIVAL_LOOP(wake_all, int, nothing)

void rival_prepare(struct bench_how *how)
{
    how->team = NULL;
    omp_set_dynamic(0);
    omp_set_num_threads(how->workers);
    const int unused = 0;
    const struct bench_how awake = { .workers = how->workers, .schedule = BENCH_STATIC };
    for (const double until = bench_now() + 1e-3; bench_now() < until;)
        wake_all(&awake, (size_t)how->workers, &unused);
}

static long fib(int n)
{
    if (n < 2)
        return n;
    long a;
#pragma omp task shared(a) firstprivate(n)
    a = fib(n - 1);
    const long b = fib(n - 2);
#pragma omp taskwait
    return a + b;
}

long rival_fib(const struct bench_how *how, int n)
{
    (void)how;
    long value = 0;
#pragma omp parallel
#pragma omp single
    value = fib(n);
    return value;
}

static long place(int n, int row, struct board b)
{
    if (row == n)
        return 1;
    long counts[BOARD_MAX];
    int nr_children = 0;
    for (int column = 0; column < n; column++) {
        if (!board_free(&b, row, column))
            continue;
        const struct board next = board_with(b, row, column);
        long *count = &counts[nr_children++];
#pragma omp task firstprivate(n, row, next, count)
        *count = place(n, row + 1, next);
    }
#pragma omp taskwait
    long sum = 0;
    while (nr_children-- > 0)
        sum += counts[nr_children];
    return sum;
}

long rival_nqueens(const struct bench_how *how, int n)
{
    (void)how;
    long count = 0;
#pragma omp parallel
#pragma omp single
    count = place(n, 0, (struct board){ { 0 } });
    return count;
}
