/* Shared buffers, seen alike by a process and its children, whenever they were allocated; and what
 * a child may and may not do to them. */
#define _GNU_SOURCE
#include "process/heap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/harness.h"

#define MIB ((size_t)1 << 20)

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static struct sk_heap *opened(void)
{
    struct sk_heap *heap = NULL;
    assert_int_equal(sk_heap_open(&heap), 0);
    assert_non_null(heap);
    return heap;
}

static int nr_descriptors(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += fcntl(fd, F_GETFD) >= 0;
    return n;
}

struct meeting {
    struct sk_heap *heap;
    int to_child[2], to_parent[2]; /* pipes */
    char *shared, *inputs;
};

static int child_sees_and_writes(void *arg)
{
    const struct meeting *m = arg;
    char *blocks[2];
    sk_heap_become_worker(m->heap);
    if (write(m->to_parent[1], "", 1) != 1 ||
        read(m->to_child[0], blocks, sizeof blocks) != sizeof blocks)
        return 1;
    if (strcmp(blocks[0], "from the parent") != 0 || strcmp(blocks[1], "an input") != 0)
        return 2;
    strcpy(blocks[0] + 100, "from the child");
    return 0;
}

static void *allocate_late(void *arg)
{
    struct meeting *m = arg;
    char byte;
    assert_int_equal(read(m->to_parent[0], &byte, 1), 1);
    m->shared = sk_heap_alloc(m->heap, 3 * MIB, false);
    m->inputs = sk_heap_alloc(m->heap, MIB, true);
    strcpy(m->shared, "from the parent");
    strcpy(m->inputs, "an input");
    char *const blocks[2] = { m->shared, m->inputs };
    assert_int_equal(write(m->to_child[1], blocks, sizeof blocks), sizeof blocks);
    return NULL;
}

static void a_block_allocated_after_the_fork_is_shared(void **state)
{
    (void)state;
    struct meeting m = { .heap = opened() };
    assert_int_equal(pipe(m.to_child), 0);
    assert_int_equal(pipe(m.to_parent), 0);
    const pthread_t thread = skt_thread(allocate_late, &m);
    assert_int_equal(skt_fork(child_sees_and_writes, &m).status, 0);
    skt_join(thread);
    assert_string_equal(m.shared + 100, "from the child");
    for (int i = 0; i < 2; i++) {
        close(m.to_child[i]);
        close(m.to_parent[i]);
    }
    sk_heap_close(m.heap);
}

/* In a child: leaves with 0 if the write raises that signal with that code. */
static int wanted_signal, wanted_code;
static char *wanted_address;

static void on_fault(int signo, siginfo_t *info, void *context)
{
    (void)context;
    const bool right = signo == wanted_signal && info->si_addr == wanted_address &&
                       (wanted_code == 0 || info->si_code == wanted_code);
    _exit(right ? 0 : 3);
}

static int faults(char *address, int signo, int code)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };
    wanted_signal = signo;
    wanted_code = code;
    wanted_address = address;
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    *(volatile char *)address = 1;
    return 4; /* it was written */
}

static int child_writes_input(void *arg)
{
    const struct meeting *m = arg;
    sk_heap_become_worker(m->heap);
    return m->inputs[0] != 'i' ? 1 : faults(m->inputs, SIGSEGV, SEGV_ACCERR);
}

static void workers_cannot_write_to_what_they_only_read(void **state)
{
    (void)state;
    struct meeting m = { .heap = opened() };
    m.inputs = sk_heap_alloc(m.heap, 100, true);
    strcpy(m.inputs, "input");
    assert_int_equal(skt_fork(child_writes_input, &m).status, 0);
    assert_string_equal(m.inputs, "input");
    strcpy(m.inputs, "other"); /* and the parent still can */
    sk_heap_close(m.heap);
}

static int child_writes_beyond(void *arg)
{
    const struct meeting *m = arg;
    sk_heap_become_worker(m->heap);
    m->shared[page_size() - 1] = 1;
    return faults(m->shared + page_size(), SIGBUS, 0);
}

static void beyond_the_highest_block_is_no_memory(void **state)
{
    (void)state;
    struct meeting m = { .heap = opened() };
    m.shared = sk_heap_alloc(m.heap, 10, false);
    assert_int_equal(skt_fork(child_writes_beyond, &m).status, 0);
    assert_int_equal(m.shared[page_size() - 1], 1);
    sk_heap_close(m.heap);
}

static int child_uses_descriptors(void *arg)
{
    const struct meeting *m = arg;
    int nr_files = 0;
    for (int fd = 0; fd < 256; fd++) {
        char link[64], target[64] = "";
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        if (readlink(link, target, sizeof target - 1) <= 0 || strstr(target, "skua-") == NULL)
            continue;
        nr_files++;
        if (ftruncate(fd, 0) == 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0)
            return 1;
    }
    const int before = nr_descriptors();
    sk_heap_become_worker(m->heap);
    if (nr_files != 2 || nr_descriptors() != before - 2)
        return 2;
    return 0;
}

static void no_child_can_shrink_it_and_workers_have_no_descriptors(void **state)
{
    (void)state;
    const int before = nr_descriptors();
    struct meeting m = { .heap = opened() };
    m.shared = sk_heap_alloc(m.heap, MIB, false);
    m.inputs = sk_heap_alloc(m.heap, 1, true);
    m.shared[MIB - 1] = m.inputs[0] = 5;
    assert_int_equal(skt_fork(child_uses_descriptors, &m).status, 0);
    assert_int_equal(m.shared[MIB - 1] + m.inputs[0], 10);
    sk_heap_close(m.heap);
    assert_int_equal(nr_descriptors(), before);
}

static int child_is_no_owner(void *arg)
{
    struct meeting *m = arg;
    bool read_only;
    if (sk_heap_alloc(m->heap, 10, false) != NULL || sk_heap_free(m->heap, m->shared, 0))
        return 1;
    sk_heap_settle(m->heap, 100);
    if (!sk_heap_holds(m->heap, m->shared, 1, &read_only))
        return 2;
    const int before = nr_descriptors();
    sk_heap_close(m->heap);
    return nr_descriptors() == before - 2 ? 0 : 3;
}

static void a_forked_process_only_closes_its_copy(void **state)
{
    (void)state;
    struct meeting m = { .heap = opened() };
    char *freed = sk_heap_alloc(m.heap, 10, false);
    m.shared = sk_heap_alloc(m.heap, 10, false);
    freed[0] = m.shared[0] = 3;
    assert_true(sk_heap_free(m.heap, freed, 50));
    assert_int_equal(skt_fork(child_is_no_owner, &m).status, 0);
    assert_int_equal(m.shared[0], 3);
    assert_int_equal(freed[0], 3); /* in limbo here, whatever the child was told */
    assert_true(sk_heap_free(m.heap, m.shared, 50));
    sk_heap_close(m.heap);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_block_allocated_after_the_fork_is_shared),
        SKT_TEST(workers_cannot_write_to_what_they_only_read),
        SKT_TEST(beyond_the_highest_block_is_no_memory),
        SKT_TEST(no_child_can_shrink_it_and_workers_have_no_descriptors),
        SKT_TEST(a_forked_process_only_closes_its_copy),
    };
    return skt_main(argc, argv, "process/heap_children", tests, SKT_COUNT(tests));
}
