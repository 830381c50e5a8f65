/* The out-of-memory killer: counts in file trees of each sort, circumstantial evidence, and where
 * the test may make a cgroup of its own, a real case. */
#define _GNU_SOURCE
#include "process/oom.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/child.h"
#include "tests/support/harness.h"
#include "tests/support/tree.h"

#define MIB ((uint64_t)1 << 20)

static char root[SKT_TREE_SIZE];

static int make_root(void **state)
{
    return skt_tree_make(root) != 0 ? -1 : skt_begin(state);
}

static int remove_root(void **state)
{
    skt_end(state);
    return skt_tree_remove(root);
}

static void put(const char *path, const char *text)
{
    skt_tree_put(root, path, text);
}

/* A machine of 1000 MiB. */
static void put_available(int mebibytes)
{
    char text[200];
    snprintf(text, sizeof text,
             "MemTotal:        1024000 kB\nMemFree:  8 kB\nMemAvailable:  %d kB\n",
             mebibytes * 1024);
    put("/proc/meminfo", text);
}

static struct sk_oom_watch opened(void)
{
    struct sk_oom_watch watch;
    sk_oom_open_from(&watch, root);
    return watch;
}

static int asked(struct sk_oom_watch *watch, uint64_t peak_mebibytes)
{
    return (int)sk_oom_ask_from(watch, root, peak_mebibytes * MIB);
}

static void a_risen_count_is_certain_once(struct sk_oom_watch *watch, const char *path)
{
    put_available(900);
    assert_int_equal(asked(watch, 10), SK_OOM_NO);
    put(path, "low 0\nunder_oom 0\noom_kill 4\n");
    assert_int_equal(asked(watch, 10), SK_OOM_CERTAIN);
    assert_int_equal(asked(watch, 10), SK_OOM_NO);
    put(path, "oom_kill 6\noom_group_kill 9\n");
    assert_int_equal(asked(watch, 0), SK_OOM_CERTAIN);
    put(path, "rubbish\n");
    assert_int_equal(asked(watch, 0), SK_OOM_NO);
}

static void version_2_counts(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/user.slice/job\n");
    put("/proc/self/mountinfo", "30 22 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n");
    put("/sys/fs/cgroup/user.slice/job/memory.events", "low 0\nhigh 0\noom_kill 3\n");
    struct sk_oom_watch watch = opened();
    assert_int_equal(watch.kills, 3);
    a_risen_count_is_certain_once(&watch, "/sys/fs/cgroup/user.slice/job/memory.events");
}

static void version_1_counts(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "5:cpu:/other\n4:memory:/job\n");
    put("/proc/self/mountinfo", "32 31 0:29 / /cg/memory rw - cgroup cgroup rw,memory\n");
    put("/cg/memory/job/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    struct sk_oom_watch watch = opened();
    assert_int_equal(watch.kills, 3);
    a_risen_count_is_certain_once(&watch, "/cg/memory/job/memory.oom_control");
}

/* Version 2 is mounted for systemd alone, and memory is with version 1. */
static void both_versions_may_be_mounted(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:memory:/job\n0::/job\n");
    put("/proc/self/mountinfo", "32 31 0:29 / /cg/memory rw - cgroup cgroup rw,memory\n"
                                "41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n");
    put("/cg/unified/job/cgroup.procs", "1\n");
    put("/cg/memory/job/memory.oom_control", "oom_kill 3\n");
    struct sk_oom_watch watch = opened();
    a_risen_count_is_certain_once(&watch, "/cg/memory/job/memory.oom_control");
}

static void without_counts_scarce_memory_is_likely(void **state)
{
    (void)state;
    static const char *const groups[] = { "", "0::/\n", "0::/job\n", "4:memory:/job\n", "x" };
    for (size_t i = 0; i < SKT_COUNT(groups); i++) {
        put("/proc/self/cgroup", groups[i]);
        struct sk_oom_watch watch = opened();
        put_available(500);
        assert_int_equal(asked(&watch, 470), SK_OOM_LIKELY); /* 30 MiB of 1000 were left */
        assert_int_equal(asked(&watch, 430), SK_OOM_NO);     /* 70 were */
        put_available(5);
        assert_int_equal(asked(&watch, 110), SK_OOM_LIKELY);
        assert_int_equal(asked(&watch, 90), SK_OOM_NO); /* others had more of it */
        assert_int_equal(asked(&watch, 0), SK_OOM_NO);
    }
}

static void without_anything_to_read_there_is_no_evidence(void **state)
{
    (void)state;
    struct sk_oom_watch watch = opened();
    assert_int_equal(asked(&watch, 1000), SK_OOM_NO);
    put("/proc/meminfo", "MemTotal: x\nMemAvailable: 5 kB\n");
    assert_int_equal(asked(&watch, 1000), SK_OOM_NO);
    put("/proc/meminfo", "MemTotal: 1000 kB\n");
    assert_int_equal(asked(&watch, 1000), SK_OOM_NO);
}

static void here_it_can_be_asked(void **state)
{
    (void)state;
    struct sk_oom_watch watch;
    sk_oom_open(&watch);
    assert_int_equal(sk_oom_ask(&watch, 0), SK_OOM_NO);
}

/* --- a real one --- */

static bool write_file(const char *folder, const char *file, const char *text)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, file);
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    const bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0)
        close(fd);
    return done;
}

enum {
    CANNOT = 50 /* exit status of a child that may not, or is not killed */
};

static void eat(size_t size)
{
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory != MAP_FAILED)
        memset(memory, 1, size);
    _exit(CANNOT);
}

/* Moves to the new cgroup, and loses a child there. */
static int child_in_cgroup(void *arg)
{
    const char *folder = arg;
    struct sk_oom_watch watch;
    int status;
    if (!write_file(folder, "cgroup.procs", "0\n"))
        return CANNOT;
    sk_oom_open(&watch);
    if (watch.folder[0] == '\0' || sk_oom_ask(&watch, 1) != SK_OOM_NO)
        return 1;
    const pid_t pid = fork();
    if (pid == 0)
        eat(200 * MIB);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 2;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        return CANNOT;
    return sk_oom_ask(&watch, 1) == SK_OOM_CERTAIN ? 0 : 3;
}

static void a_real_kill_is_certain(void **state)
{
    (void)state;
    struct sk_oom_watch watch;
    char folder[600];
    sk_oom_open(&watch);
    if (watch.folder[0] == '\0' || skt_has_asan() || skt_has_tsan())
        skip();
    snprintf(folder, sizeof folder, "%s/skua-oom-%ld", watch.folder, (long)getpid());
    if (mkdir(folder, 0700) != 0)
        skip();
    const char *limit = watch.version == 2 ? "memory.max" : "memory.limit_in_bytes";
    const bool limited = write_file(folder, limit, "50000000\n");
    write_file(folder, "memory.swap.max", "0\n");
    write_file(folder, "memory.memsw.limit_in_bytes", "50000000\n");
    const int status = limited ? skt_fork(child_in_cgroup, folder).status : CANNOT;
    while (rmdir(folder) != 0 && errno == EBUSY) /* until the kernel has buried its processes */
        continue;
    if (status == CANNOT)
        skip();
    assert_int_equal(status, 0);
}

#define IN_TREE(test)                                                                              \
    ((struct CMUnitTest){ #test, test, make_root, remove_root, &(struct skt_case){ #test, 1 } })

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        IN_TREE(version_2_counts),
        IN_TREE(version_1_counts),
        IN_TREE(both_versions_may_be_mounted),
        IN_TREE(without_counts_scarce_memory_is_likely),
        IN_TREE(without_anything_to_read_there_is_no_evidence),
        SKT_TEST(here_it_can_be_asked),
        SKT_TEST(a_real_kill_is_certain),
    };
    return skt_main(argc, argv, "process/oom", tests, SKT_COUNT(tests));
}
