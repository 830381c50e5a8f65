/* What goes over the wires, and who gets what.
 *
 * **How much is sent ahead.** A worker that had to wait for the parent after each task would stand
 * still for a round trip, or for a wake-up. So orders wait on its wire behind the one that runs:
 * many where tasks are short, one where they are long. Nothing is lost by that, since what has not
 * begun can be taken back: by skua_cancel(), for a more urgent task, and for a worker that has run
 * dry while another has something waiting.
 *
 * **Whom to send to.** The worker that was sent to last, if it is idle: it still spins, and is hot.
 * Else whoever has least.
 *
 * A slot whose parcel was taken back stays in use until the worker has passed it by. */
#include "process/member.h"

#include <string.h>

#include "base/assert.h"
#include "base/mem.h"
#include "base/time.h"
#include "process/heap.h"

enum {
    MOST = SK_WIRE_SLOTS - 1, /* orders on a wire, so that there is a slot to say quit */
    SHORT_NS = 5000,
    MIDDLE_NS = 50000,
    WORTH_MOVING_NS = 20000 /* it takes that long until another worker has begun it */
};
static const uint32_t most_sent = UINT32_C(1) << 31; /* orders to one process: indices never wrap */

static const size_t align = _Alignof(max_align_t);

static struct sk_parcel **slot(struct sk_member *member, uint32_t index)
{
    return &member->parcels[index % SK_WIRE_SLOTS];
}

/* Parcels that a worker may have, the one that runs included. */
static unsigned depth(const struct sk_member *member)
{
    if (member->task_ns == 0 || member->task_ns >= MIDDLE_NS)
        return 2;
    return member->task_ns >= SHORT_NS ? 8 : MOST;
}

static bool takes_orders(const struct sk_member *member)
{
    return member != NULL && member->phase == SK_MEMBER_READY && sk_wire_load(&member->wire) < MOST;
}

/* ---- sending --------------------------------------------------------------------------------- */

static struct sk_member *choose(const struct sk_crew *crew)
{
    struct sk_member *best = NULL;
    if (takes_orders(crew->hot) && crew->hot->seat >= 0 && crew->hot->nr_parcels == 0)
        return crew->hot;
    for (int i = 0; i < crew->setup.shares.nr_workers; i++) {
        struct sk_member *member = crew->seats[i];
        if (takes_orders(member) && member->nr_parcels < depth(member) &&
            (best == NULL || member->nr_parcels < best->nr_parcels))
            best = member;
    }
    return best;
}

static bool fits_room(size_t size)
{
    return size <= SK_WIRE_ROOM;
}

static void write_argument(struct sk_wire *wire, struct sk_wire_order *order,
                           const struct sk_parcel *parcel)
{
    order->arg = (uintptr_t)parcel->arg;
    order->arg_size = 0;
    if (parcel->arg_size == 0)
        return;
    if (!fits_room(parcel->arg_size)) {
        order->arg = (uintptr_t)parcel->block;
        if (parcel->tries > 0) /* the last try may have written to it */
            memcpy(parcel->block, parcel->arg, parcel->arg_size);
        return;
    }
    order->arg_size = (uint32_t)parcel->arg_size;
    unsigned char *to = order->data;
    if (parcel->arg_size <= SK_WIRE_TINY && (order->flags & SK_WIRE_RESULT_PLACE) == 0) {
        order->flags |= SK_WIRE_ARG_TINY;
        to = order->tiny;
    } else if (parcel->arg_size <= SK_WIRE_INLINE) {
        order->flags |= SK_WIRE_ARG_INLINE;
    } else {
        order->flags |= SK_WIRE_ARG_ROOM;
        to = wire->down->rooms[wire->sent % SK_WIRE_SLOTS];
    }
    memcpy(to, parcel->arg, parcel->arg_size);
}

/* Where a result that fits no room lies in the block. */
static char *block_result(const struct sk_parcel *parcel)
{
    size_t before = fits_room(parcel->arg_size) ? 0 : parcel->arg_size;
    return (char *)parcel->block + (before + align - 1) / align * align;
}

static void write_result_place(struct sk_wire_order *order, const struct sk_parcel *parcel)
{
    order->result_size = 0;
    if (!parcel->placed && fits_room(parcel->result_size)) {
        order->result_size = (uint32_t)parcel->result_size;
        return;
    }
    order->flags |= SK_WIRE_RESULT_PLACE;
    order->result = (uintptr_t)(parcel->placed ? parcel->result : block_result(parcel));
    order->place_size = parcel->result_size;
}

static void send(struct sk_crew *crew, struct sk_member *member, struct sk_parcel *parcel)
{
    struct sk_wire *wire = &member->wire;
    struct sk_wire_order *order = sk_wire_next(wire);
    order->kind = SK_WIRE_RUN;
    order->flags = 0;
    order->seat = member->seat;
    order->fn = parcel->fn;
    write_result_place(order, parcel);
    write_argument(wire, order, parcel);
    if (member->nr_parcels == 0) { /* a look at the clock is a good part of a hot round trip */
        member->sent_ns = parcel->time_limit > 0 ? sk_now_ns() : 0;
        member->head_ns = 0;
    }
    parcel->member = member;
    parcel->index = wire->sent;
    parcel->tries++;
    *slot(member, parcel->index) = parcel;
    member->nr_parcels++;
    member->nr_taken++;
    crew->nr_on_wires++;
    crew->nr_in_lane[parcel->lane]++;
    crew->hot = member;
    if (parcel->stopped) /* it is tried again */
        sk_wire_stop(wire, parcel->index);
    if (sk_wire_send(wire))
        sk_wire_ring(wire);
    sk_supervise_kick_locked(crew);
    uint64_t most = crew->config.tasks_per_worker;
    if ((most != 0 && member->nr_taken >= most) || member->wire.sent >= most_sent)
        sk_member_retire_locked(crew, member);
}

void sk_traffic_quit_locked(struct sk_crew *crew, struct sk_member *member)
{
    (void)crew;
    struct sk_wire_order *order = sk_wire_next(&member->wire);
    order->kind = SK_WIRE_QUIT;
    if (sk_wire_send(&member->wire))
        sk_wire_ring(&member->wire);
}

void sk_traffic_take_off_locked(struct sk_crew *crew, struct sk_parcel *parcel)
{
    struct sk_member *member = parcel->member;
    *slot(member, parcel->index) = NULL;
    member->nr_parcels--;
    crew->nr_on_wires--;
    crew->nr_in_lane[parcel->lane]--;
    parcel->member = NULL;
    if (member->nr_parcels == 0)
        sk_member_idle_locked(crew, member);
}

bool sk_traffic_withdraw_locked(struct sk_crew *crew, struct sk_parcel *parcel)
{
    if (parcel->begun || !sk_wire_revoke(&parcel->member->wire, parcel->index))
        return false;
    sk_traffic_take_off_locked(crew, parcel);
    return true;
}

/* Back into its lane, before all others, as if it had not been sent. */
static void requeue(struct sk_crew *crew, struct sk_parcel *parcel)
{
    sk_traffic_take_off_locked(crew, parcel);
    parcel->tries--;
    sk_crew_queue_locked(crew, parcel, true);
}

/* The newest parcel of the member that has not begun, taken off its wire; or NULL. */
static struct sk_parcel *recall_newest(struct sk_crew *crew, struct sk_member *member)
{
    for (uint32_t index = member->wire.sent; index != member->wire.received; index--) {
        struct sk_parcel *parcel = *slot(member, index - 1);
        if (parcel != NULL && sk_traffic_withdraw_locked(crew, parcel)) {
            parcel->tries--;
            return parcel;
        }
    }
    return NULL;
}

/* An idle worker, and the busiest that has something waiting behind what it runs. */
static bool find_uneven(const struct sk_crew *crew, struct sk_member **idle,
                        struct sk_member **busy)
{
    *idle = *busy = NULL;
    for (int i = 0; i < crew->setup.shares.nr_workers; i++) {
        struct sk_member *member = crew->seats[i];
        if (takes_orders(member) && member->nr_parcels == 0)
            *idle = member;
        else if (member != NULL && member->nr_parcels >= 2 &&
                 (*busy == NULL || member->nr_parcels > (*busy)->nr_parcels))
            *busy = member;
    }
    return *idle != NULL && *busy != NULL;
}

/* When it is worth while to take something from the member: its tasks take their time, or the one
 * that it runs has by then. */
static int64_t worth_moving_ns(struct sk_member *member, int64_t now_ns)
{
    if (member->task_ns >= WORTH_MOVING_NS)
        return 0;
    if (member->sent_ns == 0)
        member->sent_ns = now_ns;
    return member->sent_ns + WORTH_MOVING_NS;
}

int64_t sk_traffic_even_out_locked(struct sk_crew *crew)
{
    struct sk_member *idle, *busy;
    while (crew->nr_on_wires >= 2 && find_uneven(crew, &idle, &busy)) {
        int64_t now_ns = sk_now_ns(), when_ns = worth_moving_ns(busy, now_ns);
        if (when_ns > now_ns)
            return when_ns;
        struct sk_parcel *parcel = recall_newest(crew, busy);
        if (parcel == NULL)
            return now_ns + MIDDLE_NS; /* it is about to begin them */
        send(crew, idle, parcel);
    }
    return SK_NO_DEADLINE;
}

void sk_traffic_send_locked(struct sk_crew *crew)
{
    struct sk_member *member;
    for (int lane = 0; lane < SK_CREW_LANES; lane++) {
        while (crew->lanes[lane].first != NULL) {
            if ((member = choose(crew)) == NULL)
                return;
            struct sk_parcel *parcel = crew->lanes[lane].first;
            sk_crew_unqueue_locked(crew, parcel);
            send(crew, member, parcel);
        }
    }
    sk_traffic_even_out_locked(crew);
}

void sk_traffic_nudge_locked(struct sk_crew *crew)
{
    for (struct sk_member *m = crew->members; m != NULL; m = m->next) {
        const struct sk_parcel *oldest = sk_traffic_oldest_locked(crew, m);
        if (oldest != NULL && !oldest->begun)
            sk_wire_ring(&m->wire);
    }
}

void sk_traffic_make_way_locked(struct sk_crew *crew, enum sk_lane lane)
{
    size_t less_urgent = 0;
    for (int other = (int)lane + 1; other < SK_CREW_LANES; other++)
        less_urgent += crew->nr_in_lane[other];
    for (struct sk_member *m = crew->members; m != NULL && less_urgent > 0; m = m->next) {
        for (uint32_t index = m->wire.sent; index != m->wire.received; index--) {
            struct sk_parcel *parcel = *slot(m, index - 1);
            if (parcel != NULL && parcel->lane > lane && !parcel->begun &&
                sk_wire_revoke(&m->wire, index - 1))
                requeue(crew, parcel);
        }
    }
}

void sk_traffic_recall_locked(struct sk_crew *crew, struct sk_member *member, bool gone)
{
    for (uint32_t index = member->wire.sent; index != member->wire.received; index--) {
        struct sk_parcel *parcel = *slot(member, index - 1);
        if (parcel != NULL &&
            (gone || (!parcel->begun && sk_wire_revoke(&member->wire, index - 1))))
            requeue(crew, parcel);
    }
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void see_begun(struct sk_crew *crew, struct sk_member *member, struct sk_parcel *parcel,
                      int64_t when_ns, int64_t now_ns)
{
    if (parcel->begun)
        return;
    bool sound = when_ns >= member->sent_ns && when_ns <= now_ns;
    parcel->begun = true;
    parcel->begun_ns = sound ? when_ns : now_ns;
    parcel->worker = member->seat;
    if (parcel->announced)
        return;
    parcel->announced = true;
    crew->nr_begun++;
    parcel->class->begin(parcel);
}

struct sk_parcel *sk_traffic_oldest_locked(struct sk_crew *crew, struct sk_member *member)
{
    for (uint32_t index = member->wire.received; index != member->wire.sent; index++) {
        struct sk_parcel *parcel = *slot(member, index);
        int64_t when_ns;
        if (parcel == NULL)
            continue;
        if (sk_wire_has_begun(&member->wire, index, &when_ns))
            see_begun(crew, member, parcel, when_ns, sk_now_ns());
        return parcel;
    }
    return NULL;
}

static void copy_words(struct sk_parcel *parcel, const unsigned char *room)
{
    parcel->words = sk_alloc(sizeof *parcel->words);
    if (parcel->words == NULL)
        return;
    memcpy(parcel->words, room, sizeof *parcel->words);
    parcel->words->message[SK_WIRE_WORDS - 1] = '\0'; /* whatever its writer did */
    parcel->words->where[SK_WIRE_WHERE - 1] = '\0';
}

static void finish(struct sk_crew *crew, struct sk_parcel *parcel,
                   const struct sk_wire_receipt *receipt)
{
    bool failed = receipt->end == SK_WIRE_FAILED;
    if (failed) {
        parcel->code = receipt->code != 0 ? receipt->code : 1;
        copy_words(parcel, receipt->room);
    } else if (fits_room(parcel->result_size) && parcel->result_size > 0 && !parcel->placed) {
        memcpy(parcel->result,
               parcel->result_size <= SK_WIRE_INLINE ? receipt->data : receipt->room,
               parcel->result_size);
    }
    sk_crew_end_locked(crew, parcel, failed ? SK_PARCEL_FAILED : SK_PARCEL_RETURNED);
}

void sk_traffic_fetch(struct sk_parcel *parcel)
{
    if (parcel->end == SK_PARCEL_RETURNED && !parcel->placed && !fits_room(parcel->result_size))
        memcpy(parcel->result, block_result(parcel), parcel->result_size);
}

/* Learns from n replies how long a task takes. What can be seen is how long it took at most: the
 * worker may have waited in between. So it believes what is less at once, and what is more by and
 * by. */
static void learn(struct sk_member *member, unsigned n, int64_t first_ns, int64_t last_ns,
                  int64_t now_ns)
{
    int64_t ns = n > 1 ? (last_ns - first_ns) / (n - 1) : now_ns - first_ns;
    if (ns < 1 || ns > 1000000000)
        ns = ns < 1 ? 1 : 1000000000;
    if (member->task_ns == 0 || ns < member->task_ns)
        member->task_ns = ns;
    else
        member->task_ns += (ns - member->task_ns) / 8;
}

bool sk_traffic_receive_from_locked(struct sk_crew *crew, struct sk_member *member)
{
    struct sk_wire_receipt receipt;
    int64_t first_ns = 0, last_ns = 0;
    unsigned n = 0;
    int got;
    if (!sk_wire_has_reply(&member->wire))
        return false;
    const int64_t now_ns = sk_now_ns(); /* once for all of them: each is older but for a race */
    while ((got = sk_wire_receive(&member->wire, &receipt)) == 1) {
        struct sk_parcel *parcel = *slot(member, member->wire.received - 1);
        last_ns = receipt.begun_ns;
        if (n++ == 0)
            first_ns = last_ns;
        if (parcel == NULL)
            continue;
        if (receipt.end == SK_WIRE_SKIPPED) {
            requeue(crew, parcel);
            continue;
        }
        see_begun(crew, member, parcel, receipt.begun_ns, now_ns);
        sk_traffic_take_off_locked(crew, parcel);
        finish(crew, parcel, &receipt);
        member->sent_ns = parcel->begun_ns;
    }
    if (n > 0)
        member->head_ns = now_ns;
    if (n > 0)
        learn(member, n, first_ns, last_ns, now_ns);
    bool senseless = got < 0 && member->phase != SK_MEMBER_DOOMED;
    if (senseless) {
        member->protocol = "a reply that makes no sense";
        sk_member_kill_locked(crew, member, SK_KILL_PROTOCOL);
    }
    return n > 0 || senseless;
}

bool sk_traffic_receive_locked(struct sk_crew *crew)
{
    bool any = false;
    for (struct sk_member *m = crew->members; m != NULL; m = m->next) {
        if (m->channel.up == NULL)
            continue;
        if (sk_wire_load(&m->wire) > 0)
            any |= sk_traffic_receive_from_locked(crew, m);
        if (m->phase != SK_MEMBER_DOOMED && sk_load_acq(&m->channel.up->crash.valid) != 0) {
            m->says_dying = true;
            sk_member_doom_locked(crew, m);
            any = true;
        }
    }
    return any;
}

bool sk_traffic_has_reply_locked(const struct sk_crew *crew)
{
    for (const struct sk_member *m = crew->members; m != NULL; m = m->next) {
        if (sk_wire_has_reply(&m->wire) && m->phase != SK_MEMBER_DOOMED)
            return true;
    }
    return false;
}
