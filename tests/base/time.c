/* Time: deadlines are right at the edges of double, and the clock never goes back. */
#include "base/time.h"

#include <math.h>

#include "base/futex.h"
#include "tests/support/harness.h"

static void what_is_not_above_zero_is_due_at_once(void **state)
{
    (void)state;
    const double poll[] = { 0, -0.0, -1e-300, -1, -1e300, -INFINITY, NAN, -NAN };
    for (size_t i = 0; i < SKT_COUNT(poll); i++) {
        assert_true(sk_is_poll(poll[i]));
        assert_true(sk_deadline_ns(poll[i]) <= 0);
    }
}

static void what_is_too_large_to_count_has_no_deadline(void **state)
{
    (void)state;
    const double endless[] = { 9.3e9, 1e10, 9.3e18, 1e19, 1e300, INFINITY };
    for (size_t i = 0; i < SKT_COUNT(endless); i++) {
        assert_false(sk_is_poll(endless[i]));
        assert_true(sk_deadline_ns(endless[i]) == SK_NO_DEADLINE);
    }
}

static void a_deadline_lies_that_many_seconds_ahead(void **state)
{
    (void)state;
    const double seconds[] = { 1e-300, 1e-9, 0.001, 0.25, 3, 86400, 1e8 };
    for (size_t i = 0; i < SKT_COUNT(seconds); i++) {
        assert_false(sk_is_poll(seconds[i]));
        const int64_t length = (int64_t)(seconds[i] * 1e9);
        const int64_t before = sk_now_ns();
        const int64_t deadline = sk_deadline_ns(seconds[i]);
        const int64_t after = sk_now_ns();
        assert_true(deadline >= before + length);
        assert_true(deadline <= after + length);
    }
}

static void a_longer_timeout_has_no_earlier_deadline(void **state)
{
    (void)state;
    int64_t before = sk_deadline_ns(0);
    for (double seconds = 1e-12; seconds < 1e12; seconds *= 1.5) {
        const int64_t deadline = sk_deadline_ns(seconds);
        assert_true(deadline > 0);
        assert_true(deadline >= before);
        before = deadline;
    }
    assert_true(before == SK_NO_DEADLINE);
}

static void the_clock_never_goes_back(void **state)
{
    (void)state;
    int64_t before = sk_now_ns();
    assert_true(before > 0);
    const int64_t start = before;
    for (int i = 0; i < 10000; i++) {
        const int64_t now = sk_now_ns();
        assert_true(now >= before);
        before = now;
    }
    const double limit = skt_now() + 10;
    while (sk_now_ns() == start)
        assert_true(skt_now() < limit);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(what_is_not_above_zero_is_due_at_once),
        SKT_TEST(what_is_too_large_to_count_has_no_deadline),
        SKT_TEST(a_deadline_lies_that_many_seconds_ahead),
        SKT_TEST(a_longer_timeout_has_no_earlier_deadline),
        SKT_TEST(the_clock_never_goes_back),
    };
    return skt_main(argc, argv, "time", tests, SKT_COUNT(tests));
}
