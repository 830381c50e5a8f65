/* process/wire.c: orders and replies arrive whole and in order, nobody oversleeps, and an order
 * that was taken back for certain is never begun. Two processes are two threads here. */
#include "process/wire.h"

#include "base/futex.h"
#include "tests/model/checker.h"

#define MAX_ORDERS 3

/* Stand in for the shared memory; only the first slots are used, and cleared. */
static struct sk_wire_down down;
static struct sk_wire_up up;
static struct sk_wire wire;
static struct sk_wire_worker worker;

/* The board and the doorbell of supervise.c. */
static SK_ATOMIC(uint32_t) watch, doorbell;

static uint32_t ran; /* bits: orders that were run; the worker's */
static bool taken_back[MAX_ORDERS];

MODEL_UNCHECKED static void start(void)
{
    sk_init(&down.bell, 0u);
    for (int i = 0; i < MAX_ORDERS; i++) {
        sk_init(&down.orders[i].turn, 0u);
        sk_init(&down.orders[i].revoked, 0u);
        sk_init(&down.orders[i].stop, 0u);
        sk_init(&up.replies[i].turn, 0u);
        taken_back[i] = false;
    }
    sk_init(&up.reached, 0u);
    sk_init(&up.begun, 0u);
    sk_init(&up.asleep, 0u);
    sk_init(&up.phase, 0u);
    sk_init(&up.begun_ns, (int64_t)0);
    sk_init(&watch, 0u);
    sk_init(&doorbell, 0u);
    wire = (struct sk_wire){ &down, &up, 0, 0 };
    worker = (struct sk_wire_worker){ &down, &up, 0 };
    ran = 0;
}

/* ---- the worker ------------------------------------------------------------------------------ */

static void ring_doorbell(void)
{
    if (sk_load_sc(&watch) == 0)
        return;
    sk_add_acq_rel(&doorbell, 1u);
    sk_futex_wake(&doorbell, 1);
}

static void work(int nr_orders)
{
    const struct sk_wire_order *order;
    unsigned char *room;
    while (nr_orders-- > 0) {
        while ((order = sk_wire_look(&worker)) == NULL)
            sk_wire_sleep(&worker, SK_NO_DEADLINE);
        struct sk_wire_reply *reply = sk_wire_reply(&worker, &room);
        if (sk_wire_begin(&worker, 5)) {
            model_check(order->fn == 100 + worker.index);
            ran |= 1u << worker.index;
            reply->end = SK_WIRE_RETURNED;
        } else {
            reply->end = SK_WIRE_SKIPPED;
        }
        reply->code = (int32_t)worker.index;
        sk_wire_answer(&worker);
        ring_doorbell();
    }
}

static void work_one(void)
{
    work(1);
}

static void work_two(void)
{
    work(2);
}

/* ---- the parent ------------------------------------------------------------------------------ */

static void send(void)
{
    struct sk_wire_order *order = sk_wire_next(&wire);
    order->fn = 100 + wire.sent;
    if (sk_wire_send(&wire))
        sk_wire_ring(&wire);
}

/* As the supervisor does: it announces its sleep, and looks once more. */
static void receive(enum sk_wire_end *end)
{
    struct sk_wire_receipt receipt;
    int got;
    while ((got = sk_wire_receive(&wire, &receipt)) == 0) {
        uint32_t seen = sk_load_acq(&doorbell);
        sk_store_sc(&watch, 1u);
        if (!sk_wire_has_reply(&wire))
            sk_futex_wait(&doorbell, seen, SK_NO_DEADLINE);
        sk_store_rlx(&watch, 0u);
    }
    model_check(got == 1);
    model_check((uint32_t)receipt.code == wire.received - 1);
    *end = receipt.end;
}

static void one_by_one(void)
{
    enum sk_wire_end end;
    for (int i = 0; i < 2; i++) {
        send();
        receive(&end);
        model_check(end == SK_WIRE_RETURNED);
    }
}

static void two_ahead(void)
{
    enum sk_wire_end end;
    send();
    send();
    for (int i = 0; i < 2; i++) {
        receive(&end);
        model_check(end == SK_WIRE_RETURNED);
    }
}

static void send_and_revoke(void)
{
    enum sk_wire_end end;
    send();
    taken_back[0] = sk_wire_revoke(&wire, 0);
    receive(&end);
    if (taken_back[0])
        model_check(end == SK_WIRE_SKIPPED);
}

/* The second is taken back while the first may run. */
static void revoke_the_second(void)
{
    enum sk_wire_end first, second;
    send();
    send();
    taken_back[1] = sk_wire_revoke(&wire, 1);
    receive(&first);
    receive(&second);
    model_check(first == SK_WIRE_RETURNED);
    if (taken_back[1])
        model_check(second == SK_WIRE_SKIPPED);
}

/* What was said to have begun has begun, and what was taken back has not. */
static void look_and_revoke(void)
{
    enum sk_wire_end end;
    int64_t when_ns;
    send();
    bool begun = sk_wire_has_begun(&wire, 0, &when_ns);
    taken_back[0] = sk_wire_revoke(&wire, 0);
    model_check(!begun || (!taken_back[0] && when_ns == 5));
    receive(&end);
    if (begun)
        model_check(end == SK_WIRE_RETURNED);
}

/* ---- afterwards ------------------------------------------------------------------------------ */

static void all_ran(void)
{
    model_check(ran == 3);
}

static void none_taken_back_ran(void)
{
    for (unsigned i = 0; i < MAX_ORDERS; i++)
        model_check(!taken_back[i] || (ran & 1u << i) == 0);
}

static const struct model_test tests[] = {
    { .name = "orders_and_replies_arrive_one_by_one",
      .setup = start,
      .thread = { one_by_one, work_two },
      .finish = all_ran },
    { .name = "orders_sent_ahead_arrive_in_order",
      .setup = start,
      .thread = { two_ahead, work_two },
      .finish = all_ran },
    { .name = "revoked_is_never_begun",
      .setup = start,
      .thread = { send_and_revoke, work_one },
      .finish = none_taken_back_ran },
    { .name = "revoked_behind_another",
      .setup = start,
      .thread = { revoke_the_second, work_two },
      .finish = none_taken_back_ran },
    { .name = "begun_is_not_revoked",
      .setup = start,
      .thread = { look_and_revoke, work_one },
      .finish = none_taken_back_ran },
};

MODEL_MAIN("wire", tests)
