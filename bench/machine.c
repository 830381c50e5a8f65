/* What the figures were taken on. A machine that is shared with others makes any figure of two
 * workers meaningless, so the gain of two independent serial runs is measured before each
 * kernel. */
#include "bench/machine.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "bench/kernels/kernel.h"

#ifndef BENCH_SOURCE_DIR
#define BENCH_SOURCE_DIR "."
#endif

static void chop(char *line)
{
    line[strcspn(line, "\n")] = '\0';
}

static void read_cpu(struct bench_machine *m)
{
    char line[256];
    snprintf(m->cpu, sizeof m->cpu, "unknown CPU");
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL)
            continue;
        chop(line);
        snprintf(m->cpu, sizeof m->cpu, "%.120s", colon + 2);
        break;
    }
    if (f != NULL)
        fclose(f);
}

static void read_commit(struct bench_machine *m)
{
    FILE *f = popen("git -C '" BENCH_SOURCE_DIR "' describe --always --dirty 2>/dev/null", "r");
    if (f == NULL || fgets(m->commit, sizeof m->commit, f) == NULL)
        snprintf(m->commit, sizeof m->commit, "unknown");
    chop(m->commit);
    if (f != NULL)
        pclose(f);
}

/* CPU_COUNT of a set that is large enough for any machine. */
static int allowed_cpus(void)
{
    const int max = 8192;
    cpu_set_t *set = CPU_ALLOC(max);
    int n = 1;
    if (set != NULL && sched_getaffinity(0, CPU_ALLOC_SIZE(max), set) == 0)
        n = CPU_COUNT_S(CPU_ALLOC_SIZE(max), set);
    if (set != NULL)
        CPU_FREE(set);
    return n;
}

void bench_machine_read(struct bench_machine *m)
{
    *m = (struct bench_machine){ 0 };
    read_cpu(m);
    read_commit(m);
    struct utsname u;
    if (uname(&u) == 0)
        snprintf(m->system, sizeof m->system, "%.32s %.64s %.32s", u.sysname, u.release, u.machine);
    const time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc) != NULL)
        strftime(m->date, sizeof m->date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    m->cpus = allowed_cpus();
}

double bench_machine_free_mib(void)
{
    char line[128];
    double kib = 1e12;
    FILE *f = fopen("/proc/meminfo", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "MemAvailable: %lf", &kib) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return kib / 1024;
}

enum {
    TRIES = 4 /* a new thread may share its maker's CPU for some ms, which is nobody's load */
};

/* A real call on a volatile cell: a compiler that sees what two calls do might do it once. */
static __attribute__((noinline)) void *work(void *arg)
{
    volatile uint64_t *cell = arg;
    uint64_t x = *cell;
    for (int i = 0; i < 4000000; i++)
        x = bench_mix(x);
    *cell = x;
    return NULL;
}

static double gain_once(void)
{
    uint64_t a = 1, b = 2;
    const double begin = bench_now();
    work(&a);
    const double middle = bench_now();
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, &b) != 0)
        return 0;
    work(&a);
    pthread_join(thread, NULL);
    return 2 * (middle - begin) / (bench_now() - middle);
}

void bench_machine_probe(struct bench_machine *m)
{
    if (m->cpus < 2 || m->nr_gains == BENCH_PROBES_MAX)
        return;
    double best = 0;
    for (int i = 0; i < TRIES && best < BENCH_GAIN_GOOD; i++) {
        const double gain = gain_once();
        best = gain > best ? gain : best;
    }
    m->gain[m->nr_gains++] = best;
}
