/* Reading the environment. A good value is silent; a bad one gives one warning line, once in a
 * process, that names the variable, the value and the valid ones, and the fallback is used. */
#ifndef SK_BASE_ENV_H
#define SK_BASE_ENV_H

#include <stdbool.h>

/* A decimal integer in [min, max]; false (and *out untouched) if unset, empty or bad. */
bool sk_env_int(const char *name, long min, long max, long *out);
/* 0, 1, true, false, yes, no, on, off, in any case; fallback if unset, empty or bad. */
bool sk_env_bool(const char *name, bool fallback);
/* Warns once in a process about every SKUA_* name in the environment that is not known. */
void sk_env_check_names(void);

#endif
