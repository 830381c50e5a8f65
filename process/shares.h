/* Which processors each worker process may use: its share of the machine. */
#ifndef SK_PROCESS_SHARES_H
#define SK_PROCESS_SHARES_H

#include <sys/types.h>

#include "skua/topology.h"

enum {
    SK_SHARES_WORKERS = 4096 /* the most of one pool */
};

struct sk_shares {
    int nr_workers;
    int threads;         /* cores a worker, at least 1: what a library in a task should use */
    size_t size;         /* bytes of a set */
    unsigned char *sets; /* [nr_workers] sets of processors; NULL: workers may move */
};

/* For nr_workers workers, or, where that is 0, for one a core (SKUA_NUM_THREADS is heard). 0;
 * -ENOMEM, -EINVAL where the topology cannot be read. */
int sk_shares_init(struct sk_shares *shares, skua_bind bind, int nr_workers);
void sk_shares_fini(struct sk_shares *shares);

/* Sends the shares to the log, line by line. */
void sk_shares_display(const struct sk_shares *shares, const char *pool_name);

/* Moves a process (0: the calling one), or rather its first thread, to the share of a seat. What
 * cannot be done is left as it is. */
void sk_shares_take(const struct sk_shares *shares, int seat, pid_t pid);

#endif
