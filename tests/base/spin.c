/* link: -Wl,--wrap=sk_now_ns,--wrap=sched_yield */
/* Spinning: it is time to sleep when the limits have passed, or when a yield took long. The linker
 * puts this file's clock in place of the real one. */
#include "base/spin.h"

#include "tests/support/harness.h"

enum {
    START = 1000,
    TURNS_MAX = 1000000
};

int64_t __wrap_sk_now_ns(void);
int __wrap_sched_yield(void);

static int64_t now;         /* what the clock shows */
static int64_t yield_takes; /* nanoseconds */
static int nr_yields, nr_looks;

int64_t __wrap_sk_now_ns(void)
{
    nr_looks++;
    return now;
}

int __wrap_sched_yield(void)
{
    nr_yields++;
    now += yield_takes;
    return 0;
}

/* Turns until it is time to sleep, each of turn_ns; the clock stands at START before the first. */
static int turns_until_sleep(struct sk_spin_limits limits, int64_t turn_ns, int64_t yield_ns)
{
    struct sk_spin spin = { 0, 0 };
    now = START;
    yield_takes = yield_ns;
    nr_yields = nr_looks = 0;
    for (int turn = 1; turn <= TURNS_MAX; turn++) {
        now += turn_ns;
        if (sk_spin_turn(&spin, limits))
            return turn;
    }
    return 0;
}

static void sleep_is_due_when_both_limits_have_passed(void **state)
{
    (void)state;
    const struct sk_spin_limits limits[] = { { 5000, 395000 }, { 2000, 20000 }, { 5000, 95000 } };
    for (size_t i = 0; i < SKT_COUNT(limits); i++) {
        const int64_t length = limits[i].pause_ns + limits[i].yield_ns;
        const int turns = turns_until_sleep(limits[i], 10, 100);
        assert_true(turns > 0);
        const int64_t spun = now - START;
        assert_true(spun >= length);
        /* At most one stretch between two yields longer, and the turns before the first look. */
        assert_true(spun <= length + 10 * (SK_SPIN_YIELD_TURNS + SK_SPIN_CLOCK_TURNS) + 100);
    }
}

static void without_limits_sleep_is_due_within_a_stretch(void **state)
{
    (void)state;
    const int turns = turns_until_sleep((struct sk_spin_limits){ 0, 0 }, 0, 0);
    assert_in_range(turns, 1, SK_SPIN_YIELD_TURNS);
    assert_int_equal(nr_yields, 0);
}

static void nothing_is_yielded_while_it_pauses_alone(void **state)
{
    (void)state;
    struct sk_spin spin = { 0, 0 };
    now = START;
    yield_takes = 0;
    nr_yields = 0;
    for (int turn = 0; turn < 10000; turn++) {
        now += 10;
        assert_false(sk_spin_turn(&spin, (struct sk_spin_limits){ 200000, 1000000 }));
    }
    assert_int_equal(nr_yields, 0);
    for (int turn = 0; turn < 20000; turn++) {
        now += 10;
        assert_false(sk_spin_turn(&spin, (struct sk_spin_limits){ 200000, 1000000 }));
    }
    assert_in_range(nr_yields, 1, 20000 / SK_SPIN_YIELD_TURNS + 1);
}

static void a_yield_that_took_long_ends_it(void **state)
{
    (void)state;
    const struct sk_spin_limits limits = { 5000, 395000 };
    assert_true(turns_until_sleep(limits, 10, SK_SPIN_CROWDED_NS + 1) > 0);
    assert_int_equal(nr_yields, 1);
    assert_true(now - START < limits.pause_ns + limits.yield_ns);
    assert_true(turns_until_sleep(limits, 10, SK_SPIN_CROWDED_NS) > 0);
    assert_true(nr_yields > 1);
}

static void the_clock_is_looked_at_now_and_then(void **state)
{
    (void)state;
    const int turns = turns_until_sleep((struct sk_spin_limits){ 100000, 0 }, 10, 0);
    assert_true(turns > 0);
    assert_true(nr_looks <= turns / SK_SPIN_CLOCK_TURNS + nr_yields);
}

static void a_spin_that_begins_again_has_its_whole_time(void **state)
{
    (void)state;
    const struct sk_spin_limits limits = { 1000, 9000 };
    const int turns = turns_until_sleep(limits, 10, 0);
    struct sk_spin spin = { 0, 0 };
    for (int turn = 1; turn < turns; turn++) {
        now += 10;
        assert_false(sk_spin_turn(&spin, limits));
    }
    now += 10;
    assert_true(sk_spin_turn(&spin, limits));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(sleep_is_due_when_both_limits_have_passed),
        SKT_TEST(without_limits_sleep_is_due_within_a_stretch),
        SKT_TEST(nothing_is_yielded_while_it_pauses_alone),
        SKT_TEST(a_yield_that_took_long_ends_it),
        SKT_TEST(the_clock_is_looked_at_now_and_then),
        SKT_TEST(a_spin_that_begins_again_has_its_whole_time),
    };
    return skt_main(argc, argv, "spin", tests, SKT_COUNT(tests));
}
