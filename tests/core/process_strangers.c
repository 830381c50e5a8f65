/* What a worker has of others: of another pool nothing, and of its own pool no other worker's
 * channel. A worker is a copy of the program, which has all channels, boards, shared memory and
 * sockets of all its pools; this holds also for pools that come second, and for workers that are
 * copies of the program as a refresh found it. Files are told apart by their inodes. */
#define _GNU_SOURCE
#include "tests/support/harness.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/process.h"

struct inodes {
    int nr;
    unsigned long at[512];
};

static bool has(const struct inodes *set, unsigned long inode)
{
    for (int i = 0; i < set->nr; i++)
        if (set->at[i] == inode)
            return true;
    return false;
}

static void add(struct inodes *set, unsigned long inode)
{
    if (has(set, inode))
        return;
    assert_true(set->nr < (int)SKT_COUNT(set->at));
    set->at[set->nr++] = inode;
}

/* What is in set and not in other. */
static struct inodes without(const struct inodes *set, const struct inodes *other)
{
    struct inodes left = { 0 };
    for (int i = 0; i < set->nr; i++)
        if (!has(other, set->at[i]))
            add(&left, set->at[i]);
    return left;
}

static void assert_disjoint(const struct inodes *mine, const struct inodes *others)
{
    for (int i = 0; i < mine->nr; i++)
        if (has(others, mine->at[i]))
            fail_msg("inode %lu is another pool's", mine->at[i]);
}

/* The files behind mappings of a process whose names have these words. */
static struct inodes memory_of(pid_t pid, const char *kind)
{
    struct inodes set = { 0 };
    struct skt_maps maps;
    struct skt_mapping m;
    assert_true(skt_maps_open(&maps, pid));
    while (skt_maps_next(&maps, &m))
        if (strstr(m.name, kind) != NULL)
            add(&set, m.inode);
    skt_maps_close(&maps);
    return set;
}

static struct inodes shared_memory_of(pid_t pid)
{
    struct inodes set = memory_of(pid, "memfd:");
    const struct inodes anonymous = memory_of(pid, "/dev/zero"); /* MAP_SHARED | MAP_ANONYMOUS */
    for (int i = 0; i < anonymous.nr; i++)
        add(&set, anonymous.at[i]);
    return set;
}

/* The sockets, pipes and files that it has open; what is anonymous has no inode of its own. */
static struct inodes descriptors_of(pid_t pid)
{
    struct inodes set = { 0 };
    for (int fd = 0; fd < 1024; fd++) {
        char path[64];
        struct stat st;
        snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)pid, fd);
        if (stat(path, &st) == 0 &&
            (S_ISSOCK(st.st_mode) || S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode)))
            add(&set, st.st_ino);
    }
    return set;
}

static pid_t worker_of(skua_executor *ex)
{
    pid_t pid = -1;
    skua_future *f =
        skua_submit_task(ex, &(skua_task){ .fn = skt_tell_pid, .result_size = sizeof pid });
    assert_status(skua_result(f, &pid, sizeof pid, SKUA_FOREVER), SKUA_OK);
    skua_release(f);
    return pid;
}

/* Two pools of one worker each, with shared memory of both kinds, and what the program has for
 * either. */
struct pair {
    struct inodes (*look)(pid_t pid);
    struct inodes before; /* what it had before them */
    skua_executor *a, *b;
    struct inodes of_a, of_b;
};

static skua_executor *open_with_memory(void)
{
    skua_executor *ex = skt_processes_of(1);
    char *both = skua_shared_alloc(ex, 4096);
    char *read_only = skua_shared_alloc_with(ex, 4096, SKUA_SHARED_RO);
    assert_non_null(both);
    assert_non_null(read_only);
    both[0] = read_only[0] = 1; /* freed with the pool */
    return ex;
}

static void open_pair(struct pair *p, struct inodes (*look)(pid_t pid))
{
    p->look = look;
    p->before = look(getpid());
    p->a = open_with_memory();
    const struct inodes with_a = look(getpid());
    p->of_a = without(&with_a, &p->before);
    p->b = open_with_memory();
    const struct inodes with_both = look(getpid());
    p->of_b = without(&with_both, &with_a);
    assert_true(p->of_a.nr > 0 && p->of_b.nr > 0);
}

static void close_pair(struct pair *p)
{
    skua_close(p->a);
    skua_close(p->b);
    assert_true(skt_family_becomes(0));
}

static void check_pair(const struct pair *p)
{
    const struct inodes all_a = p->look(worker_of(p->a)), all_b = p->look(worker_of(p->b));
    const struct inodes mine = without(&all_a, &p->before), theirs = without(&all_b, &p->before);
    assert_true(mine.nr > 0 && theirs.nr > 0);
    assert_disjoint(&mine, &theirs);
    assert_disjoint(&mine, &p->of_b);
    assert_disjoint(&theirs, &p->of_a);
}

static void check_pair_and_refreshed(struct inodes (*look)(pid_t pid))
{
    struct pair p;
    open_pair(&p, look);
    check_pair(&p);
    assert_status(skua_process_refresh(p.a), SKUA_OK);
    check_pair(&p);
    assert_status(skua_process_refresh(p.b), SKUA_OK);
    check_pair(&p);
    close_pair(&p);
}

static void workers_of_two_pools_share_no_memory(void **state)
{
    (void)state;
    check_pair_and_refreshed(shared_memory_of);
}

static void workers_of_two_pools_share_no_descriptor(void **state)
{
    (void)state;
    check_pair_and_refreshed(descriptors_of);
}

static void a_worker_maps_one_channel_however_late_it_comes(void **state)
{
    skua_executor *exs[2];
    for (int i = 0; i < 2; i++)
        exs[i] = skt_processes(state);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < 8; i++)
            assert_int_equal(memory_of(worker_of(exs[i % 2]), "skua-channel").nr, 1);
        assert_status(skua_process_refresh(exs[round % 2]), SKUA_OK);
    }
    for (int i = 0; i < 2; i++)
        skua_close(exs[i]);
    assert_true(skt_family_becomes(0));
}

/* ---- wild writers ---------------------------------------------------------------------------- */

/* Writes over all that it can write to of the channels of others, and then over its own, which is
 * the one that it has a half of to read only. */
static int scribble(void *arg, void *result)
{
    static struct skt_mapping ms[256];
    struct skt_maps maps;
    unsigned long own = 0;
    size_t n = 0;
    (void)arg;
    (void)result;
    if (!skt_maps_open(&maps, 0))
        return skua_fail(1, "cannot read its own maps");
    while (n < SKT_COUNT(ms) && skt_maps_next_channel(&maps, &ms[n]))
        own = ms[n].writable ? own : ms[n].inode, n++;
    skt_maps_close(&maps);
    for (int mine = 0; mine < 2; mine++)
        for (size_t i = 0; i < n; i++)
            if (ms[i].writable && (ms[i].inode == own) == mine)
                memset((void *)ms[i].begin, 0x41, ms[i].end - ms[i].begin);
    return 0;
}

static void let_scribble(skua_executor *ex)
{
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = scribble, .time_limit = 2 });
    const skua_error *e = skua_exception(f, 20 * skt_slow_factor());
    print_message("the writer: %s\n", e != NULL ? e->message : "no error");
    assert_true(skua_done(f));
    skua_release(f);
}

struct innocents {
    struct skt_shared_gate *gate;
    skua_future *fs[8];
    int nr;
};

static void hold(struct innocents *in, skua_executor *ex, int n)
{
    in->gate = skt_shared_gate_new(ex);
    in->nr = n;
    for (int i = 0; i < n; i++)
        in->fs[i] = skt_shared_gate_submit(in->gate, ex);
}

static void check(struct innocents *in, skua_executor *ex)
{
    skt_shared_gate_open(in->gate);
    for (int i = 0; i < in->nr; i++) {
        const skua_error *e = skua_exception(in->fs[i], 20 * skt_slow_factor());
        if (e != NULL)
            print_error("innocent %d: %s\n", i, e->message);
        assert_null(e);
        skua_release(in->fs[i]);
    }
    assert_int_equal(sk_load_acq(&in->gate->began), in->nr); /* each once */
    skua_shared_free(ex, in->gate);
    assert_true(skt_meet(ex));
}

static void a_wild_writer_harms_no_task_of_another_pool(void **state)
{
    const int n = skt_workers(state);
    struct innocents first, second;
    skua_executor *a = skt_processes_of(n), *b = skt_processes_of(n);
    hold(&first, a, n);
    let_scribble(b);
    check(&first, a);
    hold(&second, b, n);
    let_scribble(a);
    check(&second, b);
    assert_status(skua_process_refresh(a), SKUA_OK);
    hold(&second, b, n);
    let_scribble(a);
    check(&second, b);
    skua_close(a);
    skua_close(b);
    assert_true(skt_family_becomes(0));
}

/* The held task goes on in its old process; the writer is a copy of a program that talks to it. */
static void a_wild_writer_harms_no_task_from_before_a_refresh(void **state)
{
    (void)state;
    struct innocents in;
    skua_executor *ex = skt_processes_of(2);
    for (int round = 0; round < 3; round++) {
        hold(&in, ex, 1);
        assert_status(skua_process_refresh(ex), SKUA_OK);
        let_scribble(ex);
        check(&in, ex);
    }
    skua_close(ex);
    assert_true(skt_family_becomes(0));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(workers_of_two_pools_share_no_memory),
        SKT_TEST(workers_of_two_pools_share_no_descriptor),
        SKT_AT(a_worker_maps_one_channel_however_late_it_comes, 1),
        SKT_AT(a_worker_maps_one_channel_however_late_it_comes, 2),
        SKT_AT(a_wild_writer_harms_no_task_of_another_pool, 1),
        SKT_AT(a_wild_writer_harms_no_task_of_another_pool, 2),
        SKT_TEST(a_wild_writer_harms_no_task_from_before_a_refresh),
    };
    return skt_main(argc, argv, "process_strangers", tests, SKT_COUNT(tests));
}
