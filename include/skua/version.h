/** @file version.h
 * The version of this header, and of the library that a program really runs with.
 *
 * @code
 * #include <skua/skua.h>
 * #include <stdio.h>
 *
 * int main(void)
 * {
 *     printf("built with %s, running with %s\n", SKUA_VERSION, skua_version());
 *     return 0;
 * }
 * @endcode */
#ifndef SKUA_VERSION_H
#define SKUA_VERSION_H

#include "skua/export.h"

#define SKUA_VERSION_MAJOR 0 /**< of 0.1.0: the 0 */
#define SKUA_VERSION_MINOR 1 /**< of 0.1.0: the 1 */
#define SKUA_VERSION_PATCH 0 /**< of 0.1.0: the last 0 */
/** The version of the headers a program was compiled with. */
#define SKUA_VERSION       "0.1.0"

SKUA_BEGIN_DECLS

/** The version of the library in use, as "major.minor.patch". Never blocks; the string is static.
 * Before 1.0 two libraries of different minor versions are not interchangeable. */
SKUA_API const char *skua_version(void);

SKUA_END_DECLS

#endif
