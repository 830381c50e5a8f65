/* link: -Wl,--wrap=sk_topo_node_of */
/* near_data: a task waits in the inbox of the node on which its data lie. The linker puts this file
 * in the place of the question where that is. */
#define _GNU_SOURCE
#include "core/executor.h"
#include "tests/support/harness.h"

#include <stdlib.h>

#include "tests/support/gate.h"

static char memory[2]; /* a byte on each node */

int __wrap_sk_topo_node_of(const struct sk_topo *topo, const void *address);

int __wrap_sk_topo_node_of(const struct sk_topo *topo, const void *address)
{
    (void)topo;
    return address == &memory[0] ? 0 : address == &memory[1] ? 1 : -1;
}

static skua_executor *open_on(const char *machine, int workers)
{
    assert_int_equal(setenv("HWLOC_SYNTHETIC", machine, 1), 0);
    skua_executor *ex = skt_pool_of(workers);
    unsetenv("HWLOC_SYNTHETIC");
    return ex;
}

static bool waits_at(skua_executor *ex, int node)
{
    struct sk_sched *sched = sk_executor_sched(ex);
    return !sk_inbox_empty(node >= 0 ? &sched->near[node].inbox : &sched->inbox);
}

static void a_task_waits_at_the_node_of_its_data(void **state)
{
    (void)state;
    struct skt_gate gate;
    skua_executor *ex = open_on("package:2 numa:1 core:2 pu:1", 4);
    skt_gate_init(&gate);
    skt_gate_hold(&gate, ex, 4);
    const struct {
        const void *data;
        int node;
    } cases[] = { { &memory[0], 0 }, { &memory[1], 1 }, { &gate, -1 }, { NULL, -1 } };
    for (size_t i = 0; i < SKT_COUNT(cases); i++) {
        for (int priority = SKUA_LOW; priority <= SKUA_HIGH; priority++) {
            skua_future *f =
                skua_submit_task(ex, &(skua_task){ .fn = skt_nothing,
                                                   .near_data = cases[i].data,
                                                   .priority = (skua_priority)priority });
            for (int node = -1; node < 2; node++)
                assert_int_equal(waits_at(ex, node), node == cases[i].node);
            struct sk_sched *sched = sk_executor_sched(ex);
            sk_sched_discard(sched, SKUA_CANCELLED);
            assert_true(skua_cancelled(f));
            skua_release(f);
        }
    }
    skt_gate_open(&gate);
    skua_close(ex);
    skt_gate_fini(&gate);
}

static int submit_near(void *arg, void *result)
{
    skua_executor *ex = arg;
    skua_future *fs[20];
    int rc = 0;
    (void)result;
    for (size_t i = 0; i < SKT_COUNT(fs); i++)
        fs[i] =
            skua_submit_task(ex, &(skua_task){ .fn = skt_nothing, .near_data = &memory[i % 2] });
    for (size_t i = 0; i < SKT_COUNT(fs); i++) {
        rc |= skua_result(fs[i], NULL, 0, SKUA_FOREVER);
        skua_release(fs[i]);
    }
    return rc;
}

static void tasks_with_data_run_whoever_submits_them(void **state)
{
    const char *const machines[] = { "package:2 numa:1 core:2 pu:1",
                                     "package:1 numa:1 core:8 pu:1" };
    for (size_t m = 0; m < SKT_COUNT(machines); m++) {
        skua_executor *ex = open_on(machines[m], skt_workers(state));
        for (int i = 0; i < skt_rounds(20); i++) {
            assert_int_equal(submit_near(ex, NULL), 0);
            skua_future *f = skua_submit(ex, submit_near, ex);
            assert_status(skua_result(f, NULL, 0, SKUA_FOREVER), SKUA_OK);
            skua_release(f);
        }
        skua_close(ex);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_task_waits_at_the_node_of_its_data),
        SKT_EACH(tasks_with_data_run_whoever_submits_them),
    };
    return skt_main(argc, argv, "near", tests, SKT_COUNT(tests));
}
