/* Tasks of two pools that wait in all ways, directly and through loops, maps, calls and children,
 * but only for tasks of lower numbers: nobody may be told of a circle, and all come to an end.
 * Threads from outside cancel some, and give up waiting for others. */
#include "tests/support/harness.h"

#include "tests/support/gate.h"

enum {
    NR_TASKS = 60,
    NR_GATES = 4, /* the first ones end when the test says so */
    PARTS = 3     /* of each loop and map, and children */
};

struct net {
    skua_executor *ex[2], *gates;
    struct skt_gate gate;
    skua_future *fs[NR_TASKS];
    struct skt_latch ready; /* fs is complete */
    SK_ATOMIC(int) deadlocks;
    SK_ATOMIC(uint32_t) seeds;
};

/* A task, or a part of what it has done for it: waits for tasks below the number. */
struct waiter {
    struct net *net;
    uint32_t number;
};

static uint32_t new_seed(struct net *net)
{
    return sk_add_rlx(&net->seeds, 2654435761u);
}

static void note(struct net *net, skua_status status)
{
    if (status == SKUA_DEADLOCK)
        sk_add_rlx(&net->deadlocks, 1);
}

static void wait_once(const struct waiter *w, uint32_t *seed)
{
    struct net *net = w->net;
    skua_future *fs[3];
    for (int i = 0; i < 3; i++)
        fs[i] = net->fs[skt_random(seed) % w->number];
    const double timeout =
        skt_random(seed) % 4 == 0 ? 1e-5 * (skt_random(seed) % 100) : SKUA_FOREVER;
    switch (skt_random(seed) % 4) {
    case 0:
        note(net, skua_result(fs[0], NULL, 0, timeout));
        break;
    case 1:
        note(net, skua_wait(fs, 3, SKUA_FIRST_COMPLETED, timeout));
        break;
    case 2:
        note(net, skua_wait(fs, 3, SKUA_ALL_COMPLETED, timeout));
        break;
    default: {
        skua_iter *it = skua_as_completed(fs, 3, timeout);
        while (skua_next(it, NULL) != NULL)
            continue;
        note(net, skua_iter_close(it));
    }
    }
}

static int part(void *arg)
{
    const struct waiter *w = arg;
    uint32_t seed = new_seed(w->net);
    wait_once(w, &seed);
    return 0;
}

static int body(size_t begin, size_t end, void *ctx)
{
    for (size_t i = begin; i < end; i++)
        part(ctx);
    return 0;
}

static int item(void *arg, void *result)
{
    (void)result;
    return part(arg);
}

static void spawn_parts(struct waiter *w)
{
    skua_child children[PARTS];
    for (int i = 0; i < PARTS; i++)
        skua_spawn(&children[i], part, w);
    for (int i = PARTS - 1; i >= 0; i--)
        skua_sync(&children[i]);
}

static int wait_downhill(void *arg, void *result)
{
    struct waiter *w = arg;
    struct net *net = w->net;
    (void)result;
    skt_latch_wait(&net->ready, 1);
    uint32_t seed = new_seed(net);
    skua_executor *ex = net->ex[skt_random(&seed) % 2];
    const skua_loop loop = { .grain = 1,
                             .schedule = (skua_schedule)(skt_random(&seed) % (SKUA_DYNAMIC + 1)) };
    const struct waiter items[PARTS] = { *w, *w, *w };
    switch (skt_random(&seed) % 5) {
    case 0:
        wait_once(w, &seed);
        break;
    case 1:
        note(net, skua_for(ex, 0, PARTS, body, w, &loop));
        break;
    case 2:
        note(net, skua_map(ex, item, items, sizeof *items, NULL, 0, PARTS, NULL, SKUA_FOREVER));
        break;
    case 3:
        note(net, (skua_status)skua_call(ex, part, w));
        break;
    default:
        spawn_parts(w);
    }
    return 0;
}

static void *disturb(void *arg)
{
    struct net *net = arg;
    uint32_t seed = new_seed(net);
    for (int i = 0; i < 10; i++) {
        skua_future *f = net->fs[skt_random(&seed) % NR_TASKS];
        if (skt_random(&seed) % 4 == 0)
            skua_cancel(f);
        else
            note(net, skua_result(f, NULL, 0, 1e-5 * (skt_random(&seed) % 100)));
    }
    return NULL;
}

static void net_open(struct net *net, void **state, uint32_t seed)
{
    *net = (struct net){ .ex = { skt_pool(state), skt_pool(state) }, .gates = skt_pool_of(1) };
    skt_gate_init(&net->gate);
    skt_latch_init(&net->ready);
    sk_init(&net->seeds, seed);
    for (uint32_t i = 0; i < NR_TASKS; i++) {
        struct waiter w = { net, i };
        const skua_task task = { .fn = wait_downhill, .arg = &w, .arg_size = sizeof w };
        net->fs[i] = i < NR_GATES ? skua_submit(net->gates, skt_gate_task, &net->gate)
                                  : skua_submit_task(net->ex[i % 2], &task);
    }
    skt_latch_raise(&net->ready);
}

static void net_close(struct net *net)
{
    for (int i = 0; i < NR_TASKS; i++)
        skua_release(net->fs[i]);
    skua_close(net->ex[0]);
    skua_close(net->ex[1]);
    skua_close(net->gates);
    skt_gate_fini(&net->gate);
    skt_latch_fini(&net->ready);
}

static void waits_without_a_circle_are_never_told_of_one(void **state)
{
    for (int round = skt_rounds(30); round > 0; round--) {
        struct net net;
        net_open(&net, state, (uint32_t)round * 40503u + 1);
        const pthread_t disturber = skt_thread(disturb, &net);
        skt_pause(0.001 * (round % 4));
        skt_gate_open(&net.gate);
        skt_join(disturber);
        for (int i = 0; i < NR_TASKS; i++) {
            const skua_status status = skua_result(net.fs[i], NULL, 0, SKUA_FOREVER);
            assert_true(status == SKUA_OK || status == SKUA_CANCELLED);
        }
        assert_int_equal(sk_load_acq(&net.deadlocks), 0);
        net_close(&net);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_EACH(waits_without_a_circle_are_never_told_of_one),
    };
    return skt_main(argc, argv, "acyclic", tests, SKT_COUNT(tests));
}
