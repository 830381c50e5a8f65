/* Pieces of JSON, for those who write figures: each member is followed by ", ", a list of samples
 * is preceded by it. */
#ifndef BENCH_JSON_TEXT_H
#define BENCH_JSON_TEXT_H

#include <stdio.h>

/** "text", escaped. */
void bench_json_string(FILE *f, const char *text);
/** "name": "text", */
void bench_json_member(FILE *f, const char *name, const char *text);
/** , "name": [values] */
void bench_json_samples(FILE *f, const char *name, const double *values, int n);

#endif
