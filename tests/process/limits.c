/* Memory limits: what is counted, and what a limit lets a process have. */
#define _GNU_SOURCE
#include "process/limits.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "tests/support/child.h"
#include "tests/support/harness.h"

#define MIB  ((size_t)1 << 20)
#define NEAR (4 * MIB) /* the kernel counts in batches, and the test itself needs some */

static struct sk_limits_use use_of(pid_t pid)
{
    struct sk_limits_use use;
    const int fd = sk_limits_open(pid);
    assert_true(fd >= 0);
    assert_true(sk_limits_read(fd, &use));
    close(fd);
    return use;
}

static char *map(size_t size, int flags)
{
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | flags, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static void private_memory_counts_when_touched(void **state)
{
    (void)state;
    if (skt_has_tsan())
        skip(); /* which has private memory for each byte of any */
    const struct sk_limits_use before = use_of(0);
    char *memory = map(64 * MIB, MAP_PRIVATE);
    const struct sk_limits_use mapped = use_of(getpid());
    assert_in_range(mapped.data_bytes, before.data_bytes + 64 * MIB,
                    before.data_bytes + 64 * MIB + NEAR);
    assert_in_range(mapped.private_bytes, 0, before.private_bytes + NEAR);
    memset(memory, 1, 64 * MIB);
    const struct sk_limits_use touched = use_of(0);
    assert_in_range(touched.private_bytes, mapped.private_bytes + 60 * MIB,
                    mapped.private_bytes + 68 * MIB);
    munmap(memory, 64 * MIB);
}

static void shared_memory_does_not_count(void **state)
{
    (void)state;
    if (skt_has_tsan())
        skip(); /* which has private memory for each byte of any */
    const struct sk_limits_use before = use_of(0);
    char *memory = map(64 * MIB, MAP_SHARED);
    memset(memory, 1, 64 * MIB);
    const struct sk_limits_use touched = use_of(0);
    assert_in_range(touched.private_bytes, 0, before.private_bytes + NEAR);
    assert_in_range(touched.data_bytes, 0, before.data_bytes + NEAR);
    munmap(memory, 64 * MIB);
}

static int child_leaves(void *arg)
{
    *(pid_t *)arg = getpid();
    return 0;
}

static void a_process_that_is_gone_reads_as_false(void **state)
{
    (void)state;
    pid_t *child = (pid_t *)map(4096, MAP_SHARED);
    int go[2];
    assert_int_equal(pipe(go), 0);
    const pid_t pid = fork();
    if (pid == 0) {
        char byte;
        close(go[1]);
        _exit((int)read(go[0], &byte, 1));
    }
    const int fd = sk_limits_open(pid);
    struct sk_limits_use use;
    assert_true(fd >= 0);
    assert_true(sk_limits_read(fd, &use));
    close(go[0]);
    close(go[1]);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_false(sk_limits_read(fd, &use));
    assert_int_equal(use.private_bytes, 0);
    close(fd);
    assert_int_equal(skt_fork(child_leaves, child).status, 0);
    assert_true(sk_limits_open(*child) < 0);
    munmap(child, 4096);
}

static int child_needs_far_too_much(void *arg)
{
    (void)arg;
    if (sk_limits_set(use_of(0).private_bytes + 64 * MIB) != 0)
        return 1;
    if (map(512 * MIB, MAP_PRIVATE) != NULL || sk_alloc(512 * MIB) != NULL)
        return 2;
    void *small = sk_alloc(8 * MIB); /* and goes on */
    if (small == NULL)
        return 3;
    sk_free(small);
    return map(512 * MIB, MAP_SHARED) != NULL ? 0 : 4;
}

static void an_allocation_far_beyond_the_limit_fails_at_once(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(child_needs_far_too_much, NULL).status, 0);
}

static int child_takes_steps(void *arg)
{
    (void)arg;
    const size_t limit = use_of(0).private_bytes + 64 * MIB;
    if (sk_limits_set(limit) != 0)
        return 1;
    for (size_t taken = 0; taken < 128 * MIB; taken += MIB) {
        char *memory = map(MIB, MAP_PRIVATE);
        const bool passed = use_of(0).private_bytes > limit;
        if (memory == NULL || passed)
            return passed ? 0 : 2; /* the watch must have seen it before the wall was hit */
        memset(memory, 1, MIB);
    }
    return 3;
}

static void steps_pass_the_limit_before_they_fail(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(child_takes_steps, NULL).status, 0);
}

static int child_has_reserves(void *arg)
{
    (void)arg;
    char *reserve = map(1024 * MIB, MAP_PRIVATE | MAP_NORESERVE);
    if (reserve == NULL || sk_limits_set(use_of(0).private_bytes + 32 * MIB) != 0)
        return 1;
    memset(reserve, 1, 16 * MIB); /* the watch would count this, but the wall does not */
    return map(16 * MIB, MAP_PRIVATE) != NULL ? 0 : 2;
}

static void what_was_mapped_before_is_not_charged(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(child_has_reserves, NULL).status, 0);
}

static int child_has_more_already(void *arg)
{
    (void)arg;
    struct rlimit before, after;
    getrlimit(RLIMIT_DATA, &before);
    if (sk_limits_set(1) != -EDOM || sk_limits_set(use_of(0).private_bytes / 2) != -EDOM)
        return 1;
    getrlimit(RLIMIT_DATA, &after);
    return before.rlim_cur == after.rlim_cur && before.rlim_max == after.rlim_max ? 0 : 2;
}

static void a_limit_below_what_is_in_use_is_refused(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(child_has_more_already, NULL).status, 0);
}

static int child_was_limited(void *arg)
{
    const struct rlimit before = { 1024 * MIB * MIB, 2048 * MIB * MIB };
    struct rlimit after;
    (void)arg;
    if (setrlimit(RLIMIT_DATA, &before) != 0 || sk_limits_set(UINT64_MAX) != 0)
        return 1;
    getrlimit(RLIMIT_DATA, &after);
    return after.rlim_cur == before.rlim_cur && after.rlim_max == before.rlim_max ? 0 : 2;
}

static void no_limit_is_lifted(void **state)
{
    (void)state;
    assert_int_equal(skt_fork(child_was_limited, NULL).status, 0);
}

static void looks_come_closer_with_the_limit(void **state)
{
    (void)state;
    const uint64_t limit = 1024 * MIB;
    assert_int_equal(sk_limits_next_look_ns(0, limit), 20000000);
    assert_int_equal(sk_limits_next_look_ns(0, UINT64_MAX), 20000000);
    assert_int_equal(sk_limits_next_look_ns(limit - 80 * MIB, limit), 10000000);
    assert_int_equal(sk_limits_next_look_ns(limit - 9 * MIB, limit), 1125000);
    assert_int_equal(sk_limits_next_look_ns(limit - 1, limit), 1000000);
    assert_int_equal(sk_limits_next_look_ns(limit, limit), 1000000);
    assert_int_equal(sk_limits_next_look_ns(UINT64_MAX, limit), 1000000);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(private_memory_counts_when_touched),
        SKT_TEST(shared_memory_does_not_count),
        SKT_TEST(a_process_that_is_gone_reads_as_false),
        SKT_TEST(an_allocation_far_beyond_the_limit_fails_at_once),
        SKT_TEST(steps_pass_the_limit_before_they_fail),
        SKT_TEST(what_was_mapped_before_is_not_charged),
        SKT_TEST(a_limit_below_what_is_in_use_is_refused),
        SKT_TEST(no_limit_is_lifted),
        SKT_TEST(looks_come_closer_with_the_limit),
    };
    return skt_main(argc, argv, "process/limits", tests, SKT_COUNT(tests));
}
