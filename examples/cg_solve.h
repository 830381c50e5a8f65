/* cg_solve.h: conjugate gradients for A x = b, with A symmetric and positive definite.
 *
 * So that the answer is known, b is A times a vector of ones. The loops and dot products are those
 * of cg_parallel.h: with skua every number has the same bits for any number of workers. */
#ifndef CG_SOLVE_H
#define CG_SOLVE_H

#include "mtx_csr.h"

/* How a solve ended. */
enum cg_end {
    CG_CONVERGED,
    CG_GAVE_UP, /* the last allowed iteration left the residual above the tolerance */
    CG_BROKE,   /* the matrix is not positive definite, or numbers left the range of doubles */
    CG_FAILED   /* memory or threads ran out */
};

/* Called after each iteration, and before the first. residual is relative to the norm of b. */
typedef void cg_progress(long iteration, double residual);

struct cg_options {
    int workers;           /* 0: what the library chooses */
    double tolerance;      /* for the relative residual */
    long max_iterations;   /* at least 1 */
    cg_progress *progress; /* not NULL */
};

struct cg_result {
    enum cg_end end;
    long iterations;
    double residual;      /* norm(r) / norm(b), with r as the iteration carries it along */
    double true_residual; /* norm(b - A x) / norm(b), computed at the end */
    double max_error;     /* largest difference of x from one */
    double seconds;       /* of the iterations alone */
    int workers;
    const char *library; /* which one did the work */
    char problem[512];   /* what went wrong, for CG_BROKE and CG_FAILED; else "" */
};

/* Solves A x = A * ones. Blocks; all else that is to be known is in *result, which is always set.
 * a: a square matrix. */
void cg_solve(const struct mtx_csr *a, const struct cg_options *options, struct cg_result *result);

#endif
