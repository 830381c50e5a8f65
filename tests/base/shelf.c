/* Blocks that are kept for the next who wants one. */
#include "base/shelf.h"

#include <string.h>

#include "base/mem.h"
#include "tests/support/harness.h"

enum {
    SIZE = 96
};

static void a_block_comes_back_cleared(void **state)
{
    static const char zeros[SIZE];
    struct sk_shelf shelf;
    (void)state;
    sk_shelf_init(&shelf, SIZE, 2);
    char *first = sk_shelf_take(&shelf);
    assert_memory_equal(first, zeros, SIZE);
    memset(first, 0xff, SIZE);
    sk_shelf_put(&shelf, first);
    char *second = sk_shelf_take(&shelf);
    assert_ptr_equal(second, first);
    assert_memory_equal(second, zeros, SIZE);
    sk_shelf_put(&shelf, second);
    sk_shelf_fini(&shelf);
}

static void no_more_are_kept_than_asked(void **state)
{
    void *blocks[5];
    struct sk_shelf shelf;
    (void)state;
    sk_shelf_init(&shelf, SIZE, 3);
    for (int i = 0; i < 5; i++)
        blocks[i] = sk_shelf_take(&shelf);
    for (int i = 0; i < 5; i++)
        sk_shelf_put(&shelf, blocks[i]);
    assert_int_equal(shelf.n, 3);
    sk_shelf_fini(&shelf);
    assert_int_equal(shelf.n, 0);
    sk_shelf_fini(&shelf);
}

static bool refuse(size_t size)
{
    (void)size;
    return false;
}

static void without_memory_there_is_none_but_what_is_kept(void **state)
{
    struct sk_shelf shelf;
    (void)state;
    sk_shelf_init(&shelf, SIZE, 3);
    sk_shelf_put(&shelf, sk_shelf_take(&shelf));
    sk_mem_set_hook(refuse);
    void *kept = sk_shelf_take(&shelf), *none = sk_shelf_take(&shelf);
    sk_mem_set_hook(NULL);
    assert_non_null(kept);
    assert_null(none);
    sk_shelf_put(&shelf, kept);
    sk_shelf_fini(&shelf);
}

static void *take_and_put(void *arg)
{
    struct sk_shelf *shelf = arg;
    for (int i = 0; i < skt_rounds(20000); i++) {
        unsigned char *block = sk_shelf_take(shelf);
        for (int j = 0; j < SIZE; j++)
            assert_int_equal(block[j], 0);
        memset(block, i | 1, SIZE);
        sk_shelf_put(shelf, block);
    }
    return NULL;
}

static void threads_do_not_share_a_block(void **state)
{
    struct sk_shelf shelf;
    pthread_t threads[3];
    (void)state;
    sk_shelf_init(&shelf, SIZE, 2);
    for (int i = 0; i < 3; i++)
        threads[i] = skt_thread(take_and_put, &shelf);
    for (int i = 0; i < 3; i++)
        skt_join(threads[i]);
    sk_shelf_fini(&shelf);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_block_comes_back_cleared),
        SKT_TEST(no_more_are_kept_than_asked),
        SKT_TEST(without_memory_there_is_none_but_what_is_kept),
        SKT_TEST(threads_do_not_share_a_block),
    };
    return skt_main(argc, argv, "shelf", tests, SKT_COUNT(tests));
}
