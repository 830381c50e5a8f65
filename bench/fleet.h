/* The runners: long-lived processes, one for each rival and compiler, which the driver asks to run
 * kernels. Only the one that is asked runs; all others are stopped (SIGSTOP), because an OpenMP
 * runtime's threads go on spinning after a region, and would take the CPUs of whoever is next. */
#ifndef BENCH_FLEET_H
#define BENCH_FLEET_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum bench_rival {
    BENCH_SERIAL,
    BENCH_SKUA,
    BENCH_OPENMP,
    BENCH_NR_RIVALS
};

enum bench_family {
    BENCH_GCC,
    BENCH_CLANG,
    BENCH_NR_FAMILIES
};

enum {
    BENCH_RUNNERS = BENCH_NR_RIVALS * BENCH_NR_FAMILIES
};

struct bench_runner {
    enum bench_rival rival;
    enum bench_family family;
    const char *name;  /* openmp-clang */
    const char *label; /* as in the table: libomp */
    char runtime[64];  /* what it says about itself */
    char compiler[96]; /* the same */
    char flags[160];   /* the same */
    bool built;        /* its program exists */
    char why[160];     /* the last thing that went wrong */
    pid_t pid;         /* 0: not running */
    int to, from;      /* its stdin and stdout; valid while pid is not 0 */
};

struct bench_fleet {
    char folder[2048]; /* where the programs are: that of the driver's own */
    struct bench_runner runner[BENCH_RUNNERS];
};

/** Set by SIGINT and SIGTERM. Whoever waits gives up soon. */
extern volatile sig_atomic_t bench_interrupted;

/** Finds the programs beside the driver's own. Starts nothing. Returns how many there are. */
int bench_fleet_open(struct bench_fleet *f);

/** Starts a runner, or does nothing if it runs. Returns 0, or -1 with words in why. */
int bench_runner_start(struct bench_fleet *f, struct bench_runner *r);

/** Lets a runner run, sends it a line, waits for its answer and stops it. The answer, without "ok",
 * goes into reply. Returns 0; or -1 with words in why: it answered "error" (and lives on), or it
 * died or did not answer for timeout seconds (and is gone). */
int bench_runner_ask(struct bench_runner *r, double timeout, char *reply, size_t size,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

/** Kills all runners. */
void bench_fleet_close(struct bench_fleet *f);

const char *bench_rival_name(enum bench_rival rival);
const char *bench_family_name(enum bench_family family);

#endif
