/* A library that a test loads after it has made its process pools. Its functions are tasks; it
 * knows nothing of skua. */
#define _GNU_SOURCE
#include <stdlib.h>

int late_square(void *arg, void *result);
int late_abort(void *arg, void *result);

int late_square(void *arg, void *result)
{
    *(int *)result = *(int *)arg * *(int *)arg;
    return 0;
}

int late_abort(void *arg, void *result)
{
    (void)arg;
    (void)result;
    abort();
}
