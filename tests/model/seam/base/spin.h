/* base/spin.h in a model build: how long a thread spins before it sleeps is a choice, as a long
 * spin and a short one differ in nothing else. */
#ifndef SK_BASE_SPIN_H
#define SK_BASE_SPIN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "tests/model/checker.h"

enum {
    MODEL_SPIN_TURNS = 2
};

struct sk_spin_limits {
    int64_t pause_ns, yield_ns;
};

struct sk_spin {
    int64_t since;
    uint32_t turns;
};

static inline bool sk_spin_turn(struct sk_spin *spin, struct sk_spin_limits limits)
{
    (void)limits;
    sk_pause();
    return ++spin->turns >= MODEL_SPIN_TURNS || model_choose(2) == 1;
}

#endif
