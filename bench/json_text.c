/* Pieces of JSON. A library would be a dependency for the sake of one function that escapes. */
#include "bench/json_text.h"

void bench_json_string(FILE *f, const char *text)
{
    fputc('"', f);
    for (const unsigned char *c = (const unsigned char *)text; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(f, "\\%c", *c);
        else if (*c < 0x20)
            fprintf(f, "\\u%04x", *c);
        else
            fputc(*c, f);
    }
    fputc('"', f);
}

void bench_json_member(FILE *f, const char *name, const char *text)
{
    fprintf(f, "\"%s\": ", name);
    bench_json_string(f, text);
    fputs(", ", f);
}

void bench_json_samples(FILE *f, const char *name, const double *values, int n)
{
    fprintf(f, ", \"%s\": [", name);
    for (int i = 0; i < n; i++)
        fprintf(f, "%s%.6g", i > 0 ? ", " : "", values[i]);
    fputc(']', f);
}
