/* What goes wrong in a scan: passes that fail, in the first sight of a piece and in the last,
 * arguments that make no sense, and a pool that is shut down meanwhile. */
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"

static const skua_schedule schedules[] = { SKUA_AUTO, SKUA_STATIC, SKUA_DYNAMIC };

/* Lives on the heap, so that a piece that begins too late can still be counted. */
struct watch {
    size_t fail_from; /* pieces that hold an index at or above it fail, */
    bool first_sight; /* when seen with last false, */
    bool last_sight;  /* or with last true */
    SK_ATOMIC(size_t) lowest_failure;
    SK_ATOMIC(int) running;
    SK_ATOMIC(int) late;
    SK_ATOMIC(bool) over;
};

static int watched(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    struct watch *w = ctx;
    sk_add_sc(&w->running, 1);
    if (sk_load_sc(&w->over))
        sk_add_sc(&w->late, 1);
    int rc = 0;
    if (end > w->fail_from && (last ? w->last_sight : w->first_sight)) {
        size_t lowest = sk_load_sc(&w->lowest_failure);
        while (begin < lowest && !sk_cas_sc(&w->lowest_failure, &lowest, begin))
            continue;
        rc = skua_fail(17, "piece %zu", begin);
    }
    *(size_t *)acc += end - begin;
    sk_sub_sc(&w->running, 1);
    return rc;
}

static void join(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(size_t *)left += *(const size_t *)right;
}

static void check_failure(skua_executor *ex, struct watch *w, const skua_loop *o)
{
    size_t acc = 88;
    sk_store_rlx(&w->lowest_failure, SIZE_MAX);
    assert_status(skua_scan(ex, 0, 1009, watched, join, w, &acc, sizeof acc, o), SKUA_FAILED);
    assert_int_equal(sk_load_sc(&w->running), 0);
    sk_store_sc(&w->over, true);
    assert_int_equal(acc, 88);
    const skua_error *e = skua_last_error();
    assert_status(e->status, SKUA_FAILED);
    assert_int_equal(e->code, 17);
    assert_non_null(strstr(e->where, "scan_errors.c:"));
    assert_memory_equal(e->message, "piece ", 6);
    assert_int_equal(strtoull(e->message + 6, NULL, 10), sk_load_sc(&w->lowest_failure));
}

static void the_words_are_those_of_the_lowest_failing_piece_and_acc_stays(void **state)
{
    enum {
        ROUNDS = 60
    };
    skua_executor *ex = skt_pool(state);
    struct watch *w[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        w[i] = calloc(1, sizeof *w[i]);
        assert_non_null(w[i]);
        w[i]->fail_from = (size_t)i * 16;
        w[i]->last_sight = true;
        w[i]->first_sight = i % 2 != 0;
        const skua_loop o = { .schedule = schedules[i % 3],
                              .grain = (size_t)i % 5,
                              .reproducible = i % 4 >= 2 };
        check_failure(ex, w[i], &o);
    }
    skua_close(ex);
    for (int i = 0; i < ROUNDS; i++) {
        assert_int_equal(sk_load_sc(&w[i]->late), 0);
        free(w[i]);
    }
}

/* Reproducible: all pieces but the first are seen twice, so the first sight can fail alone. */
static void a_failure_in_the_first_sight_fails_the_scan(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (size_t k = 0; k < 3; k++) {
        struct watch *w = calloc(1, sizeof *w);
        assert_non_null(w);
        w->fail_from = 500;
        w->first_sight = true;
        check_failure(ex, w, &(skua_loop){ .schedule = schedules[k], .reproducible = true });
        free(w);
    }
    skua_close(ex);
}

static void a_failed_scan_harms_no_later_one(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(100); i++) {
        struct watch bad = { .fail_from = 600, .last_sight = true }, good = { .fail_from = 0 };
        check_failure(ex, &bad, NULL);
        size_t acc = 1;
        assert_status(skua_scan(ex, 0, 1009, watched, join, &good, &acc, sizeof acc, NULL),
                      SKUA_OK);
        assert_int_equal(acc, 1010);
    }
    skua_close(ex);
}

static void check_refused(skua_status got, const char *words)
{
    assert_status(got, SKUA_INVALID);
    if (strstr(skua_last_error()->message, words) == NULL)
        fail_msg("'%s' does not say '%s'", skua_last_error()->message, words);
}

static void what_makes_no_sense_is_refused_by_name(void **state)
{
    skua_executor *ex = skt_pool(state);
    size_t acc = 5;
    const size_t size = sizeof acc;
    const skua_loop bad = { .schedule = (skua_schedule)7 };
    struct watch w = { .fail_from = 0 };
    check_refused(skua_scan(NULL, 0, 9, watched, join, &w, &acc, size, NULL), "executor is NULL");
    check_refused(skua_scan(ex, 0, 9, NULL, join, &w, &acc, size, NULL), "pass is NULL");
    check_refused(skua_scan(ex, 0, 9, watched, NULL, &w, &acc, size, NULL), "join is NULL");
    check_refused(skua_scan(ex, 0, 9, watched, join, &w, NULL, size, NULL), "acc is NULL");
    check_refused(skua_scan(ex, 0, 9, watched, join, &w, &acc, 0, NULL), "acc_size 0");
    check_refused(skua_scan(ex, 9, 0, watched, join, &w, &acc, size, NULL), "begin is 9");
    check_refused(skua_scan(ex, 0, 9, watched, join, &w, &acc, size, &bad), "schedule is 7");
    assert_int_equal(acc, 5);
    skua_close(ex);
}

static void accumulators_larger_than_memory_are_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct watch w = { .fail_from = 0 };
    size_t acc = 5;
    const size_t sizes[] = { SIZE_MAX, SIZE_MAX / 2, SIZE_MAX / 16 };
    for (size_t i = 0; i < SKT_COUNT(sizes); i++)
        assert_status(skua_scan(ex, 0, 1000, watched, join, &w, &acc, sizes[i], NULL),
                      SKUA_NO_MEMORY);
    assert_int_equal(acc, 5);
    skua_close(ex);
}

static int shut_down_meanwhile(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    (void)last;
    skua_shutdown(ctx, 0, 0);
    *(size_t *)acc += end - begin;
    return 0;
}

static void a_scan_that_has_begun_ends_though_its_pool_is_shut_down(void **state)
{
    for (size_t k = 0; k < 6; k++) {
        skua_executor *ex = skt_pool(state);
        size_t acc = 0;
        const skua_loop o = { .schedule = schedules[k % 3], .reproducible = k < 3 };
        assert_status(skua_scan(ex, 0, 2000, shut_down_meanwhile, join, ex, &acc, sizeof acc, &o),
                      SKUA_OK);
        assert_int_equal(acc, 2000);
        assert_status(skua_scan(ex, 0, 2000, shut_down_meanwhile, join, ex, &acc, sizeof acc, &o),
                      SKUA_SHUTDOWN);
        assert_int_equal(acc, 2000);
        skua_close(ex);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(the_words_are_those_of_the_lowest_failing_piece_and_acc_stays),
        SKT_EACH(a_failure_in_the_first_sight_fails_the_scan),
        SKT_EACH(a_failed_scan_harms_no_later_one),
        SKT_TEST(what_makes_no_sense_is_refused_by_name),
        SKT_EACH(accumulators_larger_than_memory_are_refused),
        SKT_EACH(a_scan_that_has_begun_ends_though_its_pool_is_shut_down),
    };
    return skt_main(argc, argv, "scan_errors", tests, SKT_COUNT(tests));
}
