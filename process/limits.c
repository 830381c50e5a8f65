#define _GNU_SOURCE
/* Memory limits of workers.
 *
 * The problem. A task that eats all memory must be the failure of one future, and not of the
 * machine. What is to be limited is the memory that the worker alone has: shared buffers are the
 * program's.
 *
 * The idea. Two fences. RLIMIT_DATA counts private memory that may be written, touched or not: an
 * allocation far too large fails at once, and malloc() returns NULL as it should. It is an eighth
 * looser than the limit, so that a worker which comes close in small steps meets the second fence
 * first: its resident private memory is looked at again and again, the more often the closer it is,
 * and it is killed when it has passed the limit. The looks come so close together that at 8 GiB/s,
 * more than one thread gets of fresh pages, it passes by no more than it can touch in 1 ms.
 *
 * What was mapped and not touched when the worker began, such as the stacks and arenas that it
 * inherits, is not charged: the limit is what RLIMIT_DATA counts there, with what may be touched in
 * addition. Rejected: RLIMIT_AS, which counts reservations that cost nothing, such as the shared
 * heap's 2 TiB; RLIMIT_RSS, which Linux does not have; a cgroup for each worker, which most users
 * may not make; /proc/PID/smaps_rollup, which is exact, but walks all page tables. */
#include "process/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define LOOK_MIN_NS         1000000
#define LOOK_MAX_NS         20000000
#define TOUCHED_BYTES_IN_MS ((uint64_t)8 << 20) /* and no more: see above */

int sk_limits_open(pid_t pid)
{
    char path[64] = "/proc/self/statm";
    if (pid != 0)
        snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

/* A line such as "1234 567 89 1 0 345 0", in pages: size, resident, shared, text, 0, data, 0. A
 * process that is gone, or a zombie, gives nothing or zeros. */
bool sk_limits_read(int fd, struct sk_limits_use *use)
{
    char text[200];
    *use = (struct sk_limits_use){ 0 };
    const ssize_t got = pread(fd, text, sizeof text - 1, 0);
    if (got <= 0)
        return false;
    text[got] = '\0';
    uint64_t fields[6];
    const char *at = text;
    for (int i = 0; i < 6; i++) {
        char *end;
        fields[i] = strtoull(at, &end, 10);
        if (end == at)
            return false;
        at = end;
    }
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    if (fields[1] > fields[2]) /* they are not counted in one moment */
        use->private_bytes = (fields[1] - fields[2]) * page;
    use->data_bytes = fields[5] * page;
    return fields[0] > 0;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    return a <= UINT64_MAX - b ? a + b : UINT64_MAX;
}

int sk_limits_set(uint64_t limit_bytes)
{
    struct sk_limits_use use;
    const int fd = sk_limits_open(0);
    if (fd < 0)
        return fd;
    const bool was_read = sk_limits_read(fd, &use);
    close(fd);
    if (!was_read)
        return -EIO;
    if (use.private_bytes >= limit_bytes)
        return -EDOM;

    const uint64_t untouched =
        use.data_bytes > use.private_bytes ? use.data_bytes - use.private_bytes : 0;
    const rlim_t wanted = add(untouched, add(limit_bytes, limit_bytes / 8));
    struct rlimit limit;
    if (getrlimit(RLIMIT_DATA, &limit) != 0)
        return -errno;
    if (limit.rlim_cur > wanted)
        limit.rlim_cur = wanted;
    if (limit.rlim_max > wanted)
        limit.rlim_max = wanted; /* a task shall not lift it */
    return setrlimit(RLIMIT_DATA, &limit) == 0 ? 0 : -errno;
}

int64_t sk_limits_next_look_ns(uint64_t used_bytes, uint64_t limit_bytes)
{
    const uint64_t left = used_bytes < limit_bytes ? limit_bytes - used_bytes : 0;
    if (left >= TOUCHED_BYTES_IN_MS * (LOOK_MAX_NS / 1000000))
        return LOOK_MAX_NS;
    const int64_t ns = (int64_t)(left * 1000000 / TOUCHED_BYTES_IN_MS);
    return ns < LOOK_MIN_NS ? LOOK_MIN_NS : ns;
}
