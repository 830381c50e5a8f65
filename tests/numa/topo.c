/* Discovery: recorded machines give the parts they have, this machine what the thread may use, and
 * whatever is wrong gives an error and no noise. */
#define _GNU_SOURCE
#include "numa/topo.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "tests/numa/recorded.h"

static void machines_have_the_parts_they_are_made_of(void **state)
{
    (void)state;
    for (int i = 0; i < NR_RECORDED; i++) {
        const struct recorded *m = &recorded_machines[i];
        struct sk_topo t;
        if (!recorded_try_load(&t, m->name))
            continue;
        int got[] = { t.nr_packages, t.nr_nodes, t.nr_l3s, t.nr_cores, t.nr_pus, t.nr_kinds };
        int wanted[] = { m->packages, m->nodes, m->l3s, m->cores, m->pus, m->kinds };
        for (size_t k = 0; k < sizeof got / sizeof *got; k++) {
            if (got[k] != wanted[k])
                print_error("%s, field %zu\n", m->name, k);
            assert_int_equal(got[k], wanted[k]);
        }
        assert_false(t.real);
        assert_true(t.quota == 0); /* never set but to a constant */
        assert_int_equal(sk_topo_default_workers(&t), m->cores);
        sk_topo_fini(&t);
    }
}

/* One more number of its sort, in the order of the tree: it was seen before, or is the next one. */
static void check_dense(const char *name, const char *sort, int number, int *nr_seen)
{
    if (number < 0 || number > *nr_seen)
        print_error("%s: %s %d after %d\n", name, sort, number, *nr_seen);
    assert_in_range(number, 0, *nr_seen);
    *nr_seen += number == *nr_seen;
}

static void numbers_are_dense_and_in_tree_order(void **state)
{
    (void)state;
    for (int m = 0; m < NR_RECORDED; m++) {
        struct sk_topo t;
        const char *name = recorded_machines[m].name;
        if (!recorded_try_load(&t, name))
            continue;
        int cores = 0, clusters = 0, l3s = 0, nodes = 0, packages = 0;
        for (int i = 0; i < t.nr_pus; i++) {
            const struct sk_pu *pu = &t.pus[i];
            bool same_core = i > 0 && pu->core == t.pus[i - 1].core;
            check_dense(name, "core", pu->core, &cores);
            check_dense(name, "cluster", pu->cluster, &clusters);
            check_dense(name, "l3", pu->l3, &l3s);
            check_dense(name, "package", pu->package, &packages);
            if (pu->node >= 0)
                check_dense(name, "node", pu->node, &nodes);
            assert_int_equal(pu->smt, same_core ? t.pus[i - 1].smt + 1 : 0);
            assert_in_range(pu->kind, 0, t.nr_kinds - 1);
            assert_true(pu->split >= 0);
            /* A seam between packages lies further out than one within a core. */
            assert_true(!same_core || pu->split > 0);
        }
        assert_int_equal(cores, t.nr_cores);
        assert_int_equal(clusters, t.nr_clusters);
        assert_int_equal(l3s, t.nr_l3s);
        assert_int_equal(packages, t.nr_packages);
        assert_int_equal(nodes, t.nr_nodes);
        for (int i = 0; i < t.nr_nodes; i++)
            assert_int_equal(t.distance[i * t.nr_nodes + i], 10);
        sk_topo_fini(&t);
    }
}

static void memory_only_nodes_are_no_places(void **state)
{
    (void)state;
    struct sk_topo t;
    recorded_load(&t, "lab-memory-only-nodes");
    assert_int_equal(t.nr_nodes, 4); /* of 6 */
    for (int i = 0; i < t.nr_nodes; i++)
        assert_int_equal(t.node_os[i], i);
    sk_topo_fini(&t);
}

static void of_two_nodes_over_the_same_cpus_the_first_counts(void **state)
{
    (void)state;
    struct sk_topo t;
    recorded_load(&t, "knl-snc4-mcdram");
    assert_int_equal(t.nr_nodes, 4); /* of 8 */
    for (int i = 0; i < t.nr_nodes; i++)
        assert_int_equal(t.node_os[i], i);
    sk_topo_fini(&t);
}

static void cores_at_two_depths_are_all_counted(void **state)
{
    (void)state;
    struct sk_topo t;
    recorded_load(&t, "lab-cgroup-offline");
    const int os[] = { 2, 3, 5, 9 }, core[] = { 0, 0, 1, 2 };
    assert_int_equal(t.nr_pus, 4);
    for (int i = 0; i < t.nr_pus; i++) {
        assert_int_equal(t.pus[i].os, os[i]);
        assert_int_equal(t.pus[i].core, core[i]);
    }
    sk_topo_fini(&t);
}

static void units_may_have_no_node(void **state)
{
    (void)state;
    struct sk_topo t;
    recorded_load(&t, "offline-cpu0-node0");
    int without = 0;
    for (int i = 0; i < t.nr_pus; i++)
        without += t.pus[i].node == -1;
    assert_true(without > 0 && without < t.nr_pus);
    assert_int_equal(t.nr_nodes, 1);
    assert_int_equal(t.node_os[0], 1);
    sk_topo_fini(&t);
}

static void near_equal_kinds_are_one_kind(void **state)
{
    (void)state;
    struct sk_topo t;
    recorded_load(&t, "gb10-arm-hybrid"); /* hwloc sees five */
    for (int i = 0; i < t.nr_pus; i++) {
        bool fast = (t.pus[i].os >= 5 && t.pus[i].os <= 9) || t.pus[i].os >= 15;
        assert_int_equal(t.pus[i].kind, fast);
    }
    sk_topo_fini(&t);
    recorded_load(&t, "raptorlake-hybrid");
    for (int i = 0; i < t.nr_pus; i++)
        assert_int_equal(t.pus[i].kind, t.pus[i].os <= 11);
    sk_topo_fini(&t);
}

static void cores_that_share_an_l2_are_a_cluster(void **state)
{
    (void)state;
    struct sk_topo t;
    recorded_load(&t, "raptorlake-hybrid"); /* 6 P-cores alone, 8 E-cores in two clusters */
    assert_int_equal(t.nr_clusters, 8);
    assert_int_equal(t.pus[12].cluster, 6);
    assert_int_equal(t.pus[15].cluster, 6);
    assert_int_equal(t.pus[16].cluster, 7);
    sk_topo_fini(&t);
}

static void distances_are_those_of_the_firmware(void **state)
{
    (void)state;
    struct sk_topo t;
    recorded_load(&t, "lab-2s4n16c");
    const int wanted[] = { 10, 12, 21, 21, 12, 10, 21, 21, 21, 21, 10, 12, 21, 21, 12, 10 };
    assert_int_equal(t.nr_nodes, 4);
    assert_memory_equal(t.distance, wanted, sizeof wanted);
    sk_topo_fini(&t);
}

static void distances_of_sparse_node_numbers_are_dense(void **state)
{
    (void)state;
    struct sk_topo t;
    recorded_load(&t, "power7-8n-smt4");
    const int os[] = { 0, 1, 4, 5, 8, 9, 12, 13 };
    assert_memory_equal(t.node_os, os, sizeof os);
    for (int a = 0; a < 8; a++)
        for (int b = 0; b < 8; b++)
            assert_int_equal(t.distance[a * 8 + b], a == b ? 10 : a / 2 == b / 2 ? 20 : 40);
    sk_topo_fini(&t);
}

static void distances_are_ten_and_twenty_where_unknown(void **state)
{
    (void)state;
    struct sk_topo t;
    recorded_load(&t, "epyc-2s-nps4-synthetic");
    for (int a = 0; a < 8; a++)
        for (int b = 0; b < 8; b++)
            assert_int_equal(t.distance[a * 8 + b], a == b ? 10 : 20);
    sk_topo_fini(&t);
}

static void a_synthetic_string_is_a_machine(void **state)
{
    (void)state;
    struct sk_topo t;
    assert_int_equal(sk_topo_load_from(&t, "pack:2 numa:2 l3:2 l2:2 core:2 pu:2"), 0);
    assert_int_equal(t.nr_packages, 2);
    assert_int_equal(t.nr_nodes, 4);
    assert_int_equal(t.nr_l3s, 8);
    assert_int_equal(t.nr_clusters, 16);
    assert_int_equal(t.nr_cores, 32);
    assert_int_equal(t.nr_pus, 64);
    sk_topo_fini(&t);
}

static void no_l3_gives_one_a_package_or_one_in_all(void **state)
{
    (void)state;
    struct sk_topo t;
    assert_int_equal(sk_topo_load_from(&t, "pack:3 core:2 pu:1"), 0);
    assert_int_equal(t.nr_l3s, 3);
    sk_topo_fini(&t);
    assert_int_equal(sk_topo_load_from(&t, "core:4 pu:1"), 0);
    assert_int_equal(t.nr_packages, 1);
    assert_int_equal(t.nr_l3s, 1);
    sk_topo_fini(&t);
}

static void no_core_objects_make_each_unit_a_core(void **state)
{
    (void)state;
    struct sk_topo t;
    assert_int_equal(sk_topo_load_from(&t, "pack:2 pu:3"), 0);
    assert_int_equal(t.nr_cores, 6);
    assert_int_equal(t.nr_clusters, 6);
    sk_topo_fini(&t);
}

/* Runs sk_topo_load() in a thread bound to its first CPU alone. */
static void *load_on_one_cpu(void *arg)
{
    struct sk_topo *t = arg;
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof all, &all) != 0)
        return (void *)"no affinity";
    CPU_ZERO(&one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&one) == 0; cpu++)
        if (CPU_ISSET(cpu, &all))
            CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one) != 0)
        return (void *)"cannot be bound";
    return sk_topo_load(t) == 0 ? NULL : (void *)"not loaded";
}

static void in_thread(void *(*fn)(void *), void *arg)
{
    pthread_t thread;
    void *words = NULL;
    assert_int_equal(pthread_create(&thread, NULL, fn, arg), 0);
    assert_int_equal(pthread_join(thread, &words), 0);
    if (words != NULL)
        fail_msg("%s", (const char *)words);
}

static void a_mask_of_one_cpu_gives_one_unit(void **state)
{
    (void)state;
    struct sk_topo t = { 0 };
    in_thread(load_on_one_cpu, &t);
    assert_true(t.real);
    assert_int_equal(t.nr_pus, 1);
    assert_int_equal(t.nr_cores, 1);
    assert_int_equal(t.nr_packages, 1);
    assert_int_equal(t.pus[0].smt, 0);
    assert_int_equal(sk_topo_default_workers(&t), 1);
    sk_topo_fini(&t);
}

static void this_machine_is_what_the_thread_may_use(void **state)
{
    (void)state;
    cpu_set_t before, after;
    assert_int_equal(sched_getaffinity(0, sizeof before, &before), 0);
    struct sk_topo t;
    assert_int_equal(sk_topo_load(&t), 0);
    assert_int_equal(sched_getaffinity(0, sizeof after, &after), 0);
    assert_true(CPU_EQUAL(&before, &after)); /* and the thread was not bound meanwhile, for good */

    assert_true(t.real);
    assert_int_equal(t.nr_pus, CPU_COUNT(&before));
    for (int i = 0; i < t.nr_pus; i++)
        assert_true(CPU_ISSET((size_t)t.pus[i].os, &before));
    sk_topo_fini(&t);
}

static void hwlocs_own_variables_make_a_machine_that_is_not_real(void **state)
{
    (void)state;
    struct sk_topo t = { 0 };
    setenv("HWLOC_SYNTHETIC", "pack:2 core:4 pu:2", 1);
    in_thread(load_on_one_cpu, &t); /* its mask is not that machine's */
    unsetenv("HWLOC_SYNTHETIC");
    assert_false(t.real);
    assert_int_equal(t.nr_packages, 2);
    assert_int_equal(t.nr_cores, 8);
    assert_int_equal(t.nr_pus, 16);
    sk_topo_fini(&t);

    char path[1024];
    if (!recorded_path(path, "lab-2s4n16c"))
        skip();
    setenv("HWLOC_XMLFILE", path, 1);
    int error = sk_topo_load(&t);
    unsetenv("HWLOC_XMLFILE");
    assert_int_equal(error, 0);
    assert_false(t.real);
    assert_int_equal(t.nr_cores, 8);
    sk_topo_fini(&t);
}

/* Loads what is no machine; the error, which must come with an empty topology and no words. */
static int load_quietly(const char *source)
{
    char noise[512];
    int ends[2];
    assert_int_equal(pipe2(ends, O_NONBLOCK | O_CLOEXEC), 0);
    int saved = dup(2);
    dup2(ends[1], 2);
    struct sk_topo t;
    memset(&t, 0x55, sizeof t);
    int error = sk_topo_load_from(&t, source);
    dup2(saved, 2);
    close(saved);
    close(ends[1]);
    ssize_t got = read(ends[0], noise, sizeof noise - 1);
    close(ends[0]);
    noise[got > 0 ? got : 0] = '\0';
    assert_string_equal(noise, "");
    if (error == 0)
        sk_topo_fini(&t);
    static const struct sk_topo empty;
    assert_int_equal(t.nr_pus, empty.nr_pus);
    assert_null(t.pus);
    assert_null(t.distance);
    return error;
}

static void write_file(const char *path, const char *bytes, size_t size)
{
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static void what_is_no_machine_gives_an_error_and_no_noise(void **state)
{
    (void)state;
    char folder[] = "/tmp/skua-topo-XXXXXX", path[64];
    assert_non_null(mkdtemp(folder));
    assert_int_equal(load_quietly("/no/such/file.xml"), -ENOENT);
    assert_true(load_quietly(folder) < 0);
    assert_true(load_quietly("/dev/zero") < 0);
    assert_true(load_quietly("") < 0);
    assert_true(load_quietly("rubbish") < 0);
    assert_true(load_quietly("pack:0") < 0);
    assert_true(load_quietly("pack:2 core:-1 pu:9") < 0);

    static const char *const texts[] = {
        "",
        "rubbish",
        "<?xml version=\"1.0\"?>",
        "<?xml version=\"1.0\"?><topology version=\"2.0\"></topology>",
        "<?xml version=\"1.0\"?><topology version=\"2.0\"><object type=\"Machine\"/></topology>",
        "<?xml version=\"1.0\"?><topology version=\"2.0\"><object type=\"Cow\"></topology>",
        "<?xml version=\"1.0\"?><topology version=\"9.0\"><object></object></topology>",
    };
    snprintf(path, sizeof path, "%s/x.xml", folder);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        write_file(path, texts[i], strlen(texts[i]));
        if (load_quietly(path) >= 0)
            fail_msg("loaded: %s", texts[i]);
    }
    snprintf(path, sizeof path, "%s/pipe", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_true(load_quietly(path) < 0);
    unlink(path);
    snprintf(path, sizeof path, "%s/x.xml", folder);
    unlink(path);
    rmdir(folder);
}

static void a_file_cut_short_gives_an_error(void **state)
{
    (void)state;
    char source[1024], folder[] = "/tmp/skua-topo-XXXXXX", path[64];
    static char bytes[64 * 1024];
    if (!recorded_path(source, "lab-2s4n16c"))
        skip();
    FILE *f = fopen(source, "re");
    assert_non_null(f);
    size_t size = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.xml", folder);
    for (size_t cut = 0; cut + 20 < size; cut += size / 40) {
        write_file(path, bytes, cut);
        assert_true(load_quietly(path) < 0);
    }
    unlink(path);
    rmdir(folder);
}

static int nr_asked, failing; /* allocations so far, and the one to fail; -1: none */

static bool fail_one(size_t size)
{
    (void)size;
    return nr_asked++ != failing;
}

/* source NULL: this machine. Leaks are the sanitizer's to see. */
static void check_each_failure(const char *source)
{
    for (failing = 0;; failing++) {
        struct sk_topo t;
        nr_asked = 0;
        sk_mem_set_hook(fail_one);
        int error = source == NULL ? sk_topo_load(&t) : sk_topo_load_from(&t, source);
        sk_mem_set_hook(NULL);
        if (nr_asked <= failing) { /* all were granted */
            assert_int_equal(error, 0);
            sk_topo_fini(&t);
            assert_true(failing >= 5);
            return;
        }
        assert_int_equal(error, -ENOMEM);
        assert_null(t.pus);
        assert_int_equal(t.nr_pus, 0);
    }
}

static void each_allocation_that_fails_unwinds(void **state)
{
    (void)state;
    char path[1024];
    check_each_failure(NULL);
    check_each_failure("pack:2 numa:2 core:4 pu:2");
    if (recorded_path(path, "gb10-arm-hybrid"))
        check_each_failure(path);
}

static void fini_takes_nothing_and_twice(void **state)
{
    (void)state;
    sk_topo_fini(NULL);
    struct sk_topo t = { 0 };
    sk_topo_fini(&t);
    assert_int_equal(sk_topo_load_from(&t, "core:2 pu:1"), 0);
    sk_topo_fini(&t);
    sk_topo_fini(&t);
    assert_null(t.pus);
}

static void a_quota_caps_the_number_of_workers(void **state)
{
    (void)state;
    static const struct {
        double quota;
        int workers;
    } cases[] = { { 0, 8 },    { 0.1, 1 },  { 1, 1 },   { 1.5, 1 },  { 1.75, 2 },
                  { 2.74, 2 }, { 7.75, 8 }, { 7.7, 7 }, { 64.0, 8 }, { 1e30, 8 } };
    struct sk_topo t;
    assert_int_equal(sk_topo_load_from(&t, "pack:2 core:4 pu:2"), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        t.quota = cases[i].quota;
        assert_int_equal(sk_topo_default_workers(&t), cases[i].workers);
    }
    sk_topo_fini(&t);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines_have_the_parts_they_are_made_of),
        cmocka_unit_test(numbers_are_dense_and_in_tree_order),
        cmocka_unit_test(memory_only_nodes_are_no_places),
        cmocka_unit_test(of_two_nodes_over_the_same_cpus_the_first_counts),
        cmocka_unit_test(cores_at_two_depths_are_all_counted),
        cmocka_unit_test(units_may_have_no_node),
        cmocka_unit_test(near_equal_kinds_are_one_kind),
        cmocka_unit_test(cores_that_share_an_l2_are_a_cluster),
        cmocka_unit_test(distances_are_those_of_the_firmware),
        cmocka_unit_test(distances_of_sparse_node_numbers_are_dense),
        cmocka_unit_test(distances_are_ten_and_twenty_where_unknown),
        cmocka_unit_test(a_synthetic_string_is_a_machine),
        cmocka_unit_test(no_l3_gives_one_a_package_or_one_in_all),
        cmocka_unit_test(no_core_objects_make_each_unit_a_core),
        cmocka_unit_test(a_mask_of_one_cpu_gives_one_unit),
        cmocka_unit_test(this_machine_is_what_the_thread_may_use),
        cmocka_unit_test(hwlocs_own_variables_make_a_machine_that_is_not_real),
        cmocka_unit_test(what_is_no_machine_gives_an_error_and_no_noise),
        cmocka_unit_test(a_file_cut_short_gives_an_error),
        cmocka_unit_test(each_allocation_that_fails_unwinds),
        cmocka_unit_test(fini_takes_nothing_and_twice),
        cmocka_unit_test(a_quota_caps_the_number_of_workers),
    };
    return cmocka_run_group_tests_name("numa/topo", tests, NULL, NULL);
}
