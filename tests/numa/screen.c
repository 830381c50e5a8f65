/* The screen before hwloc's XML reader: what hwloc wrote passes, what would kill hwloc does not. */
#define _GNU_SOURCE
#include "numa/screen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "tests/numa/recorded.h"

static char folder[] = "/tmp/skua-screen-XXXXXX", path[64];

static int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(path, sizeof path, "%s/x.xml", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(folder);
}

static void write_file(const char *bytes, size_t size)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static int screen(const char *text)
{
    char *read;
    size_t size;
    write_file(text, strlen(text));
    int error = sk_screen_read(path, &read, &size);
    if (error == 0) {
        assert_string_equal(read, text);
        assert_int_equal(size, strlen(text));
    } else {
        assert_null(read);
    }
    sk_free(read);
    return error;
}

static void what_hwloc_wrote_passes(void **state)
{
    (void)state;
    for (int i = 0; i < NR_RECORDED; i++) {
        char file[1024], *text;
        size_t size;
        if (!recorded_path(file, recorded_machines[i].name))
            continue;
        assert_int_equal(sk_screen_read(file, &text, &size), 0);
        assert_int_equal(strlen(text), size);
        sk_free(text);
    }
}

/* A small machine in which a test changes one thing. */
static const char machine[] =
    "<?xml version=\"1.0\"?>\n<!DOCTYPE topology SYSTEM \"hwloc2.dtd\">\n"
    "<topology version=\"2.0\">\n"
    "<object type=\"Machine\" cpuset=\"0x3\" complete_cpuset=\"0x3\" nodeset=\"0x1\""
    " complete_nodeset=\"0x1\">\n"
    "<object type=\"NUMANode\" os_index=\"0\" cpuset=\"0x3\" complete_cpuset=\"0x3\""
    " nodeset=\"0x1\" complete_nodeset=\"0x1\"/>\n"
    "<object type=\"PU\" os_index=\"0\" cpuset=\"0x1\" complete_cpuset=\"0x1\" nodeset=\"0x1\""
    " complete_nodeset=\"0x1\"/>\n"
    "<object type=\"PU\" os_index=\"1\" cpuset=\"0x2\" complete_cpuset=\"0x2\" nodeset=\"0x1\""
    " complete_nodeset=\"0x1\"/>\n"
    "<object type=\"Misc\"/>\n"
    "</object>\n<cpukind cpuset=\"0x3\"/>\n</topology>\n";

/* The machine with the nth place of some words put otherwise. */
static int screen_with(int nth, const char *words, const char *instead)
{
    char text[sizeof machine + 4096];
    const char *at = strstr(machine, words);
    for (int i = 0; i < nth && at != NULL; i++)
        at = strstr(at + 1, words);
    assert_non_null(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - machine), machine, instead,
             at + strlen(words));
    return screen(text);
}

static void a_small_machine_passes_and_loads(void **state)
{
    (void)state;
    struct sk_topo t;
    assert_int_equal(screen(machine), 0);
    assert_int_equal(sk_topo_load_from(&t, path), 0);
    assert_int_equal(t.nr_cores, 2);
    sk_topo_fini(&t);
}

static void an_object_needs_its_four_sets(void **state)
{
    (void)state;
    for (int nth = 0; nth < 4; nth++) {
        assert_int_equal(screen_with(nth, " cpuset=\"", " opuset=\""), -EINVAL);
        assert_int_equal(screen_with(nth, " complete_cpuset=\"", " c=\""), -EINVAL);
        assert_int_equal(screen_with(nth, " nodeset=\"", " nodes=\""), -EINVAL);
        assert_int_equal(screen_with(nth, " complete_nodeset=\"", " c=\""), -EINVAL);
    }
    assert_int_equal(screen_with(0, "\"Misc\"", "\"Die\""), -EINVAL);
    assert_int_equal(screen_with(0, "\"Misc\"", "\"PCIDev\""), 0);
}

static void sets_are_spelled_as_hwloc_spells_them(void **state)
{
    (void)state;
    static const char *const good[] = { "0x3",      "0x00000003",  "0x1,0x3",
                                        "0x1,,0x3", "0xf...f,0x3", "0xf...f" };
    static const char *const bad[] = { "",     "3",        "0x",      "0x123456789", "0xg",
                                       "0X3",  "0x3 ",     "0x3,0x",  "x3",          "0x3,0xf...f",
                                       "0x-3", "0xf....f", "0xf...f0" };
    char set[64];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        snprintf(set, sizeof set, "<cpukind cpuset=\"%s\"", good[i]);
        assert_int_equal(screen_with(0, "<cpukind cpuset=\"0x3\"", set), 0);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(set, sizeof set, " cpuset=\"%s\"", bad[i]);
        assert_int_equal(screen_with(0, " cpuset=\"0x3\"", set), -EINVAL);
        snprintf(set, sizeof set, "<cpukind cpuset=\"%s\"", bad[i]);
        assert_int_equal(screen_with(0, "<cpukind cpuset=\"0x3\"", set), -EINVAL);
    }
}

static void children_come_in_the_order_of_their_cpus(void **state)
{
    (void)state;
    assert_int_equal(screen_with(0, "complete_cpuset=\"0x1\"", "complete_cpuset=\"0x4\""), -EINVAL);
    assert_int_equal(screen_with(0, "complete_cpuset=\"0x2\"", "complete_cpuset=\"0x1\""), -EINVAL);
    assert_int_equal(screen_with(0, "complete_cpuset=\"0x2\"", "complete_cpuset=\"0x1,0x0\""), 0);
    assert_int_equal(screen_with(0, "complete_cpuset=\"0x2\"", "complete_cpuset=\"0x0\""), 0);
}

static void a_machine_has_units_and_nodes_and_a_known_format(void **state)
{
    (void)state;
    assert_int_equal(screen_with(0, "\"NUMANode\"", "\"MemCache\""), -EINVAL);
    assert_int_equal(screen_with(0, " version=\"2.0\"", ""), -EINVAL);
    assert_int_equal(screen_with(0, " version=\"2.0\"", " version=\"3.0\""), -EINVAL);
    assert_int_equal(screen_with(0, "</object>", ""), -EINVAL);
    assert_int_equal(screen_with(0, "</object>", "</object></object>"), -EINVAL);
    assert_int_equal(screen(""), -EINVAL);
    assert_int_equal(screen("<"), -EINVAL);
    assert_int_equal(screen("<topology version=\"2.0\"></topology>"), -EINVAL);
}

/* The machine with so many objects, each in the one before, in its root. */
static int screen_nested(int depth)
{
    char nest[4096] = "";
    for (int i = 0; i < depth; i++)
        strcat(nest, "<object type=\"Misc\">");
    for (int i = 0; i < depth; i++)
        strcat(nest, "</object>");
    return screen_with(0, "<object type=\"Misc\"/>", nest);
}

static void objects_nest_so_deep_and_no_deeper(void **state)
{
    (void)state;
    assert_int_equal(screen_nested(10), 0);
    assert_int_equal(screen_nested(62), 0);
    assert_int_equal(screen_nested(63), -EINVAL); /* with the root that makes 64 */
    assert_int_equal(screen_nested(100), -EINVAL);
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
    (void)state;
    char *text;
    size_t size;
    assert_int_equal(sk_screen_read("/no/such/file", &text, &size), -ENOENT);
    assert_int_equal(sk_screen_read(folder, &text, &size), -EINVAL);
    assert_int_equal(sk_screen_read("/dev/zero", &text, &size), -EINVAL);
    assert_null(text);
}

/* Deterministic, so that a failure can be seen again. */
static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 8;
}

/* Loads the file in a child, since hwloc may lose memory when it refuses a file, which is not what
 * is tested here. 0 if it gave a machine or an error. */
static int load_in_child(void)
{
    pid_t child = fork();
    if (child == 0) {
        struct sk_topo t;
        int error = sk_topo_load_from(&t, path);
        bool sound = error == 0 ? t.nr_pus > 0 : error < 0 && t.nr_pus == 0 && t.pus == NULL;
        _exit(!sound);
    }
    int status = -1;
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void changed_characters_give_a_machine_or_an_error(void **state)
{
    (void)state;
    static const char *const names[] = { "lab-cgroup-offline", "one-core-synthetic",
                                         "knl-snc4-mcdram" };
    static const char likely[] = "0123456789abcdefx,.\"<>/= ";
    static char changed[64 * 1024];
    unsigned seed = 1;
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        char file[1024], *text;
        size_t size;
        if (!recorded_path(file, names[n]))
            continue;
        assert_int_equal(sk_screen_read(file, &text, &size), 0);
        assert_in_range(size, 1, sizeof changed);
        for (int round = 0; round < 100; round++) {
            memcpy(changed, text, size);
            for (unsigned i = next_random(&seed) % 4 + 1; i > 0; i--)
                changed[next_random(&seed) % size] =
                    likely[next_random(&seed) % (sizeof likely - 1)];
            write_file(changed, size);
            if (load_in_child() != 0)
                fail_msg("%s, round %d", names[n], round);
        }
        sk_free(text);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_hwloc_wrote_passes),
        cmocka_unit_test(a_small_machine_passes_and_loads),
        cmocka_unit_test(an_object_needs_its_four_sets),
        cmocka_unit_test(sets_are_spelled_as_hwloc_spells_them),
        cmocka_unit_test(children_come_in_the_order_of_their_cpus),
        cmocka_unit_test(a_machine_has_units_and_nodes_and_a_known_format),
        cmocka_unit_test(objects_nest_so_deep_and_no_deeper),
        cmocka_unit_test(a_file_that_cannot_be_read_says_why),
        cmocka_unit_test(changed_characters_give_a_machine_or_an_error),
    };
    return cmocka_run_group_tests_name("numa/screen", tests, make_folder, remove_folder);
}
