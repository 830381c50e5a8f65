/* Threads: started with all signals blocked, so that the program's handlers run in its own
 * threads. */
#ifndef SK_BASE_THREAD_H
#define SK_BASE_THREAD_H

#include <pthread.h>
#include <stddef.h>

/* Starts fn(arg) in a joinable thread. 0 or a negative errno value. */
int sk_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg);

/* Names the calling thread, cut to the 15 bytes that the kernel keeps. */
void sk_thread_name_self(const char *name);

/* Bytes of stack below the caller's frame that are left to the calling thread; SIZE_MAX if the
 * system does not say. */
size_t sk_thread_stack_left(void);

/* The number of fork()s that lie between the first process and this one. What was made under
 * another number has lost its threads. */
unsigned sk_thread_fork_count(void);

#endif
