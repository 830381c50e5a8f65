/* mtx_csr.h: a sparse matrix in compressed rows (CSR), made from entries in any order.
 *
 * The entries come from a file, so every count is checked and every cost is linear in the size of
 * the input, whatever its order. Indices count from 0 here; error lines count from 1. */
#ifndef MTX_CSR_H
#define MTX_CSR_H

#include <stddef.h>
#include <stdint.h>

/* Room for every error line: a path of any length, and the words. */
#define MTX_ERROR_SIZE 4608

/* How reading or checking a matrix ended. */
enum mtx_status {
    MTX_OK = 0,
    MTX_BAD_FILE, /* it cannot be read, is not in the format, or is no matrix we can use */
    MTX_NO_MEMORY /* it may be a good file, but memory ran out */
};

/* A matrix in compressed rows. Row i has the entries k = row_start[i] .. row_start[i + 1] - 1, each
 * with its column[k], ascending and without repetition, and its value[k], which is finite. */
struct mtx_csr {
    size_t rows;
    size_t cols;
    size_t *row_start; /* rows + 1 numbers, the last being the number of entries */
    uint32_t *column;
    double *value;
    unsigned long long size_line; /* the line of the file that holds rows, columns and entries */
};

/* One entry of a matrix. */
struct mtx_triplet {
    uint32_t row;
    uint32_t col;
    double value;
};

/* Entries as they are read. All zero is none. */
struct mtx_triplets {
    struct mtx_triplet *at; /* the reader's, to be freed with free() */
    size_t count;
    size_t capacity;
    size_t limit; /* there are never more than this */
};

/* Adds an entry. Returns MTX_OK or MTX_NO_MEMORY, and then *t is as before. */
enum mtx_status mtx_append(struct mtx_triplets *t, uint32_t row, uint32_t col, double value);

/* Fills the arrays of *m, whose rows, cols and size_line are set, from entries within them. Entries
 * of the same place are summed in the order of *t. *t is left sorted and summed.
 * name: what the error line calls the matrix's file; error gets the words if it is not MTX_OK.
 * Returns MTX_OK; MTX_BAD_FILE where a sum overflows; MTX_NO_MEMORY. Free *m in any case. */
enum mtx_status mtx_compress(struct mtx_csr *m, struct mtx_triplets *t, const char *name,
                             char *error, size_t error_size);

/* Checks that a matrix is square and equal to its transpose.
 * name: what the error line calls its file.
 * Returns MTX_OK; MTX_BAD_FILE with words where it is not; MTX_NO_MEMORY with words. */
enum mtx_status mtx_check_symmetric(const struct mtx_csr *m, const char *name, char *error,
                                    size_t error_size);

/* Frees the arrays and zeroes *m. A zeroed matrix is fine. */
void mtx_free(struct mtx_csr *m);

#endif
