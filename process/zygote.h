/* Where worker processes come from: this process -> keeper -> zygote -> workers. Both in between
 * have one thread, and the keeper outlives a zygote that is killed. None of them is seen by SIGCHLD
 * or waitpid() of this process; all of them end with it, within a second, and so does whatever
 * their tasks have started. Not thread-safe: the caller has a lock.
 *
 * The small print: where other threads leave no other way (zygote.c), the keeper gets the parent
 * that orphans get, usually init, and is this process's visible child if this is init or a
 * subreaper; and an exec() of this process is not noticed while a child lives that it has
 * forked. */
#ifndef SK_PROCESS_ZYGOTE_H
#define SK_PROCESS_ZYGOTE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sk_zygote; /* this process's end */

/* What a worker is told at its birth. */
struct sk_zygote_order {
    uint32_t serial; /* the caller's name for it: in each event about it */
    int32_t seat;    /* the caller's */
};

struct sk_zygote_config {
    /* In the zygote, once, when it begins: what all workers are to inherit. */
    void (*prepare)(void *ctx);
    /* In each new worker; does not return. channel_fd is its own copy of the one given to spawn.
     * Signals: caught ones and SIGCHLD are back to their defaults, SIGINT is ignored, others too
     * that this process ignored; none is blocked. */
    void (*work)(void *ctx, const struct sk_zygote_order *order, int channel_fd);
    void *ctx;
};

/* Starts keeper and zygote and waits until the zygote is ready. 0; -EAGAIN (no process could be
 * had), -ENOMEM, -EMFILE, -ENFILE; -ECHILD: prepare() killed it; -EBUSY: prepare() hung each time,
 * on locks that other threads held. On failure nothing is left. Blocks for some ms, 2 s at
 * worst. */
int sk_zygote_start(struct sk_zygote **out, const struct sk_zygote_config *config);

/* Asks for a worker; its SPAWNED or NOT_SPAWNED event comes later. channel_fd is passed to it and
 * stays the caller's. 0 or a negative errno value: -EPIPE once the keeper is lost; -EAGAIN if some
 * hundred events are unread, for which the zygote waits: read them first. Never blocks for longer
 * than the zygote needs to read. */
int sk_zygote_spawn(struct sk_zygote *zygote, const struct sk_zygote_order *order, int channel_fd);

enum sk_zygote_event_kind {
    SK_ZYGOTE_SPAWNED,     /* serial, pid, pidfd: from here on the caller's to close */
    SK_ZYGOTE_NOT_SPAWNED, /* serial, error: -EAGAIN, -ENOMEM; -EMFILE: the zygote has no number
                            * free, or this process has none for the pidfd; then DIED may come */
    SK_ZYGOTE_DIED,        /* serial, pid, code, status, peak_bytes */
    SK_ZYGOTE_REPLACED,    /* the zygote was lost, and all workers with it, whether DIED has come or
                            * not; nothing comes of orders given before this was read. A new zygote
                            * is at work. */
    SK_ZYGOTE_LOST         /* the keeper was lost, and everything with it. Nothing comes after. */
};

struct sk_zygote_event {
    enum sk_zygote_event_kind kind;
    uint32_t serial;
    pid_t pid;
    int pidfd;
    int error;           /* negative errno value */
    int code, status;    /* as of waitid(): CLD_EXITED, CLD_KILLED, CLD_DUMPED */
    uint64_t peak_bytes; /* the largest resident set it ever had */
};

/* Readable whenever there is an event. */
int sk_zygote_fd(const struct sk_zygote *zygote);
/* The next event; false if there is none now. */
bool sk_zygote_next(struct sk_zygote *zygote, struct sk_zygote_event *event);

/* Ends all of its processes by SIGKILL, reaps what this process has to reap, and frees. In a
 * process forked off the one that started it, it only closes and frees. NULL is fine. */
void sk_zygote_close(struct sk_zygote *zygote);

#endif
