#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/guard.h"
#include "base/lock.h"

static struct {
    struct sk_lock lock; /* protects the two below, which change together */
    skua_log_fn *fn;
    void *ctx;
} hook = { SK_LOCK_INIT(SK_RANK_LEAF), NULL, NULL };

void skua_set_log(skua_log_fn *fn, void *ctx)
{
    sk_lock_lock(&hook.lock);
    hook.fn = fn;
    hook.ctx = ctx;
    sk_lock_unlock(&hook.lock);
}

/* False if the hook did not return: an exception that it throws is no concern of whoever logs. */
static bool call_hook(skua_log_fn *fn, skua_log_level level, const char *line, void *ctx)
{
    struct sk_guard guard = { 0 };
    char words[SK_GUARD_WORDS];
    sk_guard_call((uintptr_t)level, (uintptr_t)line, (uintptr_t)ctx, 0, (sk_guard_fn *)fn, &guard);
    if (guard.end == SK_GUARD_RETURNED)
        return true;
    sk_guard_words(&guard, "skua: the log function", words, sizeof words);
    fprintf(stderr, "%s\n", words);
    return false;
}

void sk_log(skua_log_level level, const char *format, ...)
{
    char line[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    for (char *c = line; *c != '\0'; c++) { /* a value from the environment may hold anything */
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = ' ';
    }
    sk_lock_lock(&hook.lock);
    skua_log_fn *fn = hook.fn;
    void *ctx = hook.ctx;
    sk_lock_unlock(&hook.lock);
    if (fn == NULL || !call_hook(fn, level, line, ctx))
        fprintf(stderr, "%s\n", line); /* one call, so that lines of two threads do not mix */
}

void sk_log_lock(void)
{
    sk_lock_lock(&hook.lock);
}

void sk_log_unlock(void)
{
    sk_lock_unlock(&hook.lock);
}
