#define _GNU_SOURCE
#include "base/thread.h"

#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "base/atomic.h"
#include "base/compiler.h"

static SK_ATOMIC(unsigned) fork_count;
static SK_THREAD_LOCAL uintptr_t stack_end; /* lowest usable address; 0: not asked, 1: not known */

int sk_thread_start(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* the new thread inherits it */
    int error = pthread_create(thread, NULL, fn, arg);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -error;
}

void sk_thread_name_self(const char *name)
{
    char cut[16];
    strncpy(cut, name, sizeof cut - 1);
    cut[sizeof cut - 1] = '\0';
    pthread_setname_np(pthread_self(), cut);
}

static uintptr_t find_stack_end(void)
{
    pthread_attr_t attr;
    void *base;
    size_t size, guard;
    if (pthread_getattr_np(pthread_self(), &attr) != 0)
        return 1;
    int error = pthread_attr_getstack(&attr, &base, &size);
    error |= pthread_attr_getguardsize(&attr, &guard);
    pthread_attr_destroy(&attr);
    return error ? 1 : (uintptr_t)base + guard;
}

size_t sk_thread_stack_left(void)
{
    if (stack_end == 0)
        stack_end = find_stack_end();
    if (stack_end == 1)
        return SIZE_MAX;
    uintptr_t top = (uintptr_t)__builtin_frame_address(0);
    return top > stack_end ? top - stack_end : 0;
}

static void in_child(void)
{
    sk_add_rlx(&fork_count, 1u); /* the child has one thread */
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, in_child);
}

unsigned sk_thread_fork_count(void)
{
    return sk_load_rlx(&fork_count);
}
