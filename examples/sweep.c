/* sweep: a parameter sweep over a solver that nobody quite trusts, run to its end.
 *
 * The solver is Newton's method for Bratu's problem u'' + lambda exp(u) = 0, u(0) = u(1) = 0. There
 * is a solution up to lambda = 3.5138; the solver does not know that. It is written as solvers are
 * that have grown over the years: see DEFECT below. In a process pool each input that trips over
 * one is a line in the table, and the rest of the sweep goes on.
 *
 * What to look at: main() makes the pool first of all, submit() says what a task may take, and
 * outcome() tells from the error what became of it. */
#include <skua/skua.h>

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROOM = 4096,
    INPUTS_MAX = 40
};

/* --- the solver: plain C, with no thought of processes --- */

struct input {
    double lambda;
    size_t n;           /* points inside (0, 1) */
    const char *method; /* a string of the program itself: workers have it at the same place */
    bool trace;         /* keep what each step started from */
};

struct method {
    const char *name;
    double longest; /* the longest step that is taken as it is */
};

static const struct method methods[] = { { "newton", INFINITY }, { "limited", 1.0 } };

static const struct method *find(const char *name)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (strcmp(methods[i].name, name) == 0)
            return &methods[i];
    return NULL; /* DEFECT: solve() does not look */
}

static double workspace[3 * ROOM]; /* DEFECT: nobody compares n with ROOM */
static void *volatile last_trace;  /* where a debugger finds it */

/* One step: J d = -r for the tridiagonal J, then u += d. Gives the largest of |d|. */
static double step(const struct input *in, double longest, double *u)
{
    double *factor = u + ROOM, *d = factor + ROOM;
    const double h = 1.0 / ((double)in->n + 1.0);
    for (size_t i = 0; i < in->n; i++) {
        const double left = i > 0 ? u[i - 1] : 0, right = i + 1 < in->n ? u[i + 1] : 0;
        const double source = in->lambda * h * h * exp(u[i]);
        const double pivot = source - 2 - (i > 0 ? factor[i - 1] : 0);
        factor[i] = 1 / pivot;
        d[i] = (2 * u[i] - left - right - source - (i > 0 ? d[i - 1] : 0)) / pivot;
    }
    double largest = 0;
    for (size_t i = in->n; i-- > 0;) {
        d[i] -= i + 1 < in->n ? factor[i] * d[i + 1] : 0;
        u[i] += fmax(-longest, fmin(longest, d[i]));
        if (!(fabs(d[i]) <= largest)) /* so that a NaN stays */
            largest = fabs(d[i]);
    }
    return largest;
}

static int solve(void *arg, void *result)
{
    const struct input *in = arg;
    if (in->n < 3)
        exit(3); /* DEFECT: a library that ends the program */
    const double longest = find(in->method)->longest;
    memset(workspace, 0, sizeof workspace);
    double change = 1;
    for (int steps = 1; change > 1e-10; steps++) { /* DEFECT: no limit to the number of steps */
        if (in->trace) {
            last_trace = malloc(sizeof workspace); /* DEFECT: never freed */
            if (last_trace != NULL)
                memcpy(last_trace, workspace, sizeof workspace);
        }
        change = step(in, longest, workspace);
        if (!isfinite(change))
            return skua_fail(1, "no solution: step %d is infinite", steps);
    }
    *(double *)result = workspace[in->n / 2];
    return 0;
}

/* --- the sweep --- */

enum kind {
    SOLVED,
    GAVE_UP,
    NULL_POINTER,
    WILD_ACCESS,
    EXITED,
    TOO_SLOW,
    TOO_BIG,
    OTHER,
    NR_KINDS
};

static const char *const kinds[NR_KINDS] = { "solved", "gave up",  "null pointer", "wild access",
                                             "exited", "too slow", "too big",      "other" };

static size_t list_inputs(struct input *in)
{
    size_t n = 0;
    for (int i = 1; i <= 8; i++)
        for (size_t m = 0; m < 2; m++)
            in[n++] = (struct input){ 0.5 * i, 500, methods[m].name, false };
    /* And what users send. */
    in[n++] = (struct input){ 1, 2, "newton", false };
    in[n++] = (struct input){ 1, 2000000, "newton", false };
    in[n++] = (struct input){ 1, 500, "newtom", false };
    in[n++] = (struct input){ 3, 500, "limited", true };
    in[n++] = (struct input){ 5, 500, "limited", true };
    in[n++] = (struct input){ -5, 500, "newton", false };
    return n;
}

static skua_future *submit(skua_executor *ex, struct input *in)
{
    return skua_submit_task(ex, &(skua_task){ .fn = solve,
                                              .arg = in,
                                              .arg_size = sizeof *in,
                                              .result_size = sizeof(double),
                                              .time_limit = 1 });
}

/* What became of an input. A task that returned non-zero is SKUA_FAILED, as in any pool; a worker
 * process that died under a task is SKUA_CRASHED, or SKUA_EXPIRED, and the fault says how. */
static enum kind outcome(skua_future *f, char *text, size_t size)
{
    double middle;
    if (skua_result(f, &middle, sizeof middle, SKUA_FOREVER) == SKUA_OK) {
        snprintf(text, size, "u(1/2) = %.5f", middle);
        return SOLVED;
    }
    const skua_error *error = skua_exception(f, 0);
    snprintf(text, size, "%s", error->message);
    if (error->status == SKUA_FAILED)
        return GAVE_UP;
    switch (error->fault) {
    case SKUA_FAULT_NULL_DEREF:
        return NULL_POINTER;
    case SKUA_FAULT_SIGNAL:
        return WILD_ACCESS;
    case SKUA_FAULT_EXIT:
        return EXITED;
    case SKUA_FAULT_TIMEOUT:
        return TOO_SLOW;
    case SKUA_FAULT_MEMORY_LIMIT:
        return TOO_BIG;
    default: /* from outside: an administrator, the kernel short of memory */
        return OTHER;
    }
}

int main(void)
{
    /* First of all: workers are copies of the program as it is here. */
    skua_executor *ex = skua_process_pool(&(skua_options){ .memory_limit = (size_t)64 << 20 });
    if (ex == NULL) {
        fprintf(stderr, "sweep: %s\n", skua_last_error()->message);
        return 1;
    }
    struct input in[INPUTS_MAX];
    skua_future *f[INPUTS_MAX];
    const size_t n = list_inputs(in);
    for (size_t i = 0; i < n; i++)
        f[i] = submit(ex, &in[i]);

    int count[NR_KINDS] = { 0 };
    printf("%6s %8s %-8s %-5s  %-12s  %s\n", "lambda", "n", "method", "trace", "outcome", "");
    for (size_t i = 0; i < n; i++) {
        char text[200];
        const enum kind kind = outcome(f[i], text, sizeof text);
        printf("%6.1f %8zu %-8s %-5s  %-12s  %s\n", in[i].lambda, in[i].n, in[i].method,
               in[i].trace ? "yes" : "no", kinds[kind], text);
        count[kind]++;
        skua_release(f[i]);
    }
    printf("\n%zu inputs:", n);
    for (int i = 0; i < NR_KINDS; i++)
        if (count[i] > 0)
            printf(" %d %s;", count[i], kinds[i]);
    skua_stats stats;
    if (skua_executor_stats(ex, &stats) == SKUA_OK)
        printf(" %zu workers replaced", stats.restarts);
    putchar('\n');
    skua_close(ex);
    return 0;
}
