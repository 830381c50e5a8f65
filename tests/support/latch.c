/* The latch sleeps on the monotonic clock, so that a limit keeps its length. */
#define _GNU_SOURCE
#include "tests/support/latch.h"

#include <errno.h>
#include <time.h>

void skt_latch_init(struct skt_latch *latch)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_mutex_init(&latch->mutex, NULL);
    pthread_cond_init(&latch->risen, &attr);
    pthread_condattr_destroy(&attr);
    latch->count = 0;
}

void skt_latch_fini(struct skt_latch *latch)
{
    pthread_cond_destroy(&latch->risen);
    pthread_mutex_destroy(&latch->mutex);
}

void skt_latch_raise(struct skt_latch *latch)
{
    pthread_mutex_lock(&latch->mutex);
    latch->count++;
    pthread_cond_broadcast(&latch->risen);
    pthread_mutex_unlock(&latch->mutex);
}

int skt_latch_count(struct skt_latch *latch)
{
    pthread_mutex_lock(&latch->mutex);
    const int count = latch->count;
    pthread_mutex_unlock(&latch->mutex);
    return count;
}

void skt_latch_wait(struct skt_latch *latch, int count)
{
    pthread_mutex_lock(&latch->mutex);
    while (latch->count < count)
        pthread_cond_wait(&latch->risen, &latch->mutex);
    pthread_mutex_unlock(&latch->mutex);
}

bool skt_latch_wait_for(struct skt_latch *latch, int count, double seconds)
{
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)seconds;
    end.tv_nsec += (long)((seconds - (double)(time_t)seconds) * 1e9);
    if (end.tv_nsec >= 1000000000L) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000L;
    }
    int rc = 0;
    pthread_mutex_lock(&latch->mutex);
    while (latch->count < count && rc != ETIMEDOUT)
        rc = pthread_cond_timedwait(&latch->risen, &latch->mutex, &end);
    const bool reached = latch->count >= count;
    pthread_mutex_unlock(&latch->mutex);
    return reached;
}
