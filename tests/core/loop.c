/* skua_for(): each index once, in pieces of the right sizes. */
#include "tests/support/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/gate.h"

static const skua_schedule schedules[] = { SKUA_AUTO, SKUA_STATIC, SKUA_DYNAMIC };

/* What a loop did to its range. */
struct cover {
    size_t begin;
    size_t end;
    size_t grain;
    SK_ATOMIC(unsigned char) * times;
    SK_ATOMIC(int) nr_pieces;
    SK_ATOMIC(int) nr_outside; /* pieces that are empty or leave the range */
    SK_ATOMIC(int) nr_small;   /* pieces below the grain that are not the tail */
};

static int mark(size_t begin, size_t end, void *ctx)
{
    struct cover *c = ctx;
    sk_add_rlx(&c->nr_pieces, 1);
    if (begin >= end || begin < c->begin || end > c->end) {
        sk_add_rlx(&c->nr_outside, 1);
        return 0;
    }
    if (end - begin < c->grain && end != c->end)
        sk_add_rlx(&c->nr_small, 1);
    for (size_t i = begin; i < end; i++)
        sk_add_rlx(&c->times[i - c->begin], 1);
    return 0;
}

/* Runs one loop and gives the number of pieces. */
static int check_cover(skua_executor *ex, size_t begin, size_t n, const skua_loop *o)
{
    struct cover c = { .begin = begin, .end = begin + n, .grain = o->grain };
    c.times = calloc(n + 1, sizeof *c.times);
    assert_non_null(c.times);
    char what[160];
    snprintf(what, sizeof what, "begin %zu, n %zu, schedule %d, grain %zu", begin, n,
             (int)o->schedule, o->grain);
    const skua_status status = skua_for(ex, begin, begin + n, mark, &c, o);
    if (status != SKUA_OK)
        fail_msg("%s: %s", what, skua_strstatus(status));
    for (size_t i = 0; i < n; i++)
        if (sk_load_rlx(&c.times[i]) != 1)
            fail_msg("%s: index %zu ran %d times", what, i, sk_load_rlx(&c.times[i]));
    if (sk_load_rlx(&c.nr_outside) != 0)
        fail_msg("%s: %d pieces outside", what, sk_load_rlx(&c.nr_outside));
    if (sk_load_rlx(&c.nr_small) != 0)
        fail_msg("%s: %d pieces below the grain", what, sk_load_rlx(&c.nr_small));
    if (n == 0)
        assert_int_equal(sk_load_rlx(&c.nr_pieces), 0);
    free((void *)c.times);
    return sk_load_rlx(&c.nr_pieces);
}

static void cover_from(skua_executor *ex, bool at_the_top, size_t from)
{
    const size_t sizes[] = { 0, 1, 2, 3, 7, 10, 97, 1009 };
    for (size_t s = 0; s < SKT_COUNT(sizes); s++) {
        const size_t n = sizes[s];
        const size_t grains[] = { 0, 1, 7, n, n + 1, SIZE_MAX };
        for (size_t k = 0; k < 3; k++)
            for (size_t g = 0; g < SKT_COUNT(grains); g++) {
                const skua_loop o = { .schedule = schedules[k], .grain = grains[g] };
                check_cover(ex, at_the_top ? SIZE_MAX - n : from, n, &o);
            }
    }
}

static void every_index_runs_once_from_0(void **state)
{
    skua_executor *ex = skt_pool(state);
    cover_from(ex, false, 0);
    skua_close(ex);
}

static void every_index_runs_once_from_elsewhere(void **state)
{
    skua_executor *ex = skt_pool(state);
    cover_from(ex, false, 1000003);
    cover_from(ex, false, (size_t)1 << 40);
    skua_close(ex);
}

static void every_index_runs_once_up_to_size_max(void **state)
{
    skua_executor *ex = skt_pool(state);
    cover_from(ex, true, 0);
    skua_close(ex);
}

static void every_index_of_a_large_range_runs_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t grains[] = { 0, 1, 7, 1000, 99991 };
    for (size_t k = 0; k < 3; k++)
        for (size_t g = 0; g < SKT_COUNT(grains); g++)
            check_cover(ex, 5, 100003,
                        &(skua_loop){ .schedule = schedules[k], .grain = grains[g] });
    skua_close(ex);
}

static void a_grain_above_the_size_gives_one_piece(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (size_t k = 0; k < 3; k++) {
        const skua_loop o = { .schedule = schedules[k], .grain = 1001 };
        assert_int_equal(check_cover(ex, 3, 1000, &o), 1);
    }
    skua_close(ex);
}

static void without_options_it_is_the_usual_loop(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct cover c = { .begin = 0, .end = 1000, .grain = 0 };
    c.times = calloc(1000, sizeof *c.times);
    assert_status(skua_for(ex, 0, 1000, mark, &c, NULL), SKUA_OK);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(sk_load_rlx(&c.times[i]), 1);
    free((void *)c.times);
    skua_close(ex);
}

static void loops_over_nothing_call_nothing(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct cover c = { .begin = 0, .end = 0 };
    const size_t places[] = { 0, 1, 1000, SIZE_MAX };
    for (size_t i = 0; i < SKT_COUNT(places); i++)
        for (size_t k = 0; k < 3; k++)
            assert_status(skua_for(ex, places[i], places[i], mark, &c,
                                   &(skua_loop){ .schedule = schedules[k] }),
                          SKUA_OK);
    assert_int_equal(sk_load_rlx(&c.nr_pieces), 0);
    skua_close(ex);
}

static void what_makes_no_sense_is_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct cover c = { .begin = 0, .end = 0 };
    assert_status(skua_for(NULL, 0, 10, mark, &c, NULL), SKUA_INVALID);
    assert_status(skua_for(ex, 0, 10, NULL, &c, NULL), SKUA_INVALID);
    assert_status(skua_for(ex, 11, 10, mark, &c, NULL), SKUA_INVALID);
    assert_status(skua_for(ex, SIZE_MAX, 0, mark, &c, NULL), SKUA_INVALID);
    const int unknown[] = { -1, 3, 100 };
    for (size_t i = 0; i < SKT_COUNT(unknown); i++) {
        const skua_loop o = { .schedule = (skua_schedule)unknown[i] };
        assert_status(skua_for(ex, 0, 10, mark, &c, &o), SKUA_INVALID);
        assert_true(strlen(skua_last_error()->message) > 0);
    }
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_int_equal(sk_load_rlx(&c.nr_pieces), 0);
    skua_close(ex);
}

static void a_static_loop_has_one_piece_a_worker(void **state)
{
    skua_executor *ex = skt_pool(state);
    const skua_loop o = { .schedule = SKUA_STATIC };
    assert_in_range(check_cover(ex, 0, 1009, &o), 1, skt_workers(state));
    assert_in_range(check_cover(ex, 0, 3, &o), 1, 3);
    skua_close(ex);
}

#define NR_OWNERS 1009

/* Which worker ran each index. */
struct owners {
    skua_executor *ex;
    size_t n;
    int worker[NR_OWNERS];
};

static int note_owner(size_t begin, size_t end, void *ctx)
{
    struct owners *o = ctx;
    for (size_t i = begin; i < end; i++)
        o->worker[i] = skua_worker();
    return 0;
}

static skua_status run_static(struct owners *o)
{
    for (size_t i = 0; i < NR_OWNERS; i++)
        o->worker[i] = -2;
    return skua_for(o->ex, 0, o->n, note_owner, o, &(skua_loop){ .schedule = SKUA_STATIC });
}

static bool same_owners(const struct owners *a, const struct owners *b)
{
    return memcmp(a->worker, b->worker, sizeof a->worker) == 0;
}

static void from_outside_a_static_block_has_the_same_worker_every_time(void **state)
{
    const size_t sizes[] = { 2, 64, 1000, NR_OWNERS };
    for (size_t s = 0; s < SKT_COUNT(sizes); s++) {
        struct owners first = { .ex = skt_pool(state), .n = sizes[s] }, again = first;
        assert_status(run_static(&first), SKUA_OK);
        for (size_t i = 0; i < first.n; i++)
            assert_in_range(first.worker[i], 0, skt_workers(state) - 1);
        for (int run = 0; run < 20; run++) {
            assert_status(run_static(&again), SKUA_OK);
            assert_true(same_owners(&first, &again));
        }
        skua_close(first.ex);
    }
}

/* The number of runs, out of 20, in which some block has another worker than in `arg`. */
static int compare_static_inside(void *arg, void *result)
{
    const struct owners *first = arg;
    for (int run = 0; run < 20; run++) {
        struct owners again = { .ex = first->ex, .n = first->n };
        if (run_static(&again) != SKUA_OK)
            return 1;
        *(int *)result += !same_owners(first, &again);
    }
    return 0;
}

static void from_inside_a_static_block_has_the_same_worker_as_from_outside(void **state)
{
    /* One task a pool: the worker of an earlier one might still be busy with ending it. */
    for (int i = 0; i < 5; i++) {
        struct owners first = { .ex = skt_pool(state), .n = NR_OWNERS };
        assert_status(run_static(&first), SKUA_OK);
        const skua_task task = { .fn = compare_static_inside,
                                 .arg = &first,
                                 .result_size = sizeof(int) };
        int nr_different = -1;
        skua_future *f = skua_submit_task(first.ex, &task);
        assert_status(skua_result(f, &nr_different, sizeof nr_different, SKUA_FOREVER), SKUA_OK);
        skua_release(f);
        assert_int_equal(nr_different, 0);
        skua_close(first.ex);
    }
}

static void a_static_loop_gives_each_worker_one_block_of_equal_size(void **state)
{
    const int workers = skt_workers(state);
    struct owners o = { .ex = skt_pool(state), .n = (size_t)workers * 100 };
    assert_status(run_static(&o), SKUA_OK);
    int count[8] = { 0 }, changes = 0;
    for (size_t i = 0; i < o.n; i++) {
        count[o.worker[i]]++;
        changes += i > 0 && o.worker[i] != o.worker[i - 1];
    }
    assert_int_equal(changes, workers - 1);
    for (int w = 0; w < workers; w++)
        assert_int_equal(count[w], 100);
    skua_close(o.ex);
}

static void a_static_loop_runs_though_all_workers_are_busy(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct skt_gate gate;
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, skt_workers(state));
    for (size_t k = 0; k < 3; k++)
        check_cover(ex, 0, 1009, &(skua_loop){ .schedule = schedules[k] });
    skt_gate_open(&gate);
    skua_close(ex);
    skt_gate_fini(&gate);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(every_index_runs_once_from_0),
        SKT_EACH(every_index_runs_once_from_elsewhere),
        SKT_EACH(every_index_runs_once_up_to_size_max),
        SKT_EACH(every_index_of_a_large_range_runs_once),
        SKT_EACH(a_grain_above_the_size_gives_one_piece),
        SKT_EACH(without_options_it_is_the_usual_loop),
        SKT_EACH(loops_over_nothing_call_nothing),
        SKT_TEST(what_makes_no_sense_is_refused),
        SKT_EACH(a_static_loop_has_one_piece_a_worker),
        SKT_EACH(from_outside_a_static_block_has_the_same_worker_every_time),
        SKT_EACH(from_inside_a_static_block_has_the_same_worker_as_from_outside),
        SKT_EACH(a_static_loop_gives_each_worker_one_block_of_equal_size),
        SKT_EACH(a_static_loop_runs_though_all_workers_are_busy),
    };
    return skt_main(argc, argv, "loop", tests, SKT_COUNT(tests));
}
