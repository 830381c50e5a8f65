/* Conjugate gradients after Hestenes and Stiefel (1952), without preconditioner.
 *
 * An iteration is three loops (q = A p; x and r; p) and two dot products. Each loop hands whole
 * pieces [begin, end) to a plain function: that is where the compiler sees the inner loop, and a
 * task costs no more than a call a piece. */
#define _POSIX_C_SOURCE 200809L
#include "cg_solve.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cg_parallel.h"

/* The vectors, each of n doubles, and the scalars of the current step. */
struct cg {
    const struct mtx_csr *a;
    size_t n;
    double *memory; /* of all vectors */
    double *b;
    double *x;
    double *r; /* b - A x, as the iteration carries it along */
    double *p; /* the search direction */
    double *q; /* A p */
    double alpha;
    double beta;
    struct team team;
};

static inline double row_times(const struct mtx_csr *a, size_t row, const double *v)
{
    double sum = 0.0;
    for (size_t k = a->row_start[row]; k < a->row_start[row + 1]; k++)
        sum += a->value[k] * v[a->column[k]];
    return sum;
}

/* x = 0, p = 1. The first touch of these pages, by the workers that will use them. */
static int fill(size_t begin, size_t end, void *ctx)
{
    const struct cg *s = ctx;
    for (size_t i = begin; i < end; i++) {
        s->x[i] = 0.0;
        s->p[i] = 1.0;
    }
    return 0;
}

/* b = r = A p: the right side that belongs to a solution of ones. */
static int take_right_side(size_t begin, size_t end, void *ctx)
{
    const struct cg *s = ctx;
    for (size_t i = begin; i < end; i++)
        s->b[i] = s->r[i] = row_times(s->a, i, s->p);
    return 0;
}

/* q = A p */
static int multiply(size_t begin, size_t end, void *ctx)
{
    const struct cg *s = ctx;
    for (size_t i = begin; i < end; i++)
        s->q[i] = row_times(s->a, i, s->p);
    return 0;
}

/* x += alpha p, r -= alpha q */
static int step(size_t begin, size_t end, void *ctx)
{
    const struct cg *s = ctx;
    const double alpha = s->alpha;
    for (size_t i = begin; i < end; i++) {
        s->x[i] += alpha * s->p[i];
        s->r[i] -= alpha * s->q[i];
    }
    return 0;
}

/* p = r + beta p */
static int turn(size_t begin, size_t end, void *ctx)
{
    const struct cg *s = ctx;
    const double beta = s->beta;
    for (size_t i = begin; i < end; i++)
        s->p[i] = s->r[i] + beta * s->p[i];
    return 0;
}

/* q = b - A x */
static int subtract(size_t begin, size_t end, void *ctx)
{
    const struct cg *s = ctx;
    for (size_t i = begin; i < end; i++)
        s->q[i] = s->b[i] - row_times(s->a, i, s->x);
    return 0;
}

__attribute__((format(printf, 3, 4))) static void stop(struct cg_result *result, enum cg_end end,
                                                       const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(result->problem, sizeof result->problem, format, args);
    va_end(args);
    result->end = end;
}

static double seconds_now(void)
{
    struct timespec t = { 0, 0 };
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* One step, from the residual of squared norm *rr to the next. */
static void iterate(struct cg *s, struct cg_result *result, double *rr)
{
    loop(&s->team, s->n, multiply, s);
    const double curvature = dot(&s->team, s->n, s->p, s->q);
    if (team_problem(&s->team) != NULL) {
        stop(result, CG_FAILED, "%s", team_problem(&s->team));
        return;
    }
    if (!(curvature > 0.0) || !isfinite(curvature)) {
        stop(result, CG_BROKE, "p'Ap is %g: the matrix is not positive definite", curvature);
        return;
    }
    s->alpha = *rr / curvature;
    loop(&s->team, s->n, step, s);
    const double next = dot(&s->team, s->n, s->r, s->r);
    s->beta = next / *rr;
    loop(&s->team, s->n, turn, s);
    *rr = next;
    if (team_problem(&s->team) != NULL)
        stop(result, CG_FAILED, "%s", team_problem(&s->team));
    else if (!isfinite(next))
        stop(result, CG_BROKE, "the residual left the range of doubles");
}

static void run(struct cg *s, const struct cg_options *options, struct cg_result *result)
{
    loop(&s->team, s->n, fill, s);
    loop(&s->team, s->n, take_right_side, s);
    const double bb = dot(&s->team, s->n, s->b, s->b);
    if (team_problem(&s->team) != NULL) {
        stop(result, CG_FAILED, "%s", team_problem(&s->team));
        return;
    }
    if (!(bb > 0.0) || !isfinite(bb)) {
        stop(result, CG_BROKE, "the norm of A * ones is %g: there is nothing to solve", sqrt(bb));
        return;
    }
    /* From x = 0 the first direction is r itself. */
    s->beta = 0.0;
    loop(&s->team, s->n, turn, s);

    double rr = bb;
    const double start = seconds_now();
    result->end = CG_GAVE_UP;
    options->progress(0, 1.0);
    while (result->end == CG_GAVE_UP && result->iterations < options->max_iterations) {
        iterate(s, result, &rr);
        if (result->end != CG_GAVE_UP)
            break;
        result->iterations++;
        result->residual = sqrt(rr / bb);
        options->progress(result->iterations, result->residual);
        if (result->residual <= options->tolerance)
            result->end = CG_CONVERGED;
    }
    result->seconds = seconds_now() - start;

    loop(&s->team, s->n, subtract, s);
    result->true_residual = sqrt(dot(&s->team, s->n, s->q, s->q) / bb);
    for (size_t i = 0; i < s->n; i++)
        result->max_error = fmax(result->max_error, fabs(s->x[i] - 1.0));
}

void cg_solve(const struct mtx_csr *a, const struct cg_options *options, struct cg_result *result)
{
    struct cg s = { .a = a, .n = a->rows };
    *result = (struct cg_result){ .residual = 1.0, .true_residual = 1.0, .library = TEAM_LIBRARY };
    s.memory = s.n <= SIZE_MAX / (5 * sizeof *s.memory) ? malloc(5 * s.n * sizeof *s.memory) : NULL;
    if (s.memory == NULL) {
        stop(result, CG_FAILED, "no memory for 5 vectors of %zu numbers", s.n);
        return;
    }
    s.b = s.memory;
    s.x = s.b + s.n;
    s.r = s.x + s.n;
    s.p = s.r + s.n;
    s.q = s.p + s.n;
    team_open(&s.team, options->workers);
    result->workers = s.team.workers;
    if (team_problem(&s.team) != NULL)
        stop(result, CG_FAILED, "%s", team_problem(&s.team));
    else
        run(&s, options, result);
    team_close(&s.team);
    free(s.memory);
}
