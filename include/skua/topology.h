/** @file topology.h
 * Where workers sit.
 *
 * Workers are pinned to the cores that this process may use: those in its cgroup and in its
 * affinity mask. The calling thread's own affinity is never changed. SKUA_DISPLAY=1 prints what
 * was found.
 *
 * @code
 * #include <skua/skua.h>
 *
 * int main(void)
 * {
 *     skua_executor *ex = skua_thread_pool(&(skua_options){ .bind = SKUA_BIND_SPREAD });
 *     skua_close(ex);
 *     return ex == NULL;
 * }
 * @endcode */
#ifndef SKUA_TOPOLOGY_H
#define SKUA_TOPOLOGY_H

#include "skua/export.h"

SKUA_BEGIN_DECLS

/** Where the workers of a pool are pinned. */
typedef enum skua_bind {
    SKUA_BIND_AUTO,   /**< one worker a core, near each other first; not pinned under a CPU quota */
    SKUA_BIND_CLOSE,  /**< fill a socket, then the next */
    SKUA_BIND_SPREAD, /**< as far apart as the machine allows */
    SKUA_BIND_NONE    /**< leave workers free to move within the process's own mask */
} skua_bind;

SKUA_END_DECLS

#endif
