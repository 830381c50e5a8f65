#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

void sk_assert_failed(const char *expression, const char *file, int line)
{
    fprintf(stderr, "skua: internal error: %s does not hold at %s:%d\n", expression, file, line);
    abort();
}
