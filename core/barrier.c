/* A barrier with a count and a round (the sense-reversing barrier of Hensgen, Finkel and Manber,
 * 1988, with more than two senses). Trees and dissemination barriers pass fewer lines from core to
 * core where there are very many members; here they would cost the usual few members more, and a
 * way to sleep for each of their steps.
 *
 * The word: the round from bit 3 up, and
 *   SLEEPERS  somebody sleeps on this value of the word
 *   LEFT      a member has left: this round and all later ones are never complete
 *   FAILED    and the first that left had failed
 *
 *   A member waits                                  A member leaves
 *   W1 word has LEFT ? return                       L1 word |= LEFT, if it has not (release)
 *   W2 arrived += 1 (acquire, release)              L2 it had SLEEPERS ? wake all
 *   last: W3 arrived = 0
 *         W4 word = next round, no flags (release)
 *         W5 it had SLEEPERS ? wake all
 *   else: W6 look at the word (acquire) until it is another round, or has LEFT
 *         W7 put SLEEPERS into the word, by a CAS from the value seen; sleep on it
 *
 * All writes are seen: each arrival's W2 releases them, the last one's W2 acquires all the earlier
 * ones, since they are read-modify-writes of one word; its W4 releases them to W6.
 *
 * A round is either complete or left. Who leaves has not arrived in the round, so at most
 * members - 1 have; each counts itself at most once in a round that is never complete, as its
 * further calls see LEFT at W1. And when the last one arrives nobody has left: LEFT is not lost at
 * W4. A member that still sleeps when a later round is left sees another round, and that its own
 * was complete.
 *
 * No arrival is lost: a member of the next round has read W4, after W3.
 *
 * No wake-up is lost: W4, L1 and W7 are read-modify-writes of the same word. Whichever of the first
 * two comes after W7 reads SLEEPERS and wakes after the word has changed; if it comes before, W7
 * fails, and W6 looks again. */
#include "core/barrier.h"

#include <limits.h>

#include "base/assert.h"
#include "base/futex.h"
#include "base/spin.h"
#include "sched/worker.h"

enum {
    SLEEPERS = 1,
    LEFT = 2,
    FAILED = 4,
    ROUND = 8
};

void sk_barrier_init(struct sk_barrier *barrier, uint32_t members)
{
    barrier->members = members;
    sk_init(&barrier->arrived, 0);
    sk_init(&barrier->word, 0);
}

static uint32_t round_of(uint32_t word)
{
    return word / ROUND;
}

/* Whether the wait that began in `round` is over; *word is what was seen. */
static bool is_over(struct sk_barrier *barrier, uint32_t round, uint32_t *word)
{
    *word = sk_load_acq(&barrier->word); /* W6: pairs with W4 and L1 */
    return round_of(*word) != round || (*word & LEFT) != 0;
}

static skua_status status_of(uint32_t word)
{
    return (word & FAILED) != 0 ? SKUA_FAILED : SKUA_DEADLOCK;
}

static void sleep_until_over(struct sk_barrier *barrier, uint32_t round, uint32_t *word,
                             const struct sk_awaited *others)
{
    struct sk_wait wait;
    sk_circle_enter_one(&wait, others);
    sk_worker_block_begin();
    while (!is_over(barrier, round, word)) {
        if ((*word & SLEEPERS) != 0 ||
            sk_cas_rlx(&barrier->word, word, *word | SLEEPERS)) /* W7; relaxed: it tells nothing */
            sk_futex_wait(&barrier->word, *word | SLEEPERS, SK_NO_DEADLINE);
    }
    sk_worker_block_end();
    sk_circle_leave(&wait);
}

skua_status sk_barrier_wait(struct sk_barrier *barrier, const struct sk_awaited *others)
{
    uint32_t word = sk_load_acq(&barrier->word); /* W1: pairs with L1 */
    uint32_t round = round_of(word);             /* no other: it cannot end without this member */
    if ((word & LEFT) != 0)
        return status_of(word);
    if (sk_add_acq_rel(&barrier->arrived, 1u) == barrier->members - 1) { /* W2: pairs with itself */
        sk_store_rlx(&barrier->arrived, 0u); /* W3; relaxed: released by W4 */
        word = sk_xchg_acq_rel(&barrier->word, (round + 1) * ROUND); /* W4: pairs with W6 */
        sk_assert((word & LEFT) == 0);
        if ((word & SLEEPERS) != 0)
            sk_futex_wake(&barrier->word, INT_MAX);
        return SKUA_OK;
    }
    struct sk_spin spin = { 0, 0 };
    while (!is_over(barrier, round, &word)) {
        if (sk_spin_turn(&spin, sk_join_spin))
            sleep_until_over(barrier, round, &word, others);
    }
    return round_of(word) != round ? SKUA_OK : status_of(word);
}

void sk_barrier_leave(struct sk_barrier *barrier, bool failed)
{
    uint32_t word = sk_load_rlx(&barrier->word);
    do {
        if ((word & LEFT) != 0)
            return;
    } while (!sk_cas_rel(&barrier->word, &word, /* L1: pairs with W1 and W6 */
                         word | LEFT | (failed ? FAILED : 0)));
    if ((word & SLEEPERS) != 0)
        sk_futex_wake(&barrier->word, INT_MAX);
}
