/* Where the control groups of this process are in the file system, and what is written there. */
#ifndef SK_NUMA_CGROUP_H
#define SK_NUMA_CGROUP_H

#include <stdbool.h>
#include <stddef.h>

enum {
    SK_CGROUP_PATH = 4096 /* bytes of a path, NUL included */
};

struct sk_cgroup {
    const char *mounts[3];      /* where its hierarchy is mounted, or may be; NULL ends */
    char group[SK_CGROUP_PATH]; /* its path below them, "" or beginning with a slash */
    char mount[SK_CGROUP_PATH]; /* what mounts[0] is where mountinfo names it; else "" */
};

/* Finds the group of a controller: "cpu" or "memory", in version 1, or any in version 2. False if
 * there is none. root: "" but for tests, which have root/proc/self/{cgroup,mountinfo}. *group must
 * stay where it is. */
bool sk_cgroup_find(const char *root, int version, const char *controller, struct sk_cgroup *group);

/* The beginning of a file, read at once: -1 if it cannot be, else its bytes, a NUL behind them. */
int sk_cgroup_read(const char *root, const char *folder, const char *file, char *text, size_t size);

#endif
