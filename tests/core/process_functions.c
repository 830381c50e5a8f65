/* Which functions can be tasks: those that the workers have. A library that is loaded after the
 * pool was made is unknown to them until they are made anew. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

static void *load(void)
{
    void *library = dlopen(SKUA_TEST_LATE, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        print_error("%s\n", dlerror());
    assert_non_null(library);
    return library;
}

/* POSIX has it that this is a function. */
static skua_fn *find(void *library, const char *name)
{
    void *symbol = dlsym(library, name);
    skua_fn *fn;
    assert_non_null(symbol);
    memcpy(&fn, &symbol, sizeof fn);
    return fn;
}

/* Refused at once, with words that have `words` in them. */
static void expect_refusal(skua_executor *ex, skua_fn *fn, const char *words)
{
    skua_future *f = skt_submit_int(ex, fn, 3);
    assert_true(skua_done(f));
    const skua_error *e = skua_exception(f, 0);
    assert_non_null(e);
    print_message("%s\n", e->message);
    assert_status(e->status, SKUA_INVALID);
    assert_true(strlen(e->message) > 0);
    if (words != NULL)
        assert_non_null(strstr(e->message, words));
    assert_int_equal(e->fault, SKUA_FAULT_NONE);
    skua_release(f);
    int in = 3, out = 0;
    assert_status(skua_map(ex, fn, &in, sizeof in, &out, sizeof out, 1, NULL, 10), SKUA_INVALID);
    assert_int_equal(out, 0);
}

static skua_fn *function_at(const void *address)
{
    skua_fn *fn;
    memcpy(&fn, &address, sizeof fn);
    return fn;
}

static void what_is_no_function_of_the_program_is_refused(void **state)
{
    static char data[64];
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    void *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect_refusal(s.ex, NULL, NULL);
    expect_refusal(s.ex, function_at((void *)8), NULL);
    expect_refusal(s.ex, function_at(data), NULL);
    expect_refusal(s.ex, function_at(&s), NULL);
    if (code != MAP_FAILED) {
        expect_refusal(s.ex, function_at(code), NULL);
        munmap(code, 4096);
    }
    skt_std_close(&s);
}

static int call_strlen(void *arg, void *result)
{
    *(int *)result = (int)strlen(arg);
    return 0;
}

/* A task may be any function that the program had, those of its libraries too. */
static void functions_of_linked_libraries_are_known(void **state)
{
    skua_executor *ex = skt_processes(state);
    char text[] = "twelve bytes";
    int length = 0;
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = call_strlen,
                                                        .arg = text,
                                                        .arg_size = sizeof text,
                                                        .result_size = sizeof length });
    assert_status(skua_result(f, &length, sizeof length, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(length, 12);
    skua_release(f);
    void *symbol = dlsym(RTLD_DEFAULT, "strcmp"); /* of two pointers, and gives an int */
    assert_non_null(symbol);
    char empty[] = "";
    f = skua_submit_task(ex, &(skua_task){ .fn = function_at(symbol),
                                           .arg = empty,
                                           .arg_size = sizeof empty,
                                           .result_size = 1 });
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    if (e != NULL)
        print_message("%s\n", e->message);
    assert_null(e);
    skua_release(f);
    skua_close(ex);
}

static void expect_square(skua_executor *ex, skua_fn *fn)
{
    skua_future *f = skt_submit_int(ex, fn, 9);
    int value = -1;
    if (skua_result(f, &value, sizeof value, SKUA_FOREVER) != SKUA_OK)
        print_error("%s\n", skua_last_error()->message);
    assert_int_equal(value, 81);
    skua_release(f);
}

static void a_late_librarys_functions_need_a_refresh(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    void *library = load();
    skua_fn *square = find(library, "late_square");
    expect_refusal(s.ex, square, "late");
    skt_std_check(&s);
    skt_std_drop(&s);
    assert_status(skua_process_refresh(s.ex), SKUA_OK);
    for (int i = 0; i < 3 * skt_workers(state); i++)
        expect_square(s.ex, square);
    skua_future *f;
    const skua_error *e = skt_std_fault(&s, find(library, "late_abort"), &f);
    assert_status(e->status, SKUA_CRASHED);
    assert_non_null(strstr(e->backtrace, "late_abort"));
    skua_release(f);
    skt_std_check(&s);
    skt_std_close(&s);
    dlclose(library);
}

static void a_pool_made_after_it_knows_the_library_until_it_is_unloaded(void **state)
{
    void *library = load(), *symbol = dlsym(library, "late_square");
    skua_fn *square = find(library, "late_square");
    skua_executor *ex = skt_processes(state);
    expect_square(ex, square);
    dlclose(library);
    Dl_info info;
    if (dladdr(symbol, &info) == 0)
        expect_refusal(ex, square, NULL);
    assert_true(skt_works(ex));
    skua_close(ex);
}

/* ---- refreshing ------------------------------------------------------------------------------ */

static int setting;

static int tell_setting(void *arg, void *result)
{
    (void)arg;
    *(int *)result = setting;
    return 0;
}

static void refreshed_workers_have_the_programs_memory_of_that_moment(void **state)
{
    setting = 1;
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    skt_std_drop(&s);
    setting = 2;
    assert_int_equal(skt_ask(s.ex, tell_setting), 1);
    for (int i = 3; i < 6; i++) {
        setting = i;
        assert_status(skua_process_refresh(s.ex), SKUA_OK);
        for (int k = 0; k < 3 * skt_workers(state); k++)
            assert_int_equal(skt_ask(s.ex, tell_setting), i);
        assert_true(skt_family_becomes(skt_workers(state) + SKT_AROUND));
    }
    skt_std_close(&s);
}

/* What runs ends where it runs; what waits is run by the old ones or the new ones, once. */
static void a_refresh_loses_no_task(void **state)
{
    const int before = skt_nr_descriptors();
    skua_executor *ex = skt_processes(state);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    SK_ATOMIC(int) *runs = skt_counters(ex, 100);
    skua_future *held[8], *fs[100];
    for (int i = 0; i < skt_workers(state); i++)
        held[i] = skt_shared_gate_submit(gate, ex);
    for (int i = 0; i < 100; i++)
        fs[i] = skua_submit(ex, skt_count, &runs[i]);
    assert_status(skua_process_refresh(ex), SKUA_OK);
    for (int i = 0; i < skt_workers(state); i++)
        assert_true(skua_running(held[i]));
    skt_shared_gate_open(gate);
    for (int i = 0; i < 100; i++) {
        assert_status(skua_result(fs[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(sk_load_acq(&runs[i]), 1);
        skua_release(fs[i]);
    }
    for (int i = 0; i < skt_workers(state); i++) {
        assert_status(skua_result(held[i], NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(held[i]);
    }
    assert_true(skt_meet(ex));
    assert_true(skt_family_becomes(skt_workers(state) + SKT_AROUND));
    skua_close(ex);
    assert_true(skt_family_becomes(0));
    assert_true(skt_descriptors_become(before));
}

static int refresh_inside(void *arg, void *result)
{
    (void)result;
    const skua_status status = skua_process_refresh(*(skua_executor **)arg);
    return status == SKUA_INVALID
               ? 0
               : skua_fail(1, "refreshing in a worker gave %s", skua_strstatus(status));
}

static void a_refresh_is_for_process_pools_and_their_owners(void **state)
{
    skua_executor *ex = skt_processes(state), *threads = skt_pool(state);
    assert_status(skua_process_refresh(NULL), SKUA_INVALID);
    assert_status(skua_process_refresh(threads), SKUA_INVALID);
    assert_non_null(strstr(skua_last_error()->message, "process"));
    skua_future *f = skua_submit_task(
        ex, &(skua_task){ .fn = refresh_inside, .arg = &ex, .arg_size = sizeof(skua_executor *) });
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    if (e != NULL)
        print_error("%s\n", e->message);
    assert_null(e);
    skua_release(f);
    assert_status(skua_shutdown(ex, SKUA_WAIT, SKUA_FOREVER), SKUA_OK);
    assert_status(skua_process_refresh(ex), SKUA_SHUTDOWN);
    skua_close(ex);
    skua_close(threads);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(what_is_no_function_of_the_program_is_refused),
        SKT_TEST(functions_of_linked_libraries_are_known),
        SKT_EACH(a_late_librarys_functions_need_a_refresh),
        SKT_TEST(a_pool_made_after_it_knows_the_library_until_it_is_unloaded),
        SKT_EACH(refreshed_workers_have_the_programs_memory_of_that_moment),
        SKT_EACH(a_refresh_loses_no_task),
        SKT_EACH(a_refresh_is_for_process_pools_and_their_owners),
    };
    return skt_main(argc, argv, "process_functions", tests, SKT_COUNT(tests));
}
