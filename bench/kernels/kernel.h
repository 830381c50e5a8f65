/* What a kernel is. Each kernel is one source, compiled once for every rival and compiler: its
 * loops are written against rivals/rival.h, so all rivals run the same body. A kernel has one
 * instance in a process. Results are checked: reset() forgets the last one, check() describes
 * the present one. */
#ifndef BENCH_KERNEL_H
#define BENCH_KERNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/** Bodies are inlined whatever the compiler thinks of their size: the rivals differ in how often a
 * body is used, and must not differ in whether it is a call. */
#define BENCH_INLINE static inline __attribute__((always_inline))

/** How the iterations of a loop reach the workers. */
enum bench_schedule {
    BENCH_PLAIN,   /* serial: as one would write it */
    BENCH_CALLS,   /* serial: recursion by real calls, which the compiler may not unfold */
    BENCH_AUTO,    /* skua: SKUA_AUTO */
    BENCH_STATIC,  /* skua: SKUA_STATIC; OpenMP: static */
    BENCH_CYCLIC,  /* OpenMP: static,chunk */
    BENCH_DYNAMIC, /* skua: SKUA_DYNAMIC with the chunk as grain; OpenMP: dynamic,chunk */
    BENCH_GUIDED,  /* OpenMP: guided */
    BENCH_BLOCKS,  /* OpenMP: a bare parallel region, blocks cut by hand */
    BENCH_TASKS    /* fork-join, a task for each call */
};

/** How to run a kernel this time. */
struct bench_how {
    int workers;
    enum bench_schedule schedule;
    size_t chunk;      /* of BENCH_CYCLIC and BENCH_DYNAMIC */
    bool reproducible; /* reductions: the same bits for any number of workers, where a rival can */
    void *team;        /* the rival's own, set by rival_prepare() */
};

/** What a result was. Equal bits are equal results; value is for kernels that have a tolerance. */
struct bench_check {
    uint64_t bits;
    double value;
};

/** What one visit measured. */
struct bench_timing {
    double seconds; /* the run; of latencies the median */
    double tail;    /* of latencies the 99th percentile, else 0 */
    double share;   /* of latencies: the part of the regions in which every worker took part */
};

struct bench_kernel {
    const char *name;
    int (*setup)(const struct bench_how *how, size_t size); /* 0, or -1 where memory is short */
    void (*reset)(const struct bench_how *how);
    void (*run)(const struct bench_how *how);
    void (*measure)(const struct bench_how *how,
                    struct bench_timing *t); /* instead of timing run */
    struct bench_check (*check)(void);
    void (*teardown)(void);
};

extern const struct bench_kernel bench_triad, bench_dot, bench_dot_reproducible, bench_mandelbrot,
    bench_spmv, bench_jacobi200, bench_jacobi4000, bench_pairs, bench_nqueens, bench_fib,
    bench_region, bench_region_idle;

static inline int64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline double bench_now(void)
{
    return 1e-9 * (double)bench_now_ns();
}

/** A bijective 64-bit mixer (splitmix64): numbers that look random, from their index alone. */
static inline uint64_t bench_mix(uint64_t z)
{
    z += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/** A number in [0, 1) from an index. */
static inline double bench_uniform(uint64_t i)
{
    return (double)(bench_mix(i) >> 11) * 0x1p-53;
}

/** Room for n things, on a cache line of its own and not touched yet; NULL where memory is short.
 * Large arrays are on huge pages where the system has them: whether they are is luck otherwise, and
 * makes more of a difference between two processes than what is measured. */
void *bench_array(size_t n, size_t size);

/** Hashes n doubles, bit by bit. */
struct bench_check bench_hash(const double *x, size_t n);

#endif
