/* Sleeping until a 32-bit word changes. Spurious returns are possible, so the caller looks at its
 * word again. Deadlines are sk_now_ns() values. Process-private futexes but for those named
 * _shared, which work on memory that several processes have mapped; to wait takes no right to
 * write it. */
#ifndef SK_BASE_FUTEX_H
#define SK_BASE_FUTEX_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"

#define SK_NO_DEADLINE INT64_MAX

/* Sleeps while *word == expected. False if the deadline had passed. */
bool sk_futex_wait(SK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t deadline_ns);
/* Wakes up to n sleepers. The word's memory may be gone already: it is only an address. */
void sk_futex_wake(SK_ATOMIC(uint32_t) * word, int n);

bool sk_futex_wait_shared(SK_ATOMIC(uint32_t) * word, uint32_t expected, int64_t deadline_ns);
void sk_futex_wake_shared(SK_ATOMIC(uint32_t) * word, int n);

#endif
