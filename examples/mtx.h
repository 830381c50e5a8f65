/* mtx.h: reads a sparse matrix from a Matrix Market file into compressed rows (CSR).
 *
 * Understood are "matrix coordinate real|integer|pattern general|symmetric" files: the exchange
 * format of NIST, https://math.nist.gov/MatrixMarket/formats.html. Indices in the file count from
 * 1, in memory from 0. Entries of a pattern are 1. A symmetric file holds the lower triangle, and
 * memory both. Entries given more than once are summed, in the order of the file. Comments and
 * blank lines may stand anywhere after the first line; lines may end in CR LF.
 *
 * Nothing in the file is believed: whatever its bytes are, the answer is a valid matrix or an error
 * of one line such as "big.mtx:17: column 99 is outside 1..50". The reader never prints or exits.
 * Numbers are read as in the C locale, which is the one of a program that calls no setlocale(). */
#ifndef MTX_H
#define MTX_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "mtx_csr.h"

/* The most rows or columns: indices are kept in 32 bits. */
#define MTX_MAX_SIDE UINT32_MAX

/* The longest line that is no comment, in characters; the format's own limit. */
#define MTX_MAX_LINE 1024

/* Reads a matrix from a stream, to its end.
 * in: open for reading, and left open.
 * name: what error lines call the file.
 * max_bytes: a file that declares itself to need more memory than this is refused before any is
 *     allocated; 0 for three quarters of the machine's.
 * m: gets the matrix, to be given to mtx_free(); all zero if it could not be read.
 * error: gets the words if the result is not MTX_OK, else "". */
enum mtx_status mtx_read(FILE *in, const char *name, size_t max_bytes, struct mtx_csr *m,
                         char *error, size_t error_size);

/* As mtx_read(), for a file given by its path, and with the usual max_bytes. */
enum mtx_status mtx_load(const char *path, struct mtx_csr *m, char *error, size_t error_size);

#endif
