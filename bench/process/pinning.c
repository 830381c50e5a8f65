/* Latencies between two processes depend on whether they share a CPU, so they are measured with the
 * caller on the first CPU that may be used and the workers on the second. A pool has no option for
 * that. But its processes are forked off, and inherit their maker's CPU: so the pool is made by a
 * thread on the second CPU, and then all threads of this process, those the pool has just started
 * included, move to the first. With a single CPU nothing is pinned. */
#include "bench/process/pinning.h"

#include <ctype.h>
#include <dirent.h>
#include <sched.h>
#include <stdlib.h>

static cpu_set_t all, callers, workers;

void bench_pin_open(void)
{
    CPU_ZERO(&all);
    CPU_ZERO(&callers);
    CPU_ZERO(&workers);
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    int seen = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE && seen < 2; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, seen++ == 0 ? &callers : &workers);
    if (seen < 2)
        callers = workers = all;
}

static void move_all(const cpu_set_t *where)
{
    DIR *threads = opendir("/proc/self/task");
    if (threads == NULL) {
        sched_setaffinity(0, sizeof *where, where);
        return;
    }
    for (const struct dirent *e; (e = readdir(threads)) != NULL;)
        if (isdigit((unsigned char)e->d_name[0]))
            sched_setaffinity(atoi(e->d_name), sizeof *where, where);
    closedir(threads);
}

void bench_pin_maker(void)
{
    sched_setaffinity(0, sizeof workers, &workers);
}

void bench_pin_callers(void)
{
    move_all(&callers);
}

void bench_pin_caller(void)
{
    sched_setaffinity(0, sizeof callers, &callers);
}

void bench_pin_undo(void)
{
    move_all(&all);
}
