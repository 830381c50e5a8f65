#define _GNU_SOURCE
/* The cgroup CPU quota.
 *
 * The problem. A container with "1.5 CPUs" on a machine of 64 cores may still run on all 64 of
 * them: nothing in the affinity mask or the cpuset tells, and 64 workers would be stopped together
 * for most of each period. The limit is written in the cgroup file system, in the group of the
 * process or in any group above it.
 *
 * The idea. From the group's folder all folders up to the mount's are read, and the smallest quota
 * counts, since each group is throttled by itself. Version 2 (cpu.max) and version 1
 * (cpu.cfs_quota_us, cpu.cfs_period_us) may be mounted both, so both are read. What cannot be read
 * counts as no quota. Rejected: sysconf(_SC_NPROCESSORS_ONLN) and the cpu.stat counters, which do
 * not tell. */
#include "numa/quota.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numa/cgroup.h"

/* Two integers, one after the other in one file or one in each of two; a missing one is 0, and
 * "max" is not positive. */
static void read_pair(const char *root, const char *folder, const char *const names[2],
                      long long values[2])
{
    values[0] = values[1] = 0;
    for (int i = 0; i < 2 && names[i] != NULL; i++) {
        char text[64];
        char *rest = NULL;
        if (sk_cgroup_read(root, folder, names[i], text, sizeof text) < 0)
            return;
        text[strcspn(text, "\n")] = '\0';
        values[i] = strtoll(text, &rest, 10);
        if (names[1] == NULL)
            values[1] = strtoll(rest, NULL, 10);
    }
}

/* The quota written in one folder, in CPUs; 0 if none. */
static double folder_quota(const char *root, const char *folder, int version)
{
    static const char *const names[2][2] = { { "cpu.cfs_quota_us", "cpu.cfs_period_us" },
                                             { "cpu.max", NULL } };
    long long values[2];
    read_pair(root, folder, names[version - 1], values);
    return values[0] > 0 && values[1] > 0 ? (double)values[0] / (double)values[1] : 0;
}

static double smaller(double a, double b)
{
    return a <= 0 || (b > 0 && b < a) ? b : a;
}

/* The smallest quota from mount + group up to the mount itself. */
static double path_quota(const char *root, const char *mount, const char *group, int version)
{
    char folder[2 * SK_CGROUP_PATH];
    size_t top = strlen(mount);
    snprintf(folder, sizeof folder, "%s%s", mount, group);
    double quota = 0;
    for (;;) {
        quota = smaller(quota, folder_quota(root, folder, version));
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash < folder + top)
            return quota;
        *slash = '\0';
    }
}

static double version_quota(const char *root, int version)
{
    struct sk_cgroup group;
    double quota = 0;
    if (sk_cgroup_find(root, version, "cpu", &group))
        for (const char *const *mount = group.mounts; *mount != NULL; mount++)
            quota = smaller(quota, path_quota(root, *mount, group.group, version));
    return quota;
}

double sk_quota_read_from(const char *root)
{
    return smaller(version_quota(root, 1), version_quota(root, 2));
}

double sk_quota_read(void)
{
    return sk_quota_read_from("");
}
