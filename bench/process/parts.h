/* The parts of the benchmark. Each adds its lines to the table and measures them; what its pool or
 * Python could not do is among the campaign's failures, or the reason why a line is left out. */
#ifndef BENCH_PROCESS_PARTS_H
#define BENCH_PROCESS_PARTS_H

#include <skua/executor.h>
#include <stdint.h>

#include "bench/process/figures.h"
#include "bench/process/python.h"

/** There and back, of one task at a time. */
void bench_roundtrip(struct bench_campaign *c, struct bench_python *python);
/** Ten thousand empty tasks. */
void bench_stream(struct bench_campaign *c, struct bench_python *python);
/** From a SIGSEGV to the next answer. */
void bench_recovery(struct bench_campaign *c);
/** How long after its time_limit a task ends. */
void bench_overshoot(struct bench_campaign *c);
/** What one abort() costs the other tasks. */
void bench_abort(struct bench_campaign *c, struct bench_python *python);

enum {
    BENCH_PATIENCE = 30 /* seconds to wait for what should take a few ms: it has gone wrong then */
};

/** Makes a process pool of that many workers; NULL with a failure noted. */
skua_executor *bench_pool(struct bench_campaign *c, int workers);
/** Makes one whose processes are on one CPU, and moves this process's threads to another. */
skua_executor *bench_pool_apart(struct bench_campaign *c);

/** A task: gives the number back that it was given. */
int bench_echo(void *arg, void *result);
skua_future *bench_echo_submit(skua_executor *ex, uint64_t number);
/** Waits for it and releases it. False, with a failure noted, if it is not what was sent. */
bool bench_echo_take(struct bench_campaign *c, skua_future *f, uint64_t number);

/** Sleeps: time for a pool to replace what has died. */
void bench_rest(double seconds);

#endif
