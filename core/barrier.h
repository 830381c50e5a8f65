/* The barrier of a team: a fixed number of members meet at it again and again, until one of them
 * leaves. Nobody waits for a member that has left. */
#ifndef SK_CORE_BARRIER_H
#define SK_CORE_BARRIER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "sched/circle.h"
#include "skua/error.h"

struct sk_barrier {
    /* one line: who comes last has it when it writes the word */
    SK_CACHE_ALIGNED uint32_t members; /* constant */
    SK_ATOMIC(uint32_t) arrived;       /* in the present round */
    SK_ATOMIC(uint32_t) word;          /* the round, and flags: see barrier.c; slept on */
};

void sk_barrier_init(struct sk_barrier *barrier, uint32_t members);

/* A member waits for all others; `others` is what those run who have not come yet, for circle.c.
 * SKUA_OK; if one has left, so that the round can never be
 * complete, SKUA_FAILED or SKUA_DEADLOCK, as the first that left had failed or not. */
skua_status sk_barrier_wait(struct sk_barrier *barrier, const struct sk_awaited *others);

/* A member will not come any more. Once a member. */
void sk_barrier_leave(struct sk_barrier *barrier, bool failed);

#endif
