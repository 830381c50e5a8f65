/* skua_map(): out[i] = fn(in[i]). */
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/gate.h"

static void check_map(skua_executor *ex, size_t n, size_t chunk)
{
    int *in = malloc((n + 1) * sizeof *in), *out = malloc((n + 1) * sizeof *out);
    assert_true(in != NULL && out != NULL);
    for (size_t i = 0; i < n; i++)
        in[i] = (int)(i % 40000);
    memset(out, 0x5a, (n + 1) * sizeof *out);
    const int guard = out[n];
    assert_status(skua_map(ex, skt_square, in, sizeof *in, out, sizeof *out, n,
                           &(skua_map_options){ .chunk = chunk }, SKUA_FOREVER),
                  SKUA_OK);
    for (size_t i = 0; i < n; i++)
        if (out[i] != in[i] * in[i])
            fail_msg("n %zu, chunk %zu: out[%zu] is %d", n, chunk, i, out[i]);
    assert_int_equal(out[n], guard);
    free(in);
    free(out);
}

static void every_item_is_mapped_whatever_the_chunk(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t workers = (size_t)skt_workers(state);
    const size_t sizes[] = { 0, 1, 2, 3, workers - 1, workers + 1, 97, 1009 };
    for (size_t i = 0; i < SKT_COUNT(sizes); i++) {
        const size_t n = sizes[i];
        const size_t chunks[] = { 0, 1, 7, n, n + 1, SIZE_MAX };
        for (size_t k = 0; k < SKT_COUNT(chunks); k++)
            check_map(ex, n, chunks[k]);
    }
    skua_close(ex);
}

static void a_hundred_thousand_items_are_mapped(void **state)
{
    skua_executor *ex = skt_pool(state);
    check_map(ex, 100000, 0);
    check_map(ex, 100000, 1);
    skua_close(ex);
}

static int scribble(void *arg, void *result)
{
    *(int *)result = *(int *)arg;
    *(int *)arg = -1;
    return 0;
}

static void an_item_is_a_copy(void **state)
{
    skua_executor *ex = skt_pool(state);
    int in[100], out[100];
    for (int i = 0; i < 100; i++)
        in[i] = i;
    assert_status(skua_map(ex, scribble, in, sizeof *in, out, sizeof *out, 100, NULL, SKUA_FOREVER),
                  SKUA_OK);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(in[i], i);
        assert_int_equal(out[i], i);
    }
    skua_close(ex);
}

static SK_ATOMIC(int) nr_calls;

static int count_without_argument(void *arg, void *result)
{
    if (arg != NULL)
        return 1;
    *(int *)result += sk_add_acq_rel(&nr_calls, 1) >= 0;
    return 0;
}

static int count_without_result(void *arg, void *result)
{
    sk_add_acq_rel(&nr_calls, *(int *)arg);
    return result != NULL;
}

static void sizes_of_zero_give_null(void **state)
{
    skua_executor *ex = skt_pool(state);
    int items[100];
    sk_store_rel(&nr_calls, 0);
    assert_status(skua_map(ex, count_without_argument, NULL, 0, items, sizeof *items, 100, NULL,
                           SKUA_FOREVER),
                  SKUA_OK);
    assert_int_equal(sk_load_acq(&nr_calls), 100);
    for (int i = 0; i < 100; i++)
        assert_int_equal(items[i], 1);
    assert_status(
        skua_map(ex, count_without_result, items, sizeof *items, NULL, 0, 100, NULL, SKUA_FOREVER),
        SKUA_OK);
    assert_int_equal(sk_load_acq(&nr_calls), 200);
    skua_close(ex);
}

static int fail_on_negative(void *arg, void *result)
{
    const int x = *(int *)arg;
    *(int *)result = 1000 + x;
    return x < 0 ? skua_fail(-x, "item %d", -x) : 0;
}

static void the_lowest_failing_item_is_reported_always(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t chunks[] = { 0, 1, 10, 1000 };
    for (int round = 0; round < skt_rounds(80); round++) {
        int in[300], out[300];
        for (int i = 0; i < 300; i++) {
            in[i] = i >= 37 && i % 37 == 0 ? -i : i;
            out[i] = -7;
        }
        const skua_map_options o = { .chunk = chunks[round % 4] };
        assert_status(
            skua_map(ex, fail_on_negative, in, sizeof *in, out, sizeof *out, 300, &o, SKUA_FOREVER),
            SKUA_FAILED);
        assert_status(skua_last_error()->status, SKUA_FAILED);
        assert_int_equal(skua_last_error()->code, 37);
        assert_string_equal(skua_last_error()->message, "item 37");
        assert_non_null(strstr(skua_last_error()->where, "map.c:"));
        for (int i = 0; i < 37; i++)
            assert_int_equal(out[i], 1000 + i);
        for (int i = 37; i < 300; i++)
            assert_true(out[i] == -7 || (in[i] >= 0 && out[i] == 1000 + in[i]));
        assert_int_equal(out[37], -7);
    }
    skua_close(ex);
}

struct gated_map {
    skua_executor *ex;
    struct skt_gate gate;
    SK_ATOMIC(int) began;
    skua_status status;
};

static int item_at_gate(void *arg, void *result)
{
    struct gated_map *m = *(struct gated_map **)arg;
    sk_add_acq_rel(&m->began, 1);
    skt_gate_task(&m->gate, NULL);
    *(int *)result = 1;
    return 0;
}

/* Maps from arrays that are freed as soon as it has returned. */
static skua_status map_at_gate(struct gated_map *m, size_t n, double timeout)
{
    struct gated_map **in = malloc(n * sizeof(struct gated_map *));
    int *out = calloc(n, sizeof *out);
    assert_true(in != NULL && out != NULL);
    for (size_t i = 0; i < n; i++)
        in[i] = m;
    const skua_map_options o = { .chunk = 1 };
    const skua_status status =
        skua_map(m->ex, item_at_gate, in, sizeof *in, out, sizeof *out, n, &o, timeout);
    free(in);
    free(out);
    return status;
}

static void a_timeout_frees_the_arrays_and_begins_nothing_more(void **state)
{
    struct gated_map m = { .ex = skt_pool(state) };
    skt_gate_init(&m.gate);
    const double start = skt_now();
    assert_status(map_at_gate(&m, 100, 0.05), SKUA_TIMEOUT);
    const double took = skt_now() - start;
    assert_true(took >= 0.05);
    assert_true(took < 0.05 + skt_wake_limit());
    const int began = sk_load_acq(&m.began);
    assert_in_range(began, 0, skt_workers(state));
    skt_gate_open(&m.gate);
    skua_close(m.ex);
    assert_int_equal(sk_load_acq(&m.began), began);
    skt_gate_fini(&m.gate);
}

static void *map_in_thread(void *arg)
{
    struct gated_map *m = arg;
    m->status = map_at_gate(m, 100, SKUA_FOREVER);
    return NULL;
}

static void shutdown_cancels_a_map_that_has_not_begun_all(void **state)
{
    struct gated_map m = { .ex = skt_pool(state) };
    skt_gate_init(&m.gate);
    const pthread_t mapper = skt_thread(map_in_thread, &m);
    skt_latch_wait(&m.gate.began, skt_workers(state));
    assert_status(skua_shutdown(m.ex, SKUA_CANCEL_FUTURES, 0), SKUA_OK);
    skt_gate_open(&m.gate);
    skt_join(mapper);
    assert_status(m.status, SKUA_CANCELLED);
    assert_int_equal(sk_load_acq(&m.began), skt_workers(state));
    skua_close(m.ex);
    skt_gate_fini(&m.gate);
}

static void what_makes_no_sense_is_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    int x = 3, y = 0;
    assert_status(skua_map(NULL, skt_square, &x, sizeof x, &y, sizeof y, 1, NULL, 1), SKUA_INVALID);
    assert_status(skua_map(ex, NULL, &x, sizeof x, &y, sizeof y, 1, NULL, 1), SKUA_INVALID);
    assert_status(skua_map(ex, skt_square, NULL, sizeof x, &y, sizeof y, 1, NULL, 1), SKUA_INVALID);
    assert_status(skua_map(ex, skt_square, &x, sizeof x, NULL, sizeof y, 1, NULL, 1), SKUA_INVALID);
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_int_equal(y, 0);
    assert_status(skua_shutdown(ex, 0, 0), SKUA_OK);
    assert_status(skua_map(ex, skt_square, &x, sizeof x, &y, sizeof y, 1, NULL, 1), SKUA_SHUTDOWN);
    assert_int_equal(y, 0);
    skua_close(ex);
}

static int map_inside(void *arg, void *result)
{
    int in[50], out[50];
    for (int i = 0; i < 50; i++)
        in[i] = *(int *)arg + i;
    if (skua_map(skua_default(), skt_square, in, sizeof *in, out, sizeof *out, 50, NULL,
                 SKUA_FOREVER) != SKUA_OK)
        return 1;
    for (int i = 0; i < 50; i++)
        *(int *)result += out[i] == in[i] * in[i];
    return 0;
}

static void maps_nest(void **state)
{
    skua_executor *ex = skt_pool(state);
    int in[40], out[40];
    for (int i = 0; i < 40; i++)
        in[i] = i;
    for (size_t chunk = 0; chunk < 3; chunk++) {
        const skua_map_options o = { .chunk = chunk };
        assert_status(
            skua_map(ex, map_inside, in, sizeof *in, out, sizeof *out, 40, &o, SKUA_FOREVER),
            SKUA_OK);
        for (int i = 0; i < 40; i++)
            assert_int_equal(out[i], 50);
    }
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(every_item_is_mapped_whatever_the_chunk),
        SKT_EACH(a_hundred_thousand_items_are_mapped),
        SKT_EACH(an_item_is_a_copy),
        SKT_EACH(sizes_of_zero_give_null),
        SKT_EACH(the_lowest_failing_item_is_reported_always),
        SKT_EACH(a_timeout_frees_the_arrays_and_begins_nothing_more),
        SKT_EACH(shutdown_cancels_a_map_that_has_not_begun_all),
        SKT_EACH(what_makes_no_sense_is_refused),
        SKT_EACH(maps_nest),
    };
    return skt_main(argc, argv, "map", tests, SKT_COUNT(tests));
}
