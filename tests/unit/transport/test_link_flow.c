/* SPDX-License-Identifier: MIT */
/* One end of the link, and how much it takes: pauses, full queues, and peers that do not read. */
#include "tests/unit/transport/link_end.h"

static void test_pause(void **state)
{
    (void)state;
    uint8_t bytes[600];
    link_pause(f.link, true);
    send_raw(bytes, put_several(bytes));
    turn_times(f.loop, 5);
    assert_int_equal(f.frames, 0);
    link_pause(f.link, false);
    turn_times(f.loop, 5);
    check_several();
}

static bool is_drained(void *user)
{
    (void)user;
    uint8_t bytes[4096];
    while (recv(f.raw, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    return f.drained > 0;
}

static void test_high_water_and_drained(void **state)
{
    (void)state;
    static uint8_t bytes[LINK_HEADER_SIZE + 100000];
    put_wayland(bytes, 100000, 1);
    sendq_copy(&f.link->out, bytes, sizeof(bytes));
    assert_int_equal(link_flush(f.link), 0);
    assert_false(f.link->high);
    for (int i = 0; i < 20; i++)
        sendq_copy(&f.link->out, bytes, sizeof(bytes));
    assert_int_equal(link_flush(f.link), 0);
    assert_true(f.link->high);
    assert_int_equal(f.drained, 0);
    turn_times(f.loop, 5);
    assert_int_equal(f.drained, 0); /* nobody reads */
    turn_until(f.loop, is_drained, NULL);
    assert_false(f.link->high);
}

static void test_no_drained_without_progress(void **state)
{
    (void)state;
    static uint8_t bytes[LINK_HEADER_SIZE + 10000];
    put_wayland(bytes, 10000, 1);
    while (!sendq_size(&f.link->out)) { /* until the socket is full */
        sendq_copy(&f.link->out, bytes, sizeof(bytes));
        assert_int_equal(link_flush(f.link), 0);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(link_flush(f.link), 0);
    assert_int_equal(f.drained, 0); /* whose owner may flush from there */
    turn_until(f.loop, is_drained, NULL);
}

static void test_sending_to_nobody(void **state)
{
    (void)state;
    f.raw = fd_close(f.raw);
    link_queue(f.link, link_ping_encode, 3);
    assert_true(link_flush(f.link) < 0);
    turn_times(f.loop, 3);
    assert_int_equal(f.closed, 1);
}

static void test_last_words_of_a_peer_that_left(void **state)
{
    (void)state;
    uint8_t bytes[LINK_FRAME_SMALL_MAX];
    send_raw(bytes, link_error_encode(bytes, LINK_ERROR_LIMIT, 0, 0, "enough"));
    f.raw = fd_close(f.raw);
    link_queue(f.link, link_ping_encode, 3);
    link_flush(f.link);
    turn_times(f.loop, 3);
    assert_int_equal(f.frames, 1);
    assert_int_equal(f.types[0], LINK_ERROR);
    assert_int_equal(f.closed, 1);
}

static void test_fault_reaches_the_owner(void **state)
{
    (void)state;
    int client = fd_memfd("client", 4096);
    f.memory = memory_import(client, 4096, true, 1, 1, NULL);
    assert_int_equal(ftruncate(client, 0), 0);
    sendq_rows(&f.link->out, f.memory, 0, 64, 64, 64, 42);
    assert_int_equal(link_flush(f.link), 0);
    assert_int_equal(f.faults, 42);
    uint8_t bytes[8192];
    assert_int_equal(recv(f.raw, bytes, sizeof(bytes), MSG_DONTWAIT), 4096);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_pause),
        LINK_TEST(test_high_water_and_drained),
        LINK_TEST(test_no_drained_without_progress),
        LINK_TEST(test_sending_to_nobody),
        LINK_TEST(test_last_words_of_a_peer_that_left),
        LINK_TEST(test_fault_reaches_the_owner),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
