/* Threads of the model: stacks that are switched by hand, so that it decides who runs. */
#ifndef SK_TESTS_MODEL_FIBER_H
#define SK_TESTS_MODEL_FIBER_H

#if !defined(__x86_64__)
#include <ucontext.h>
#endif

struct model_fiber {
    void *stack; /* lowest address; NULL: the program's own stack */
#if defined(__x86_64__)
    void *sp; /* while it does not run */
#else
    ucontext_t context;
#endif
};

/* Makes the fiber ready to run entry() from the start, which must not return. Takes a stack at its
 * first call, and keeps it. */
void model_fiber_prepare(struct model_fiber *fiber, void (*entry)(void));
/* Goes on with `to`; returns when somebody goes on with `from`. */
void model_fiber_switch(struct model_fiber *from, struct model_fiber *to);

#endif
