/* The protocol, with W a sleeper's steps and N a notifier's:
 *
 *   W1 waiters += 1   (seq_cst)             N1 publish            (seq_cst, the caller's)
 *   W2 token = epoch  (acquire)             N2 waiters == 0 ?     (seq_cst) then nothing to do
 *   W3 look again     (seq_cst, caller's)   N3 epoch += 1         (release)
 *   W4 sleep while epoch == token           N4 futex wake
 *
 * The lost wake-up it avoids: the sleeper looks, finds nothing, and sleeps on after the notifier
 * has published and found nobody to wake.
 *
 * Proof. Let the one order of seq_cst operations decide between W1 and N2. If N2 comes first, N1
 * comes before W3 in that order, so W3 sees what was published. Else N2 reads a number above 0 and
 * the notifier goes on to N3. If W2 reads the epoch of N3 or a later one, it acquires N3's release,
 * which stands after N1: W3 sees what was published. If W2 reads an older epoch, the word has
 * changed, or changes after the sleeper fell asleep: then N4 wakes it, or another sleeper in its
 * place, if n is less than their number; which one it is does not matter to who publishes one piece
 * of work, as any of them takes it.
 *
 * An epoch that goes round 2^32 times between W2 and W4 would be missed; it takes a wake call a
 * time, minutes of them in the moment before a system call. */
#include "sched/park.h"

uint32_t sk_park_prepare(struct sk_park *park)
{
    sk_add_sc(&park->waiters, 1u);    /* W1: before W3 in the one order of seq_cst; see N2 */
    return sk_load_acq(&park->epoch); /* W2: pairs with N3 */
}

void sk_park_cancel(struct sk_park *park)
{
    sk_sub_rlx(&park->waiters, 1u); /* relaxed: a notifier that still counts us wakes for nothing */
}

bool sk_park_wait(struct sk_park *park, uint32_t token, int64_t deadline_ns)
{
    bool in_time = true;
    while (in_time && sk_load_acq(&park->epoch) == token)
        in_time = sk_futex_wait(&park->epoch, token, deadline_ns); /* W4 */
    sk_park_cancel(park);
    return in_time;
}

void sk_park_wake(struct sk_park *park, int n)
{
    sk_add_acq_rel(&park->epoch, 1u); /* N3: pairs with W2 */
    sk_futex_wake(&park->epoch, n);   /* N4 */
}
