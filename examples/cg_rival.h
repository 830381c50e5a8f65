/* cg_rival.h: runs another solver on the same file and reads how long it took. */
#ifndef CG_RIVAL_H
#define CG_RIVAL_H

#include <stdbool.h>
#include <stddef.h>

/* What a solver prints about itself, as far as it is read back. */
struct rival_result {
    double seconds;  /* from its line "time ..." */
    long iterations; /* from its line "iterations ..." */
};

/* Finds a program that lies in the same folder as the running one.
 * path: gets its path, if the result is true. */
bool rival_find(const char *name, char *path, size_t path_size);

/* Runs a program, waits for its end and reads its standard output.
 * argv: its arguments, ending with NULL; argv[0] is its path.
 * words: gets what went wrong, if the result is false. */
bool rival_run(char *const argv[], struct rival_result *result, char *words, size_t words_size);

#endif
