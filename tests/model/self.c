/* The checker on trial: small programs, right and wrong. Where .fails stands the failure must be
 * found. */
#include "base/futex.h"
#include "base/lock.h"
#include "base/mem.h"
#include "tests/model/checker.h"

static SK_ATOMIC(int) x, y;
static SK_ATOMIC(uint32_t) word;
static int payload; /* plain */

static void reset(void)
{
    sk_init(&x, 0);
    sk_init(&y, 0);
    sk_init(&word, 0);
    payload = 0;
}

static void send_payload(void)
{
    model_write(payload);
    payload = 42;
}

static void receive_payload(void)
{
    model_read(payload);
    model_check(payload == 42);
}

static void send_and_store(void)
{
    send_payload();
    sk_store_rel(&x, 1);
}

/* --- plain variables --- */

static void write_payload(void)
{
    model_write(payload);
    payload++;
}

static void read_payload(void)
{
    model_read(payload);
}

/* The use comes after the release that is to publish it. */
static void publish_too_early(void)
{
    sk_store_rel(&x, 1);
    send_payload();
}

static void receive_early(void)
{
    if (sk_load_acq(&x) == 1)
        model_read(payload);
}

/* --- locks --- */

static void spin_lock(void)
{
    int free_word = 0;
    while (!sk_cas_acq(&x, &free_word, 1)) {
        free_word = 0;
        sk_pause();
    }
    write_payload();
    sk_store_rel(&x, 0);
}

static void spin_lock_rlx(void)
{
    int free_word = 0;
    while (!sk_cas_rlx(&x, &free_word, 1)) {
        free_word = 0;
        sk_pause();
    }
    write_payload();
    sk_store_rel(&x, 0);
}

static void payload_is_3(void)
{
    model_check(payload == 3);
}

static struct sk_lock lock_a = SK_LOCK_INIT(SK_RANK_POOL), lock_b = SK_LOCK_INIT(SK_RANK_LEAF);

static void reset_locks(void)
{
    reset();
    sk_lock_init(&lock_a, SK_RANK_POOL);
    sk_lock_init(&lock_b, SK_RANK_LEAF);
}

static void lock_a_b(void)
{
    sk_lock_lock(&lock_a);
    sk_lock_lock(&lock_b);
    sk_lock_unlock(&lock_b);
    sk_lock_unlock(&lock_a);
}

static void lock_b_a(void)
{
    sk_lock_lock(&lock_b);
    sk_lock_lock(&lock_a);
    sk_lock_unlock(&lock_a);
    sk_lock_unlock(&lock_b);
}

/* --- sleeping --- */

static void sleep_until_1(void)
{
    while (sk_load_acq(&word) == 0)
        sk_futex_wait(&word, 0, SK_NO_DEADLINE);
    receive_payload();
}

static void store_and_wake(void)
{
    send_payload();
    sk_store_rel(&word, 1);
    sk_futex_wake(&word, 1);
}

static void wake_before_store(void)
{
    send_payload();
    sk_futex_wake(&word, 1);
    sk_store_rel(&word, 1);
}

/* Sleeps on what it reads, however new, and so may sleep through the only wake. */
static void sleep_on_what_is_there(void)
{
    if (sk_load_acq(&word) == 0)
        sk_futex_wait(&word, sk_load_acq(&word), SK_NO_DEADLINE);
}

/* Who stores looks whether somebody waits; who waits says so. Dekker, with sleep. */
static void announce_and_sleep(void)
{
    sk_add_sc(&x, 1);
    while (sk_load_sc(&word) == 0)
        sk_futex_wait(&word, 0, SK_NO_DEADLINE);
}

static void store_and_look_sc(void)
{
    sk_store_sc(&word, 1);
    if (sk_load_sc(&x) != 0)
        sk_futex_wake(&word, 1);
}

static void store_and_look_acq(void)
{
    sk_store_rel(&word, 1);
    if (sk_load_acq(&x) != 0)
        sk_futex_wake(&word, 1);
}

static void sleep_till_deadline(void)
{
    while (sk_load_acq(&word) == 0) {
        if (!sk_futex_wait(&word, 0, 2000000000))
            return;
    }
    model_check(sk_load_rlx(&word) == 1);
}

static void must_not_time_out(void)
{
    while (sk_load_acq(&word) == 0)
        model_check(sk_futex_wait(&word, 0, 2000000000));
}

static void sleeps_once(void)
{
    sk_futex_wait(&word, 0, SK_NO_DEADLINE);
    model_check(sk_load_acq(&word) == 1);
}

/* --- spinning --- */

static void spin_until_1(void)
{
    while (sk_load_acq(&x) == 0)
        sk_pause();
    receive_payload();
}

static void spin_x_then_y(void)
{
    while (sk_load_acq(&x) == 0)
        sk_pause();
    sk_store_rel(&y, 1);
}

static void spin_y_then_x(void)
{
    while (sk_load_acq(&y) == 0)
        sk_pause();
    sk_store_rel(&x, 1);
}

/* --- memory --- */

struct node {
    struct node *next;
    SK_ATOMIC(int) users;
    int value;
};

static SK_ATOMIC(struct node *) top;
static struct node *shared_node;

static void open_shared(void)
{
    reset();
    shared_node = sk_calloc(1, sizeof *shared_node);
    sk_init(&shared_node->users, 2);
}

static void use_and_drop(void)
{
    model_write(shared_node->value); /* each its own turn would be another race */
    if (sk_sub_acq_rel(&shared_node->users, 1) == 1)
        sk_free(shared_node);
}

static void read_and_drop(void)
{
    model_read(shared_node->value);
    if (sk_sub_acq_rel(&shared_node->users, 1) == 1)
        sk_free(shared_node);
}

static void read_and_drop_rlx(void)
{
    model_read(shared_node->value);
    if (sk_sub_rlx(&shared_node->users, 1) == 1)
        sk_free(shared_node);
}

static void drop_and_look(void)
{
    if (sk_sub_acq_rel(&shared_node->users, 1) == 1)
        sk_free(shared_node);
    else
        sk_load_rlx(&shared_node->users);
}

static void free_shared(void)
{
    sk_free(shared_node);
}

static void free_at_0(void)
{
    sk_sub_acq_rel(&shared_node->users, 1);
    if (sk_load_acq(&shared_node->users) == 0)
        sk_free(shared_node);
}

static void stack_open(void)
{
    reset();
    sk_init(&top, NULL);
}

static void stack_push(void)
{
    struct node *node = sk_alloc(sizeof *node);
    model_write(node->value);
    node->value = 7;
    node->next = sk_load_rlx(&top);
    while (!sk_cas_rel(&top, &node->next, node))
        ;
}

static void stack_push_rlx(void)
{
    struct node *node = sk_alloc(sizeof *node);
    node->next = sk_load_rlx(&top);
    model_write(node->value);
    node->value = 7;
    while (!sk_cas_rlx(&top, &node->next, node))
        ;
}

static void stack_take_all(void)
{
    struct node *node = sk_xchg_acq(&top, NULL);
    while (node != NULL) {
        struct node *next = node->next;
        model_read(node->value);
        model_check(node->value == 7);
        sk_free(node);
        node = next;
    }
}

/* Frees what another taker may still look at. */
static void stack_pop(void)
{
    struct node *node = sk_load_acq(&top);
    while (node != NULL) {
        model_read(node->next);
        if (sk_cas_acq_rel_acq(&top, &node, node->next)) {
            sk_free(node);
            return;
        }
    }
}

static void stack_open_2(void)
{
    stack_open();
    stack_push();
    stack_push();
}

/* An atomic in new memory is used before it is made. */
static void publish_uninitialised(void)
{
    struct node *node = sk_alloc(sizeof *node);
    sk_store_rel(&top, node);
}

static void use_top(void)
{
    struct node *node = sk_load_acq(&top);
    if (node != NULL)
        sk_add_rlx(&node->users, 1);
}

static void publish_rlx(void)
{
    struct node *node = sk_calloc(1, sizeof *node);
    sk_store_rlx(&top, node);
}

static void free_top(void)
{
    sk_free(sk_load_rlx(&top));
}

static const struct model_test tests[] = {
    { .name = "race_of_writers",
      .setup = reset,
      .thread = { write_payload, write_payload },
      .fails = "data race" },
    { .name = "race_of_reader_and_writer",
      .setup = reset,
      .thread = { write_payload, read_payload },
      .fails = "data race" },
    { .name = "readers_do_not_race", .setup = reset, .thread = { read_payload, read_payload } },
    { .name = "race_after_the_release",
      .setup = reset,
      .thread = { publish_too_early, receive_early },
      .fails = "data race" },

    { .name = "spin_lock",
      .setup = reset,
      .thread = { spin_lock, spin_lock, spin_lock },
      .finish = payload_is_3 },
    { .name = "spin_lock_without_acquire",
      .setup = reset,
      .thread = { spin_lock_rlx, spin_lock_rlx },
      .fails = "data race" },
    { .name = "locks_in_one_order", .setup = reset_locks, .thread = { lock_a_b, lock_a_b } },
    { .name = "locks_in_two_orders",
      .setup = reset_locks,
      .thread = { lock_a_b, lock_b_a },
      .fails = "deadlock" },

    { .name = "sleep_and_wake",
      .setup = reset,
      .thread = { sleep_until_1, store_and_wake },
      .flags = MODEL_SPURIOUS },
    { .name = "wake_too_early",
      .setup = reset,
      .thread = { sleep_until_1, wake_before_store },
      .fails = "lost wake-up" },
    { .name = "one_wake_for_two",
      .setup = reset,
      .thread = { sleep_until_1, sleep_until_1, store_and_wake },
      .fails = "lost wake-up" },
    { .name = "sleep_on_what_is_there",
      .setup = reset,
      .thread = { sleep_on_what_is_there, store_and_wake },
      .fails = "lost wake-up" },
    { .name = "announced_sleep_sc",
      .setup = reset,
      .thread = { announce_and_sleep, store_and_look_sc } },
    { .name = "announced_sleep_acq_rel",
      .setup = reset,
      .thread = { announce_and_sleep, store_and_look_acq },
      .fails = "lost wake-up" },
    { .name = "deadline_may_pass",
      .setup = reset,
      .thread = { sleep_till_deadline, store_and_wake } },
    { .name = "deadline_passes",
      .setup = reset,
      .thread = { must_not_time_out, store_and_wake },
      .fails = "does not hold" },
    { .name = "wake_is_no_release",
      .setup = reset,
      .thread = { sleeps_once, store_and_wake },
      .flags = MODEL_SPURIOUS,
      .fails = "does not hold" },

    { .name = "spin_until_stored", .setup = reset, .thread = { spin_until_1, send_and_store } },
    { .name = "spin_for_each_other",
      .setup = reset,
      .thread = { spin_x_then_y, spin_y_then_x },
      .fails = "livelock" },

    { .name = "last_user_frees", .setup = open_shared, .thread = { read_and_drop, read_and_drop } },
    { .name = "last_user_frees_relaxed",
      .setup = open_shared,
      .thread = { read_and_drop_rlx, read_and_drop_rlx },
      .fails = "data race" },
    { .name = "users_race",
      .setup = open_shared,
      .thread = { use_and_drop, use_and_drop },
      .fails = "data race" },
    { .name = "use_after_free",
      .setup = open_shared,
      .thread = { drop_and_look, drop_and_look },
      .fails = "free" },
    { .name = "double_free",
      .setup = open_shared,
      .thread = { free_shared, free_shared },
      .fails = "free" },
    { .name = "double_free_by_count",
      .setup = open_shared,
      .thread = { free_at_0, free_at_0 },
      .fails = "free" },
    { .name = "leak",
      .setup = open_shared,
      .thread = { read_payload, read_payload },
      .fails = "leak" },
    { .name = "stack_push_take_all",
      .setup = stack_open,
      .thread = { stack_push, stack_push, stack_take_all },
      .finish = stack_take_all },
    { .name = "stack_push_relaxed",
      .setup = stack_open,
      .thread = { stack_push_rlx, stack_take_all },
      .finish = stack_take_all,
      .fails = "data race" },
    { .name = "stack_pop_frees_under_others",
      .setup = stack_open_2,
      .thread = { stack_pop, stack_pop },
      .finish = stack_take_all,
      .fails = "free" },
    { .name = "uninitialised_atomic",
      .setup = stack_open,
      .thread = { publish_uninitialised, use_top },
      .finish = free_top,
      .fails = "not initialised" },
    { .name = "allocation_not_published",
      .setup = stack_open,
      .thread = { publish_rlx, use_top },
      .finish = free_top,
      .fails = "data race" },
};

MODEL_MAIN("self", tests)
