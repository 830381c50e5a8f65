/* The skua rival. A pool is made for each number of workers that is asked for, and kept: its idle
 * workers sleep, as in a program that has one pool for its life. */
#include <skua/executor.h>
#include <skua/spawn.h>
#include <skua/version.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/kernels/board.h"
#include "bench/rivals/rival.h"

const char rival_kind[] = "skua";

enum {
    POOLS_MAX = 8
};

static struct pool {
    int workers;
    skua_executor *ex;
} pools[POOLS_MAX];

const char *rival_runtime(void)
{
    static char text[64];
    snprintf(text, sizeof text, "skua %s", skua_version());
    return text;
}

static _Noreturn void give_up(const char *what)
{
    fprintf(stderr, "skua runner: %s: %s\n", what, skua_last_error()->message);
    exit(1);
}

static skua_executor *pool_of(int workers)
{
    int i = 0;
    while (i < POOLS_MAX - 1 && pools[i].ex != NULL && pools[i].workers != workers)
        i++;
    if (pools[i].ex != NULL && pools[i].workers != workers) {
        skua_close(pools[i].ex);
        pools[i].ex = NULL;
    }
    if (pools[i].ex == NULL) {
        pools[i].ex = skua_thread_pool(&(skua_options){ .workers = workers });
        pools[i].workers = workers;
    }
    if (pools[i].ex == NULL || skua_workers(pools[i].ex) != workers)
        give_up("no pool of the size asked for");
    return pools[i].ex;
}

static int nothing(size_t begin, size_t end, void *ctx)
{
    (void)begin;
    (void)end;
    (void)ctx;
    return 0;
}

void rival_prepare(struct bench_how *how)
{
    how->team = pool_of(how->workers);
    struct bench_how awake = *how;
    awake.schedule = BENCH_STATIC;
    for (const double until = bench_now() + 1e-3; bench_now() < until;)
        rival_for(&awake, (size_t)how->workers, nothing, NULL);
}

/* A schedule that is not skua's own, such as that of a kernel's set-up, is the usual one. */
static skua_loop loop_of(const struct bench_how *how)
{
    skua_loop o = { .reproducible = how->reproducible };
    if (how->schedule == BENCH_STATIC) {
        o.schedule = SKUA_STATIC;
    } else if (how->schedule == BENCH_DYNAMIC) {
        o.schedule = SKUA_DYNAMIC;
        o.grain = how->chunk;
    }
    return o;
}

void rival_for(const struct bench_how *how, size_t n, skua_body *body, const void *ctx)
{
    const skua_loop o = loop_of(how);
    if (skua_for(how->team, 0, n, body, (void *)ctx, &o) != SKUA_OK)
        give_up("skua_for");
}

static void add(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(double *)left += *(const double *)right;
}

double rival_sum(const struct bench_how *how, size_t n, skua_fold *fold, const void *ctx)
{
    const skua_loop o = loop_of(how);
    double sum = 0;
    if (skua_reduce(how->team, 0, n, fold, add, (void *)ctx, &sum, sizeof sum, &o) != SKUA_OK)
        give_up("skua_reduce");
    return sum;
}

struct fib {
    int n;
    long value;
};

static int fib(void *arg)
{
    struct fib *f = arg;
    if (f->n < 2) {
        f->value = f->n;
        return 0;
    }
    struct fib a = { f->n - 1, 0 }, b = { f->n - 2, 0 };
    skua_child child;
    skua_spawn(&child, fib, &a);
    fib(&b);
    skua_sync(&child);
    f->value = a.value + b.value;
    return 0;
}

long rival_fib(const struct bench_how *how, int n)
{
    struct fib f = { n, 0 };
    if (skua_call(how->team, fib, &f) != 0)
        give_up("skua_call");
    return f.value;
}

struct queens {
    int n, row;
    long count; /* set by place() */
    struct board board;
};

static int place(void *arg)
{
    struct queens *q = arg;
    if (q->row == q->n) {
        q->count = 1;
        return 0;
    }
    struct queens next[BOARD_MAX];
    skua_child children[BOARD_MAX];
    int nr_children = 0;
    for (int column = 0; column < q->n; column++) {
        if (!board_free(&q->board, q->row, column))
            continue;
        struct queens *k = &next[nr_children];
        *k = (struct queens){ q->n, q->row + 1, 0, board_with(q->board, q->row, column) };
        skua_spawn(&children[nr_children++], place, k);
    }
    q->count = 0;
    while (nr_children-- > 0) {
        skua_sync(&children[nr_children]);
        q->count += next[nr_children].count;
    }
    return 0;
}

long rival_nqueens(const struct bench_how *how, int n)
{
    struct queens q = { .n = n };
    if (skua_call(how->team, place, &q) != 0)
        give_up("skua_call");
    return q.count;
}
