/* Jobs for the tests of queues: numbered, with a payload that is checked where a job comes out. */
#ifndef SK_TESTS_MODEL_JOBS_H
#define SK_TESTS_MODEL_JOBS_H

#include "sched/job.h"
#include "tests/model/checker.h"

#define NR_JOBS 9 /* number 0 is not used */

struct model_job {
    struct sk_job job; /* first */
    int payload;       /* plain: what the queue must publish */
    int times;         /* that it came out */
    int taker;         /* the thread that it came out to */
};

extern struct model_job model_jobs[NR_JOBS];

void model_jobs_reset(void);
/* Prepares job number i, to be put into a queue. */
struct sk_job *model_jobs_make(int i);
/* A job that came out: checks that it is one, that its payload is seen, and that it is the first
 * time. Gives its number; 0 for NULL. */
int model_jobs_take(struct sk_job *job);
/* Whether jobs 1 .. n have come out, each once. */
void model_jobs_check_all(int n);

#endif
