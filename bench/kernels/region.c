/* How long an empty parallel loop takes, one iteration a worker: each loop is timed by itself, with
 * two readings of the clock, of which one (about 20 ns) is in the figure, for every rival alike. An
 * iteration notes which thread ran it, so that it shows whether all workers were really reached. */
#include <stdlib.h>
#include <string.h>

#include "bench/rivals/rival.h"

enum {
    LINE = 128,               /* two cache lines: neighbours are fetched in pairs */
    TIME_LIMIT_NS = 20000000, /* of a visit */
    GAP_NS = 100000
};

struct cell {
    _Alignas(LINE) uint64_t runs;
    uintptr_t who; /* the thread: an address that is its own */
};

struct cells {
    struct cell *cell;
};

static struct cells c;
static int64_t *latencies; /* ns */
static size_t nr_cells, nr_regions;
static uint64_t wrong; /* loops in which an iteration did not run exactly once */

BENCH_INLINE uintptr_t self(void)
{
    static _Thread_local char mine;
    return (uintptr_t)&mine;
}

BENCH_INLINE void touch(size_t i, const struct cells *ctx)
{
    ctx->cell[i].runs++;
    ctx->cell[i].who = self();
}

RIVAL_LOOP(touch_all, struct cells, touch)

static void teardown(void)
{
    free(c.cell);
    free(latencies);
    c.cell = NULL;
    latencies = NULL;
}

static int setup(const struct bench_how *how, size_t size)
{
    nr_regions = size;
    nr_cells = (size_t)how->workers;
    c.cell = bench_array(nr_cells, sizeof *c.cell);
    latencies = bench_array(size, sizeof *latencies);
    return c.cell == NULL || latencies == NULL ? -1 : 0;
}

static void reset(const struct bench_how *how)
{
    (void)how;
    wrong = 0;
}

/* Whether every iteration ran on a thread of its own. */
static bool all_apart(size_t n)
{
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (c.cell[i].who == c.cell[j].who)
                return false;
    return true;
}

static int ascending(const void *left, const void *right)
{
    const int64_t a = *(const int64_t *)left, b = *(const int64_t *)right;
    return (a > b) - (a < b);
}

static void measure(const struct bench_how *how, struct bench_timing *t, int64_t gap_ns)
{
    const size_t n = (size_t)how->workers;
    const int64_t stop = bench_now_ns() + TIME_LIMIT_NS;
    size_t k = 0, apart = 0;
    while (k < nr_regions && (k < 50 || bench_now_ns() < stop)) {
        memset(c.cell, 0, n * sizeof *c.cell);
        for (const int64_t until = bench_now_ns() + gap_ns; gap_ns > 0 && bench_now_ns() < until;)
            continue;
        const int64_t begin = bench_now_ns();
        touch_all(how, n, &c);
        latencies[k++] = bench_now_ns() - begin;
        for (size_t i = 0; i < n; i++)
            wrong += c.cell[i].runs != 1;
        apart += all_apart(n);
    }
    qsort(latencies, k, sizeof *latencies, ascending);
    t->seconds = 1e-9 * (double)latencies[k / 2];
    t->tail = 1e-9 * (double)latencies[k - 1 - k / 100];
    t->share = (double)apart / (double)k;
}

static void measure_busy(const struct bench_how *how, struct bench_timing *t)
{
    measure(how, t, 0);
}

static void measure_idle(const struct bench_how *how, struct bench_timing *t)
{
    measure(how, t, GAP_NS);
}

static void run(const struct bench_how *how)
{
    touch_all(how, (size_t)how->workers, &c);
}

static struct bench_check check(void)
{
    return (struct bench_check){ wrong, (double)wrong };
}

const struct bench_kernel bench_region = { "region",     setup, reset,   run,
                                           measure_busy, check, teardown };
const struct bench_kernel bench_region_idle = { "region-idle", setup, reset,   run,
                                                measure_idle,  check, teardown };
