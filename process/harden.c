#define _GNU_SOURCE
/* Rights that workers give up.
 *
 * The problem. A task that parses what strangers have sent may be made to do what they like. What
 * they like is to start a program, to call home, and to get at the processes beside it.
 *
 * The idea. A seccomp filter: a small program that the kernel runs at each system call, here to
 * refuse some with EPERM. Everything else is allowed: which calls a task needs nobody can list, and
 * what is refused must be explicable. Calls by other numberings (32 bits, x32) are refused, or all
 * of the filter could be passed by; so is io_uring, which does many of these things unseen, and
 * clone() into new namespaces. clone3() hides its flags behind a pointer that a filter cannot read,
 * so it does not exist (ENOSYS), and the C library makes threads by clone() as before. A worker can
 * send signals to itself alone, and read and write no memory but its own; a process that a task has
 * forked has another number, and can do that to nobody.
 *
 * On kernels before 5.16 a filter also switches some guesses of the processor off, which costs what
 * tasks are run for: this one forgoes that, since what a worker can read it may read.
 *
 * Rejected: libseccomp, one more library for each program that links this one, which takes 110 us
 * to write such a filter, for each worker, before the kernel takes its 150 us to load it; here that
 * is all. A list of what is allowed: see above. Landlock, which the oldest kernels here do not
 * have. */
#include "process/harden.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "skua/process.h"

/* Of the numbering of system calls; 0: of a processor that is not known here. */
#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
#else
#define ARCHITECTURE 0
#endif

static const uint16_t refused[] = {
    /* programs */
    SYS_execve, SYS_execveat,
    /* sockets; those that there are already, and socketpair(), go on */
    SYS_socket, SYS_connect, SYS_bind, SYS_io_uring_setup, SYS_io_uring_enter,
    SYS_io_uring_register,
    /* other processes */
    SYS_ptrace, SYS_process_madvise, SYS_pidfd_getfd, SYS_pidfd_send_signal, SYS_kcmp,
    SYS_perf_event_open, SYS_userfaultfd,
    /* what is mounted and seen */
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_fsopen,
    SYS_fspick, SYS_fsmount, SYS_move_mount, SYS_open_tree, SYS_mount_setattr,
    SYS_open_by_handle_at,
    /* the system */
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_kexec_file_load,
    SYS_bpf, SYS_keyctl, SYS_add_key, SYS_request_key, SYS_reboot, SYS_swapon, SYS_swapoff
};

/* Allowed where their first argument is the process's own number: to itself it may do that. */
static const uint16_t reflexive[] = { SYS_kill,
                                      SYS_tkill,
                                      SYS_tgkill,
                                      SYS_rt_sigqueueinfo,
                                      SYS_rt_tgsigqueueinfo,
                                      SYS_process_vm_readv,
                                      SYS_process_vm_writev };

enum {
    X32_BIT = 0x40000000, /* in a call's number, on x86-64; no call of any other has it */
    NEW_SPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                 CLONE_NEWPID | CLONE_NEWNET,
    NR_REFUSED = sizeof refused / sizeof *refused,
    NR_REFLEXIVE = sizeof reflexive / sizeof *reflexive,
    NR_INSTRUCTIONS = 2 * NR_REFUSED + 5 * NR_REFLEXIVE + 16
};

/* The filter while it is written. Each test returns, or falls through to the next: the jumps are
 * all of one instruction. */
struct filter {
    unsigned short size;
    struct sock_filter code[NR_INSTRUCTIONS];
};

static void emit(struct filter *filter, uint16_t code, uint32_t value, uint8_t yes, uint8_t no)
{
    sk_assert(filter->size < NR_INSTRUCTIONS);
    filter->code[filter->size++] = (struct sock_filter){ code, yes, no, value };
}

static void load(struct filter *filter, size_t offset)
{
    emit(filter, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void finish(struct filter *filter, uint32_t action)
{
    emit(filter, BPF_RET | BPF_K, action, 0, 0);
}

/* Goes on with the next instruction if what was loaded is the value; else passes it over. */
static void if_equal(struct filter *filter, uint32_t value)
{
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
}

static void if_not_equal(struct filter *filter, uint32_t value)
{
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
}

static void if_has_bit(struct filter *filter, uint32_t bits)
{
    emit(filter, BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
}

static void write_filter(struct filter *filter)
{
    const uint32_t refuse = SECCOMP_RET_ERRNO | EPERM;
    const size_t number = offsetof(struct seccomp_data, nr);
    const size_t argument = offsetof(struct seccomp_data, args); /* its lower half: little-endian */
    filter->size = 0;
    load(filter, offsetof(struct seccomp_data, arch));
    if_not_equal(filter, ARCHITECTURE);
    finish(filter, refuse);
    load(filter, number);
    if_has_bit(filter, X32_BIT);
    finish(filter, refuse);
    for (int i = 0; i < NR_REFUSED; i++) {
        if_equal(filter, refused[i]);
        finish(filter, refuse);
    }
    if_equal(filter, SYS_clone3);
    finish(filter, SECCOMP_RET_ERRNO | ENOSYS);

    /* The last ones look at the first argument, and then have to decide. */
    emit(filter, BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4);
    load(filter, argument);
    if_has_bit(filter, NEW_SPACES);
    finish(filter, refuse);
    finish(filter, SECCOMP_RET_ALLOW);
    for (int i = 0; i < NR_REFLEXIVE; i++) {
        emit(filter, BPF_JMP | BPF_JEQ | BPF_K, reflexive[i], 0, 4);
        load(filter, argument);
        if_not_equal(filter, (uint32_t)getpid());
        finish(filter, refuse);
        finish(filter, SECCOMP_RET_ALLOW);
    }
    finish(filter, SECCOMP_RET_ALLOW);
}

static int install_filter(void)
{
    struct filter filter;
    if (ARCHITECTURE == 0)
        return -ENOSYS;
    write_filter(&filter);
    const struct sock_fprog program = { filter.size, filter.code };
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) ==
        0)
        return 0;
    return errno == EINVAL ? -ENOSYS : -errno;
}

int sk_harden(int flags)
{
    if (flags == 0)
        return 0;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -ENOSYS;
    return (flags & SKUA_SECCOMP) != 0 ? install_filter() : 0;
}

int sk_harden_check(int flags)
{
    const uint32_t action = SECCOMP_RET_ERRNO;
    if (flags != 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) < 0)
        return -ENOSYS;
    if ((flags & SKUA_SECCOMP) == 0)
        return 0;
    const bool known = ARCHITECTURE != 0;
    return known && syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0 ? 0 : -ENOSYS;
}
