/* Which functions a worker knows: those of programs and libraries that were loaded when its zygote
 * was made. Thread-safe once open. */
#ifndef SK_PROCESS_MODULES_H
#define SK_PROCESS_MODULES_H

#include <stdbool.h>
#include <stddef.h>

struct sk_modules;

/* Notes what is loaded now. NULL without memory. */
struct sk_modules *sk_modules_open(void);
void sk_modules_close(struct sk_modules *modules); /* NULL is fine */

/* Whether fn lies in the code of a module that was loaded then and still is, at the same place. If
 * not, *why says so in words, with the module's name if it has one. Cheap for a function that was
 * asked for before. */
bool sk_modules_know(struct sk_modules *modules, void (*fn)(void), char *why, size_t size);

#endif
