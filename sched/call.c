/* A function that is left by an exception leaves children behind in the split deque, whose
 * arguments usually lie in its frames or in those it called. Nobody syncs them any more. So the
 * guard ends them while the frames are still there, from the youngest: those that nobody has taken
 * are popped and never run; below them are only taken ones, and each is waited for. The worker does
 * not help meanwhile, as skua_sync() does: it would run the user's code in the middle of a throw.
 * */
#include "sched/call.h"

#include "base/mem.h"
#include "sched/join.h"

void sk_call_leaving(struct sk_guard *guard)
{
    struct sk_call *call = SK_CONTAINER_OF(guard, struct sk_call, guard);
    struct sk_split *split = call->split;
    while (split != NULL && split->head > call->base) {
        uint32_t youngest = split->head - 1;
        if (!sk_split_reclaim(split, youngest)) {
            sk_join_wait(split, &split->entries[youngest]);
            sk_free(split->entries[youngest].context);
        }
        sk_split_remove(split, youngest);
    }
}
