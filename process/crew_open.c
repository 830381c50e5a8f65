/* Making a crew, freeing it, and making it anew from the program as it is now (refresh).
 *
 * The order matters: what workers are to inherit, the board, the reservations of shared memory, the
 * doorbell, is there before the zygote; the crew's threads come after it, so that a program without
 * threads is copied without threads. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/env.h"
#include "base/mem.h"
#include "base/thread.h"
#include "base/time.h"
#include "process/member.h"
#include "sched/worker.h"

enum {
    MOST_PROCESSORS = 16384
};
static const double birth_timeout = 30; /* seconds; a worker of a large program takes its time */

static void free_parts(struct sk_crew *crew)
{
    sk_member_free_all(crew);
    if (crew->doorbell >= 0)
        close(crew->doorbell);
    if (crew->setup.doorbell >= 0)
        close(crew->setup.doorbell);
    if (crew->kick >= 0)
        close(crew->kick);
    if (crew->setup.board != NULL)
        munmap(crew->setup.board, (size_t)sysconf(_SC_PAGESIZE));
    sk_heap_close(crew->heap);
    sk_shares_fini(&crew->setup.shares);
    sk_free(crew->seats);
    sk_free(crew->nr_ordered);
    crew->setup.board = NULL;
    crew->heap = NULL;
    crew->seats = NULL;
    crew->nr_ordered = NULL;
    crew->doorbell = crew->setup.doorbell = crew->kick = -1;
}

/* All crews of the process, for who is copied off it. Changed under the lock; every moment's list
 * is whole, so that a copy can walk it without. */
static SK_ATOMIC(struct sk_crew *) crews;
static struct sk_lock crews_lock = SK_LOCK_INIT(SK_RANK_LEAF);

static void enlist(struct sk_crew *crew)
{
    sk_lock_lock(&crews_lock);
    crew->next_crew = sk_load_rlx(&crews);
    sk_store_rel(&crews, crew);
    sk_lock_unlock(&crews_lock);
}

static void strike(struct sk_crew *crew)
{
    sk_lock_lock(&crews_lock);
    if (sk_load_rlx(&crews) == crew)
        sk_store_rel(&crews, crew->next_crew);
    for (struct sk_crew *c = sk_load_rlx(&crews); c != NULL; c = c->next_crew) {
        if (c->next_crew == crew)
            c->next_crew = crew->next_crew;
    }
    sk_lock_unlock(&crews_lock);
}

/* In a new zygote, which is a copy of the program with all that it has: other crews' boards, shared
 * memory and sockets are none of its workers' business, nor are this crew's own processes. Channels
 * are not copied anyway. */
static void leave_others(void *ctx)
{
    struct sk_crew *mine = ctx, *next;
    for (struct sk_crew *c = sk_load_acq(&crews); c != NULL; c = next) {
        next = c->next_crew;
        if (c != mine)
            free_parts(c);
    }
    sk_member_free_all(mine);
    close(mine->doorbell);
    close(mine->kick);
}

static int fail(int error, const char *what, char *why, size_t size)
{
    snprintf(why, size, "%s: %s", what, strerror(-error));
    return error;
}

static int open_board(struct sk_crew *crew)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    struct sk_board *board =
        mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (board == MAP_FAILED)
        return -errno;
    crew->setup.board = board;
    return 0;
}

static int open_doorbell(struct sk_crew *crew)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
        return -errno;
    crew->doorbell = ends[0];
    crew->setup.doorbell = ends[1];
    crew->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return crew->kick >= 0 ? 0 : -errno;
}

/* Each process takes a descriptor here, or two; some are left for the program. */
static int check_descriptors(const struct sk_crew *crew, char *why, size_t size)
{
    enum {
        FOR_OTHERS = 16
    };
    struct rlimit limit;
    rlim_t each = crew->config.memory_limit != 0 ? 2 : 1;
    rlim_t wanted = each * (rlim_t)(crew->setup.shares.nr_workers + 1) + FOR_OTHERS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
        return 0;
    snprintf(
        why, size,
        "%d workers take %llu descriptors with those of the program, but RLIMIT_NOFILE is %llu",
        crew->setup.shares.nr_workers, (unsigned long long)wanted,
        (unsigned long long)limit.rlim_cur);
    return -EMFILE;
}

/* All that needs no process; freed by free_parts() also where it fails. */
static int open_parts(struct sk_crew *crew, char *why, size_t size)
{
    const struct sk_crew_config *config = &crew->config;
    struct sk_child_setup *setup = &crew->setup;
    crew->name = sk_strdup(config->name != NULL ? config->name : "skua");
    if (crew->name == NULL)
        return fail(-ENOMEM, "out of memory", why, size);
    int error = sk_shares_init(&setup->shares, config->bind, config->nr_workers);
    if (error != 0)
        return fail(error, "the machine's topology cannot be read", why, size);
    if ((error = check_descriptors(crew, why, size)) != 0)
        return error;
    crew->seats = sk_calloc((size_t)setup->shares.nr_workers, sizeof(struct sk_member *));
    crew->nr_ordered = sk_calloc((size_t)setup->shares.nr_workers, sizeof(unsigned));
    if (crew->seats == NULL || crew->nr_ordered == NULL)
        return fail(-ENOMEM, "out of memory", why, size);
    if ((error = open_board(crew)) != 0 || (error = sk_heap_open(&crew->heap)) != 0)
        return fail(error, "no shared memory for the workers", why, size);
    if ((error = open_doorbell(crew)) != 0)
        return fail(error, "no socket for the workers", why, size);
    setup->heap = crew->heap;
    setup->name = crew->name;
    setup->memory_limit = config->memory_limit;
    setup->harden = config->harden;
    setup->call = config->call;
    setup->init = config->init;
    setup->init_ctx = config->init_ctx;
    setup->leave = leave_others;
    setup->leave_ctx = crew;
    sk_oom_open(&crew->oom);
    return 0;
}

void sk_crew_free(struct sk_crew *crew)
{
    if (crew != NULL)
        sk_free(crew->name);
    sk_free(crew);
}

/* Waits for one more birth than `births`; false if there is none. */
static bool wait_for_birth(struct sk_crew *crew, uint64_t births, uint64_t failed)
{
    int64_t deadline_ns = sk_deadline_ns(birth_timeout);
    bool in_time = true;
    while (in_time && sk_load_sc(&crew->nr_births) == births) {
        uint32_t token = sk_park_prepare(&crew->birth_park);
        bool hopeless = sk_load_sc(&crew->nr_failed_births) != failed;
        if (hopeless || sk_load_sc(&crew->nr_births) != births)
            sk_park_cancel(&crew->birth_park);
        else
            in_time = sk_park_wait(&crew->birth_park, token, deadline_ns);
        if (hopeless)
            break;
    }
    return sk_load_sc(&crew->nr_births) != births;
}

static int origin_error(int error, char *why, size_t size)
{
    if (error == -EBUSY || error == -ECHILD)
        return fail(error,
                    "the process that is to start the workers hangs or dies, whenever it is tried: "
                    "other threads of the program may hold locks that it needs; make the pool "
                    "before them",
                    why, size);
    return fail(error, "no process could be started", why, size);
}

static int open_here(struct sk_crew **out, const struct sk_crew_config *config, char *why,
                     size_t size)
{
    struct sk_crew *crew = sk_alloc_lines(sizeof *crew);
    *out = NULL;
    if (crew == NULL)
        return fail(-ENOMEM, "out of memory", why, size);
    crew->config = *config;
    crew->doorbell = crew->setup.doorbell = crew->kick = crew->next_channel.fd = -1;
    crew->fork_count = sk_thread_fork_count();
    sk_lock_init(&crew->lock, SK_RANK_POOL);
    int error = open_parts(crew, why, size);
    struct sk_origin *origin = NULL;
    if (error == 0 && (origin = sk_origin_open(crew, &error)) == NULL)
        origin_error(error, why, size);
    if (error == 0 && (error = sk_supervise_start(crew)) != 0) {
        fail(error, "no threads for the pool", why, size);
        sk_origin_close(origin);
    }
    if (error != 0) {
        free_parts(crew);
        sk_crew_free(crew);
        return error;
    }
    sk_env_check_names();
    if (sk_env_bool("SKUA_DISPLAY", false))
        sk_shares_display(&crew->setup.shares, crew->name);
    enlist(crew);
    sk_lock_lock(&crew->lock);
    sk_member_set_origin_locked(crew, origin);
    sk_member_refill_locked(crew);
    crew->activity++;
    sk_supervise_kick_locked(crew);
    sk_lock_unlock(&crew->lock);
    if (!wait_for_birth(crew, 0, 0)) {
        error = crew->birth_error != 0 ? crew->birth_error : -ETIMEDOUT;
        fail(error, "not one worker process could be started", why, size);
        sk_crew_close(crew);
        sk_crew_free(crew);
        return error;
    }
    *out = crew;
    return 0;
}

/* A worker of a thread pool is pinned to a core, which says nothing of what the program may use. */
int sk_crew_open(struct sk_crew **out, const struct sk_crew_config *config, char *why, size_t size)
{
    cpu_set_t *mine = NULL, *all = NULL;
    const size_t bytes = CPU_ALLOC_SIZE(MOST_PROCESSORS);
    if (sk_worker_self() != NULL) {
        mine = sk_calloc(1, bytes);
        all = sk_calloc(1, bytes);
    }
    bool widens = mine != NULL && all != NULL && sched_getaffinity(0, bytes, mine) == 0 &&
                  sched_getaffinity(getpid(), bytes, all) == 0 &&
                  sched_setaffinity(0, bytes, all) == 0;
    int error = open_here(out, config, why, size);
    if (widens)
        sched_setaffinity(0, bytes, mine);
    sk_free(mine);
    sk_free(all);
    return error;
}

void sk_crew_end(struct sk_crew *crew)
{
    sk_lock_lock(&crew->lock);
    crew->closing = true;
    sk_lock_unlock(&crew->lock);
    sk_supervise_stop(crew);
}

void sk_crew_close(struct sk_crew *crew)
{
    bool here = sk_crew_here(crew);
    if (here) {
        sk_crew_shutdown(crew);
        sk_crew_end(crew);
        strike(crew);
    } else {
        sk_store_sc(&crew->shutdown, true);
    }
    free_parts(crew);
}

bool sk_crew_knows(struct sk_crew *crew, uintptr_t fn, char *why, size_t size)
{
    struct sk_modules *modules = sk_load_acq(&crew->modules); /* they live as long as the crew */
    return sk_modules_know(modules, (void (*)(void))fn, why, size);
}

static void change_origin_locked(struct sk_crew *crew, struct sk_origin *origin)
{
    sk_member_set_origin_locked(crew, origin);
    for (struct sk_member *m = crew->members; m != NULL; m = m->next) {
        if (m->phase == SK_MEMBER_READY) {
            sk_traffic_recall_locked(crew, m, false);
            sk_member_retire_locked(crew, m);
        }
    }
    sk_member_refill_locked(crew);
    crew->activity++;
    sk_supervise_kick_locked(crew);
}

int sk_crew_refresh(struct sk_crew *crew, char *why, size_t size)
{
    int error;
    if (sk_crew_broken(crew, why, size))
        return -EPIPE;
    struct sk_origin *origin = sk_origin_open(crew, &error);
    if (origin == NULL)
        return origin_error(error, why, size);
    uint64_t births = sk_load_sc(&crew->nr_births), failed = sk_load_sc(&crew->nr_failed_births);
    sk_lock_lock(&crew->lock);
    change_origin_locked(crew, origin);
    sk_lock_unlock(&crew->lock);
    if (wait_for_birth(crew, births, failed))
        return 0;
    if (sk_crew_broken(crew, why, size))
        return -EPIPE;
    error = crew->birth_error != 0 ? crew->birth_error : -ETIMEDOUT;
    return fail(error, "no new worker could be started yet", why, size);
}
