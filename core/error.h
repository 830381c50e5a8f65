/* Errors of the calling thread: the record behind skua_last_error(), and the words a task or loop
 * body leaves with skua_fail() for whoever runs it. */
#ifndef SK_CORE_ERROR_H
#define SK_CORE_ERROR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/guard.h"
#include "skua/error.h"

enum {
    SK_MESSAGE_SIZE = 400,
    SK_WHERE_SIZE = 200,
    SK_TASK_NAME_SIZE = 128 /* of which a thread's last error keeps so much */
};

/* A failure with room for its strings, which point into it or to literals. */
struct sk_failure {
    skua_error error;
    char message[SK_MESSAGE_SIZE];
    char where[SK_WHERE_SIZE];
};

/* Sets the thread's last error and returns the status. */
skua_status sk_error_set(skua_status status, const char *format, ...) SK_PRINTF(2, 3);

/* The same with a failure copied. */
skua_status sk_error_copy(const skua_error *error);

/* Around the call of a task or body. Before it: forgets the words of earlier ones, but keeps those
 * of a task that waits further down this thread's stack, with its last error; NULL, or what to give
 * back after the call. */
struct sk_words;
struct sk_words *sk_error_begin_call(void);
void sk_error_leave_call(struct sk_words *kept);

/* Around the user's functions that a skua call of the calling thread happens to run: callbacks,
 * drops. What the thread's own function had said, and its last error, are after them as before. */
struct sk_words *sk_error_put_aside(void);
void sk_error_put_back(struct sk_words *aside);

/* Whether the thread is inside a task, body or called function. */
bool sk_error_inside_call(void);

/* Between begin and leave: what a failing function has said, to be said again by another thread;
 * NULL if that is nothing, or if there is no memory. Unpacking frees it. */
struct sk_words *sk_error_pack(void);
void sk_error_unpack(struct sk_words *packed);

/* Between begin and leave, in the same thread: points to the code of the last skua_fail(), or to 0.
 * For functions that cannot return a failure, such as comparisons. */
const int *sk_error_said(void);

/* Between the two, after it returned code != 0: fills *failure with status, code, worker and
 * words: those of skua_fail(), else those of the last skua call that failed in it, if code is that
 * call's status, passed on; else an account of the
 * code. */
void sk_error_end_call(struct sk_failure *failure, skua_status status, int code, const char *what);

/* A copy with its strings in one block, for sk_free(); NULL ones become "". NULL: no memory. */
struct sk_failure *sk_error_clone(const skua_error *error, skua_status status);

/* The call `call` of the function `who` was left by an exception or pthread_exit(). Disposes of
 * that, says so as skua_fail() would, and returns SKUA_FAILED, the code to go on with. */
struct sk_call;
int sk_error_left(struct sk_call *call, const char *who);

/* The usual case: fn(a, b, c, d), and if it did not return, what sk_error_left() gives. */
int sk_error_call(const char *who, sk_guard_fn *fn, uintptr_t a, uintptr_t b, uintptr_t c,
                  uintptr_t d);

/* fn(a, b) of no result, whose failure is nobody's but one line's in the log. */
void sk_error_call_logged(const char *who, sk_guard_fn *fn, uintptr_t a, uintptr_t b);

/* A record for errors that have no words of their own; static. */
const skua_error *sk_error_plain(skua_status status);

#endif
