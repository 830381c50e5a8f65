#define _GNU_SOURCE
/* The cgroup CPU quota.
 *
 * The problem. A container with "1.5 CPUs" on a machine of 64 cores may still run on all 64 of
 * them: nothing in the affinity mask or the cpuset tells, and 64 workers would be stopped together
 * for most of each period. The limit is written in the cgroup file system, in the group of the
 * process or in any group above it.
 *
 * The idea. Two files of the process say where to look: /proc/self/cgroup names its group in each
 * hierarchy, /proc/self/mountinfo where the hierarchies are mounted, and which of their groups is
 * the root of the mount. From the group's folder all folders up to the mount's are read, and the
 * smallest quota counts, since each group is throttled by itself. Version 2 (cpu.max) and version 1
 * (cpu.cfs_quota_us, cpu.cfs_period_us) may be mounted both, so both are read.
 *
 * A container may hide its place: with a namespace the group reads "/", or "/../x" where the
 * process was moved out of it; without one the group reads "/docker/1f0" while the mount shows that
 * group as its root. What a mount does not show is not looked for.
 *
 * No memory is allocated: files are read line by line into one buffer, and a line that does not fit
 * (an overlay mount with many layers) is skipped, since none that matters is so long. What cannot
 * be read counts as no quota. Rejected: sysconf(_SC_NPROCESSORS_ONLN) and the cpu.stat counters,
 * which do not tell; libcgroup. */
#include "numa/quota.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_BYTES = 4096
};

/* A file being read line by line. */
struct lines {
    int fd;
    size_t begin, end; /* the part of buffer not yet handed out */
    bool at_end;       /* the file has nothing more */
    char buffer[LINE_BYTES];
};

/* One version's hierarchy: where to find it and what it is called in the files of the process. */
struct hierarchy {
    int version;                /* 1 or 2 */
    const char *const *usual;   /* mount points to try where mountinfo names none; NULL ends */
    char group[LINE_BYTES];     /* the process's group; "" until found */
    char mount[LINE_BYTES];     /* mount point; "" until found */
    char mount_top[LINE_BYTES]; /* the group that is the root of the mount */
};

static bool lines_open(struct lines *lines, const char *root, const char *folder, const char *file)
{
    char name[2 * LINE_BYTES];
    int length = snprintf(name, sizeof name, "%s%s/%s", root, folder, file);
    lines->begin = lines->end = 0;
    lines->at_end = false;
    lines->fd = -1;
    if (length > 0 && (size_t)length < sizeof name)
        lines->fd = open(name, O_RDONLY | O_CLOEXEC);
    return lines->fd >= 0;
}

static void lines_close(struct lines *lines)
{
    close(lines->fd);
}

/* Moves what is left to the front and reads on. False if the buffer is full without a newline. */
static bool lines_fill(struct lines *lines)
{
    lines->end -= lines->begin;
    memmove(lines->buffer, lines->buffer + lines->begin, lines->end);
    lines->begin = 0;
    size_t room = sizeof lines->buffer - 1 - lines->end; /* one byte for the last line's NUL */
    if (room == 0)
        return false;
    ssize_t got = read(lines->fd, lines->buffer + lines->end, room);
    if (got > 0)
        lines->end += (size_t)got;
    else
        lines->at_end = true;
    return true;
}

/* The next line, NUL in place of the newline; NULL at the end. Lives until the next call. */
static char *lines_next(struct lines *lines)
{
    bool too_long = false;
    for (;;) {
        char *line = lines->buffer + lines->begin;
        char *newline = memchr(line, '\n', lines->end - lines->begin);
        if (newline == NULL && lines->at_end) {
            if (lines->begin == lines->end || too_long)
                return NULL;
            newline = lines->buffer + lines->end++;
        }
        if (newline != NULL) {
            *newline = '\0';
            lines->begin = (size_t)(newline - lines->buffer) + 1;
            if (!too_long)
                return line;
            too_long = false;
        } else if (!lines_fill(lines)) {
            too_long = true;
            lines->begin = lines->end = 0;
        }
    }
}

/* Whether a word is in a comma-separated list. */
static bool list_has(const char *list, const char *word)
{
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list || at[-1] == ',') && (at[length] == ',' || at[length] == '\0'))
            return true;
    return false;
}

/* Replaces \040 and the like, by which mountinfo writes blanks and backslashes. */
static void unescape(char *text)
{
    char *out = text;
    for (const char *in = text; *in != '\0'; out++) {
        bool octal = in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' &&
                     in[2] <= '7' && in[3] >= '0' && in[3] <= '7';
        if (octal) {
            *out = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
            in += 4;
        } else {
            *out = *in++;
        }
    }
    *out = '\0';
}

static void copy(char *to, const char *from)
{
    size_t length = strnlen(from, LINE_BYTES - 1);
    memcpy(to, from, length);
    to[length] = '\0';
}

/* Lines such as "0::/user.slice" (version 2) and "4:cpu,cpuacct:/docker/1f0". */
static void find_groups(const char *root, struct hierarchy *v1, struct hierarchy *v2)
{
    struct lines lines;
    if (!lines_open(&lines, root, "/proc/self", "cgroup"))
        return;
    char *line;
    while ((line = lines_next(&lines)) != NULL) {
        char *controllers = strchr(line, ':');
        char *group = controllers == NULL ? NULL : strchr(controllers + 1, ':');
        if (group == NULL)
            continue;
        controllers++;
        *group++ = '\0';
        if (*controllers == '\0')
            copy(v2->group, group);
        else if (list_has(controllers, "cpu"))
            copy(v1->group, group);
    }
    lines_close(&lines);
}

/* Lines such as "33 31 0:30 /top /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu":
 * the fourth word is the root of the mount, the fifth its point, after the lone hyphen come the
 * type, the source and the options. A later mount lies over an earlier one on the same point, but
 * of two points one is as good as the other: the first is kept. */
static void find_mounts(const char *root, struct hierarchy *v1, struct hierarchy *v2)
{
    struct lines lines;
    if (!lines_open(&lines, root, "/proc/self", "mountinfo"))
        return;
    char *line;
    while ((line = lines_next(&lines)) != NULL) {
        char *words[2] = { NULL }, *tail = strstr(line, " - "), *save = NULL;
        if (tail == NULL)
            continue;
        *tail = '\0';
        tail += 3;
        char *word = strtok_r(line, " ", &save);
        for (int i = 0; i < 5 && word != NULL; i++) {
            if (i >= 3)
                words[i - 3] = word;
            word = strtok_r(NULL, " ", &save);
        }
        char *type = strtok_r(tail, " ", &save);
        strtok_r(NULL, " ", &save);
        char *options = strtok_r(NULL, " ", &save);
        if (words[1] == NULL || type == NULL)
            continue;
        struct hierarchy *found = NULL;
        if (strcmp(type, "cgroup2") == 0)
            found = v2;
        else if (strcmp(type, "cgroup") == 0 && options != NULL && list_has(options, "cpu"))
            found = v1;
        if (found == NULL || found->mount[0] != '\0')
            continue;
        unescape(words[0]);
        unescape(words[1]);
        copy(found->mount_top, words[0]);
        copy(found->mount, words[1]);
    }
    lines_close(&lines);
}

/* Two integers, one after the other in one file or one in each of two; a missing one is 0, and
 * "max" is not positive. */
static void read_pair(const char *root, const char *folder, const char *const names[2],
                      long long values[2])
{
    values[0] = values[1] = 0;
    for (int i = 0; i < 2 && names[i] != NULL; i++) {
        struct lines lines;
        if (!lines_open(&lines, root, folder, names[i]))
            return;
        const char *line = lines_next(&lines);
        char *rest = NULL;
        if (line != NULL)
            values[i] = strtoll(line, &rest, 10);
        if (line != NULL && names[1] == NULL)
            values[1] = strtoll(rest, NULL, 10);
        lines_close(&lines);
    }
}

/* The quota written in one folder, in CPUs; 0 if none. */
static double folder_quota(const char *root, const char *folder, int version)
{
    static const char *const names[2][2] = { { "cpu.cfs_quota_us", "cpu.cfs_period_us" },
                                             { "cpu.max", NULL } };
    long long values[2];
    read_pair(root, folder, names[version - 1], values);
    return values[0] > 0 && values[1] > 0 ? (double)values[0] / (double)values[1] : 0;
}

static double smaller(double a, double b)
{
    return a <= 0 || (b > 0 && b < a) ? b : a;
}

/* The smallest quota from mount + group up to the mount itself. */
static double path_quota(const char *root, const char *mount, const char *group, int version)
{
    char folder[2 * LINE_BYTES];
    size_t top = strlen(mount);
    snprintf(folder, sizeof folder, "%s%s", mount, group);
    double quota = 0;
    for (;;) {
        quota = smaller(quota, folder_quota(root, folder, version));
        char *slash = strrchr(folder, '/');
        if (slash == NULL || slash < folder + top)
            return quota;
        *slash = '\0';
    }
}

/* The group's path below the root of the mount; "" for that root and for what the mount hides. */
static const char *below(const char *group, const char *mount_top)
{
    size_t length = strcmp(mount_top, "/") == 0 ? 0 : strlen(mount_top);
    bool inside =
        strncmp(group, mount_top, length) == 0 && (group[length] == '/' || group[length] == '\0');
    bool outside_namespace = strncmp(group, "/..", 3) == 0;
    return inside && !outside_namespace ? group + length : "";
}

static double hierarchy_quota(const char *root, const struct hierarchy *h)
{
    if (h->group[0] != '/')
        return 0;
    if (h->mount[0] != '\0')
        return path_quota(root, h->mount, below(h->group, h->mount_top), h->version);
    double quota = 0;
    for (const char *const *mount = h->usual; *mount != NULL; mount++)
        quota = smaller(quota, path_quota(root, *mount, below(h->group, "/"), h->version));
    return quota;
}

double sk_quota_read_from(const char *root)
{
    static const char *const usual_v1[] = { "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct",
                                            NULL };
    static const char *const usual_v2[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL };
    struct hierarchy v1 = { .version = 1, .usual = usual_v1 };
    struct hierarchy v2 = { .version = 2, .usual = usual_v2 };
    find_groups(root, &v1, &v2);
    find_mounts(root, &v1, &v2);
    return smaller(hierarchy_quota(root, &v1), hierarchy_quota(root, &v2));
}

double sk_quota_read(void)
{
    return sk_quota_read_from("");
}
