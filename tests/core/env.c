/* The environment. The program starts itself again with other variables, prints what it got, and
 * the warnings of the library come on stderr. */
#include "tests/support/harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/gate.h"

static struct skt_output workers_with(const char *variable)
{
    const char *const variables[] = { variable, NULL };
    const struct skt_output o = skt_exec("--workers", variables, 0);
    assert_int_equal(o.status, 0);
    return o;
}

/* Pools are made twice over, to see that a warning comes once. */
static int print_workers(void)
{
    skua_executor *first = skua_thread_pool(NULL), *second = skua_thread_pool(NULL);
    skua_executor *given = skua_thread_pool(&(skua_options){ .workers = 5 });
    if (first == NULL || second == NULL || given == NULL || skua_default() == NULL)
        return 1;
    const int n = skua_workers(skua_default());
    if (skua_workers(first) != n || skua_workers(second) != n || skua_workers(given) != 5)
        return 2;
    skua_future *f = skua_submit(first, skt_nothing, NULL);
    if (skua_result(f, NULL, 0, SKUA_FOREVER) != SKUA_OK)
        return 3;
    skua_release(f);
    skua_close(first);
    skua_close(second);
    skua_close(given);
    printf("%d\n", n);
    return 0;
}

static void a_good_number_of_threads_is_used_silently(void **state)
{
    (void)state;
    const struct skt_output three = workers_with("SKUA_NUM_THREADS=3");
    assert_string_equal(three.out, "3\n");
    assert_string_equal(three.err, "");
    const struct skt_output one = workers_with("SKUA_NUM_THREADS=1");
    assert_string_equal(one.out, "1\n");
    assert_string_equal(one.err, "");
}

static void without_a_number_it_is_silent(void **state)
{
    (void)state;
    const struct skt_output usual = workers_with(NULL);
    assert_true(atoi(usual.out) >= 1);
    assert_string_equal(usual.err, "");
    const struct skt_output empty = workers_with("SKUA_NUM_THREADS=");
    assert_string_equal(empty.out, usual.out);
    assert_string_equal(empty.err, "");
}

static void a_bad_number_of_threads_gives_one_warning_and_the_usual(void **state)
{
    (void)state;
    const struct skt_output usual = workers_with(NULL);
    const char *const bad[] = { "abc", "0", "-2",  "1000000000",          "3x",
                                "3.5", " ", "1e3", "99999999999999999999" };
    for (size_t i = 0; i < SKT_COUNT(bad); i++) {
        char variable[64];
        snprintf(variable, sizeof variable, "SKUA_NUM_THREADS=%s", bad[i]);
        const struct skt_output o = workers_with(variable);
        assert_string_equal(o.out, usual.out);
        if (skt_output_lines(o.err) != 1)
            fail_msg("%s: %d lines of warning: %s", variable, skt_output_lines(o.err), o.err);
        assert_non_null(strstr(o.err, "SKUA_NUM_THREADS"));
        assert_non_null(strstr(o.err, bad[i]));
    }
}

static void the_warning_names_the_valid_range(void **state)
{
    (void)state;
    const struct skt_output o = workers_with("SKUA_NUM_THREADS=abc");
    const char *digits = strpbrk(o.err, "0123456789");
    assert_non_null(digits);
    char *end;
    assert_int_equal(strtol(digits, &end, 10), 1);
    const char *second = strpbrk(end, "0123456789");
    assert_non_null(second);
    assert_true(strtol(second, NULL, 10) >= 64);
}

static void an_unknown_name_gives_one_warning(void **state)
{
    (void)state;
    const struct skt_output o = workers_with("SKUA_FOO=1");
    assert_int_equal(skt_output_lines(o.err), 1);
    assert_non_null(strstr(o.err, "SKUA_FOO"));
    const struct skt_output typo = workers_with("SKUA_NUM_THREAD=3");
    assert_int_equal(skt_output_lines(typo.err), 1);
    assert_non_null(strstr(typo.err, "SKUA_NUM_THREAD"));
}

static void names_of_others_are_none_of_our_business(void **state)
{
    (void)state;
    const struct skt_output o = workers_with("SKUAS=1");
    assert_string_equal(o.err, "");
    const struct skt_output other = workers_with("MY_SKUA_FOO=1");
    assert_string_equal(other.err, "");
}

static void two_bad_values_give_a_line_each(void **state)
{
    (void)state;
    const char *const variables[] = { "SKUA_NUM_THREADS=many", "SKUA_BAR=1", NULL };
    const struct skt_output o = skt_exec("--workers", variables, 0);
    assert_int_equal(o.status, 0);
    assert_int_equal(skt_output_lines(o.err), 2);
}

static void display_tells_what_was_found(void **state)
{
    (void)state;
    const struct skt_output on = workers_with("SKUA_DISPLAY=1");
    assert_true(skt_output_lines(on.err) >= 1);
    const struct skt_output off = workers_with("SKUA_DISPLAY=0");
    assert_string_equal(off.err, "");
}

static void the_usual_number_follows_the_affinity_mask(void **state)
{
    (void)state;
    const char *const none[] = { NULL };
    const struct skt_output o = skt_exec("--workers", none, 1);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.out, "1\n");
    assert_string_equal(o.err, "");
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--workers") == 0)
        return print_workers();
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_good_number_of_threads_is_used_silently),
        SKT_TEST(without_a_number_it_is_silent),
        SKT_TEST(a_bad_number_of_threads_gives_one_warning_and_the_usual),
        SKT_TEST(the_warning_names_the_valid_range),
        SKT_TEST(an_unknown_name_gives_one_warning),
        SKT_TEST(names_of_others_are_none_of_our_business),
        SKT_TEST(two_bad_values_give_a_line_each),
        SKT_TEST(display_tells_what_was_found),
        SKT_TEST(the_usual_number_follows_the_affinity_mask),
    };
    return skt_main(argc, argv, "env", tests, SKT_COUNT(tests));
}
