/* Executors, as the rest of core/ sees them. */
#ifndef SK_CORE_EXECUTOR_H
#define SK_CORE_EXECUTOR_H

#include <stdbool.h>

#include "sched/sched.h"
#include "skua/executor.h"

/* A kind of executor: what the verbs of executor.c call once the arguments have been checked. */
struct sk_executor_class {
    skua_future *(*submit)(skua_executor *ex, const skua_task *task); /* never NULL */
    skua_status (*shutdown)(skua_executor *ex, int flags, double timeout);
    void (*close)(skua_executor *ex);
    skua_status (*stats)(skua_executor *ex, skua_stats *stats); /* into a cleared struct */
    int (*workers)(const skua_executor *ex);                    /* NULL: it does not say */
    /* Submits once there is room; NULL if there was none by the deadline. NULL: as submit. */
    skua_future *(*submit_in_time)(skua_executor *ex, const skua_task *task, int64_t deadline_ns);
    /* NULL: its workers see all memory. The arguments make sense. */
    void *(*shared_alloc)(skua_executor *ex, size_t size, int flags);
    void (*shared_free)(skua_executor *ex, void *memory);
};

/* What each kind's struct begins with. */
struct skua_executor {
    const struct sk_executor_class *class; /* constant */
};

/* ---- thread pools: pool.c -------------------------------------------------------------------- */

bool sk_executor_is_pool(const skua_executor *ex);

/* The scheduler under a thread pool. */
struct sk_sched *sk_executor_sched(const skua_executor *ex);

/* SKUA_OK if ex can run loops and calls for the calling thread, else why not, with words that begin
 * with `what`. */
skua_status sk_executor_check(const skua_executor *ex, const char *what);

/* Why the pool is broken, once it is. */
const skua_error *sk_executor_init_error(const skua_executor *ex);

/* Whether the calling thread works for the pool: as a worker, in a loop, or in a callback of a
 * future that it cancelled. */
bool sk_executor_is_inside(const skua_executor *ex);

/* Whether submitting may have to wait for room. */
bool sk_executor_is_bounded(const skua_executor *ex);

/* Whether skua_shutdown(SKUA_KILL) was called. May be asked after the pool was closed by who holds
 * its memory. To hold and free, NULL is fine. */
bool sk_executor_killed(const skua_executor *ex);
void sk_executor_hold_memory(skua_executor *ex);
void sk_executor_free_memory(skua_executor *ex);

/* Counts one more pending future of a pool that bounds them; from outside it waits for room
 * until the deadline, and returns false if there was none. Leaving undoes it, where no future
 * came of it. */
bool sk_executor_enter_room(skua_executor *ex, int64_t deadline_ns);
void sk_executor_leave_room(skua_executor *ex);

/* Submits a job that holds so many tasks; false after a shutdown, unless inner: see sched.h. */
bool sk_executor_submit(skua_executor *ex, struct sk_job *job, enum sk_lane lane, int node,
                        size_t nr_tasks, bool inner);

/* How often skua_shutdown() has cancelled what had not begun: a map that sees it change ends
 * early. */
unsigned sk_executor_cancels(const skua_executor *ex);

/* Counts what befell a task of a thread pool. Where it was begun or cancelled there is room for one
 * more. */
void sk_executor_event(skua_executor *ex, enum sk_event event);

/* core/team.c: one team of a pool gathers at a time, in the order of the tickets. */
struct sk_team_turn {
    SK_ATOMIC(uint32_t) tickets; /* given out */
    SK_ATOMIC(uint32_t) serving; /* the ticket whose turn it is; slept on */
};
struct sk_team_turn *sk_executor_team_turn(skua_executor *ex);

/* core/spawn.c: how children run on other workers than their parent's. */
extern const struct sk_child_class sk_executor_children;

/* core/life.c: the pools of the process, for fork() and exit(). */
struct sk_executor_link {
    struct sk_executor_link *next, *previous;
    bool waited_for; /* by exit() */
    /* Waits for what the pool has accepted, unless a task of it calls; constant. */
    void (*at_exit)(struct sk_executor_link *link);
};
struct sk_executor_link *sk_executor_link(skua_executor *ex); /* of a thread pool */
void sk_life_add(struct sk_executor_link *link);
/* Before a pool is waited for and freed: false if exit() has it, and then it is exit()'s. Else it
 * is the caller's, who says so when it is gone. */
bool sk_life_take(struct sk_executor_link *link);
void sk_life_gone(void);

#endif
