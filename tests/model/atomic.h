/* The names of base/atomic.h in a model build: each operation is a step of the model checker,
 * which chooses the thread that goes next and the store that a load reads (checker.h,
 * histories.c). The objects are ordinary _Atomic ones, of the same size and layout as in the
 * library: the checker keeps their histories beside them, by address, so static and calloc'ed ones
 * need no set-up. */
#ifndef SK_TESTS_MODEL_ATOMIC_H
#define SK_TESTS_MODEL_ATOMIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

_Static_assert(sizeof(void *) == 8, "values travel as 64-bit words");

enum model_order {
    MODEL_RLX,
    MODEL_ACQ,
    MODEL_REL,
    MODEL_ACQ_REL,
    MODEL_SC
};

enum model_rmw {
    MODEL_XCHG,
    MODEL_ADD,
    MODEL_SUB,
    MODEL_OR
};

/* site is "file:line: the call as written" in all of them. */
void model_init(volatile void *x, size_t size, uint64_t value, const char *site);
uint64_t model_load(const volatile void *x, size_t size, enum model_order order, const char *site);
void model_store(volatile void *x, size_t size, uint64_t value, enum model_order order,
                 const char *site);
uint64_t model_rmw(volatile void *x, size_t size, enum model_rmw what, uint64_t value,
                   enum model_order order, const char *site);
bool model_cas(volatile void *x, size_t size, void *expected, uint64_t value,
               enum model_order success, enum model_order failure, const char *site);
/* A turn of a spin loop: lets the others run. */
void model_pause(const char *site);

#define MODEL_STRING_(x)  #x
#define MODEL_STRING(x)   MODEL_STRING_(x)
#define MODEL_SITE(call)  __FILE__ ":" MODEL_STRING(__LINE__) ": " call
/* The type of *x as a value, without _Atomic and const. */
#define MODEL_TYPE(x)     __typeof__((void)0, *(x))
#define MODEL_WORD(x, v)  ((uint64_t)(uintptr_t)(MODEL_TYPE(x))(v))
/* A statement expression, because an unused cast value is a warning and an unused call is not. */
#define MODEL_VALUE(x, v) (__extension__({ (MODEL_TYPE(x))(uintptr_t)(v); }))
#define MODEL_LOAD(x, order, call)                                                                 \
    MODEL_VALUE(x, model_load(x, sizeof *(x), order, MODEL_SITE(call "(" #x ")")))
#define MODEL_STORE(x, v, order, call)                                                             \
    model_store(x, sizeof *(x), MODEL_WORD(x, v), order, MODEL_SITE(call "(" #x ", " #v ")"))
#define MODEL_RMW(x, v, what, order, call)                                                         \
    MODEL_VALUE(x, model_rmw(x, sizeof *(x), what, MODEL_WORD(x, v), order,                        \
                             MODEL_SITE(call "(" #x ", " #v ")")))
#define MODEL_CAS(x, e, v, success, failure, call)                                                 \
    model_cas(x, sizeof *(x), e, MODEL_WORD(x, v), success, failure,                               \
              MODEL_SITE(call "(" #x ", " #e ", " #v ")"))

#define SK_ATOMIC(T) _Atomic(T)

#define sk_init(x, v)                                                                              \
    model_init(x, sizeof *(x), MODEL_WORD(x, v), MODEL_SITE("sk_init(" #x ", " #v ")"))

#define sk_load_rlx(x) MODEL_LOAD(x, MODEL_RLX, "sk_load_rlx")
#define sk_load_acq(x) MODEL_LOAD(x, MODEL_ACQ, "sk_load_acq")
#define sk_load_sc(x)  MODEL_LOAD(x, MODEL_SC, "sk_load_sc")

#define sk_store_rlx(x, v) MODEL_STORE(x, v, MODEL_RLX, "sk_store_rlx")
#define sk_store_rel(x, v) MODEL_STORE(x, v, MODEL_REL, "sk_store_rel")
#define sk_store_sc(x, v)  MODEL_STORE(x, v, MODEL_SC, "sk_store_sc")

#define sk_xchg_acq(x, v)     MODEL_RMW(x, v, MODEL_XCHG, MODEL_ACQ, "sk_xchg_acq")
#define sk_xchg_acq_rel(x, v) MODEL_RMW(x, v, MODEL_XCHG, MODEL_ACQ_REL, "sk_xchg_acq_rel")
#define sk_xchg_sc(x, v)      MODEL_RMW(x, v, MODEL_XCHG, MODEL_SC, "sk_xchg_sc")

#define sk_cas_rlx(x, e, v)     MODEL_CAS(x, e, v, MODEL_RLX, MODEL_RLX, "sk_cas_rlx")
#define sk_cas_acq(x, e, v)     MODEL_CAS(x, e, v, MODEL_ACQ, MODEL_RLX, "sk_cas_acq")
#define sk_cas_rel(x, e, v)     MODEL_CAS(x, e, v, MODEL_REL, MODEL_RLX, "sk_cas_rel")
#define sk_cas_acq_rel(x, e, v) MODEL_CAS(x, e, v, MODEL_ACQ_REL, MODEL_RLX, "sk_cas_acq_rel")
#define sk_cas_acq_rel_acq(x, e, v)                                                                \
    MODEL_CAS(x, e, v, MODEL_ACQ_REL, MODEL_ACQ, "sk_cas_acq_rel_acq")
#define sk_cas_sc(x, e, v)     MODEL_CAS(x, e, v, MODEL_SC, MODEL_RLX, "sk_cas_sc")
#define sk_cas_sc_acq(x, e, v) MODEL_CAS(x, e, v, MODEL_SC, MODEL_ACQ, "sk_cas_sc_acq")

#define sk_add_rlx(x, v)     MODEL_RMW(x, v, MODEL_ADD, MODEL_RLX, "sk_add_rlx")
#define sk_add_acq_rel(x, v) MODEL_RMW(x, v, MODEL_ADD, MODEL_ACQ_REL, "sk_add_acq_rel")
#define sk_add_sc(x, v)      MODEL_RMW(x, v, MODEL_ADD, MODEL_SC, "sk_add_sc")
#define sk_sub_rlx(x, v)     MODEL_RMW(x, v, MODEL_SUB, MODEL_RLX, "sk_sub_rlx")
#define sk_sub_rel(x, v)     MODEL_RMW(x, v, MODEL_SUB, MODEL_REL, "sk_sub_rel")
#define sk_sub_acq_rel(x, v) MODEL_RMW(x, v, MODEL_SUB, MODEL_ACQ_REL, "sk_sub_acq_rel")
#define sk_sub_sc(x, v)      MODEL_RMW(x, v, MODEL_SUB, MODEL_SC, "sk_sub_sc")
#define sk_or_acq_rel(x, v)  MODEL_RMW(x, v, MODEL_OR, MODEL_ACQ_REL, "sk_or_acq_rel")
#define sk_or_sc(x, v)       MODEL_RMW(x, v, MODEL_OR, MODEL_SC, "sk_or_sc")

/* A spin loop's turn is a chance for the others. */
#define sk_pause() model_pause(MODEL_SITE("sk_pause()"))

/* The model's threads share one thread of the system: the scheduler swaps these variables. */
#undef SK_THREAD_LOCAL
#define SK_THREAD_LOCAL __attribute__((section("model_tls")))

#endif
