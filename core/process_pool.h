/* What the files of a process pool share: away.c (its futures), process.c (its verbs),
 * process_open.c (its making). */
#ifndef SK_CORE_PROCESS_POOL_H
#define SK_CORE_PROCESS_POOL_H

#include "base/shelf.h"
#include "core/away.h"
#include "core/executor.h"
#include "process/crew.h"
#include "sched/park.h"

/* What a worker calls a task, whose name it does not know. */
#define SK_PROCESS_NAMELESS "the task"

struct sk_process_pool {
    skua_executor base;
    SK_ATOMIC(uint64_t) refs; /* on the memory: the pool's own, and each future's */
    struct sk_crew *crew;     /* constant */
    size_t max_pending;       /* constant; 0: no limit */
    int (*init)(void *arg);   /* constant; the user's */
    void *init_arg;
    struct sk_executor_link link; /* of the process's pools */
    SK_ATOMIC(size_t) pending;    /* futures not begun; counted only with max_pending */
    struct sk_park room;          /* where submitters wait for it to fall */
    struct sk_shelf shelf;        /* futures of the usual size */
};

extern const struct sk_executor_class sk_process_class;

static inline struct sk_process_pool *sk_process_pool_of(const skua_executor *ex)
{
    return SK_CONTAINER_OF((skua_executor *)(uintptr_t)ex, struct sk_process_pool, base);
}

/* One reference to the pool's memory less. */
void sk_process_let_go(struct sk_process_pool *pool);
/* One future that counted as pending does so no more. */
void sk_process_leave_room(struct sk_process_pool *pool);
/* For the pool's link. */
void sk_process_at_exit(struct sk_executor_link *link);

/* A pending future of a valid task with one reference, and its parcel; the result is written to
 * place, in shared memory, where that is not NULL. NULL without memory. */
skua_future *sk_away_open(struct sk_process_pool *pool, const skua_task *task, void *place);
/* Gives its parcel to the crew: as sk_crew_submit(). */
int sk_away_submit(skua_future *f);
/* The future of a parcel. */
skua_future *sk_away_future(struct sk_parcel *parcel);

#endif
