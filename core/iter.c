/* The two verbs of every iterator; the kinds are in core/wait.c and core/imap.c. */
#include "core/iter.h"

skua_future *skua_next(skua_iter *it, size_t *index)
{
    size_t at = 0;
    skua_future *f = it != NULL ? it->class->next(it, &at) : NULL;
    if (f != NULL && index != NULL)
        *index = at;
    return f;
}

skua_status skua_iter_close(skua_iter *it)
{
    return it != NULL ? it->class->close(it) : SKUA_OK;
}
