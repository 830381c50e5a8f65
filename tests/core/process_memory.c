/* memory_limit: what is far too large is refused when it is asked for, and a worker that has taken
 * too much is killed; either way it is told that memory was the reason. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/process.h"

#define MIB ((size_t)1 << 20)

static void skip_under_sanitizers(void)
{
    if (!skt_has_asan() && !skt_has_tsan())
        return;
    print_message("sanitizers take terabytes of address space for themselves\n");
    skip();
}

static void open_limited(struct skt_std *s, void **state, size_t mebibytes)
{
    skip_under_sanitizers();
    skt_std_open_with(
        s, &(skua_options){ .workers = skt_workers(state), .memory_limit = mebibytes * MIB });
}

static int ask_for_a_gibibyte(void *arg, void *result)
{
    (void)arg;
    char *volatile memory = malloc(1024 * MIB);
    if (memory == NULL)
        return skua_fail(ENOMEM, "no gibibyte for me");
    memset(memory, 1, 1024 * MIB);
    *(int *)result = memory[7];
    free(memory);
    return 0;
}

/* An allocation that is too large is refused, and the task may say so itself. */
static void a_refused_allocation_is_the_tasks_own_error(void **state)
{
    struct skt_std s;
    open_limited(&s, state, 256);
    const pid_t pid = skt_ask(s.ex, skt_tell_pid);
    for (int i = 0; i < 3; i++) {
        skua_future *f = skua_submit_task(
            s.ex, &(skua_task){ .fn = ask_for_a_gibibyte, .result_size = sizeof(int) });
        const skua_error *e = skua_exception(f, SKUA_FOREVER);
        assert_non_null(e);
        assert_status(e->status, SKUA_FAILED);
        assert_int_equal(e->code, ENOMEM);
        assert_string_equal(e->message, "no gibibyte for me");
        skua_release(f);
        assert_int_equal(skt_ask(s.ex, skt_tell_pid), pid);
    }
    skt_std_close(&s);
}

static int take_and_touch(void *arg, void *result)
{
    (void)arg;
    (void)result;
    for (size_t i = 0; i < 1024; i++) {
        volatile char *volatile memory = malloc(MIB);
        if (memory == NULL)
            return skua_fail(ENOMEM, "after %zu MiB", i);
        for (size_t at = 0; at < MIB; at += 4096)
            memory[at] = 1;
    }
    return 0;
}

/* Without a look at what malloc() says. */
static int take_and_touch_blindly(void *arg, void *result)
{
    (void)arg;
    (void)result;
    for (size_t i = 0; i < 1024; i++) {
        volatile char *volatile memory = malloc(MIB);
        for (size_t at = 0; at < MIB; at += 4096)
            memory[at] = 1;
    }
    return 0;
}

static int touch_a_refused_gibibyte(void *arg, void *result)
{
    (void)arg;
    (void)result;
    volatile char *volatile memory = malloc(1024 * MIB);
    for (size_t at = 0; at < 1024 * MIB; at += 4096)
        memory[at] = 1;
    return 0;
}

/* Killed by the watch, or refused and told by itself: the task has not got what it wanted. */
static void too_much_in_small_steps_is_an_error(void **state)
{
    struct skt_std s;
    open_limited(&s, state, 256);
    skua_future *f = skua_submit(s.ex, take_and_touch, NULL);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    print_message("%s\n", e->message);
    if (e->status != SKUA_FAILED)
        skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_MEMORY_LIMIT, SIGKILL, 0);
    skua_release(f);
    skt_std_close(&s);
}

static void a_crash_for_lack_of_memory_says_so(void **state)
{
    static skua_fn *const fns[] = { take_and_touch_blindly, touch_a_refused_gibibyte };
    struct skt_std s;
    open_limited(&s, state, 256);
    for (size_t i = 0; i < SKT_COUNT(fns); i++) {
        skua_future *f;
        const skua_error *e = skt_std_fault(&s, fns[i], &f);
        print_message("%s\n", e->message);
        assert_status(e->status, SKUA_CRASHED);
        assert_int_equal(e->fault, SKUA_FAULT_MEMORY_LIMIT);
        assert_non_null(strstr(e->message, "memory"));
        skua_release(f);
        skt_std_check(&s);
    }
    skt_std_close(&s);
}

/* Memory that RLIMIT_DATA does not count until it is made writable, bit by bit. */
static int take_by_mprotect(void *arg, void *result)
{
    (void)arg;
    (void)result;
    char *memory = mmap(NULL, 1024 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return skua_fail(ENOMEM, "not even to read");
    for (size_t at = 0; at < 1024 * MIB; at += MIB) {
        if (mprotect(memory + at, MIB, PROT_READ | PROT_WRITE) != 0)
            return skua_fail(ENOMEM, "after %zu MiB", at / MIB);
        memset(memory + at, 1, MIB);
    }
    return 0;
}

static void no_way_round_the_limit_gives_a_gibibyte(void **state)
{
    struct skt_std s;
    open_limited(&s, state, 256);
    skua_future *f =
        skua_submit_task(s.ex, &(skua_task){ .fn = take_by_mprotect, .result_size = sizeof(int) });
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    print_message("%s\n", e->message);
    assert_true(e->status == SKUA_FAILED || e->fault == SKUA_FAULT_MEMORY_LIMIT);
    skua_release(f);
    skt_std_close(&s);
}

static int take_sixty_four(void *arg, void *result)
{
    (void)arg;
    char *volatile memory = malloc(64 * MIB);
    if (memory == NULL)
        return skua_fail(ENOMEM, "no 64 MiB for me");
    memset(memory, 3, 64 * MIB);
    *(int *)result = memory[64 * MIB - 1];
    free(memory);
    return 0;
}

static void what_is_within_the_limit_is_given_every_time(void **state)
{
    struct skt_std s;
    open_limited(&s, state, 256);
    for (int i = 0; i < 20; i++)
        assert_int_equal(skt_ask(s.ex, take_sixty_four), 3);
    skt_std_close(&s);
}

/* Shared memory is nobody's own: 512 MiB of it are no 256 MiB. */
static int touch_shared(void *arg, void *result)
{
    *(int *)result = 3;
    for (size_t at = 0; at < 512 * MIB; at += 4096)
        ((volatile char *)arg)[at] = 1;
    return 0;
}

static void shared_memory_does_not_count(void **state)
{
    struct skt_std s;
    open_limited(&s, state, 256);
    char *shared = skua_shared_alloc(s.ex, 512 * MIB);
    assert_non_null(shared);
    skua_future *f = skua_submit_task(
        s.ex, &(skua_task){ .fn = touch_shared, .arg = shared, .result_size = sizeof(int) });
    assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    skua_shared_free(s.ex, shared);
    skt_std_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_refused_allocation_is_the_tasks_own_error),
        SKT_TEST(too_much_in_small_steps_is_an_error),
        SKT_TEST(a_crash_for_lack_of_memory_says_so),
        SKT_TEST(no_way_round_the_limit_gives_a_gibibyte),
        SKT_TEST(what_is_within_the_limit_is_given_every_time),
        SKT_TEST(shared_memory_does_not_count),
    };
    return skt_main(argc, argv, "process_memory", tests, SKT_COUNT(tests));
}
