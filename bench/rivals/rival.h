/* What each rival provides to the kernels: a prepared team, loops, reductions, two fork-join
 * programs. RIVAL_HEADER is the rival's own header; it defines
 *
 *   RIVAL_LOOP(loop, type, item)      defines static void loop(how, n, const type *ctx), which
 *                                     calls item(i, &copy_of_ctx) for each i < n
 *   RIVAL_REDUCE(reduce, type, item)  defines static double reduce(how, n, const type *ctx), which
 *                                     gives the sum of item(i, &copy_of_ctx)
 *
 * Every rival hands the body a copy of ctx in the frame, so that compilers may keep it in
 * registers in all of them alike. These are macros because OpenMP's loops are syntax: no
 * function can take the body without turning it into a call. */
#ifndef BENCH_RIVAL_H
#define BENCH_RIVAL_H

#include "bench/kernels/kernel.h"

/** The rival's kind ("serial", "skua", "openmp") and the runtime's name and version. */
extern const char rival_kind[];
const char *rival_runtime(void);

/** Makes the team of how->workers ready: threads exist and are awake. Sets how->team. */
void rival_prepare(struct bench_how *how);

/** Fibonacci numbers by recursion, a task for each first call. */
long rival_fib(const struct bench_how *how, int n);

/** The number of solutions of the n queens problem, a task for each placed queen. */
long rival_nqueens(const struct bench_how *how, int n);

#include RIVAL_HEADER

#endif
