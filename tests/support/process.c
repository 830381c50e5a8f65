/* Waiting for what other processes do is polling here: of counters in shared memory and of /proc.
 * Locks and condition variables would be shared with tasks that are killed while they hold them.
 * The pauses between two looks are for the other processes' sake. */
#define _GNU_SOURCE
#include "tests/support/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/gate.h"
#include "tests/support/harness.h"

/* ---- pools and shared memory ----------------------------------------------------------------- */

skua_executor *skt_processes_with(const skua_options *options)
{
    skua_executor *ex = skua_process_pool(options);
    if (ex == NULL)
        print_error("%s\n", skua_last_error()->message);
    assert_non_null(ex);
    assert_true(skt_meet(ex));
    return ex;
}

skua_executor *skt_processes_of(int workers)
{
    skua_executor *ex = skt_processes_with(&(skua_options){ .workers = workers });
    assert_int_equal(skua_workers(ex), workers);
    return ex;
}

skua_executor *skt_processes(void **state)
{
    return skt_processes_of(skt_workers(state));
}

bool skt_meet(skua_executor *ex)
{
    const int n = skua_workers(ex);
    struct skt_shared_gate *gate = skt_shared_gate_new(ex);
    skua_future *fs[64];
    assert_in_range(n, 1, 64);
    for (int i = 0; i < n; i++)
        fs[i] = skua_submit_task(
            ex,
            &(skua_task){ .fn = skt_shared_gate_task, .arg = gate, .result_size = sizeof(int) });
    skt_counter_wait(&gate->began, n);
    skt_shared_gate_open(gate);
    uint64_t seen = 0;
    for (int i = 0; i < n; i++) {
        int worker = -1;
        if (skua_result(fs[i], &worker, sizeof worker, SKUA_FOREVER) != SKUA_OK)
            print_error("a task at the gate: %s\n", skua_last_error()->message);
        if (worker >= 0 && worker < n)
            seen |= (uint64_t)1 << worker;
        skua_release(fs[i]);
    }
    skua_shared_free(ex, gate);
    return seen == (n == 64 ? ~(uint64_t)0 : ((uint64_t)1 << n) - 1);
}

SK_ATOMIC(int) * skt_counters(skua_executor *ex, size_t n)
{
    SK_ATOMIC(int) *counters = skua_shared_alloc(ex, n * sizeof *counters);
    assert_non_null(counters);
    return counters;
}

SK_ATOMIC(int) * skt_common_counters(size_t n)
{
    void *memory = mmap(NULL, n * sizeof(SK_ATOMIC(int)), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(memory, MAP_FAILED);
    return memory;
}

/* Gives the processors to others for a while that grows with the number of looks. */
static void look_away(int looks)
{
    if (looks < 20)
        sched_yield();
    else
        skt_pause(looks < 200 ? 0.0001 : 0.001); /* not synchronisation: between two looks */
}

void skt_counter_wait(const SK_ATOMIC(int) * counter, int n)
{
    for (int looks = 0; sk_load_acq(counter) < n; looks++)
        look_away(looks);
}

bool skt_counter_becomes(const SK_ATOMIC(int) * counter, int n, double seconds)
{
    const double end = skt_now() + seconds * skt_slow_factor();
    for (int looks = 0; sk_load_acq(counter) < n; looks++) {
        if (skt_now() > end)
            return false;
        look_away(looks);
    }
    return true;
}

struct skt_shared_gate *skt_shared_gate_new(skua_executor *ex)
{
    struct skt_shared_gate *gate = skua_shared_alloc(ex, sizeof *gate);
    assert_non_null(gate);
    return gate;
}

void skt_shared_gate_open(struct skt_shared_gate *gate)
{
    sk_store_rel(&gate->open, 1);
}

int skt_shared_gate_task(void *arg, void *result)
{
    struct skt_shared_gate *gate = arg;
    if (result != NULL)
        *(int *)result = skua_worker();
    sk_add_acq_rel(&gate->began, 1);
    skt_counter_wait(&gate->open, 1);
    return 0;
}

void skt_shared_gate_hold(struct skt_shared_gate *gate, skua_executor *ex, int n)
{
    const int before = sk_load_acq(&gate->began);
    for (int i = 0; i < n; i++)
        skua_release(skua_submit(ex, skt_shared_gate_task, gate));
    skt_counter_wait(&gate->began, before + n);
}

skua_future *skt_shared_gate_submit(struct skt_shared_gate *gate, skua_executor *ex)
{
    const int before = sk_load_acq(&gate->began);
    skua_future *f = skua_submit(ex, skt_shared_gate_task, gate);
    skt_counter_wait(&gate->began, before + 1);
    return f;
}

int skt_tell_pid(void *arg, void *result)
{
    (void)arg;
    *(pid_t *)result = getpid();
    return 0;
}

int skt_tell_worker(void *arg, void *result)
{
    (void)arg;
    *(int *)result = skua_worker();
    return 0;
}

int skt_crash(void *arg, void *result)
{
    (void)arg;
    (void)result;
    int *volatile nowhere = (int *)8;
    *nowhere = 1;
    return 0;
}

int skt_spin(void *arg, void *result)
{
    (void)arg;
    (void)result;
    for (volatile unsigned n = 0;; n++)
        continue;
    return 0;
}

int skt_ask(skua_executor *ex, skua_fn *fn)
{
    int value = -1;
    skua_future *f = skua_submit_task(ex, &(skua_task){ .fn = fn, .result_size = sizeof value });
    if (skua_result(f, &value, sizeof value, SKUA_FOREVER) != SKUA_OK)
        print_error("asking a worker: %s\n", skua_last_error()->message);
    skua_release(f);
    return value;
}

bool skt_works(skua_executor *ex)
{
    int value = -1;
    skua_future *f = skt_submit_int(ex, skt_square, 12);
    const skua_status status = skua_result(f, &value, sizeof value, SKUA_FOREVER);
    skua_release(f);
    return status == SKUA_OK && value == 144;
}

/* ---- the processes around -------------------------------------------------------------------- */

/* Reads a file of /proc. False if there is none. */
static bool read_file(const char *path, char *text, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    return n > 0;
}

/* The state letter of a process and its parent; false if it is gone. */
static bool look_at(pid_t pid, char *state, pid_t *parent)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    if (!read_file(path, text, sizeof text))
        return false;
    const char *after_name = strrchr(text, ')');
    if (after_name == NULL || strlen(after_name) < 4)
        return false;
    *state = after_name[2];
    *parent = (pid_t)strtol(after_name + 4, NULL, 10);
    return true;
}

struct process {
    pid_t pid, parent;
    char state;
    bool ours;
};

/* Every process of the machine. */
static size_t look_at_all(struct process *all, size_t room)
{
    size_t n = 0;
    const int fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(fd >= 0);
    DIR *dir = fdopendir(fd);
    assert_non_null(dir);
    for (const struct dirent *e; n < room && (e = readdir(dir)) != NULL;) {
        const pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        struct process p = { .pid = pid };
        if (pid > 0 && look_at(pid, &p.state, &p.parent))
            all[n++] = p;
    }
    closedir(dir);
    return n;
}

/* Marks the children of this process, their children, and so on. */
static void mark_family(struct process *all, size_t n)
{
    const pid_t self = getpid();
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < n; i++) {
            bool ours = all[i].parent == self;
            for (size_t j = 0; j < n && !ours; j++)
                ours = all[j].ours && all[j].pid == all[i].parent;
            found |= ours && !all[i].ours;
            all[i].ours = ours;
        }
    }
}

void skt_family_look(struct skt_family *family)
{
    enum {
        ROOM = 8192
    };
    struct process *all = calloc(ROOM, sizeof *all);
    assert_non_null(all);
    const size_t n = look_at_all(all, ROOM);
    mark_family(all, n);
    *family = (struct skt_family){ 0 };
    for (size_t i = 0; i < n; i++) {
        if (!all[i].ours)
            continue;
        if (family->nr < SKT_MAX_FAMILY)
            family->pids[family->nr] = all[i].pid;
        family->nr++;
        family->nr_zombies += all[i].state == 'Z' || all[i].state == 'X';
        family->nr_stopped += all[i].state == 'T' || all[i].state == 't';
    }
    free(all);
}

bool skt_family_becomes(int nr)
{
    struct skt_family family;
    const double end = skt_now() + 5 * skt_slow_factor();
    for (;;) {
        skt_family_look(&family);
        if (family.nr == nr && family.nr_zombies == 0 && family.nr_stopped == 0)
            return true;
        if (skt_now() > end)
            break;
        skt_pause(0.002); /* not synchronisation: between two looks */
    }
    print_error("%d processes, %d zombies, %d stopped; expected %d processes\n", family.nr,
                family.nr_zombies, family.nr_stopped, nr);
    return false;
}

bool skt_is_gone(pid_t pid)
{
    char state;
    pid_t parent;
    return !look_at(pid, &state, &parent) || state == 'Z' || state == 'X';
}

bool skt_gets_gone(pid_t pid, double seconds)
{
    const double end = skt_now() + seconds * skt_slow_factor();
    while (!skt_is_gone(pid)) {
        if (skt_now() > end)
            return false;
        skt_pause(0.002); /* not synchronisation: between two looks */
    }
    return true;
}

pid_t skt_parent_of(pid_t pid)
{
    char state;
    pid_t parent;
    return look_at(pid, &state, &parent) ? parent : 0;
}

size_t skt_private_bytes(pid_t pid)
{
    char path[64], text[256];
    size_t size, resident, shared;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)pid);
    if (!read_file(path, text, sizeof text) ||
        sscanf(text, "%zu %zu %zu", &size, &resident, &shared) != 3)
        return 0;
    return (resident - shared) * (size_t)sysconf(_SC_PAGESIZE);
}

int skt_nr_descriptors(void)
{
    DIR *dir = opendir("/proc/self/fd");
    assert_non_null(dir);
    int n = -1; /* the directory's own */
    for (const struct dirent *e; (e = readdir(dir)) != NULL;)
        n += e->d_name[0] != '.';
    closedir(dir);
    return n;
}

static void print_descriptors(void)
{
    for (int fd = 0; fd < 1024; fd++) {
        char path[64], target[256];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        const ssize_t n = readlink(path, target, sizeof target - 1);
        if (n > 0)
            print_error("  %d: %.*s\n", fd, (int)n, target);
    }
}

bool skt_descriptors_become(int nr)
{
    const double end = skt_now() + 5 * skt_slow_factor();
    int n;
    while ((n = skt_nr_descriptors()) != nr) {
        if (skt_now() > end) {
            print_error("%d descriptors, expected %d:\n", n, nr);
            print_descriptors();
            return false;
        }
        skt_pause(0.002); /* not synchronisation: between two looks */
    }
    return true;
}

bool skt_maps_open(struct skt_maps *maps, pid_t pid)
{
    char path[64] = "/proc/self/maps";
    if (pid != 0)
        snprintf(path, sizeof path, "/proc/%d/maps", (int)pid);
    maps->begin = maps->end = 0;
    maps->fd = open(path, O_RDONLY | O_CLOEXEC);
    return maps->fd >= 0;
}

void skt_maps_close(struct skt_maps *maps)
{
    close(maps->fd);
}

/* The next line without its newline, or NULL. */
static char *next_line(struct skt_maps *maps)
{
    for (;;) {
        char *line = maps->text + maps->begin;
        char *newline = memchr(line, '\n', maps->end - maps->begin);
        if (newline != NULL) {
            *newline = '\0';
            maps->begin = (size_t)(newline + 1 - maps->text);
            return line;
        }
        memmove(maps->text, line, maps->end - maps->begin);
        maps->end -= maps->begin;
        maps->begin = 0;
        const ssize_t n = read(maps->fd, maps->text + maps->end, sizeof maps->text - 1 - maps->end);
        if (n <= 0)
            return NULL;
        maps->end += (size_t)n;
    }
}

bool skt_maps_next(struct skt_maps *maps, struct skt_mapping *mapping)
{
    const char *line = next_line(maps);
    if (line == NULL)
        return false;
    char rights[8] = "", name[sizeof mapping->name] = "";
    *mapping = (struct skt_mapping){ 0 };
    sscanf(line, "%lx-%lx %7s %*s %*s %lu %127[^\n]", &mapping->begin, &mapping->end, rights,
           &mapping->inode, name);
    mapping->writable = rights[1] == 'w';
    memcpy(mapping->name, name, sizeof name);
    return true;
}

bool skt_maps_next_channel(struct skt_maps *maps, struct skt_mapping *mapping)
{
    while (skt_maps_next(maps, mapping))
        if (strstr(mapping->name, "skua-channel") != NULL)
            return true;
    return false;
}

/* ---- what has to hold after every fault ------------------------------------------------------ */

struct held {
    struct skt_shared_gate *gate;
    int x;
};

static int square_behind_the_gate(void *arg, void *result)
{
    const struct held *held = arg;
    sk_add_acq_rel(&held->gate->began, 1);
    skt_counter_wait(&held->gate->open, 1);
    *(int *)result = held->x * held->x;
    return 0;
}

static void hold_all_but_one(struct skt_std *s)
{
    s->gate = skt_shared_gate_new(s->ex);
    s->nr_held = skua_workers(s->ex) - 1;
    for (int i = 0; i < s->nr_held; i++) {
        struct held held = { s->gate, i };
        s->held[i] = skua_submit_task(s->ex, &(skua_task){ .fn = square_behind_the_gate,
                                                           .arg = &held,
                                                           .arg_size = sizeof held,
                                                           .result_size = sizeof(int) });
    }
    skt_counter_wait(&s->gate->began, s->nr_held);
}

/* A process that is there may not have been noted by the parent yet. */
static int settled_descriptors(void)
{
    int before, now = skt_nr_descriptors();
    do {
        before = now;
        skt_pause(0.02);
        now = skt_nr_descriptors();
    } while (now != before);
    return now;
}

void skt_std_open_with(struct skt_std *s, const skua_options *options)
{
    s->nr_before = skt_nr_descriptors();
    s->ex = skt_processes_with(options);
    assert_true(skt_family_becomes(skua_workers(s->ex) + SKT_AROUND));
    s->nr_descriptors = settled_descriptors();
    hold_all_but_one(s);
}

void skt_std_open(struct skt_std *s, int workers)
{
    skt_std_open_with(s, &(skua_options){ .workers = workers });
}

const skua_error *skt_std_fault(struct skt_std *s, skua_fn *fn, skua_future **f)
{
    static const skua_error none = { .message = "no error" };
    *f = skua_submit_task(s->ex, &(skua_task){ .fn = fn, .name = "faulty" });
    const skua_error *e = skua_exception(*f, SKUA_FOREVER);
    return e != NULL ? e : &none;
}

static void let_go(struct skt_std *s, bool look)
{
    skt_shared_gate_open(s->gate);
    for (int i = 0; i < s->nr_held; i++) {
        int value = -1;
        const skua_status status = skua_result(s->held[i], &value, sizeof value, SKUA_FOREVER);
        if (look) {
            assert_status(status, SKUA_OK);
            assert_int_equal(value, i * i);
        }
        skua_release(s->held[i]);
    }
    s->nr_held = 0;
}

/* The next 100 tasks for each worker. */
static void run_a_hundred_each(skua_executor *ex)
{
    assert_true(skt_meet(ex));
    skua_future *fs[100];
    for (int round = 0; round < skua_workers(ex); round++) {
        for (int i = 0; i < 100; i++)
            fs[i] = skt_submit_int(ex, skt_square, round + i);
        for (int i = 0; i < 100; i++) {
            int value = -1;
            assert_status(skua_result(fs[i], &value, sizeof value, SKUA_FOREVER), SKUA_OK);
            assert_int_equal(value, (round + i) * (round + i));
            skua_release(fs[i]);
        }
    }
}

static void check(struct skt_std *s)
{
    let_go(s, true);
    run_a_hundred_each(s->ex);
    assert_true(skt_family_becomes(skua_workers(s->ex) + SKT_AROUND));
    assert_true(skt_descriptors_become(s->nr_descriptors));
    skua_shared_free(s->ex, s->gate);
}

void skt_std_check(struct skt_std *s)
{
    check(s);
    hold_all_but_one(s);
}

void skt_std_close(struct skt_std *s)
{
    check(s);
    skua_close(s->ex);
    assert_true(skt_family_becomes(0));
    assert_true(skt_descriptors_become(s->nr_before));
}

void skt_std_drop(struct skt_std *s)
{
    let_go(s, false);
}

void skt_check_fault(const skua_error *e, skua_status status, skua_fault fault, int signal,
                     int code)
{
    print_message("%s\n", e->message);
    assert_string_equal(skua_strstatus(e->status), skua_strstatus(status));
    assert_int_equal(e->fault, fault);
    assert_int_equal(e->signal, signal);
    assert_int_equal(e->code, code);
    assert_true(e->worker >= 0);
    assert_true(strlen(e->message) > 0);
}

skua_status skt_survive(int workers, skua_fn *fn, void *arg, double time_limit)
{
    struct skt_std s;
    skt_std_open(&s, workers);
    skua_future *f =
        skua_submit_task(s.ex, &(skua_task){ .fn = fn, .arg = arg, .time_limit = time_limit });
    const skua_error *e = skua_exception(f, 10 * skt_slow_factor());
    const skua_status status = e != NULL ? e->status : SKUA_OK;
    print_message("%s: %s\n", skua_strstatus(status), e != NULL ? e->message : "");
    assert_true(status == SKUA_OK || status == SKUA_FAILED || status == SKUA_CRASHED ||
                status == SKUA_EXPIRED);
    assert_true(e == NULL || strlen(e->message) > 0);
    skt_std_close(&s);
    skua_release(f);
    return status;
}
