/* Arguments and results of all sizes. Up to 4 KiB they lie in the channel, larger ones in shared
 * memory of their own: the sizes here are on both sides of each bound, and of a page. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

/* Both sides make the same bytes from a size. */
static unsigned char byte_at(size_t size, size_t i)
{
    return (unsigned char)((size * 31 + i * 7 + (i >> 12)) & 0xff);
}

static void fill(unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(size, i);
}

static size_t nr_wrong(const unsigned char *bytes, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < size; i++)
        n += bytes[i] != byte_at(size, i);
    return n;
}

/* Whose argument begins with its size. */
static int check_argument(void *arg, void *result)
{
    size_t size;
    memcpy(&size, arg, sizeof size);
    unsigned char *bytes = (unsigned char *)arg + sizeof size;
    *(size_t *)result = nr_wrong(bytes, size);
    memset(arg, 0, sizeof size + size); /* it is the task's own copy */
    return 0;
}

static int make_result(void *arg, void *result)
{
    fill(result, *(size_t *)arg);
    return 0;
}

static const size_t sizes[] = { 1,     7,     64,      65,   256,     1000, 2048,  4064,
                                4088,  4095,  4096,    4097, 4104,    8192, 12289, 65535,
                                65536, 65537, 1 << 20, 100,  1 << 18, 5000, 3,     (1 << 20) + 1 };

static void check_an_argument_of(skua_executor *ex, size_t size)
{
    unsigned char *arg = malloc(sizeof size + size);
    assert_non_null(arg);
    memcpy(arg, &size, sizeof size);
    fill(arg + sizeof size, size);
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = check_argument,
                                                        .arg = arg,
                                                        .arg_size = sizeof size + size,
                                                        .result_size = sizeof(size_t) });
    free(arg);
    size_t wrong = 1;
    assert_status(skua_result(f, &wrong, sizeof wrong, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(wrong, 0);
    skua_release(f);
}

static void arguments_of_all_sizes_arrive(void **state)
{
    skua_executor *ex = skt_processes(state);
    for (size_t i = 0; i < SKT_COUNT(sizes); i++)
        check_an_argument_of(ex, sizes[i]);
    skua_close(ex);
}

static skua_future *submit_result_of(skua_executor *ex, size_t size)
{
    return skua_submit_task(
        ex, &(skua_task){
                .fn = make_result, .arg = &size, .arg_size = sizeof size, .result_size = size });
}

static void check_a_result(skua_future *f, size_t size)
{
    unsigned char *out = malloc(size);
    assert_non_null(out);
    assert_status(skua_result(f, out, size, SKUA_FOREVER), SKUA_OK);
    assert_int_equal(nr_wrong(out, size), 0);
    skua_release(f);
    free(out);
}

static void results_of_all_sizes_arrive(void **state)
{
    skua_executor *ex = skt_processes(state);
    skua_future *fs[SKT_COUNT(sizes)];
    for (size_t i = 0; i < SKT_COUNT(sizes); i++)
        fs[i] = submit_result_of(ex, sizes[i]);
    for (size_t i = 0; i < SKT_COUNT(sizes); i++)
        check_a_result(fs[i], sizes[i]);
    skua_close(ex);
}

static void large_results_outlive_the_pool(void **state)
{
    skua_executor *ex = skt_processes(state);
    skua_future *f = submit_result_of(ex, 3 << 20);
    skua_close(ex);
    check_a_result(f, 3 << 20);
}

/* 100 MiB there and 100 MiB back, at the same time. */
static int negate(void *arg, void *result)
{
    const unsigned char *from = arg;
    unsigned char *to = result;
    const size_t size = (size_t)100 << 20;
    for (size_t i = 0; i < size; i++)
        to[i] = (unsigned char)~from[i];
    return 0;
}

static void a_hundred_mebibytes_go_there_and_back(void **state)
{
    skua_executor *ex = skt_processes(state);
    const size_t size = (size_t)100 << 20;
    unsigned char *bytes = malloc(size);
    assert_non_null(bytes);
    for (size_t i = 0; i < size; i += 4096)
        memset(bytes + i, (int)(i >> 12), 4096);
    skua_future *f = skua_submit_task(
        ex, &(skua_task){ .fn = negate, .arg = bytes, .arg_size = size, .result_size = size });
    assert_status(skua_result(f, bytes, size, SKUA_FOREVER), SKUA_OK);
    size_t wrong = 0;
    for (size_t i = 0; i < size; i += 64)
        wrong += bytes[i] != (unsigned char)~(i >> 12);
    assert_int_equal(wrong, 0);
    skua_release(f);
    free(bytes);
    skua_close(ex);
}

/* What is in flight beside is right, and what a crashed task had is given back: many
 * times over, memory does not grow. */
static int crash_with_a_large_result(void *arg, void *result)
{
    memset(result, 1, (size_t)1 << 20);
    return skt_crash(arg, result);
}

static void crashes_with_large_payloads_leak_nothing(void **state)
{
    skua_executor *ex = skt_processes(state);
    unsigned char *arg = calloc(1, 1 << 20);
    assert_non_null(arg);
    size_t after_ten = 0;
    const int rounds = skt_rounds(60) + 10;
    for (int i = 0; i < rounds; i++) {
        skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = crash_with_a_large_result,
                                                            .arg = arg,
                                                            .arg_size = 1 << 20,
                                                            .result_size = 1 << 20 });
        skua_future *beside = submit_result_of(ex, 1 << 16);
        const skua_error *e = skua_exception(f, SKUA_FOREVER);
        assert_non_null(e);
        assert_status(e->status, SKUA_CRASHED);
        skua_release(f);
        check_a_result(beside, 1 << 16);
        if (i == 9)
            after_ten = skt_private_bytes(getpid());
    }
    if (!skt_has_asan() && !skt_has_tsan()) /* whose allocators keep what was freed */
        assert_true(skt_private_bytes(getpid()) < after_ten + (8 << 20));
    free(arg);
    skua_close(ex);
}

static void payloads_beyond_the_limit_are_refused_with_words(void **state)
{
    skua_executor *ex = skt_processes(state);
    char byte = 0;
    const size_t limit = (size_t)1 << 30;
    const skua_task tasks[] = {
        { .fn = skt_nothing, .arg = &byte, .arg_size = limit + 1 },
        { .fn = skt_nothing, .result_size = limit + 1 },
        { .fn = skt_nothing, .arg = &byte, .arg_size = SIZE_MAX },
        { .fn = skt_nothing, .result_size = SIZE_MAX },
        { .fn = skt_nothing, .arg = &byte, .arg_size = SIZE_MAX / 2, .result_size = SIZE_MAX / 2 },
    };
    for (size_t i = 0; i < SKT_COUNT(tasks); i++) {
        skua_future *f = skua_submit_task(ex, &tasks[i]);
        assert_true(skua_done(f));
        const skua_error *e = skua_exception(f, 0);
        assert_non_null(e);
        print_message("%s\n", e->message);
        assert_status(e->status, SKUA_INVALID);
        assert_non_null(strstr(e->message, "_size"));
        skua_release(f);
    }
    assert_true(skt_works(ex));
    skua_close(ex);
}

/* Wide elements in both: the memory is aligned for all of them. */
static int tell_alignment(void *arg, void *result)
{
    *(size_t *)result = ((uintptr_t)arg | (uintptr_t)result) % _Alignof(max_align_t);
    return 0;
}

static void arguments_and_results_are_aligned(void **state)
{
    skua_executor *ex = skt_processes(state);
    char arg[100] = { 0 };
    for (size_t size = 1; size <= sizeof arg; size++) {
        size_t rest = 1;
        skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = tell_alignment,
                                                            .arg = arg,
                                                            .arg_size = size,
                                                            .result_size = sizeof rest });
        assert_status(skua_result(f, &rest, sizeof rest, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(rest, 0);
        skua_release(f);
    }
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(arguments_of_all_sizes_arrive),
        SKT_EACH(results_of_all_sizes_arrive),
        SKT_TEST(large_results_outlive_the_pool),
        SKT_TEST(a_hundred_mebibytes_go_there_and_back),
        SKT_EACH(crashes_with_large_payloads_leak_nothing),
        SKT_EACH(payloads_beyond_the_limit_are_refused_with_words),
        SKT_EACH(arguments_and_results_are_aligned),
    };
    return skt_main(argc, argv, "process_payload", tests, SKT_COUNT(tests));
}
