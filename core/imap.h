/* skua_map() for executors that are no thread pools. */
#ifndef SK_CORE_IMAP_H
#define SK_CORE_IMAP_H

#include "skua/map.h"

/* As skua_map(), with arguments that make sense and n > 0. */
skua_status sk_map_by_imap(skua_executor *ex, skua_fn *fn, const void *in, size_t in_size,
                           void *out, size_t out_size, size_t n, double timeout);

#endif
