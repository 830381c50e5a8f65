/* Index i lives in slot i % SLOTS. The parent puts an order into a slot whose reply it has
 * received, so each slot has one writer at a time:
 *
 *   parent                                  worker
 *   P1 fills order i                        W1 order i has turn i + 1: it is whole
 *   P2 order.turn = i + 1                   W2 reached = i + 1
 *   P3 asleep? then bell + 1, wake          W3 revoked == i + 1? then it skips
 *                                           W4 begun = i + 1, fills reply i
 *   P4 reply i has turn i + 1: it is whole  W5 reply.turn = i + 1
 *   P5 copies it, then checks the copy
 *
 * **Sleep.** The worker must not sleep over an order:
 *
 *   S1 reads bell   S2 asleep = 1   S3 order.turn is i + 1? then it does not sleep
 *   S4 sleeps while bell is what S1 has read          S5 asleep = 0
 *
 * P2, P3, S2, S3 are sequentially consistent: if S3 misses P2, P3 comes after S2 and sees asleep;
 * then the bell rings after S1, so S4 either does not sleep or is woken. The bell is the parent's
 * own word, and FUTEX_WAIT needs no more than to read it. A worker that writes wildly can spoil
 * `asleep`, and would oversleep: the parent rings again from time to time (supervise.c).
 *
 * **Revoking.** Exactly one of "reached" and "revoked" is seen to be first:
 *
 *   parent: V1 revoked = i + 1   V2 reads reached    worker: W2 reached = i + 1   W3 reads revoked
 *
 * All four are sequentially consistent, so not both V2 and W3 miss the other's store. If V2 misses
 * W2, W3 sees V1: the order is taken back for certain. Else the parent says "too late" although W3
 * may have seen V1 as well; then the reply is SK_WIRE_SKIPPED, and the parent gives the task to
 * another worker. Nobody waits for anybody. "begun" is a word of its own, since between W2 and W4
 * it is open whether the task will run.
 *
 * **Wild writers.** All that a worker can write is in its own `up`. The parent's positions are not
 * in there. A turn that is neither i + 1 nor that of a lap before (or 0) is a protocol error, as is
 * an end that is none. Words are cut where they must end. */
#include "process/wire.h"

#include <errno.h>
#include <limits.h>

#include "base/assert.h"
#include "base/futex.h"

static uint32_t slot_of(uint32_t index)
{
    return index % SK_WIRE_SLOTS;
}

/* ---- the parent ------------------------------------------------------------------------------ */

static struct sk_wire_order *next_slot(struct sk_wire *wire)
{
    return &wire->down->orders[slot_of(wire->sent)];
}

struct sk_wire_order *sk_wire_next(struct sk_wire *wire)
{
    sk_assert(sk_wire_load(wire) < SK_WIRE_SLOTS);
    return next_slot(wire);
}

bool sk_wire_send(struct sk_wire *wire)
{
    sk_store_sc(&next_slot(wire)->turn, wire->sent + 1); /* P2: pairs with W1, S3 */
    wire->sent++;
    __builtin_prefetch(next_slot(wire), 1); /* it takes long to get it back from the worker */
    return sk_load_sc(&((struct sk_wire_up *)(uintptr_t)wire->up)->asleep) != 0; /* P3 */
}

void sk_wire_ring(struct sk_wire *wire)
{
    sk_add_acq_rel(&wire->down->bell, 1u); /* pairs with S1 */
    sk_futex_wake_shared(&wire->down->bell, INT_MAX);
}

/* The casts here drop const for the atomics alone: nothing is written. */
static struct sk_wire_up *up_of(const struct sk_wire *wire)
{
    return (struct sk_wire_up *)(uintptr_t)wire->up;
}

static uint32_t reply_turn(const struct sk_wire *wire)
{
    /* P4: pairs with W5; seq_cst, as the parent announces before that it is about to sleep. */
    return sk_load_sc(&up_of(wire)->replies[slot_of(wire->received)].turn);
}

/* What the slot holds before the reply: nothing, or that of a lap ago. */
static bool is_old(const struct sk_wire *wire, uint32_t turn)
{
    uint32_t lap_ago = wire->received + 1 - SK_WIRE_SLOTS;
    return turn == (wire->received < SK_WIRE_SLOTS ? 0 : lap_ago);
}

bool sk_wire_has_reply(const struct sk_wire *wire)
{
    return sk_wire_load(wire) > 0 && !is_old(wire, reply_turn(wire));
}

int sk_wire_receive(struct sk_wire *wire, struct sk_wire_receipt *receipt)
{
    if (sk_wire_load(wire) == 0)
        return 0;
    uint32_t turn = reply_turn(wire);
    if (is_old(wire, turn))
        return 0;
    if (turn != wire->received + 1)
        return -EPROTO;
    uint32_t slot = slot_of(wire->received);
    const struct sk_wire_reply *shared = &wire->up->replies[slot];
    uint32_t end = shared->end; /* P5: each read once */
    if (end < SK_WIRE_RETURNED || end > SK_WIRE_SKIPPED)
        return -EPROTO;
    receipt->end = (enum sk_wire_end)end;
    receipt->code = shared->code;
    receipt->begun_ns = shared->begun_ns;
    receipt->data = shared->data;
    receipt->room = wire->up->rooms[slot];
    wire->received++;
    __builtin_prefetch(&wire->up->replies[slot_of(wire->received)]);
    return 1;
}

bool sk_wire_has_begun(const struct sk_wire *wire, uint32_t index, int64_t *when_ns)
{
    /* Pairs with W4. Not "at least": a worker that has begun a later one has replied. */
    if (sk_load_acq(&up_of(wire)->begun) != index + 1)
        return false;
    *when_ns = sk_load_rlx(&up_of(wire)->begun_ns);
    return true;
}

bool sk_wire_revoke(struct sk_wire *wire, uint32_t index)
{
    sk_store_sc(&wire->down->orders[slot_of(index)].revoked, index + 1); /* V1: pairs with W3 */
    return sk_load_sc(&up_of(wire)->reached) != index + 1 &&             /* V2: pairs with W2 */
           sk_load_sc(&up_of(wire)->replies[slot_of(index)].turn) != index + 1;
}

void sk_wire_stop(struct sk_wire *wire, uint32_t index)
{
    sk_store_rel(&wire->down->orders[slot_of(index)].stop, index + 1);
}

/* ---- the worker ------------------------------------------------------------------------------ */

static struct sk_wire_down *down_of(const struct sk_wire_worker *worker)
{
    return (struct sk_wire_down *)(uintptr_t)worker->down;
}

static struct sk_wire_order *order_of(const struct sk_wire_worker *worker)
{
    return &down_of(worker)->orders[slot_of(worker->index)];
}

const struct sk_wire_order *sk_wire_look(const struct sk_wire_worker *worker)
{
    struct sk_wire_order *order = order_of(worker);
    return sk_load_acq(&order->turn) == worker->index + 1 ? order : NULL; /* W1: pairs with P2 */
}

void sk_wire_sleep(struct sk_wire_worker *worker, int64_t deadline_ns)
{
    uint32_t bell = sk_load_acq(&down_of(worker)->bell); /* S1: pairs with sk_wire_ring() */
    sk_store_sc(&worker->up->asleep, 1u);                /* S2: pairs with P3 */
    if (sk_load_sc(&order_of(worker)->turn) != worker->index + 1)        /* S3: pairs with P2 */
        sk_futex_wait_shared(&down_of(worker)->bell, bell, deadline_ns); /* S4 */
    sk_store_rlx(&worker->up->asleep, 0u); /* S5: late only costs a wake-up too many */
}

bool sk_wire_begin(struct sk_wire_worker *worker, int64_t now_ns)
{
    struct sk_wire_up *up = worker->up;
    sk_store_sc(&up->reached, worker->index + 1);                    /* W2: pairs with V2 */
    if (sk_load_sc(&order_of(worker)->revoked) == worker->index + 1) /* W3: pairs with V1 */
        return false;
    sk_store_rlx(&up->begun_ns, now_ns);
    sk_store_rel(&up->begun, worker->index + 1); /* W4: pairs with sk_wire_has_begun() */
    return true;
}

bool sk_wire_stopping(const struct sk_wire_worker *worker)
{
    return sk_load_acq(&order_of(worker)->stop) == worker->index + 1;
}

struct sk_wire_reply *sk_wire_reply(struct sk_wire_worker *worker, unsigned char **room)
{
    *room = worker->up->rooms[slot_of(worker->index)];
    return &worker->up->replies[slot_of(worker->index)];
}

void sk_wire_answer(struct sk_wire_worker *worker)
{
    struct sk_wire_reply *reply = &worker->up->replies[slot_of(worker->index)];
    sk_store_sc(&reply->turn, worker->index + 1); /* W5: pairs with P4 */
    worker->index++;
}
