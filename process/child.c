/* One thread, one loop. Between two orders the worker spins for a moment, since a hot round trip
 * is a hundred times shorter than a wake-up, then sleeps on the wire's bell.
 *
 * The argument is copied off the wire, where the worker cannot write, as a task may use its copy as
 * it likes. The result is written right into the reply.
 *
 * The doorbell is rung only where the parent has said that it sleeps (struct sk_board). Both sides
 * store first and look then, sequentially consistent, so a reply is either seen by the parent's
 * last look or rung for. The socket may have been closed by a task, and its number have gone to a
 * file of the task's: it is looked at before each ring, and a worker without its doorbell ends
 * after the task, to be replaced. An eventfd would be faster, but a worker could drain it. */
#define _GNU_SOURCE
#include "process/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/futex.h"
#include "base/spin.h"
#include "base/thread.h"
#include "base/time.h"
#include "process/channel.h"
#include "process/crash.h"
#include "process/harden.h"
#include "process/limits.h"
#include "process/nested.h"

/* Longer than the parent needs to answer a reply; a machine full of workers gives way sooner. */
static const struct sk_spin_limits spin_limits = { 30000, 150000 };
/* How often an idle worker looks whether what a task has left behind has ended. */
static const int64_t reap_every_ns = 50000000;

static struct {
    const struct sk_child_setup *setup; /* NULL: this process is no worker */
    struct sk_channel channel;
    struct sk_wire_worker wire;
    int seat;             /* of the order that runs, or ran last */
    int named;            /* the seat in the process's name */
    unsigned fork_count;  /* of this process: a task may fork(), and both return */
    bool running;         /* a task, not between two */
    struct stat doorbell; /* what it is */
    bool deaf;
    _Alignas(max_align_t) unsigned char arg[SK_WIRE_ROOM];
} child = { .seat = -1 };

bool sk_child_inside(void)
{
    return child.setup != NULL;
}

int sk_child_seat(void)
{
    return child.running ? child.seat : -1;
}

bool sk_child_stopping(void)
{
    return child.running && sk_wire_stopping(&child.wire);
}

/* ---- the doorbell ---------------------------------------------------------------------------- */

/* Async-signal-safe. */
static void ring(void)
{
    struct stat is;
    int fd = child.setup->doorbell;
    if (fstat(fd, &is) != 0 || is.st_ino != child.doorbell.st_ino ||
        is.st_dev != child.doorbell.st_dev)
        child.deaf = true;
    else /* where it is full the parent has enough to read */
        send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void ring_if(enum sk_board_watch least)
{
    uint32_t watch = sk_load_sc(&child.setup->board->watch); /* B1: pairs with R1 in supervise.c */
    if (watch >= (uint32_t)least)
        ring();
}

static void ring_for_crash(void *ctx)
{
    (void)ctx;
    ring();
}

static void name_self(int seat)
{
    char name[64];
    child.named = seat;
    if (seat >= 0)
        snprintf(name, sizeof name, "%s-%d", child.setup->name, seat);
    else
        snprintf(name, sizeof name, "%s-spare", child.setup->name);
    sk_thread_name_self(name);
}

/* ---- orders ---------------------------------------------------------------------------------- */

static void *argument(const struct sk_wire_order *order)
{
    const unsigned char *from = order->data;
    if ((order->flags & SK_WIRE_ARG_ROOM) != 0)
        from = child.wire.down->rooms[child.wire.index % SK_WIRE_SLOTS];
    else if ((order->flags & SK_WIRE_ARG_TINY) != 0)
        from = order->tiny;
    else if ((order->flags & SK_WIRE_ARG_INLINE) == 0)
        return (void *)(uintptr_t)order->arg;
    return memcpy(child.arg, from, order->arg_size);
}

static void *cleared_result(const struct sk_wire_order *order, struct sk_wire_reply *reply,
                            unsigned char *room)
{
    if ((order->flags & SK_WIRE_RESULT_PLACE) != 0)
        return memset((void *)(uintptr_t)order->result, 0, order->place_size);
    if (order->result_size == 0)
        return NULL;
    return memset(order->result_size <= SK_WIRE_INLINE ? reply->data : room, 0, order->result_size);
}

/* What a task printed is not lost with a later task's crash. */
static void flush_output(void)
{
    if (__fpending(stdout) > 0)
        fflush(stdout);
}

static void run(const struct sk_wire_order *order)
{
    unsigned char *room;
    struct sk_wire_reply *reply = sk_wire_reply(&child.wire, &room);
    reply->begun_ns = sk_now_ns();
    if (!sk_wire_begin(&child.wire, reply->begun_ns)) {
        reply->end = SK_WIRE_SKIPPED;
    } else {
        ring_if(SK_BOARD_BEGUN);
        child.seat = order->seat;
        if (SK_UNLIKELY(child.named != child.seat))
            name_self(child.seat);
        child.running = true;
        void *result = cleared_result(order, reply, room);
        /* The words go into the room: a result that failed is nobody's. */
        reply->code = child.setup->call((uintptr_t)order->fn, argument(order), result,
                                        (struct sk_wire_failure *)(void *)room);
        child.running = false;
        if (sk_thread_fork_count() != child.fork_count)
            _exit(0); /* a child of the task's that has come back too */
        reply->end = reply->code == 0 ? SK_WIRE_RETURNED : SK_WIRE_FAILED;
        flush_output();
    }
    sk_wire_answer(&child.wire);
    ring_if(SK_BOARD_REPLIES);
}

/* Reaps what tasks have started and left behind, and has ended; whether something of it lives. */
static bool reap_left_behind(void)
{
    pid_t pid;
    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        ;
    return pid == 0;
}

static const struct sk_wire_order *next_order(void)
{
    const struct sk_wire_order *order;
    struct sk_spin spin = { 0, 0 };
    while ((order = sk_wire_look(&child.wire)) == NULL) {
        if (sk_spin_turn(&spin, spin_limits)) {
            bool looks_again = reap_left_behind();
            sk_wire_sleep(&child.wire, looks_again ? sk_now_ns() + reap_every_ns : SK_NO_DEADLINE);
            spin = (struct sk_spin){ 0, 0 };
        }
    }
    return order;
}

/* exit() in a task ends the worker, and nothing of the program's: buffers and functions that it had
 * for its own end are copies here. */
static void at_exit(int status, void *ctx)
{
    (void)ctx;
    fflush(stdout);
    _exit(status);
}

/* ---- boot ------------------------------------------------------------------------------------ */

void sk_child_prepare(void *ctx)
{
    const struct sk_child_setup *setup = ctx;
    setup->leave(setup->leave_ctx);
    mprotect(setup->board, (size_t)sysconf(_SC_PAGESIZE), PROT_READ);
    sk_heap_become_worker(setup->heap);
    sk_nested_share(setup->shares.threads);
    sk_crash_prepare();
}

/* Whatever can fail before the first task; words say what did. */
static int set_up(const struct sk_child_setup *setup, struct sk_wire_failure *words)
{
    const char *what = "the crash handlers";
    int error = sk_crash_watch(&child.channel.up->crash, ring_for_crash, NULL);
    if (error == 0 && setup->memory_limit != 0) {
        what = "memory_limit";
        error = sk_limits_set(setup->memory_limit);
    }
    if (error == 0 && setup->init != NULL) {
        int code = setup->init(setup->init_ctx, words);
        flush_output();
        if (code != 0)
            return code;
    }
    if (error == 0 && setup->harden != 0) {
        what = "harden";
        error = sk_harden(setup->harden);
    }
    if (error != 0)
        snprintf(words->message, sizeof words->message, "%s could not be set up: %s", what,
                 strerror(-error));
    return error;
}

void sk_child_work(void *ctx, const struct sk_zygote_order *order, int channel_fd)
{
    child.setup = ctx;
    if (sk_channel_enter(&child.channel, channel_fd) != 0 ||
        fstat(child.setup->doorbell, &child.doorbell) != 0)
        _exit(SK_CHILD_NOT_MAPPED);
    child.fork_count = sk_thread_fork_count();
    child.wire = (struct sk_wire_worker){ child.channel.down, &child.channel.up->wire, 0 };
    on_exit(at_exit, NULL);
    name_self(order->seat);
    sk_shares_take(&child.setup->shares, order->seat, 0);

    struct sk_wire_up *up = &child.channel.up->wire;
    up->replies[0].code = set_up(child.setup, (struct sk_wire_failure *)(void *)up->rooms[0]);
    /* Pairs with the parent's look at the phase. */
    sk_store_sc(&up->phase, up->replies[0].code == 0 ? SK_WIRE_READY : SK_WIRE_INIT_FAILED);
    ring();
    while (!child.deaf) {
        const struct sk_wire_order *next = next_order();
        if (next->kind == SK_WIRE_QUIT)
            break;
        run(next);
    }
    fflush(stdout);
    _exit(child.deaf ? SK_CHILD_DEAF : 0);
}
