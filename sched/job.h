/* The seam between the scheduler and what stands above it: a job is something that a worker runs
 * once. Futures, maps and calls contain a job; sched only ever sees jobs. */
#ifndef SK_SCHED_JOB_H
#define SK_SCHED_JOB_H

#include "skua/error.h"

struct sk_job;

struct sk_job_class {
    /* Runs the job on the calling worker. The job's memory may be gone when it returns. */
    void (*run)(struct sk_job *job);
    /* Instead of run, where it will never run: the pool is broken, or its pending jobs are
     * cancelled. Any thread. */
    void (*discard)(struct sk_job *job, skua_status why);
};

struct sk_job {
    const struct sk_job_class *class; /* constant */
    struct sk_job *next;              /* the inbox's, while the job lies in one */
};

/* Which of the waiting jobs a worker takes first. */
enum sk_lane {
    SK_LANE_HIGH,
    SK_LANE_NORMAL,
    SK_LANE_LOW,
    SK_NR_LANES
};

#endif
