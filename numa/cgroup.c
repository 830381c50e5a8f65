#define _GNU_SOURCE
/* Control groups.
 *
 * Two files of the process say where to look: /proc/self/cgroup names its group in each hierarchy,
 * /proc/self/mountinfo where the hierarchies are mounted, and which of their groups is the root of
 * the mount. Version 2 and version 1 may be mounted both, with other controllers each.
 *
 * A container may hide its place: with a namespace the group reads "/", or "/../x" where the
 * process was moved out of it; without one the group reads "/docker/1f0" while the mount shows that
 * group as its root. What a mount does not show is not looked for.
 *
 * No memory is allocated: files are read line by line into one buffer, and a line that does not fit
 * (an overlay mount with many layers) is skipped, since none that matters is so long. Rejected:
 * libcgroup. */
#include "numa/cgroup.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    LINE_BYTES = SK_CGROUP_PATH
};

/* A file being read line by line. */
struct lines {
    int fd;
    size_t begin, end; /* the part of buffer not yet handed out */
    bool at_end;       /* the file has nothing more */
    char buffer[LINE_BYTES];
};

static int file_open(const char *root, const char *folder, const char *file)
{
    char name[2 * LINE_BYTES];
    const int length = snprintf(name, sizeof name, "%s%s/%s", root, folder, file);
    if (length <= 0 || (size_t)length >= sizeof name)
        return -1;
    return open(name, O_RDONLY | O_CLOEXEC);
}

static bool lines_open(struct lines *lines, const char *root, const char *folder, const char *file)
{
    lines->begin = lines->end = 0;
    lines->at_end = false;
    lines->fd = file_open(root, folder, file);
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

/* Lines such as "0::/user.slice" (version 2) and "4:cpu,cpuacct:/docker/1f0": the group of that
 * version and controller, as it is written; "" if there is none. */
static void find_group(const char *root, int version, const char *controller, char *found)
{
    struct lines lines;
    found[0] = '\0';
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
        if (version == 2 ? *controllers == '\0' : list_has(controllers, controller))
            copy(found, group);
    }
    lines_close(&lines);
}

/* Lines such as "33 31 0:30 /top /sys/fs/cgroup/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu":
 * the fourth word is the root of the mount, the fifth its point, after the lone hyphen come the
 * type, the source and the options. A later mount lies over an earlier one on the same point, but
 * of two points one is as good as the other: the first is kept. "" if there is none. */
static void find_mount(const char *root, int version, const char *controller, char *mount,
                       char *top)
{
    struct lines lines;
    mount[0] = top[0] = '\0';
    if (!lines_open(&lines, root, "/proc/self", "mountinfo"))
        return;
    char *line;
    while (mount[0] == '\0' && (line = lines_next(&lines)) != NULL) {
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
        const char *type = strtok_r(tail, " ", &save);
        strtok_r(NULL, " ", &save);
        const char *options = strtok_r(NULL, " ", &save);
        if (words[1] == NULL || type == NULL)
            continue;
        const bool v2 = strcmp(type, "cgroup2") == 0;
        const bool v1 =
            strcmp(type, "cgroup") == 0 && options != NULL && list_has(options, controller);
        if (version == 2 ? !v2 : !v1)
            continue;
        unescape(words[0]);
        unescape(words[1]);
        copy(top, words[0]);
        copy(mount, words[1]);
    }
    lines_close(&lines);
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

/* Where hierarchies are mounted if mountinfo does not tell. */
static void use_usual_mounts(int version, const char *controller, const char *mounts[3])
{
    static const char *const usual[][3] = {
        { "/sys/fs/cgroup", "/sys/fs/cgroup/unified", NULL },
        { "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct", NULL },
        { "/sys/fs/cgroup/memory", NULL, NULL },
    };
    const int row = version == 2 ? 0 : strcmp(controller, "cpu") == 0 ? 1 : 2;
    memcpy(mounts, usual[row], sizeof usual[row]);
}

bool sk_cgroup_find(const char *root, int version, const char *controller, struct sk_cgroup *group)
{
    char found[LINE_BYTES], top[LINE_BYTES];
    find_group(root, version, controller, found);
    if (found[0] != '/')
        return false;
    find_mount(root, version, controller, group->mount, top);
    copy(group->group, below(found, group->mount[0] != '\0' ? top : "/"));
    use_usual_mounts(version, controller, group->mounts);
    if (group->mount[0] != '\0') {
        group->mounts[0] = group->mount;
        group->mounts[1] = NULL;
    }
    return true;
}

int sk_cgroup_read(const char *root, const char *folder, const char *file, char *text, size_t size)
{
    const int fd = file_open(root, folder, file);
    if (fd < 0)
        return -1;
    const ssize_t got = read(fd, text, size - 1);
    close(fd);
    text[got > 0 ? got : 0] = '\0';
    return (int)got;
}
