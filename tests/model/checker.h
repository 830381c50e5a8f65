/* A model checker for the library's lock-free parts: runs a small test of two to four threads under
 * every schedule with at most `bound` preemptions, and under every choice of the stores that its
 * atomic loads may read by the C11 memory model, or under random ones (--seed). Atomics, futexes,
 * memory and time are its own; the code under test is the library's, compiled with -DSK_MODEL. */
#ifndef SK_TESTS_MODEL_CHECKER_H
#define SK_TESTS_MODEL_CHECKER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/atomic.h"

#define MODEL_THREADS 4

enum model_flags {
    MODEL_SPURIOUS = 1, /* sk_futex_wait may return for no reason, at the price of a preemption */
    MODEL_LEAKS_OK = 2  /* memory may be left allocated at the end */
};

struct model_test {
    const char *name;
    void (*setup)(void); /* before the threads; or NULL */
    void (*thread[MODEL_THREADS])(void);
    void (*finish)(void); /* after all of them; or NULL */
    const char *fails;    /* words of the failure that must be found; NULL: none may be */
    int bound;            /* preemptions at most, unless the command line says; 0: 2 */
    int max_steps;        /* in one execution; more is a livelock; 0: 400 */
    unsigned flags;       /* enum model_flags */
    long random_runs;     /* so many random executions, where all would be too many; 0: all */
};

/* Runs the tests as the command line says (--help), prints a line for each. The exit status. */
int model_main(const char *area, const struct model_test *tests, int nr, int argc, char **argv);
#define MODEL_MAIN(area, tests)                                                                    \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return model_main(area, tests, (int)(sizeof(tests) / sizeof *(tests)), argc, argv);        \
    }

/* Ends the execution as a failure. Not in finish's callees after a failure: there is none. */
_Noreturn void model_fail(const char *format, ...) SK_PRINTF(1, 2);
#define model_check(x) ((x) ? (void)0 : model_fail("%s", MODEL_SITE(#x " does not hold")))

/* Plain variables: two uses, one of them a write, that no happens-before edge orders are a data
 * race. The library's and the tests' code is instrumented by the compiler, so all its plain
 * variables are checked, but in functions that are MODEL_UNCHECKED: those that keep a test's
 * books. There, uses that stand for a user's can be marked. */
#define MODEL_UNCHECKED __attribute__((no_sanitize("thread"), noinline))
#define model_read(x)   model_plain_read(&(x), sizeof(x), MODEL_SITE(#x))
#define model_write(x)  model_plain_write(&(x), sizeof(x), MODEL_SITE(#x))
void model_plain_read(const volatile void *x, size_t size, const char *site);
void model_plain_write(const volatile void *x, size_t size, const char *site);

/* One of 0 .. n-1, each of them in some execution. */
int model_choose(int n);
/* The number of the calling thread in the test's list; -1 in setup and finish. */
int model_self(void);
/* Allocations not yet freed. */
int model_nr_live(void);
/* The newest value, from outside of the memory model: for finish and for assertions. */
uint64_t model_peek(const volatile void *x, size_t size);
#define model_newest(x) MODEL_VALUE(x, model_peek(x, sizeof *(x)))

#endif
