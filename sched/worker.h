/* A worker: a thread that runs jobs, with its deques. Regular workers have a seat each, a number
 * and a core; spare workers stand in for a worker that waits inside a task, under its number. */
#ifndef SK_SCHED_WORKER_H
#define SK_SCHED_WORKER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"
#include "base/spin.h"
#include "sched/deque.h"
#include "sched/park.h"
#include "sched/region.h"
#include "sched/split.h"
#include "sched/stats.h"

struct sk_sched;
struct sk_guest_slot;

enum sk_worker_state {
    SK_WORKER_STARTING, /* its init has not ended */
    SK_WORKER_IDLE,     /* looks for work, or sleeps */
    SK_WORKER_BUSY      /* runs a job or a child */
};

struct sk_worker {
    struct sk_split split; /* children spawned here */
    struct sk_deque deque; /* jobs submitted here */
    /* written by callers of loops and by this worker */
    SK_CACHE_ALIGNED SK_ATOMIC(uintptr_t) mail; /* 0, a region, or region | 1 while it is in it */
    SK_ATOMIC(uint32_t) state;                  /* enum sk_worker_state; the worker writes it */
    SK_ATOMIC(uint32_t) lent;                   /* guests that work in this seat */
    struct sk_park park;                        /* where it sleeps when idle */
    /* the worker's own */
    SK_CACHE_ALIGNED struct sk_sched *sched; /* constant */
    int slot;                                /* its bit in sched->asleep; constant */
    int seat;                                /* its number; a spare's changes with each service */
    bool is_spare;                           /* constant */
    bool has_thread;                         /* it is to be joined */
    uint32_t tick;                           /* counts looks for work */
    struct sk_region_chain regions;          /* loops it has begun */
    pthread_t thread;
    pthread_t spent;              /* the thread before this one, to be joined by it: see worker.c */
    SK_ATOMIC(bool) on_duty;      /* a spare that stands in for somebody; under sched->lock */
    struct sk_worker *next_spare; /* list of spares off duty; under sched->lock */
    struct sk_stats stats;
};

/* The calling thread's worker, or NULL. Read it through sk_worker_self(). */
extern SK_THREAD_LOCAL struct sk_worker *sk_worker_of_thread;

static inline struct sk_worker *sk_worker_self(void)
{
    return sk_worker_of_thread;
}

/* The number of the seat in which the calling thread works, or -1. */
int sk_worker_number(void);

/* The scheduler in which the calling thread works, as a worker or as a guest of a loop; or NULL. */
struct sk_sched *sk_worker_sched(void);

/* Whether the calling thread is a worker of sched; guests are not. */
bool sk_worker_is_of(const struct sk_sched *sched);

/* The calling thread is about to sleep for something that others must do: it hands its core to a
 * spare worker, or as a guest gives its seat back. No effect on other threads. Paired. */
void sk_worker_block_begin(void);
void sk_worker_block_end(void);

/* How long a worker spins for something that a running worker is about to finish. */
extern const struct sk_spin_limits sk_join_spin;

/* The calling thread acts in one of its guest roles, or with NULL as the worker it is, until that
 * is undone: a worker that is a guest of another pool may run a task of its own in there. Returns
 * what it acted as before. */
struct sk_guest;
struct sk_guest *sk_worker_act_as(struct sk_guest *guest);

/* In the child of a fork(): the calling thread is no worker and no guest of anything any more. */
void sk_worker_forget(void);

/* ---- for sched/ ------------------------------------------------------------------------------ */

/* Names and pins the calling thread, this worker's, for its seat. */
void sk_worker_take_seat(struct sk_worker *worker);

/* The thread function of a regular worker and of a spare; arg is the struct sk_worker. */
void *sk_worker_main(void *arg);

/* A thread that is no worker takes a seat for the time of a loop. */
struct sk_guest {
    struct sk_sched *sched;
    int seat;
    struct sk_region_chain *chain; /* NULL: no slot was free, and its loops are its own alone */
    struct sk_guest_slot *slot;
    struct sk_guest *outer;  /* of the same thread */
    struct sk_guest *before; /* what the thread acted as */
};
bool sk_guest_enter(struct sk_guest *guest, struct sk_sched *sched); /* false: shut down */
void sk_guest_leave(struct sk_guest *guest);
/* The innermost guest role of the calling thread in sched, or NULL. */
struct sk_guest *sk_guest_self(const struct sk_sched *sched);

#endif
