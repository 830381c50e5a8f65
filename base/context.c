#define _GNU_SOURCE
#include "base/context.h"

#include <ucontext.h>

#if defined(__x86_64__)

uintptr_t sk_context_ip(const void *context)
{
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

uintptr_t sk_context_sp(const void *context)
{
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
}

/* A call leaves the return address on top of the stack. */
void sk_context_return(void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const greg_t *top = (const greg_t *)(uintptr_t)registers[REG_RSP];
    registers[REG_RIP] = *top;
    registers[REG_RSP] += (greg_t)sizeof *top;
}

#elif defined(__aarch64__)

uintptr_t sk_context_ip(const void *context)
{
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
}

uintptr_t sk_context_sp(const void *context)
{
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.sp;
}

/* A call leaves the return address in the link register, x30. */
void sk_context_return(void *context)
{
    mcontext_t *registers = &((ucontext_t *)context)->uc_mcontext;
    registers->pc = registers->regs[30];
}

#else

uintptr_t sk_context_ip(const void *context)
{
    (void)context;
    return 0;
}

uintptr_t sk_context_sp(const void *context)
{
    (void)context;
    return 0;
}

void sk_context_return(void *context)
{
    (void)context;
}

#endif
