/* What skua_process_pool() takes and refuses. A refusal names the field, what it was and what it
 * may be, and leaves nothing behind. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

static void expect_refusal(const skua_options *options, const char *field, const char *value)
{
    const int before = skt_nr_descriptors();
    skua_executor *ex = skua_process_pool(options);
    assert_null(ex);
    const skua_error *e = skua_last_error();
    print_message("%s\n", e->message);
    assert_status(e->status, SKUA_INVALID);
    assert_non_null(strstr(e->message, "skua_process_pool"));
    assert_non_null(strstr(e->message, field));
    if (value != NULL)
        assert_non_null(strstr(e->message, value));
    struct skt_family family;
    skt_family_look(&family);
    assert_int_equal(family.nr, 0);
    assert_int_equal(skt_nr_descriptors(), before);
}

static void numbers_that_make_no_sense_are_refused_with_words(void **state)
{
    (void)state;
    expect_refusal(&(skua_options){ .workers = -1 }, "workers", "-1");
    expect_refusal(&(skua_options){ .workers = INT_MAX }, "workers", "2147483647");
    expect_refusal(&(skua_options){ .workers = 1, .grace = -0.5 }, "grace", "-0.5");
    expect_refusal(&(skua_options){ .workers = 1, .grace = (double)NAN }, "grace", "nan");
    expect_refusal(&(skua_options){ .workers = 1, .harden = 64 }, "harden", "64");
    expect_refusal(&(skua_options){ .workers = 1, .harden = -1 }, "harden", "-1");
    expect_refusal(&(skua_options){ .workers = 1, .bind = (skua_bind)77 }, "bind", "77");
}

static void a_memory_limit_below_what_a_worker_has_is_refused(void **state)
{
    (void)state;
    expect_refusal(&(skua_options){ .workers = 1, .memory_limit = 1 }, "memory_limit", "1");
    expect_refusal(&(skua_options){ .workers = 1, .memory_limit = 65536 }, "memory_limit", "65536");
}

static void threads_refuse_what_is_for_processes(void **state)
{
    (void)state;
    static const skua_options options[] = { { .workers = 1, .tasks_per_worker = 3 },
                                            { .workers = 1, .memory_limit = 1 << 30 },
                                            { .workers = 1, .retries = 1 },
                                            { .workers = 1, .grace = 1 },
                                            { .workers = 1, .harden = SKUA_NO_NEW_PRIVS } };
    for (size_t i = 0; i < SKT_COUNT(options); i++) {
        assert_null(skua_thread_pool(&options[i]));
        assert_status(skua_last_error()->status, SKUA_INVALID);
    }
}

static void large_values_mean_no_limit(void **state)
{
    skua_executor *ex = skt_processes_with(&(skua_options){ .workers = skt_workers(state),
                                                            .memory_limit = SIZE_MAX,
                                                            .tasks_per_worker = SIZE_MAX,
                                                            .max_pending = SIZE_MAX,
                                                            .retries = UINT_MAX,
                                                            .grace = 1e300 });
    for (int i = 0; i < 50; i++)
        assert_true(skt_works(ex));
    skua_close(ex);
}

static void the_usual_is_a_worker_a_core(void **state)
{
    (void)state;
    skua_executor *threads = skua_thread_pool(NULL);
    assert_non_null(threads);
    skua_executor *none = skt_processes_with(NULL),
                  *zero = skt_processes_with(&(skua_options){ 0 });
    assert_int_equal(skua_workers(none), skua_workers(threads));
    assert_int_equal(skua_workers(zero), skua_workers(threads));
    assert_int_equal(skua_workers(NULL), 0);
    skua_close(none);
    skua_close(zero);
    skua_close(threads);
}

/* As many as there may be at once in a test: more than cores, by far. */
static void there_may_be_many_workers(void **state)
{
    (void)state;
    const int n = skt_slow_factor() == 1 ? 64 : 16;
    skua_executor *ex = skt_processes_of(n);
    for (int i = 0; i < 4; i++) {
        skua_future *f = skua_submit(ex, skt_crash, NULL);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
        skua_release(f);
    }
    assert_true(skt_meet(ex));
    assert_true(skt_family_becomes(n + SKT_AROUND));
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

static void binding_is_taken_as_by_threads(void **state)
{
    static const skua_bind binds[] = { SKUA_BIND_AUTO, SKUA_BIND_NONE, SKUA_BIND_CLOSE,
                                       SKUA_BIND_SPREAD };
    for (size_t i = 0; i < SKT_COUNT(binds); i++) {
        skua_executor *ex =
            skt_processes_with(&(skua_options){ .workers = skt_workers(state), .bind = binds[i] });
        assert_true(skt_works(ex));
        skua_close(ex);
    }
}

/* ---- hardening ------------------------------------------------------------------------------- */

static int tell_no_new_privs(void *arg, void *result)
{
    (void)arg;
    *(int *)result = prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0);
    return 0;
}

static void new_rights_are_given_up_where_asked(void **state)
{
    skua_executor *ex = skt_processes_with(
        &(skua_options){ .workers = skt_workers(state), .harden = SKUA_NO_NEW_PRIVS });
    assert_int_equal(skt_ask(ex, tell_no_new_privs), 1);
    skua_future *f = skua_submit(ex, skt_crash, NULL);
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
    skua_release(f);
    for (int i = 0; i < 3 * skt_workers(state); i++)
        assert_int_equal(skt_ask(ex, tell_no_new_privs), 1);
    skua_close(ex);
    assert_int_equal(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
    ex = skt_processes(state);
    assert_int_equal(skt_ask(ex, tell_no_new_privs), 0);
    skua_close(ex);
}

/* Bits of what was not refused by EPERM. */
static int try_what_is_forbidden(void *arg, void *result)
{
    (void)arg;
    int allowed = 0;
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    allowed |= fd >= 0 || errno != EPERM ? 1 : 0;
    execl("/bin/true", "true", (char *)NULL);
    allowed |= errno != EPERM ? 2 : 0;
    *(int *)result = allowed | (tell_no_new_privs(NULL, &(int){ 0 }) != 0 ? 4 : 0);
    return 0;
}

static void a_filter_forbids_programs_and_sockets(void **state)
{
    struct skt_std s;
    const skua_options options = { .workers = skt_workers(state), .harden = SKUA_SECCOMP };
    skua_executor *ex = skua_process_pool(&options);
    if (ex == NULL) {
        print_message("%s\n", skua_last_error()->message);
        assert_non_null(strstr(skua_last_error()->message, "SECCOMP"));
        skip();
    }
    skua_close(ex);
    skt_std_open_with(&s, &options);
    assert_int_equal(skt_ask(s.ex, try_what_is_forbidden), 0);
    assert_int_equal(skt_ask(s.ex, tell_no_new_privs), 1);
    skua_future *f;
    skt_check_fault(skt_std_fault(&s, skt_crash, &f), SKUA_CRASHED, SKUA_FAULT_NULL_DEREF, 11, 0);
    skua_release(f);
    skt_std_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(numbers_that_make_no_sense_are_refused_with_words),
        SKT_TEST(a_memory_limit_below_what_a_worker_has_is_refused),
        SKT_TEST(threads_refuse_what_is_for_processes),
        SKT_TEST(large_values_mean_no_limit),
        SKT_TEST(the_usual_is_a_worker_a_core),
        SKT_TEST(there_may_be_many_workers),
        SKT_EACH(binding_is_taken_as_by_threads),
        SKT_EACH(new_rights_are_given_up_where_asked),
        SKT_TEST(a_filter_forbids_programs_and_sockets),
    };
    return skt_main(argc, argv, "process_options", tests, SKT_COUNT(tests));
}
