/* The word is 0 (free), 1 (held) or 2 (held, and somebody may sleep). Who finds it held sets 2 and
 * sleeps while it is 2; who frees a 2 wakes one sleeper, who takes the lock as 2 again, since
 * others may still sleep. No wake-up is lost: a sleeper's 2 is in the word before it sleeps, so
 * the unlocking exchange either sees it and wakes, or came before, and then the sleeper's own
 * exchange has found 0 and taken the lock. */
#include "base/lock.h"

#include "base/assert.h"
#include "base/compiler.h"
#include "base/futex.h"

#if !defined(NDEBUG) && !defined(SK_MODEL)
static SK_THREAD_LOCAL uint32_t ranks_held; /* bit r: this thread holds a lock of rank r */

static void rank_push(const struct sk_lock *lock)
{
    sk_assert((ranks_held >> lock->rank) == 0); /* nothing of this rank or higher is held */
    ranks_held |= 1u << lock->rank;
}

static void rank_pop(const struct sk_lock *lock)
{
    ranks_held &= ~(1u << lock->rank);
}
#else
static void rank_push(const struct sk_lock *lock)
{
    (void)lock;
}

static void rank_pop(const struct sk_lock *lock)
{
    (void)lock;
}
#endif

void sk_lock_init(struct sk_lock *lock, enum sk_lock_rank rank)
{
    sk_init(&lock->word, 0);
    lock->rank = rank;
}

bool sk_lock_try_lock(struct sk_lock *lock)
{
    uint32_t free_word = 0;
    if (!sk_cas_acq(&lock->word, &free_word, 1)) /* L1: pairs with L3 */
        return false;
    rank_push(lock);
    return true;
}

void sk_lock_lock(struct sk_lock *lock)
{
    uint32_t free_word = 0;
    if (!sk_cas_acq(&lock->word, &free_word, 1)) { /* L1 */
        while (sk_xchg_acq(&lock->word, 2) != 0)   /* L2: pairs with L3 */
            sk_futex_wait(&lock->word, 2, SK_NO_DEADLINE);
    }
    rank_push(lock);
}

void sk_lock_unlock(struct sk_lock *lock)
{
    rank_pop(lock);
    /* L3: publishes the section; pairs with L1 and L2. The lock may be gone right after it: the
     * wake uses the address alone. */
    if (sk_xchg_acq_rel(&lock->word, 0) == 2)
        sk_futex_wake(&lock->word, 1);
}
