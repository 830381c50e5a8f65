/* Maps and waits over worker processes: the same results for every chunk, errors and timeouts as on
 * threads, and futures of all kinds in one wait. What only threads can do is refused. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

static int cube(void *arg, void *result)
{
    const int64_t x = *(int *)arg;
    *(int64_t *)result = x * x * x;
    return 0;
}

static void check_map(skua_executor *ex, size_t n, size_t chunk)
{
    int *in = malloc((n + 1) * sizeof *in);
    int64_t *out = malloc((n + 1) * sizeof *out);
    assert_non_null(in);
    assert_non_null(out);
    for (size_t i = 0; i <= n; i++) {
        in[i] = (int)i - 3;
        out[i] = -77;
    }
    assert_status(skua_map(ex, cube, in, sizeof *in, out, sizeof *out, n,
                           &(skua_map_options){ .chunk = chunk }, 60 * skt_slow_factor()),
                  SKUA_OK);
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++)
        wrong += out[i] != ((int64_t)i - 3) * ((int64_t)i - 3) * ((int64_t)i - 3);
    assert_int_equal(wrong, 0);
    assert_int_equal(out[n], -77);
    free(in);
    free(out);
}

static void a_map_gives_each_item_its_result_whatever_the_chunk(void **state)
{
    skua_executor *ex = skt_processes(state);
    const size_t workers = (size_t)skt_workers(state);
    const size_t ns[] = { 0, 1, workers - 1, workers, 100, 1009 };
    for (size_t i = 0; i < SKT_COUNT(ns); i++) {
        const size_t chunks[] = { 0, 1, 7, ns[i], ns[i] + 1 };
        for (size_t k = 0; k < SKT_COUNT(chunks); k++)
            check_map(ex, ns[i], chunks[k]);
    }
    check_map(ex, (size_t)skt_rounds(100000), 0);
    skua_close(ex);
}

static int fail_for_some(void *arg, void *result)
{
    const int x = *(int *)arg;
    *(int *)result = x + 1;
    return x % 100 == 57 ? skua_fail(x, "item %d", x) : 0;
}

static void a_map_tells_of_the_lowest_failing_item(void **state)
{
    skua_executor *ex = skt_processes(state);
    int in[500], out[500];
    for (int round = 0; round < 10; round++) {
        for (int i = 0; i < 500; i++) {
            in[i] = i;
            out[i] = -1;
        }
        const skua_map_options o = { .chunk = (size_t)(round * 7) };
        assert_status(skua_map(ex, fail_for_some, in, sizeof *in, out, sizeof *out, 500, &o, 60),
                      SKUA_FAILED);
        assert_int_equal(skua_last_error()->code, 57);
        assert_string_equal(skua_last_error()->message, "item 57");
        for (int i = 0; i < 57; i++)
            assert_int_equal(out[i], i + 1);
        assert_int_equal(out[57], -1);
    }
    skua_close(ex);
}

static int crash_for_some(void *arg, void *result)
{
    const int x = *(int *)arg;
    if (x == 5)
        abort();
    *(int *)result = x + 1;
    return 0;
}

/* A crash in a chunk takes its own item only: those before and after it are there. */
static void a_crash_in_a_chunk_spoils_no_other_item(void **state)
{
    skua_executor *ex = skt_processes(state);
    int in[20], out[20];
    static const size_t chunks[] = { 0, 1, 10, 20 };
    for (size_t k = 0; k < SKT_COUNT(chunks); k++) {
        for (int i = 0; i < 20; i++) {
            in[i] = i;
            out[i] = -1;
        }
        const skua_status status = skua_map(ex, crash_for_some, in, sizeof *in, out, sizeof *out,
                                            20, &(skua_map_options){ .chunk = chunks[k] }, 60);
        assert_true(status == SKUA_FAILED || status == SKUA_CRASHED);
        print_message("%s\n", skua_last_error()->message);
        assert_int_equal(skua_last_error()->fault, SKUA_FAULT_SIGNAL);
        for (int i = 0; i < 5; i++)
            assert_int_equal(out[i], i + 1);
        assert_int_equal(out[5], -1);
        for (int i = 6; i < 20; i++)
            assert_true(out[i] == -1 || out[i] == i + 1);
    }
    skua_close(ex);
}

struct source {
    size_t n;
    size_t asked;
    size_t handed_out;
    size_t max_ahead;
};

static bool give_numbers(void *ctx, size_t i, void *item)
{
    struct source *s = ctx;
    s->asked++;
    if (i - s->handed_out > s->max_ahead)
        s->max_ahead = i - s->handed_out;
    *(int *)item = (int)i;
    return i < s->n;
}

static void imap_hands_out_all_but_the_failing_item_of_a_chunk(void **state)
{
    static skua_fn *const fns[] = { fail_for_some, crash_for_some };
    static const int bad[] = { 57, 5 };
    skua_executor *ex = skt_processes(state);
    for (size_t k = 0; k < SKT_COUNT(fns); k++) {
        struct source source = { .n = 90 };
        skua_iter *it = skua_imap(ex, fns[k], give_numbers, &source, sizeof(int), sizeof(int),
                                  &(skua_map_options){ .chunk = 10, .ahead = 20 }, 60);
        assert_non_null(it);
        size_t i = 0, expected = 0;
        for (skua_future *f; (f = skua_next(it, &i)) != NULL; expected++) {
            int value = -1;
            assert_int_equal(i, expected);
            const skua_status status = skua_result(f, &value, sizeof value, 0);
            if ((int)i == bad[k]) {
                assert_true(status == SKUA_FAILED || status == SKUA_CRASHED);
            } else {
                assert_status(status, SKUA_OK);
                assert_int_equal(value, i + 1);
            }
            source.handed_out++;
        }
        assert_int_equal(expected, 90);
        assert_status(skua_iter_close(it), SKUA_OK);
        assert_true(source.max_ahead <= 20);
    }
    skua_close(ex);
}

static void imap_is_lazy(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct source endless = { .n = SIZE_MAX };
    skua_iter *it = skua_imap(ex, cube, give_numbers, &endless, sizeof(int), sizeof(int64_t),
                              &(skua_map_options){ .ahead = 4 }, 60);
    assert_non_null(it);
    for (int i = 0; i < 100; i++) {
        size_t index;
        assert_non_null(skua_next(it, &index));
        assert_int_equal(index, i);
        endless.handed_out++;
        assert_true(endless.asked <= (size_t)i + 5);
    }
    assert_status(skua_iter_close(it), SKUA_OK);
    skua_close(ex);
}

/* ---- timeouts -------------------------------------------------------------------------------- */

struct item {
    SK_ATOMIC(int) * began;
    struct skt_shared_gate *gate;
};

static int wait_at_the_gate(void *arg, void *result)
{
    const struct item *item = arg;
    sk_add_acq_rel(item->began, 1);
    memset(result, 0xee, 64);
    skt_counter_wait(&item->gate->open, 1);
    return 0;
}

/* What has not begun never begins; nothing writes to out after the return. */
static void a_map_returns_at_its_timeout_and_leaves_out_alone(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) *began = skt_counters(ex, 1);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    struct item in[100];
    unsigned char out[100][64];
    memset(out, 0x11, sizeof out);
    for (int i = 0; i < 100; i++)
        in[i] = (struct item){ began, gate };
    const double start = skt_now();
    assert_status(skua_map(ex, wait_at_the_gate, in, sizeof *in, out, sizeof *out, 100,
                           &(skua_map_options){ .chunk = 1 }, 0.1),
                  SKUA_TIMEOUT);
    assert_true(skt_now() - start < 0.1 + skt_wake_limit());
    const int nr = sk_load_acq(began);
    assert_in_range(nr, 0, skt_workers(state));
    memset(in, 0x22, sizeof in);
    skt_shared_gate_open(gate);
    assert_true(skt_meet(ex));
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_in_range(sk_load_acq(began), nr, skt_workers(state));
    size_t wrong = 0;
    for (size_t i = 0; i < sizeof out; i++)
        wrong += ((unsigned char *)out)[i] != 0x11;
    assert_int_equal(wrong, 0);
    skua_close(ex);
}

/* Waiting for room in a bounded pool counts too: the only place is held by an item that stays. */
static void a_map_waits_for_room_no_longer_than_its_timeout(void **state)
{
    (void)state;
    skua_executor *ex = skt_processes_with(&(skua_options){ .workers = 1, .max_pending = 1 });
    SK_ATOMIC(int) *began = skt_counters(ex, 1);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    struct item in[3];
    unsigned char out[3][64];
    for (int i = 0; i < 3; i++)
        in[i] = (struct item){ began, gate };
    assert_status(skua_map(ex, wait_at_the_gate, in, sizeof *in, out, sizeof *out, 3,
                           &(skua_map_options){ .chunk = 1 }, 0.1),
                  SKUA_TIMEOUT);
    skt_shared_gate_open(gate);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    skua_close(ex);
}

/* ---- mixed ----------------------------------------------------------------------------------- */

static void one_wait_takes_futures_of_every_kind(void **state)
{
    skua_executor *processes = skt_processes(state), *others = skt_processes_of(1);
    skua_executor *a = skt_pool_of(1), *b = skt_pool_of(2);
    skua_future *bare = skua_future_new(sizeof(int));
    assert_non_null(bare);
    struct skt_shared_gate *gate = skt_shared_gate_new(processes);
    skua_future *fs[] = { skt_submit_int(a, skt_square, 1),
                          skt_submit_int(b, skt_square, 2),
                          skt_shared_gate_submit(gate, processes),
                          skt_submit_int(others, skt_square, 4),
                          bare,
                          NULL };
    assert_status(skua_wait(fs, SKT_COUNT(fs), SKUA_FIRST_COMPLETED, 10), SKUA_OK);
    assert_status(skua_wait(fs, SKT_COUNT(fs), SKUA_ALL_COMPLETED, 0.02), SKUA_TIMEOUT);
    assert_false(skua_done(fs[2]) || skua_done(bare));
    skt_shared_gate_open(gate);
    assert_status(skua_wait(fs, 4, SKUA_ALL_COMPLETED, 10 * skt_slow_factor()), SKUA_OK);
    const int five = 5;
    assert_status(skua_set_result(bare, &five, sizeof five), SKUA_OK);
    assert_status(skua_wait(fs, SKT_COUNT(fs), SKUA_ALL_COMPLETED, 10), SKUA_OK);
    size_t i, nr = 0;
    skua_iter *it = skua_as_completed(fs, SKT_COUNT(fs), 10);
    while (skua_next(it, &i) != NULL)
        assert_int_equal(i, nr++);
    assert_int_equal(nr, 5);
    assert_status(skua_iter_close(it), SKUA_OK);
    for (i = 0; i < SKT_COUNT(fs); i++)
        skua_release(fs[i]);
    skua_close(processes);
    skua_close(others);
    skua_close(a);
    skua_close(b);
}

static void a_crash_is_the_first_exception(void **state)
{
    skua_executor *ex = skt_processes_of(skt_workers(state) + 1);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    skua_future *fs[] = { skt_shared_gate_submit(gate, ex), skua_submit(ex, skt_crash, NULL) };
    assert_status(skua_wait(fs, 2, SKUA_FIRST_EXCEPTION, 10 * skt_slow_factor()), SKUA_OK);
    assert_true(skua_done(fs[1]));
    assert_false(skua_done(fs[0]));
    assert_status(skua_result(fs[1], NULL, 0, 0), SKUA_CRASHED);
    skt_shared_gate_open(gate);
    assert_status(skua_result(fs[0], NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(fs[0]);
    skua_release(fs[1]);
    skua_close(ex);
}

static int ask_a_process(void *arg, void *result)
{
    skua_future *f = skt_submit_int(*(skua_executor **)arg, skt_square, 7);
    const skua_status status = skua_result(f, result, sizeof(int), SKUA_FOREVER);
    skua_release(f);
    return status == SKUA_OK ? 0 : 1;
}

/* Many more than there are threads: waiting gives the cores to others. */
static void tasks_on_threads_may_wait_for_tasks_in_processes(void **state)
{
    skua_executor *processes = skt_processes(state), *threads = skt_pool_of(2);
    skua_future *fs[50];
    for (int i = 0; i < 50; i++)
        fs[i] = skua_submit_task(threads, &(skua_task){ .fn = ask_a_process,
                                                        .arg = &processes,
                                                        .arg_size = sizeof(skua_executor *),
                                                        .result_size = sizeof(int) });
    for (int i = 0; i < 50; i++) {
        int value = -1;
        assert_status(skua_result(fs[i], &value, sizeof value, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(value, 49);
        skua_release(fs[i]);
    }
    skua_close(threads);
    skua_close(processes);
}

static int count_piece(size_t begin, size_t end, void *ctx)
{
    sk_add_acq_rel((SK_ATOMIC(int) *)ctx, (int)(end - begin));
    return 0;
}

static int fold(size_t begin, size_t end, void *ctx, void *acc)
{
    *(int *)acc += count_piece(begin, end, ctx);
    return 0;
}

static void join(void *left, const void *right, void *ctx)
{
    (void)left;
    (void)right;
    sk_add_acq_rel((SK_ATOMIC(int) *)ctx, 1);
}

static int member(int rank, int size, void *ctx)
{
    (void)rank;
    (void)size;
    sk_add_acq_rel((SK_ATOMIC(int) *)ctx, 1);
    return 0;
}

static int call(void *arg)
{
    sk_add_acq_rel((SK_ATOMIC(int) *)arg, 1);
    return 0;
}

static void what_needs_threads_is_refused_and_never_called(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) calls;
    sk_init(&calls, 0);
    int acc = 3;
    assert_status(skua_for(ex, 0, 10, count_piece, &calls, NULL), SKUA_INVALID);
    print_message("%s\n", skua_last_error()->message);
    assert_non_null(strstr(skua_last_error()->message, "thread pool"));
    assert_status(skua_reduce(ex, 0, 10, fold, join, &calls, &acc, sizeof acc, NULL), SKUA_INVALID);
    assert_status(skua_team(ex, 2, member, &calls), SKUA_INVALID);
    assert_status((skua_status)skua_call(ex, call, &calls), SKUA_INVALID);
    assert_int_equal(sk_load_acq(&calls), 0);
    assert_int_equal(acc, 3);
    assert_true(skt_works(ex));
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_map_gives_each_item_its_result_whatever_the_chunk),
        SKT_EACH(a_map_tells_of_the_lowest_failing_item),
        SKT_EACH(a_crash_in_a_chunk_spoils_no_other_item),
        SKT_EACH(imap_hands_out_all_but_the_failing_item_of_a_chunk),
        SKT_EACH(imap_is_lazy),
        SKT_EACH(a_map_returns_at_its_timeout_and_leaves_out_alone),
        cmocka_unit_test(a_map_waits_for_room_no_longer_than_its_timeout),
        SKT_EACH(one_wait_takes_futures_of_every_kind),
        SKT_AT(a_crash_is_the_first_exception, 1),
        SKT_AT(a_crash_is_the_first_exception, 2),
        SKT_EACH(tasks_on_threads_may_wait_for_tasks_in_processes),
        SKT_EACH(what_needs_threads_is_refused_and_never_called),
    };
    return skt_main(argc, argv, "process_map", tests, SKT_COUNT(tests));
}
