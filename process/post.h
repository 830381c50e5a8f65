/* What this process, the keeper and the zygote say to each other: records of fixed size over one
 * SOCK_SEQPACKET socket, each with at most one file descriptor. */
#ifndef SK_PROCESS_POST_H
#define SK_PROCESS_POST_H

#include <stddef.h>
#include <stdint.h>

#include "process/zygote.h"

/* To the zygote. */
enum sk_post_request {
    SK_POST_SPAWN = 1, /* with the worker's channel */
    SK_POST_KILL       /* the worker, and say no more about it */
};

struct sk_post_order {
    uint32_t request;
    uint32_t epoch; /* how many times the zygote has been replaced, as far as the sender knows */
    struct sk_zygote_order order;
};

/* From there. */
enum sk_post_kind {
    SK_POST_FORKED = 1, /* the keeper has a zygote: pid */
    SK_POST_FAILED,     /* the keeper has none: error */
    SK_POST_READY,      /* the first zygote is at work */
    SK_POST_REPLACED,   /* and so is another; from here on the same as sk_zygote_event_kind */
    SK_POST_SPAWNED,    /* with the worker's pidfd */
    SK_POST_NOT_SPAWNED,
    SK_POST_DIED
};

struct sk_post_news {
    uint32_t kind;
    uint32_t serial;
    int32_t pid, error;
    int32_t code, status;
    uint64_t peak_bytes;
};

/* fd -1: none. flags: MSG_DONTWAIT or 0. 0 or a negative errno value: -EPIPE if nobody listens any
 * more. */
int sk_post_send(int sock, const void *record, size_t size, int fd, int flags);

/* 1: a record, and *fd its descriptor, or -1 if it has none or no number was free for it. 0: nobody
 * is left who could send. Else a negative errno value: -EAGAIN: there is none now; -EBADMSG: it was
 * of another size and is gone. */
int sk_post_receive(int sock, void *record, size_t size, int *fd, int flags);

#endif
