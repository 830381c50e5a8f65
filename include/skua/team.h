/** @file team.h
 * Teams, on threads: members that really run at the same time, numbered 0 .. members-1, with a
 * barrier.
 *
 * This is what programs written as "each thread does its part, then all meet" need, and what other
 * libraries' hooks for threads ask for. Where the parts need not meet, a loop is lighter and
 * balances itself: see loop.h.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * struct sums {
 *     double part[2], total[2];
 * };
 *
 * static int add_up(int rank, int members, void *ctx)
 * {
 *     struct sums *s = ctx;
 *     for (int i = rank; i < 1000; i += members)
 *         s->part[rank] += i;
 *     skua_status status = skua_team_barrier();
 *     for (int r = 0; r < members; r++)
 *         s->total[rank] += s->part[r];
 *     return status;
 * }
 *
 * int main(void)
 * {
 *     struct sums s = { { 0 }, { 0 } };
 *     skua_executor *ex = skua_thread_pool(&(skua_options){ .workers = 2 });
 *     skua_status status = skua_team(ex, 2, add_up, &s);
 *     printf("%s: %g, %g\n", skua_strstatus(status), s.total[0], s.total[1]);
 *     skua_close(ex);
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_TEAM_H
#define SKUA_TEAM_H

#include "skua/error.h"
#include "skua/executor.h"
#include "skua/export.h"

SKUA_BEGIN_DECLS

/** Runs body(rank, members, ctx) for each rank from 0 to members - 1, all at the same time on as
 * many workers, and waits for all of them. All or nothing: no body begins before each member has a
 * worker, so a body may wait for what another one does. Workers that have tasks to run come when
 * they have ended them, or wait inside skua; those that have come wait idle, and one team gathers
 * at a time in a pool.
 *
 * The calling thread is rank 0; called from outside of @p ex it works in the seat of a worker,
 * whose own thread rests meanwhile. A worker that waits inside skua counts as free: a stand-in
 * takes its place. So a team may begin inside another's member, when the other members wait at the
 * barrier, or for their turn to gather teams of their own.
 *
 * Each member has a skua_worker() number, which may be that of a member asleep inside skua, and
 * skua_stopping() of the calling task; it may run loops, maps, children, tasks and teams. Blocks;
 * any thread, but not in a pool's init. After it has returned nothing uses @p ctx.
 * @param ex a thread pool.
 * @param members at least 1, and at most skua_workers(ex).
 * @param body does one member's part and returns 0, or skua_fail().
 * @param ctx given to each call.
 * @return SKUA_OK when all bodies returned 0; SKUA_FAILED with the words of the lowest rank that
 * failed. In all other cases no body has begun: SKUA_INVALID (NULL, a number of members that the
 * pool cannot have, an executor without threads); SKUA_SHUTDOWN, from a thread that is no worker of
 * a pool that was shut down; SKUA_CANCELLED when skua_shutdown() cancelled it while it gathered; a
 * broken pool's status; SKUA_NO_MEMORY, also where all workers wait inside skua and no thread can
 * be had to stand in for them. */
SKUA_API skua_status skua_team(skua_executor *ex, int members,
                               int (*body)(int rank, int members, void *ctx), void *ctx);

/** Waits until all members of the team have called it equally often; what each has written before
 * is seen by all after it. To be called in the body of a member itself, not in the pieces of a
 * loop, children or tasks that it began; in a team inside a team it is the inner one's. Blocks.
 *
 * A member that has left its body ends the barrier for good: the round that cannot be complete any
 * more, and all later calls, return at once.
 * @return SKUA_OK; when a member has left before this round, SKUA_DEADLOCK if the first that left
 * had returned 0, else SKUA_FAILED with the words of the lowest rank that has failed so far, so
 * that returning this status hands the words on; SKUA_INVALID_STATE outside of a team. */
SKUA_API skua_status skua_team_barrier(void);

SKUA_END_DECLS

#endif
