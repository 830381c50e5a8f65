/* A worker process: boots, then runs the orders that come over its wire, until told to quit. */
#ifndef SK_PROCESS_CHILD_H
#define SK_PROCESS_CHILD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/atomic.h"
#include "process/heap.h"
#include "process/shares.h"
#include "process/wire.h"
#include "process/zygote.h"

/* What the parent wants to be told, in a page that workers can only read. */
enum sk_board_watch {
    SK_BOARD_NOTHING, /* somebody looks at the replies anyway */
    SK_BOARD_REPLIES, /* a reply is worth a ring at the doorbell */
    SK_BOARD_BEGUN    /* and so is the beginning of a task */
};
struct sk_board {
    SK_ATOMIC(uint32_t) watch;
};

/* Inherited by all workers of a crew; constant once the zygote is made. */
struct sk_child_setup {
    struct sk_board *board;
    struct sk_heap *heap;
    struct sk_shares shares;
    int doorbell; /* a datagram socket: one byte says that there is something to see */
    const char *name;
    uint64_t memory_limit; /* bytes; 0: none */
    int harden;
    /* core's: calls fn(arg, result), and if it returns a code that is not 0, fills *words. */
    int (*call)(uintptr_t fn, void *arg, void *result, struct sk_wire_failure *words);
    /* core's: the same for the user's init. */
    int (*init)(void *ctx, struct sk_wire_failure *words);
    void *init_ctx;
    /* The crew's: gives up what its workers, and those of other crews, have no business with. */
    void (*leave)(void *ctx);
    void *leave_ctx;
};

/* The exit statuses of a worker that ends by itself, beside 0 for having been told to. */
enum {
    SK_CHILD_NOT_MAPPED = 124, /* it could not even map its channel */
    SK_CHILD_DEAF = 126        /* its task had closed the doorbell */
};

/* For struct sk_zygote_config; ctx is a struct sk_child_setup. */
void sk_child_prepare(void *ctx);
void sk_child_work(void *ctx, const struct sk_zygote_order *order, int channel_fd);

/* Whether this process is a worker; in all of its threads. */
bool sk_child_inside(void);
/* The number it has while it runs its task; -1 outside. */
int sk_child_seat(void);
/* Whether the task that runs was asked to stop. */
bool sk_child_stopping(void);

#endif
