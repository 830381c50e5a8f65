/* The skua rival: loops are skua_for() and skua_reduce(). */
#ifndef BENCH_SKUA_H
#define BENCH_SKUA_H

#include <skua/loop.h>

#include "bench/kernels/kernel.h"

/** skua_for() and skua_reduce() as how says. They end the process on an error. */
void rival_for(const struct bench_how *how, size_t n, skua_body *body, const void *ctx);
double rival_sum(const struct bench_how *how, size_t n, skua_fold *fold, const void *ctx);

#define RIVAL_LOOP(loop, type, item)                                                               \
    static int loop##_body(size_t begin, size_t end, void *ctx)                                    \
    {                                                                                              \
        const type copy = *(const type *)ctx;                                                      \
        for (size_t i = begin; i < end; i++)                                                       \
            item(i, &copy);                                                                        \
        return 0;                                                                                  \
    }                                                                                              \
    static void loop(const struct bench_how *how, size_t n, const type *ctx)                       \
    {                                                                                              \
        rival_for(how, n, loop##_body, ctx);                                                       \
    }

#define RIVAL_REDUCE(reduce, type, item)                                                           \
    static int reduce##_fold(size_t begin, size_t end, void *ctx, void *acc)                       \
    {                                                                                              \
        const type copy = *(const type *)ctx;                                                      \
        double sum = *(double *)acc;                                                               \
        for (size_t i = begin; i < end; i++)                                                       \
            sum += item(i, &copy);                                                                 \
        *(double *)acc = sum;                                                                      \
        return 0;                                                                                  \
    }                                                                                              \
    static double reduce(const struct bench_how *how, size_t n, const type *ctx)                   \
    {                                                                                              \
        return rival_sum(how, n, reduce##_fold, ctx);                                              \
    }

#endif
