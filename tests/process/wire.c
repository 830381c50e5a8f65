/* Orders and replies between two threads, and what the parent makes of a worker that writes at
 * random. The protocol's races are model/wire's. */
#include "process/wire.h"

#include <errno.h>
#include <string.h>

#include "base/futex.h"
#include "base/mem.h"
#include "tests/support/harness.h"

struct pair {
    struct sk_wire_down *down;
    struct sk_wire_up *up;
    struct sk_wire parent;
    struct sk_wire_worker worker;
};

static struct pair open_pair(void)
{
    struct pair pair = { .down = sk_alloc_lines(sizeof(struct sk_wire_down)),
                         .up = sk_alloc_lines(sizeof(struct sk_wire_up)) };
    assert_non_null(pair.down);
    assert_non_null(pair.up);
    pair.parent = (struct sk_wire){ pair.down, pair.up, 0, 0 };
    pair.worker = (struct sk_wire_worker){ pair.down, pair.up, 0 };
    return pair;
}

static void close_pair(struct pair *pair)
{
    sk_free(pair->down);
    sk_free(pair->up);
}

static void send(struct pair *pair, uint64_t fn)
{
    struct sk_wire_order *order = sk_wire_next(&pair->parent);
    order->kind = SK_WIRE_RUN;
    order->fn = fn;
    if (sk_wire_send(&pair->parent))
        sk_wire_ring(&pair->parent);
}

/* The worker answers the next order with its fn as the code. */
static void answer(struct sk_wire_worker *worker)
{
    unsigned char *room;
    const struct sk_wire_order *order = sk_wire_look(worker);
    assert_non_null(order);
    struct sk_wire_reply *reply = sk_wire_reply(worker, &room);
    reply->end = sk_wire_begin(worker, 77) ? SK_WIRE_RETURNED : SK_WIRE_SKIPPED;
    reply->code = (int32_t)order->fn;
    reply->begun_ns = 77;
    room[0] = (unsigned char)order->fn;
    sk_wire_answer(worker);
}

static int receive(struct pair *pair, int32_t *code)
{
    struct sk_wire_receipt receipt;
    int got = sk_wire_receive(&pair->parent, &receipt);
    *code = got == 1 ? receipt.code : 0;
    if (got == 1)
        assert_int_equal(receipt.room[0], (unsigned char)receipt.code);
    return got;
}

static void nothing_is_received_before_it_was_answered(void **state)
{
    (void)state;
    int32_t code;
    struct pair pair = open_pair();
    assert_int_equal(receive(&pair, &code), 0);
    assert_null(sk_wire_look(&pair.worker));
    send(&pair, 5);
    assert_int_equal(receive(&pair, &code), 0);
    assert_false(sk_wire_has_reply(&pair.parent));
    answer(&pair.worker);
    assert_true(sk_wire_has_reply(&pair.parent));
    assert_int_equal(receive(&pair, &code), 1);
    assert_int_equal(code, 5);
    assert_int_equal(receive(&pair, &code), 0);
    close_pair(&pair);
}

/* Several laps, with every number of orders on the wire. */
static void rings_go_round(void **state)
{
    (void)state;
    int32_t code;
    struct pair pair = open_pair();
    uint64_t sent = 0, got = 0;
    for (unsigned load = 1; load <= SK_WIRE_SLOTS; load++) {
        for (unsigned i = 0; i < load; i++)
            send(&pair, sent++);
        assert_int_equal(sk_wire_load(&pair.parent), load);
        for (unsigned i = 0; i < load; i++)
            answer(&pair.worker);
        for (unsigned i = 0; i < load; i++) {
            assert_int_equal(receive(&pair, &code), 1);
            assert_int_equal(code, got++);
        }
    }
    close_pair(&pair);
}

static void revoked_is_skipped_and_begun_is_not_revoked(void **state)
{
    (void)state;
    int64_t when_ns;
    int32_t code;
    struct pair pair = open_pair();
    send(&pair, 1);
    send(&pair, 2);
    assert_true(sk_wire_revoke(&pair.parent, 1));
    assert_true(sk_wire_begin(&pair.worker, 99));
    assert_true(sk_wire_has_begun(&pair.parent, 0, &when_ns));
    assert_int_equal(when_ns, 99);
    assert_false(sk_wire_revoke(&pair.parent, 0));
    sk_wire_stop(&pair.parent, 0);
    assert_true(sk_wire_stopping(&pair.worker));
    answer(&pair.worker);
    assert_false(sk_wire_stopping(&pair.worker));
    assert_false(sk_wire_begin(&pair.worker, 100));
    assert_false(sk_wire_has_begun(&pair.parent, 1, &when_ns));
    answer(&pair.worker);
    assert_int_equal(receive(&pair, &code), 1);
    assert_int_equal(receive(&pair, &code), 1);
    close_pair(&pair);
}

/* ---- wild writers ---------------------------------------------------------------------------- */

static void a_turn_of_no_lap_is_a_protocol_error(void **state)
{
    (void)state;
    static const uint32_t wrong[] = { 2, 3, 64, 65, UINT32_MAX, 1u << 31 };
    for (size_t i = 0; i < SKT_COUNT(wrong); i++) {
        int32_t code;
        struct pair pair = open_pair();
        sk_store_rel(&pair.up->replies[0].turn, wrong[i]);
        assert_int_equal(receive(&pair, &code), 0); /* nothing was sent: nothing is looked at */
        send(&pair, 1);
        assert_int_equal(receive(&pair, &code), -EPROTO);
        assert_int_equal(receive(&pair, &code), -EPROTO);
        close_pair(&pair);
    }
}

static void an_end_of_no_kind_is_a_protocol_error(void **state)
{
    (void)state;
    static const uint32_t wrong[] = { 0, SK_WIRE_SKIPPED + 1, UINT32_MAX };
    for (size_t i = 0; i < SKT_COUNT(wrong); i++) {
        int32_t code;
        struct pair pair = open_pair();
        send(&pair, 1);
        answer(&pair.worker);
        pair.up->replies[0].end = wrong[i];
        assert_int_equal(receive(&pair, &code), -EPROTO);
        close_pair(&pair);
    }
}

/* Whatever is written there, the parent ends up with a reply, none, or an error, and goes on. */
static void random_bytes_do_no_harm(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (int round = 0; round < skt_rounds(300); round++) {
        int32_t code;
        int64_t when_ns;
        struct pair pair = open_pair();
        for (unsigned i = 0; i < SK_WIRE_SLOTS / 2; i++)
            send(&pair, i);
        unsigned char *bytes = (unsigned char *)pair.up;
        size_t end = offsetof(struct sk_wire_up, rooms);
        for (size_t i = 0; i < end; i += 1 + skt_random(&seed) % 7)
            bytes[i] = (unsigned char)skt_random(&seed);
        for (unsigned i = 0; i < SK_WIRE_SLOTS; i++) {
            struct sk_wire_receipt receipt;
            int got = sk_wire_receive(&pair.parent, &receipt);
            assert_true(got == 0 || got == 1 || got == -EPROTO);
            sk_wire_has_begun(&pair.parent, i, &when_ns);
            sk_wire_revoke(&pair.parent, i);
        }
        (void)code;
        assert_true(sk_wire_load(&pair.parent) <= SK_WIRE_SLOTS / 2);
        close_pair(&pair);
    }
}

/* ---- two threads ----------------------------------------------------------------------------- */

enum {
    PASSED = 20000
};

static void *work(void *arg)
{
    struct sk_wire_worker *worker = arg;
    for (int i = 0; i < skt_rounds(PASSED); i++) {
        while (sk_wire_look(worker) == NULL)
            sk_wire_sleep(worker, SK_NO_DEADLINE);
        answer(worker);
    }
    return NULL;
}

static void a_sleeping_worker_misses_nothing(void **state)
{
    (void)state;
    struct pair pair = open_pair();
    pthread_t thread = skt_thread(work, &pair.worker);
    uint32_t seed = 3;
    int n = skt_rounds(PASSED), sent = 0, got = 0;
    while (got < n) {
        int32_t code;
        if (sent < n && sk_wire_load(&pair.parent) < 1 + skt_random(&seed) % (SK_WIRE_SLOTS - 1))
            send(&pair, (uint64_t)sent++);
        int rc = receive(&pair, &code);
        assert_true(rc >= 0);
        if (rc == 1)
            assert_int_equal(code, got++);
    }
    skt_join(thread);
    close_pair(&pair);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(nothing_is_received_before_it_was_answered),
        SKT_TEST(rings_go_round),
        SKT_TEST(revoked_is_skipped_and_begun_is_not_revoked),
        SKT_TEST(a_turn_of_no_lap_is_a_protocol_error),
        SKT_TEST(an_end_of_no_kind_is_a_protocol_error),
        SKT_TEST(random_bytes_do_no_harm),
        SKT_TEST(a_sleeping_worker_misses_nothing),
    };
    return skt_main(argc, argv, "wire", tests, SKT_COUNT(tests));
}
