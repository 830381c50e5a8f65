/* The memory that the parent shares with one worker: one sealed memfd, made anew for each process,
 * so that no dead one's descendant can write into it. The worker can read the orders and write the
 * rest; guard pages lie around it on both sides. */
#ifndef SK_PROCESS_CHANNEL_H
#define SK_PROCESS_CHANNEL_H

#include "process/crash.h"
#include "process/wire.h"

/* What lies behind the orders. */
struct sk_channel_up {
    struct sk_wire_up wire;
    struct sk_crash_record crash;
};

struct sk_channel {
    struct sk_wire_down *down;
    struct sk_channel_up *up;
    int fd; /* the parent's, until the worker has it; -1: closed */
};

/* In the parent: cleared memory. 0; -ENOMEM, -EMFILE, -ENFILE, or what memfd_create() said. */
int sk_channel_open(struct sk_channel *channel);
/* In the worker: maps what fd is, and closes fd. 0 or a negative errno value. */
int sk_channel_enter(struct sk_channel *channel, int fd);
/* Closes fd, where it is open: the memory stays. */
void sk_channel_close_fd(struct sk_channel *channel);
/* Unmaps; a cleared one is fine. */
void sk_channel_close(struct sk_channel *channel);

#endif
