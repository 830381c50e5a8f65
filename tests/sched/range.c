/* A loop's block: whatever is taken, stolen and put back, each unit is given out once. */
#define _GNU_SOURCE
#include "sched/range.h"

#include "tests/support/harness.h"

enum {
    SMALL = 12, /* ranges tried out in full */
    NR_THREADS = 3,
    MAX_UNITS = 64,
    NR_ROUNDS = 20,
    FLOW = 200000 /* units that flow through one block, a few at a time */
};

static SK_ATOMIC(uint64_t) block;

static void set(uint32_t begin, uint32_t end)
{
    sk_store_rlx(&block, sk_range_pack(begin, end));
}

static void take_gives_the_front(void **state)
{
    (void)state;
    for (uint32_t begin = 0; begin <= SMALL; begin++) {
        for (uint32_t end = begin; end <= SMALL; end++) {
            for (uint32_t want = 1; want <= SMALL + 1; want++) {
                const uint32_t size = end - begin, n = want < size ? want : size;
                struct sk_range got = { 99, 99 };
                uint32_t left = 99;
                set(begin, end);
                assert_int_equal(sk_range_take(&block, want, &got, &left), size > 0);
                if (size == 0)
                    continue;
                assert_int_equal(got.begin, begin);
                assert_int_equal(got.end, begin + n);
                assert_int_equal(left, size - n);
                assert_int_equal(sk_range_left(&block), left);
            }
        }
    }
}

static void steal_gives_the_back_half(void **state)
{
    (void)state;
    for (uint32_t begin = 0; begin <= SMALL; begin++) {
        for (uint32_t end = begin; end <= SMALL; end++) {
            const uint32_t size = end - begin;
            struct sk_range got = { 99, 99 }, rest;
            uint32_t left;
            set(begin, end);
            assert_int_equal(sk_range_steal(&block, &got), size > 0);
            if (size == 0)
                continue;
            assert_int_equal(got.begin, begin + size / 2);
            assert_int_equal(got.end, end);
            assert_int_equal(sk_range_take(&block, SMALL, &rest, &left), size > 1);
            if (size > 1) {
                assert_int_equal(rest.begin, begin);
                assert_int_equal(rest.end, got.begin);
            }
        }
    }
}

static void put_fills_only_what_is_empty(void **state)
{
    (void)state;
    const struct sk_range more = { 20, 23 };
    for (uint32_t begin = 0; begin <= SMALL; begin++) {
        for (uint32_t end = 0; end <= SMALL; end++) {
            const bool empty = end <= begin;
            set(begin, end);
            assert_int_equal(sk_range_put(&block, more), empty);
            const struct sk_range now = sk_range_unpack(sk_load_rlx(&block));
            assert_int_equal(now.begin, empty ? 20 : begin);
            assert_int_equal(now.end, empty ? 23 : end);
        }
    }
}

static void the_largest_range_is_handed_out_without_overflow(void **state)
{
    (void)state;
    struct sk_range got = { 0, 0 };
    uint32_t left = 0;
    set(0, SK_RANGE_MAX);
    assert_int_equal(sk_range_left(&block), SK_RANGE_MAX);
    assert_true(sk_range_steal(&block, &got));
    assert_int_equal(got.begin, SK_RANGE_MAX / 2);
    assert_int_equal(got.end, SK_RANGE_MAX);
    assert_true(sk_range_take(&block, UINT32_MAX, &got, &left));
    assert_int_equal(got.end, SK_RANGE_MAX / 2);
    assert_int_equal(left, 0);
    set(SK_RANGE_MAX - 2, SK_RANGE_MAX);
    assert_true(sk_range_take(&block, UINT32_MAX, &got, &left));
    assert_int_equal(got.end - got.begin, 2);
    assert_false(sk_range_take(&block, 1, &got, &left));
    assert_false(sk_range_steal(&block, &got));
}

/* ---- several threads ------------------------------------------------------------------------- */

static struct {
    SK_ATOMIC(uint64_t) blocks[NR_THREADS];
    SK_ATOMIC(uint32_t) left; /* units that nobody has taken */
    SK_ATOMIC(uint8_t) taken[MAX_UNITS];
    SK_ATOMIC(bool) put_failed;
    pthread_barrier_t begin;
} field;

static bool take_one_piece(uint32_t self, uint32_t want)
{
    struct sk_range got;
    uint32_t left;
    if (!sk_range_take(&field.blocks[self], want, &got, &left))
        return false;
    for (uint32_t i = got.begin; i < got.end; i++)
        sk_add_rlx(&field.taken[i], 1);
    sk_sub_rlx(&field.left, got.end - got.begin);
    return true;
}

/* Takes from its own block; when that is empty it steals, and puts what it got into its own. */
static void *work(void *arg)
{
    const uint32_t self = (uint32_t)(uintptr_t)arg;
    uint32_t seed = self + 1;
    pthread_barrier_wait(&field.begin);
    while (sk_load_rlx(&field.left) != 0) {
        struct sk_range got;
        if (take_one_piece(self, 1 + skt_random(&seed) % 3))
            continue;
        const uint32_t victim = (self + 1 + skt_random(&seed) % (NR_THREADS - 1)) % NR_THREADS;
        if (sk_range_steal(&field.blocks[victim], &got) && !sk_range_put(&field.blocks[self], got))
            sk_store_rlx(&field.put_failed, true);
    }
    return NULL;
}

static void share_out(uint32_t size)
{
    pthread_t threads[NR_THREADS];
    for (uint32_t i = 0; i < MAX_UNITS; i++)
        sk_store_rlx(&field.taken[i], 0);
    for (int i = 0; i < NR_THREADS; i++)
        sk_store_rlx(&field.blocks[i], sk_range_pack(0, i == 0 ? size : 0));
    sk_store_rlx(&field.left, size);
    for (int i = 0; i < NR_THREADS; i++)
        threads[i] = skt_thread(work, (void *)(uintptr_t)i);
    for (int i = 0; i < NR_THREADS; i++)
        skt_join(threads[i]);
    for (uint32_t i = 0; i < MAX_UNITS; i++) {
        if (sk_load_rlx(&field.taken[i]) != (i < size))
            fail_msg("unit %u of %u is given out %d times", i, size,
                     (int)sk_load_rlx(&field.taken[i]));
    }
    assert_false(sk_load_rlx(&field.put_failed));
}

static void each_unit_is_given_out_once_by_several_threads(void **state)
{
    (void)state;
    sk_store_rlx(&field.put_failed, false);
    pthread_barrier_init(&field.begin, NULL, NR_THREADS);
    for (int round = 0; round < skt_rounds(NR_ROUNDS); round++) {
        for (uint32_t size = 1; size <= SMALL; size++)
            share_out(size);
        share_out(MAX_UNITS);
    }
    pthread_barrier_destroy(&field.begin);
}

static SK_ATOMIC(uint8_t) flown[FLOW];
static SK_ATOMIC(bool) flow_over;

static void count_flown(struct sk_range got)
{
    for (uint32_t i = got.begin; i < got.end; i++)
        sk_add_rlx(&flown[i], 1);
}

static void *steal_from_the_flow(void *arg)
{
    struct sk_range got;
    (void)arg;
    while (!sk_load_rlx(&flow_over)) {
        if (sk_range_steal(&block, &got))
            count_flown(got);
    }
    return NULL;
}

/* The owner fills its block again and again; thieves steal all the time. */
static void each_unit_of_a_block_filled_again_is_given_out_once(void **state)
{
    (void)state;
    pthread_t thieves[NR_THREADS - 1];
    const uint32_t n = (uint32_t)skt_rounds(FLOW);
    bool put = true;
    set(0, 0);
    for (int i = 0; i < NR_THREADS - 1; i++)
        thieves[i] = skt_thread(steal_from_the_flow, NULL);
    for (uint32_t begin = 0; begin < n; begin += SMALL) {
        const struct sk_range more = { begin, begin + SMALL < n ? begin + SMALL : n };
        struct sk_range got;
        uint32_t left;
        put &= sk_range_put(&block, more);
        while (sk_range_take(&block, 1, &got, &left))
            count_flown(got);
    }
    sk_store_rlx(&flow_over, true);
    for (int i = 0; i < NR_THREADS - 1; i++)
        skt_join(thieves[i]);
    assert_true(put);
    for (uint32_t i = 0; i < n; i++) {
        if (sk_load_rlx(&flown[i]) != 1)
            fail_msg("unit %u of %u is given out %d times", i, n, (int)sk_load_rlx(&flown[i]));
    }
}

static void *put_own(void *arg)
{
    const uint32_t self = (uint32_t)(uintptr_t)arg;
    pthread_barrier_wait(&field.begin);
    return sk_range_put(&block, (struct sk_range){ 10 * self + 1, 10 * self + 4 }) ? arg : NULL;
}

static void one_of_several_puts_wins(void **state)
{
    (void)state;
    pthread_barrier_init(&field.begin, NULL, NR_THREADS);
    for (int round = 0; round < skt_rounds(400); round++) {
        pthread_t threads[NR_THREADS];
        int nr_won = 0;
        uintptr_t winner = 0;
        set(5, 5);
        for (int i = 0; i < NR_THREADS; i++)
            threads[i] = skt_thread(put_own, (void *)(uintptr_t)(i + 1));
        for (int i = 0; i < NR_THREADS; i++) {
            void *won;
            assert_int_equal(pthread_join(threads[i], &won), 0);
            nr_won += won != NULL;
            winner += (uintptr_t)won;
        }
        assert_int_equal(nr_won, 1);
        assert_int_equal(sk_range_unpack(sk_load_rlx(&block)).begin, 10 * winner + 1);
    }
    pthread_barrier_destroy(&field.begin);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(take_gives_the_front),
        SKT_TEST(steal_gives_the_back_half),
        SKT_TEST(put_fills_only_what_is_empty),
        SKT_TEST(the_largest_range_is_handed_out_without_overflow),
        SKT_TEST(each_unit_is_given_out_once_by_several_threads),
        SKT_TEST(each_unit_of_a_block_filled_again_is_given_out_once),
        SKT_TEST(one_of_several_puts_wins),
    };
    return skt_main(argc, argv, "range", tests, SKT_COUNT(tests));
}
