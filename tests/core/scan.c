/* skua_scan(): every prefix as the serial loop would have it, whoever saw the pieces, and how
 * often. */
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/gate.h"

static const skua_schedule schedules[] = { SKUA_AUTO, SKUA_STATIC, SKUA_DYNAMIC };

/* Prefix sums of value_of(i), with a note of how often each index was seen. */
enum {
    MAX_INDICES = 30000
};

struct sums {
    size_t begin;
    bool exclusive;
    SK_ATOMIC(size_t) nr_folded; /* pieces seen with last false */
    uint64_t out[MAX_INDICES];
    unsigned char folded[MAX_INDICES], done[MAX_INDICES];
};

static uint64_t value_of(size_t i)
{
    return (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15) >> 7;
}

static int sum_pass(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    struct sums *s = ctx;
    uint64_t sum = *(uint64_t *)acc;
    for (size_t i = begin; i < end; i++) {
        const size_t k = i - s->begin;
        (last ? s->done : s->folded)[k]++;
        if (last && s->exclusive)
            s->out[k] = sum;
        sum += value_of(i);
        if (last && !s->exclusive)
            s->out[k] = sum;
    }
    *(uint64_t *)acc = sum;
    if (!last)
        sk_add_rlx(&s->nr_folded, 1);
    return 0;
}

static void add(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(uint64_t *)left += *(const uint64_t *)right;
}

static struct sums *sums_open(size_t begin, bool exclusive)
{
    struct sums *s = calloc(1, sizeof *s);
    assert_non_null(s);
    s->begin = begin;
    s->exclusive = exclusive;
    return s;
}

/* Also on workers, where cmocka's checks must not fail. */
static bool sums_are_right(const struct sums *s, size_t n, uint64_t start, uint64_t total)
{
    uint64_t sum = start;
    for (size_t k = 0; k < n; k++) {
        const uint64_t before = sum;
        sum += value_of(s->begin + k);
        if (s->out[k] != (s->exclusive ? before : sum) || s->done[k] != 1 || s->folded[k] > 1) {
            print_error("index %zu of %zu: done %d times, folded %d times\n", k, n, s->done[k],
                        s->folded[k]);
            return false;
        }
    }
    return total == sum;
}

static bool run_sums(skua_executor *ex, size_t begin, size_t n, bool exclusive, const skua_loop *o)
{
    struct sums *s = sums_open(begin, exclusive);
    uint64_t acc = 1000;
    const bool right =
        skua_scan(ex, begin, begin + n, sum_pass, add, s, &acc, sizeof acc, o) == SKUA_OK &&
        sums_are_right(s, n, 1000, acc);
    free(s);
    return right;
}

static void inclusive_and_exclusive_scans_equal_the_serial_ones(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t sizes[] = { 1, 2, 3, 63, 64, 1009, MAX_INDICES };
    const size_t grains[] = { 0, 1, 7, 2000, SIZE_MAX };
    for (size_t n = 0; n < SKT_COUNT(sizes); n++)
        for (size_t g = 0; g < SKT_COUNT(grains); g++)
            for (size_t k = 0; k < 12; k++) {
                const skua_loop o = { .schedule = schedules[k % 3],
                                      .grain = grains[g],
                                      .reproducible = k % 2 != 0 };
                assert_true(run_sums(ex, 0, sizes[n], k < 6, &o));
                assert_true(run_sums(ex, 12345, sizes[n], k < 6, &o));
                assert_true(run_sums(ex, SIZE_MAX - sizes[n], sizes[n], k < 6, &o));
            }
    assert_true(run_sums(ex, 3, 5000, false, NULL));
    skua_close(ex);
}

/* The first piece is not done before another was folded: that one is seen twice. */
struct held_up {
    struct sums *sums;
    struct skt_latch folded;
};

static int pass_slow_at_first(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    struct held_up *h = ctx;
    if (begin == 0)
        skt_latch_wait(&h->folded, 1);
    const int rc = sum_pass(begin, end, h->sums, acc, last);
    if (!last)
        skt_latch_raise(&h->folded);
    return rc;
}

static void scans_equal_the_serial_ones_also_when_a_piece_is_seen_twice(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (size_t k = 0; k < 6; k++) {
        struct held_up h = { .sums = sums_open(0, k < 3) };
        skt_latch_init(&h.folded);
        uint64_t acc = 5;
        const skua_loop o = { .schedule = schedules[k % 3], .grain = k % 2 };
        assert_status(skua_scan(ex, 0, 9000, pass_slow_at_first, add, &h, &acc, sizeof acc, &o),
                      SKUA_OK);
        assert_true(sums_are_right(h.sums, 9000, 5, acc));
        assert_true(sk_load_rlx(&h.sums->nr_folded) > 0);
        skt_latch_fini(&h.folded);
        free(h.sums);
    }
    skua_close(ex);
}

static void one_worker_sees_each_index_once(void **state)
{
    (void)state;
    skua_executor *ex = skt_pool_of(1);
    for (size_t k = 0; k < 3; k++) {
        struct sums *s = sums_open(0, false);
        uint64_t acc = 0;
        const skua_loop o = { .schedule = schedules[k] };
        assert_status(skua_scan(ex, 0, 9000, sum_pass, add, s, &acc, sizeof acc, &o), SKUA_OK);
        assert_true(sums_are_right(s, 9000, 0, acc));
        assert_int_equal(sk_load_rlx(&s->nr_folded), 0);
        free(s);
    }
    skua_close(ex);
}

static void over_nothing_the_accumulator_stays(void **state)
{
    skua_executor *ex = skt_pool(state);
    uint64_t acc = 77;
    assert_status(skua_scan(ex, 5, 5, sum_pass, add, NULL, &acc, sizeof acc, NULL), SKUA_OK);
    assert_status(skua_scan(ex, SIZE_MAX, SIZE_MAX, sum_pass, add, NULL, &acc, sizeof acc, NULL),
                  SKUA_OK);
    assert_int_equal(acc, 77);
    skua_close(ex);
}

/* Counts indices without looking at each. */
static int count_pass(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    if (last)
        sk_add_rlx((SK_ATOMIC(size_t) *)ctx, end - begin);
    *(size_t *)acc += end - begin;
    return 0;
}

static void join_counts(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(size_t *)left += *(const size_t *)right;
}

static void the_range_may_be_all_there_is(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t grains[] = { 0, 1, SIZE_MAX / 3, SIZE_MAX };
    for (size_t g = 0; g < SKT_COUNT(grains); g++)
        for (size_t k = 0; k < 6; k++) {
            SK_ATOMIC(size_t) done;
            sk_init(&done, 0);
            size_t acc = 0;
            const skua_loop o = { .schedule = schedules[k % 3],
                                  .grain = grains[g],
                                  .reproducible = k < 3 };
            assert_status(
                skua_scan(ex, 0, SIZE_MAX, count_pass, join_counts, &done, &acc, sizeof acc, &o),
                SKUA_OK);
            assert_true(acc == SIZE_MAX);
            assert_true(sk_load_rlx(&done) == SIZE_MAX);
        }
    skua_close(ex);
}

/* A string of digits: joining is not commutative, and each wrong step shows. */
struct text {
    int length;
    char digits[1020];
};

static char digit_of(size_t i)
{
    return (char)('0' + (i * 7 + i / 10) % 10);
}

/* Checks at each index that the accumulator is the text of all before it, with an x in front. */
static int text_pass(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    struct text *t = acc;
    for (size_t i = begin; i < end; i++) {
        if (last) {
            bool right = t->length == (int)i + 1 && t->digits[0] == 'x';
            for (size_t k = 0; k < i && right; k++)
                right = t->digits[k + 1] == digit_of(k);
            ((bool *)ctx)[i] = right;
        }
        t->digits[t->length++] = digit_of(i);
    }
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
    for (size_t k = 0; k < 3; k++)
        for (size_t grain = 0; grain < 30; grain += 7)
            for (int reproducible = 0; reproducible < 2; reproducible++) {
                struct text t = { .length = 1, .digits = "x" };
                bool right[999] = { false };
                const skua_loop o = { .schedule = schedules[k],
                                      .grain = grain,
                                      .reproducible = reproducible != 0 };
                assert_status(skua_scan(ex, 0, 999, text_pass, append, right, &t, sizeof t, &o),
                              SKUA_OK);
                assert_int_equal(t.length, 1000);
                for (size_t i = 0; i < 999; i++) {
                    assert_true(right[i]);
                    assert_int_equal(t.digits[i + 1], digit_of(i));
                }
            }
    skua_close(ex);
}

#define PRIME       1000000007u
#define NR_MATRICES 20011

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

static int matrix_pass(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    struct matrix *out = ctx;
    for (size_t i = begin; i < end; i++) {
        const struct matrix m = { i + 1, i * i % PRIME, 3, i + 5 };
        multiply(acc, &m, NULL);
        if (last)
            out[i] = *(struct matrix *)acc;
    }
    return 0;
}

static const struct matrix unit = { 1, 0, 0, 1 };

static void matrices_are_multiplied_in_order_from_the_identity(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct matrix *serial = calloc(NR_MATRICES, sizeof *serial);
    struct matrix *out = calloc(NR_MATRICES, sizeof *out);
    assert_non_null(serial);
    assert_non_null(out);
    struct matrix total = { 2, 3, 5, 7 };
    matrix_pass(0, NR_MATRICES, serial, &total, true);
    for (size_t k = 0; k < 3; k++)
        for (int run = 0; run < 5; run++) {
            struct matrix m = { 2, 3, 5, 7 };
            const skua_loop o = { .schedule = schedules[k],
                                  .identity = &unit,
                                  .reproducible = run == 4,
                                  .grain = (size_t)run * 11 };
            memset(out, 0, NR_MATRICES * sizeof *out);
            assert_status(
                skua_scan(ex, 0, NR_MATRICES, matrix_pass, multiply, out, &m, sizeof m, &o),
                SKUA_OK);
            assert_memory_equal(&m, &total, sizeof m);
            assert_memory_equal(out, serial, NR_MATRICES * sizeof *out);
        }
    free(serial);
    free(out);
    skua_close(ex);
}

struct floats {
    size_t n;
    float *in, *out, *first;
};

static int float_pass(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    const struct floats *f = ctx;
    float sum = *(float *)acc;
    for (size_t i = begin; i < end; i++) {
        sum += f->in[i];
        if (last)
            f->out[i] = sum;
    }
    *(float *)acc = sum;
    return 0;
}

static void join_floats(void *left, const void *right, void *ctx)
{
    (void)ctx;
    *(float *)left += *(const float *)right;
}

static void check_bits(struct floats *f, size_t grain)
{
    const int workers[] = { 1, 2, 3, 8 };
    float first = 0;
    for (size_t w = 0; w < SKT_COUNT(workers); w++) {
        skua_executor *ex = skt_pool_of(workers[w]);
        for (int run = 0; run < 6; run++) {
            const bool reference = w == 0 && run == 0;
            float acc = 0.25f;
            const skua_loop o = { .schedule = schedules[run % 3],
                                  .grain = grain,
                                  .reproducible = true };
            memset(f->out, 0, f->n * sizeof *f->out);
            assert_status(skua_scan(ex, 0, f->n, float_pass, join_floats, f, &acc, sizeof acc, &o),
                          SKUA_OK);
            if (reference) {
                first = acc;
                memcpy(f->first, f->out, f->n * sizeof *f->out);
            }
            if (memcmp(f->out, f->first, f->n * sizeof *f->out) != 0 ||
                memcmp(&acc, &first, sizeof acc) != 0)
                fail_msg("%d workers, run %d: other bits than with 1 worker", workers[w], run);
        }
        skua_close(ex);
    }
}

static void reproducible_scans_have_the_same_bits_for_any_number_of_workers(void **state)
{
    (void)state;
    const size_t n = (size_t)skt_rounds(1000003);
    struct floats f = { n, malloc(n * sizeof(float)), malloc(n * sizeof(float)),
                        malloc(n * sizeof(float)) };
    assert_true(f.in != NULL && f.out != NULL && f.first != NULL);
    uint32_t seed = 42;
    for (size_t i = 0; i < n; i++)
        f.in[i] = ((float)skt_random(&seed) / 4294967296.0f - 0.5f) * (i % 1000 == 0 ? 1e6f : 1.0f);
    check_bits(&f, 0);
    f.n = n / 10;
    check_bits(&f, 1000);
    f.n = 1000;
    check_bits(&f, 1);
    free(f.in);
    free(f.out);
    free(f.first);
}

static int highest_pass(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    unsigned char *bytes = ctx, highest = *(unsigned char *)acc;
    for (size_t i = begin; i < end; i++) {
        if (bytes[i] > highest)
            highest = bytes[i];
        if (last)
            bytes[i] = highest;
    }
    *(unsigned char *)acc = highest;
    return 0;
}

static void keep_higher(void *left, const void *right, void *ctx)
{
    (void)ctx;
    if (*(const unsigned char *)right > *(unsigned char *)left)
        *(unsigned char *)left = *(const unsigned char *)right;
}

static void a_scan_may_be_in_place_and_its_accumulator_one_byte(void **state)
{
    skua_executor *ex = skt_pool(state);
    unsigned char bytes[5000], serial[5000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = serial[i] = (unsigned char)(i * i / 100000 + i % 7);
    unsigned char highest[3] = { 9, 3, 9 }, expected = 3;
    highest_pass(0, sizeof serial, serial, &expected, true);
    assert_status(skua_scan(ex, 0, sizeof bytes, highest_pass, keep_higher, bytes, &highest[1], 1,
                            &(skua_loop){ .grain = 3 }),
                  SKUA_OK);
    assert_memory_equal(bytes, serial, sizeof bytes);
    assert_int_equal(highest[0], 9);
    assert_int_equal(highest[1], expected);
    assert_int_equal(highest[2], 9);
    skua_close(ex);
}

struct page {
    uint64_t bins[512];
};

struct joiners {
    SK_ATOMIC(int) inside, crowded;
};

static int page_pass(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    (void)ctx;
    (void)last;
    for (size_t i = begin; i < end; i++)
        ((struct page *)acc)->bins[i * i % 512]++;
    return 0;
}

static void join_pages(void *left, const void *right, void *ctx)
{
    struct joiners *j = ctx;
    if (sk_add_sc(&j->inside, 1) != 0)
        sk_add_sc(&j->crowded, 1);
    for (int i = 0; i < 512; i++)
        ((struct page *)left)->bins[i] += ((const struct page *)right)->bins[i];
    sk_sub_sc(&j->inside, 1);
}

static void an_accumulator_may_be_a_page_and_is_joined_by_one_thread_at_a_time(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct page serial = { { 0 } };
    page_pass(0, 50000, NULL, &serial, true);
    for (size_t k = 0; k < 6; k++) {
        struct page p = { { 0 } };
        struct joiners j = { .inside = 0 };
        const skua_loop o = { .schedule = schedules[k % 3], .grain = 100, .reproducible = k < 3 };
        assert_status(skua_scan(ex, 0, 50000, page_pass, join_pages, &j, &p, sizeof p, &o),
                      SKUA_OK);
        assert_memory_equal(&p, &serial, sizeof p);
        assert_int_equal(sk_load_sc(&j.crowded), 0);
    }
    skua_close(ex);
}

static int scan_in_task(void *arg, void *result)
{
    (void)result;
    return !run_sums(arg, 3, 1000, false, &(skua_loop){ .grain = 1 });
}

static int scan_in_body(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++)
        if (!run_sums(ctx, i, 500, i % 2 == 0, &(skua_loop){ .schedule = schedules[i % 3] }))
            return skua_fail(1, "scan %zu", i);
    return 0;
}

static void scans_run_in_tasks_and_loops(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_for(ex, 0, 60, scan_in_body, ex, &(skua_loop){ .grain = 1 }), SKUA_OK);
    skua_future *fs[40];
    for (int i = 0; i < 40; i++)
        fs[i] = skua_submit(ex, scan_in_task, ex);
    for (int i = 0; i < 40; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    skua_close(ex);
}

static int nested_pass(size_t begin, size_t end, void *ctx, void *acc, bool last)
{
    (void)last;
    size_t inner = 0;
    SK_ATOMIC(size_t) done;
    sk_init(&done, 0);
    const skua_loop o = { .grain = 1 };
    if (skua_scan(ctx, begin, end, count_pass, join_counts, &done, &inner, sizeof inner, &o) !=
            SKUA_OK ||
        sk_load_rlx(&done) != end - begin)
        return skua_fail(1, "inner scan");
    *(size_t *)acc += inner;
    return 0;
}

static void a_pass_may_scan(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (size_t k = 0; k < 3; k++) {
        size_t acc = 0;
        const skua_loop o = { .schedule = schedules[k], .grain = 30 };
        assert_status(skua_scan(ex, 0, 3000, nested_pass, join_counts, ex, &acc, sizeof acc, &o),
                      SKUA_OK);
        assert_int_equal(acc, 3000);
    }
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(inclusive_and_exclusive_scans_equal_the_serial_ones),
        SKT_AT(scans_equal_the_serial_ones_also_when_a_piece_is_seen_twice, 2),
        SKT_AT(scans_equal_the_serial_ones_also_when_a_piece_is_seen_twice, 8),
        SKT_TEST(one_worker_sees_each_index_once),
        SKT_EACH(over_nothing_the_accumulator_stays),
        SKT_EACH(the_range_may_be_all_there_is),
        SKT_EACH(strings_are_joined_in_the_order_of_the_range),
        SKT_EACH(matrices_are_multiplied_in_order_from_the_identity),
        SKT_TEST(reproducible_scans_have_the_same_bits_for_any_number_of_workers),
        SKT_EACH(a_scan_may_be_in_place_and_its_accumulator_one_byte),
        SKT_EACH(an_accumulator_may_be_a_page_and_is_joined_by_one_thread_at_a_time),
        SKT_EACH(scans_run_in_tasks_and_loops),
        SKT_EACH(a_pass_may_scan),
    };
    return skt_main(argc, argv, "scan", tests, SKT_COUNT(tests));
}
