/* Tasks that tests submit: small ones, and one that holds its worker until a gate is opened. */
#ifndef SKT_GATE_H
#define SKT_GATE_H

#include "base/atomic.h"
#include "skua/skua.h"
#include "tests/support/latch.h"

struct skt_gate {
    struct skt_latch began; /* risen by each task that came to the gate */
    struct skt_latch open;  /* risen once, by the test */
};

void skt_gate_init(struct skt_gate *gate);
void skt_gate_fini(struct skt_gate *gate); /* when all its tasks have ended */
void skt_gate_open(struct skt_gate *gate);

/* Waits at the gate that is its argument. */
skua_fn skt_gate_task;
/* Makes n workers of a pool wait at the gate; returns when they do. */
void skt_gate_hold(struct skt_gate *gate, skua_executor *ex, int n);
/* One task at the gate, begun already. */
skua_future *skt_gate_submit(struct skt_gate *gate, skua_executor *ex);

skua_fn skt_nothing; /* returns 0 */
skua_fn skt_count;   /* adds 1 to its argument, an SK_ATOMIC(int) */
skua_fn skt_square;  /* *(int *)result = square of *(int *)arg */
skua_fn skt_fails;   /* fails with code 7 and "broken on purpose" */

/* Submits a task with an int to copy and an int for a result. */
skua_future *skt_submit_int(skua_executor *ex, skua_fn *fn, int value);

#endif
