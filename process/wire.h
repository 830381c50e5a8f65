/* The wire between the parent and one worker: a ring of orders, which the worker can only read, and
 * a ring of replies, which it writes. No locks, no shared index: each side counts for itself, and a
 * slot's turn says whose it is. The parent copies what it reads before it looks at it, and believes
 * nothing that cannot be. See wire.c. */
#ifndef SK_PROCESS_WIRE_H
#define SK_PROCESS_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/atomic.h"
#include "base/compiler.h"

enum {
    SK_WIRE_SLOTS = 64,  /* orders that can be on the wire at once; a power of two */
    SK_WIRE_TINY = 16,   /* bytes of an argument that fit into the header's own line */
    SK_WIRE_INLINE = 64, /* bytes of an argument or a result that fit beside their header */
    SK_WIRE_ROOM = 4096, /* bytes that fit into the room of their slot */
    SK_WIRE_WORDS = 400, /* of a failure's message, in the room of its reply */
    SK_WIRE_WHERE = 200  /* of where it was said */
};

/* Where an order's argument and result are. */
enum sk_wire_flag {
    SK_WIRE_ARG_INLINE = 1, /* a copy beside the header */
    SK_WIRE_ARG_TINY = 8,   /* a copy in the header, in place of result and place_size */
    SK_WIRE_ARG_ROOM = 2,   /* a copy in the slot's room; neither: order.arg is passed as it is */
    SK_WIRE_RESULT_PLACE =
        4 /* order.result is where the result goes; else it travels in the reply */
};

enum sk_wire_kind {
    SK_WIRE_RUN, /* call fn */
    SK_WIRE_QUIT /* end the process; no reply */
};

struct sk_wire_order {
    SK_CACHE_ALIGNED SK_ATOMIC(uint32_t) turn; /* index + 1 once it is whole */
    SK_ATOMIC(uint32_t) revoked;               /* index + 1: not to be begun any more */
    SK_ATOMIC(uint32_t) stop;                  /* index + 1: asked to stop */
    uint16_t kind, flags;
    int32_t seat; /* the number that the worker has while it runs this */
    uint64_t fn, arg;
    uint32_t arg_size, result_size; /* of what travels; 0 for a place */
    union {
        struct {
            uint64_t result, place_size; /* bytes to clear there */
        };
        unsigned char tiny[SK_WIRE_TINY];
    };
    unsigned char data[SK_WIRE_INLINE];
};

enum sk_wire_end {
    SK_WIRE_RETURNED = 1, /* 0 */
    SK_WIRE_FAILED,       /* a code that is not 0; words in the room */
    SK_WIRE_SKIPPED       /* revoked in time: never begun */
};

struct sk_wire_reply {
    SK_CACHE_ALIGNED SK_ATOMIC(uint32_t) turn; /* index + 1 once it is whole */
    uint32_t end;                              /* enum sk_wire_end */
    int32_t code;
    int64_t begun_ns; /* when the task was begun */
    _Alignas(max_align_t) unsigned char data[SK_WIRE_INLINE];
};

/* What SK_WIRE_FAILED leaves in the room. */
struct sk_wire_failure {
    char message[SK_WIRE_WORDS];
    char where[SK_WIRE_WHERE];
};

/* Written by the parent, read by the worker. */
struct sk_wire_down {
    SK_CACHE_ALIGNED SK_ATOMIC(uint32_t) bell; /* the worker sleeps on it */
    struct sk_wire_order orders[SK_WIRE_SLOTS];
    SK_CACHE_ALIGNED unsigned char rooms[SK_WIRE_SLOTS][SK_WIRE_ROOM];
};

/* How far a worker has come. */
enum sk_wire_phase {
    SK_WIRE_BOOTING,
    SK_WIRE_READY,
    SK_WIRE_INIT_FAILED /* init returned non-zero; code and words are in the first reply's place */
};

/* Written by the worker, read by the parent. */
struct sk_wire_up {
    SK_CACHE_ALIGNED SK_ATOMIC(uint32_t) reached; /* index + 1 of the order it has come to last */
    SK_ATOMIC(uint32_t) begun;                    /* index + 1 of the one that it has begun last */
    SK_ATOMIC(int64_t) begun_ns;                  /* when; written before begun */
    /* rarely written: the parent looks at it with each order */
    SK_CACHE_ALIGNED SK_ATOMIC(uint32_t) asleep; /* it is about to sleep */
    SK_ATOMIC(uint32_t) phase;                   /* enum sk_wire_phase */
    struct sk_wire_reply replies[SK_WIRE_SLOTS];
    SK_CACHE_ALIGNED unsigned char rooms[SK_WIRE_SLOTS][SK_WIRE_ROOM];
};

/* ---- the parent's end; not thread-safe ------------------------------------------------------- */

struct sk_wire {
    struct sk_wire_down *down;
    const struct sk_wire_up *up; /* believe nothing */
    uint32_t sent, received;     /* counts; sent - received are on the wire */
};

static inline uint32_t sk_wire_load(const struct sk_wire *wire)
{
    return wire->sent - wire->received;
}

/* The slot of the next order, to be filled; its index is wire->sent. There must be room. */
struct sk_wire_order *sk_wire_next(struct sk_wire *wire);
/* Publishes it. True if the worker sleeps: then sk_wire_ring(). */
bool sk_wire_send(struct sk_wire *wire);
/* Wakes the worker, whatever it says. */
void sk_wire_ring(struct sk_wire *wire);

/* What is copied of a reply. data and room lie in shared memory: read them once, and believe
 * nothing. They stay until the slot is used again. */
struct sk_wire_receipt {
    enum sk_wire_end end;
    int32_t code;
    int64_t begun_ns;
    const unsigned char *data, *room;
};

/* The next reply, in the order of the orders. 1: there it is; 0: none yet; -EPROTO: it makes no
 * sense. */
int sk_wire_receive(struct sk_wire *wire, struct sk_wire_receipt *receipt);
/* Whether sk_wire_receive() would give something but 0. */
bool sk_wire_has_reply(const struct sk_wire *wire);

/* Takes the order with this index back. True: it will never be begun. False: it has begun, or its
 * reply will be SK_WIRE_SKIPPED. */
bool sk_wire_revoke(struct sk_wire *wire, uint32_t index);
/* Whether the worker says that it has begun it, and when. Then it has not been revoked. */
bool sk_wire_has_begun(const struct sk_wire *wire, uint32_t index, int64_t *when_ns);
/* Asks it to stop. */
void sk_wire_stop(struct sk_wire *wire, uint32_t index);

/* ---- the worker's end; one thread ------------------------------------------------------------ */

struct sk_wire_worker {
    const struct sk_wire_down *down;
    struct sk_wire_up *up;
    uint32_t index; /* of the order to come, or that runs */
};

/* The order to come, or NULL as long as there is none. */
const struct sk_wire_order *sk_wire_look(const struct sk_wire_worker *worker);
/* Sleeps until there may be one, or the deadline. */
void sk_wire_sleep(struct sk_wire_worker *worker, int64_t deadline_ns);
/* Begins it at now_ns. False: it was revoked, and must not be run. */
bool sk_wire_begin(struct sk_wire_worker *worker, int64_t now_ns);
/* Whether it is to stop. */
bool sk_wire_stopping(const struct sk_wire_worker *worker);
/* Where its reply is written, and the room that goes with it. */
struct sk_wire_reply *sk_wire_reply(struct sk_wire_worker *worker, unsigned char **room);
/* Publishes the reply, and goes on to the next order. */
void sk_wire_answer(struct sk_wire_worker *worker);

#endif
