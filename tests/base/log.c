/* The log: lines go to the hook with its own context, or to stderr; the hook may call the log. */
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#include "base/atomic.h"
#include "tests/support/child.h"
#include "tests/support/harness.h"

enum {
    NR_LINES = 20000
};

/* What a hook has got. */
struct got {
    int nr;
    skua_log_level level;
    char line[2000];
};

static void keep(skua_log_level level, const char *line, void *ctx)
{
    struct got *got = ctx;
    got->nr++;
    got->level = level;
    snprintf(got->line, sizeof got->line, "%s", line);
}

static void a_line_goes_to_the_hook(void **state)
{
    (void)state;
    struct got got = { .nr = 0 };
    skua_set_log(keep, &got);
    sk_log(SKUA_LOG_WARNING, "%d of %s", 3, "four");
    assert_int_equal(got.nr, 1);
    assert_int_equal(got.level, SKUA_LOG_WARNING);
    assert_string_equal(got.line, "3 of four");
    sk_log(SKUA_LOG_INFO, "a table");
    assert_int_equal(got.nr, 2);
    assert_int_equal(got.level, SKUA_LOG_INFO);
    assert_string_equal(got.line, "a table");
}

static void the_last_hook_given_counts(void **state)
{
    (void)state;
    struct got first = { .nr = 0 }, second = { .nr = 0 };
    skua_set_log(keep, &first);
    skua_set_log(keep, &second);
    sk_log(SKUA_LOG_INFO, "once");
    assert_int_equal(first.nr, 0);
    assert_int_equal(second.nr, 1);
}

static void a_long_line_is_cut(void **state)
{
    (void)state;
    struct got got = { .nr = 0 };
    char text[1500];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    skua_set_log(keep, &got);
    sk_log(SKUA_LOG_INFO, "%s", text);
    const size_t length = strlen(got.line);
    assert_in_range(length, 900, 1000);
    assert_memory_equal(got.line, text, length);
}

/* ---- stderr ---------------------------------------------------------------------------------- */

static int say_without_a_hook(void *arg)
{
    (void)arg;
    sk_log(SKUA_LOG_WARNING, "number %d", 5);
    return 0;
}

static int say_after_a_hook(void *arg)
{
    struct got *got = arg;
    skua_set_log(keep, got);
    sk_log(SKUA_LOG_WARNING, "to the hook");
    skua_set_log(NULL, NULL);
    sk_log(SKUA_LOG_WARNING, "to stderr");
    return got->nr;
}

static void without_a_hook_a_line_goes_to_stderr(void **state)
{
    (void)state;
    const struct skt_output o = skt_fork(say_without_a_hook, NULL);
    assert_int_equal(o.status, 0);
    assert_string_equal(o.err, "number 5\n");
    assert_string_equal(o.out, "");
}

static void without_the_hook_lines_go_to_stderr_again(void **state)
{
    (void)state;
    struct got got = { .nr = 0 };
    const struct skt_output o = skt_fork(say_after_a_hook, &got);
    assert_int_equal(o.status, 1);
    assert_string_equal(o.err, "to stderr\n");
}

/* ---- hooks that log, and two threads --------------------------------------------------------- */

static void say_once_more(skua_log_level level, const char *line, void *ctx)
{
    struct got *got = ctx;
    if (got->nr == 0) {
        got->nr++;
        sk_log(level, "again: %s", line);
        skua_set_log(keep, ctx);
    } else {
        keep(level, line, ctx);
    }
}

static void a_hook_may_log_and_give_another_hook(void **state)
{
    (void)state;
    struct got got = { .nr = 0 };
    skua_set_log(say_once_more, &got);
    sk_log(SKUA_LOG_INFO, "one");
    assert_int_equal(got.nr, 2);
    assert_string_equal(got.line, "again: one");
    sk_log(SKUA_LOG_INFO, "two");
    assert_int_equal(got.nr, 3);
    assert_string_equal(got.line, "two");
}

static int first_context, second_context;
static SK_ATOMIC(int) nr_lines, nr_mixed;

static void first_hook(skua_log_level level, const char *line, void *ctx)
{
    (void)level;
    (void)line;
    sk_add_rlx(&nr_lines, 1);
    sk_add_rlx(&nr_mixed, ctx != &first_context);
}

static void second_hook(skua_log_level level, const char *line, void *ctx)
{
    (void)level;
    (void)line;
    sk_add_rlx(&nr_lines, 1);
    sk_add_rlx(&nr_mixed, ctx != &second_context);
}

static void *say_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < skt_rounds(NR_LINES); i++)
        sk_log(SKUA_LOG_INFO, "line %d", i);
    return NULL;
}

static void a_hook_never_gets_the_context_of_another(void **state)
{
    (void)state;
    sk_store_rlx(&nr_lines, 0);
    sk_store_rlx(&nr_mixed, 0);
    skua_set_log(first_hook, &first_context);
    const pthread_t speaker = skt_thread(say_often, NULL);
    for (int i = 0; i < skt_rounds(NR_LINES); i++) {
        skua_set_log(second_hook, &second_context);
        skua_set_log(first_hook, &first_context);
    }
    skt_join(speaker);
    assert_int_equal(sk_load_rlx(&nr_mixed), 0);
    assert_int_equal(sk_load_rlx(&nr_lines), skt_rounds(NR_LINES));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_line_goes_to_the_hook),
        SKT_TEST(the_last_hook_given_counts),
        SKT_TEST(a_long_line_is_cut),
        SKT_TEST(without_a_hook_a_line_goes_to_stderr),
        SKT_TEST(without_the_hook_lines_go_to_stderr_again),
        SKT_TEST(a_hook_may_log_and_give_another_hook),
        SKT_TEST(a_hook_never_gets_the_context_of_another),
    };
    return skt_main(argc, argv, "log", tests, SKT_COUNT(tests));
}
