/* The word:
 *
 *   bits 0-1  phase        PENDING -> RUNNING              a worker, or a waiter that runs it
 *                          PENDING -> CANCELLED            skua_cancel, in any thread
 *                          RUNNING -> FINISHED, CANCELLED  who began it
 *   bit 2     SLEEPERS     set by who is about to sleep on the word
 *   bit 3     LISTED       set under the lock by who adds a watch or a callback
 *   bit 4     LET_GO       of a cancelled one: set by the first of its two parties to let go of it
 *   bits 5-   stirs        counted, so that who stirs the sleepers changes the word
 *
 * A phase is done when bit 1 is set, and then never changes. Each move is one read-modify-write on
 * the word, so exactly one of begin and cancel wins, and who ends it gets the flags as they were
 * at that moment: a flag set before is seen (and the sleeper woken, the lists run), and who comes
 * later sees the end instead of setting a flag. So no wake-up is lost:
 *
 *   sleeper: K1 word |= SLEEPERS unless done    ender: N1 word = done, reads flags
 *            K2 sleep while the word is as set         N2 SLEEPERS ? wake all
 *
 * If N1 reads no SLEEPERS it came before K1, and K1 finds it done. Else N2 comes after N1, which
 * has changed the word: the sleeper either has not slept yet and does not, or is woken.
 *
 * A sleeper that is to give up is told so by a flag of its own, and stirred:
 *
 *   sleeper: L1 read the word                  teller: B1 told = true
 *            L2 told ? then give up                    B2 word += one stir
 *            K1, K2 from the word of L1                B3 wake all
 *
 * If L1 reads a word from after B2, L2 sees B1. Else the word differs from the one of L1, or will
 * when the sleeper sleeps on it: it does not sleep on, and comes back to L1.
 *
 * Callbacks run one at a time in the order added. Who finds the list not empty, or somebody
 * calling, appends; `calling` is given up only under the lock with the list empty, so an appended
 * callback is always run by who is calling or who is about to end the future. */
#include "core/state.h"

#include <limits.h>
#include <stddef.h>

#include "base/futex.h"
#include "base/mem.h"
#include "core/error.h"

enum {
    PHASE = 3,
    DONE_BIT = 2,
    SLEEPERS = 4,
    LISTED = 8,
    LET_GO = 16,
    STIR = 32
};

void sk_state_init(struct sk_state *state)
{
    sk_init(&state->word, SK_PENDING);
    sk_lock_init(&state->lock, SK_RANK_FUTURE);
    state->watches = NULL;
    state->callbacks = state->last_callback = NULL;
    state->calling = false;
}

bool sk_state_begin(struct sk_state *state)
{
    uint32_t word = sk_load_rlx(&state->word); /* relaxed: only compared */
    while ((word & PHASE) == SK_PENDING) {
        /* Relaxed: who begins it got it through a queue that published it. */
        if (sk_cas_rlx(&state->word, &word, word | SK_RUNNING))
            return true;
    }
    return false;
}

/* Tells sleepers and watches of the end. */
static void tell(struct sk_state *state, uint32_t flags)
{
    if ((flags & SLEEPERS) != 0)
        sk_futex_wake(&state->word, INT_MAX); /* N2 */
    if ((flags & LISTED) == 0)
        return;
    sk_lock_lock(&state->lock);
    while (state->watches != NULL) {
        struct sk_watch *watch = state->watches;
        state->watches = watch->next;
        watch->listed = false;
        watch->fire(watch);
    }
    sk_lock_unlock(&state->lock);
}

bool sk_state_cancel(struct sk_state *state)
{
    uint32_t word = sk_load_rlx(&state->word);
    while ((word & PHASE) == SK_PENDING) {
        if (sk_cas_acq_rel(&state->word, &word, word | SK_CANCELLED)) { /* N1, E2: pairs with E1 */
            tell(state, word);
            return true;
        }
    }
    return false;
}

void sk_state_finish(struct sk_state *state, enum sk_phase end)
{
    /* N1, E2: publishes the result; pairs with E1. RUNNING is 1, so this adds 1 or 2. */
    uint32_t word = sk_add_acq_rel(&state->word, (uint32_t)end - SK_RUNNING);
    tell(state, word);
}

bool sk_state_let_go(struct sk_state *state)
{
    /* acq_rel: what the first did, its callbacks maybe, comes before what the last does next. */
    return (sk_or_acq_rel(&state->word, LET_GO) & LET_GO) != 0;
}

bool sk_state_wait(struct sk_state *state, int64_t deadline_ns, SK_ATOMIC(bool) * told)
{
    bool in_time = true;
    while (in_time) {
        uint32_t word = sk_load_acq(&state->word); /* E1; L1: pairs with B2 */
        if ((word & DONE_BIT) != 0)
            return true;
        if (sk_load_acq(told)) /* L2 */
            return false;
        if ((word & SLEEPERS) == 0 && !sk_cas_rlx(&state->word, &word, word | SLEEPERS)) /* K1 */
            continue; /* relaxed: it publishes nothing */
        in_time = sk_futex_wait(&state->word, word | SLEEPERS, deadline_ns); /* K2 */
    }
    return sk_state_done(state);
}

void sk_state_stir(struct sk_state *state)
{
    sk_add_acq_rel(&state->word, STIR);   /* B2: pairs with L1 */
    sk_futex_wake(&state->word, INT_MAX); /* B3 */
}

/* Sets LISTED; false if the future is done. Under the lock. */
static bool list_locked(struct sk_state *state)
{
    uint32_t word = sk_load_acq(&state->word); /* E1 */
    while ((word & DONE_BIT) == 0) {
        if ((word & LISTED) != 0 || sk_cas_acq_rel_acq(&state->word, &word, word | LISTED))
            return true; /* a failure acquires: it may have met the end, E2 */
    }
    return false;
}

bool sk_state_watch(struct sk_state *state, struct sk_watch *watch)
{
    sk_lock_lock(&state->lock);
    watch->listed = list_locked(state);
    if (watch->listed) {
        watch->previous = NULL;
        watch->next = state->watches;
        if (watch->next != NULL)
            watch->next->previous = watch;
        state->watches = watch;
    }
    bool listed = watch->listed;
    sk_lock_unlock(&state->lock);
    return listed;
}

void sk_state_unwatch(struct sk_state *state, struct sk_watch *watch)
{
    sk_lock_lock(&state->lock);
    if (watch->listed) {
        if (watch->previous != NULL)
            watch->previous->next = watch->next;
        else
            state->watches = watch->next;
        if (watch->next != NULL)
            watch->next->previous = watch->previous;
        watch->listed = false;
    }
    sk_lock_unlock(&state->lock);
}

/* Runs what is in the list, if nobody else does. Called with the lock held; returns without it. */
static void call_locked(struct sk_state *state, skua_future *f)
{
    if (!state->calling) {
        state->calling = true;
        struct sk_callback *callback;
        while ((callback = state->callbacks) != NULL) {
            state->callbacks = callback->next;
            sk_lock_unlock(&state->lock);
            struct sk_words *aside = sk_error_put_aside();
            sk_error_call_logged("a done callback", (sk_guard_fn *)callback->fn, (uintptr_t)f,
                                 (uintptr_t)callback->ctx);
            sk_error_put_back(aside);
            sk_free(callback);
            sk_lock_lock(&state->lock);
        }
        state->calling = false;
    }
    sk_lock_unlock(&state->lock);
}

void sk_state_call(struct sk_state *state, skua_future *f)
{
    if ((sk_load_rlx(&state->word) & LISTED) == 0) /* relaxed: unchanged since the end */
        return;
    sk_lock_lock(&state->lock);
    call_locked(state, f);
}

bool sk_state_has_callbacks(struct sk_state *state)
{
    if ((sk_load_rlx(&state->word) & LISTED) == 0) /* relaxed: unchanged since the end */
        return false;
    sk_lock_lock(&state->lock);
    bool has = state->callbacks != NULL;
    sk_lock_unlock(&state->lock);
    return has;
}

void sk_state_add_callback(struct sk_state *state, struct sk_callback *callback, skua_future *f)
{
    sk_lock_lock(&state->lock);
    bool waits = state->callbacks != NULL || state->calling;
    callback->next = NULL;
    if (state->callbacks != NULL)
        state->last_callback->next = callback;
    else
        state->callbacks = callback;
    state->last_callback = callback;
    if (!list_locked(state) && !waits)
        call_locked(state, f);
    else
        sk_lock_unlock(&state->lock);
}
