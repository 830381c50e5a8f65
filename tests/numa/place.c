/* Placement: against an oracle that shares no code with us, and pinning on this machine. */
#define _GNU_SOURCE
#include "numa/place.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tests/numa/recorded.h"

enum {
    MAX_WORKERS = 1024
};

/* Reads a line of the oracle: a word, a count, and as many numbers. */
static int read_line(FILE *oracle, char word[16], int numbers[MAX_WORKERS])
{
    int n = 0;
    assert_int_equal(fscanf(oracle, "%15s %d", word, &n), 2);
    assert_in_range(n, 0, MAX_WORKERS);
    for (int i = 0; i < n; i++)
        assert_int_equal(fscanf(oracle, "%d", &numbers[i]), 1);
    return n;
}

static void check_order(const struct sk_topo *t, const char *name, skua_bind bind, int n,
                        const int wanted[])
{
    struct sk_place places[MAX_WORKERS];
    sk_place_workers(t, bind, n, places);
    for (int i = 0; i < n; i++) {
        if (t->pus[places[i].pu].os != wanted[i])
            print_error("%s, bind %d, worker %d of %d\n", name, (int)bind, i, n);
        assert_int_equal(t->pus[places[i].pu].os, wanted[i]);
        assert_false(places[i].pinned);
    }
}

/* Reads the oracle's lines on one machine, and compares. */
static void check_machine(FILE *oracle, const char *name)
{
    struct sk_topo t;
    char word[16];
    int numbers[MAX_WORKERS];
    assert_true(recorded_try_load(&t, name));
    assert_int_equal(read_line(oracle, word, numbers), t.nr_pus);
    assert_string_equal(word, "node");
    for (int i = 0; i < t.nr_pus; i++) {
        int node = t.pus[i].node;
        assert_int_equal(node < 0 ? -1 : t.node_os[node], numbers[i]);
    }
    for (;;) {
        int n = read_line(oracle, word, numbers);
        if (strcmp(word, "end") == 0)
            break;
        if (strcmp(word, "spread") == 0) {
            check_order(&t, name, SKUA_BIND_SPREAD, n, numbers);
            continue;
        }
        assert_string_equal(word, "close");
        check_order(&t, name, SKUA_BIND_CLOSE, n, numbers);
        if (t.nr_kinds == 1 || n >= t.nr_cores)
            check_order(&t, name, SKUA_BIND_AUTO, n, numbers);
    }
    sk_topo_fini(&t);
}

static void orders_are_those_of_the_oracle(void **state)
{
    (void)state;
    static const char expect[] = SKUA_SHARED_DIR "/topologies/expect.py";
    if (access(expect, R_OK) != 0) {
        print_message("not here: %s\n", expect);
        skip();
    }
    if (system("python3 -c pass 2>/dev/null") != 0) {
        print_message("no python3 here\n");
        skip();
    }

    char command[NR_RECORDED * 1100], path[1024];
    const char *names[NR_RECORDED];
    int nr = 0;
    int length = snprintf(command, sizeof command, "python3 '%s/numa/oracle.py' '%s'",
                          SKUA_TEST_DIR, expect);
    for (int i = 0; i < NR_RECORDED; i++) {
        if (!recorded_path(path, recorded_machines[i].name))
            continue;
        names[nr++] = recorded_machines[i].name;
        length += snprintf(command + length, sizeof command - (size_t)length, " '%s'", path);
    }
    FILE *oracle = popen(command, "re");
    assert_non_null(oracle);
    for (int i = 0; i < nr; i++)
        check_machine(oracle, names[i]);
    assert_int_equal(pclose(oracle), 0);
}

static void load(struct sk_topo *t, const char *source)
{
    assert_int_equal(sk_topo_load_from(t, source), 0);
}

static void spread_goes_far_and_close_stays_near(void **state)
{
    (void)state;
    struct sk_topo t;
    load(&t, "pack:2 numa:2 l3:2 core:4 pu:2"); /* units 2i and 2i+1 are core i, as in the tree */
    check_order(&t, "spread", SKUA_BIND_SPREAD, 2, (const int[]){ 0, 32 });
    check_order(&t, "spread", SKUA_BIND_SPREAD, 3, (const int[]){ 0, 16, 32 });
    check_order(&t, "spread", SKUA_BIND_SPREAD, 4, (const int[]){ 0, 16, 32, 48 });
    check_order(&t, "spread", SKUA_BIND_SPREAD, 8, (const int[]){ 0, 8, 16, 24, 32, 40, 48, 56 });
    check_order(&t, "close", SKUA_BIND_CLOSE, 4, (const int[]){ 0, 2, 4, 6 });
    sk_topo_fini(&t);
}

static void second_threads_come_after_all_cores(void **state)
{
    (void)state;
    struct sk_topo t;
    load(&t, "pack:2 core:2 pu:2");
    check_order(&t, "close", SKUA_BIND_CLOSE, 6, (const int[]){ 0, 2, 4, 6, 1, 3 });
    check_order(&t, "spread", SKUA_BIND_SPREAD, 4, (const int[]){ 0, 2, 4, 6 });
    check_order(&t, "spread", SKUA_BIND_SPREAD, 6, (const int[]){ 0, 1, 2, 4, 5, 6 });
    sk_topo_fini(&t);
}

static void more_workers_than_units_go_round(void **state)
{
    (void)state;
    struct sk_topo t;
    load(&t, "core:2 pu:2");
    check_order(&t, "close", SKUA_BIND_CLOSE, 9, (const int[]){ 0, 2, 1, 3, 0, 2, 1, 3, 0 });
    check_order(&t, "spread", SKUA_BIND_SPREAD, 9, (const int[]){ 0, 1, 2, 3, 0, 1, 2, 3, 0 });
    sk_topo_fini(&t);
}

static void one_core_takes_them_all(void **state)
{
    (void)state;
    struct sk_topo t;
    load(&t, "core:1 pu:1");
    for (int bind = SKUA_BIND_AUTO; bind <= SKUA_BIND_NONE; bind++)
        for (int n = 0; n <= 3; n++)
            check_order(&t, "one core", (skua_bind)bind, n, (const int[]){ 0, 0, 0 });
    sk_topo_fini(&t);
}

static void few_workers_get_the_fastest_cores(void **state)
{
    (void)state;
    struct sk_topo t;
    recorded_load(&t, "raptorlake-hybrid");
    for (int round = 0; round < 2; round++) {
        skua_bind bind = round == 0 ? SKUA_BIND_AUTO : SKUA_BIND_NONE;
        check_order(&t, "4", bind, 4, (const int[]){ 0, 2, 4, 6 });
        check_order(&t, "7", bind, 7, (const int[]){ 0, 2, 4, 6, 8, 10, 12 });
    }
    sk_topo_fini(&t);
}

/* A machine of one core a unit, whose kinds are given in tree order. */
static void make_kinds(struct sk_topo *t, const int kinds[6], int nr_kinds)
{
    load(t, "core:6 pu:1");
    t->nr_kinds = nr_kinds;
    for (int i = 0; i < 6; i++)
        t->pus[i].kind = kinds[i];
}

static void the_fastest_cores_are_numbered_in_tree_order(void **state)
{
    (void)state;
    struct sk_topo t;
    make_kinds(&t, (const int[]){ 0, 2, 1, 0, 2, 1 }, 3);
    check_order(&t, "1", SKUA_BIND_AUTO, 1, (const int[]){ 1 });
    check_order(&t, "2", SKUA_BIND_AUTO, 2, (const int[]){ 1, 4 });
    check_order(&t, "3", SKUA_BIND_AUTO, 3, (const int[]){ 1, 2, 4 });
    check_order(&t, "4", SKUA_BIND_AUTO, 4, (const int[]){ 1, 2, 4, 5 });
    check_order(&t, "5", SKUA_BIND_AUTO, 5, (const int[]){ 0, 1, 2, 4, 5 });
    check_order(&t, "6", SKUA_BIND_AUTO, 6, (const int[]){ 0, 1, 2, 3, 4, 5 });
    check_order(&t, "close", SKUA_BIND_CLOSE, 3, (const int[]){ 0, 1, 2 });
    sk_topo_fini(&t);
}

static void kinds_alone_do_not_decide_what_spread_does(void **state)
{
    (void)state;
    struct sk_topo t;
    make_kinds(&t, (const int[]){ 0, 0, 0, 0, 0, 1 }, 2);
    check_order(&t, "spread", SKUA_BIND_SPREAD, 2, (const int[]){ 0, 1 });
    sk_topo_fini(&t);
}

static bool pins(const struct sk_topo *t, skua_bind bind, int n)
{
    struct sk_place places[MAX_WORKERS];
    sk_place_workers(t, bind, n, places);
    for (int i = 1; i < n; i++)
        assert_int_equal(places[i].pinned, places[0].pinned);
    return places[0].pinned;
}

static void a_machine_that_is_not_real_is_never_pinned(void **state)
{
    (void)state;
    struct sk_topo t;
    load(&t, "pack:2 core:4 pu:2");
    for (int bind = SKUA_BIND_AUTO; bind <= SKUA_BIND_NONE; bind++)
        assert_false(pins(&t, (skua_bind)bind, 8));
    sk_topo_fini(&t);
}

static void auto_leaves_workers_free_where_pinning_hurts(void **state)
{
    (void)state;
    struct sk_topo t;
    load(&t, "pack:2 core:4 pu:2");
    t.real = true;
    assert_true(pins(&t, SKUA_BIND_AUTO, 8));
    assert_true(pins(&t, SKUA_BIND_AUTO, 16));
    assert_false(pins(&t, SKUA_BIND_AUTO, 17)); /* more than units */
    assert_true(pins(&t, SKUA_BIND_CLOSE, 17));
    assert_true(pins(&t, SKUA_BIND_SPREAD, 17));
    t.quota = 7.5;
    assert_false(pins(&t, SKUA_BIND_AUTO, 2));
    assert_true(pins(&t, SKUA_BIND_CLOSE, 2)); /* was asked for */
    assert_true(pins(&t, SKUA_BIND_SPREAD, 2));
    t.quota = 8;
    assert_true(pins(&t, SKUA_BIND_AUTO, 8));
    assert_false(pins(&t, SKUA_BIND_NONE, 8));
    sk_topo_fini(&t);
}

/* A thread that pins itself as worker `worker` of `topo`. */
struct pinning {
    const struct sk_topo *topo;
    struct sk_place place;
    int error;
    cpu_set_t set; /* what it was left with */
};

static void *pin(void *arg)
{
    struct pinning *p = arg;
    p->error = sk_place_pin_self(p->topo, &p->place);
    CPU_ZERO(&p->set);
    sched_getaffinity(0, sizeof p->set, &p->set);
    return NULL;
}

static void pin_in_thread(struct pinning *p)
{
    cpu_set_t before, after;
    pthread_t thread;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    assert_int_equal(pthread_create(&thread, NULL, pin, p), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&before, &after)); /* the caller's own */
}

static void a_worker_is_pinned_to_its_core_and_nobody_else_is(void **state)
{
    (void)state;
    struct sk_topo t;
    struct sk_place places[MAX_WORKERS];
    assert_int_equal(sk_topo_load(&t), 0);
    int n = t.nr_cores < MAX_WORKERS ? t.nr_cores : MAX_WORKERS;
    sk_place_workers(&t, SKUA_BIND_CLOSE, n, places);
    for (int i = 0; i < n; i++) {
        struct pinning p = { .topo = &t, .place = places[i] };
        pin_in_thread(&p);
        assert_int_equal(p.error, 0);
        for (int k = 0; k < t.nr_pus; k++) {
            bool same_core = t.pus[k].core == t.pus[places[i].pu].core;
            assert_int_equal(CPU_ISSET((size_t)t.pus[k].os, &p.set) != 0, same_core);
        }
    }
    sk_topo_fini(&t);
}

static void a_place_without_a_pin_changes_nothing(void **state)
{
    (void)state;
    struct sk_topo t;
    cpu_set_t mine;
    assert_int_equal(sched_getaffinity(0, sizeof mine, &mine), 0);
    assert_int_equal(sk_topo_load(&t), 0);
    struct pinning p = { .topo = &t };
    pin_in_thread(&p);
    assert_int_equal(p.error, 0);
    assert_true(CPU_EQUAL(&p.set, &mine));
    sk_topo_fini(&t);

    load(&t, "pack:2 core:4 pu:2"); /* nor on a machine that is not this one */
    p.place.pinned = true;
    pin_in_thread(&p);
    assert_int_equal(p.error, 0);
    assert_true(CPU_EQUAL(&p.set, &mine));
    sk_topo_fini(&t);
}

static bool refuse(size_t size)
{
    (void)size;
    return false;
}

static void a_pin_that_fails_says_so(void **state)
{
    (void)state;
    struct sk_topo t;
    load(&t, "core:1 pu:1");
    t.real = true;
    t.pus[0].os = 100000; /* no such CPU; also beyond the 1024 of a plain cpu_set_t */
    struct pinning p = { .topo = &t, .place = { .pinned = true } };
    pin_in_thread(&p);
    assert_int_equal(p.error, -EINVAL);
    sk_mem_set_hook(refuse);
    p.error = sk_place_pin_self(&t, &p.place);
    sk_mem_set_hook(NULL);
    assert_int_equal(p.error, -ENOMEM);
    sk_topo_fini(&t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(orders_are_those_of_the_oracle),
        cmocka_unit_test(spread_goes_far_and_close_stays_near),
        cmocka_unit_test(second_threads_come_after_all_cores),
        cmocka_unit_test(more_workers_than_units_go_round),
        cmocka_unit_test(one_core_takes_them_all),
        cmocka_unit_test(few_workers_get_the_fastest_cores),
        cmocka_unit_test(the_fastest_cores_are_numbered_in_tree_order),
        cmocka_unit_test(kinds_alone_do_not_decide_what_spread_does),
        cmocka_unit_test(a_machine_that_is_not_real_is_never_pinned),
        cmocka_unit_test(auto_leaves_workers_free_where_pinning_hurts),
        cmocka_unit_test(a_worker_is_pinned_to_its_core_and_nobody_else_is),
        cmocka_unit_test(a_place_without_a_pin_changes_nothing),
        cmocka_unit_test(a_pin_that_fails_says_so),
    };
    return cmocka_run_group_tests_name("numa/place", tests, NULL, NULL);
}
