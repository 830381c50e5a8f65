/* skua_map() where items fail, whatever they return, and in whatever order they do so. */
#include "tests/support/harness.h"

#include <limits.h>
#include <string.h>

#include "tests/support/gate.h"

/* Items that know of each other. */
struct item {
    int number;
    struct skt_latch *failed; /* risen by item 1 when it is about to fail */
    SK_ATOMIC(int) * begun;
};

/* Item 0 fails after item 1 has. */
static int fail_in_turn(void *arg, void *result)
{
    const struct item *item = arg;
    (void)result;
    if (item->number == 0)
        skt_latch_wait(item->failed, 1);
    if (item->number == 1)
        skt_latch_raise(item->failed);
    return item->number < 2 ? skua_fail(100 + item->number, "item %d", item->number) : 0;
}

static void the_lowest_item_is_reported_though_another_fails_first(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int round = skt_rounds(100); round > 0; round--) {
        struct skt_latch failed;
        skt_latch_init(&failed);
        struct item items[4];
        for (int i = 0; i < 4; i++)
            items[i] = (struct item){ .number = i, .failed = &failed };
        const skua_map_options o = { .chunk = 1 };
        assert_status(
            skua_map(ex, fail_in_turn, items, sizeof *items, NULL, 0, 4, &o, SKUA_FOREVER),
            SKUA_FAILED);
        assert_int_equal(skua_last_error()->code, 100);
        assert_string_equal(skua_last_error()->message, "item 0");
        skt_latch_fini(&failed);
    }
    skua_close(ex);
}

static int fail_at_third(void *arg, void *result)
{
    const struct item *item = arg;
    *(int *)result = item->number;
    sk_add_acq_rel(item->begun, 1);
    return item->number == 3 ? skua_fail(1, "the third") : 0;
}

static void items_before_the_failing_one_are_done_and_chunks_after_it_do_not_begin(void **state)
{
    skua_executor *ex = skt_pool(state);
    const int workers = skt_workers(state);
    SK_ATOMIC(int) begun;
    struct item items[200];
    int out[200];
    sk_init(&begun, 0);
    memset(out, 0x5a, sizeof out);
    const int guard = out[0];
    for (int i = 0; i < 200; i++)
        items[i] = (struct item){ .number = i, .begun = &begun };
    /* The failing chunk is the last that a single worker begins; others may have begun more. */
    const skua_map_options o = { .chunk = 10 };
    assert_status(
        skua_map(ex, fail_at_third, items, sizeof *items, out, sizeof *out, 200, &o, SKUA_FOREVER),
        SKUA_FAILED);
    for (int i = 0; i < 10; i++)
        assert_int_equal(out[i], i == 3 ? guard : i);
    if (workers == 1)
        assert_int_equal(sk_load_acq(&begun), 10);
    const int at_return = sk_load_acq(&begun);
    skua_close(ex);
    assert_int_equal(sk_load_acq(&begun), at_return);
}

static int return_code(void *arg, void *result)
{
    (void)result;
    return *(int *)arg;
}

static void whatever_number_an_item_returns_the_map_has_failed(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int k = -14; k <= 2; k++) {
        int code = k == -14 ? INT_MIN : k == -13 ? INT_MAX : k;
        if (code == 0)
            continue;
        assert_status(skua_map(ex, return_code, &code, sizeof code, NULL, 0, 1, NULL, SKUA_FOREVER),
                      SKUA_FAILED);
        assert_status(skua_last_error()->status, SKUA_FAILED);
        assert_int_equal(skua_last_error()->code, code);
        assert_status(skua_map(ex, return_code, &code, sizeof code, NULL, 0, 1, NULL, 100),
                      SKUA_FAILED);
    }
    skua_close(ex);
}

static void a_map_that_failed_harms_no_later_one(void **state)
{
    skua_executor *ex = skt_pool(state);
    int in[50], out[50];
    for (int i = 0; i < 50; i++)
        in[i] = i;
    for (int round = 0; round < skt_rounds(50); round++) {
        assert_status(skua_map(ex, return_code, in, sizeof *in, NULL, 0, 50, NULL, SKUA_FOREVER),
                      SKUA_FAILED);
        assert_int_equal(skua_last_error()->code, 1);
        assert_status(
            skua_map(ex, skt_square, in, sizeof *in, out, sizeof *out, 50, NULL, SKUA_FOREVER),
            SKUA_OK);
        for (int i = 0; i < 50; i++)
            assert_int_equal(out[i], i * i);
    }
    skua_close(ex);
}

struct held_map {
    skua_executor *ex;
    struct skt_gate gate;
    struct skt_latch returned;
    skua_status status;
};

static int item_at_gate(void *arg, void *result)
{
    return skt_gate_task(*(void **)arg, result);
}

static void *map_at_gate(void *arg)
{
    struct held_map *m = arg;
    void *items[8];
    for (int i = 0; i < 8; i++)
        items[i] = &m->gate;
    const skua_map_options o = { .chunk = 1 };
    m->status = skua_map(m->ex, item_at_gate, items, sizeof *items, NULL, 0, 8, &o, SKUA_FOREVER);
    skt_latch_raise(&m->returned);
    return NULL;
}

static void a_map_that_waits_is_woken_when_its_last_item_ends(void **state)
{
    struct held_map m = { .ex = skt_pool(state), .status = SKUA_DEADLOCK };
    skt_gate_init(&m.gate);
    skt_latch_init(&m.returned);
    const pthread_t thread = skt_thread(map_at_gate, &m);
    skt_latch_wait(&m.gate.began, 1);
    skt_pause(0.02); /* not synchronisation: lets the map go to sleep, the harder case */
    assert_int_equal(skt_latch_count(&m.returned), 0);
    skt_gate_open(&m.gate);
    assert_true(skt_latch_wait_for(&m.returned, 1, skt_wake_limit()));
    skt_join(thread);
    assert_status(m.status, SKUA_OK);
    assert_int_equal(skt_latch_count(&m.gate.began), 8);
    skua_close(m.ex);
    skt_gate_fini(&m.gate);
    skt_latch_fini(&m.returned);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_AT(the_lowest_item_is_reported_though_another_fails_first, 2),
        SKT_AT(the_lowest_item_is_reported_though_another_fails_first, 8),
        SKT_EACH(items_before_the_failing_one_are_done_and_chunks_after_it_do_not_begin),
        SKT_EACH(whatever_number_an_item_returns_the_map_has_failed),
        SKT_EACH(a_map_that_failed_harms_no_later_one),
        SKT_EACH(a_map_that_waits_is_woken_when_its_last_item_ends),
    };
    return skt_main(argc, argv, "map_errors", tests, SKT_COUNT(tests));
}
