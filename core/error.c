/* A thread's last error and the words of skua_fail() are its own, in thread-local storage: nothing
 * is allocated to fail. They pass to the future, loop or map whose task or body returned
 * non-zero. */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "base/log.h"
#include "base/mem.h"
#include "sched/call.h"
#include "sched/worker.h"
#include "skua/task.h"
#include "skua/version.h"

/* What a thread remembers: the last failed call, and what the running task or body said. */
struct sk_words {
    struct sk_failure last;
    char last_task[SK_TASK_NAME_SIZE]; /* its task's name, cut */
    bool last_is_new;                  /* since the running task or body began */
    int said;                          /* skua_fail()'s code; 0: nothing was said */
    const char *where;
    char text[SK_MESSAGE_SIZE];
};

static SK_THREAD_LOCAL struct sk_words mine;
static SK_THREAD_LOCAL unsigned depth; /* tasks and bodies on this thread's stack */

/* Each status: its name, and the record for an error that has no words of its own. */
#define ENTRY(s, words)                                                                            \
    {                                                                                              \
#s,                                                                                        \
        {                                                                                          \
            .status = (s), .certain = true, .worker = -1, .message = (words), .where = "",         \
            .backtrace = "", .task = ""                                                            \
        }                                                                                          \
    }
static const struct {
    const char *name;
    skua_error plain;
} table[] = {
    ENTRY(SKUA_OK, ""),
    ENTRY(SKUA_FAILED, "the task failed, and there was no memory for its words"),
    ENTRY(SKUA_CANCELLED, "the task was cancelled"),
    ENTRY(SKUA_TIMEOUT, "it was not done within the timeout"),
    ENTRY(SKUA_EXPIRED, "the task passed its time_limit"),
    ENTRY(SKUA_CRASHED, "the process running the task died"),
    ENTRY(SKUA_BROKEN_THREAD_POOL, "the thread pool is broken: an initializer failed"),
    ENTRY(SKUA_BROKEN_PROCESS_POOL, "the process pool is broken"),
    ENTRY(SKUA_SHUTDOWN, "the executor was shut down"),
    ENTRY(SKUA_INVALID_STATE, "not allowed in the future's present state"),
    ENTRY(SKUA_INVALID, "an argument makes no sense"),
    ENTRY(SKUA_DEADLOCK, "this wait could never have ended"),
    ENTRY(SKUA_NO_MEMORY, "out of memory"),
};
#undef ENTRY

enum {
    NR_STATUS = sizeof table / sizeof *table
};

static int index_of(skua_status status)
{
    for (int i = 0; i < NR_STATUS; i++) {
        if (table[i].plain.status == status)
            return i;
    }
    return -1;
}

const char *skua_strstatus(skua_status status)
{
    int i = index_of(status);
    return i >= 0 ? table[i].name : "unknown skua_status";
}

const char *skua_version(void)
{
    return SKUA_VERSION;
}

static skua_error empty_error(skua_status status)
{
    return (skua_error){ .status = status,
                         .code = 0,
                         .certain = true,
                         .worker = sk_worker_number(),
                         .message = "",
                         .where = "",
                         .backtrace = "",
                         .task = "" };
}

const skua_error *sk_error_plain(skua_status status)
{
    int i = index_of(status);
    return &table[i >= 0 ? i : index_of(SKUA_FAILED)].plain;
}

const skua_error *skua_last_error(void)
{
    if (mine.last.error.message == NULL)
        mine.last.error = empty_error(SKUA_OK);
    return &mine.last.error;
}

skua_status sk_error_set(skua_status status, const char *format, ...)
{
    va_list args;
    mine.last.error = empty_error(status);
    va_start(args, format);
    vsnprintf(mine.last.message, sizeof mine.last.message, format, args);
    va_end(args);
    mine.last.error.message = mine.last.message;
    mine.last_is_new = true;
    return status;
}

skua_status sk_error_copy(const skua_error *error)
{
    if (error == &mine.last.error)
        return error->status;
    mine.last.error = *error;
    /* The strings may go with a future; a backtrace is only read there. */
    snprintf(mine.last.message, sizeof mine.last.message, "%s", error->message);
    snprintf(mine.last.where, sizeof mine.last.where, "%s", error->where);
    snprintf(mine.last_task, sizeof mine.last_task, "%s", error->task);
    mine.last.error.message = mine.last.message;
    mine.last.error.where = mine.last.where;
    mine.last.error.backtrace = "";
    mine.last.error.task = mine.last_task;
    mine.last_is_new = true;
    return error->status;
}

int skua_fail_at(const char *where, int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(mine.text, sizeof mine.text, format, args);
    va_end(args);
    mine.said = code != 0 ? code : 1;
    mine.where = where != NULL ? where : "";
    return mine.said;
}

/* A copy of all of it; NULL without memory: then it is lost, and nothing else. */
static struct sk_words *copy_mine(void)
{
    struct sk_words *copy = sk_alloc(sizeof *copy);
    if (copy != NULL)
        *copy = mine;
    return copy;
}

static void forget_said(void)
{
    mine.said = 0;
    mine.last_is_new = false;
}

/* Pointers in a copy point into the original, whose place it takes again. */
static void restore(struct sk_words *copy)
{
    mine = *copy;
    sk_free(copy);
}

struct sk_words *sk_error_begin_call(void)
{
    bool keep = mine.said != 0 || (mine.last_is_new && depth > 0);
    struct sk_words *kept = SK_UNLIKELY(keep) ? copy_mine() : NULL;
    forget_said();
    depth++;
    return kept;
}

void sk_error_leave_call(struct sk_words *kept)
{
    depth--;
    if (SK_UNLIKELY(kept != NULL))
        restore(kept);
    else
        forget_said();
}

struct sk_words *sk_error_put_aside(void)
{
    bool keep = mine.said != 0 || skua_last_error()->status != SKUA_OK;
    struct sk_words *aside = keep ? copy_mine() : NULL;
    forget_said();
    mine.last.error = empty_error(SKUA_OK);
    return aside;
}

void sk_error_put_back(struct sk_words *aside)
{
    if (aside != NULL) {
        restore(aside);
    } else {
        forget_said();
        mine.last.error = empty_error(SKUA_OK);
    }
}

bool sk_error_inside_call(void)
{
    return depth > 0;
}

struct sk_words *sk_error_pack(void)
{
    return mine.said != 0 || mine.last_is_new ? copy_mine() : NULL;
}

void sk_error_unpack(struct sk_words *packed)
{
    if (packed->last_is_new) {
        packed->last.error.message = packed->last.message; /* they point into the other thread's */
        packed->last.error.task = packed->last_task;
        sk_error_copy(&packed->last.error);
    }
    if (packed->said != 0) {
        mine.said = packed->said;
        mine.where = packed->where;
        memcpy(mine.text, packed->text, sizeof mine.text);
    }
    sk_free(packed);
}

const int *sk_error_said(void)
{
    return &mine.said;
}

void sk_error_end_call(struct sk_failure *failure, skua_status status, int code, const char *what)
{
    failure->error = empty_error(status);
    failure->error.code = code;
    failure->error.message = failure->message;
    if (mine.said != 0) {
        memcpy(failure->message, mine.text, sizeof failure->message);
        failure->error.where = mine.where;
    } else if (mine.last_is_new && (int)mine.last.error.status == code) { /* passed on */
        memcpy(failure->message, mine.last.message, sizeof failure->message);
        snprintf(failure->where, sizeof failure->where, "%s", mine.last.error.where);
        failure->error.where = failure->where;
    } else {
        snprintf(failure->message, sizeof failure->message, "%s returned %d", what, code);
    }
}

/* Puts a string at *room, which it moves on. */
static const char *put(char **room, const char *s)
{
    size_t size = s != NULL ? strlen(s) + 1 : 0;
    if (size == 0)
        return "";
    char *copy = memcpy(*room, s, size);
    *room += size;
    return copy;
}

static size_t size_of(const char *s)
{
    return s != NULL ? strlen(s) + 1 : 0;
}

struct sk_failure *sk_error_clone(const skua_error *error, skua_status status)
{
    struct sk_failure *copy =
        sk_alloc(sizeof *copy + size_of(error->message) + size_of(error->where) +
                 size_of(error->backtrace) + size_of(error->task));
    if (copy == NULL)
        return NULL;
    char *room = (char *)(copy + 1);
    copy->error = *error;
    copy->error.status = status;
    copy->error.message = put(&room, error->message);
    copy->error.where = put(&room, error->where);
    copy->error.backtrace = put(&room, error->backtrace);
    copy->error.task = put(&room, error->task);
    return copy;
}

int sk_error_left(struct sk_call *call, const char *who)
{
    char words[SK_MESSAGE_SIZE];
    sk_guard_words(&call->guard, who, words, sizeof words);
    return skua_fail_at("", SKUA_FAILED, "%s", words);
}

int sk_error_call(const char *who, sk_guard_fn *fn, uintptr_t a, uintptr_t b, uintptr_t c,
                  uintptr_t d)
{
    struct sk_call call;
    int code = sk_call_guarded(&call, fn, a, b, c, d);
    return sk_call_returned(&call) ? code : sk_error_left(&call, who);
}

void sk_error_call_logged(const char *who, sk_guard_fn *fn, uintptr_t a, uintptr_t b)
{
    struct sk_call call;
    char words[SK_MESSAGE_SIZE];
    sk_call_guarded(&call, fn, a, b, 0, 0);
    if (sk_call_returned(&call))
        return;
    sk_guard_words(&call.guard, who, words, sizeof words);
    sk_log(SKUA_LOG_WARNING, "skua: %s", words);
}
