/* Atomics whose names carry their order. Every atomic of the library goes through here:
 * SK_ATOMIC(T) declares one, sk_load_acq(&x) reads it. In a model build (-DSK_MODEL) the same names
 * are the yield points of the model checker, so it runs the library's own source. */
#ifndef SK_BASE_ATOMIC_H
#define SK_BASE_ATOMIC_H

#include <stdbool.h>
#include <stdint.h>

#if defined(SK_MODEL)
#include "tests/model/atomic.h"
#else

#include <stdatomic.h>

#define SK_ATOMIC(T)  _Atomic(T)

/* Before the object is shared. */
#define sk_init(x, v) atomic_init(x, v)

#define sk_load_rlx(x) atomic_load_explicit(x, memory_order_relaxed)
#define sk_load_acq(x) atomic_load_explicit(x, memory_order_acquire)
#define sk_load_sc(x)  atomic_load_explicit(x, memory_order_seq_cst)

#define sk_store_rlx(x, v) atomic_store_explicit(x, v, memory_order_relaxed)
#define sk_store_rel(x, v) atomic_store_explicit(x, v, memory_order_release)
#define sk_store_sc(x, v)  atomic_store_explicit(x, v, memory_order_seq_cst)

#define sk_xchg_acq(x, v)     atomic_exchange_explicit(x, v, memory_order_acquire)
#define sk_xchg_acq_rel(x, v) atomic_exchange_explicit(x, v, memory_order_acq_rel)
#define sk_xchg_sc(x, v)      atomic_exchange_explicit(x, v, memory_order_seq_cst)

/* Strong compare-and-swap: true if *x was *e and is v; else *e is what it was. The name's order is
 * that of success; a failure reads relaxed, or acquires where its name ends in _acq. */
#define sk_cas_rlx(x, e, v)                                                                        \
    atomic_compare_exchange_strong_explicit(x, e, v, memory_order_relaxed, memory_order_relaxed)
#define sk_cas_acq(x, e, v)                                                                        \
    atomic_compare_exchange_strong_explicit(x, e, v, memory_order_acquire, memory_order_relaxed)
#define sk_cas_rel(x, e, v)                                                                        \
    atomic_compare_exchange_strong_explicit(x, e, v, memory_order_release, memory_order_relaxed)
#define sk_cas_acq_rel(x, e, v)                                                                    \
    atomic_compare_exchange_strong_explicit(x, e, v, memory_order_acq_rel, memory_order_relaxed)
#define sk_cas_acq_rel_acq(x, e, v)                                                                \
    atomic_compare_exchange_strong_explicit(x, e, v, memory_order_acq_rel, memory_order_acquire)
#define sk_cas_sc(x, e, v)                                                                         \
    atomic_compare_exchange_strong_explicit(x, e, v, memory_order_seq_cst, memory_order_relaxed)
#define sk_cas_sc_acq(x, e, v)                                                                     \
    atomic_compare_exchange_strong_explicit(x, e, v, memory_order_seq_cst, memory_order_acquire)

/* Read-modify-write; each gives the value before. */
#define sk_add_rlx(x, v)     atomic_fetch_add_explicit(x, v, memory_order_relaxed)
#define sk_add_acq_rel(x, v) atomic_fetch_add_explicit(x, v, memory_order_acq_rel)
#define sk_add_sc(x, v)      atomic_fetch_add_explicit(x, v, memory_order_seq_cst)
#define sk_sub_rlx(x, v)     atomic_fetch_sub_explicit(x, v, memory_order_relaxed)
#define sk_sub_rel(x, v)     atomic_fetch_sub_explicit(x, v, memory_order_release)
#define sk_sub_acq_rel(x, v) atomic_fetch_sub_explicit(x, v, memory_order_acq_rel)
#define sk_sub_sc(x, v)      atomic_fetch_sub_explicit(x, v, memory_order_seq_cst)
#define sk_or_acq_rel(x, v)  atomic_fetch_or_explicit(x, v, memory_order_acq_rel)
#define sk_or_sc(x, v)       atomic_fetch_or_explicit(x, v, memory_order_seq_cst)

#endif

#endif
