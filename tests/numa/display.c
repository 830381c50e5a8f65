/* SKUA_DISPLAY's table: one call a line, in columns that stay where they are. */
#define _GNU_SOURCE
#include "numa/display.h"

#include <string.h>

#include "skua/error.h"
#include "tests/numa/recorded.h"

enum {
    MAX_LINES = 600,
    HEAD = 3 /* the machine, the pool, the names of columns */
};

static char lines[MAX_LINES][200];
static int nr_lines;

static void keep(skua_log_level level, const char *line, void *ctx)
{
    assert_int_equal(level, SKUA_LOG_INFO);
    assert_null(ctx);
    assert_true(nr_lines < MAX_LINES);
    assert_true(strlen(line) < sizeof lines[0]);
    strcpy(lines[nr_lines++], line);
}

static void display(const struct sk_topo *t, skua_bind bind, int nr, const char *name,
                    const char *reason)
{
    static struct sk_place places[MAX_LINES];
    sk_place_workers(t, bind, nr, places);
    nr_lines = 0;
    skua_set_log(keep, NULL);
    sk_display(t, places, nr, name, reason);
    skua_set_log(NULL, NULL);
}

/* Each line is one line and ours; those of workers are as long as the names above them or longer,
 * since only the last column may differ in width. */
static void check_table(int nr_workers)
{
    assert_int_equal(nr_lines, HEAD + nr_workers);
    const char *last = strstr(lines[HEAD - 1], "pinned to");
    assert_non_null(last);
    for (int i = 0; i < nr_lines; i++) {
        assert_int_equal(strncmp(lines[i], "skua: ", 6), 0);
        assert_null(strchr(lines[i], '\n'));
        if (i >= HEAD) {
            assert_true(strlen(lines[i]) > (size_t)(last - lines[HEAD - 1]));
            assert_int_equal(lines[i][last - lines[HEAD - 1] - 1], ' ');
        }
    }
}

static void the_machine_and_the_pool_are_told(void **state)
{
    (void)state;
    struct sk_topo t;
    assert_int_equal(sk_topo_load_from(&t, "pack:2 l3:2 core:2 pu:2"), 0);
    display(&t, SKUA_BIND_AUTO, 8, "default", "one a core");
    check_table(8);
    assert_string_equal(lines[0], "skua: machine: 2 packages, 1 node, 4 L3s, 8 cores, 16 units, "
                                  "1 kind; no CPU quota; not real");
    assert_string_equal(lines[1], "skua: pool default: 8 workers: one a core");
    t.quota = 1.5;
    t.real = true;
    display(&t, SKUA_BIND_AUTO, 1, NULL, NULL);
    check_table(1);
    assert_non_null(strstr(lines[0], "; a quota of 1.5 CPUs; real"));
    assert_string_equal(lines[1], "skua: pool -: 1 worker");
    sk_topo_fini(&t);
}

static void each_worker_has_its_row(void **state)
{
    (void)state;
    struct sk_topo t;
    assert_int_equal(sk_topo_load_from(&t, "pack:2 l3:2 core:2 pu:2"), 0);
    display(&t, SKUA_BIND_SPREAD, 2, "a", "asked for");
    assert_string_equal(lines[2], "skua: worker   cpu  core   L3  node  package  kind  pinned to");
    assert_string_equal(lines[3], "skua:      0     0     0    0     0        0     0  -");
    assert_string_equal(lines[4], "skua:      1     8     4    2     0        1     0  -");
    t.real = true;
    display(&t, SKUA_BIND_SPREAD, 2, "a", "asked for");
    assert_string_equal(lines[4], "skua:      1     8     4    2     0        1     0  8,9");
    sk_topo_fini(&t);
}

static void many_workers_have_a_row_each(void **state)
{
    (void)state;
    struct sk_topo t;
    assert_int_equal(sk_topo_load_from(&t, "pack:2 numa:4 core:16 pu:4"), 0);
    t.real = true;
    display(&t, SKUA_BIND_CLOSE, 512, "wide", "all of them");
    check_table(512);
    sk_topo_fini(&t);
}

static void a_core_of_many_units_is_cut_and_not_overrun(void **state)
{
    (void)state;
    struct sk_topo t;
    assert_int_equal(sk_topo_load_from(&t, "core:1 pu:200"), 0);
    t.real = true;
    display(&t, SKUA_BIND_CLOSE, 1, "deep", NULL);
    check_table(1);
    assert_non_null(strstr(lines[3], "  0,1,2,3,"));
    sk_topo_fini(&t);
}

static void a_unit_without_a_node_shows_none(void **state)
{
    (void)state;
    struct sk_topo t;
    assert_int_equal(sk_topo_load_from(&t, "core:2 pu:1"), 0);
    t.pus[1].node = -1;
    display(&t, SKUA_BIND_CLOSE, 2, "x", "y");
    assert_string_equal(lines[4], "skua:      1     1     1    0     -        0     0  -");
    sk_topo_fini(&t);
}

static void every_machine_can_be_shown(void **state)
{
    (void)state;
    for (int i = 0; i < NR_RECORDED; i++) {
        struct sk_topo t;
        if (!recorded_try_load(&t, recorded_machines[i].name))
            continue;
        display(&t, SKUA_BIND_AUTO, t.nr_cores, recorded_machines[i].name, "one a core");
        check_table(t.nr_cores);
        sk_topo_fini(&t);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_machine_and_the_pool_are_told),
        cmocka_unit_test(each_worker_has_its_row),
        cmocka_unit_test(many_workers_have_a_row_each),
        cmocka_unit_test(a_core_of_many_units_is_cut_and_not_overrun),
        cmocka_unit_test(a_unit_without_a_node_shows_none),
        cmocka_unit_test(every_machine_can_be_shown),
    };
    return cmocka_run_group_tests_name("numa/display", tests, NULL, NULL);
}
