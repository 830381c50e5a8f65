/* Tasks that ruin their own process and all it has in common with the parent. How such a task ends
 * is open in many cases; that it ends, and that everything else is right afterwards, is not. A task
 * that may never end by itself has a time_limit. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/process.h"

/* Descriptors of whoever started this program are not to be harmed. */
static bool was_there[1024];

static void *arg_of(intptr_t n)
{
    return (void *)n;
}

/* ---- descriptors ----------------------------------------------------------------------------- */

static int close_everything(void *arg, void *result)
{
    (void)result;
    for (int fd = arg != NULL ? 0 : 3; fd < 1024; fd++)
        close(fd);
    return 0;
}

static void a_task_may_close_every_descriptor(void **state)
{
    skt_survive(skt_workers(state), close_everything, NULL, 0);
    skt_survive(skt_workers(state), close_everything, arg_of(1), 0);
}

/* What is on the descriptors afterwards is somebody else's file. */
static int replace_every_descriptor(void *arg, void *result)
{
    (void)arg;
    (void)result;
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 3; fd < 1024; fd++)
        if (fd != null && !was_there[fd] && fcntl(fd, F_GETFD) >= 0)
            dup2(null, fd);
    return 0;
}

static void a_task_may_replace_every_descriptor(void **state)
{
    skt_survive(skt_workers(state), replace_every_descriptor, NULL, 0);
}

/* If the parent's mapping could shrink, its next look at it would be a SIGBUS. */
static int truncate_every_descriptor(void *arg, void *result)
{
    (void)arg;
    (void)result;
    for (int fd = 3; fd < 1024; fd++) {
        const int seals = fcntl(fd, F_GET_SEALS);
        if (seals < 0 || was_there[fd])
            continue;
        if (ftruncate(fd, 0) == 0)
            return skua_fail(fd, "descriptor %d with seals %#x could be truncated", fd, seals);
    }
    return 0;
}

static void no_memory_shared_with_the_parent_can_be_truncated(void **state)
{
    const skua_status status = skt_survive(skt_workers(state), truncate_every_descriptor, NULL, 1);
    assert_string_not_equal(skua_strstatus(status), "SKUA_FAILED");
}

/* Neither harms the parent: a larger file, and pages that are cleared. */
static int grow_and_punch_every_descriptor(void *arg, void *result)
{
    (void)arg;
    (void)result;
    int nr = 0;
    for (int fd = 3; fd < 1024; fd++) {
        if (was_there[fd] || fcntl(fd, F_GET_SEALS) < 0)
            continue;
        nr += fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 20) == 0;
        nr += ftruncate(fd, (off_t)1 << 42) == 0;
    }
    return nr == 0 ? 0 : skua_fail(nr, "%d changes were possible", nr);
}

static void growing_and_punching_hurts_nobody(void **state)
{
    skt_survive(skt_workers(state), grow_and_punch_every_descriptor, NULL, 1);
}

/* Opened anew through /proc, a descriptor has rights of its own. */
static int truncate_every_descriptor_opened_anew(void *arg, void *result)
{
    (void)arg;
    (void)result;
    for (int fd = 3; fd < 1024; fd++) {
        char path[64];
        if (was_there[fd] || fcntl(fd, F_GET_SEALS) < 0)
            continue;
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const int anew = open(path, O_RDWR | O_CLOEXEC);
        if (anew < 0)
            continue;
        const bool truncated = ftruncate(anew, 0) == 0;
        close(anew);
        if (truncated)
            return skua_fail(fd, "descriptor %d could be opened and truncated", fd);
    }
    return 0;
}

static void nor_when_it_is_opened_anew(void **state)
{
    const skua_status status =
        skt_survive(skt_workers(state), truncate_every_descriptor_opened_anew, NULL, 0);
    assert_string_not_equal(skua_strstatus(status), "SKUA_FAILED");
}

static int write_to_every_descriptor(void *arg, void *result)
{
    static const char noise[256] = "noise that no reader expects";
    (void)arg;
    (void)result;
    for (int fd = 3; fd < 1024; fd++) {
        const int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || was_there[fd] || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
            continue;
        for (int i = 0; i < 100; i++)
            if (write(fd, noise, sizeof noise) <= 0)
                break;
    }
    return 0;
}

static void noise_on_every_descriptor_hurts_nobody(void **state)
{
    skt_survive(skt_workers(state), write_to_every_descriptor, NULL, 1);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* All mappings of which pick says so, which is asked only for those that the task may need. */
static int unmap_some(bool (*pick)(const struct skt_mapping *m, uint32_t *seed), uint32_t seed)
{
    static struct skt_mapping mappings[1024]; /* not on the stack, which may go */
    static struct skt_maps maps;
    size_t n = 0;
    if (!skt_maps_open(&maps, 0))
        return 0;
    while (n < SKT_COUNT(mappings) && skt_maps_next(&maps, &mappings[n]))
        n++;
    skt_maps_close(&maps);
    for (size_t i = 0; i < n; i++) {
        const struct skt_mapping *m = &mappings[i];
        if (strcmp(m->name, "[vsyscall]") != 0 && pick(m, &seed))
            munmap((void *)m->begin, m->end - m->begin);
    }
    return 0;
}

static bool is_stack(const struct skt_mapping *m, uint32_t *seed)
{
    (void)seed;
    return strcmp(m->name, "[stack]") == 0;
}

static int unmap_stack(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return unmap_some(is_stack, 1);
}

static void a_task_may_unmap_its_stack(void **state)
{
    if (skt_has_asan()) {
        print_message("AddressSanitizer reports for ever that it has no stack to report on\n");
        skip();
    }
    assert_status(skt_survive(skt_workers(state), unmap_stack, NULL, 1), SKUA_CRASHED);
}

static bool is_heap(const struct skt_mapping *m, uint32_t *seed)
{
    (void)seed;
    return strcmp(m->name, "[heap]") == 0;
}

static int unmap_heap(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return unmap_some(is_heap, 1);
}

static void a_task_may_unmap_the_heap(void **state)
{
    skt_survive(skt_workers(state), unmap_heap, NULL, 1);
}

static bool is_lucky(const struct skt_mapping *m, uint32_t *seed)
{
    (void)m;
    return skt_random(seed) % 4 == 0;
}

static int unmap_at_random(void *arg, void *result)
{
    (void)result;
    return unmap_some(is_lucky, (uint32_t)(intptr_t)arg);
}

static void a_task_may_unmap_memory_at_random(void **state)
{
    for (int i = 0; i < skt_rounds(10); i++)
        skt_survive(skt_workers(state), unmap_at_random, arg_of(77 + i), 1);
}

static bool is_shared_with_skua(const struct skt_mapping *m, uint32_t *seed)
{
    (void)seed;
    return strstr(m->name, "skua") != NULL && strstr(m->name, "memfd:") != NULL;
}

static int unmap_what_is_skuas(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return unmap_some(is_shared_with_skua, 1);
}

static void a_task_may_unmap_its_channel(void **state)
{
    skt_survive(skt_workers(state), unmap_what_is_skuas, NULL, 1);
}

/* ---- the channel ----------------------------------------------------------------------------- */

static int scribble(void *arg, void *result)
{
    struct skt_maps maps;
    struct skt_mapping m;
    uint32_t seed = (uint32_t)(intptr_t)arg;
    int nr_bytes = 0;
    (void)result;
    if (!skt_maps_open(&maps, 0))
        return 0;
    while (skt_maps_next_channel(&maps, &m))
        for (volatile unsigned char *p = (void *)m.begin; m.writable && (uintptr_t)p < m.end;
             p++, nr_bytes++)
            *p = (unsigned char)skt_random(&seed);
    skt_maps_close(&maps);
    return nr_bytes > 0 ? 0 : skua_fail(1, "found no channel to scribble on");
}

static void noise_on_the_channel_hurts_nobody_else(void **state)
{
    for (int i = 0; i < skt_rounds(10); i++) {
        const skua_status status = skt_survive(skt_workers(state), scribble, arg_of(1001 + i), 1);
        print_message("%s\n", skua_strstatus(status));
    }
}

static void noise_on_the_channel_is_told_as_such(void **state)
{
    struct skt_std s;
    skua_future *f;
    skt_std_open(&s, skt_workers(state));
    const skua_error *e = skt_std_fault(&s, scribble, &f);
    if (e->status == SKUA_CRASHED)
        assert_true(e->fault == SKUA_FAULT_PROTOCOL || e->fault == SKUA_FAULT_SIGNAL);
    else
        assert_null(strstr(e->message, "found no channel"));
    skua_release(f);
    skt_std_close(&s);
}

/* Tells which channels a worker can reach, by their inodes: its own, and no other. */
static int count_channels(void *arg, void *result)
{
    struct skt_maps maps;
    struct skt_mapping m;
    unsigned long inode = 0;
    (void)arg;
    *(int *)result = 0;
    if (!skt_maps_open(&maps, 0))
        return 1;
    while (skt_maps_next_channel(&maps, &m)) {
        *(int *)result += m.inode != inode;
        inode = m.inode;
    }
    skt_maps_close(&maps);
    return 0;
}

static int count_channel_descriptors(void *arg, void *result)
{
    (void)arg;
    *(int *)result = 0;
    for (int fd = 0; fd < 1024; fd++) {
        char path[64], target[128];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const ssize_t n = readlink(path, target, sizeof target - 1);
        if (n > 0)
            target[n] = '\0';
        *(int *)result += n > 0 && strstr(target, "skua-channel") != NULL;
    }
    return 0;
}

static void a_worker_sees_no_channel_but_its_own(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(skt_ask(s.ex, count_channels), 1);
        assert_in_range(skt_ask(s.ex, count_channel_descriptors), 0, 1);
        skua_future *f;
        skt_check_fault(skt_std_fault(&s, skt_crash, &f), SKUA_CRASHED, SKUA_FAULT_NULL_DEREF,
                        SIGSEGV, 0);
        skua_release(f);
        skt_std_check(&s);
    }
    skt_std_close(&s);
}

/* Where the parent has channels there is nothing in a worker, or its own channel. */
struct addresses {
    int nr;
    unsigned long begins[64];
};

static int write_to_the_parents_channels(void *arg, void *result)
{
    const struct addresses *a = arg;
    struct skt_maps maps;
    struct skt_mapping m;
    (void)result;
    for (int i = 0; i < a->nr; i++) {
        bool mapped = false;
        if (!skt_maps_open(&maps, 0))
            return 1;
        while (skt_maps_next(&maps, &m))
            mapped |= a->begins[i] >= m.begin && a->begins[i] < m.end;
        skt_maps_close(&maps);
        if (!mapped)
            *(volatile int *)a->begins[i] = 1;
    }
    return skua_fail(1, "all of the parent's addresses are in use here");
}

static void writing_to_another_workers_channel_is_a_segv(void **state)
{
    struct skt_std s;
    skt_std_open(&s, skt_workers(state));
    struct skt_maps maps;
    struct skt_mapping m;
    struct addresses *a = skua_shared_alloc(s.ex, sizeof *a);
    assert_non_null(a);
    assert_true(skt_maps_open(&maps, 0));
    while (skt_maps_next_channel(&maps, &m) && a->nr < 64)
        a->begins[a->nr++] = m.begin;
    skt_maps_close(&maps);
    assert_true(a->nr >= skt_workers(state));
    skua_future *f = skua_submit(s.ex, write_to_the_parents_channels, a);
    const skua_error *e = skua_exception(f, SKUA_FOREVER);
    assert_non_null(e);
    if (e->status != SKUA_FAILED)
        skt_check_fault(e, SKUA_CRASHED, SKUA_FAULT_SIGNAL, SIGSEGV, 0);
    print_message("%s\n", e->message);
    skua_release(f);
    skua_shared_free(s.ex, a);
    skt_std_close(&s);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(a_task_may_close_every_descriptor),
        SKT_TEST(a_task_may_replace_every_descriptor),
        SKT_EACH(no_memory_shared_with_the_parent_can_be_truncated),
        SKT_TEST(growing_and_punching_hurts_nobody),
        SKT_TEST(nor_when_it_is_opened_anew),
        SKT_TEST(noise_on_every_descriptor_hurts_nobody),
        SKT_TEST(a_task_may_unmap_its_stack),
        SKT_TEST(a_task_may_unmap_the_heap),
        SKT_TEST(a_task_may_unmap_memory_at_random),
        SKT_TEST(a_task_may_unmap_its_channel),
        SKT_TEST(noise_on_the_channel_hurts_nobody_else),
        SKT_TEST(noise_on_the_channel_is_told_as_such),
        SKT_EACH(a_worker_sees_no_channel_but_its_own),
        SKT_EACH(writing_to_another_workers_channel_is_a_segv),
    };
    for (int fd = 0; fd < 1024; fd++)
        was_there[fd] = fcntl(fd, F_GETFD) >= 0;
    return skt_main(argc, argv, "process_sabotage", tests, SKT_COUNT(tests));
}
