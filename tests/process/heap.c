/* Shared buffers: that blocks are apart, that addresses and memory come back and when, and what
 * happens where there is little of either. Who sees what is in heap_children.c. */
#define _GNU_SOURCE
#include "process/heap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/support/child.h"
#include "tests/support/harness.h"

#define MIB ((size_t)1 << 20)

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static struct sk_heap *opened(void)
{
    struct sk_heap *heap = NULL;
    assert_int_equal(sk_heap_open(&heap), 0);
    assert_non_null(heap);
    return heap;
}

static bool is_clear(const void *memory, size_t size)
{
    const unsigned char *bytes = memory;
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static int nr_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

/* Bytes of memory that all memfds of the name hold; this process has them open. */
static size_t memory_of(const char *name)
{
    size_t bytes = 0;
    for (int fd = 0; fd < 256; fd++) {
        char link[64], target[64] = "";
        struct stat st;
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof target - 1) > 0 && strstr(target, name) != NULL &&
            fstat(fd, &st) == 0)
            bytes += (size_t)st.st_blocks * 512;
    }
    return bytes;
}

/* --- what a block is --- */

static void blocks_are_clear_and_aligned_and_apart(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    const size_t sizes[] = { 1, page_size() - 1, page_size(), page_size() + 1, MIB + 17 };
    for (int kind = 0; kind < 2; kind++) {
        char *previous = NULL;
        for (size_t i = 0; i < SKT_COUNT(sizes); i++) {
            char *block = sk_heap_alloc(heap, sizes[i], kind == 1);
            assert_non_null(block);
            assert_int_equal((uintptr_t)block % page_size(), 0);
            assert_true(is_clear(block, sizes[i]));
            memset(block, 0xaa, sizes[i]);
            if (previous != NULL) /* and a page between them */
                assert_true(block >= previous + sizes[i - 1] + page_size());
            previous = block;
        }
    }
    sk_heap_close(heap);
}

static void a_block_is_clear_again_when_it_comes_back(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    const size_t size = 5 * page_size();
    char *block = sk_heap_alloc(heap, size, false);
    memset(block, 0xaa, size);
    assert_true(sk_heap_free(heap, block, 1));
    sk_heap_settle(heap, 1);
    block[3] = 7; /* a stray pointer, after the end of its task */
    char *again = sk_heap_alloc(heap, size, false);
    assert_ptr_equal(again, block);
    assert_true(is_clear(again, size));
    sk_heap_close(heap);
}

static void sizes_that_make_no_sense_give_null(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    assert_null(sk_heap_alloc(heap, 0, false));
    assert_null(sk_heap_alloc(heap, SIZE_MAX, false));
    assert_null(sk_heap_alloc(heap, SIZE_MAX - page_size(), true));
    assert_null(sk_heap_alloc(heap, (size_t)1 << 62, false));
    assert_null(sk_heap_alloc(heap, ((size_t)1 << 40) + 1, false));
    assert_non_null(sk_heap_alloc(heap, 1, false));
    sk_heap_close(heap);
}

/* Nothing is touched, so that the machine may be small. */
static void large_blocks_cost_nothing_untouched(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    char *block = sk_heap_alloc(heap, 4096 * MIB, false);
    assert_non_null(block);
    block[0] = block[4096 * MIB - 1] = 1;
    assert_true(memory_of("skua-shared") <= 2 * page_size());
    sk_heap_close(heap);
}

static void holds_tells_what_lies_inside(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    bool read_only = true;
    char *shared = sk_heap_alloc(heap, 100, false), *inputs = sk_heap_alloc(heap, 100, true);
    assert_true(sk_heap_holds(heap, shared, 100, &read_only));
    assert_false(read_only);
    assert_true(sk_heap_holds(heap, inputs + 50, 50, &read_only));
    assert_true(read_only);
    assert_false(sk_heap_holds(heap, &heap, 1, &read_only));
    assert_false(read_only);
    assert_false(sk_heap_holds(heap, NULL, 0, &read_only));
    assert_false(sk_heap_holds(heap, shared, SIZE_MAX, &read_only));
    assert_false(sk_heap_holds(heap, shared, (size_t)2 << 40, &read_only));
    assert_false(sk_heap_holds(heap, shared - 1, 2, &read_only)); /* it is the first one */
    sk_heap_close(heap);
}

/* --- freeing --- */

static void only_a_blocks_beginning_can_be_freed_and_once(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    char *block = sk_heap_alloc(heap, 3 * page_size(), false);
    assert_false(sk_heap_free(heap, NULL, 1));
    assert_false(sk_heap_free(heap, &heap, 1));
    assert_false(sk_heap_free(heap, block + 1, 1));
    assert_false(sk_heap_free(heap, block + page_size(), 1));
    assert_false(sk_heap_free(heap, block + 1000 * page_size(), 1));
    assert_true(sk_heap_free(heap, block, 1));
    assert_false(sk_heap_free(heap, block, 1));
    sk_heap_settle(heap, 1);
    assert_false(sk_heap_free(heap, block, 2));
    sk_heap_close(heap);
}

static void a_freed_block_stays_until_its_tasks_have_ended(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    const size_t size = 16 * page_size();
    const uint64_t serials[] = { 5, 9, 7 }; /* out of order */
    char *blocks[3];
    for (int i = 0; i < 3; i++) {
        blocks[i] = sk_heap_alloc(heap, size, false);
        memset(blocks[i], i + 1, size);
    }
    for (int i = 0; i < 3; i++)
        assert_true(sk_heap_free(heap, blocks[i], serials[i]));
    sk_heap_settle(heap, 4);
    assert_int_equal(memory_of("skua-shared"), 3 * size);
    for (int i = 0; i < 3; i++)
        assert_int_equal(blocks[i][size - 1], i + 1);
    char *other = sk_heap_alloc(heap, size, false);
    for (int i = 0; i < 3; i++)
        assert_ptr_not_equal(other, blocks[i]);

    sk_heap_settle(heap, 8);
    assert_int_equal(memory_of("skua-shared"), size);
    assert_int_equal(blocks[1][0], 2);
    sk_heap_settle(heap, 9);
    assert_int_equal(memory_of("skua-shared"), 0);
    sk_heap_close(heap);
}

static void all_of_it_is_one_piece_again_after_frees(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    const size_t size = 64 * page_size();
    char *large = sk_heap_alloc(heap, size, false);
    assert_true(sk_heap_free(heap, large, 0));
    sk_heap_settle(heap, 0);
    void *small[16];
    for (int i = 0; i < 16; i++)
        small[i] = sk_heap_alloc(heap, 3 * page_size(), false);
    assert_ptr_equal(small[0], large);
    for (int i = 0; i < 16; i++) /* neighbours on both sides, on one, on none */
        assert_true(sk_heap_free(heap, small[i * 5 % 16], 0));
    sk_heap_settle(heap, 0);
    assert_ptr_equal(sk_heap_alloc(heap, 64 * page_size(), false), large);
    sk_heap_close(heap);
}

static int by_address(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    return (x > y) - (x < y);
}

static void very_many_blocks_stay_apart_in_any_order(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    const int n = skt_rounds(100000);
    char **blocks = calloc((size_t)n, sizeof *blocks);
    uint32_t seed = 1;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < n; i++) { /* frees half of them, at random, and fills up again */
            if (blocks[i] != NULL && skt_random(&seed) % 2 == 0) {
                assert_true(sk_heap_free(heap, blocks[i], (uint64_t)i));
                blocks[i] = NULL;
            }
        }
        sk_heap_settle(heap, (uint64_t)n);
        for (int i = 0; i < n; i++) {
            const size_t size = (1 + skt_random(&seed) % 3) * page_size();
            if (blocks[i] == NULL)
                blocks[i] = sk_heap_alloc(heap, size, false);
            assert_non_null(blocks[i]);
        }
        qsort(blocks, (size_t)n, sizeof *blocks, by_address);
        for (int i = 1; i < n; i++)
            assert_true(blocks[i] >= blocks[i - 1] + 2 * page_size());
        for (int i = n - 1; i > 0; i--) {
            const int j = (int)(skt_random(&seed) % (uint32_t)(i + 1));
            char *swap = blocks[i];
            blocks[i] = blocks[j];
            blocks[j] = swap;
        }
    }
    for (int i = 0; i < n; i++)
        assert_true(sk_heap_free(heap, blocks[i], 0));
    sk_heap_settle(heap, 0);
    char *first = sk_heap_alloc(heap, 1024 * MIB, false);
    for (int i = 0; i < n; i++)
        assert_true(blocks[i] >= first);
    free(blocks);
    sk_heap_close(heap);
}

/* --- threads --- */

struct user {
    struct sk_heap *heap;
    uint32_t seed;
    int wrong;
};

static void *use(void *arg)
{
    struct user *u = arg;
    unsigned char *blocks[8] = { NULL };
    const unsigned char mine = (unsigned char)u->seed;
    for (int i = 0; i < skt_rounds(5000); i++) {
        unsigned char **block = &blocks[skt_random(&u->seed) % 8];
        if (*block != NULL) {
            u->wrong += **block != mine;
            u->wrong += !sk_heap_free(u->heap, *block, (uint64_t)i);
            sk_heap_settle(u->heap, (uint64_t)i);
        }
        *block = sk_heap_alloc(u->heap, 1 + skt_random(&u->seed) % 20000, i % 2 == 0);
        u->wrong += *block == NULL || **block != 0;
        if (*block != NULL)
            **block = mine;
    }
    return NULL;
}

static void threads_may_use_it_together(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    struct user users[4];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        users[i] = (struct user){ heap, (uint32_t)(11 + i), 0 };
        threads[i] = skt_thread(use, &users[i]);
    }
    for (int i = 0; i < 4; i++) {
        skt_join(threads[i]);
        assert_int_equal(users[i].wrong, 0);
    }
    sk_heap_close(heap);
}

/* --- when the world says no --- */

static int nr_allowed;

static bool allow_some(size_t size)
{
    (void)size;
    return nr_allowed-- > 0;
}

static int no_hook(void **state)
{
    sk_mem_set_hook(NULL);
    return skt_end(state);
}

static void memory_that_fails_leaks_nothing(void **state)
{
    (void)state;
    const int before = nr_descriptors();
    bool opened_once = false;
    for (int k = 0; k < 12 && !opened_once; k++) {
        struct sk_heap *heap = (void *)&before;
        nr_allowed = k;
        sk_mem_set_hook(allow_some);
        const int rc = sk_heap_open(&heap);
        opened_once = rc == 0;
        if (rc != 0) {
            assert_int_equal(rc, -ENOMEM);
            assert_null(heap);
        } else {
            nr_allowed = 3;
            char *first = sk_heap_alloc(heap, 1, false);
            while (sk_heap_alloc(heap, 1, false) != NULL)
                continue;
            assert_non_null(first);
            assert_true(sk_heap_free(heap, first, 0)); /* needs no memory */
            sk_heap_settle(heap, 0);
            assert_ptr_equal(sk_heap_alloc(heap, 1, false), first); /* it fits exactly */
        }
        sk_mem_set_hook(NULL);
        sk_heap_close(heap);
        assert_int_equal(nr_descriptors(), before);
    }
    assert_true(opened_once);
}

static int child_without_descriptors(void *arg)
{
    (void)arg;
    struct sk_heap *heap = NULL;
    const int before = nr_descriptors(), lowest = dup(0);
    close(lowest);
    for (int room = 0; room < 2; room++) {
        const struct rlimit limit = { (rlim_t)(lowest + room), 256 };
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || sk_heap_open(&heap) != -EMFILE)
            return 1 + room;
    }
    return heap == NULL && nr_descriptors() == before ? 0 : 3;
}

static void too_few_descriptors_are_an_error(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(child_without_descriptors, NULL).status, 0);
}

/* Leaves the process so many bytes of addresses besides those that it has. */
static int limit_addresses(size_t room)
{
    char text[64] = "";
    const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    const bool was_read = read(fd, text, sizeof text - 1) > 0;
    close(fd);
    const rlim_t bytes = strtoull(text, NULL, 10) * page_size() + room;
    return was_read ? setrlimit(RLIMIT_AS, &(struct rlimit){ bytes, bytes }) : -1;
}

static int child_with_little_room(void *arg)
{
    const size_t room = *(size_t *)arg;
    struct sk_heap *heap;
    if (limit_addresses(room) != 0 || sk_heap_open(&heap) != 0)
        return 1;
    char *block = sk_heap_alloc(heap, 60 * MIB, false);
    if (block == NULL || sk_heap_alloc(heap, 2 * room, false) != NULL)
        return 2;
    block[60 * MIB - 1] = 1;
    void *rest = malloc(room / 2); /* most of the addresses are left */
    if (rest == NULL)
        return 3;
    free(rest);
    sk_heap_close(heap);
    return 0;
}

static int child_without_room(void *arg)
{
    (void)arg;
    struct sk_heap *heap;
    const int before = nr_descriptors();
    if (limit_addresses(100 * MIB) != 0 || sk_heap_open(&heap) != -ENOMEM || heap != NULL)
        return 1;
    return nr_descriptors() == before ? 0 : 2;
}

static void few_addresses_give_a_smaller_heap(void **state)
{
    (void)state;
    if (skt_has_asan() || skt_has_tsan())
        skip(); /* they need more addresses themselves */
    const size_t rooms[] = { 700 * MIB, 4096 * MIB };
    for (size_t i = 0; i < SKT_COUNT(rooms); i++)
        assert_int_equal(skt_fork(child_with_little_room, (void *)&rooms[i]).status, 0);
    assert_int_equal(skt_fork(child_without_room, NULL).status, 0);
}

/* The limit also ends programs that pass it, by SIGXFSZ. */
static void a_limit_of_file_sizes_gives_null(void **state)
{
    (void)state;
    struct sk_heap *heap = opened();
    struct rlimit before;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit limit = { MIB, before.rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    const void *large = sk_heap_alloc(heap, MIB + 1, false);
    const void *small = sk_heap_alloc(heap, MIB / 2, false);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_null(large);
    assert_non_null(small);
    assert_non_null(sk_heap_alloc(heap, MIB + 1, false));
    sk_heap_close(heap);
}

static void closing_nothing_does_nothing(void **state)
{
    (void)state;
    sk_heap_close(NULL);
}

#define HOOKED(test)                                                                               \
    ((struct CMUnitTest){ #test, test, skt_begin, no_hook, &(struct skt_case){ #test, 1 } })

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(blocks_are_clear_and_aligned_and_apart),
        SKT_TEST(a_block_is_clear_again_when_it_comes_back),
        SKT_TEST(sizes_that_make_no_sense_give_null),
        SKT_TEST(large_blocks_cost_nothing_untouched),
        SKT_TEST(holds_tells_what_lies_inside),
        SKT_TEST(only_a_blocks_beginning_can_be_freed_and_once),
        SKT_TEST(a_freed_block_stays_until_its_tasks_have_ended),
        SKT_TEST(all_of_it_is_one_piece_again_after_frees),
        SKT_TEST(very_many_blocks_stay_apart_in_any_order),
        SKT_TEST(threads_may_use_it_together),
        HOOKED(memory_that_fails_leaks_nothing),
        SKT_TEST(too_few_descriptors_are_an_error),
        SKT_TEST(few_addresses_give_a_smaller_heap),
        SKT_TEST(a_limit_of_file_sizes_gives_null),
        SKT_TEST(closing_nothing_does_nothing),
    };
    return skt_main(argc, argv, "process/heap", tests, SKT_COUNT(tests));
}
