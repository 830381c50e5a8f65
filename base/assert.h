/* Assertions about our own code. sk_assert: debug builds, cheap, no side effects. sk_check: every
 * build, for states from which going on would corrupt the user's data. */
#ifndef SK_BASE_ASSERT_H
#define SK_BASE_ASSERT_H

#include <stdbool.h>

#include "base/compiler.h"

/* Prints one line on stderr and aborts: a bug in skua itself. */
_Noreturn void sk_assert_failed(const char *expression, const char *file, int line);

#define sk_check(x) (SK_LIKELY(x) ? (void)0 : sk_assert_failed(#x, __FILE__, __LINE__))

#ifdef NDEBUG
#define sk_assert(x) ((void)sizeof((x) ? 1 : 0))
#else
#define sk_assert(x) sk_check(x)
#endif

#endif
