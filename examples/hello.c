/* hello: sums the series 4 - 4/3 + 4/5 - ... on all cores. */
#include <skua/skua.h>
#include <stdio.h>

static int fold(size_t begin, size_t end, void *ctx, void *acc)
{
    (void)ctx;
    for (size_t i = begin; i < end; i++)
        *(double *)acc += (i % 2 == 0 ? 4.0 : -4.0) / (2.0 * (double)i + 1.0);
    return 0;
}

static void join(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(double *)left += *(const double *)right;
}

int main(void)
{
    const skua_loop same_bits = { .reproducible = true };
    double pi = 0.0;
    if (skua_reduce(skua_default(), 0, 100000000, fold, join, NULL, &pi, sizeof pi, &same_bits) !=
        SKUA_OK) {
        fprintf(stderr, "%s\n", skua_last_error()->message);
        return 1;
    }
    printf("%.15f, with the same bits for any number of workers\n", pi);
    return 0;
}
