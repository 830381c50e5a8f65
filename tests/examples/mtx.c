/* The Matrix Market reader of the examples: what good files become, what bad files are told, and
 * that no bytes whatever give anything but a valid matrix or one line of words. */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mtx.h"

#define REAL         "%%MatrixMarket matrix coordinate real general\n"
#define INTEGER      "%%MatrixMarket matrix coordinate integer general\n"
#define PATTERN      "%%MatrixMarket matrix coordinate pattern general\n"
#define SYMMETRIC    "%%MatrixMarket matrix coordinate real symmetric\n"
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Enough for every file here, and far from what a corrupted size may ask for. */
static const size_t max_bytes = 1048576;

static char error[MTX_ERROR_SIZE];

/* Reads from a copy of the exact size, so that a sanitizer sees any step outside it. */
static enum mtx_status read_bytes(const char *bytes, size_t size, struct mtx_csr *m)
{
    char *copy = malloc(size + (size == 0));
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    /* fmemopen() refuses a buffer of no bytes. */
    FILE *in = size > 0 ? fmemopen(copy, size, "r") : fopen("/dev/null", "r");
    assert_non_null(in);
    memset(error, 'x', sizeof error);
    const enum mtx_status status = mtx_read(in, "t.mtx", max_bytes, m, error, sizeof error);
    (void)fclose(in);
    free(copy);
    return status;
}

static void read_good(const char *text, struct mtx_csr *m)
{
    if (read_bytes(text, strlen(text), m) != MTX_OK)
        fail_msg("%s\n%s", error, text);
    assert_string_equal(error, "");
}

static void refuse_bytes(const char *bytes, size_t size, const char *words)
{
    struct mtx_csr m;
    assert_int_equal(read_bytes(bytes, size, &m), MTX_BAD_FILE);
    assert_string_equal(error, words);
    assert_null(m.row_start);
    assert_null(m.column);
    assert_null(m.value);
}

struct bad {
    const char *text;
    const char *words;
};

static void refuse_all(const struct bad *bad, size_t n)
{
    for (size_t i = 0; i < n; i++)
        refuse_bytes(bad[i].text, strlen(bad[i].text), bad[i].words);
}

/* Compares with a dense matrix in rows, whose zeros are not stored. */
static void expect_dense(const struct mtx_csr *m, size_t rows, size_t cols, const double *dense)
{
    size_t k = 0;
    assert_int_equal(m->rows, rows);
    assert_int_equal(m->cols, cols);
    for (size_t i = 0; i < rows; i++) {
        assert_int_equal(m->row_start[i], k);
        for (size_t j = 0; j < cols; j++) {
            if (dense[i * cols + j] == 0.0)
                continue;
            assert_true(k < m->row_start[rows]);
            assert_int_equal(m->column[k], j);
            assert_true(m->value[k] == dense[i * cols + j]);
            k++;
        }
    }
    assert_int_equal(m->row_start[rows], k);
}

static void expect_file(const char *text, size_t rows, size_t cols, const double *dense)
{
    struct mtx_csr m;
    read_good(text, &m);
    expect_dense(&m, rows, cols, dense);
    mtx_free(&m);
    assert_null(m.row_start);
}

static void entries_in_any_order_are_sorted(void **state)
{
    (void)state;
    expect_file(REAL "2 3 4\n2 3 6\n1 3 3\n2 1 4\n1 1 1\n", 2, 3, (double[]){ 1, 0, 3, 4, 0, 6 });
}

static void comments_and_blank_lines_are_skipped(void **state)
{
    (void)state;
    expect_file(REAL "% one\n\n%\n  \t\n2 2 2\n\n1 1 5\n  % two\n2 2 6\n\n\n%", 2, 2,
                (double[]){ 5, 0, 0, 6 });
}

static void a_comment_may_be_of_any_length(void **state)
{
    (void)state;
    char text[20000];
    memset(text, 'c', sizeof text);
    memcpy(text, REAL "%", strlen(REAL "%"));
    (void)snprintf(text + 15000, sizeof text - 15000, "\n1 1 1\n1 1 5\n");
    expect_file(text, 1, 1, (double[]){ 5 });
}

static void lines_may_end_in_cr_lf(void **state)
{
    (void)state;
    expect_file("%%MatrixMarket matrix coordinate real general\r\n% c\r\n\r\n1 2 1\r\n1 2 -3\r\n",
                1, 2, (double[]){ 0, -3 });
}

static void the_last_newline_may_be_missing(void **state)
{
    (void)state;
    expect_file(REAL "1 1 1\n1 1 7.5", 1, 1, (double[]){ 7.5 });
}

static void the_words_of_the_header_are_in_any_case(void **state)
{
    (void)state;
    expect_file("%%matrixmarket MATRIX Coordinate Real GENERAL\n1 1 1\n1 1 2\n", 1, 1,
                (double[]){ 2 });
}

static void values_may_have_signs_and_exponents(void **state)
{
    (void)state;
    expect_file(REAL "1 6 6\n1 1 1e3\n1 2 -2.5E-3\n1 3 +.5\n1 4 7.\n1 5 00010\n1 6\t 1.7e308 \n", 1,
                6, (double[]){ 1e3, -2.5e-3, .5, 7, 10, 1.7e308 });
}

static void integers_are_values(void **state)
{
    (void)state;
    expect_file(INTEGER "1 3 3\n1 1 -4\n1 2 +5\n1 3 9007199254740992\n", 1, 3,
                (double[]){ -4, 5, 9007199254740992.0 });
}

static void entries_of_a_pattern_are_one(void **state)
{
    (void)state;
    expect_file(PATTERN "2 2 3\n1 1\n2 1\n2 2\n", 2, 2, (double[]){ 1, 0, 1, 1 });
}

static void a_symmetric_file_holds_the_lower_triangle(void **state)
{
    (void)state;
    expect_file(SYMMETRIC "3 3 4\n1 1 1\n3 1 5\n3 2 6\n3 3 9\n", 3, 3,
                (double[]){ 1, 0, 5, 0, 0, 6, 5, 6, 9 });
}

static void repeated_entries_are_summed_in_order(void **state)
{
    (void)state;
    /* 1e16 + 1 is 1e16: only the order of the file gives 1. */
    expect_file(REAL "2 2 5\n2 2 1e16\n1 1 3\n2 2 -1e16\n2 2 1\n1 1 4\n", 2, 2,
                (double[]){ 7, 0, 0, 1 });
    expect_file(SYMMETRIC "2 2 3\n2 1 1\n2 1 2\n2 2 3\n", 2, 2, (double[]){ 0, 3, 3, 3 });
}

static void a_matrix_may_have_no_entries(void **state)
{
    (void)state;
    expect_file(REAL "2 3 0\n", 2, 3, (double[]){ 0, 0, 0, 0, 0, 0 });
}

static void bad_headers_are_told_from_line_1(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        { "", "t.mtx:1: the file is empty" },
        { "\n1 1 1\n", "t.mtx:1: the file begins with '' instead of '%%MatrixMarket'" },
        { "1 1 1\n1 1 1\n", "t.mtx:1: the file begins with '1' instead of '%%MatrixMarket'" },
        { "%MatrixMarket matrix\n",
          "t.mtx:1: the file begins with '%MatrixMarket' instead of '%%MatrixMarket'" },
        { "%%MatrixMarket\n", "t.mtx:1: the object is missing: it must be one of: matrix" },
        { "%%MatrixMarket vector coordinate real general\n",
          "t.mtx:1: object 'vector' is not supported: it must be one of: matrix" },
        { "%%MatrixMarket matrix array real general\n",
          "t.mtx:1: format 'array' is not supported: it must be one of: coordinate" },
        { "%%MatrixMarket matrix coordinate complex general\n",
          "t.mtx:1: field 'complex' is not supported: it must be one of: real integer pattern" },
        { "%%MatrixMarket matrix coordinate rea general\n",
          "t.mtx:1: field 'rea' is not supported: it must be one of: real integer pattern" },
        { "%%MatrixMarket matrix coordinate real skew-symmetric\n",
          "t.mtx:1: symmetry 'skew-symmetric' is not supported: it must be one of: general "
          "symmetric" },
        { "%%MatrixMarket matrix coordinate real hermitian\n",
          "t.mtx:1: symmetry 'hermitian' is not supported: it must be one of: general symmetric" },
        { "%%MatrixMarket matrix coordinate real\n",
          "t.mtx:1: the symmetry is missing: it must be one of: general symmetric" },
        { "%%MatrixMarket matrix coordinate real general 7\n", "t.mtx:1: '7' after the symmetry" },
        { "\x01\xff\x1b[2J\n",
          "t.mtx:1: the file begins with '???[2J' instead of '%%MatrixMarket'" },
        { "abcdefghijklmnopqrstuvwxyz0123456789\n",
          "t.mtx:1: the file begins with 'abcdefghijklmnopqrstuvwxyz01...' instead of "
          "'%%MatrixMarket'" },
    };
    refuse_all(bad, COUNT(bad));
}

static void bad_sizes_are_told(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        { REAL, "t.mtx:1: the file ends before the line with rows, columns and entries" },
        { REAL "% c\n\n", "t.mtx:3: the file ends before the line with rows, columns and entries" },
        { REAL "3\n", "t.mtx:2: the number of columns is missing" },
        { REAL "%\n\n3 3\n", "t.mtx:4: the number of entries is missing" },
        { REAL "3 3 1 1\n", "t.mtx:2: '1' after the last number of the line" },
        { REAL "0 3 0\n", "t.mtx:2: number of rows 0 is outside 1..4294967295" },
        { REAL "3 -3 0\n", "t.mtx:2: number of columns -3 is outside 1..4294967295" },
        { REAL "4294967296 1 0\n", "t.mtx:2: number of rows 4294967296 is outside 1..4294967295" },
        { REAL "3 x 0\n", "t.mtx:2: number of columns 'x' is not a whole number" },
        { REAL "3 3 1.5\n", "t.mtx:2: number of entries '1.5' is not a whole number" },
        { REAL "3 3 -\n", "t.mtx:2: number of entries '-' is not a whole number" },
        { REAL "1 1 99999999999999999999999\n",
          "t.mtx:2: number of entries 99999999999999999999999 is outside 0..288230376151711743" },
        { SYMMETRIC "3 4 0\n", "t.mtx:2: 3 rows and 4 columns: a symmetric matrix is square" },
    };
    refuse_all(bad, COUNT(bad));
}

static void huge_sizes_are_refused_with_words(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        { REAL "4294967295 4294967295 1\n",
          "t.mtx:2: 4294967295 rows, 4294967295 columns and 1 entries need about 65536 MiB of "
          "memory, which is more than the 1 MiB allowed" },
        { REAL "1 1 288230376151711743\n",
          "t.mtx:2: 1 rows, 1 columns and 288230376151711743 entries need about 8796093022208 MiB "
          "of memory, which is more than the 1 MiB allowed" },
    };
    refuse_all(bad, COUNT(bad));
}

static void bad_entries_are_told_with_their_line(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        { REAL "9 50 2\n1 1 1\n2 99 1\n", "t.mtx:4: column 99 is outside 1..50" },
        { REAL "9 50 2\n1 1 1\n\n% c\n10 1 1\n", "t.mtx:6: row 10 is outside 1..9" },
        { REAL "9 50 1\n0 1 1\n", "t.mtx:3: row 0 is outside 1..9" },
        { REAL "9 50 1\n1 -1 1\n", "t.mtx:3: column -1 is outside 1..50" },
        { REAL "9 50 1\n1 -0 1\n", "t.mtx:3: column -0 is outside 1..50" },
        { REAL "9 9 1\n18446744073709551617 1 1\n",
          "t.mtx:3: row 18446744073709551617 is outside 1..9" },
        { REAL "9 9 1\na 1 1\n", "t.mtx:3: row 'a' is not a whole number" },
        { REAL "9 9 1\n1 1.0 1\n", "t.mtx:3: column '1.0' is not a whole number" },
        { REAL "9 9 1\n1\n", "t.mtx:3: the column is missing" },
        { REAL "9 9 1\n1 1\n", "t.mtx:3: the value is missing" },
        { REAL "9 9 1\n1 1 1 0\n", "t.mtx:3: '0' after the last number of the line" },
        { PATTERN "9 9 1\n1 1 1\n", "t.mtx:3: '1' after the last number of the line" },
        { SYMMETRIC "9 9 1\n1 2 1\n", "t.mtx:3: row 1, column 2 is above the diagonal: a "
                                      "symmetric file holds the lower triangle" },
    };
    refuse_all(bad, COUNT(bad));
}

static void bad_values_are_told_with_their_line(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        { REAL "9 9 1\n1 1 nan\n", "t.mtx:3: value 'nan' is not a finite decimal number" },
        { REAL "9 9 1\n1 1 -inf\n", "t.mtx:3: value '-inf' is not a finite decimal number" },
        { REAL "9 9 1\n1 1 0x10\n", "t.mtx:3: value '0x10' is not a finite decimal number" },
        { REAL "9 9 1\n1 1 1.5.5\n", "t.mtx:3: value '1.5.5' is not a finite decimal number" },
        { REAL "9 9 1\n1 1 e\n", "t.mtx:3: value 'e' is not a finite decimal number" },
        { REAL "9 9 1\n1 1 1e999\n", "t.mtx:3: value 1e999 is out of the range of doubles" },
        { INTEGER "9 9 1\n1 1 1.5\n", "t.mtx:3: value '1.5' is not a whole number" },
        { INTEGER "9 9 1\n1 1 99999999999999999999\n",
          "t.mtx:3: value 99999999999999999999 is out of the range of 64-bit integers" },
        { REAL "9 9 3\n2 3 1.7e308\n1 1 1\n2 3 1.7e308\n",
          "t.mtx:2: the entries of row 2, column 3 add up to more than a double holds" },
    };
    refuse_all(bad, COUNT(bad));
}

static void a_wrong_count_of_entries_is_told(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        { REAL "9 9 3\n1 1 1\n2 2 2\n",
          "t.mtx:4: the file ends after 2 of the 3 entries that line 2 declares" },
        { SYMMETRIC "%\n9 9 3\n1 1 1\n2 1 2",
          "t.mtx:5: the file ends after 2 of the 3 entries that line 3 declares" },
        { REAL "9 9 1\n1 1 1\n2 2 2\n", "t.mtx:4: one entry more than the 1 that line 2 declares" },
        { REAL "9 9 0\n\nend\n", "t.mtx:4: one entry more than the 0 that line 2 declares" },
    };
    refuse_all(bad, COUNT(bad));
}

static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    static const char zero[] = REAL "1 1 1\n1 1 \0001\n";
    refuse_bytes(zero, sizeof zero - 1,
                 "t.mtx:3: the line holds a zero byte: this is no text file");
    char text[4096];
    memset(text, '1', sizeof text);
    memcpy(text, REAL, strlen(REAL));
    refuse_bytes(text, sizeof text, "t.mtx:2: the line is longer than 1024 characters");
}

static void a_file_that_cannot_be_read_is_told(void **state)
{
    (void)state;
    struct mtx_csr m;
    assert_int_equal(mtx_load("/no/such.mtx", &m, error, sizeof error), MTX_BAD_FILE);
    assert_string_equal(error, "/no/such.mtx: cannot open: No such file or directory");
    assert_int_equal(mtx_load("/", &m, error, sizeof error), MTX_BAD_FILE);
    assert_string_equal(error, "/:1: cannot read: Is a directory");
    mtx_free(&m);
}

static void a_small_error_buffer_is_not_overrun(void **state)
{
    (void)state;
    char text[] = "nonsense\n";
    for (size_t size = 0; size < 64; size++) {
        struct mtx_csr m;
        char *small = malloc(size + (size == 0));
        FILE *in = fmemopen(text, strlen(text), "r");
        assert_non_null(small);
        assert_non_null(in);
        assert_int_equal(mtx_read(in, "t.mtx", 0, &m, small, size), MTX_BAD_FILE);
        assert_true(size == 0 || memchr(small, '\0', size) != NULL);
        (void)fclose(in);
        free(small);
    }
}

static void what_is_not_symmetric_is_told(void **state)
{
    (void)state;
    static const struct bad files[] = {
        { REAL "2 2 2\n1 1 1\n2 2 1\n", "" },
        { REAL "3 3 4\n1 3 2\n3 1 2\n2 2 1\n3 3 5\n", "" },
        { SYMMETRIC "3 3 3\n3 1 2\n2 1 2\n3 3 5\n", "" },
        { REAL "2 3 0\n", "t.mtx:2: 2 rows and 3 columns: the matrix is not square" },
        { REAL "3 3 2\n1 3 2\n3 1 4\n", "t.mtx:2: the matrix is not symmetric: row 1, column 3 is "
                                        "2, but row 3, column 1 is 4" },
        { REAL "3 3 1\n1 2 2\n", "t.mtx:2: the matrix is not symmetric: row 1, column 2 is 2, but "
                                 "row 2, column 1 is 0" },
        { REAL "3 3 1\n2 1 2\n", "t.mtx:2: the matrix is not symmetric: row 2, column 1 is 2, but "
                                 "row 1, column 2 is 0" },
        /* Row 3's entry in column 1 is found missing above while column 2, which is right, is. */
        { REAL "3 3 3\n3 1 7\n3 2 5\n2 3 5\n", "t.mtx:2: the matrix is not symmetric: row 3, "
                                               "column 1 is 7, but row 1, column 3 is 0" },
    };
    for (size_t i = 0; i < COUNT(files); i++) {
        struct mtx_csr m;
        read_good(files[i].text, &m);
        const enum mtx_status status = mtx_check_symmetric(&m, "t.mtx", error, sizeof error);
        assert_int_equal(status, *files[i].words == '\0' ? MTX_OK : MTX_BAD_FILE);
        if (status != MTX_OK)
            assert_string_equal(error, files[i].words);
        mtx_free(&m);
    }
}

/* Reads bytes that may be anything, and checks what mtx.h promises of any. */
static void try_bytes(const char *bytes, size_t size)
{
    struct mtx_csr m;
    const enum mtx_status status = read_bytes(bytes, size, &m);
    if (status != MTX_OK) {
        assert_int_equal(status, MTX_BAD_FILE);
        assert_int_equal(strncmp(error, "t.mtx:", 6), 0);
        assert_true(strtol(error + 6, NULL, 10) >= 1);
        for (const char *c = error; *c != '\0'; c++)
            assert_true(*c >= ' ' && *c <= '~');
        assert_null(m.row_start);
        return;
    }
    assert_int_equal(m.row_start[0], 0);
    for (size_t i = 0; i < m.rows; i++) {
        assert_true(m.row_start[i] <= m.row_start[i + 1]);
        for (size_t k = m.row_start[i]; k < m.row_start[i + 1]; k++) {
            assert_true(m.column[k] < m.cols);
            assert_true(k == m.row_start[i] || m.column[k - 1] < m.column[k]);
            assert_true(isfinite(m.value[k]));
        }
    }
    (void)mtx_check_symmetric(&m, "t.mtx", error, sizeof error);
    mtx_free(&m);
}

static const char *const samples[] = {
    SYMMETRIC "% c\n3 3 4\n1 1 4.5\n2 1 -1e0\r\n\n3 3 2\n2 2 +9\n",
    REAL "2 3 3\n2 3 1e308\n1 1 1e308\n2 3 -1\n",
    INTEGER "1 1 2\n1 1 -7\n1 1 5\n",
    PATTERN "12 11 2\n12 1\n1 11\n",
};

static void every_truncation_is_read_or_refused(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(samples); s++)
        for (size_t size = 0; size <= strlen(samples[s]); size++)
            try_bytes(samples[s], size);
}

static void every_corrupted_byte_is_read_or_refused(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT(samples); s++) {
        const size_t size = strlen(samples[s]);
        char copy[256];
        assert_true(size < sizeof copy);
        for (size_t at = 0; at < size; at++) {
            memcpy(copy, samples[s], size);
            for (int byte = 0; byte < 256; byte++) {
                copy[at] = (char)byte;
                try_bytes(copy, size);
            }
        }
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_in_any_order_are_sorted),
        cmocka_unit_test(comments_and_blank_lines_are_skipped),
        cmocka_unit_test(a_comment_may_be_of_any_length),
        cmocka_unit_test(lines_may_end_in_cr_lf),
        cmocka_unit_test(the_last_newline_may_be_missing),
        cmocka_unit_test(the_words_of_the_header_are_in_any_case),
        cmocka_unit_test(values_may_have_signs_and_exponents),
        cmocka_unit_test(integers_are_values),
        cmocka_unit_test(entries_of_a_pattern_are_one),
        cmocka_unit_test(a_symmetric_file_holds_the_lower_triangle),
        cmocka_unit_test(repeated_entries_are_summed_in_order),
        cmocka_unit_test(a_matrix_may_have_no_entries),
        cmocka_unit_test(bad_headers_are_told_from_line_1),
        cmocka_unit_test(bad_sizes_are_told),
        cmocka_unit_test(huge_sizes_are_refused_with_words),
        cmocka_unit_test(bad_entries_are_told_with_their_line),
        cmocka_unit_test(bad_values_are_told_with_their_line),
        cmocka_unit_test(a_wrong_count_of_entries_is_told),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(a_file_that_cannot_be_read_is_told),
        cmocka_unit_test(a_small_error_buffer_is_not_overrun),
        cmocka_unit_test(what_is_not_symmetric_is_told),
        cmocka_unit_test(every_truncation_is_read_or_refused),
        cmocka_unit_test(every_corrupted_byte_is_read_or_refused),
    };
    return cmocka_run_group_tests_name("examples/mtx", tests, NULL, NULL);
}
