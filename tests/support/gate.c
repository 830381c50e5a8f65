/* The gate's two latches tell the test that its tasks run, and the tasks that they may end. */
#include "tests/support/gate.h"

void skt_gate_init(struct skt_gate *gate)
{
    skt_latch_init(&gate->began);
    skt_latch_init(&gate->open);
}

void skt_gate_fini(struct skt_gate *gate)
{
    skt_latch_fini(&gate->began);
    skt_latch_fini(&gate->open);
}

void skt_gate_open(struct skt_gate *gate)
{
    skt_latch_raise(&gate->open);
}

int skt_gate_task(void *arg, void *result)
{
    struct skt_gate *gate = arg;
    (void)result;
    skt_latch_raise(&gate->began);
    skt_latch_wait(&gate->open, 1);
    return 0;
}

void skt_gate_hold(struct skt_gate *gate, skua_executor *ex, int n)
{
    const int before = skt_latch_count(&gate->began);
    for (int i = 0; i < n; i++)
        skua_release(skua_submit(ex, skt_gate_task, gate));
    skt_latch_wait(&gate->began, before + n);
}

skua_future *skt_gate_submit(struct skt_gate *gate, skua_executor *ex)
{
    const int before = skt_latch_count(&gate->began);
    skua_future *f = skua_submit(ex, skt_gate_task, gate);
    skt_latch_wait(&gate->began, before + 1);
    return f;
}

int skt_nothing(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return 0;
}

int skt_count(void *arg, void *result)
{
    SK_ATOMIC(int) *counter = arg;
    (void)result;
    sk_add_acq_rel(counter, 1);
    return 0;
}

int skt_square(void *arg, void *result)
{
    const int x = *(int *)arg;
    *(int *)result = x * x;
    return 0;
}

int skt_fails(void *arg, void *result)
{
    (void)arg;
    (void)result;
    return skua_fail(7, "broken on purpose");
}

skua_future *skt_submit_int(skua_executor *ex, skua_fn *fn, int value)
{
    return skua_submit_task(
        ex, &(skua_task){
                .fn = fn, .arg = &value, .arg_size = sizeof value, .result_size = sizeof value });
}
