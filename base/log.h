/* What the library has to say goes through here to the user's skua_log_fn, or to stderr. */
#ifndef SK_BASE_LOG_H
#define SK_BASE_LOG_H

#include "base/compiler.h"
#include "skua/error.h"

/* One line, without a newline, cut at 1000 bytes. */
void sk_log(skua_log_level level, const char *format, ...) SK_PRINTF(2, 3);

/* Around fork(): the child finds the hook whole. */
void sk_log_lock(void);
void sk_log_unlock(void);

#endif
