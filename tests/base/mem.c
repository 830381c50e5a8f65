/* Memory: what is promised about each kind, and that the hook can make each call fail. */
#include "base/mem.h"

#include <stdint.h>
#include <string.h>

#include "base/compiler.h"
#include "tests/support/harness.h"

static size_t asked_size;
static int nr_asked;

static bool allow(size_t size)
{
    asked_size = size;
    nr_asked++;
    return true;
}

static bool refuse(size_t size)
{
    allow(size);
    return false;
}

static bool is_clear(const void *memory, size_t size)
{
    const unsigned char *bytes = memory;
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != 0)
            return false;
    }
    return true;
}

static int no_hook(void **state)
{
    sk_mem_set_hook(NULL);
    return skt_end(state);
}

static void a_refusal_of_the_hook_gives_null(void **state)
{
    (void)state;
    nr_asked = 0;
    sk_mem_set_hook(refuse);
    assert_null(sk_alloc(10));
    assert_int_equal(asked_size, 10);
    assert_null(sk_calloc(3, 7));
    assert_int_equal(asked_size, 21);
    assert_null(sk_alloc_lines(100));
    assert_true(asked_size >= 100);
    assert_null(sk_strdup("four"));
    assert_int_equal(asked_size, 5);
    assert_null(sk_pages_alloc(1 << 16));
    assert_int_equal(asked_size, 1 << 16);
    assert_int_equal(nr_asked, 5);
}

static void a_hook_that_allows_is_asked_once_for_each(void **state)
{
    (void)state;
    nr_asked = 0;
    sk_mem_set_hook(allow);
    void *const memory[] = { sk_alloc(10), sk_calloc(3, 7), sk_alloc_lines(100), sk_strdup("x") };
    for (size_t i = 0; i < SKT_COUNT(memory); i++) {
        assert_non_null(memory[i]);
        sk_free(memory[i]);
    }
    assert_int_equal(nr_asked, 4);
}

static void without_a_hook_nothing_is_asked(void **state)
{
    (void)state;
    nr_asked = 0;
    sk_mem_set_hook(refuse);
    sk_mem_set_hook(NULL);
    void *memory = sk_alloc(10);
    assert_non_null(memory);
    sk_free(memory);
    assert_int_equal(nr_asked, 0);
}

static void a_size_that_overflows_gives_null(void **state)
{
    (void)state;
    const size_t most = SIZE_MAX;
    assert_null(sk_calloc(most, 2));
    assert_null(sk_calloc(2, most));
    assert_null(sk_calloc(most / 2 + 1, 2));
    assert_null(sk_calloc((size_t)1 << 33, (size_t)1 << 33));
    assert_null(sk_alloc_lines(most));
    assert_null(sk_alloc_lines(most - SK_CACHE_LINE + 1));
    assert_null(sk_pages_alloc(most));
}

static void calloc_clears(void **state)
{
    (void)state;
    for (size_t n = 1; n < 3000; n += 500) {
        char *dirty = sk_alloc(n * 3);
        assert_non_null(dirty);
        memset(dirty, 0xaa, n * 3);
        sk_free(dirty);
        void *memory = sk_calloc(n, 3);
        assert_non_null(memory);
        assert_true(is_clear(memory, n * 3));
        sk_free(memory);
    }
}

static void lines_are_aligned_and_cleared(void **state)
{
    (void)state;
    const size_t sizes[] = { 1, SK_CACHE_LINE - 1, SK_CACHE_LINE, SK_CACHE_LINE + 1, 1000, 100000 };
    for (size_t i = 0; i < SKT_COUNT(sizes); i++) {
        for (int again = 0; again < 3; again++) {
            void *memory = sk_alloc_lines(sizes[i]);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % SK_CACHE_LINE, 0);
            assert_true(is_clear(memory, sizes[i]));
            memset(memory, 0xaa, sizes[i]);
            sk_free(memory);
        }
    }
}

static void strdup_copies(void **state)
{
    (void)state;
    char text[] = "a name";
    char *copy = sk_strdup(text);
    assert_non_null(copy);
    text[0] = 'x';
    assert_string_equal(copy, "a name");
    sk_free(copy);
    copy = sk_strdup("");
    assert_non_null(copy);
    assert_string_equal(copy, "");
    sk_free(copy);
}

/* Far more than is written to: only what is touched takes memory. */
static void pages_are_clear_and_cost_nothing_untouched(void **state)
{
    (void)state;
    const size_t size = (size_t)1 << 30;
    char *pages = sk_pages_alloc(size);
    assert_non_null(pages);
    assert_int_equal((uintptr_t)pages % 4096, 0);
    for (size_t at = 0; at < size; at += size / 16) {
        assert_true(is_clear(pages + at, 4096));
        memset(pages + at, 0xaa, 4096);
    }
    assert_true(is_clear(pages + size - 4096, 4096));
    sk_pages_free(pages, size);
}

static void freeing_nothing_does_nothing(void **state)
{
    (void)state;
    sk_free(NULL);
    sk_pages_free(NULL, 0);
    sk_pages_free(NULL, 1 << 20);
}

#define HOOKED(test)                                                                               \
    ((struct CMUnitTest){ #test, test, skt_begin, no_hook, &(struct skt_case){ #test, 1 } })

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        HOOKED(a_refusal_of_the_hook_gives_null),
        HOOKED(a_hook_that_allows_is_asked_once_for_each),
        HOOKED(without_a_hook_nothing_is_asked),
        SKT_TEST(a_size_that_overflows_gives_null),
        SKT_TEST(calloc_clears),
        SKT_TEST(lines_are_aligned_and_cleared),
        SKT_TEST(strdup_copies),
        SKT_TEST(pages_are_clear_and_cost_nothing_untouched),
        SKT_TEST(freeing_nothing_does_nothing),
    };
    return skt_main(argc, argv, "mem", tests, SKT_COUNT(tests));
}
