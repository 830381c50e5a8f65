/* Tests of process pools: counters and gates that tasks see, the processes around a pool, and what
 * has to hold after every fault ("std" in the list of faults).
 *
 * A task runs in another process: it must not use cmocka's checks, and tells what it saw by its
 * result, by skua_fail(), or in shared memory. */
#ifndef SKT_PROCESS_H
#define SKT_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/atomic.h"
#include "skua/skua.h"

/* ---- pools and shared memory ----------------------------------------------------------------- */

enum {
    SKT_AROUND = 3, /* keeper, zygote and spare: the processes beside the workers */
    SKT_MAX_FAMILY = 512
};

/* A pool of so many worker processes, all of which have run a task. */
skua_executor *skt_processes(void **state); /* as many as the case says */
skua_executor *skt_processes_of(int workers);
skua_executor *skt_processes_with(const skua_options *options);
/* Runs one task on each worker at the same time. False if their numbers are not 0 .. n-1. */
bool skt_meet(skua_executor *ex);

/* n counters, zero, that tasks of ex see; skt_count() adds to one. */
SK_ATOMIC(int) * skt_counters(skua_executor *ex, size_t n);
/* Counters that every process forked from here on sees, for those that belong to no pool. */
SK_ATOMIC(int) * skt_common_counters(size_t n);
/* Waits until a counter is at least n. */
void skt_counter_wait(const SK_ATOMIC(int) * counter, int n);
/* Whether it gets there within so many seconds, more where everything is slow. */
bool skt_counter_becomes(const SK_ATOMIC(int) * counter, int n, double seconds);

/* A gate for tasks in other processes. */
struct skt_shared_gate {
    SK_ATOMIC(int) began; /* risen by each task that came to the gate */
    SK_ATOMIC(int) open;
};
struct skt_shared_gate *skt_shared_gate_new(skua_executor *ex); /* for skua_shared_free() */
void skt_shared_gate_open(struct skt_shared_gate *gate);
/* Waits at the gate that is its argument; its result, if it has one, is the worker's number. */
skua_fn skt_shared_gate_task;
/* Makes n workers of the pool wait at the gate; returns when they do. */
void skt_shared_gate_hold(struct skt_shared_gate *gate, skua_executor *ex, int n);
/* One task at the gate, begun already. */
skua_future *skt_shared_gate_submit(struct skt_shared_gate *gate, skua_executor *ex);

skua_fn skt_tell_pid;    /* *(pid_t *)result */
skua_fn skt_tell_worker; /* *(int *)result */
skua_fn skt_crash;       /* writes to the address 8 */
skua_fn skt_spin;        /* never ends */

/* Submits a task without argument, and waits for its int. */
int skt_ask(skua_executor *ex, skua_fn *fn);
/* Submits skt_square() for a number and says whether the result is right. */
bool skt_works(skua_executor *ex);

/* ---- the processes around -------------------------------------------------------------------- */

/* All descendants of this process, zombies included. */
struct skt_family {
    int nr, nr_zombies, nr_stopped;
    pid_t pids[SKT_MAX_FAMILY];
};
void skt_family_look(struct skt_family *family);
/* Whether there get to be exactly nr of them, none a zombie or stopped, within 5 s. */
bool skt_family_becomes(int nr);
/* Whether a process is gone, or is a zombie that somebody else has to reap. */
bool skt_is_gone(pid_t pid);
bool skt_gets_gone(pid_t pid, double seconds);
pid_t skt_parent_of(pid_t pid); /* 0 if there is none */
/* Bytes of private resident memory. */
size_t skt_private_bytes(pid_t pid);
int skt_nr_descriptors(void); /* of this process */
bool skt_descriptors_become(int nr);

/* One mapping of a process. */
struct skt_mapping {
    unsigned long begin, end, inode;
    bool writable;
    char name[128];
};
/* The next line of an opened /proc/PID/maps, read by plain reads into the caller's own memory. */
struct skt_maps {
    int fd;
    size_t begin, end;
    char text[4096];
};
bool skt_maps_open(struct skt_maps *maps, pid_t pid); /* 0: of the caller */
bool skt_maps_next(struct skt_maps *maps, struct skt_mapping *mapping);
void skt_maps_close(struct skt_maps *maps);
/* The next mapping of a channel between parent and worker. */
bool skt_maps_next_channel(struct skt_maps *maps, struct skt_mapping *mapping);

/* ---- what has to hold after every fault ------------------------------------------------------ */

/* A pool all of whose workers but one are in the middle of a task. */
struct skt_std {
    skua_executor *ex;
    struct skt_shared_gate *gate;
    int nr_before;      /* descriptors before the pool was made */
    int nr_descriptors; /* with the pool at work */
    int nr_held;
    skua_future *held[64];
};
void skt_std_open(struct skt_std *s, int workers);
void skt_std_open_with(struct skt_std *s, const skua_options *options);
/* Runs fn, checks that its future ended so, and gives the error, which lives as long as *f. */
const skua_error *skt_std_fault(struct skt_std *s, skua_fn *fn, skua_future **f);
/* The tasks in flight complete with right values, 100 more for each worker too; there are as many
 * processes and descriptors as before, and no zombie. Then holds the workers again. */
void skt_std_check(struct skt_std *s);
/* The same, then closes the pool: nothing is left of it. */
void skt_std_close(struct skt_std *s);
/* Lets the tasks in flight go without looking at how they end, for faults that take all workers. */
void skt_std_drop(struct skt_std *s);

/* Runs fn on a pool of so many workers beside tasks in flight. It must end in some way, with words,
 * and all has to hold afterwards. Gives its status. */
skua_status skt_survive(int workers, skua_fn *fn, void *arg, double time_limit);

/* Checks an error's status, fault, signal and code, and that it names a worker. */
void skt_check_fault(const skua_error *e, skua_status status, skua_fault fault, int signal,
                     int code);

#endif
