/* cg_parallel.h: the two things conjugate gradients asks of a parallel library, once in skua and
 * once in OpenMP (with -DCG_OPENMP -fopenmp): a loop over 0 .. n-1 and a dot product.
 *
 * Both run the same bodies over pieces [begin, end), so that what is compared is the library alone.
 * After a failure the calls do nothing: the solver asks once an iteration, by team_problem(). */
#ifndef CG_PARALLEL_H
#define CG_PARALLEL_H

#include <stddef.h>

/* What a loop runs on a piece of its range; as a skua_body. */
typedef int loop_body(size_t begin, size_t end, void *ctx);

/* The two vectors of a dot product. */
struct dot_terms {
    const double *x;
    const double *y;
};

static inline double dot_piece(size_t begin, size_t end, const struct dot_terms *t)
{
    double sum = 0.0;
    for (size_t i = begin; i < end; i++)
        sum += t->x[i] * t->y[i];
    return sum;
}

#ifdef CG_OPENMP

#include <omp.h>

#define TEAM_LIBRARY "openmp"

/* The threads that do the work. */
struct team {
    int workers;
};

/* The k-th of m blocks of 0 .. n-1 is [block_begin(n, k, m), block_begin(n, k + 1, m)). */
static inline size_t block_begin(size_t n, int k, int m)
{
    return n / (size_t)m * (size_t)k + n % (size_t)m * (size_t)k / (size_t)m;
}

static void team_open(struct team *t, int workers)
{
    t->workers = workers > 0 ? workers : omp_get_max_threads();
}

static void team_close(struct team *t)
{
    t->workers = 0;
}

static const char *team_problem(const struct team *t)
{
    return t->workers > 0 ? NULL : "no threads";
}

static void loop(struct team *t, size_t n, loop_body *body, void *ctx)
{
#pragma omp parallel num_threads(t->workers)
    {
        const int k = omp_get_thread_num();
        const int m = omp_get_num_threads();
        if (block_begin(n, k, m) < block_begin(n, k + 1, m))
            (void)body(block_begin(n, k, m), block_begin(n, k + 1, m), ctx);
    }
}

/* The threads' sums are added in the order in which the threads finish: the last bits vary. */
static double dot(struct team *t, size_t n, const double *x, const double *y)
{
    const struct dot_terms terms = { x, y };
    double sum = 0.0;
#pragma omp parallel num_threads(t->workers) reduction(+ : sum)
    {
        const int k = omp_get_thread_num();
        const int m = omp_get_num_threads();
        sum += dot_piece(block_begin(n, k, m), block_begin(n, k + 1, m), &terms);
    }
    return sum;
}

#else

#include <skua/skua.h>
#include <stdio.h>

#define TEAM_LIBRARY "skua"

/* The pool that does the work. */
struct team {
    skua_executor *ex;
    int workers;
    char problem[512]; /* the words of the first failure, or "" */
};

static void team_fail(struct team *t)
{
    const skua_error *e = skua_last_error();
    (void)snprintf(t->problem, sizeof t->problem, "%s: %s", skua_strstatus(e->status), e->message);
}

static void team_open(struct team *t, int workers)
{
    t->problem[0] = '\0';
    t->ex = skua_thread_pool(&(skua_options){ .workers = workers, .name = "cg" });
    t->workers = skua_workers(t->ex);
    if (t->ex == NULL)
        team_fail(t);
}

static void team_close(struct team *t)
{
    skua_close(t->ex);
    t->ex = NULL;
}

static const char *team_problem(const struct team *t)
{
    return t->problem[0] != '\0' ? t->problem : NULL;
}

static void loop(struct team *t, size_t n, loop_body *body, void *ctx)
{
    if (team_problem(t) == NULL && skua_for(t->ex, 0, n, body, ctx, NULL) != SKUA_OK)
        team_fail(t);
}

static int dot_fold(size_t begin, size_t end, void *ctx, void *acc)
{
    *(double *)acc += dot_piece(begin, end, ctx);
    return 0;
}

static void dot_join(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(double *)left += *(const double *)right;
}

/* The sum has the same bits for any number of workers. */
static double dot(struct team *t, size_t n, const double *x, const double *y)
{
    struct dot_terms terms = { x, y };
    const skua_loop how = { .reproducible = true };
    double sum = 0.0;
    if (team_problem(t) == NULL &&
        skua_reduce(t->ex, 0, n, dot_fold, dot_join, &terms, &sum, sizeof sum, &how) != SKUA_OK)
        team_fail(t);
    return sum;
}

#endif

#endif
