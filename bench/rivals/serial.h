/* The serial rival: the loops as one would write them. */
#ifndef BENCH_SERIAL_H
#define BENCH_SERIAL_H

#include "bench/kernels/kernel.h"

#define RIVAL_LOOP(loop, type, item)                                                               \
    static void loop(const struct bench_how *how, size_t n, const type *ctx)                       \
    {                                                                                              \
        (void)how;                                                                                 \
        const type copy = *ctx;                                                                    \
        for (size_t i = 0; i < n; i++)                                                             \
            item(i, &copy);                                                                        \
    }

#define RIVAL_REDUCE(reduce, type, item)                                                           \
    static double reduce(const struct bench_how *how, size_t n, const type *ctx)                   \
    {                                                                                              \
        (void)how;                                                                                 \
        const type copy = *ctx;                                                                    \
        double sum = 0;                                                                            \
        for (size_t i = 0; i < n; i++)                                                             \
            sum += item(i, &copy);                                                                 \
        return sum;                                                                                \
    }

#endif
