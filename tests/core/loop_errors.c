/* A loop whose body fails: what is told, and what no longer begins. */
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/gate.h"

static const skua_schedule schedules[] = { SKUA_AUTO, SKUA_STATIC, SKUA_DYNAMIC };

/* Lives on the heap, so that a piece that begins too late can still be counted. */
struct watch {
    size_t fail_from; /* pieces that hold an index at or above it fail */
    SK_ATOMIC(size_t) lowest_failure;
    SK_ATOMIC(int) running;
    SK_ATOMIC(int) late;
    SK_ATOMIC(bool) over;
};

static struct watch *watch_open(size_t fail_from)
{
    struct watch *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->fail_from = fail_from;
    sk_store_rlx(&w->lowest_failure, SIZE_MAX);
    return w;
}

static int watched(size_t begin, size_t end, void *ctx)
{
    struct watch *w = ctx;
    sk_add_sc(&w->running, 1);
    if (sk_load_sc(&w->over))
        sk_add_sc(&w->late, 1);
    int rc = 0;
    if (end > w->fail_from) {
        size_t lowest = sk_load_sc(&w->lowest_failure);
        while (begin < lowest && !sk_cas_sc(&w->lowest_failure, &lowest, begin))
            continue;
        rc = skua_fail(17, "piece %zu", begin);
    }
    sk_sub_sc(&w->running, 1);
    return rc;
}

/* Runs one failing loop and checks all that is promised about it. */
static void check_failure(skua_executor *ex, size_t end, struct watch *w, const skua_loop *o)
{
    assert_status(skua_for(ex, 0, end, watched, w, o), SKUA_FAILED);
    assert_int_equal(sk_load_sc(&w->running), 0);
    sk_store_sc(&w->over, true);
    const skua_error *e = skua_last_error();
    assert_status(e->status, SKUA_FAILED);
    assert_int_equal(e->code, 17);
    assert_non_null(strstr(e->where, "loop_errors.c:"));
    assert_memory_equal(e->message, "piece ", 6);
    assert_int_equal(strtoull(e->message + 6, NULL, 10), sk_load_sc(&w->lowest_failure));
}

static void the_words_are_those_of_the_lowest_failing_piece(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int round = 0; round < skt_rounds(100); round++)
        for (size_t k = 0; k < 3; k++) {
            struct watch *w = watch_open((size_t)round * 10);
            const skua_loop o = { .schedule = schedules[k], .grain = (size_t)round % 5 };
            check_failure(ex, 1009, w, &o);
            assert_int_equal(sk_load_sc(&w->late), 0);
            free(w);
        }
    skua_close(ex);
}

static void no_piece_begins_after_the_return(void **state)
{
    enum {
        ROUNDS = 50
    };
    skua_executor *ex = skt_pool(state);
    struct watch *w[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        w[i] = watch_open((size_t)i * 100);
        const skua_loop o = { .schedule = schedules[i % 3], .grain = 1 };
        check_failure(ex, 10007, w[i], &o);
    }
    skua_close(ex);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(sk_load_sc(&w[i]->late), 0);
        free(w[i]);
    }
}

static void an_endless_loop_ends_at_its_first_failure(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t grains[] = { 0, 1, 1000 };
    for (size_t g = 0; g < SKT_COUNT(grains); g++)
        for (size_t k = 0; k < 3; k++) {
            struct watch *w = watch_open(0);
            const skua_loop o = { .schedule = schedules[k], .grain = grains[g] };
            check_failure(ex, SIZE_MAX, w, &o);
            free(w);
        }
    skua_close(ex);
}

struct one_failure {
    size_t where;
    SK_ATOMIC(size_t) nr_pieces;
};

static int fail_at_one_index(size_t begin, size_t end, void *ctx)
{
    struct one_failure *f = ctx;
    sk_add_rlx(&f->nr_pieces, 1);
    return begin <= f->where && f->where < end ? skua_fail(3, "there") : 0;
}

static void one_failing_piece_stops_all_workers(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (size_t k = 0; k < 3; k += 2) {
        /* Whoever has the first block meets the failure; the others would need years. */
        struct one_failure f = { .where = 1000 };
        const skua_loop o = { .schedule = schedules[k], .grain = 1 };
        assert_status(skua_for(ex, 0, SIZE_MAX, fail_at_one_index, &f, &o), SKUA_FAILED);
        assert_string_equal(skua_last_error()->message, "there");
    }
    skua_close(ex);
}

static int fail_without_words(size_t begin, size_t end, void *ctx)
{
    (void)begin;
    (void)end;
    return *(int *)ctx;
}

static void whatever_number_a_body_returns_the_loop_has_failed(void **state)
{
    skua_executor *ex = skt_pool(state);
    int codes[] = { 1, -1, SKUA_TIMEOUT, SKUA_CANCELLED, SKUA_SHUTDOWN };
    for (size_t i = 0; i < SKT_COUNT(codes); i++) {
        assert_status(skua_for(ex, 0, 100, fail_without_words, &codes[i], NULL), SKUA_FAILED);
        assert_status(skua_last_error()->status, SKUA_FAILED);
        assert_int_equal(skua_last_error()->code, codes[i]);
    }
    skua_close(ex);
}

static int words_but_no_failure(size_t begin, size_t end, void *ctx)
{
    (void)begin;
    (void)end;
    (void)ctx;
    skua_fail(5, "never mind");
    return 0;
}

static void words_of_pieces_that_returned_0_are_dropped(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_for(ex, 0, 100, words_but_no_failure, NULL, NULL), SKUA_OK);
    int code = 6;
    assert_status(skua_for(ex, 0, 100, fail_without_words, &code, NULL), SKUA_FAILED);
    assert_int_equal(skua_last_error()->code, 6);
    assert_null(strstr(skua_last_error()->message, "never mind"));
    skua_close(ex);
}

static void a_failed_loop_harms_no_later_one(void **state)
{
    skua_executor *ex = skt_pool(state);
    int good = 0, bad = 4;
    for (int i = 0; i < skt_rounds(200); i++) {
        assert_status(skua_for(ex, 0, 500, fail_without_words, &bad, NULL), SKUA_FAILED);
        assert_status(skua_for(ex, 0, 500, fail_without_words, &good, NULL), SKUA_OK);
    }
    skua_close(ex);
}

static int loop_in_task(void *arg, void *result)
{
    int code = 8;
    (void)arg;
    (void)result;
    if (skua_for(skua_default(), 0, 100, fail_without_words, &code, NULL) != SKUA_FAILED)
        return 1;
    return skua_last_error()->code == 8 ? 0 : 2;
}

static void a_loop_that_fails_in_a_task_does_not_fail_the_task(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_future *f = skua_submit(ex, loop_in_task, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_close(ex);
}

static int fail_inner(size_t begin, size_t end, void *ctx)
{
    (void)end;
    (void)ctx;
    return begin == 0 ? skua_fail(21, "inner words") : 0;
}

static int outer_body(size_t begin, size_t end, void *ctx)
{
    (void)begin;
    (void)end;
    if (skua_for(ctx, 0, 50, fail_inner, NULL, NULL) == SKUA_OK)
        return 0;
    return skua_fail(skua_last_error()->code, "outer of %s", skua_last_error()->message);
}

static void an_inner_failure_can_be_passed_on(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_for(ex, 0, 20, outer_body, ex, NULL), SKUA_FAILED);
    assert_int_equal(skua_last_error()->code, 21);
    assert_string_equal(skua_last_error()->message, "outer of inner words");
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(the_words_are_those_of_the_lowest_failing_piece),
        SKT_EACH(no_piece_begins_after_the_return),
        SKT_EACH(an_endless_loop_ends_at_its_first_failure),
        SKT_EACH(one_failing_piece_stops_all_workers),
        SKT_EACH(whatever_number_a_body_returns_the_loop_has_failed),
        SKT_EACH(words_of_pieces_that_returned_0_are_dropped),
        SKT_EACH(a_failed_loop_harms_no_later_one),
        SKT_EACH(a_loop_that_fails_in_a_task_does_not_fail_the_task),
        SKT_EACH(an_inner_failure_can_be_passed_on),
    };
    return skt_main(argc, argv, "loop_errors", tests, SKT_COUNT(tests));
}
