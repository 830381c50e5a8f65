/* Compressed rows from entries in any order.
 *
 * The entries are sorted by two stable counting sorts, by column and then by row. That is linear
 * whatever their order: sorting each row by itself would take quadratic time, or a recursion, on a
 * file made to be slow. As the sorts are stable, entries of the same place lie side by side in the
 * order of the file, and their sum does not depend on chance. */
#include "mtx_csr.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum mtx_status no_memory(const struct mtx_csr *m, const char *name, char *error,
                                 size_t error_size)
{
    (void)snprintf(error, error_size, "%s:%llu: no memory for a matrix of this size", name,
                   m->size_line);
    return MTX_NO_MEMORY;
}

enum mtx_status mtx_append(struct mtx_triplets *t, uint32_t row, uint32_t col, double value)
{
    if (t->count == t->capacity) {
        size_t capacity = t->capacity == 0 ? 1024 : 2 * t->capacity;
        if (capacity > t->limit)
            capacity = t->limit;
        struct mtx_triplet *grown = realloc(t->at, capacity * sizeof *grown);
        if (grown == NULL)
            return MTX_NO_MEMORY;
        t->at = grown;
        t->capacity = capacity;
    }
    t->at[t->count++] = (struct mtx_triplet){ row, col, value };
    return MTX_OK;
}

static uint32_t key_of(const struct mtx_triplet *t, bool by_row)
{
    return by_row ? t->row : t->col;
}

/* A stable counting sort by row or column, each of which is below n. */
static bool sort_by(bool by_row, size_t n, const struct mtx_triplet *from, struct mtx_triplet *to,
                    size_t count)
{
    size_t *next = calloc(n + 1, sizeof *next);
    if (next == NULL)
        return false;
    for (size_t k = 0; k < count; k++)
        next[(size_t)key_of(&from[k], by_row) + 1]++;
    for (size_t i = 0; i < n; i++)
        next[i + 1] += next[i];
    for (size_t k = 0; k < count; k++)
        to[next[key_of(&from[k], by_row)]++] = from[k];
    free(next);
    return true;
}

/* Sorts by row, and within a row by column. */
static bool sort_triplets(struct mtx_triplets *t, const struct mtx_csr *m)
{
    if (t->count < 2)
        return true;
    struct mtx_triplet *other = malloc(t->count * sizeof *other);
    const bool sorted = other != NULL && sort_by(false, m->cols, t->at, other, t->count) &&
                        sort_by(true, m->rows, other, t->at, t->count);
    free(other);
    return sorted;
}

/* Sums neighbours of the same place into the first, and leaves t->count of them. Returns the entry
 * whose sum overflows, or NULL. */
static const struct mtx_triplet *sum_repeated(struct mtx_triplets *t)
{
    size_t kept = 0;
    for (size_t k = 0; k < t->count; k++) {
        struct mtx_triplet *last = kept > 0 ? &t->at[kept - 1] : NULL;
        if (last == NULL || last->row != t->at[k].row || last->col != t->at[k].col) {
            t->at[kept++] = t->at[k];
            continue;
        }
        last->value += t->at[k].value;
        if (isinf(last->value))
            return last;
    }
    t->count = kept;
    return NULL;
}

enum mtx_status mtx_compress(struct mtx_csr *m, struct mtx_triplets *t, const char *name,
                             char *error, size_t error_size)
{
    if (!sort_triplets(t, m))
        return no_memory(m, name, error, error_size);
    const struct mtx_triplet *bad = sum_repeated(t);
    if (bad != NULL) {
        (void)snprintf(error, error_size,
                       "%s:%llu: the entries of row %zu, column %zu add up to more than a double "
                       "holds",
                       name, m->size_line, (size_t)bad->row + 1, (size_t)bad->col + 1);
        return MTX_BAD_FILE;
    }
    const size_t room = t->count > 0 ? t->count : 1;
    m->row_start = calloc(m->rows + 1, sizeof *m->row_start);
    m->column = malloc(room * sizeof *m->column);
    m->value = malloc(room * sizeof *m->value);
    if (m->row_start == NULL || m->column == NULL || m->value == NULL)
        return no_memory(m, name, error, error_size);
    for (size_t k = 0; k < t->count; k++) {
        m->row_start[(size_t)t->at[k].row + 1]++;
        m->column[k] = t->at[k].col;
        m->value[k] = t->at[k].value;
    }
    for (size_t i = 0; i < m->rows; i++)
        m->row_start[i + 1] += m->row_start[i];
    return MTX_OK;
}

static double value_at(const struct mtx_csr *m, size_t row, size_t col)
{
    for (size_t k = m->row_start[row]; k < m->row_start[row + 1]; k++)
        if (m->column[k] == col)
            return m->value[k];
    return 0.0;
}

/* Finds a place (*row, *col) whose value differs from that of (*col, *row). The rows are visited in
 * order, so the entries of column i are asked for in the order i = 0, 1, ..., which is the order in
 * which each row holds them: a cursor a row finds the mirror of an entry without a search. */
static bool find_asymmetry(const struct mtx_csr *m, size_t *cursor, size_t *row, size_t *col)
{
    memcpy(cursor, m->row_start, m->rows * sizeof *cursor);
    for (size_t i = 0; i < m->rows; i++) {
        for (size_t k = m->row_start[i]; k < m->row_start[i + 1]; k++) {
            const size_t j = m->column[k];
            const size_t mirror = cursor[j]++;
            const bool exists = mirror < m->row_start[j + 1];
            if (exists && m->column[mirror] == i && m->value[mirror] == m->value[k])
                continue;
            /* Row j holds an entry that an earlier row did not ask for, or lacks this one. */
            const bool unasked = exists && m->column[mirror] < i;
            *row = unasked ? j : i;
            *col = unasked ? m->column[mirror] : j;
            return true;
        }
    }
    return false;
}

enum mtx_status mtx_check_symmetric(const struct mtx_csr *m, const char *name, char *error,
                                    size_t error_size)
{
    if (m->rows != m->cols) {
        (void)snprintf(error, error_size,
                       "%s:%llu: %zu rows and %zu columns: the matrix is not "
                       "square",
                       name, m->size_line, m->rows, m->cols);
        return MTX_BAD_FILE;
    }
    size_t *cursor = malloc(m->rows * sizeof *cursor);
    if (cursor == NULL)
        return no_memory(m, name, error, error_size);
    size_t i = 0;
    size_t j = 0;
    const bool found = find_asymmetry(m, cursor, &i, &j);
    free(cursor);
    if (!found)
        return MTX_OK;
    (void)snprintf(error, error_size,
                   "%s:%llu: the matrix is not symmetric: row %zu, column %zu is %.17g, but row "
                   "%zu, column %zu is %.17g",
                   name, m->size_line, i + 1, j + 1, value_at(m, i, j), j + 1, i + 1,
                   value_at(m, j, i));
    return MTX_BAD_FILE;
}

void mtx_free(struct mtx_csr *m)
{
    free(m->row_start);
    free(m->column);
    free(m->value);
    *m = (struct mtx_csr){ .rows = 0 };
}
