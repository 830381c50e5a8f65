/* The CPU quota, in file trees made for each test: what /proc and /sys look like on machines and in
 * containers of each sort. */
#include "numa/quota.h"

#include <stdio.h>
#include <string.h>

#include "tests/support/harness.h"
#include "tests/support/tree.h"

static char root[SKT_TREE_SIZE];

static int make_root(void **state)
{
    (void)state;
    return skt_tree_make(root);
}

static int remove_root(void **state)
{
    (void)state;
    return skt_tree_remove(root);
}

static void put(const char *path, const char *text)
{
    skt_tree_put(root, path, text);
}

/* In thousandths, so that cmocka can compare and print them. */
static int quota(void)
{
    return (int)(sk_quota_read_from(root) * 1000 + 0.5);
}

static const char mounts_v2[] =
    "22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
    "30 22 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";

static void nothing_to_read_is_no_quota(void **state)
{
    (void)state;
    assert_int_equal(quota(), 0);
    put("/proc/self/cgroup", "0::/a\n");
    put("/proc/self/mountinfo", mounts_v2);
    assert_int_equal(quota(), 0);
}

static void version_2_is_read(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/user.slice/job\n");
    put("/proc/self/mountinfo", mounts_v2);
    put("/sys/fs/cgroup/user.slice/job/cpu.max", "150000 100000\n");
    assert_int_equal(quota(), 1500);
    put("/sys/fs/cgroup/user.slice/job/cpu.max", "5000 50000"); /* and no newline */
    assert_int_equal(quota(), 100);
}

static void max_is_no_quota(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/job\n");
    put("/proc/self/mountinfo", mounts_v2);
    put("/sys/fs/cgroup/job/cpu.max", "max 100000\n");
    assert_int_equal(quota(), 0);
}

static void the_smallest_along_the_path_counts(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/a/b/c\n");
    put("/proc/self/mountinfo", mounts_v2);
    put("/sys/fs/cgroup/a/b/c/cpu.max", "max 100000\n");
    put("/sys/fs/cgroup/a/b/cpu.max", "400000 100000\n");
    assert_int_equal(quota(), 4000);
    put("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
    assert_int_equal(quota(), 2000);
    put("/sys/fs/cgroup/cpu.max", "300000 100000\n"); /* a container's root has one */
    assert_int_equal(quota(), 2000);
    put("/sys/fs/cgroup/a/b/c/cpu.max", "50000 100000\n");
    assert_int_equal(quota(), 500);
    put("/sys/fs/cgroup/a/x/cpu.max", "1000 100000\n"); /* not on the path */
    assert_int_equal(quota(), 500);
}

static void the_group_may_be_the_root(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/\n");
    put("/proc/self/mountinfo", mounts_v2);
    put("/sys/fs/cgroup/cpu.max", "350000 100000\n");
    assert_int_equal(quota(), 3500);
}

static const char mounts_v1[] =
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n"
    "33 31 0:30 / /sys/fs/cgroup/cpuset rw,relatime - cgroup cgroup rw,cpuset\n"
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct\n";

static void version_1_is_read(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "5:cpuset:/wrong\n4:cpu,cpuacct:/job/x\n1:name=systemd:/wrong\n");
    put("/proc/self/mountinfo", mounts_v1);
    put("/sys/fs/cgroup/cpu,cpuacct/wrong/cpu.cfs_quota_us", "1000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/wrong/cpu.cfs_period_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/job/x/cpu.cfs_quota_us", "-1\n");
    put("/sys/fs/cgroup/cpu,cpuacct/job/x/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 0);
    put("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "275000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 2750);
    put("/sys/fs/cgroup/cpu,cpuacct/job/x/cpu.cfs_quota_us", "25000\n");
    assert_int_equal(quota(), 250);
}

static void cpuacct_and_cpuset_are_not_cpu(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "2:cpuacct:/job\n3:cpuset:/job\n");
    put("/proc/self/mountinfo", mounts_v1);
    put("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "100000\n");
    put("/sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 0);
}

static void of_both_versions_the_smaller_counts(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:cpu:/v1\n0::/v2\n");
    put("/proc/self/mountinfo",
        "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n");
    put("/sys/fs/cgroup/cpu/v1/cpu.cfs_quota_us", "300000\n");
    put("/sys/fs/cgroup/cpu/v1/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 3000);
    put("/sys/fs/cgroup/unified/v2/cpu.max", "250000 100000\n");
    assert_int_equal(quota(), 2500);
    put("/sys/fs/cgroup/cpu/v1/cpu.cfs_quota_us", "200000\n");
    assert_int_equal(quota(), 2000);
}

static void a_mount_may_begin_at_the_containers_group(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:cpu:/docker/1f0/inner\n");
    put("/proc/self/mountinfo",
        "32 31 0:29 /docker/1f0 /sys/fs/cgroup/cpu ro - cgroup cgroup rw,cpu\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "200000\n");
    put("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 2000);
    put("/sys/fs/cgroup/cpu/inner/cpu.cfs_quota_us", "150000\n");
    put("/sys/fs/cgroup/cpu/inner/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 1500);
}

static void a_similar_name_is_not_the_mounts_group(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/docker/1f0a/x\n");
    put("/proc/self/mountinfo", "32 31 0:29 /docker/1f0 /cg ro - cgroup2 cgroup2 rw\n");
    put("/cg/cpu.max", "200000 100000\n");
    put("/cg/a/x/cpu.max", "100000 100000\n");
    assert_int_equal(quota(), 2000);
}

static void a_group_outside_the_namespace_is_not_followed(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/../../other\n");
    put("/proc/self/mountinfo", mounts_v2);
    put("/sys/fs/cgroup/cpu.max", "200000 100000\n");
    put("/sys/other/cpu.max", "100000 100000\n");
    assert_int_equal(quota(), 2000);
}

static void mounts_may_be_anywhere(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "0::/job\n");
    put("/proc/self/mountinfo",
        "30 22 0:26 / /my\\040groups\\134x rw shared:4 master:1 - cgroup2 none rw\n");
    put("/my groups\\x/job/cpu.max", "125000 100000\n");
    assert_int_equal(quota(), 1250);
}

static void the_usual_places_are_tried_without_mountinfo(void **state)
{
    (void)state;
    put("/proc/self/cgroup", "4:cpu:/v1\n0::/v2\n");
    put("/sys/fs/cgroup/unified/v2/cpu.max", "400000 100000\n");
    assert_int_equal(quota(), 4000);
    put("/sys/fs/cgroup/v2/cpu.max", "300000 100000\n");
    assert_int_equal(quota(), 3000);
    put("/sys/fs/cgroup/cpu/v1/cpu.cfs_quota_us", "200000\n");
    put("/sys/fs/cgroup/cpu/v1/cpu.cfs_period_us", "100000\n");
    assert_int_equal(quota(), 2000);
}

static void long_lines_are_passed_over(void **state)
{
    (void)state;
    static char text[3 * 20000];
    size_t length = 0;
    for (int line = 0; line < 3; line++) { /* overlay mounts with many layers, then the one */
        length += (size_t)sprintf(text + length, "22 1 8:1 / /a%d rw - overlay none ", line);
        memset(text + length, 'x', (size_t)(4000 + 5000 * line));
        length += (size_t)(4000 + 5000 * line);
        text[length++] = '\n';
    }
    strcpy(text + length, mounts_v2);
    put("/proc/self/mountinfo", text);
    put("/proc/self/cgroup", "0::/job\n");
    put("/sys/fs/cgroup/job/cpu.max", "150000 100000\n");
    assert_int_equal(quota(), 1500);
}

static void nonsense_is_no_quota(void **state)
{
    (void)state;
    static const char *const texts[] = { "",        "\n",      "rubbish", "0 100000", "100000",
                                         "1000 0",  "1000 -5", "-1 1000", "max",      "max max",
                                         "100 max", "\n1 1\n", " ",       "9e9 9e9" };
    put("/proc/self/mountinfo", mounts_v2);
    put("/proc/self/cgroup", "0::/job\n");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        put("/sys/fs/cgroup/job/cpu.max", texts[i]);
        assert_int_equal(quota(), 0);
    }
    static const char *const groups[] = { "",    "\n",     ":",     "::",  "0:",
                                          "0::", "0::job", "4:cpu", ":::/" };
    put("/sys/fs/cgroup/job/cpu.max", "100000 100000");
    for (size_t i = 0; i < sizeof groups / sizeof *groups; i++) {
        put("/proc/self/cgroup", groups[i]);
        assert_int_equal(quota(), 0);
    }
    put("/proc/self/cgroup", "0::/job\n");
    put("/proc/self/mountinfo",
        "\n - \n1 2 3 4 - cgroup2\n1 2 3 4 5 - \n1 - cgroup\n\\0 \\9 - x y z");
    assert_int_equal(quota(), 1000); /* of the usual place */
}

static void this_process_has_some_quota_or_none(void **state)
{
    (void)state;
    assert_true(sk_quota_read() >= 0);
}

#define IN_TREE(test) cmocka_unit_test_setup_teardown(test, make_root, remove_root)

int main(void)
{
    static const struct CMUnitTest tests[] = {
        IN_TREE(nothing_to_read_is_no_quota),
        IN_TREE(version_2_is_read),
        IN_TREE(max_is_no_quota),
        IN_TREE(the_smallest_along_the_path_counts),
        IN_TREE(the_group_may_be_the_root),
        IN_TREE(version_1_is_read),
        IN_TREE(cpuacct_and_cpuset_are_not_cpu),
        IN_TREE(of_both_versions_the_smaller_counts),
        IN_TREE(a_mount_may_begin_at_the_containers_group),
        IN_TREE(a_similar_name_is_not_the_mounts_group),
        IN_TREE(a_group_outside_the_namespace_is_not_followed),
        IN_TREE(mounts_may_be_anywhere),
        IN_TREE(the_usual_places_are_tried_without_mountinfo),
        IN_TREE(long_lines_are_passed_over),
        IN_TREE(nonsense_is_no_quota),
        cmocka_unit_test(this_process_has_some_quota_or_none),
    };
    return cmocka_run_group_tests_name("numa/quota", tests, NULL, NULL);
}
