/* The registers of an interrupted thread, out of the ucontext_t * that a signal handler is given.
 * Async-signal-safe. */
#ifndef SK_BASE_CONTEXT_H
#define SK_BASE_CONTEXT_H

#include <stdint.h>

/* 0 on machines that are not known. */
uintptr_t sk_context_ip(const void *context); /* the instruction pointer */
uintptr_t sk_context_sp(const void *context); /* the stack pointer */

/* For a thread that has jumped to where no code is: changes the context as if it had come there by
 * a call, and the function had returned at once. Reads the stack, and may fault on that. */
void sk_context_return(void *context);

#endif
