/* A block of a loop: a range of units [begin, end) in one atomic word, from which its worker takes
 * pieces at the front and thieves half of what is left at the back. Each unit is given out once.
 *
 * The word is the whole state, so a compare-and-swap that meets an equal word is right even if the
 * word had changed meanwhile: those units are there to be taken. All orders are relaxed: a range
 * publishes nothing but itself; the loop's data is published with the region. */
#ifndef SK_SCHED_RANGE_H
#define SK_SCHED_RANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

/* At most this many units, so that begin + end never overflow. */
#define SK_RANGE_MAX (UINT32_C(1) << 31)

struct sk_range {
    uint32_t begin, end;
};

static inline uint64_t sk_range_pack(uint32_t begin, uint32_t end)
{
    return (uint64_t)begin << 32 | end;
}

static inline struct sk_range sk_range_unpack(uint64_t word)
{
    return (struct sk_range){ (uint32_t)(word >> 32), (uint32_t)word };
}

static inline uint32_t sk_range_size(struct sk_range r)
{
    return r.end > r.begin ? r.end - r.begin : 0;
}

/* How many units are left; a guess. */
static inline uint32_t sk_range_left(SK_ATOMIC(uint64_t) * block)
{
    return sk_range_size(sk_range_unpack(sk_load_rlx(block)));
}

/* Takes up to `want` units, at least 1, from the front. False if there are none; *left: units that
 * remain. */
static inline bool sk_range_take(SK_ATOMIC(uint64_t) * block, uint32_t want, struct sk_range *got,
                                 uint32_t *left)
{
    uint64_t word = sk_load_rlx(block);
    for (;;) {
        struct sk_range r = sk_range_unpack(word);
        uint32_t size = sk_range_size(r);
        if (size == 0)
            return false;
        uint32_t n = want < size ? want : size;
        if (sk_cas_rlx(block, &word, sk_range_pack(r.begin + n, r.end))) {
            *got = (struct sk_range){ r.begin, r.begin + n };
            *left = size - n;
            return true;
        }
    }
}

/* Steals the back half, at least 1 unit. False if there are none. */
static inline bool sk_range_steal(SK_ATOMIC(uint64_t) * block, struct sk_range *got)
{
    uint64_t word = sk_load_rlx(block);
    for (;;) {
        struct sk_range r = sk_range_unpack(word);
        uint32_t size = sk_range_size(r);
        if (size == 0)
            return false;
        uint32_t n = (size + 1) / 2;
        if (sk_cas_rlx(block, &word, sk_range_pack(r.begin, r.end - n))) {
            *got = (struct sk_range){ r.end - n, r.end };
            return true;
        }
    }
}

/* Puts `r` into a block that is empty. False if somebody with the same block was faster. */
static inline bool sk_range_put(SK_ATOMIC(uint64_t) * block, struct sk_range r)
{
    uint64_t word = sk_load_rlx(block);
    return sk_range_size(sk_range_unpack(word)) == 0 &&
           sk_cas_rlx(block, &word, sk_range_pack(r.begin, r.end));
}

#endif
