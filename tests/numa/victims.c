/* Victims: every other worker once, nearest first, and no two workers begin with the same. */
#define _GNU_SOURCE
#include "numa/victims.h"

#include <stdlib.h>

#include "tests/numa/recorded.h"

enum {
    MAX_WORKERS = 1024
};

/* A machine with its workers placed, and the victims of one of them. */
struct crew {
    struct sk_topo topo;
    int nr;
    struct sk_place places[MAX_WORKERS];
    int workers[MAX_WORKERS]; /* storage of victims */
    struct sk_victims victims;
};

static struct crew crew;

static void place(skua_bind bind, int nr)
{
    crew.nr = nr;
    sk_place_workers(&crew.topo, bind, nr, crew.places);
}

static void look(int me)
{
    for (int i = 0; i < MAX_WORKERS; i++)
        crew.workers[i] = -1;
    crew.victims = (struct sk_victims){ .worker = crew.workers };
    sk_victims_init(&crew.victims, &crew.topo, crew.places, crew.nr, me);
}

/* How many victims a tier has. */
static int in_tier(enum sk_tier tier)
{
    return crew.victims.end[tier] - (tier > 0 ? crew.victims.end[tier - 1] : 0);
}

static void check_tiers(const int wanted[SK_NR_TIERS])
{
    for (int tier = 0; tier < SK_NR_TIERS; tier++) {
        if (in_tier((enum sk_tier)tier) != wanted[tier])
            print_error("tier %d\n", tier);
        assert_int_equal(in_tier((enum sk_tier)tier), wanted[tier]);
    }
}

static int distance(int from, int to)
{
    int a = crew.topo.pus[crew.places[from].pu].node, b = crew.topo.pus[crew.places[to].pu].node;
    if (a < 0 || b < 0)
        return a == b ? 10 : 20;
    return crew.topo.distance[a * crew.topo.nr_nodes + b];
}

/* What the header promises, for one worker. */
static void check_promises(int me)
{
    const struct sk_victims *v = &crew.victims;
    bool seen[MAX_WORKERS] = { false };
    assert_int_equal(v->nr, crew.nr - 1);
    assert_int_equal(v->end[SK_NR_TIERS - 1], v->nr);
    int tier = 0;
    for (int i = 0; i < v->nr; i++) {
        while (i >= v->end[tier])
            tier++;
        int worker = v->worker[i];
        assert_in_range(worker, 0, crew.nr - 1);
        assert_true(worker != me && !seen[worker]);
        seen[worker] = true;
        assert_int_equal(sk_victims_tier(&crew.topo, &crew.places[me], &crew.places[worker]), tier);
        bool first = i == (tier > 0 ? v->end[tier - 1] : 0);
        assert_true(first || distance(me, v->worker[i - 1]) <= distance(me, worker));
    }
    assert_int_equal(v->worker[v->nr], -1); /* no further than there is room */
}

static void each_worker_has_all_others_once_nearest_first(void **state)
{
    (void)state;
    for (int m = 0; m < NR_RECORDED; m++) {
        if (!recorded_try_load(&crew.topo, recorded_machines[m].name))
            continue;
        int counts[] = { 1, 2, crew.topo.nr_cores, crew.topo.nr_pus + 1 };
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            place(c % 2 == 0 ? SKUA_BIND_CLOSE : SKUA_BIND_SPREAD, counts[c]);
            int step = 1 + counts[c] / 16;
            for (int me = 0; me < counts[c]; me += step) {
                look(me);
                check_promises(me);
            }
        }
        sk_topo_fini(&crew.topo);
    }
}

static void one_worker_has_no_victims(void **state)
{
    (void)state;
    assert_int_equal(sk_topo_load_from(&crew.topo, "core:1 pu:1"), 0);
    place(SKUA_BIND_AUTO, 1);
    look(0);
    assert_int_equal(crew.victims.nr, 0);
    check_tiers((const int[]){ 0, 0, 0, 0, 0, 0 });
    sk_topo_fini(&crew.topo);
}

static void each_level_of_the_machine_is_a_tier(void **state)
{
    (void)state;
    assert_int_equal(sk_topo_load_from(&crew.topo, "pack:2 numa:2 l3:2 l2:2 core:2 pu:2"), 0);
    place(SKUA_BIND_CLOSE, 64);
    look(0); /* no distances are known: all other nodes are as near */
    check_tiers((const int[]){ 1, 2, 4, 8, 48, 0 });
    sk_topo_fini(&crew.topo);
}

static void nearer_nodes_are_a_tier_of_their_own(void **state)
{
    (void)state;
    recorded_load(&crew.topo, "lab-2s4n16c"); /* 10 12 21 21 */
    place(SKUA_BIND_CLOSE, 8);
    look(0);
    check_tiers((const int[]){ 0, 0, 1, 0, 2, 4 });
    sk_topo_fini(&crew.topo);
}

static void distance_goes_before_the_package(void **state)
{
    (void)state;
    recorded_load(&crew.topo, "bulldozer-4s2n"); /* 10/16/22, pairs of cores share an L2 */
    place(SKUA_BIND_CLOSE, 64);
    look(0);
    int near = 0, near_elsewhere = 0;
    for (int node = 1; node < crew.topo.nr_nodes; node++)
        near += crew.topo.distance[node] == 16;
    assert_true(near > 1);
    check_tiers((const int[]){ 0, 1, 6, 0, 8 * near, 8 * (7 - near) });
    for (int i = crew.victims.end[SK_TIER_NODE]; i < crew.victims.end[SK_TIER_NEAR]; i++)
        near_elsewhere += crew.topo.pus[crew.places[crew.workers[i]].pu].package != 0;
    assert_int_equal(near_elsewhere, 8 * (near - 1));
    sk_topo_fini(&crew.topo);
}

static void at_one_distance_the_own_package_comes_first(void **state)
{
    (void)state;
    assert_int_equal(sk_topo_load_from(&crew.topo, "pack:2 numa:2 core:2 pu:1"), 0);
    place(SKUA_BIND_CLOSE, 8);
    for (int me = 0; me < 8; me++) {
        look(me);
        for (int i = 0; i < 7; i++) {
            bool same = crew.workers[i] / 4 == me / 4;
            assert_int_equal(same, i < 3);
        }
    }
    sk_topo_fini(&crew.topo);
}

static void workers_begin_with_different_victims(void **state)
{
    (void)state;
    assert_int_equal(sk_topo_load_from(&crew.topo, "l3:1 core:5 pu:1"), 0);
    place(SKUA_BIND_CLOSE, 5);
    look(0);
    assert_memory_equal(crew.workers, ((const int[]){ 1, 2, 3, 4 }), 4 * sizeof(int));
    look(3);
    assert_memory_equal(crew.workers, ((const int[]){ 4, 0, 1, 2 }), 4 * sizeof(int));
    look(4);
    assert_memory_equal(crew.workers, ((const int[]){ 0, 1, 2, 3 }), 4 * sizeof(int));
    sk_topo_fini(&crew.topo);
}

static void workers_on_one_unit_are_of_one_core(void **state)
{
    (void)state;
    assert_int_equal(sk_topo_load_from(&crew.topo, "core:2 pu:1"), 0);
    place(SKUA_BIND_CLOSE, 4);
    look(0);
    check_tiers((const int[]){ 1, 0, 2, 0, 0, 0 });
    assert_int_equal(crew.workers[0], 2);
    sk_topo_fini(&crew.topo);
}

static void units_without_a_node_share_their_package(void **state)
{
    (void)state;
    assert_int_equal(sk_topo_load_from(&crew.topo, "pack:3 l3:2 core:1 pu:1"), 0);
    for (int i = 0; i < 4; i++)
        crew.topo.pus[i].node = -1; /* two packages without, one with node 0 */
    place(SKUA_BIND_CLOSE, 6);
    look(0);
    check_promises(0);
    assert_int_equal(crew.workers[0], 1);
    assert_int_equal(in_tier(SK_TIER_NODE), 1);
    look(5);
    assert_int_equal(crew.workers[0], 4);
    assert_int_equal(in_tier(SK_TIER_NODE), 1);
    sk_topo_fini(&crew.topo);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_worker_has_all_others_once_nearest_first),
        cmocka_unit_test(one_worker_has_no_victims),
        cmocka_unit_test(each_level_of_the_machine_is_a_tier),
        cmocka_unit_test(nearer_nodes_are_a_tier_of_their_own),
        cmocka_unit_test(distance_goes_before_the_package),
        cmocka_unit_test(at_one_distance_the_own_package_comes_first),
        cmocka_unit_test(workers_begin_with_different_victims),
        cmocka_unit_test(workers_on_one_unit_are_of_one_core),
        cmocka_unit_test(units_without_a_node_share_their_package),
    };
    return cmocka_run_group_tests_name("numa/victims", tests, NULL, NULL);
}
