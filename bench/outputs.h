/* Where the figures go: the table on stdout, JSON and HTML in files. */
#ifndef BENCH_OUTPUTS_H
#define BENCH_OUTPUTS_H

#include <stdio.h>

#include "bench/verdict.h"

/** Prints the table, what was measured on what, and the verdict. */
void bench_table(const struct bench_session *session, const struct bench_row *row, int nr_rows);

/** Write to a file that the caller opened and closes. */
void bench_json(FILE *f, const struct bench_session *session, const struct bench_row *row,
                int nr_rows);
void bench_html(FILE *f, const struct bench_session *session, const struct bench_row *row,
                int nr_rows);

/** The median gain of two threads over one; 0 where it was not measured. */
double bench_gain(const struct bench_session *session);

/** "triad  pairs": the names of the rows with that outcome on one worker (0) or on all (1), those
 * whose quartiles contain 1 with a tilde; "none" if there are none. */
void bench_names(const struct bench_row *row, int nr_rows, int which, enum bench_outcome outcome,
                 char *text, size_t size);

#endif
