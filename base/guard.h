/* Calls of functions that are not ours, which come back even if the function does not return: a C++
 * exception thrown out of it, pthread_exit() and the cancellation of its thread end in the guard. A
 * call that returns costs a few instructions more than a call through a pointer.
 *
 * On x86-64 and aarch64. Elsewhere it is a plain call: an exception ends the process,
 * pthread_exit() the thread. With musl pthread_exit() unwinds nothing, and ends the thread too. */
#ifndef SK_BASE_GUARD_H
#define SK_BASE_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

enum {
    SK_GUARD_WORDS = 400 /* room for an account of what happened */
};

/* Whether exceptions are caught, and whether pthread_exit() is. */
#if defined(__ELF__) && defined(__LP64__) && (defined(__x86_64__) || defined(__aarch64__))
#define SK_GUARD_CATCHES 1
#else
#define SK_GUARD_CATCHES 0
#endif
#if defined(__GLIBC__)
#define SK_GUARD_CATCHES_EXIT SK_GUARD_CATCHES
#else
#define SK_GUARD_CATCHES_EXIT 0
#endif

struct _Unwind_Exception;

enum sk_guard_end {
    SK_GUARD_RETURNED,
    SK_GUARD_THREW, /* an exception */
    SK_GUARD_EXITED /* pthread_exit() or pthread_cancel() */
};

/* One guarded call; the caller's. */
struct sk_guard {
    /* Called in the thread that is about to leave the function, its frames still in place; NULL:
     * nothing. Set by the caller. */
    void (*leaving)(struct sk_guard *guard);
    enum sk_guard_end end; /* SK_GUARD_RETURNED until the function is left otherwise */
    struct _Unwind_Exception *exception; /* what was thrown */
};

/* Any function with up to four arguments, each an integer or a pointer; sk_guard_call ignores its
 * type. */
typedef void sk_guard_fn(void);

/* Calls fn(a, b, c, d) and returns what it returned; of no meaning where guard->end says that it
 * did not. */
int sk_guard_call(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, sk_guard_fn *fn,
                  struct sk_guard *guard);

/* Once after a call that did not return: writes an account of it, "`who` threw ...", and disposes
 * of the exception. */
void sk_guard_words(struct sk_guard *guard, const char *who, char *words, size_t size);

/* Whether the calling thread bears the marks of a function that was left: who can, lets a new
 * thread go on in its place. See guard.c. */
bool sk_guard_spent(void);

#endif
