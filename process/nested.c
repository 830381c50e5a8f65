#define _GNU_SOURCE
/* Threads inside workers.
 *
 * The problem. A pool has a worker for each core, and a task that multiplies matrices calls a
 * library which starts a thread for each core too: on 64 cores these are 4096 threads.
 *
 * The idea. Such libraries read a number from the environment when they are first used, which is in
 * the worker if the program has not used them before. If it has, they have calls to change their
 * minds, which are looked up by name, so that nothing need be linked. A number that the user has
 * set stays. Most libraries read OMP_NUM_THREADS where their own variable is missing, so if the
 * user has set that one, they are left alone.
 *
 * OpenBLAS, where it has threads of its own, is a special case. It starts them when it is loaded,
 * and a worker is a copy without them that does not know: it would wait for them for ever. So it is
 * told to use one in any case. OpenMP's runtimes have the same trouble if the program has used them
 * before it made the pool; nothing but one thread can help there either, and one is what they are
 * told if that is a worker's share.
 *
 * Rejected: cpusets and affinity, by which well-behaved libraries would count their cores but the
 * others would crowd; looking into libraries that were loaded with RTLD_LOCAL, since asking the
 * dynamic linker for those takes locks that another thread may have held at the fork. */
#include "process/nested.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

typedef void set_int(int threads);
typedef void set_long(long threads); /* BLIS's dim_t, if not of int's size: then the rest is cut */
typedef int get_int(void);

/* A function's address from a data pointer, as POSIX promises for dlsym() but C does not. */
union symbol {
    void *found;
    set_int *set_int;
    set_long *set_long;
    get_int *get_int;
};

static union symbol look_up(const char *name)
{
    return (union symbol){ .found = dlsym(RTLD_DEFAULT, name) };
}

static bool is_set(const char *variable)
{
    const char *value = getenv(variable);
    return value != NULL && value[0] != '\0';
}

/* Whether the user has said how many threads the library of that variable should use. */
static bool is_users(const char *variable, bool honours_omp)
{
    return is_set(variable) || (honours_omp && is_set("OMP_NUM_THREADS"));
}

static void tell_openblas(int threads, bool users)
{
    const union symbol set = look_up("openblas_set_num_threads");
    const union symbol kind = look_up("openblas_get_parallel");
    if (set.found == NULL)
        return;
    const bool has_own_threads = kind.found != NULL && kind.get_int() == 1;
    if (has_own_threads)
        set.set_int(1);
    else if (!users)
        set.set_int(threads);
}

/* Those that have read their variables already. */
static void tell_libraries(int threads)
{
    const union symbol omp = look_up("omp_set_num_threads");
    if (omp.found != NULL && !is_users("OMP_NUM_THREADS", true))
        omp.set_int(threads);
    tell_openblas(threads, is_users("OPENBLAS_NUM_THREADS", true));
    const union symbol mkl = look_up("MKL_Set_Num_Threads");
    if (mkl.found != NULL && !is_users("MKL_NUM_THREADS", true))
        mkl.set_int(threads);
    const union symbol blis = look_up("bli_thread_set_num_threads");
    if (blis.found != NULL && !is_users("BLIS_NUM_THREADS", true))
        blis.set_long(threads);
}

void sk_nested_share(int threads)
{
    static const struct {
        const char *name;
        bool honours_omp;
    } variables[] = {
        { "OPENBLAS_NUM_THREADS", true }, { "MKL_NUM_THREADS", true },
        { "BLIS_NUM_THREADS", true },     { "NUMEXPR_NUM_THREADS", true },
        { "OMP_NUM_THREADS", true },      { "VECLIB_MAXIMUM_THREADS", false },
        { "SKUA_NUM_THREADS", false },
    };
    char text[16];
    snprintf(text, sizeof text, "%d", threads);
    tell_libraries(threads);
    const bool omp_is_users = is_set("OMP_NUM_THREADS");
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (!is_set(variables[i].name) && !(omp_is_users && variables[i].honours_omp))
            setenv(variables[i].name, text, 1); /* without memory it stays as it was */
}
