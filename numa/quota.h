/* The cgroup CPU quota of this process: v2 cpu.max, or v1 cpu.cfs_quota_us, the smallest along the
 * path from the process's cgroup to the root. */
#ifndef SK_NUMA_QUOTA_H
#define SK_NUMA_QUOTA_H

/* In CPUs; 0 where there is none or it cannot be read. */
double sk_quota_read(void);
/* The same below another root, for tests: root/proc/self/{cgroup,mountinfo} and, below root too,
 * the mount points named there; where mountinfo names none, the usual ones in
 * root/sys/fs/cgroup. */
double sk_quota_read_from(const char *root);

#endif
