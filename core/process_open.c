/* Making a process pool, and what its workers call: the options, the words where they make no
 * sense, and the guards around the user's functions on the other side. */
#include "skua/process.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "core/error.h"
#include "core/process_pool.h"
#include "process/harden.h"
#include "process/limits.h"

enum {
    USUAL_GRACE = 1,     /* seconds */
    SHELF_BLOCK = 640,   /* bytes: a future with a small argument, result and name */
    SHELF_BLOCKS = 16384 /* kept for the next tasks: 10 MiB at most */
};

/* ---- in the worker --------------------------------------------------------------------------- */

static int call_and_tell(const char *who, sk_guard_fn *fn, uintptr_t a, uintptr_t b,
                         struct sk_wire_failure *words)
{
    struct sk_words *kept = sk_error_begin_call();
    int code = sk_error_call(who, fn, a, b, 0, 0);
    if (code != 0) {
        struct sk_failure failure;
        sk_error_end_call(&failure, SKUA_FAILED, code, who);
        snprintf(words->message, sizeof words->message, "%s", failure.error.message);
        snprintf(words->where, sizeof words->where, "%s", failure.error.where);
    }
    sk_error_leave_call(kept);
    return code;
}

static int call_task(uintptr_t fn, void *arg, void *result, struct sk_wire_failure *words)
{
    return call_and_tell(SK_PROCESS_NAMELESS, (sk_guard_fn *)fn, (uintptr_t)arg, (uintptr_t)result,
                         words);
}

static int call_init(void *ctx, struct sk_wire_failure *words)
{
    const struct sk_process_pool *pool = ctx;
    return call_and_tell("init", (sk_guard_fn *)pool->init, (uintptr_t)pool->init_arg, 0, words);
}

/* ---- making ---------------------------------------------------------------------------------- */

static skua_status check_numbers(const skua_options *o)
{
    static const char what[] = "skua_process_pool";
    if (o->workers < 0 || o->workers > SK_SHARES_WORKERS)
        return sk_error_set(SKUA_INVALID, "%s: workers is %d; it takes 0 to %d", what, o->workers,
                            SK_SHARES_WORKERS);
    if ((int)o->bind < SKUA_BIND_AUTO || (int)o->bind > SKUA_BIND_NONE)
        return sk_error_set(SKUA_INVALID,
                            "%s: bind is %d; it takes SKUA_BIND_AUTO (%d), _CLOSE (%d), _SPREAD "
                            "(%d) or _NONE (%d)",
                            what, (int)o->bind, SKUA_BIND_AUTO, SKUA_BIND_CLOSE, SKUA_BIND_SPREAD,
                            SKUA_BIND_NONE);
    if (!(o->grace >= 0))
        return sk_error_set(SKUA_INVALID, "%s: grace is %g; it takes seconds, 0 for the usual %d s",
                            what, o->grace, USUAL_GRACE);
    if ((o->harden & ~(SKUA_NO_NEW_PRIVS | SKUA_SECCOMP)) != 0)
        return sk_error_set(
            SKUA_INVALID, "%s: harden is %d; it takes SKUA_NO_NEW_PRIVS (%d) and SKUA_SECCOMP (%d)",
            what, o->harden, SKUA_NO_NEW_PRIVS, SKUA_SECCOMP);
    return SKUA_OK;
}

static skua_status check_machine(const skua_options *o)
{
    static const char what[] = "skua_process_pool";
    struct sk_limits_use use = { 0, 0 };
    if (sk_child_inside())
        return sk_error_set(SKUA_INVALID,
                            "%s: this is a worker process of another pool, which can have thread "
                            "pools, but no processes",
                            what);
    if (o->harden != 0 && sk_harden_check(o->harden) != 0)
        return sk_error_set(
            SKUA_INVALID, "%s: harden is %d, but SKUA_SECCOMP (%d) is not to be had on this system",
            what, o->harden, SKUA_SECCOMP);
    if (o->memory_limit == 0)
        return SKUA_OK;
    int fd = sk_limits_open(0);
    if (fd < 0)
        return sk_error_set(SKUA_INVALID,
                            "%s: memory_limit needs /proc, which cannot be read here: %s", what,
                            strerror(-fd));
    sk_limits_read(fd, &use);
    close(fd);
    if (use.private_bytes >= o->memory_limit)
        return sk_error_set(SKUA_INVALID,
                            "%s: memory_limit is %zu bytes, but a worker, a copy of this program, "
                            "starts with %llu",
                            what, o->memory_limit, (unsigned long long)use.private_bytes);
    return SKUA_OK;
}

static struct sk_crew_config crew_config(struct sk_process_pool *pool, const skua_options *o)
{
    return (struct sk_crew_config){ .nr_workers = o->workers,
                                    .bind = o->bind,
                                    .name = o->name,
                                    .tasks_per_worker = o->tasks_per_worker,
                                    .memory_limit = o->memory_limit,
                                    .retries = o->retries,
                                    .grace = o->grace > 0 ? o->grace : USUAL_GRACE,
                                    .harden = o->harden,
                                    .call = call_task,
                                    .init = o->init != NULL ? call_init : NULL,
                                    .init_ctx = pool };
}

skua_executor *skua_process_pool(const skua_options *options)
{
    static const skua_options usual = { 0 };
    const skua_options *o = options != NULL ? options : &usual;
    char why[SK_CREW_WORDS];
    if (check_numbers(o) != SKUA_OK || check_machine(o) != SKUA_OK)
        return NULL;
    struct sk_process_pool *pool = sk_calloc(1, sizeof *pool);
    if (pool == NULL) {
        sk_error_set(SKUA_NO_MEMORY, "skua_process_pool: out of memory");
        return NULL;
    }
    pool->base.class = &sk_process_class;
    sk_init(&pool->refs, 1u);
    sk_shelf_init(&pool->shelf, SHELF_BLOCK, SHELF_BLOCKS);
    pool->max_pending = o->max_pending;
    pool->init = o->init;
    pool->init_arg = o->init_arg;
    pool->link.at_exit = sk_process_at_exit;
    struct sk_crew_config config = crew_config(pool, o);
    int error = sk_crew_open(&pool->crew, &config, why, sizeof why);
    if (error != 0) {
        sk_error_set(error == -EINVAL ? SKUA_INVALID : SKUA_NO_MEMORY, "skua_process_pool: %.350s",
                     why);
        sk_free(pool);
        return NULL;
    }
    sk_life_add(&pool->link);
    return &pool->base;
}

skua_status skua_process_refresh(skua_executor *ex)
{
    static const char what[] = "skua_process_refresh";
    char why[SK_CREW_WORDS];
    if (ex == NULL || !sk_executor_is_process_pool(ex))
        return sk_error_set(SKUA_INVALID, "%s: the executor is %s", what,
                            ex == NULL ? "NULL" : "no process pool");
    struct sk_process_pool *pool = sk_process_pool_of(ex);
    if (sk_child_inside())
        return sk_error_set(SKUA_INVALID, "%s: this is a worker process", what);
    if (!sk_crew_here(pool->crew) || sk_crew_is_shut_down(pool->crew))
        return sk_error_set(SKUA_SHUTDOWN, "%s: the pool %s was shut down", what,
                            sk_crew_name(pool->crew));
    int error = sk_crew_refresh(pool->crew, why, sizeof why);
    if (error != 0)
        return sk_error_set(error == -EPIPE ? SKUA_BROKEN_PROCESS_POOL : SKUA_NO_MEMORY,
                            "%s: %.350s", what, why);
    return SKUA_OK;
}
