/* Memory that all workers see: at one address, without copies, whenever it was allocated. What
 * tasks may only read, and what was freed while they used it, are the cases that could hurt
 * somebody. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/process.h"

struct view {
    void *self; /* where the block lies, as its allocator sees it */
    SK_ATOMIC(int) sum;
    int in;
    int out[9];
};

static int look_and_write(void *arg, void *result)
{
    struct view *v = arg;
    (void)result;
    if (v->self != v)
        return skua_fail(1, "it lies at %p here, at %p there", (void *)v, v->self);
    v->out[skua_worker()] = v->in + 1;
    sk_add_acq_rel(&v->sum, 1);
    return 0;
}

static void expect_success(skua_future *f)
{
    const skua_error *e = skua_exception(f, 30 * skt_slow_factor());
    if (e != NULL)
        print_error("%s: %s\n", e->where, e->message);
    assert_null(e);
    skua_release(f);
}

static void a_block_lies_at_one_address_for_all(void **state)
{
    skua_executor *ex = skt_processes(state);
    static const size_t extra[] = { 0, 1, 4096, 5000, 1 << 20, 100 << 20 };
    for (size_t i = 0; i < SKT_COUNT(extra); i++) {
        struct view *v = skua_shared_alloc(ex, sizeof *v + extra[i]); /* after the start */
        assert_non_null(v);
        v->self = v;
        v->in = 41;
        skua_future *fs[20];
        for (int k = 0; k < 20; k++)
            fs[k] = skua_submit(ex, look_and_write, v);
        for (int k = 0; k < 20; k++)
            expect_success(fs[k]);
        int nr_wrong = 0;
        for (int k = 0; k < skt_workers(state); k++)
            nr_wrong += v->out[k] != 42 && v->out[k] != 0;
        assert_int_equal(nr_wrong, 0);
        assert_int_equal(sk_load_acq(&v->sum), 20);
        skua_shared_free(ex, v);
    }
    skua_close(ex);
}

/* Also in a worker that was there before, in the middle of a task, and in one that comes later. */
struct handed {
    SK_ATOMIC(uintptr_t) block; /* set while the task waits for it */
    SK_ATOMIC(int) began;
};

static int wait_for_a_block(void *arg, void *result)
{
    struct handed *h = arg;
    (void)result;
    sk_add_acq_rel(&h->began, 1);
    uintptr_t block;
    while ((block = sk_load_acq(&h->block)) == 0)
        continue;
    return look_and_write((void *)block, NULL);
}

static void a_running_task_sees_what_is_allocated_meanwhile(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct handed *h = skua_shared_alloc(ex, sizeof *h);
    assert_non_null(h);
    skua_future *f = skua_submit(ex, wait_for_a_block, h);
    skt_counter_wait(&h->began, 1);
    struct view *v = skua_shared_alloc(ex, sizeof *v + (64 << 20));
    assert_non_null(v);
    v->self = v;
    v->in = 1;
    sk_store_rel(&h->block, (uintptr_t)v);
    expect_success(f);
    assert_int_equal(sk_load_acq(&v->sum), 1);
    skua_close(ex);
}

static void crashes_leave_the_memory_as_it_is(void **state)
{
    skua_executor *ex = skt_processes(state);
    struct view *v = skua_shared_alloc(ex, sizeof *v);
    assert_non_null(v);
    v->self = v;
    v->in = 7;
    for (int i = 0; i < 10; i++) {
        skua_future *f = skua_submit(ex, skt_crash, NULL);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_CRASHED);
        skua_release(f);
        expect_success(skua_submit(ex, look_and_write, v));
    }
    assert_int_equal(sk_load_acq(&v->sum), 10);
    skua_close(ex);
}

static int add_often(void *arg, void *result)
{
    (void)result;
    for (int i = 0; i < 10000; i++)
        sk_add_rlx((SK_ATOMIC(int) *)arg, 1);
    return 0;
}

static void atomics_work_across_processes(void **state)
{
    skua_executor *ex = skt_processes(state);
    SK_ATOMIC(int) *sum = skt_counters(ex, 1);
    skua_future *fs[16];
    for (int i = 0; i < 16; i++)
        fs[i] = skua_submit(ex, add_often, sum);
    for (int i = 0; i < 16; i++)
        expect_success(fs[i]);
    assert_int_equal(sk_load_acq(sum), 160000);
    skua_close(ex);
}

static void memory_is_cleared_each_time(void **state)
{
    skua_executor *ex = skt_processes(state);
    static const size_t sizes[] = { 1, 100, 4096, 4097, 3 << 20 };
    for (int round = 0; round < 20; round++) {
        const size_t size = sizes[round % SKT_COUNT(sizes)];
        unsigned char *bytes = skua_shared_alloc(ex, size);
        assert_non_null(bytes);
        size_t dirty = 0;
        for (size_t i = 0; i < size; i++)
            dirty += bytes[i] != 0;
        assert_int_equal(dirty, 0);
        memset(bytes, 0xdd, size);
        skua_shared_free(ex, bytes);
        expect_success(skua_submit(ex, skt_nothing, NULL));
    }
    skua_close(ex);
}

static void bad_requests_are_refused(void **state)
{
    skua_executor *ex = skt_processes(state);
    assert_null(skua_shared_alloc(NULL, 8));
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_null(skua_shared_alloc(ex, 0));
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_null(skua_shared_alloc_with(ex, 8, 64));
    assert_status(skua_last_error()->status, SKUA_INVALID);
    assert_non_null(strstr(skua_last_error()->message, "64"));
    assert_non_null(strstr(skua_last_error()->message, "SKUA_SHARED_RO"));
    assert_null(skua_shared_alloc(ex, SIZE_MAX));
    assert_status(skua_last_error()->status, SKUA_NO_MEMORY);
    assert_null(skua_shared_alloc(ex, SIZE_MAX / 2));
    assert_status(skua_last_error()->status, SKUA_NO_MEMORY);
    skua_shared_free(ex, NULL);
    assert_true(skt_works(ex));
    skua_close(ex);
}

static void threads_have_shared_memory_too(void **state)
{
    skua_executor *ex = skt_pool(state);
    static const int flags[] = { 0, SKUA_SHARED_RO };
    for (size_t i = 0; i < SKT_COUNT(flags); i++) {
        struct view *v = skua_shared_alloc_with(ex, sizeof *v, flags[i]);
        assert_non_null(v);
        v->self = v;
        expect_success(skua_submit(ex, look_and_write, v));
        assert_int_equal(sk_load_acq(&v->sum), 1);
        skua_shared_free(ex, v);
    }
    skua_close(ex);
}

/* ---- read only ------------------------------------------------------------------------------- */

static int sum_a_hundred(void *arg, void *result)
{
    const int *numbers = arg;
    for (int i = 0; i < 100; i++)
        *(int *)result += numbers[i];
    return 0;
}

static int write_to_the_tenth(void *arg, void *result)
{
    (void)result;
    ((volatile int *)arg)[10] = -1;
    return 0;
}

static void what_workers_only_read_they_cannot_write(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    int *numbers = skua_shared_alloc_with(s.ex, 100 * sizeof *numbers, SKUA_SHARED_RO);
    assert_non_null(numbers);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++)
            numbers[i] = i + round;
        skua_future *f = skua_submit_task(
            s.ex, &(skua_task){ .fn = sum_a_hundred, .arg = numbers, .result_size = sizeof(int) });
        int sum = -1;
        assert_status(skua_result(f, &sum, sizeof sum, SKUA_FOREVER), SKUA_OK);
        assert_int_equal(sum, 4950 + 100 * round);
        skua_release(f);
        f = skua_submit(s.ex, write_to_the_tenth, numbers);
        const skua_error *e = skua_exception(f, SKUA_FOREVER);
        assert_non_null(e);
        skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_SIGNAL, SIGSEGV, 0);
        assert_ptr_equal(e->address, &numbers[10]);
        skua_release(f);
        for (int i = 0; i < 100; i++)
            assert_int_equal(numbers[i], i + round);
        skt_std_check(&s);
    }
    skua_shared_free(s.ex, numbers);
    skt_std_close(&s);
}

/* ---- freed in flight ------------------------------------------------------------------------- */

struct user {
    struct skt_shared_gate *gate;
    unsigned char *block;
    size_t size;
};

static int write_after_the_gate(void *arg, void *result)
{
    const struct user *u = arg;
    u->block[0] = 1;
    skt_shared_gate_task(u->gate, NULL);
    memset(u->block, 0x77, u->size);
    for (size_t i = 0; i < u->size; i++)
        *(size_t *)result += u->block[i] != 0x77;
    return 0;
}

/* The task goes on writing to it; that hurts no block that is allocated afterwards. */
static void a_block_may_be_freed_under_a_running_task(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    static const size_t sizes[] = { 4096, 1 << 20 };
    for (size_t k = 0; k < SKT_COUNT(sizes); k++) {
        struct user u = { skt_shared_gate_new(s.ex), skua_shared_alloc(s.ex, sizes[k]), sizes[k] };
        assert_non_null(u.block);
        skua_future *f = skua_submit_task(s.ex, &(skua_task){ .fn = write_after_the_gate,
                                                              .arg = &u,
                                                              .arg_size = sizeof u,
                                                              .result_size = sizeof(size_t) });
        skt_counter_wait(&u.gate->began, 1);
        skua_shared_free(s.ex, u.block);
        unsigned char *later[8];
        for (int i = 0; i < 8; i++) {
            later[i] = skua_shared_alloc(s.ex, u.size);
            assert_non_null(later[i]);
        }
        skt_shared_gate_open(u.gate);
        assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
        skua_release(f);
        size_t dirty = 0;
        for (int i = 0; i < 8; i++) {
            for (size_t b = 0; b < u.size; b++)
                dirty += later[i][b] != 0;
            skua_shared_free(s.ex, later[i]);
        }
        assert_int_equal(dirty, 0);
        skua_shared_free(s.ex, u.gate);
        skt_std_check(&s);
    }
    skt_std_close(&s);
}

/* 200 times 64 MiB, touched, is more than there is to have; all of it comes back. */
static void freed_memory_is_used_again(void **state)
{
    skua_executor *ex = skt_processes(state);
    const size_t size = (size_t)64 << 20;
    for (int i = 0; i < skt_rounds(200); i++) {
        char *block = skua_shared_alloc(ex, size);
        assert_non_null(block);
        for (size_t at = 0; at < size; at += (size_t)1 << 20)
            block[at] = 1;
        expect_success(skua_submit(ex, skt_nothing, NULL));
        skua_shared_free(ex, block);
    }
    skua_close(ex);
}

/* ---- a large array --------------------------------------------------------------------------- */

enum {
    PAGES = 1 << 18, /* 1 GiB */
    EVERY = 64       /* of which so many are left alone for one that is touched */
};

struct column {
    double *in, *out;
    size_t begin, n;
};

/* Touches the first number of some pages. */
static int halve(void *arg, void *result)
{
    const struct column *c = arg;
    for (size_t page = c->begin; page < c->begin + c->n; page += EVERY)
        c->out[page * 512] = c->in[page * 512] / 2;
    *(size_t *)result = skt_private_bytes(getpid());
    return 0;
}

static void a_map_over_a_gibibyte_copies_nothing(void **state)
{
    skua_executor *ex = skt_processes(state);
    double *in = skua_shared_alloc_with(ex, (size_t)PAGES * 4096, SKUA_SHARED_RO);
    double *out = skua_shared_alloc(ex, (size_t)PAGES * 4096);
    assert_non_null(in);
    assert_non_null(out);
    const size_t before = skt_private_bytes(getpid());
    struct column columns[64];
    size_t private_bytes[64];
    for (size_t page = 0; page < PAGES; page += EVERY)
        in[page * 512] = (double)page;
    for (size_t i = 0; i < 64; i++)
        columns[i] = (struct column){ in, out, i * (PAGES / 64), PAGES / 64 };
    assert_status(skua_map(ex, halve, columns, sizeof *columns, private_bytes,
                           sizeof *private_bytes, 64, NULL, 60 * skt_slow_factor()),
                  SKUA_OK);
    size_t nr_wrong = 0, most = 0;
    for (size_t page = 0; page < PAGES; page += EVERY)
        nr_wrong += out[page * 512] != (double)page / 2;
    for (int i = 0; i < 64; i++)
        most = private_bytes[i] > most ? private_bytes[i] : most;
    assert_int_equal(nr_wrong, 0);
    print_message("private: %zu KiB here before, %zu KiB after, %zu KiB at most in workers\n",
                  before >> 10, skt_private_bytes(getpid()) >> 10, most >> 10);
    if (!skt_has_asan() && !skt_has_tsan()) { /* which keep shadows of what is touched */
        assert_true(skt_private_bytes(getpid()) < before + (4 << 20));
        assert_true(most < (size_t)16 << 20);
    }
    skua_shared_free(ex, in);
    skua_shared_free(ex, out);
    skua_close(ex);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_block_lies_at_one_address_for_all),
        SKT_EACH(a_running_task_sees_what_is_allocated_meanwhile),
        SKT_EACH(crashes_leave_the_memory_as_it_is),
        SKT_EACH(atomics_work_across_processes),
        SKT_EACH(memory_is_cleared_each_time),
        SKT_TEST(bad_requests_are_refused),
        SKT_TEST(threads_have_shared_memory_too),
        SKT_EACH(what_workers_only_read_they_cannot_write),
        SKT_EACH(a_block_may_be_freed_under_a_running_task),
        SKT_TEST(freed_memory_is_used_again),
        SKT_EACH(a_map_over_a_gibibyte_copies_nothing),
    };
    return skt_main(argc, argv, "process_shared", tests, SKT_COUNT(tests));
}
