/* Taking rights away from a worker before its first task. */
#ifndef SK_PROCESS_HARDEN_H
#define SK_PROCESS_HARDEN_H

/* In the worker, which has one thread: the filter knows the process that it is made in. flags:
 * SKUA_NO_NEW_PRIVS, SKUA_SECCOMP. 0 or a negative errno value: -ENOSYS where the kernel or this
 * build has no seccomp. */
int sk_harden(int flags);
/* Whether sk_harden() could do that: 0 or -ENOSYS; for the pool's constructor. */
int sk_harden_check(int flags);

#endif
