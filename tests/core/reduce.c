/* skua_reduce(): one answer, whoever computed the pieces. */
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/gate.h"

static const skua_schedule schedules[] = { SKUA_AUTO, SKUA_STATIC, SKUA_DYNAMIC };

static int add_indices(size_t begin, size_t end, void *ctx, void *acc)
{
    (void)ctx;
    for (size_t i = begin; i < end; i++)
        *(uint64_t *)acc += i;
    return 0;
}

static void add(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(uint64_t *)left += *(const uint64_t *)right;
}

static void the_entry_value_counts_once(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t grains[] = { 0, 1, 7, 5000 };
    for (size_t k = 0; k < 3; k++)
        for (size_t g = 0; g < SKT_COUNT(grains); g++)
            for (int reproducible = 0; reproducible < 2; reproducible++) {
                uint64_t sum = 1000000000;
                const skua_loop o = { .schedule = schedules[k],
                                      .grain = grains[g],
                                      .reproducible = reproducible != 0 };
                assert_status(
                    skua_reduce(ex, 3, 1012, add_indices, add, NULL, &sum, sizeof sum, &o),
                    SKUA_OK);
                assert_true(sum == 1000000000 + 1011 * 1012 / 2 - 3);
            }
    skua_close(ex);
}

static void over_nothing_the_accumulator_stays(void **state)
{
    skua_executor *ex = skt_pool(state);
    uint64_t sum = 77;
    assert_status(skua_reduce(ex, 5, 5, add_indices, add, NULL, &sum, sizeof sum, NULL), SKUA_OK);
    assert_status(
        skua_reduce(ex, SIZE_MAX, SIZE_MAX, add_indices, add, NULL, &sum, sizeof sum, NULL),
        SKUA_OK);
    assert_int_equal(sum, 77);
    skua_close(ex);
}

/* A string of digits: joining is not commutative, and each wrong step shows. */
struct text {
    int length;
    char digits[2044];
};

static char digit_of(size_t i)
{
    return (char)('0' + (i * 7 + i / 10) % 10);
}

static int write_digits(size_t begin, size_t end, void *ctx, void *acc)
{
    struct text *t = acc;
    (void)ctx;
    for (size_t i = begin; i < end; i++)
        t->digits[t->length++] = digit_of(i);
    return 0;
}

static void append(void *left, const void *right, void *ctx)
{
    struct text *l = left;
    const struct text *r = right;
    (void)ctx;
    memcpy(l->digits + l->length, r->digits, (size_t)r->length);
    l->length += r->length;
}

static void strings_are_joined_in_the_order_of_the_range(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t grains[] = { 0, 1, 7 };
    for (size_t k = 0; k < 3; k++)
        for (size_t g = 0; g < SKT_COUNT(grains); g++)
            for (int reproducible = 0; reproducible < 2; reproducible++) {
                struct text t = { .length = 1, .digits = "x" };
                const skua_loop o = { .schedule = schedules[k],
                                      .grain = grains[g],
                                      .reproducible = reproducible != 0 };
                assert_status(
                    skua_reduce(ex, 0, 1999, write_digits, append, NULL, &t, sizeof t, &o),
                    SKUA_OK);
                assert_int_equal(t.length, 2000);
                assert_int_equal(t.digits[0], 'x');
                for (size_t i = 0; i < 1999; i++)
                    assert_int_equal(t.digits[i + 1], digit_of(i));
            }
    skua_close(ex);
}

#define PRIME 1000000007u

struct matrix {
    uint64_t a, b, c, d;
};

static void multiply(void *left, const void *right, void *ctx)
{
    struct matrix *l = left;
    const struct matrix *r = right, m = *l;
    (void)ctx;
    l->a = (m.a * r->a + m.b * r->c) % PRIME;
    l->b = (m.a * r->b + m.b * r->d) % PRIME;
    l->c = (m.c * r->a + m.d * r->c) % PRIME;
    l->d = (m.c * r->b + m.d * r->d) % PRIME;
}

static int multiply_all(size_t begin, size_t end, void *ctx, void *acc)
{
    for (size_t i = begin; i < end; i++) {
        const struct matrix m = { i + 1, i * i % PRIME, 3, i + 5 };
        multiply(acc, &m, ctx);
    }
    return 0;
}

static const struct matrix unit = { 1, 0, 0, 1 };

static void matrices_are_multiplied_in_order_from_the_identity(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct matrix serial = { 2, 3, 5, 7 };
    multiply_all(0, 100003, NULL, &serial);
    for (size_t k = 0; k < 3; k++)
        for (int run = 0; run < 5; run++) {
            struct matrix m = { 2, 3, 5, 7 };
            const skua_loop o = { .schedule = schedules[k],
                                  .identity = &unit,
                                  .reproducible = run == 4,
                                  .grain = (size_t)run * 11 };
            assert_status(
                skua_reduce(ex, 0, 100003, multiply_all, multiply, NULL, &m, sizeof m, &o),
                SKUA_OK);
            assert_memory_equal(&m, &serial, sizeof m);
        }
    skua_close(ex);
}

static int add_floats(size_t begin, size_t end, void *ctx, void *acc)
{
    const float *x = ctx;
    float sum = *(float *)acc;
    for (size_t i = begin; i < end; i++)
        sum += x[i];
    *(float *)acc = sum;
    return 0;
}

static void join_floats(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(float *)left += *(const float *)right;
}

static void check_bits(const float *x, size_t n, size_t grain)
{
    const int workers[] = { 1, 2, 3, 8 };
    uint32_t first = 0;
    for (size_t w = 0; w < SKT_COUNT(workers); w++) {
        skua_executor *ex = skt_pool_of(workers[w]);
        for (int run = 0; run < 20; run++) {
            float sum = 0.25f;
            const skua_loop o = { .schedule = schedules[run % 3],
                                  .grain = grain,
                                  .reproducible = true };
            assert_status(skua_reduce(ex, 0, n, add_floats, join_floats, (void *)(uintptr_t)x, &sum,
                                      sizeof sum, &o),
                          SKUA_OK);
            uint32_t bits;
            memcpy(&bits, &sum, sizeof bits);
            if (w == 0 && run == 0)
                first = bits;
            if (bits != first)
                fail_msg("%d workers, run %d: %08x, first was %08x", workers[w], run, bits, first);
        }
        skua_close(ex);
    }
}

static void reproducible_sums_have_the_same_bits_for_any_number_of_workers(void **state)
{
    (void)state;
    const size_t n = (size_t)skt_rounds(10000000);
    float *x = malloc(n * sizeof *x);
    assert_non_null(x);
    uint32_t seed = 42;
    for (size_t i = 0; i < n; i++)
        x[i] = ((float)skt_random(&seed) / 4294967296.0f - 0.5f) * (i % 1000 == 0 ? 1e6f : 1.0f);
    check_bits(x, n, 0);
    check_bits(x, n / 10, 1000);
    check_bits(x, 1000, 1);
    free(x);
}

static int find_highest(size_t begin, size_t end, void *ctx, void *acc)
{
    const unsigned char *bytes = ctx;
    for (size_t i = begin; i < end; i++)
        if (bytes[i] > *(unsigned char *)acc)
            *(unsigned char *)acc = bytes[i];
    return 0;
}

static void keep_higher(void *left, const void *right, void *ctx)
{
    (void)ctx;
    if (*(const unsigned char *)right > *(unsigned char *)left)
        *(unsigned char *)left = *(const unsigned char *)right;
}

static void an_accumulator_may_be_one_byte(void **state)
{
    skua_executor *ex = skt_pool(state);
    unsigned char bytes[5000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 31 % 250);
    bytes[4321] = 254;
    unsigned char highest[3] = { 9, 3, 9 };
    const skua_loop o = { .grain = 3 };
    assert_status(
        skua_reduce(ex, 0, sizeof bytes, find_highest, keep_higher, bytes, &highest[1], 1, &o),
        SKUA_OK);
    assert_int_equal(highest[0], 9);
    assert_int_equal(highest[1], 254);
    assert_int_equal(highest[2], 9);
    skua_close(ex);
}

struct histogram {
    uint64_t bins[512];
};

static int fill_histogram(size_t begin, size_t end, void *ctx, void *acc)
{
    (void)ctx;
    for (size_t i = begin; i < end; i++)
        ((struct histogram *)acc)->bins[i * i % 512]++;
    return 0;
}

struct joiners {
    SK_ATOMIC(int) inside;
    SK_ATOMIC(int) crowded;
};

static void join_histograms(void *left, const void *right, void *ctx)
{
    struct joiners *j = ctx;
    if (sk_add_sc(&j->inside, 1) != 0)
        sk_add_sc(&j->crowded, 1);
    for (int i = 0; i < 512; i++)
        ((struct histogram *)left)->bins[i] += ((const struct histogram *)right)->bins[i];
    sk_sub_sc(&j->inside, 1);
}

static void an_accumulator_may_be_a_page_and_is_joined_by_one_thread_at_a_time(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct histogram serial = { { 0 } };
    fill_histogram(0, 50000, NULL, &serial);
    for (size_t k = 0; k < 3; k++) {
        struct histogram h = { { 0 } };
        struct joiners j = { .inside = 0 };
        const skua_loop o = { .schedule = schedules[k], .grain = 100 };
        assert_status(
            skua_reduce(ex, 0, 50000, fill_histogram, join_histograms, &j, &h, sizeof h, &o),
            SKUA_OK);
        assert_memory_equal(&h, &serial, sizeof h);
        assert_int_equal(sk_load_sc(&j.crowded), 0);
    }
    skua_close(ex);
}

static int fail_above(size_t begin, size_t end, void *ctx, void *acc)
{
    (void)acc;
    (void)begin;
    return end > *(size_t *)ctx ? skua_fail(9, "too far") : 0;
}

static void a_failing_fold_fails_the_reduction(void **state)
{
    skua_executor *ex = skt_pool(state);
    size_t limits[] = { 0, 500, 999 };
    for (size_t i = 0; i < SKT_COUNT(limits); i++)
        for (size_t k = 0; k < 3; k++) {
            uint64_t sum = 0;
            const skua_loop o = { .schedule = schedules[k], .grain = 1 };
            assert_status(
                skua_reduce(ex, 0, 1000, fail_above, add, &limits[i], &sum, sizeof sum, &o),
                SKUA_FAILED);
            assert_int_equal(skua_last_error()->code, 9);
            assert_string_equal(skua_last_error()->message, "too far");
        }
    skua_close(ex);
}

static void what_makes_no_sense_is_refused(void **state)
{
    skua_executor *ex = skt_pool(state);
    uint64_t sum = 5;
    assert_status(skua_reduce(NULL, 0, 9, add_indices, add, NULL, &sum, sizeof sum, NULL),
                  SKUA_INVALID);
    assert_status(skua_reduce(ex, 0, 9, NULL, add, NULL, &sum, sizeof sum, NULL), SKUA_INVALID);
    assert_status(skua_reduce(ex, 0, 9, add_indices, NULL, NULL, &sum, sizeof sum, NULL),
                  SKUA_INVALID);
    assert_status(skua_reduce(ex, 0, 9, add_indices, add, NULL, NULL, sizeof sum, NULL),
                  SKUA_INVALID);
    assert_status(skua_reduce(ex, 0, 9, add_indices, add, NULL, &sum, 0, NULL), SKUA_INVALID);
    assert_status(skua_reduce(ex, 9, 0, add_indices, add, NULL, &sum, sizeof sum, NULL),
                  SKUA_INVALID);
    assert_status(skua_reduce(ex, 0, 9, add_indices, add, NULL, &sum, sizeof sum,
                              &(skua_loop){ .schedule = (skua_schedule)7 }),
                  SKUA_INVALID);
    assert_int_equal(sum, 5);
    skua_close(ex);
}

static int reduce_in_task(void *arg, void *result)
{
    (void)arg;
    return skua_reduce(skua_default(), 0, 1000, add_indices, add, NULL, result, sizeof(uint64_t),
                       NULL);
}

static void reductions_run_in_tasks(void **state)
{
    skua_executor *ex = skt_pool(state);
    const skua_task task = { .fn = reduce_in_task, .result_size = sizeof(uint64_t) };
    skua_future *fs[50];
    for (int i = 0; i < 50; i++)
        fs[i] = skua_submit_task(ex, &task);
    for (int i = 0; i < 50; i++) {
        uint64_t sum = 0;
        assert_status(skua_result(fs[i], &sum, sizeof sum, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(sum, 499500);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(the_entry_value_counts_once),
        SKT_EACH(over_nothing_the_accumulator_stays),
        SKT_EACH(strings_are_joined_in_the_order_of_the_range),
        SKT_EACH(matrices_are_multiplied_in_order_from_the_identity),
        SKT_TEST(reproducible_sums_have_the_same_bits_for_any_number_of_workers),
        SKT_EACH(an_accumulator_may_be_one_byte),
        SKT_EACH(an_accumulator_may_be_a_page_and_is_joined_by_one_thread_at_a_time),
        SKT_EACH(a_failing_fold_fails_the_reduction),
        SKT_TEST(what_makes_no_sense_is_refused),
        SKT_EACH(reductions_run_in_tasks),
    };
    return skt_main(argc, argv, "reduce", tests, SKT_COUNT(tests));
}
