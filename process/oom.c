#define _GNU_SOURCE
/* The kernel's out-of-memory killer.
 *
 * It leaves a death like any other by SIGKILL. But each memory cgroup counts the processes of its
 * own that were killed so, whoever ran out: memory.events (version 2) and memory.oom_control
 * (version 1) have a line "oom_kill 3". A worker is in the program's cgroup. If the count has risen
 * since it was last looked at, and a worker has died by a SIGKILL that nobody here sent, that was
 * it.
 *
 * Where there is no count - in the root of version 2, in a container that hides its cgroups - and
 * where a daemon of user space kills in the kernel's stead, there is circumstantial evidence: with
 * what the dead worker had, memory was nearly used up, and a good part of it was the worker's. By
 * now it has been given back, so it is added. Rejected: /proc/vmstat, whose oom_kill counts those
 * of all containers on the machine; how full the cgroup is, which a page cache alone can fill; the
 * kernel's log, which few may read. */
#include "process/oom.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "numa/cgroup.h"

/* The number behind a word that begins a line; false if there is none. */
static bool number_after(const char *text, const char *word, uint64_t *number)
{
    const size_t length = strlen(word);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, length) != 0)
            continue;
        char *end;
        *number = strtoull(line + length, &end, 10);
        return end != line + length;
    }
    return false;
}

static bool read_kills(const char *root, const struct sk_oom_watch *watch, uint64_t *kills)
{
    char text[512];
    const char *file = watch->version == 2 ? "memory.events" : "memory.oom_control";
    return watch->folder[0] != '\0' &&
           sk_cgroup_read(root, watch->folder, file, text, sizeof text) >= 0 &&
           number_after(text, "oom_kill ", kills);
}

/* Whether the watch's cgroup has a count that can be read, wherever it is mounted. */
static bool find_count(struct sk_oom_watch *watch, const char *root, int version)
{
    struct sk_cgroup group;
    watch->version = version;
    if (!sk_cgroup_find(root, version, "memory", &group))
        return false;
    for (const char *const *mount = group.mounts; *mount != NULL; mount++) {
        const int length =
            snprintf(watch->folder, sizeof watch->folder, "%s%s", *mount, group.group);
        if ((size_t)length < sizeof watch->folder && read_kills(root, watch, &watch->kills))
            return true;
    }
    return false;
}

void sk_oom_open_from(struct sk_oom_watch *watch, const char *root)
{
    *watch = (struct sk_oom_watch){ 0 };
    if (!find_count(watch, root, 2) && !find_count(watch, root, 1))
        watch->folder[0] = '\0';
}

/* Whether less than 5 % of the memory were left, and more than 10 % of it the process's. */
static bool memory_was_scarce(const char *root, uint64_t peak_bytes)
{
    char text[512];
    uint64_t total, left;
    if (sk_cgroup_read(root, "/proc", "meminfo", text, sizeof text) < 0 ||
        !number_after(text, "MemTotal:", &total) || !number_after(text, "MemAvailable:", &left))
        return false;
    const uint64_t peak = peak_bytes / 1024; /* meminfo counts so */
    return left < peak + total / 20 && peak > total / 10;
}

enum sk_oom sk_oom_ask_from(struct sk_oom_watch *watch, const char *root, uint64_t peak_bytes)
{
    uint64_t kills;
    if (read_kills(root, watch, &kills)) {
        const bool risen = kills > watch->kills;
        watch->kills = kills;
        if (risen)
            return SK_OOM_CERTAIN;
    }
    return memory_was_scarce(root, peak_bytes) ? SK_OOM_LIKELY : SK_OOM_NO;
}

void sk_oom_open(struct sk_oom_watch *watch)
{
    sk_oom_open_from(watch, "");
}

enum sk_oom sk_oom_ask(struct sk_oom_watch *watch, uint64_t peak_bytes)
{
    return sk_oom_ask_from(watch, "", peak_bytes);
}
