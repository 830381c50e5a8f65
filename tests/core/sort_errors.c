/* What goes wrong in a sort: comparisons that contradict themselves or fail, no memory, arguments
 * that make no sense, a pool that is shut down. The elements are all there afterwards, always. */
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/gate.h"

/* Elements that know who they are. */
struct item {
    uint32_t key;
    uint32_t index;
    uint32_t check; /* of both */
};

enum {
    MANY = 70000
};

static uint32_t check_of(uint32_t key, uint32_t index)
{
    return key * 31 + index * 17 + 5;
}

static struct item *make_items(size_t n)
{
    struct item *x = malloc(n * sizeof *x);
    assert_non_null(x);
    uint32_t seed = 11;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t key = skt_random(&seed) % 1000;
        x[i] = (struct item){ key, i, check_of(key, i) };
    }
    return x;
}

static void check_all_there(const struct item *x, size_t n)
{
    bool *seen = calloc(n, sizeof *seen);
    assert_non_null(seen);
    for (size_t i = 0; i < n; i++) {
        if (x[i].index >= n || seen[x[i].index] || x[i].check != check_of(x[i].key, x[i].index))
            fail_msg("element %zu of %zu is lost, twice there or broken", i, n);
        seen[x[i].index] = true;
    }
    free(seen);
}

static void check_sorted(const struct item *x, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (x[i - 1].key > x[i].key || (x[i - 1].key == x[i].key && x[i - 1].index > x[i].index))
            fail_msg("elements %zu and %zu of %zu are not in order", i - 1, i, n);
}

static int by_key(const void *a, const void *b, void *ctx)
{
    const struct item *x = a, *y = b;
    (void)ctx;
    return (x->key > y->key) - (x->key < y->key);
}

/* ---- comparisons that contradict themselves
 * --------------------------------------------------- */

struct mood {
    SK_ATOMIC(uint32_t) calls;
    uint32_t seed;
};

static uint32_t hash(uint32_t x)
{
    x = (x ^ x >> 16) * 0x45d9f3bu;
    x = (x ^ x >> 16) * 0x45d9f3bu;
    return x ^ x >> 16;
}

static int at_random(const void *a, const void *b, void *ctx)
{
    struct mood *mood = ctx;
    (void)a;
    (void)b;
    return (int)(hash(sk_add_rlx(&mood->calls, 1) + mood->seed) % 3) - 1;
}

static int wrong_at_times(const void *a, const void *b, void *ctx)
{
    struct mood *mood = ctx;
    const bool wrong = hash(sk_add_rlx(&mood->calls, 1) + mood->seed) % 16 == 0;
    return wrong ? by_key(b, a, NULL) : by_key(a, b, NULL);
}

static int always_after(const void *a, const void *b, void *ctx)
{
    (void)a;
    (void)b;
    (void)ctx;
    return 1;
}

static int always_before(const void *a, const void *b, void *ctx)
{
    return -always_after(a, b, ctx);
}

static int in_a_ring(const void *a, const void *b, void *ctx)
{
    const struct item *x = a, *y = b;
    (void)ctx;
    return (x->key + 3 - y->key % 3) % 3 == 1 ? 1 : -1;
}

static void comparisons_that_contradict_themselves_lose_nothing(void **state)
{
    skua_executor *ex = skt_pool(state);
    skua_compare *const all[] = { at_random, wrong_at_times, always_after, always_before,
                                  in_a_ring };
    const size_t lengths[] = { 2, 3, 9, 100, 4096, 5000, 16384, MANY };
    for (size_t c = 0; c < SKT_COUNT(all); c++)
        for (size_t k = 0; k < SKT_COUNT(lengths); k++)
            for (uint32_t round = 0; round < (uint32_t)skt_rounds(4); round++) {
                struct mood mood = { .seed = round * 1000003 };
                struct item *x = make_items(lengths[k]);
                assert_status(skua_sort(ex, x, lengths[k], sizeof *x, all[c], &mood), SKUA_OK);
                check_all_there(x, lengths[k]);
                free(x);
            }
    skua_close(ex);
}

/* ---- comparisons that fail
 * -------------------------------------------------------------------- */

struct failing {
    size_t at; /* this comparison, counted from 1, fails; 0: none */
    bool ever; /* and all later ones */
    SK_ATOMIC(size_t) calls;
};

static int fails_at(const void *a, const void *b, void *ctx)
{
    struct failing *f = ctx;
    const size_t call = 1 + sk_add_rlx(&f->calls, 1);
    if (call == f->at || (f->ever && call > f->at))
        return skua_fail(23, "keys %u and %u", ((const struct item *)a)->key,
                         ((const struct item *)b)->key);
    return by_key(a, b, NULL);
}

/* Returns how often it compared. */
static size_t sort_failing_at(skua_executor *ex, size_t n, size_t at, bool ever)
{
    struct failing f = { .at = at, .ever = ever };
    struct item *x = make_items(n);
    const skua_status status = skua_sort(ex, x, n, sizeof *x, fails_at, &f);
    check_all_there(x, n);
    if (at == 0) {
        assert_status(status, SKUA_OK);
        check_sorted(x, n);
    } else {
        assert_status(status, SKUA_FAILED);
        const skua_error *e = skua_last_error();
        assert_status(e->status, SKUA_FAILED);
        assert_int_equal(e->code, 23);
        assert_memory_equal(e->message, "keys ", 5);
        assert_non_null(strstr(e->where, "sort_errors.c:"));
    }
    free(x);
    return sk_load_rlx(&f.calls);
}

static void a_comparison_that_fails_ends_the_sort_with_its_words(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t lengths[] = { 2, 9, 200, 4096, MANY };
    for (size_t k = 0; k < SKT_COUNT(lengths); k++) {
        const size_t calls = sort_failing_at(ex, lengths[k], 0, false);
        for (size_t at = 1; at <= 3 && at <= calls; at++)
            sort_failing_at(ex, lengths[k], at, false);
        const size_t steps = (size_t)skt_rounds(100) + 10;
        for (size_t step = 1; step <= steps; step++)
            sort_failing_at(ex, lengths[k], 1 + (calls - 1) * step / steps, step % 2 != 0);
    }
    skua_close(ex);
}

static void after_a_failure_no_thread_compares_long(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t workers = (size_t)skt_workers(state);
    for (size_t at = 1; at < 200000; at += 40001) {
        const size_t calls = sort_failing_at(ex, MANY, at, true);
        assert_true(calls <= at + workers); /* each thread ends at its own first failure */
    }
    skua_close(ex);
}

static void a_failed_sort_harms_no_later_one(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int i = 0; i < skt_rounds(50); i++) {
        sort_failing_at(ex, 6000, 5000, false);
        sort_failing_at(ex, 6000, 0, false);
    }
    skua_close(ex);
}

static int fail_but_sort_first(void *arg, void *result)
{
    struct item *x = arg;
    (void)result;
    const int rc = skua_fail(4, "said before the sort");
    struct failing f = { .at = 3, .ever = true };
    if (skua_sort(skua_default(), x, 5000, sizeof *x, fails_at, &f) != SKUA_FAILED ||
        skua_sort(skua_default(), x, 5000, sizeof *x, by_key, NULL) != SKUA_OK)
        return 1;
    return rc;
}

static void the_words_of_the_task_around_a_sort_are_kept(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct item *x = make_items(5000);
    skua_future *f = skua_submit(ex, fail_but_sort_first, x);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_FAILED);
    assert_int_equal(skua_exception(f, 0)->code, 4);
    assert_string_equal(skua_exception(f, 0)->message, "said before the sort");
    skua_release(f);
    free(x);
    skua_close(ex);
}

/* ---- the rest
 * --------------------------------------------------------------------------------- */

static bool allow_nothing(size_t size)
{
    (void)size;
    return false;
}

static void without_memory_for_the_buffer_the_array_stays(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct item *x = make_items(MANY), *before = make_items(MANY);
    sk_mem_set_hook(allow_nothing);
    const skua_status status = skua_sort(ex, x, MANY, sizeof *x, by_key, NULL);
    const skua_status small = skua_sort(ex, x, 10, sizeof *x, always_before, NULL);
    sk_mem_set_hook(NULL);
    assert_status(status, SKUA_NO_MEMORY);
    assert_status(small, SKUA_OK); /* needs none */
    assert_memory_equal(x, before, MANY * sizeof *x);
    free(x);
    free(before);
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
    int x[] = { 3, 1, 2 };
    check_refused(skua_sort(NULL, x, 3, sizeof *x, by_key, NULL), "executor is NULL");
    check_refused(skua_sort(ex, NULL, 3, sizeof *x, by_key, NULL), "base is NULL, but n is 3");
    check_refused(skua_sort(ex, x, 3, 0, by_key, NULL), "size is 0");
    check_refused(skua_sort(ex, x, 3, sizeof *x, NULL, NULL), "cmp is NULL");
    check_refused(skua_sort(ex, x, SIZE_MAX, 16, by_key, NULL), "size 16");
    check_refused(skua_sort(ex, x, SIZE_MAX / 2, 4, by_key, NULL), "size 4");
    check_refused(skua_sort(ex, x, 3, SIZE_MAX, by_key, NULL), "n is 3");
    assert_status(skua_sort(ex, x, SIZE_MAX / 256, 64, by_key, NULL), SKUA_NO_MEMORY);
    assert_true(x[0] == 3 && x[1] == 1 && x[2] == 2);
    skua_close(ex);
}

static void nothing_and_a_single_element_are_sorted(void **state)
{
    skua_executor *ex = skt_pool(state);
    int x = 8;
    struct failing f = { .at = 1, .ever = true };
    assert_status(skua_sort(ex, NULL, 0, 4, fails_at, &f), SKUA_OK);
    assert_status(skua_sort(ex, &x, 0, 4, fails_at, &f), SKUA_OK);
    assert_status(skua_sort(ex, &x, 1, 4, fails_at, &f), SKUA_OK);
    assert_int_equal(x, 8);
    assert_int_equal(sk_load_rlx(&f.calls), 0);
    skua_close(ex);
}

static int shut_down_and_compare(const void *a, const void *b, void *ctx)
{
    skua_shutdown(ctx, 0, 0);
    return by_key(a, b, NULL);
}

static void a_sort_that_has_begun_ends_though_its_pool_is_shut_down(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct item *x = make_items(20000), *before = make_items(20000);
    assert_status(skua_sort(ex, x, 20000, sizeof *x, shut_down_and_compare, ex), SKUA_OK);
    check_all_there(x, 20000);
    check_sorted(x, 20000);
    assert_status(skua_sort(ex, before, 20000, sizeof *x, by_key, NULL), SKUA_SHUTDOWN);
    struct item *same = make_items(20000);
    assert_memory_equal(before, same, 20000 * sizeof *same);
    free(x);
    free(before);
    free(same);
    skua_close(ex);
}

struct late {
    struct skt_gate gate;
    struct item *x;
};

static int sort_when_let(void *arg, void *result)
{
    struct late *l = arg;
    skt_gate_task(&l->gate, result);
    return skua_sort(skua_default(), l->x, 20000, sizeof *l->x, by_key, NULL);
}

static void a_task_of_a_pool_that_was_shut_down_may_sort(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct late l = { .x = make_items(20000) };
    skt_gate_init(&l.gate);
    skua_future *f = skua_submit(ex, sort_when_let, &l);
    skt_latch_wait(&l.gate.began, 1);
    assert_status(skua_shutdown(ex, 0, 0), SKUA_OK);
    skt_gate_open(&l.gate);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    check_sorted(l.x, 20000);
    skua_release(f);
    skua_close(ex);
    skt_gate_fini(&l.gate);
    free(l.x);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(comparisons_that_contradict_themselves_lose_nothing),
        SKT_EACH(a_comparison_that_fails_ends_the_sort_with_its_words),
        SKT_EACH(after_a_failure_no_thread_compares_long),
        SKT_EACH(a_failed_sort_harms_no_later_one),
        SKT_EACH(the_words_of_the_task_around_a_sort_are_kept),
        SKT_EACH(without_memory_for_the_buffer_the_array_stays),
        SKT_EACH(what_makes_no_sense_is_refused_by_name),
        SKT_EACH(nothing_and_a_single_element_are_sorted),
        SKT_EACH(a_sort_that_has_begun_ends_though_its_pool_is_shut_down),
        SKT_EACH(a_task_of_a_pool_that_was_shut_down_may_sort),
    };
    return skt_main(argc, argv, "sort_errors", tests, SKT_COUNT(tests));
}
