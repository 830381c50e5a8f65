/* Waiting for the first of many futures, again and again: what skua_wait and skua_as_completed
 * share. */
#ifndef SK_CORE_GATHER_H
#define SK_CORE_GATHER_H

#include <stddef.h>
#include <stdint.h>

#include "skua/error.h"
#include "skua/executor.h"

struct sk_gather;

/* Begins to gather n futures; NULLs are skipped, repeated ones count once with their first index.
 * NULL if out of memory. */
struct sk_gather *sk_gather_open(skua_future *const fs[], size_t n);

/* Stops. Futures that were handed out are not touched any more; the others must be alive. */
void sk_gather_close(struct sk_gather *gather);

/* The next done future, those done at the start first and in array order. SKUA_OK; SKUA_TIMEOUT;
 * SKUA_SHUTDOWN where all that are left belong to the parent of a forked process. *f is NULL, with
 * SKUA_OK, when all were handed out. */
skua_status sk_gather_next(struct sk_gather *gather, int64_t deadline_ns, skua_future **f,
                           size_t *index);

size_t sk_gather_total(const struct sk_gather *gather);
size_t sk_gather_left(const struct sk_gather *gather);

#endif
