#define _GNU_SOURCE
/* The screen before hwloc's XML reader.
 *
 * The problem. SKUA_TOPOLOGY names a file that a person may have edited, cut short or taken from
 * elsewhere. hwloc 2.9 checks the XML's form, but not what it says: an object without a cpuset is a
 * null pointer to it, an odd bitmap an assertion, and a machine without units or with children out
 * of order a page of words on stderr. Of files with one to four characters changed at random one in
 * a hundred kills the process.
 *
 * The idea. Look at the tags alone. Every object that is no device must have its four sets, every
 * set must be spelled as hwloc spells it, children must come in the order of their first CPU, and
 * there must be a unit and a node. hwloc still checks the rest. What hwloc wrote itself always
 * passes.
 *
 * Rejected: an XML parser (hwloc brings one, and form is not the trouble); hwloc in a forked child,
 * since a library does not fork a program with threads without need; format 1 of hwloc before 2018,
 * whose nodes are other objects. */
#include "numa/screen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

enum {
    MAX_DEPTH = 64,             /* of objects in objects; the deepest machine known has 14 */
    MAX_FILE_BYTES = 256 << 20, /* a thousand times the largest file known */
    NO_CPU = INT_MAX            /* the first CPU of an empty set: after all others */
};

/* A tag, from its '<' up to its '>', or the value of an attribute. */
struct span {
    const char *begin, *end;
};

struct scan {
    int depth;           /* of the object that is open */
    int last[MAX_DEPTH]; /* first CPU of the last child seen at each depth; -1 before it */
    int nr_units, nr_nodes;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool span_is(struct span span, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(span.end - span.begin) == length && memcmp(span.begin, word, length) == 0;
}

static bool span_begins(struct span span, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(span.end - span.begin) >= length && memcmp(span.begin, word, length) == 0;
}

static bool span_ends(struct span span, const char *word)
{
    size_t length = strlen(word);
    return (size_t)(span.end - span.begin) >= length &&
           memcmp(span.end - length, word, length) == 0;
}

/* Takes the next attribute, name="value", out of a tag. False at its end, or where it is not
 * written so; *rest is empty then, or is what was not understood. */
static bool next_attribute(struct span *rest, struct span *name, struct span *value)
{
    const char *at = rest->begin, *end = rest->end;
    while (at < end && !is_blank(*at))
        at++; /* the tag's name */
    while (at < end && is_blank(*at))
        at++;
    const char *equals = memchr(at, '=', (size_t)(end - at));
    if (equals == NULL || end - equals < 3 || equals[1] != '"')
        return false;
    const char *quote = memchr(equals + 2, '"', (size_t)(end - equals - 2));
    if (quote == NULL)
        return false;
    *name = (struct span){ at, equals };
    *value = (struct span){ equals + 2, quote };
    rest->begin = quote + 1;
    return true;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

/* One word of a set: "0x" and up to eight digits, or nothing at all, which is zero. */
static bool read_word(struct span word, unsigned *bits)
{
    *bits = 0;
    if (word.begin == word.end)
        return true;
    if (!span_begins(word, "0x") || word.end - word.begin < 3 || word.end - word.begin > 10)
        return false;
    for (const char *at = word.begin + 2; at < word.end; at++) {
        int digit = hex_digit(*at);
        if (digit < 0)
            return false;
        *bits = *bits * 16 + (unsigned)digit;
    }
    return true;
}

/* A set: words of 32 bits with commas between them, the highest first; "0xf...f" as the first word
 * stands for all that are higher. False if it is spelled otherwise. */
static bool read_set(struct span set, int *first)
{
    *first = NO_CPU;
    if (set.begin == set.end)
        return false;
    for (int base = 0; base < 1 << 20; base += 32) { /* from the lowest word up */
        const char *begin = set.end;
        while (begin > set.begin && begin[-1] != ',')
            begin--;
        struct span word = { begin, set.end };
        unsigned bits;
        if (begin == set.begin && span_is(word, "0xf...f"))
            bits = ~0u;
        else if (!read_word(word, &bits))
            return false;
        for (int i = 0; i < 32 && *first == NO_CPU; i++)
            if (bits >> i & 1)
                *first = base + i;
        if (begin == set.begin)
            return true;
        set.end = begin - 1;
    }
    return false;
}

/* An object's opening tag. */
static bool check_object(struct scan *scan, struct span tag)
{
    struct span rest = tag, name, value, type = { tag.begin, tag.begin };
    int nr_sets = 0, first_cpu = -1;
    while (next_attribute(&rest, &name, &value)) {
        int first;
        if (span_is(name, "type"))
            type = value;
        if (!span_ends(name, "set"))
            continue;
        if (!read_set(value, &first))
            return false;
        if (span_is(name, "complete_cpuset"))
            first_cpu = first;
        nr_sets += span_is(name, "cpuset") || span_is(name, "complete_cpuset") ||
                   span_is(name, "nodeset") || span_is(name, "complete_nodeset");
    }
    bool device = span_is(type, "PCIDev") || span_is(type, "OSDev") || span_is(type, "Bridge") ||
                  span_is(type, "Misc");
    bool memory = span_is(type, "NUMANode") || span_is(type, "MemCache");
    if (!device && nr_sets != 4)
        return false;
    if (!device && !memory) {
        int *last = &scan->last[scan->depth];
        if (first_cpu < *last || (first_cpu == *last && first_cpu != NO_CPU))
            return false;
        *last = first_cpu;
    }
    scan->nr_units += span_is(type, "PU");
    scan->nr_nodes += span_is(type, "NUMANode");
    if (span_ends(tag, "/"))
        return true;
    if (++scan->depth == MAX_DEPTH)
        return false;
    scan->last[scan->depth] = -1;
    return true;
}

/* Any other tag: its sets are spelled well, and the format is one that is known. */
static bool check_tag(struct span tag)
{
    struct span rest = tag, name, value;
    bool topology = span_begins(tag, "<topology"), known = false;
    while (next_attribute(&rest, &name, &value)) {
        int first;
        if (span_ends(name, "set") && !read_set(value, &first))
            return false;
        known |= span_is(name, "version") && span_begins(value, "2.");
    }
    return !topology || known;
}

static bool check(const char *text, const char *end)
{
    struct scan scan = { .last = { -1 } };
    while ((text = memchr(text, '<', (size_t)(end - text))) != NULL) {
        const char *close = memchr(text, '>', (size_t)(end - text));
        if (close == NULL)
            return false;
        struct span tag = { text, close };
        bool good;
        if (span_begins(tag, "<object"))
            good = check_object(&scan, tag);
        else if (span_begins(tag, "</object"))
            good = --scan.depth >= 0;
        else
            good = check_tag(tag);
        if (!good)
            return false;
        text = close + 1;
    }
    return scan.depth == 0 && scan.nr_units > 0 && scan.nr_nodes > 0;
}

/* Reads up to size bytes, and how many there were; less if the file was cut meanwhile. */
static int read_all(int fd, char *bytes, size_t size, size_t *got)
{
    *got = 0;
    while (*got < size) {
        ssize_t n = read(fd, bytes + *got, size - *got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        *got += (size_t)n;
    }
    return 0;
}

int sk_screen_read(const char *path, char **text, size_t *size_bytes)
{
    *text = NULL;
    *size_bytes = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* not to wait for a pipe's writer */
    if (fd < 0)
        return -errno;

    char *bytes = NULL;
    size_t size = 0;
    struct stat file;
    int error = fstat(fd, &file) == 0 ? 0 : -errno;
    if (error == 0 && (!S_ISREG(file.st_mode) || file.st_size > MAX_FILE_BYTES))
        error = -EINVAL;
    if (error == 0 && (bytes = sk_alloc((size_t)file.st_size + 1)) == NULL)
        error = -ENOMEM;
    if (error == 0)
        error = read_all(fd, bytes, (size_t)file.st_size, &size);
    if (error == 0 && !check(bytes, bytes + size))
        error = -EINVAL;
    close(fd);
    if (error != 0) {
        sk_free(bytes);
        return error;
    }
    bytes[size] = '\0';
    *text = bytes;
    *size_bytes = size;
    return 0;
}
