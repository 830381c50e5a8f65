/* The recorded and synthetic machines of the tests: found in tests/topologies or, for those that
 * other projects recorded, in the shared folder beside the checkout, which may be absent. */
#ifndef SKT_RECORDED_H
#define SKT_RECORDED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <unistd.h>

#include "numa/topo.h"

#ifndef SKUA_TEST_DIR
#define SKUA_TEST_DIR "tests"
#endif
#ifndef SKUA_SHARED_DIR
#define SKUA_SHARED_DIR "../shared"
#endif

/* What README.md beside the files says of them, counted where there is an allowed CPU; as L3s count
 * the packages where there is no L3. */
struct recorded {
    const char *name;
    int packages, nodes, l3s, cores, pus, kinds;
};

static const struct recorded recorded_machines[] = {
    { "arm-2c-nonuma-nocache", 1, 1, 1, 2, 2, 1 },
    { "asymmetric-caches", 2, 1, 2, 8, 8, 1 },
    { "bulldozer-4s2n", 4, 8, 8, 64, 64, 1 },
    { "cgroup2-6of32", 1, 2, 2, 6, 6, 1 }, /* the other packages have memory alone */
    { "cxl-memory", 1, 1, 1, 4, 4, 1 },
    { "epyc-2s-nps1-synthetic", 2, 2, 16, 128, 256, 1 },
    { "epyc-2s-nps4-synthetic", 2, 8, 16, 128, 256, 1 },
    { "fake-heterodistances", 4, 8, 8, 8, 8, 1 },
    { "gb10-arm-hybrid", 1, 1, 2, 20, 20, 2 },
    { "knl-snc4-mcdram", 1, 4, 4, 16, 64, 1 },
    { "lab-2s4n16c", 2, 4, 4, 8, 16, 1 },
    { "lab-cgroup-offline", 2, 3, 3, 3, 4, 1 },
    { "lab-memory-only-nodes", 2, 4, 2, 8, 8, 1 },
    { "offline-cpu0-node0", 2, 1, 2, 17, 17, 1 },
    { "one-core-synthetic", 1, 1, 1, 1, 1, 1 },
    { "power7-8n-smt4", 64, 8, 64, 64, 256, 1 },
    { "qemu-4s2d-16n", 4, 16, 8, 32, 64, 1 },
    { "raptorlake-hybrid", 1, 1, 1, 14, 20, 2 },
    { "uv-24s8c2t-24n", 24, 24, 24, 192, 384, 1 },
    { "xeon-2s8c2t", 2, 2, 2, 16, 32, 1 },
};

enum {
    NR_RECORDED = sizeof recorded_machines / sizeof *recorded_machines
};

/* Writes the path of a machine's file; false, and a line that says so, where it is absent. */
static inline bool recorded_path(char path[1024], const char *name)
{
    snprintf(path, 1024, "%s/topologies/%s.xml", SKUA_TEST_DIR, name);
    if (access(path, R_OK) == 0)
        return true;
    snprintf(path, 1024, "%s/topologies/%s.xml", SKUA_SHARED_DIR, name);
    if (access(path, R_OK) == 0)
        return true;
    print_message("not here: %s\n", path);
    return false;
}

/* Loads a machine; false where its file is absent. */
static inline bool recorded_try_load(struct sk_topo *topo, const char *name)
{
    char path[1024];
    *topo = (struct sk_topo){ 0 };
    if (!recorded_path(path, name))
        return false;
    assert_int_equal(sk_topo_load_from(topo, path), 0);
    return true;
}

/* Loads a machine, or skips the test. */
static inline void recorded_load(struct sk_topo *topo, const char *name)
{
    if (!recorded_try_load(topo, name))
        skip();
}

#endif
