/* The life of the keeper: the process between this one and the zygote, which replaces the zygote
 * and ends everything when its owner is gone. */
#ifndef SK_PROCESS_KEEPER_H
#define SK_PROCESS_KEEPER_H

#include "process/zygote.h"

/* In a fresh copy of the owner, made with all signals blocked, whose other threads may have held
 * any lock. owner_pidfd is the owner, sock this side's end; both are given away. */
_Noreturn void sk_keeper_run(const struct sk_zygote_config *config, int sock, int owner_pidfd);

/* In the keeper's child: keeps to what the keeper says until it is killed. */
struct sk_nursery {
    const struct sk_zygote_config *config;
    pid_t keeper;
    uint32_t epoch; /* the number of zygotes before this one */
    int sock;       /* the owner */
    int bell;       /* an eventfd: risen when the zygote is at work, and after deaths */
    int signal_fd;  /* SIGCHLD of whoever reads it */
};
_Noreturn void sk_nursery_run(const struct sk_nursery *nursery);

#endif
