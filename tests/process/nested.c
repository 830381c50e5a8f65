/* link: -rdynamic */
/* A worker's share: which variables are set and which are the user's, and what libraries are told
 * that are loaded already. This program plays all those libraries. */
#define _GNU_SOURCE
#include "process/nested.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/harness.h"

static const char *const all_variables[] = {
    "OMP_NUM_THREADS",     "OPENBLAS_NUM_THREADS",   "MKL_NUM_THREADS",  "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "SKUA_NUM_THREADS",
};

/* --- the libraries --- */

static int omp, openblas, openblas_kind, mkl;
static long blis;

/* Found by name, at run time. */
void omp_set_num_threads(int threads);
void openblas_set_num_threads(int threads);
int openblas_get_parallel(void);
void MKL_Set_Num_Threads(int threads);
void bli_thread_set_num_threads(long threads);

void omp_set_num_threads(int threads)
{
    omp = threads;
}

void openblas_set_num_threads(int threads)
{
    openblas = threads;
}

int openblas_get_parallel(void)
{
    return openblas_kind; /* 0: none, 1: threads of its own, 2: OpenMP */
}

void MKL_Set_Num_Threads(int threads)
{
    mkl = threads;
}

void bli_thread_set_num_threads(long threads)
{
    blis = threads;
}

/* --- in children, since the environment is the process's --- */

static void forget_variables(void)
{
    for (size_t i = 0; i < SKT_COUNT(all_variables); i++)
        unsetenv(all_variables[i]);
}

static bool is(const char *variable, const char *wanted)
{
    const char *value = getenv(variable);
    return wanted == NULL ? value == NULL : value != NULL && strcmp(value, wanted) == 0;
}

static int child_has_set_nothing(void *arg)
{
    (void)arg;
    forget_variables();
    setenv("MKL_NUM_THREADS", "", 1); /* which says nothing */
    sk_nested_share(3);
    for (size_t i = 0; i < SKT_COUNT(all_variables); i++)
        if (!is(all_variables[i], "3"))
            return 1 + (int)i;
    return omp == 3 && openblas == 3 && mkl == 3 && blis == 3 ? 0 : 100;
}

static void what_nobody_has_set_is_set_and_told(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(child_has_set_nothing, NULL).status, 0);
}

static int child_has_set_omp(void *arg)
{
    (void)arg;
    forget_variables();
    setenv("OMP_NUM_THREADS", "7", 1);
    sk_nested_share(3);
    if (!is("OMP_NUM_THREADS", "7") || !is("SKUA_NUM_THREADS", "3") ||
        !is("VECLIB_MAXIMUM_THREADS", "3"))
        return 1;
    if (!is("OPENBLAS_NUM_THREADS", NULL) || !is("MKL_NUM_THREADS", NULL) ||
        !is("BLIS_NUM_THREADS", NULL) || !is("NUMEXPR_NUM_THREADS", NULL))
        return 2;
    return omp == 0 && openblas == 0 && mkl == 0 && blis == 0 ? 0 : 3;
}

static void the_users_omp_speaks_for_those_that_honour_it(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(child_has_set_omp, NULL).status, 0);
}

static int child_has_set_one(void *arg)
{
    (void)arg;
    forget_variables();
    setenv("MKL_NUM_THREADS", "7", 1);
    setenv("SKUA_NUM_THREADS", "8", 1);
    sk_nested_share(3);
    if (!is("MKL_NUM_THREADS", "7") || !is("SKUA_NUM_THREADS", "8") || !is("OMP_NUM_THREADS", "3"))
        return 1;
    return omp == 3 && openblas == 3 && mkl == 0 && blis == 3 ? 0 : 2;
}

static void each_variable_of_the_users_stays(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(child_has_set_one, NULL).status, 0);
}

static int child_lost_threads(void *arg)
{
    (void)arg;
    forget_variables();
    openblas_kind = 1;
    setenv("OPENBLAS_NUM_THREADS", "7", 1);
    sk_nested_share(3);
    if (openblas != 1 || !is("OPENBLAS_NUM_THREADS", "7"))
        return 1;
    openblas = 0;
    forget_variables();
    sk_nested_share(3);
    return openblas == 1 && omp == 3 ? 0 : 2;
}

static void openblas_without_its_threads_is_told_to_use_one(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(child_lost_threads, NULL).status, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(what_nobody_has_set_is_set_and_told),
        SKT_TEST(the_users_omp_speaks_for_those_that_honour_it),
        SKT_TEST(each_variable_of_the_users_stays),
        SKT_TEST(openblas_without_its_threads_is_told_to_use_one),
    };
    return skt_main(argc, argv, "process/nested", tests, SKT_COUNT(tests));
}
