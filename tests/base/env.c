/* The environment: good values are silent, bad ones give one line that names what is valid. Each
 * case runs in a process of its own, because a name warns once in a process. */
#define _GNU_SOURCE
#include "base/env.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/child.h"
#include "tests/support/harness.h"
#include "tests/support/log_lines.h"

enum {
    UNTOUCHED = 4711
};

/* Warnings go to stderr, which the parent reads. */
static int print_number(void *arg)
{
    long value = UNTOUCHED;
    if (arg != NULL)
        setenv("SKUA_NUM_THREADS", arg, 1);
    else
        unsetenv("SKUA_NUM_THREADS");
    bool good = sk_env_int("SKUA_NUM_THREADS", -3, 64, &value);
    good &= sk_env_int("SKUA_NUM_THREADS", -3, 64, &value);
    printf("%d %ld", good, value);
    fflush(stdout);
    return 0;
}

/* The answers for the fallbacks true and false. */
static int print_bools(void *arg)
{
    if (arg != NULL)
        setenv("SKUA_DISPLAY", arg, 1);
    else
        unsetenv("SKUA_DISPLAY");
    const bool first = sk_env_bool("SKUA_DISPLAY", true);
    printf("%d%d", first, sk_env_bool("SKUA_DISPLAY", false));
    fflush(stdout);
    return 0;
}

static struct skt_output child_of(int (*fn)(void *arg), const char *value)
{
    char copy[256];
    if (value != NULL)
        snprintf(copy, sizeof copy, "%s", value);
    const struct skt_output o = skt_fork(fn, value != NULL ? copy : NULL);
    assert_int_equal(o.status, 0);
    return o;
}

static void a_number_in_the_range_is_taken_silently(void **state)
{
    (void)state;
    const char *const cases[][2] = { { "1", "1 1" },   { "64", "1 64" },     { "-3", "1 -3" },
                                     { "0", "1 0" },   { "-0", "1 0" },      { "007", "1 7" },
                                     { "-1", "1 -1" }, { "0000032", "1 32" } };
    for (size_t i = 0; i < SKT_COUNT(cases); i++) {
        const struct skt_output o = child_of(print_number, cases[i][0]);
        assert_string_equal(o.out, cases[i][1]);
        assert_string_equal(o.err, "");
    }
}

static void an_unset_or_empty_number_is_silent(void **state)
{
    (void)state;
    const char *const values[] = { NULL, "" };
    for (size_t i = 0; i < SKT_COUNT(values); i++) {
        const struct skt_output o = child_of(print_number, values[i]);
        assert_string_equal(o.out, "0 4711");
        assert_string_equal(o.err, "");
    }
}

static void a_bad_number_warns_once_and_names_the_range(void **state)
{
    (void)state;
    const char *const bad[] = { "65",  "-4",   "abc", "3x",   "3.5",
                                "1e1", "0x10", "-",   "--1",  " 3",
                                "3 ",  " ",    "\t3", "+3",   "+",
                                "- 3", "3\n4", "3,4", "true", "99999999999999999999" };
    for (size_t i = 0; i < SKT_COUNT(bad); i++) {
        const struct skt_output o = child_of(print_number, bad[i]);
        assert_string_equal(o.out, "0 4711");
        const char *name = strstr(o.err, "SKUA_NUM_THREADS");
        assert_non_null(name);
        assert_null(strstr(name + 1, "SKUA_NUM_THREADS"));
        if (strpbrk(bad[i], "\t\n") == NULL) /* these are shown as blanks */
            assert_non_null(strstr(o.err, bad[i]));
        assert_int_equal(skt_output_lines(o.err), 1);
        assert_non_null(strstr(o.err, "from -3 to 64"));
    }
}

static void a_long_bad_value_does_not_push_the_range_out(void **state)
{
    (void)state;
    char value[250];
    memset(value, '7', sizeof value);
    value[sizeof value - 1] = '\0';
    const struct skt_output o = child_of(print_number, value);
    assert_int_equal(skt_output_lines(o.err), 1);
    assert_non_null(strstr(o.err, "from -3 to 64"));
}

static void a_number_too_large_to_read_is_bad_in_any_range(void **state)
{
    (void)state;
    const char *const bad[] = { "99999999999999999999", "-99999999999999999999" };
    long value = UNTOUCHED;
    skt_log_start();
    for (size_t i = 0; i < SKT_COUNT(bad); i++) {
        setenv("A_NUMBER", bad[i], 1);
        assert_false(sk_env_int("A_NUMBER", LONG_MIN, LONG_MAX, &value));
    }
    unsetenv("A_NUMBER");
    assert_int_equal(value, UNTOUCHED);
    assert_int_equal(skt_log_lines(), 2);
    skt_log_stop();
}

/* ---- yes and no ------------------------------------------------------------------------------ */

static void every_word_for_yes_and_no_is_taken_in_any_case(void **state)
{
    (void)state;
    const char *const yes[] = { "1", "true", "yes", "on", "TRUE", "Yes", "oN" };
    const char *const no[] = { "0", "false", "no", "off", "FALSE", "No", "oFF" };
    for (size_t i = 0; i < SKT_COUNT(yes); i++) {
        const struct skt_output o = child_of(print_bools, yes[i]);
        assert_string_equal(o.out, "11");
        assert_string_equal(o.err, "");
        const struct skt_output other = child_of(print_bools, no[i]);
        assert_string_equal(other.out, "00");
        assert_string_equal(other.err, "");
    }
}

static void without_a_word_the_fallback_is_used_silently(void **state)
{
    (void)state;
    const char *const values[] = { NULL, "" };
    for (size_t i = 0; i < SKT_COUNT(values); i++) {
        const struct skt_output o = child_of(print_bools, values[i]);
        assert_string_equal(o.out, "10");
        assert_string_equal(o.err, "");
    }
}

static void a_bad_word_warns_once_and_names_the_good_ones(void **state)
{
    (void)state;
    const char *const bad[] = { "2", "maybe", "y", " 1", "1 ", "+1", "truely", "tru", "00" };
    for (size_t i = 0; i < SKT_COUNT(bad); i++) {
        const struct skt_output o = child_of(print_bools, bad[i]);
        assert_string_equal(o.out, "10");
        assert_int_equal(skt_output_lines(o.err), 1);
        assert_non_null(strstr(o.err, "SKUA_DISPLAY"));
        assert_non_null(strstr(o.err, bad[i]));
        assert_non_null(strstr(o.err, "true"));
        assert_non_null(strstr(o.err, "off"));
    }
}

/* ---- names ----------------------------------------------------------------------------------- */

static int check_names(void *arg)
{
    for (char *const *entry = arg; *entry != NULL; entry++)
        putenv(*entry);
    skt_log_start();
    sk_env_check_names();
    sk_env_check_names();
    if (skt_log_has("MY_SKUA") || skt_log_has("SKUAS") || skt_log_has("skua_x"))
        return 100;
    if (skt_log_lines() > 0 && !skt_log_has("SKUA_NUM_THREADS and SKUA_DISPLAY"))
        return 101;
    const char *const unknown[] = { "SKUA_FOO", "SKUA_NUM_THREAD ", "SKUA_DISPLAYS" };
    for (size_t i = 0; i < SKT_COUNT(unknown) && (size_t)skt_log_lines() == SKT_COUNT(unknown);
         i++) {
        if (!skt_log_has(unknown[i]))
            return 102;
    }
    return skt_log_lines();
}

static void an_unknown_name_gives_one_line(void **state)
{
    (void)state;
    char foo[] = "SKUA_FOO=1", shorter[] = "SKUA_NUM_THREAD=2", longer[] = "SKUA_DISPLAYS=";
    char *one[] = { foo, NULL };
    char *three[] = { foo, shorter, longer, NULL };
    assert_int_equal(skt_fork(check_names, one).status, 1);
    assert_int_equal(skt_fork(check_names, three).status, 3);
}

static void known_names_and_those_of_others_are_silent(void **state)
{
    (void)state;
    char threads[] = "SKUA_NUM_THREADS=bad", display[] = "SKUA_DISPLAY=bad";
    char mine[] = "MY_SKUA_FOO=1", close[] = "SKUAS=1", lower[] = "skua_x=1";
    char *names[] = { threads, display, mine, close, lower, NULL };
    assert_int_equal(skt_fork(check_names, names).status, 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_number_in_the_range_is_taken_silently),
        SKT_TEST(an_unset_or_empty_number_is_silent),
        SKT_TEST(a_bad_number_warns_once_and_names_the_range),
        SKT_TEST(a_long_bad_value_does_not_push_the_range_out),
        SKT_TEST(a_number_too_large_to_read_is_bad_in_any_range),
        SKT_TEST(every_word_for_yes_and_no_is_taken_in_any_case),
        SKT_TEST(without_a_word_the_fallback_is_used_silently),
        SKT_TEST(a_bad_word_warns_once_and_names_the_good_ones),
        SKT_TEST(an_unknown_name_gives_one_line),
        SKT_TEST(known_names_and_those_of_others_are_silent),
    };
    return skt_main(argc, argv, "env", tests, SKT_COUNT(tests));
}
