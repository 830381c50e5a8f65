/* The Matrix Market reader: see mtx.h for what it promises.
 *
 * The file is read line by line into a buffer of fixed size, and each line is cut into words.
 * Memory is not allocated by what the file declares but by what it holds: the entries grow as they
 * are read and are then compressed, see mtx_csr.c. Only the row pointers follow the declared size,
 * which is checked against max_bytes first. */
#define _POSIX_C_SOURCE 200809L
#include "mtx.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* What may stand between words; a CR before the newline is one of them. */
#define BLANKS " \t\r\v\f"

enum field {
    FIELD_REAL,
    FIELD_INTEGER,
    FIELD_PATTERN
};

struct reader {
    FILE *in;
    const char *name;
    unsigned long long line;     /* the number of the line in text, from 1; at the end, the last */
    char text[MTX_MAX_LINE + 1]; /* that line without its newline; comments may be cut short */
    char *error;
    size_t error_size;
    enum field field;
    bool symmetric;
};

/* Writes "name:line: ..." and returns MTX_BAD_FILE, for "return fail(...)". */
__attribute__((format(printf, 2, 3))) static enum mtx_status fail(const struct reader *r,
                                                                  const char *format, ...)
{
    int used = snprintf(r->error, r->error_size, "%s:%llu: ", r->name, r->line);
    if (used < 0 || (size_t)used >= r->error_size)
        return MTX_BAD_FILE;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(r->error + used, r->error_size - (size_t)used, format, args);
    va_end(args);
    return MTX_BAD_FILE;
}

/* A word of the file made fit for an error line: printable, and not long. */
struct quoted {
    char text[32];
};

static struct quoted quote(const char *word)
{
    struct quoted q = { "" };
    const size_t room = sizeof q.text - sizeof "...";
    size_t i = 0;
    for (; word[i] != '\0' && i < room; i++) {
        const bool printable = word[i] >= ' ' && word[i] <= '~';
        q.text[i] = (char)(printable ? word[i] : '?');
    }
    if (word[i] != '\0')
        memcpy(q.text + i, "...", sizeof "...");
    return q;
}

/* Reads the next line into r->text. A line is refused as soon as it is too long: an endless one, as
 * of a device, must not be read to its end. Comments may be longer, as they are skipped. */
static enum mtx_status next_line(struct reader *r, bool *end)
{
    size_t length = 0;
    int c = 0;
    *end = false;
    r->line++;
    while ((c = getc_unlocked(r->in)) != EOF && c != '\n') {
        if (length < MTX_MAX_LINE)
            r->text[length++] = (char)c;
        else if (r->text[0] != '%')
            return fail(r, "the line is longer than %d characters", MTX_MAX_LINE);
    }
    r->text[length] = '\0';
    if (ferror(r->in))
        return fail(r, "cannot read: %s", strerror(errno));
    if (memchr(r->text, '\0', length) != NULL)
        return fail(r, "the line holds a zero byte: this is no text file");
    *end = c == EOF && length == 0;
    if (*end && r->line > 1)
        r->line--;
    return MTX_OK;
}

/* Finds the next line that is neither blank nor a comment. *cursor is its first word, or NULL at
 * the end of the file. */
static enum mtx_status next_data(struct reader *r, char **cursor)
{
    bool end = false;
    *cursor = NULL;
    for (;;) {
        enum mtx_status status = next_line(r, &end);
        if (status != MTX_OK || end)
            return status;
        char *word = r->text + strspn(r->text, BLANKS);
        if (*word != '\0' && *word != '%') {
            *cursor = word;
            return MTX_OK;
        }
    }
}

/* Cuts the next word off the line; "" at its end. */
static char *take_word(char **cursor)
{
    char *word = *cursor + strspn(*cursor, BLANKS);
    char *end = word + strcspn(word, BLANKS);
    *cursor = *end == '\0' ? end : end + 1;
    *end = '\0';
    return word;
}

static enum mtx_status take_whole(const struct reader *r, char **cursor, const char *what,
                                  unsigned long long low, unsigned long long high,
                                  unsigned long long *value)
{
    const char *word = take_word(cursor);
    const char *digits = word + (*word == '-');
    *value = 0;
    if (*word == '\0')
        return fail(r, "the %s is missing", what);
    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        return fail(r, "%s '%s' is not a whole number", what, quote(word).text);
    errno = 0;
    const unsigned long long parsed = strtoull(digits, NULL, 10);
    if (errno != 0 || digits != word || parsed < low || parsed > high)
        return fail(r, "%s %s is outside %llu..%llu", what, quote(word).text, low, high);
    *value = parsed;
    return MTX_OK;
}

static enum mtx_status take_value(const struct reader *r, char **cursor, double *value)
{
    *value = 1.0;
    if (r->field == FIELD_PATTERN)
        return MTX_OK;
    const char *word = take_word(cursor);
    const bool integer = r->field == FIELD_INTEGER;
    char *end = NULL;
    if (*word == '\0')
        return fail(r, "the value is missing");
    errno = 0;
    const double parsed = integer ? (double)strtoll(word, &end, 10) : strtod(word, &end);
    /* strtod() would also take hexadecimal numbers, "nan" and "inf". */
    if (*end != '\0' || word[strspn(word, "0123456789+-.eE")] != '\0')
        return fail(r, "value '%s' is not a %s", quote(word).text,
                    integer ? "whole number" : "finite decimal number");
    if (isinf(parsed) || (integer && errno != 0))
        return fail(r, "value %s is out of the range of %s", quote(word).text,
                    integer ? "64-bit integers" : "doubles");
    *value = parsed;
    return MTX_OK;
}

static enum mtx_status take_end(const struct reader *r, char **cursor)
{
    const char *word = take_word(cursor);
    if (*word == '\0')
        return MTX_OK;
    return fail(r, "'%s' after the last number of the line", quote(word).text);
}

/* Takes one word of the first line, which must be among those listed: "a b c" names a, b and c. */
static enum mtx_status take_choice(const struct reader *r, char **cursor, const char *what,
                                   const char *choices, int *chosen)
{
    const char *word = take_word(cursor);
    const size_t length = strlen(word);
    *chosen = 0;
    if (length == 0)
        return fail(r, "the %s is missing: it must be one of: %s", what, choices);
    for (const char *c = choices; *c != '\0'; (*chosen)++) {
        const size_t n = strcspn(c, " ");
        if (n == length && strncasecmp(c, word, n) == 0)
            return MTX_OK;
        c += n + strspn(c + n, " ");
    }
    return fail(r, "%s '%s' is not supported: it must be one of: %s", what, quote(word).text,
                choices);
}

static enum mtx_status read_banner(struct reader *r)
{
    static const char banner[] = "%%MatrixMarket";
    bool end = false;
    enum mtx_status status = next_line(r, &end);
    if (status != MTX_OK)
        return status;
    if (end)
        return fail(r, "the file is empty");
    char *cursor = r->text;
    const char *word = take_word(&cursor);
    if (word != r->text || strcasecmp(word, banner) != 0)
        return fail(r, "the file begins with '%s' instead of '%s'", quote(word).text, banner);

    int chosen = 0;
    int field = 0;
    int symmetry = 0;
    if ((status = take_choice(r, &cursor, "object", "matrix", &chosen)) != MTX_OK ||
        (status = take_choice(r, &cursor, "format", "coordinate", &chosen)) != MTX_OK ||
        (status = take_choice(r, &cursor, "field", "real integer pattern", &field)) != MTX_OK ||
        (status = take_choice(r, &cursor, "symmetry", "general symmetric", &symmetry)) != MTX_OK)
        return status;
    word = take_word(&cursor);
    if (*word != '\0')
        return fail(r, "'%s' after the symmetry", quote(word).text);
    r->field = (enum field)field;
    r->symmetric = symmetry == 1;
    return MTX_OK;
}

static double usual_max_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES);
    const long page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? 0.75 * (double)pages * (double)page : 1e18;
}

static enum mtx_status read_sizes(struct reader *r, size_t max_bytes, struct mtx_csr *m,
                                  struct mtx_triplets *t)
{
    unsigned long long rows = 0;
    unsigned long long cols = 0;
    unsigned long long entries = 0;
    char *cursor = NULL;
    enum mtx_status status = next_data(r, &cursor);
    if (status != MTX_OK)
        return status;
    if (cursor == NULL)
        return fail(r, "the file ends before the line with rows, columns and entries");
    if ((status = take_whole(r, &cursor, "number of rows", 1, MTX_MAX_SIDE, &rows)) != MTX_OK ||
        (status = take_whole(r, &cursor, "number of columns", 1, MTX_MAX_SIDE, &cols)) != MTX_OK ||
        (status = take_whole(r, &cursor, "number of entries", 0, SIZE_MAX / 64, &entries)) !=
            MTX_OK ||
        (status = take_end(r, &cursor)) != MTX_OK)
        return status;
    if (r->symmetric && rows != cols)
        return fail(r, "%llu rows and %llu columns: a symmetric matrix is square", rows, cols);

    m->rows = (size_t)rows;
    m->cols = (size_t)cols;
    m->size_line = r->line;
    t->limit = (size_t)entries * (r->symmetric ? 2 : 1);
    /* The peak: two sets of triplets, the row pointers, and the counts of a sort. */
    const double need = 2.0 * sizeof(struct mtx_triplet) * (double)t->limit +
                        sizeof(size_t) * (2.0 + (double)rows + (double)(rows > cols ? rows : cols));
    const double have = max_bytes != 0 ? (double)max_bytes : usual_max_bytes();
    if (need > have)
        return fail(r,
                    "%llu rows, %llu columns and %llu entries need about %.0f MiB of memory, which "
                    "is more than the %.0f MiB allowed",
                    rows, cols, entries, need / 1048576.0, have / 1048576.0);
    return MTX_OK;
}

static enum mtx_status read_entry(const struct reader *r, char *cursor, const struct mtx_csr *m,
                                  struct mtx_triplets *t)
{
    unsigned long long row = 0;
    unsigned long long col = 0;
    double value = 0;
    enum mtx_status status = MTX_OK;
    if ((status = take_whole(r, &cursor, "row", 1, m->rows, &row)) != MTX_OK ||
        (status = take_whole(r, &cursor, "column", 1, m->cols, &col)) != MTX_OK ||
        (status = take_value(r, &cursor, &value)) != MTX_OK ||
        (status = take_end(r, &cursor)) != MTX_OK)
        return status;
    if (r->symmetric && col > row)
        return fail(r,
                    "row %llu, column %llu is above the diagonal: a symmetric file holds the lower "
                    "triangle",
                    row, col);
    const uint32_t i = (uint32_t)(row - 1);
    const uint32_t j = (uint32_t)(col - 1);
    if ((status = mtx_append(t, i, j, value)) == MTX_OK && r->symmetric && i != j)
        status = mtx_append(t, j, i, value);
    if (status != MTX_OK)
        (void)fail(r, "no memory for this entry");
    return status;
}

static enum mtx_status read_entries(struct reader *r, const struct mtx_csr *m,
                                    struct mtx_triplets *t)
{
    const size_t declared = r->symmetric ? t->limit / 2 : t->limit;
    for (size_t k = 0;; k++) {
        char *cursor = NULL;
        enum mtx_status status = next_data(r, &cursor);
        if (status != MTX_OK)
            return status;
        if (cursor == NULL && k == declared)
            return MTX_OK;
        if (cursor == NULL)
            return fail(r, "the file ends after %zu of the %zu entries that line %llu declares", k,
                        declared, m->size_line);
        if (k == declared)
            return fail(r, "one entry more than the %zu that line %llu declares", declared,
                        m->size_line);
        if ((status = read_entry(r, cursor, m, t)) != MTX_OK)
            return status;
    }
}

enum mtx_status mtx_read(FILE *in, const char *name, size_t max_bytes, struct mtx_csr *m,
                         char *error, size_t error_size)
{
    struct reader r = { .in = in, .name = name, .error = error, .error_size = error_size };
    struct mtx_triplets t = { .at = NULL };
    *m = (struct mtx_csr){ .rows = 0 };
    if (error_size > 0)
        error[0] = '\0';
    enum mtx_status status = MTX_OK;
    if ((status = read_banner(&r)) == MTX_OK &&
        (status = read_sizes(&r, max_bytes, m, &t)) == MTX_OK &&
        (status = read_entries(&r, m, &t)) == MTX_OK)
        status = mtx_compress(m, &t, name, error, error_size);
    free(t.at);
    if (status != MTX_OK)
        mtx_free(m);
    return status;
}

enum mtx_status mtx_load(const char *path, struct mtx_csr *m, char *error, size_t error_size)
{
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        *m = (struct mtx_csr){ .rows = 0 };
        (void)snprintf(error, error_size, "%s: cannot open: %s", path, strerror(errno));
        return MTX_BAD_FILE;
    }
    enum mtx_status status = mtx_read(in, path, 0, m, error, error_size);
    (void)fclose(in);
    return status;
}
