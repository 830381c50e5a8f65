#define _GNU_SOURCE
#include "base/env.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/atomic.h"
#include "base/log.h"

static const char *const known_names[] = { "SKUA_NUM_THREADS", "SKUA_DISPLAY" };

enum {
    NR_KNOWN = sizeof known_names / sizeof *known_names
};

/* Whether to warn about a name: true once in a process. A name that is not ours warns always. */
static bool first_warning(const char *name)
{
    static SK_ATOMIC(bool) warned[NR_KNOWN];
    for (int i = 0; i < NR_KNOWN; i++) {
        if (strcmp(name, known_names[i]) == 0)
            return !sk_xchg_acq_rel(&warned[i], true);
    }
    return true;
}

bool sk_env_int(const char *name, long min, long max, long *out)
{
    const char *text = getenv(name);
    if (text == NULL || *text == '\0')
        return false;
    char *end;
    bool plain = *text == '-' || (*text >= '0' && *text <= '9'); /* strtol would skip blanks */
    errno = 0;
    long value = strtol(text, &end, 10);
    if (plain && end != text && *end == '\0' && errno == 0 && value >= min && value <= max) {
        *out = value;
        return true;
    }
    if (first_warning(name))
        sk_log(SKUA_LOG_WARNING, "skua: %s=%.100s is ignored: it takes a number from %ld to %ld",
               name, text, min, max);
    return false;
}

bool sk_env_bool(const char *name, bool fallback)
{
    static const char *const yes[] = { "1", "true", "yes", "on" };
    static const char *const no[] = { "0", "false", "no", "off" };
    const char *text = getenv(name);
    if (text == NULL || *text == '\0')
        return fallback;
    for (int i = 0; i < 4; i++) {
        if (strcasecmp(text, yes[i]) == 0)
            return true;
        if (strcasecmp(text, no[i]) == 0)
            return false;
    }
    if (first_warning(name))
        sk_log(SKUA_LOG_WARNING,
               "skua: %s=%.100s is ignored: it takes 1, true, yes, on or 0, false, no, off", name,
               text);
    return fallback;
}

static bool is_known(const char *entry, size_t length)
{
    for (int i = 0; i < NR_KNOWN; i++) {
        if (strlen(known_names[i]) == length && strncmp(entry, known_names[i], length) == 0)
            return true;
    }
    return false;
}

void sk_env_check_names(void)
{
    static SK_ATOMIC(bool) checked;
    if (sk_xchg_acq_rel(&checked, true))
        return;
    for (char **entry = environ; entry != NULL && *entry != NULL; entry++) {
        size_t length = strcspn(*entry, "=");
        if (strncmp(*entry, "SKUA_", 5) == 0 && !is_known(*entry, length))
            sk_log(SKUA_LOG_WARNING, "skua: %.*s is not known and is ignored: skua reads %s and %s",
                   (int)(length < 100 ? length : 100), *entry, known_names[0], known_names[1]);
    }
}
