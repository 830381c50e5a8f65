/* A worker's share of the machine: how many threads the libraries that tasks call should use. */
#ifndef SK_PROCESS_NESTED_H
#define SK_PROCESS_NESTED_H

/* In the zygote, which has one thread. Sets OMP_NUM_THREADS, OPENBLAS_NUM_THREADS, MKL_NUM_THREADS,
 * BLIS_NUM_THREADS, NUMEXPR_NUM_THREADS, VECLIB_MAXIMUM_THREADS and SKUA_NUM_THREADS to `threads`,
 * and tells libraries that are loaded already and have read theirs. What the user has set stays;
 * OMP_NUM_THREADS speaks for those that honour it. */
void sk_nested_share(int threads);

#endif
