/* The parent's side of a crash record: what it reads may be anything. */
#define _GNU_SOURCE
#include "process/crash.h"

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "process/verdict.h"
#include "tests/support/harness.h"

static struct sk_crash_record sound_record(void)
{
    struct sk_crash_record record = { .signal = SIGSEGV, .code = 1, .nr_frames = 2 };
    record.frames[0] = 100;
    record.frames[1] = 200;
    sk_store_rlx(&record.valid, 1);
    return record;
}

static bool is_clear(const struct sk_crash_record *record)
{
    static const struct sk_crash_record clear;
    return memcmp(record, &clear, sizeof clear) == 0;
}

static void check_refused(const struct sk_crash_record *record)
{
    struct sk_crash_record copy;
    memset(&copy, 0xaa, sizeof copy);
    assert_false(sk_crash_read(record, &copy));
    assert_true(is_clear(&copy));
}

static void a_record_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    struct sk_crash_record record = sound_record(), copy;
    assert_true(sk_crash_read(&record, &copy));
    assert_int_equal(copy.nr_frames, 2);
    sk_store_rlx(&record.valid, 0);
    check_refused(&record);
    sk_store_rlx(&record.valid, 2);
    check_refused(&record);
    record = sound_record();
    record.nr_frames = SK_CRASH_FRAMES + 1;
    check_refused(&record);
    record.nr_frames = 0;
    check_refused(&record);
    record = sound_record();
    record.signal = SIGKILL;
    check_refused(&record);
    record = sound_record();
    record.in_runner = 2;
    check_refused(&record);
    record = sound_record();
    record.stack_low = 10;
    check_refused(&record);
}

static void a_frame_that_is_not_there_yet_is_not_counted(void **state)
{
    (void)state;
    struct sk_crash_record record = sound_record(), copy;
    record.nr_frames = 4;
    assert_true(sk_crash_read(&record, &copy));
    assert_int_equal(copy.nr_frames, 2);
}

/* Whatever is written there, the parent gets through with it. */
static void a_scribbled_record_is_harmless(void **state)
{
    (void)state;
    uint32_t seed = 7;
    int nr_read = 0;
    for (int i = 0; i < skt_rounds(20000); i++) {
        struct sk_crash_record record = sound_record(), copy;
        unsigned char *bytes = (unsigned char *)&record;
        const uint32_t nr_bytes = skt_random(&seed) % 40;
        for (uint32_t n = 0; n < nr_bytes; n++)
            bytes[skt_random(&seed) % sizeof record] = (unsigned char)skt_random(&seed);
        const bool sound = sk_crash_read(&record, &copy);
        nr_read += sound;
        if (!sound)
            continue;
        assert_true(copy.nr_frames >= 1 && copy.nr_frames <= SK_CRASH_FRAMES);
        struct sk_verdict verdict;
        sk_verdict_reach(&(struct sk_death){ .code = CLD_KILLED,
                                             .status = (int)(skt_random(&seed) % 65),
                                             .record = &copy },
                         &verdict);
        assert_true(strlen(verdict.message) > 10);
    }
    assert_true(nr_read > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SKT_TEST(a_record_that_makes_no_sense_is_refused),
        SKT_TEST(a_frame_that_is_not_there_yet_is_not_counted),
        SKT_TEST(a_scribbled_record_is_harmless),
    };
    return skt_main(argc, argv, "crash_read", tests, SKT_COUNT(tests));
}
