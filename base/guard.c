/* The library is C and has no C++ run-time of its own, but it can take part in unwinding as any
 * language can (Itanium C++ ABI, "Exception Handling", level I): sk_guard_call is a function in
 * assembly with a personality routine. An unwinder that passes by asks the routine, which answers
 * that the exception is handled here; the unwinder then goes on behind the call instruction, as if
 * the function had returned. Nothing is done, and nothing is read, while functions return.
 * Rejected: setjmp, which costs some 10 ns a call and sees no exception; and a file in C++, which
 * makes every C program load libstdc++.
 *
 * An exception is looked up before anything is unwound, so guard->leaving finds all frames of the
 * function as they were. pthread_exit() unwinds by force, without a look-up: the routine is then
 * asked when it is the guard's turn. Frames in C, which have nothing to clean up, are still there;
 * of those in C++ destructors may have run.
 *
 * glibc marks a thread that has called pthread_exit() or was cancelled as exiting, and no interface
 * takes the mark back. It runs on, may exit again, ends and is joined as ever, but another thread's
 * setuid() and its like pass it by: it would keep privileges that the program believes to have
 * given up. And it cannot be cancelled any more; and in libstdc++ its count of uncaught exceptions
 * stays too high if the exit passed a C++ handler that threw on. So the thread is called spent, and
 * a worker lets a new thread take its place as soon as its stack is empty (sched/worker.c). The
 * same is done where an exception came from a C++ run-time that cannot be found, for that count. */
#include "base/guard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unwind.h>

static SK_THREAD_LOCAL bool spent;

bool sk_guard_spent(void)
{
    return spent;
}

#if SK_GUARD_CATCHES

/* Named by the assembly alone. */
_Unwind_Reason_Code sk_guard_personality(int version, _Unwind_Action actions,
                                         _Unwind_Exception_Class language,
                                         struct _Unwind_Exception *exception,
                                         struct _Unwind_Context *context);

/* The guard lies on the stack, so many bytes above the stack pointer at the call, which an unwinder
 * tells the personality as the CFA. Rejected: a register that is kept over calls. _Unwind_GetGR()
 * aborts where the program has an unwinder of its own (-static-libgcc) beside the library's. The
 * hints behind the call allow to go on there where indirect jumps are checked (CET, BTI). 0x1b: a
 * 32-bit offset. */
#if defined(__x86_64__)
#define GUARD_OFFSET 0
__asm__(".pushsection .text\n"
        ".globl sk_guard_call\n"
        ".hidden sk_guard_call\n"
        ".hidden sk_guard_personality\n"
        ".type sk_guard_call, @function\n"
        ".balign 16\n"
        "sk_guard_call:\n"
        "    .cfi_startproc\n"
        "    .cfi_personality 0x1b, sk_guard_personality\n"
        "    endbr64\n"
        "    pushq %r9\n"
        "    .cfi_def_cfa_offset 16\n"
        "    callq *%r8\n"
        "    endbr64\n"
        "    popq %r9\n"
        "    .cfi_def_cfa_offset 8\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size sk_guard_call, . - sk_guard_call\n"
        ".popsection\n");
#else
#define GUARD_OFFSET 16
__asm__(".pushsection .text\n"
        ".globl sk_guard_call\n"
        ".hidden sk_guard_call\n"
        ".hidden sk_guard_personality\n"
        ".type sk_guard_call, %function\n"
        ".balign 16\n"
        "sk_guard_call:\n"
        "    .cfi_startproc\n"
        "    .cfi_personality 0x1b, sk_guard_personality\n"
        "    hint #34\n" /* bti c */
        "    stp x29, x30, [sp, #-32]!\n"
        "    .cfi_def_cfa_offset 32\n"
        "    .cfi_offset x29, -32\n"
        "    .cfi_offset x30, -24\n"
        "    mov x29, sp\n"
        "    str x5, [sp, #16]\n"
        "    blr x4\n"
        "    hint #36\n" /* bti j */
        "    ldp x29, x30, [sp], #32\n"
        "    .cfi_restore x29\n"
        "    .cfi_restore x30\n"
        "    .cfi_def_cfa_offset 0\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size sk_guard_call, . - sk_guard_call\n"
        ".popsection\n");
#endif

/* The unwinder's question, in its search for a handler or when it unwinds by force, and again when
 * it comes to the handler it found. */
__attribute__((used)) _Unwind_Reason_Code sk_guard_personality(int version, _Unwind_Action actions,
                                                               _Unwind_Exception_Class language,
                                                               struct _Unwind_Exception *exception,
                                                               struct _Unwind_Context *context)
{
    uintptr_t at_call = _Unwind_GetCFA(context);
    struct sk_guard *guard = *(struct sk_guard **)(at_call + GUARD_OFFSET);
    bool forced = (actions & _UA_FORCE_UNWIND) != 0, search = (actions & _UA_SEARCH_PHASE) != 0;
    (void)language;
    if (version != 1)
        return _URC_FATAL_PHASE1_ERROR;
    if (forced || search) {
        guard->end = forced ? SK_GUARD_EXITED : SK_GUARD_THREW;
        guard->exception = exception;
        if (guard->leaving != NULL)
            guard->leaving(guard);
    }
    return search ? _URC_HANDLER_FOUND : _URC_INSTALL_CONTEXT;
}

#else

/* All the calling conventions in use ignore arguments that a function does not take. */
int sk_guard_call(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, sk_guard_fn *fn,
                  struct sk_guard *guard)
{
    (void)guard;
    return ((int (*)(uintptr_t, uintptr_t, uintptr_t, uintptr_t))fn)(a, b, c, d);
}

#endif

/* ---- what was thrown ------------------------------------------------------------------------- */

/* Of the C++ run-time, where the program has one (Itanium C++ ABI, level II). */
struct type_info {
    const void *vtable;
    const char *name;             /* mangled; with a '*' before it where it is unique by address */
    const struct type_info *base; /* of a class with one base, at offset 0 and public */
};
/* NOLINTBEGIN(readability-identifier-naming): the ABI's names */
extern void *__cxa_begin_catch(void *exception) __attribute__((weak));
extern void __cxa_end_catch(void) __attribute__((weak));
extern const struct type_info *__cxa_current_exception_type(void) __attribute__((weak));
extern char *__cxa_demangle(const char *name, char *buffer, size_t *size, int *status)
    __attribute__((weak));
/* The vtable of the type_info of such a class; objects point behind its first two words. */
extern const void *const _ZTVN10__cxxabiv120__si_class_type_infoE[] __attribute__((weak));
/* NOLINTEND(readability-identifier-naming) */

static bool is_cpp(const struct _Unwind_Exception *exception)
{
    return (exception->exception_class >> 8 & 0xffffff) == 0x432b2b; /* "C++" */
}

/* Whether it is or derives from std::exception, all along single bases at offset 0. */
static bool is_std_exception(const struct type_info *type)
{
    while (strcmp(type->name, "St9exception") != 0) {
        if (_ZTVN10__cxxabiv120__si_class_type_infoE == NULL ||
            type->vtable != (const void *)(_ZTVN10__cxxabiv120__si_class_type_infoE + 2))
            return false;
        type = type->base;
    }
    return true;
}

/* what() of a std::exception: its third virtual function, after two destructors. */
static const char *what(const void *object)
{
    typedef const char *what_fn(const void *object);
    return (*(what_fn *const *const *)object)[2](object);
}

/* Writes "TYPE: what()", for an exception that is being caught. */
static void describe(const struct _Unwind_Exception *exception, char *text, size_t size)
{
    const struct type_info *type = __cxa_current_exception_type();
    if (type == NULL) {
        snprintf(text, size, "unknown");
        return;
    }
    const char *mangled = type->name[0] == '*' ? type->name + 1 : type->name;
    char *plain = __cxa_demangle != NULL ? __cxa_demangle(mangled, NULL, NULL, NULL) : NULL;
    /* The object lies behind the header; not so if this is a second throw of it (exception_ptr). */
    bool has_object = (exception->exception_class & 0xff) == 0;
    bool has_what = has_object && is_std_exception(type);
    snprintf(text, size, "%s%s%s", plain != NULL ? plain : mangled, has_what ? ": " : "",
             has_what ? what(exception + 1) : "");
    free(plain);
}

void sk_guard_words(struct sk_guard *guard, const char *who, char *words, size_t size)
{
    struct _Unwind_Exception *exception = guard->exception;
    char text[SK_GUARD_WORDS];
    if (guard->end == SK_GUARD_EXITED) {
        spent = true; /* and the exception is glibc's own */
        snprintf(words, size, "%s called pthread_exit(), or its thread was cancelled", who);
    } else if (!is_cpp(exception)) {
        snprintf(words, size, "%s was left by an exception that is not of C++", who);
        _Unwind_DeleteException(exception);
    } else if (__cxa_begin_catch == NULL || __cxa_end_catch == NULL ||
               __cxa_current_exception_type == NULL) {
        spent = true;
        snprintf(words, size, "%s threw a C++ exception", who);
        _Unwind_DeleteException(exception);
    } else {
        __cxa_begin_catch(exception);
        describe(exception, text, sizeof text);
        __cxa_end_catch();
        snprintf(words, size, "%s threw a C++ exception of type %s", who, text);
    }
}
