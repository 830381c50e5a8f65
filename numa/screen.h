/* A look over an XML topology before hwloc gets it: hwloc trusts what it reads, and dies of an
 * object without a cpuset. */
#ifndef SK_NUMA_SCREEN_H
#define SK_NUMA_SCREEN_H

#include <stddef.h>

/* Reads an XML file that hwloc can be trusted with: of format 2, and its objects whole. On success
 * *text is NUL-terminated, *size_bytes its length, and the caller sk_free()s it. 0 or a negative
 * errno value, -EINVAL for what is no such file; *text is NULL then. */
int sk_screen_read(const char *path, char **text, size_t *size_bytes);

#endif
