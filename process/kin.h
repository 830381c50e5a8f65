/* Whose child is whose: finding the children of a process that did not make all of them itself, and
 * ending them. For processes with one thread; nothing here takes a lock or allocates. */
#ifndef SK_PROCESS_KIN_H
#define SK_PROCESS_KIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The state letter and the parent of a process, as /proc tells. False if it does not. */
bool sk_kin_look(pid_t pid, char *state, pid_t *parent);

/* SIGKILLs each child of the caller but `spared` (0: none). How many that were, zombies among them;
 * 0 too where there is no /proc. */
int sk_kin_kill(pid_t spared);

/* SIGKILLs and reaps children until there is none, for so long at most. signal_fd tells of SIGCHLD,
 * which is blocked, and is read empty. False if some are left. */
bool sk_kin_end(int signal_fd, int64_t limit_ns);

#endif
