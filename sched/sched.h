/* A scheduler: workers, the inbox through which jobs come from outside, and who sleeps. Every
 * accepted job is run or discarded exactly once. */
#ifndef SK_SCHED_SCHED_H
#define SK_SCHED_SCHED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/lock.h"
#include "numa/place.h"
#include "numa/topo.h"
#include "numa/victims.h"
#include "sched/inbox.h"
#include "sched/job.h"
#include "sched/near.h"
#include "sched/park.h"
#include "sched/worker.h"

enum {
    SK_SCHED_WORKERS = 4096, /* the most workers of one scheduler */
    SK_SCHED_SPARES = 1024,  /* the most that stand in for workers which wait inside tasks */
    SK_SCHED_GUESTS = 64     /* outside threads inside loops at once; further ones work alone */
};

struct sk_sched_config {
    int nr_workers; /* 0: SKUA_NUM_THREADS, or as many as the machine suggests */
    skua_bind bind;
    const char *name;       /* threads are called name-0, ... */
    int (*init)(void *arg); /* run first in each worker's thread; non-zero breaks the scheduler */
    void *init_arg;
    void *owner;                           /* who the scheduler belongs to */
    const struct sk_child_class *children; /* NULL: stolen children are plain calls */
};

struct sk_guest_slot {
    SK_CACHE_ALIGNED SK_ATOMIC(bool) used;
    struct sk_region_chain chain; /* loops begun by the guest in this slot */
};

struct sk_sched {
    /* constant once the workers have begun */
    int nr_workers;
    struct sk_worker **workers; /* [nr_workers] */
    struct sk_topo topo;
    struct sk_place *places;    /* [nr_workers] */
    struct sk_victims *victims; /* [nr_workers] */
    int *victim_numbers;        /* the victims' storage */
    int *seat_of_cpu;           /* [nr_cpus] the first worker pinned to each, or -1 */
    int nr_cpus;
    int nr_near;                   /* nodes with an inbox; 0 where there are not two of them */
    struct sk_near *near;          /* [nr_near] by the topology's number of the node */
    struct sk_near **near_of_seat; /* [nr_workers] NULL: a seat without a node */
    struct sk_spin_limits spin;    /* how long an idle worker looks for work before it sleeps */
    char *name;
    int (*init)(void *arg);
    void *init_arg;
    void *owner;
    const struct sk_child_class *children;
    unsigned fork_count; /* the process it belongs to: sk_thread_fork_count() */

    /* written by idle workers and by who wakes them */
    SK_CACHE_ALIGNED SK_ATOMIC(uint32_t) searching; /* workers that look for work, not sleeping */
    SK_ATOMIC(bool) wanted; /* work came while only the workers of lent seats slept */
    SK_ATOMIC(uint64_t) asleep[(SK_SCHED_WORKERS + SK_SCHED_SPARES) / 64]; /* a bit a slot */

    /* written by who submits from outside */
    SK_CACHE_ALIGNED SK_ATOMIC(uint64_t) outside_submitted;
    SK_ATOMIC(uint64_t) outside_returned; /* of them, those whose submitter uses it no more */
    SK_ATOMIC(uint64_t) outside_finished; /* discarded by threads that are no workers */
    struct sk_inbox inbox;

    /* written rarely */
    SK_CACHE_ALIGNED SK_ATOMIC(bool) shutdown; /* takes no more jobs from outside */
    SK_ATOMIC(bool) drained;                   /* shut down and all done: workers leave */
    SK_ATOMIC(bool) broken;                    /* an init failed: jobs are discarded, not run */
    SK_ATOMIC(uint32_t) gate;                  /* 1: the constants are set, workers may begin */
    SK_ATOMIC(int) alive;                      /* threads that have not left */
    struct sk_awaited ended;                   /* circle.c's: what the workers run */
    struct sk_park exited;                     /* where shutdown waits for the last of them */
    SK_ATOMIC(int) nr_spares;                  /* entries of spares; never falls; under lock */
    SK_ATOMIC(struct sk_worker *) * spares;    /* [SK_SCHED_SPARES] */
    SK_ATOMIC(int) nr_blocked;                 /* workers asleep inside tasks; under lock */
    SK_ATOMIC(int) nr_standing_in;             /* spares on duty; under lock */
    struct sk_worker *off_duty;                /* spares that rest; under lock */
    struct sk_wait *asleep_inside;             /* waits of its threads inside tasks: circle.c's */
    int nr_asleep_inside;
    struct sk_lock lock;
    struct sk_guest_slot guests[SK_SCHED_GUESTS];
};

/* Starts the workers; fewer than asked where threads cannot be created, with a line in the log. 0;
 * -EAGAIN where not one could be; -ENOMEM; -EINVAL where the topology cannot be read. The
 * configuration must be valid. */
int sk_sched_start(struct sk_sched **out, const struct sk_sched_config *config);

/* Any thread. 0 or -ESHUTDOWN: then the job is still the caller's. inner: part of a running task's
 * own work, accepted after shutdown too; only from workers and guests of sched. */
int sk_sched_submit(struct sk_sched *sched, struct sk_job *job, enum sk_lane lane, bool inner);

/* The same for a job that is to run on a node of the topology, if a worker of that node comes for
 * it before another runs out of work. SK_ANY_NODE, and a node on which no worker sits: anywhere. */
int sk_sched_submit_near(struct sk_sched *sched, struct sk_job *job, enum sk_lane lane, int node,
                         bool inner);

/* Keeps the scheduler from ending, from within a job of it that has not ended, until somebody, in
 * any thread, lets it go: then it may be gone at once. */
void sk_sched_hold(struct sk_sched *sched);
void sk_sched_let_go(struct sk_sched *sched);

/* Takes no more jobs; workers leave when all accepted ones have ended. Any thread, any number of
 * times. */
void sk_sched_shutdown(struct sk_sched *sched);

/* Discards what no worker has begun. Any thread. */
void sk_sched_discard(struct sk_sched *sched, skua_status why);

/* Waits until all threads have left after a shutdown; false if the deadline passed. */
bool sk_sched_wait(struct sk_sched *sched, int64_t deadline_ns);

/* Joins the threads, which have left. One thread at a time. */
void sk_sched_join(struct sk_sched *sched);

/* Joins the threads, which have left, and frees everything. In a process forked off the one that
 * started it, where the threads do not exist, it only frees. */
void sk_sched_close(struct sk_sched *sched);

/* Whether this is the process that started it. */
bool sk_sched_here(const struct sk_sched *sched);

/* ---- for sched/ ------------------------------------------------------------------------------ */

/* After a shutdown: if every job has ended, tells all workers to leave. */
void sk_sched_check_drained(struct sk_sched *sched);

/* One more worker, without a thread; NULL if out of memory. */
struct sk_worker *sk_sched_worker_open(struct sk_sched *sched, int slot, int seat, bool is_spare);

/* The worker with a slot: regular ones first, then spares. */
static inline struct sk_worker *sk_sched_worker(struct sk_sched *sched, int slot)
{
    int n = sched->nr_workers;
    return slot < n ? sched->workers[slot] : sk_load_acq(&sched->spares[slot - n]);
}

/* The inbox of the node on which a seat is, or NULL. */
static inline struct sk_inbox *sk_sched_near(const struct sk_sched *sched, int seat)
{
    if (SK_LIKELY(sched->nr_near == 0) || sched->near_of_seat[seat] == NULL)
        return NULL;
    return &sched->near_of_seat[seat]->inbox;
}

/* Workers and spares there are. */
static inline int sk_sched_nr_slots(struct sk_sched *sched)
{
    return sched->nr_workers + sk_load_acq(&sched->nr_spares); /* pairs with V1 in spare.c */
}

#endif
