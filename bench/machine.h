/* What the figures were taken on, and how good the moment was. */
#ifndef BENCH_MACHINE_H
#define BENCH_MACHINE_H

enum {
    BENCH_PROBES_MAX = 64
};

struct bench_machine {
    char cpu[128];                 /* model */
    char system[160];              /* kernel and its version */
    char commit[80];               /* of the source tree; "unknown" outside git */
    char date[32];                 /* UTC, ISO 8601 */
    int cpus;                      /* in this process's affinity mask */
    double gain[BENCH_PROBES_MAX]; /* what two threads gave over one, each time it was tried */
    int nr_gains;
};

/** Below this gain the machine is shared with someone who needs it. */
#define BENCH_GAIN_GOOD 1.75

void bench_machine_read(struct bench_machine *m);

/** MiB of memory that may be used at this moment; a large number where the system does not tell. */
double bench_machine_free_mib(void);

/** Runs the same serial work in one thread, then in two at once, and notes the gain: 2 on a quiet
 * machine of two cores or more. The best of a few tries, 30 to 200 ms. Nothing on one CPU. */
void bench_machine_probe(struct bench_machine *m);

#endif
