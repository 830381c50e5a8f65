/* Which processors worker processes get. */
#define _GNU_SOURCE
#include "process/shares.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/log_lines.h"

static int nr_processors(void)
{
    cpu_set_t mine;
    assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
    return CPU_COUNT(&mine);
}

static cpu_set_t set_of(const struct sk_shares *shares, int seat)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    size_t size = shares->size < sizeof set ? shares->size : sizeof set;
    memcpy(&set, shares->sets + (size_t)seat * shares->size, size);
    return set;
}

/* Every processor of ours is somebody's, and with one worker a core nobody shares. */
static void shares_cover_what_we_may_use(void **state)
{
    (void)state;
    cpu_set_t mine, all;
    assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
    for (int n = 1; n <= nr_processors(); n++) {
        struct sk_shares shares;
        CPU_ZERO(&all);
        assert_int_equal(sk_shares_init(&shares, SKUA_BIND_SPREAD, n), 0);
        assert_int_equal(shares.nr_workers, n);
        assert_true(shares.threads >= 1);
        for (int seat = 0; shares.sets != NULL && seat < n; seat++) {
            cpu_set_t share = set_of(&shares, seat), both;
            assert_true(CPU_COUNT(&share) >= 1);
            CPU_AND(&both, &share, &mine);
            assert_int_equal(CPU_COUNT(&both), CPU_COUNT(&share));
            CPU_OR(&all, &all, &share);
        }
        if (shares.sets != NULL)
            assert_int_equal(CPU_COUNT(&all), CPU_COUNT(&mine));
        sk_shares_fini(&shares);
    }
}

static void unbound_workers_may_move(void **state)
{
    (void)state;
    struct sk_shares shares;
    assert_int_equal(sk_shares_init(&shares, SKUA_BIND_NONE, 2), 0);
    assert_null(shares.sets);
    sk_shares_take(&shares, 1, 0);
    sk_shares_fini(&shares);
}

static void the_environment_is_heard_where_nothing_was_asked(void **state)
{
    (void)state;
    struct sk_shares shares;
    setenv("SKUA_NUM_THREADS", "3", 1);
    assert_int_equal(sk_shares_init(&shares, SKUA_BIND_AUTO, 0), 0);
    assert_int_equal(shares.nr_workers, 3);
    sk_shares_fini(&shares);
    assert_int_equal(sk_shares_init(&shares, SKUA_BIND_AUTO, 2), 0);
    assert_int_equal(shares.nr_workers, 2);
    sk_shares_fini(&shares);
    unsetenv("SKUA_NUM_THREADS");
}

static void they_are_shown_a_line_a_worker(void **state)
{
    (void)state;
    struct sk_shares shares;
    assert_int_equal(sk_shares_init(&shares, SKUA_BIND_AUTO, 2), 0);
    skt_log_start();
    sk_shares_display(&shares, "shown");
    assert_int_equal(skt_log_lines(), 3);
    skt_log_stop();
    sk_shares_fini(&shares);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(shares_cover_what_we_may_use),
        SKT_TEST(unbound_workers_may_move),
        SKT_TEST(the_environment_is_heard_where_nothing_was_asked),
        SKT_TEST(they_are_shown_a_line_a_worker),
    };
    return skt_main(argc, argv, "shares", tests, SKT_COUNT(tests));
}
