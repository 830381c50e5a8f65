/* Litmus tests of the memory model: small programs whose outcomes C11 allows or forbids. Where
 * .fails stands, the outcome is allowed and must be reached. */
#include "tests/model/checker.h"

static SK_ATOMIC(int) x, y;
static int payload; /* plain */
static int seen[4]; /* what the loads read; each is one thread's */

static void reset(void)
{
    sk_init(&x, 0);
    sk_init(&y, 0);
    payload = 0;
    for (int i = 0; i < 4; i++)
        seen[i] = -1;
}

/* --- message passing --- */

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

static void mp_send_rel(void)
{
    send_payload();
    sk_store_rel(&x, 1);
}

static void mp_send_rlx(void)
{
    send_payload();
    sk_store_rlx(&x, 1);
}

static void mp_receive_acq(void)
{
    if (sk_load_acq(&x) == 1)
        receive_payload();
}

static void mp_receive_rlx(void)
{
    if (sk_load_rlx(&x) == 1)
        receive_payload();
}

/* Without plain variables: the second load may be old though the first was not. */
static void mp_stores_rlx(void)
{
    sk_store_rlx(&x, 1);
    sk_store_rlx(&y, 1);
}

static void mp_loads_rlx(void)
{
    seen[0] = sk_load_rlx(&y);
    seen[1] = sk_load_rlx(&x);
}

static void mp_not_reordered(void)
{
    model_check(!(seen[0] == 1 && seen[1] == 0));
}

/* --- release sequences: a read-modify-write goes on with one, a store ends it --- */

static void add_rlx(void)
{
    sk_add_rlx(&x, 1);
}

static void read_two_acq(void)
{
    if (sk_load_acq(&x) == 2)
        receive_payload();
}

static void store_two_rlx(void)
{
    if (sk_load_rlx(&x) == 1)
        sk_store_rlx(&x, 2);
}

/* --- store buffering (Dekker) --- */

static void sb_0_sc(void)
{
    sk_store_sc(&x, 1);
    seen[0] = sk_load_sc(&y);
}

static void sb_1_sc(void)
{
    sk_store_sc(&y, 1);
    seen[1] = sk_load_sc(&x);
}

static void sb_0_rel(void)
{
    sk_store_rel(&x, 1);
    seen[0] = sk_load_acq(&y);
}

static void sb_1_rel(void)
{
    sk_store_rel(&y, 1);
    seen[1] = sk_load_acq(&x);
}

/* A read-modify-write is no fence for the load after it, unless both are seq_cst. */
static void sb_0_rmw_acq(void)
{
    sk_add_acq_rel(&x, 1);
    seen[0] = sk_load_acq(&y);
}

static void sb_0_rmw_sc(void)
{
    sk_add_sc(&x, 1);
    seen[0] = sk_load_sc(&y);
}

static void sb_one_sees(void)
{
    model_check(seen[0] != 0 || seen[1] != 0);
}

/* --- independent reads of independent writes --- */

static void iriw_x_sc(void)
{
    sk_store_sc(&x, 1);
}

static void iriw_y_sc(void)
{
    sk_store_sc(&y, 1);
}

static void iriw_xy_sc(void)
{
    seen[0] = sk_load_sc(&x);
    seen[1] = sk_load_sc(&y);
}

static void iriw_yx_sc(void)
{
    seen[2] = sk_load_sc(&y);
    seen[3] = sk_load_sc(&x);
}

static void iriw_x_rel(void)
{
    sk_store_rel(&x, 1);
}

static void iriw_y_rel(void)
{
    sk_store_rel(&y, 1);
}

static void iriw_xy_acq(void)
{
    seen[0] = sk_load_acq(&x);
    seen[1] = sk_load_acq(&y);
}

static void iriw_yx_acq(void)
{
    seen[2] = sk_load_acq(&y);
    seen[3] = sk_load_acq(&x);
}

static void iriw_agree(void)
{
    model_check(!(seen[0] == 1 && seen[1] == 0 && seen[2] == 1 && seen[3] == 0));
}

/* --- a seq_cst load after a relaxed one --- */

static void overtaken_writer(void)
{
    sk_store_sc(&x, 1);
    sk_store_rel(&y, 1);
}

static void overtaking_reader(void)
{
    seen[0] = sk_load_rlx(&y);
    seen[1] = sk_load_sc(&x);
}

static void staying_reader(void)
{
    seen[0] = sk_load_acq(&y);
    seen[1] = sk_load_sc(&x);
}

static void not_overtaken(void)
{
    model_check(!(seen[0] == 1 && seen[1] == 0));
}

/* --- coherence of one atomic --- */

static void write_1_2(void)
{
    sk_store_rlx(&x, 1);
    sk_store_rlx(&x, 2);
}

static void read_twice(void)
{
    seen[0] = sk_load_rlx(&x);
    seen[1] = sk_load_rlx(&x);
}

static void never_backwards(void)
{
    model_check(seen[0] <= seen[1]);
}

/* What another thread has read and passed on is not older for who reads next. */
static void read_and_pass_on(void)
{
    seen[0] = sk_load_rlx(&x);
    sk_store_rel(&y, 1);
}

static void take_and_read(void)
{
    if (sk_load_acq(&y) == 1)
        seen[1] = sk_load_rlx(&x);
    else
        seen[1] = 2;
}

static void add_twice(void)
{
    sk_add_rlx(&x, 1);
    sk_add_rlx(&x, 1);
}

static void sum_is_6(void)
{
    model_check(model_newest(&x) == 6);
}

static void add_by_load_and_store(void)
{
    sk_store_rlx(&x, sk_load_rlx(&x) + 1);
}

static void sum_is_2(void)
{
    model_check(model_newest(&x) == 2);
}

static void add_by_cas(void)
{
    int old = sk_load_rlx(&x);
    while (!sk_cas_rlx(&x, &old, old + 1))
        ;
}

static const struct model_test tests[] = {
    { .name = "message_passing", .setup = reset, .thread = { mp_send_rel, mp_receive_acq } },
    { .name = "message_passing_without_release",
      .setup = reset,
      .thread = { mp_send_rlx, mp_receive_acq },
      .fails = "data race" },
    { .name = "message_passing_without_acquire",
      .setup = reset,
      .thread = { mp_send_rel, mp_receive_rlx },
      .fails = "data race" },
    { .name = "relaxed_loads_pass_each_other",
      .setup = reset,
      .thread = { mp_stores_rlx, mp_loads_rlx },
      .finish = mp_not_reordered,
      .fails = "does not hold" },
    { .name = "release_sequence_goes_on_with_rmw",
      .setup = reset,
      .thread = { mp_send_rel, add_rlx, read_two_acq } },
    { .name = "release_sequence_ends_with_store",
      .setup = reset,
      .thread = { mp_send_rel, store_two_rlx, read_two_acq },
      .fails = "data race" },
    { .name = "store_buffering_sc",
      .setup = reset,
      .thread = { sb_0_sc, sb_1_sc },
      .finish = sb_one_sees },
    { .name = "store_buffering_release",
      .setup = reset,
      .thread = { sb_0_rel, sb_1_rel },
      .finish = sb_one_sees,
      .fails = "does not hold" },
    { .name = "store_buffering_half_sc",
      .setup = reset,
      .thread = { sb_0_sc, sb_1_rel },
      .finish = sb_one_sees,
      .fails = "does not hold" },
    { .name = "store_buffering_rmw_sc",
      .setup = reset,
      .thread = { sb_0_rmw_sc, sb_1_sc },
      .finish = sb_one_sees },
    { .name = "store_buffering_rmw_acq_rel",
      .setup = reset,
      .thread = { sb_0_rmw_acq, sb_1_sc },
      .finish = sb_one_sees,
      .fails = "does not hold" },
    { .name = "iriw_sc",
      .setup = reset,
      .thread = { iriw_x_sc, iriw_y_sc, iriw_xy_sc, iriw_yx_sc },
      .finish = iriw_agree,
      .bound = 4 },
    { .name = "iriw_sc_loads", /* C11 allows it, C++20 does not */
      .setup = reset,
      .thread = { iriw_x_rel, iriw_y_rel, iriw_xy_sc, iriw_yx_sc },
      .finish = iriw_agree,
      .fails = "does not hold" },
    { .name = "sc_load_overtakes_relaxed_load",
      .setup = reset,
      .thread = { overtaken_writer, overtaking_reader },
      .finish = not_overtaken,
      .fails = "does not hold" },
    { .name = "sc_load_stays_behind_acquire_load",
      .setup = reset,
      .thread = { overtaken_writer, staying_reader },
      .finish = not_overtaken,
      .bound = 4 },
    { .name = "iriw_acquire",
      .setup = reset,
      .thread = { iriw_x_rel, iriw_y_rel, iriw_xy_acq, iriw_yx_acq },
      .finish = iriw_agree,
      .fails = "does not hold" },
    { .name = "coherence_of_one_reader",
      .setup = reset,
      .thread = { write_1_2, read_twice },
      .finish = never_backwards },
    { .name = "coherence_through_another",
      .setup = reset,
      .thread = { write_1_2, read_and_pass_on, take_and_read },
      .finish = never_backwards,
      .bound = 4 },
    { .name = "rmw_is_atomic",
      .setup = reset,
      .thread = { add_twice, add_twice, add_twice },
      .finish = sum_is_6,
      .bound = 4 },
    { .name = "load_and_store_is_not",
      .setup = reset,
      .thread = { add_by_load_and_store, add_by_load_and_store },
      .finish = sum_is_2,
      .fails = "does not hold" },
    { .name = "cas_loop_is_atomic",
      .setup = reset,
      .thread = { add_by_cas, add_by_cas },
      .finish = sum_is_2,
      .bound = 4 },
};

MODEL_MAIN("litmus", tests)
