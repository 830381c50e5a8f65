#include "tests/model/jobs.h"

#include <stddef.h>

struct model_job model_jobs[NR_JOBS];

MODEL_UNCHECKED void model_jobs_reset(void)
{
    for (int i = 0; i < NR_JOBS; i++)
        model_jobs[i] = (struct model_job){ .taker = -1 };
}

struct sk_job *model_jobs_make(int i)
{
    model_jobs[i].payload = 100 + i;
    return &model_jobs[i].job;
}

static void check_payload(const struct model_job *job, int i)
{
    model_check(job->payload == 100 + i);
}

MODEL_UNCHECKED int model_jobs_take(struct sk_job *job)
{
    if (job == NULL)
        return 0;
    struct model_job *mine = (struct model_job *)(void *)job;
    model_check(mine > model_jobs && mine < model_jobs + NR_JOBS); /* no garbage */
    int i = (int)(mine - model_jobs);
    check_payload(mine, i);
    model_check(mine->times == 0); /* it came out before */
    mine->times++;
    mine->taker = model_self();
    return i;
}

MODEL_UNCHECKED void model_jobs_check_all(int n)
{
    for (int i = 1; i <= n; i++)
        model_check(model_jobs[i].times == 1); /* it is lost */
}
