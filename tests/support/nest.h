/* A zygote whose workers do what a test wants: the seat in an order says which of the deeds below.
 * All of them have one end of a socket, by which they report. */
#ifndef SKT_NEST_H
#define SKT_NEST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "process/zygote.h"

enum skt_deed {
    SKT_EXIT_7,    /* says nothing */
    SKT_REPORT,    /* reports, and exits with 0 */
    SKT_SEGV,      /* reports, and crashes */
    SKT_KILL_SELF, /* reports, and sends itself a SIGKILL */
    SKT_ECHO,      /* reports; for each message it reports again; at the end it exits with 0 */
    SKT_LEAVE,     /* starts a stubborn process, reports its pid; aborts at the first message */
    SKT_ADOPT,     /* exits with 0 if its child's orphan becomes its own child */
    SKT_SIGNALS,   /* exits with 0 if signals are as promised; the test catches SIGUSR1 */
    SKT_FLUSH,     /* leaves by exit(0) */
    SKT_ARGUE      /* calls skt_argument, and exits with what that gives */
};
extern int (*skt_argument)(int channel_fd);

struct skt_report {
    uint32_t serial;
    pid_t worker, zygote, keeper;
    pid_t left;     /* of SKT_LEAVE */
    int64_t now_ns; /* as it was written */
};

struct skt_nest {
    struct sk_zygote *zygote;
    int near, far; /* the socket; far is the workers' */
};

extern const struct sk_zygote_config skt_nest_config;
void skt_nest_open(struct skt_nest *nest);
void skt_nest_close(struct skt_nest *nest);
/* A new socket; the old one is not closed. */
void skt_nest_connect(struct skt_nest *nest);
void skt_nest_ask(struct skt_nest *nest, uint32_t serial, enum skt_deed deed);
/* A message to a worker. */
void skt_nest_poke(struct skt_nest *nest);

/* The next one, waited for. */
struct sk_zygote_event skt_nest_event(struct skt_nest *nest);
struct skt_report skt_nest_report(struct skt_nest *nest);
/* Closes the far end, and waits until nobody has it. */
void skt_nest_await_silence(struct skt_nest *nest);
/* The next event, which must be SPAWNED of this serial: the pidfd. */
int skt_nest_spawned(struct skt_nest *nest, uint32_t serial);
/* And DIED. */
struct sk_zygote_event skt_nest_died(struct skt_nest *nest, uint32_t serial);

int skt_pidfd(pid_t pid);
/* Waits until it is dead, and closes it. The seconds that it took; the test fails after many. */
double skt_await_death(int pidfd);
/* Whether it is dead; closes it too. */
bool skt_is_dead(int pidfd);
int skt_nr_fds(void);
/* Whether this process has a child, of whatever kind. */
bool skt_has_child(void);

#endif
