/* Iterators: what skua_next() and skua_iter_close() call, whoever made the iterator. */
#ifndef SK_CORE_ITER_H
#define SK_CORE_ITER_H

#include "skua/wait.h"

struct sk_iter_class {
    skua_future *(*next)(skua_iter *it, size_t *index); /* *index is set if not NULL is returned */
    skua_status (*close)(skua_iter *it);                /* frees it */
};

/* What each kind's struct begins with. */
struct skua_iter {
    const struct sk_iter_class *class; /* constant */
};

#endif
