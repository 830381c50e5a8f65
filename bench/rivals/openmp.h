/* The OpenMP rivals, libgomp and libomp: one loop for each schedule, so that each schedule is
 * known to the compiler as it is in a user's program; schedule(runtime) would cost the static
 * ones a call. Indices are long: both compilers call a slower entry point for size_t. */
#ifndef BENCH_OPENMP_H
#define BENCH_OPENMP_H

#include <omp.h>

#include "bench/kernels/kernel.h"

#define RIVAL_PRAGMA(text) _Pragma(#text)

#define RIVAL_LOOP_AS(clause, n, copy, item)                                                       \
    RIVAL_PRAGMA(omp parallel for clause firstprivate(copy))                                       \
    for (long i = 0; i < (long)(n); i++)                                                           \
        item((size_t)i, &copy);

#define RIVAL_LOOP(loop, type, item)                                                               \
    static void loop##_blocks(size_t n, const type *ctx)                                           \
    {                                                                                              \
        const type copy = *ctx;                                                                    \
        RIVAL_PRAGMA(omp parallel firstprivate(copy))                                              \
        {                                                                                          \
            const size_t me = (size_t)omp_get_thread_num(), all = (size_t)omp_get_num_threads();   \
            for (size_t i = n * me / all; i < n * (me + 1) / all; i++)                             \
                item(i, &copy);                                                                    \
        }                                                                                          \
    }                                                                                              \
    static void loop(const struct bench_how *how, size_t n, const type *ctx)                       \
    {                                                                                              \
        const type copy = *ctx;                                                                    \
        const long chunk = (long)how->chunk;                                                       \
        if (how->schedule == BENCH_BLOCKS) {                                                       \
            loop##_blocks(n, ctx);                                                                 \
        } else if (how->schedule == BENCH_CYCLIC) {                                                \
            RIVAL_LOOP_AS(schedule(static, chunk), n, copy, item)                                  \
        } else if (how->schedule == BENCH_DYNAMIC) {                                               \
            RIVAL_LOOP_AS(schedule(dynamic, chunk), n, copy, item)                                 \
        } else if (how->schedule == BENCH_GUIDED) {                                                \
            RIVAL_LOOP_AS(schedule(guided), n, copy, item)                                         \
        } else {                                                                                   \
            RIVAL_LOOP_AS(schedule(static), n, copy, item)                                         \
        }                                                                                          \
    }

#define RIVAL_REDUCE_AS(clause, n, copy, item, sum)                                                \
    RIVAL_PRAGMA(omp parallel for clause firstprivate(copy) reduction(+ : sum))                    \
    for (long i = 0; i < (long)(n); i++)                                                           \
        sum += item((size_t)i, &copy);

#define RIVAL_REDUCE(reduce, type, item)                                                           \
    static double reduce(const struct bench_how *how, size_t n, const type *ctx)                   \
    {                                                                                              \
        const type copy = *ctx;                                                                    \
        const long chunk = (long)how->chunk;                                                       \
        double sum = 0;                                                                            \
        if (how->schedule == BENCH_CYCLIC) {                                                       \
            RIVAL_REDUCE_AS(schedule(static, chunk), n, copy, item, sum)                           \
        } else if (how->schedule == BENCH_DYNAMIC) {                                               \
            RIVAL_REDUCE_AS(schedule(dynamic, chunk), n, copy, item, sum)                          \
        } else if (how->schedule == BENCH_GUIDED) {                                                \
            RIVAL_REDUCE_AS(schedule(guided), n, copy, item, sum)                                  \
        } else {                                                                                   \
            RIVAL_REDUCE_AS(schedule(static), n, copy, item, sum)                                  \
        }                                                                                          \
        return sum;                                                                                \
    }

#endif
