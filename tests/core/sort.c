/* skua_sort(): what a serial stable sort gives, for elements of any size, in any order. */
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/support/gate.h"

/* ---- elements: a key, then their index, then bytes that depend on both
 * ------------------------ */

struct shape {
    size_t size;
    size_t key_bytes; /* 2 where there is room for a whole index as well, else 1 */
};

static struct shape shape_of(size_t size)
{
    return (struct shape){ size, size >= 6 ? 2 : 1 };
}

static unsigned key_of(const unsigned char *element, struct shape shape)
{
    return shape.key_bytes == 2 ? (unsigned)element[0] << 8 | element[1] : element[0];
}

static void write_element(unsigned char *element, struct shape shape, unsigned key, size_t index)
{
    if (shape.key_bytes == 2)
        *element++ = (unsigned char)(key >> 8);
    *element++ = (unsigned char)key;
    for (size_t i = 0; i < shape.size - shape.key_bytes; i++)
        *element++ = (unsigned char)(i < 4 ? index >> 8 * i : index * 31 + i + key);
}

static int by_key(const void *a, const void *b, void *ctx)
{
    const struct shape shape = *(const struct shape *)ctx;
    const unsigned x = key_of(a, shape), y = key_of(b, shape);
    return x < y ? -3 : x > y ? 5 : 0;
}

enum pattern {
    RANDOM,
    SORTED,
    REVERSED,
    ALL_EQUAL,
    FEW_KEYS,
    ORGAN_PIPE,
    SORTED_BUT_THE_LAST,
    SAW,
    NR_PATTERNS
};

static unsigned pattern_key(enum pattern pattern, size_t i, size_t n, uint32_t *seed)
{
    const size_t steep = n > 65535 ? n / 65535 + 1 : 1;
    switch (pattern) {
    case SORTED:
        return (unsigned)(i / steep);
    case REVERSED:
        return (unsigned)((n - 1 - i) / steep);
    case ALL_EQUAL:
        return 7;
    case FEW_KEYS:
        return skt_random(seed) % 3;
    case ORGAN_PIPE:
        return (unsigned)((i < n / 2 ? i : n - 1 - i) / steep);
    case SORTED_BUT_THE_LAST:
        return i == n - 1 ? 0 : (unsigned)(i / steep);
    case SAW:
        return (unsigned)(i % 1000);
    default:
        return skt_random(seed) >> 7;
    }
}

static unsigned char *make_input(struct shape shape, size_t n, enum pattern pattern)
{
    unsigned char *x = malloc(n * shape.size + 1);
    assert_non_null(x);
    uint32_t seed = (uint32_t)n + (uint32_t)pattern * 77;
    for (size_t i = 0; i < n; i++)
        write_element(x + i * shape.size, shape, pattern_key(pattern, i, n, &seed), i);
    return x;
}

/* Sorts by counting keys, which is stable and shares nothing with what is tested. */
static unsigned char *sorted_copy(const unsigned char *x, struct shape shape, size_t n)
{
    unsigned char *out = malloc(n * shape.size + 1);
    size_t *place = calloc(65536 + 1, sizeof *place);
    assert_non_null(out);
    assert_non_null(place);
    for (size_t i = 0; i < n; i++)
        place[key_of(x + i * shape.size, shape) + 1]++;
    for (size_t key = 0; key < 65536; key++)
        place[key + 1] += place[key];
    for (size_t i = 0; i < n; i++) {
        const unsigned char *element = x + i * shape.size;
        memcpy(out + place[key_of(element, shape)]++ * shape.size, element, shape.size);
    }
    free(place);
    return out;
}

static void check_sort(skua_executor *ex, size_t size, size_t n, enum pattern pattern)
{
    struct shape shape = shape_of(size);
    unsigned char *x = make_input(shape, n, pattern);
    unsigned char *expected = sorted_copy(x, shape, n);
    assert_status(skua_sort(ex, x, n, size, by_key, &shape), SKUA_OK);
    if (memcmp(x, expected, n * size) != 0)
        fail_msg("%zu elements of %zu bytes, pattern %d: not the stable order", n, size, pattern);
    free(x);
    free(expected);
}

/* ---- order ----------------------------------------------------------------------------------- */

static void elements_of_1_to_40_bytes_come_in_the_stable_order(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (size_t size = 1; size <= 40; size++)
        for (int pattern = 0; pattern < NR_PATTERNS; pattern++) {
            check_sort(ex, size, 100 + size, pattern);
            check_sort(ex, size, (size_t)skt_rounds(5000) + size, pattern);
        }
    skua_close(ex);
}

static void arrays_of_any_length_come_in_the_stable_order(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t lengths[] = { 1023, 1024, 4095, 4096, 4097, 16384, 16385, 65536, 65537, 66049 };
    for (int pattern = 0; pattern < NR_PATTERNS; pattern++) {
        for (size_t n = 0; n < 40; n++)
            check_sort(ex, 8, n, pattern);
        for (size_t i = 0; i < SKT_COUNT(lengths) / (skt_slow_factor() > 1 ? 2 : 1); i++)
            check_sort(ex, 8, lengths[i], pattern);
    }
    skua_close(ex);
}

static void long_arrays_come_in_the_stable_order(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t sizes[] = { 4, 8, 16, 24, 13 };
    for (int pattern = 0; pattern < NR_PATTERNS; pattern++)
        for (size_t i = 0; i < SKT_COUNT(sizes); i++)
            check_sort(ex, sizes[i], (size_t)skt_rounds(200000), pattern);
    skua_close(ex);
}

static void large_elements_come_in_the_stable_order(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t sizes[] = { 100, 4096, 5000 };
    for (size_t i = 0; i < SKT_COUNT(sizes); i++)
        check_sort(ex, sizes[i], (size_t)skt_rounds(5000), RANDOM);
    check_sort(ex, 5000, 2, REVERSED);
    skua_close(ex);
}

static void nothing_beside_the_array_is_touched(void **state)
{
    skua_executor *ex = skt_pool(state);
    struct shape shape = shape_of(3);
    unsigned char *x = make_input(shape, 5002, RANDOM);
    unsigned char before[3], after[3];
    memcpy(before, x, 3);
    memcpy(after, x + 5001 * 3, 3);
    assert_status(skua_sort(ex, x + 3, 5000, 3, by_key, &shape), SKUA_OK);
    assert_memory_equal(x, before, 3);
    assert_memory_equal(x + 5001 * 3, after, 3);
    free(x);
    skua_close(ex);
}

/* ---- what it costs --------------------------------------------------------------------------- */

struct counted {
    struct shape shape;
    SK_ATOMIC(size_t) compared;
};

static int by_key_counted(const void *a, const void *b, void *ctx)
{
    struct counted *c = ctx;
    sk_add_rlx(&c->compared, 1);
    return by_key(a, b, &c->shape);
}

static size_t comparisons(skua_executor *ex, size_t n, enum pattern pattern)
{
    struct counted c = { .shape = shape_of(8) };
    unsigned char *x = make_input(c.shape, n, pattern);
    assert_status(skua_sort(ex, x, n, 8, by_key_counted, &c), SKUA_OK);
    free(x);
    return sk_load_rlx(&c.compared);
}

static void a_sorted_array_takes_one_comparison_an_element(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_true(comparisons(ex, 50000, SORTED) <= 50000 + 1000);
    assert_true(comparisons(ex, 50000, ALL_EQUAL) <= 50000 + 1000);
    assert_true(comparisons(ex, 50000, REVERSED) <= 50000 + 10000); /* and finds where to cut */
    skua_close(ex);
}

static void any_array_takes_n_log_n_comparisons(void **state)
{
    skua_executor *ex = skt_pool(state);
    for (int pattern = 0; pattern < NR_PATTERNS; pattern++)
        assert_true(comparisons(ex, 65536, pattern) <= (size_t)65536 * 18);
    skua_close(ex);
}

/* ---- where it is called from ----------------------------------------------------------------- */

/* Also on workers, where cmocka's checks must not fail. */
static bool sorts_ints(skua_executor *ex, size_t n, uint32_t seed)
{
    struct shape shape = shape_of(8);
    unsigned char *x = malloc(n * 8);
    bool right = x != NULL;
    for (size_t i = 0; i < n && right; i++)
        write_element(x + i * 8, shape, skt_random(&seed) >> 9, i);
    right = right && skua_sort(ex, x, n, 8, by_key, &shape) == SKUA_OK;
    for (size_t i = 1; i < n && right; i++)
        right = by_key(x + (i - 1) * 8, x + i * 8, &shape) <= 0;
    free(x);
    return right;
}

static int sort_in_task(void *arg, void *result)
{
    (void)result;
    return !sorts_ints(arg, 9000, 5);
}

static int sort_in_body(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++)
        if (!sorts_ints(ctx, 2000 + i * 300, (uint32_t)i + 1))
            return skua_fail(1, "sort %zu", i);
    return 0;
}

static void *sort_in_thread(void *arg)
{
    return sorts_ints(arg, 20000, 3) ? NULL : arg;
}

static void sorts_run_in_tasks_and_loops_and_from_several_threads(void **state)
{
    skua_executor *ex = skt_pool(state);
    assert_status(skua_for(ex, 0, 40, sort_in_body, ex, &(skua_loop){ .grain = 1 }), SKUA_OK);
    skua_future *fs[20];
    pthread_t outside[3];
    for (int i = 0; i < 3; i++)
        outside[i] = skt_thread(sort_in_thread, ex);
    for (int i = 0; i < 20; i++)
        fs[i] = skua_submit(ex, sort_in_task, ex);
    for (int i = 0; i < 20; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(fs[i]);
    }
    for (int i = 0; i < 3; i++) {
        void *wrong;
        assert_int_equal(pthread_join(outside[i], &wrong), 0);
        assert_null(wrong);
    }
    skua_close(ex);
}

static int touch(size_t begin, size_t end, void *ctx)
{
    sk_add_rlx((SK_ATOMIC(size_t) *)ctx, end - begin);
    return 0;
}

struct looping {
    struct shape shape;
    skua_executor *ex;
};

static int by_key_with_a_loop(const void *a, const void *b, void *ctx)
{
    struct looping *l = ctx;
    SK_ATOMIC(size_t) count;
    sk_init(&count, 0);
    const skua_status status = skua_for(l->ex, 0, 10, touch, &count, &(skua_loop){ .grain = 1 });
    if (status != SKUA_OK || sk_load_rlx(&count) != 10)
        skua_fail(1, "the loop in the comparison");
    return by_key(a, b, &l->shape);
}

static void a_comparison_may_run_a_loop(void **state)
{
    struct looping l = { shape_of(8), skt_pool(state) };
    unsigned char *x = make_input(l.shape, 4096, SAW);
    assert_status(skua_sort(l.ex, x, (size_t)skt_rounds(4096), 8, by_key_with_a_loop, &l), SKUA_OK);
    free(x);
    skua_close(l.ex);
}

/* ---- alignment ------------------------------------------------------------------------------- */

struct wide {
    _Alignas(64) uint32_t key;
    uint32_t index;
};

static int by_wide_key(const void *a, const void *b, void *ctx)
{
    const struct wide *x = a, *y = b;
    if (((uintptr_t)a | (uintptr_t)b) % _Alignof(struct wide) != 0)
        sk_add_rlx((SK_ATOMIC(int) *)ctx, 1);
    return (x->key > y->key) - (x->key < y->key);
}

static void comparisons_see_elements_as_aligned_as_in_the_array(void **state)
{
    skua_executor *ex = skt_pool(state);
    const size_t lengths[] = { 2, 10, 63, 64, 5000 };
    for (size_t k = 0; k < SKT_COUNT(lengths); k++) {
        SK_ATOMIC(int) askew;
        sk_init(&askew, 0);
        const size_t n = lengths[k];
        struct wide *x = sk_alloc_lines(n * sizeof *x);
        assert_non_null(x);
        uint32_t seed = 9;
        for (uint32_t i = 0; i < n; i++)
            x[i] = (struct wide){ .key = skt_random(&seed) % 100, .index = i };
        assert_status(skua_sort(ex, x, n, sizeof *x, by_wide_key, &askew), SKUA_OK);
        assert_int_equal(sk_load_rlx(&askew), 0);
        for (size_t i = 1; i < n; i++)
            assert_true(x[i - 1].key < x[i].key ||
                        (x[i - 1].key == x[i].key && x[i - 1].index < x[i].index));
        sk_free(x);
    }
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(elements_of_1_to_40_bytes_come_in_the_stable_order),
        SKT_EACH(arrays_of_any_length_come_in_the_stable_order),
        SKT_EACH(long_arrays_come_in_the_stable_order),
        SKT_EACH(large_elements_come_in_the_stable_order),
        SKT_EACH(nothing_beside_the_array_is_touched),
        SKT_EACH(a_sorted_array_takes_one_comparison_an_element),
        SKT_EACH(any_array_takes_n_log_n_comparisons),
        SKT_EACH(sorts_run_in_tasks_and_loops_and_from_several_threads),
        SKT_EACH(a_comparison_may_run_a_loop),
        SKT_EACH(comparisons_see_elements_as_aligned_as_in_the_array),
    };
    return skt_main(argc, argv, "sort", tests, SKT_COUNT(tests));
}
