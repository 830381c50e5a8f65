/* On x86-64 a switch saves the six registers that a function must preserve and changes stacks:
 * some 2 ns, where swapcontext() makes two system calls. The stacks end in a page without access,
 * so that an overflow is a fault and not a riddle. */
#define _GNU_SOURCE
#include "tests/model/fiber.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define STACK_SIZE ((size_t)256 << 10)
#define GUARD_SIZE ((size_t)4 << 10)

static void take_stack(struct model_fiber *fiber)
{
    if (fiber->stack != NULL)
        return;
    fiber->stack =
        mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (fiber->stack == MAP_FAILED || mprotect(fiber->stack, GUARD_SIZE, PROT_NONE) != 0) {
        perror("model: no stack");
        exit(2);
    }
}

#if defined(__x86_64__)

/* void model_fiber_jump(void **from, void *to): the registers go on the old stack, whose pointer
 * goes to *from, and come from the new one. */
void model_fiber_jump(void **from, void *to);
__asm__(".text\n"
        ".globl model_fiber_jump\n"
        ".type model_fiber_jump, @function\n"
        "model_fiber_jump:\n"
        "    pushq %rbp\n"
        "    pushq %rbx\n"
        "    pushq %r12\n"
        "    pushq %r13\n"
        "    pushq %r14\n"
        "    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n"
        "    popq %r14\n"
        "    popq %r13\n"
        "    popq %r12\n"
        "    popq %rbx\n"
        "    popq %rbp\n"
        "    ret\n"
        ".size model_fiber_jump, . - model_fiber_jump\n");

void model_fiber_prepare(struct model_fiber *fiber, void (*entry)(void))
{
    take_stack(fiber);
    void **sp = (void **)(void *)((char *)fiber->stack + STACK_SIZE);
    *--sp = NULL; /* where entry would return to; it also aligns the stack for entry */
    memcpy(--sp, &entry, sizeof entry);
    for (int i = 0; i < 6; i++)
        *--sp = NULL;
    fiber->sp = sp;
}

void model_fiber_switch(struct model_fiber *from, struct model_fiber *to)
{
    model_fiber_jump(&from->sp, to->sp);
}

#else

void model_fiber_prepare(struct model_fiber *fiber, void (*entry)(void))
{
    take_stack(fiber);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = (char *)fiber->stack + GUARD_SIZE;
    fiber->context.uc_stack.ss_size = STACK_SIZE - GUARD_SIZE;
    fiber->context.uc_link = NULL;
    makecontext(&fiber->context, entry, 0);
}

void model_fiber_switch(struct model_fiber *from, struct model_fiber *to)
{
    swapcontext(&from->context, &to->context);
}

#endif
