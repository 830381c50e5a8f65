/* A latch: a count that only rises, and threads that wait until it is high enough. Made of a mutex
 * and a condition variable, which every race detector understands. */
#ifndef SKT_LATCH_H
#define SKT_LATCH_H

#include <pthread.h>
#include <stdbool.h>

struct skt_latch {
    pthread_mutex_t mutex;
    pthread_cond_t risen;
    int count; /* under mutex */
};

void skt_latch_init(struct skt_latch *latch);
void skt_latch_fini(struct skt_latch *latch);
void skt_latch_raise(struct skt_latch *latch);
int skt_latch_count(struct skt_latch *latch);
void skt_latch_wait(struct skt_latch *latch, int count);
/* False if it was not reached within so many seconds. */
bool skt_latch_wait_for(struct skt_latch *latch, int count, double seconds);

#endif
