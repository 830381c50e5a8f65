/* The serial rival. fib also comes in a form whose calls stay calls: that is what a spawn can at
 * best cost nothing over, while the plain one is unfolded by the compiler several levels deep. */
#include "bench/kernels/board.h"
#include "bench/rivals/rival.h"

const char rival_kind[] = "serial";

const char *rival_runtime(void)
{
    return "none";
}

void rival_prepare(struct bench_how *how)
{
    how->team = NULL;
}

static long fib(int n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

static __attribute__((noinline)) long fib_calls(int n)
{
    if (n < 2)
        return n;
    const long a = fib_calls(n - 1);
    __asm__ volatile("" ::: "memory"); /* keeps the two calls two calls */
    return a + fib_calls(n - 2);
}

long rival_fib(const struct bench_how *how, int n)
{
    return how->schedule == BENCH_CALLS ? fib_calls(n) : fib(n);
}

static long place(int n, int row, struct board b)
{
    if (row == n)
        return 1;
    long count = 0;
    for (int column = 0; column < n; column++)
        if (board_free(&b, row, column))
            count += place(n, row + 1, board_with(b, row, column));
    return count;
}

long rival_nqueens(const struct bench_how *how, int n)
{
    (void)how;
    return place(n, 0, (struct board){ { 0 } });
}
