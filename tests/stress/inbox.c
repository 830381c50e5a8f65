/* The inbox with four who put and two who take: each job comes out once, in order, and an inbox
 * that says it is empty is. */
#include "sched/inbox.h"

#include <sched.h>
#include <stdlib.h>

#include "tests/support/harness.h"

enum {
    NR_PUTTERS = 4,
    NR_TAKERS = 2,
    NR_JOBS = 1000000
};

struct numbered {
    struct sk_job job;
    uint8_t putter;
    uint8_t lane;
    uint32_t number; /* of the putter's */
    SK_ATOMIC(uint8_t) taken;
};

static struct {
    struct sk_inbox inbox;
    struct numbered *jobs; /* [n], a part for each putter */
    uint32_t n;
    SK_ATOMIC(uint32_t) nr_taken;
    SK_ATOMIC(int) nr_out_of_order, nr_overlooked;
    SK_ATOMIC(int) putters[NR_PUTTERS]; /* their numbers, for their threads */
} scene;

static void *put_all(void *arg)
{
    const uint8_t me = (uint8_t)((SK_ATOMIC(int) *)arg - scene.putters);
    const uint32_t each = scene.n / NR_PUTTERS;
    uint32_t seed = me + 1u;
    for (uint32_t i = 0; i < each; i++) {
        struct numbered *x = &scene.jobs[me * each + i];
        x->putter = me;
        x->number = i;
        x->lane = (uint8_t)(skt_random(&seed) % SK_NR_LANES);
        sk_inbox_put(&scene.inbox, &x->job, (enum sk_lane)x->lane);
        if (skt_random(&seed) % 512 == 0)
            sched_yield();
    }
    return NULL;
}

/* In each lane a taker gets what one thread has put in the order of putting. */
static void *take_all(void *arg)
{
    int64_t last[NR_PUTTERS][SK_NR_LANES];
    for (int p = 0; p < NR_PUTTERS; p++) {
        for (int l = 0; l < SK_NR_LANES; l++)
            last[p][l] = -1;
    }
    while (sk_load_acq(&scene.nr_taken) < scene.n) {
        struct sk_job *job = sk_inbox_take(&scene.inbox);
        if (job == NULL) {
            sched_yield();
            continue;
        }
        struct numbered *x = SK_CONTAINER_OF(job, struct numbered, job);
        if ((int64_t)x->number <= last[x->putter][x->lane])
            sk_add_rlx(&scene.nr_out_of_order, 1);
        last[x->putter][x->lane] = x->number;
        sk_add_rlx(&x->taken, 1);
        sk_add_acq_rel(&scene.nr_taken, 1);
    }
    return arg;
}

static void scene_begin(uint32_t n)
{
    scene.n = n / NR_PUTTERS * NR_PUTTERS;
    scene.jobs = calloc(scene.n, sizeof *scene.jobs);
    assert_non_null(scene.jobs);
    sk_inbox_init(&scene.inbox);
    sk_store_rlx(&scene.nr_taken, 0);
    sk_store_rlx(&scene.nr_out_of_order, 0);
    sk_store_rlx(&scene.nr_overlooked, 0);
}

static void scene_end(void)
{
    assert_true(sk_inbox_empty(&scene.inbox));
    assert_null(sk_inbox_take(&scene.inbox));
    for (uint32_t i = 0; i < scene.n; i++)
        assert_int_equal(sk_load_rlx(&scene.jobs[i].taken), 1);
    assert_int_equal(sk_load_rlx(&scene.nr_out_of_order), 0);
    assert_int_equal(sk_load_rlx(&scene.nr_overlooked), 0);
    free(scene.jobs);
}

static void each_job_comes_out_once_and_in_order(void **state)
{
    (void)state;
    pthread_t putters[NR_PUTTERS], takers[NR_TAKERS];
    scene_begin((uint32_t)skt_rounds(NR_JOBS));
    for (int t = 0; t < NR_TAKERS; t++)
        takers[t] = skt_thread(take_all, NULL);
    for (int p = 0; p < NR_PUTTERS; p++)
        putters[p] = skt_thread(put_all, &scene.putters[p]);
    for (int p = 0; p < NR_PUTTERS; p++)
        skt_join(putters[p]);
    for (int t = 0; t < NR_TAKERS; t++)
        skt_join(takers[t]);
    scene_end();
}

/* ---- empty means empty ----------------------------------------------------------------------- */

/* Looks at the inbox without taking, as a worker does before it sleeps, and so is in the way. */
static void *look_on(void *arg)
{
    while (sk_load_acq(&scene.nr_taken) < scene.n)
        (void)sk_inbox_empty(&scene.inbox);
    return arg;
}

static void an_inbox_with_a_job_is_never_empty(void **state)
{
    (void)state;
    scene_begin((uint32_t)skt_rounds(NR_JOBS));
    pthread_t onlooker = skt_thread(look_on, NULL);
    for (uint32_t i = 0; i < scene.n; i++) {
        struct sk_job *job;
        sk_inbox_put(&scene.inbox, &scene.jobs[i].job, (enum sk_lane)(i % SK_NR_LANES));
        if (sk_inbox_empty(&scene.inbox))
            sk_add_rlx(&scene.nr_overlooked, 1);
        while ((job = sk_inbox_take(&scene.inbox)) == NULL)
            sk_pause();
        sk_add_rlx(&SK_CONTAINER_OF(job, struct numbered, job)->taken, 1);
        sk_add_acq_rel(&scene.nr_taken, 1);
    }
    skt_join(onlooker);
    scene_end();
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(each_job_comes_out_once_and_in_order),
        SKT_TEST(an_inbox_with_a_job_is_never_empty),
    };
    return skt_main(argc, argv, "inbox", tests, SKT_COUNT(tests));
}
