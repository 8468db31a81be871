/* SPDX-License-Identifier: MIT */
/* One end of the link: what nobody should send, and owners that stop in the middle of it. */
#include "tests/unit/transport/link_end.h"

static void test_malformed_headers(void **state)
{
    static const struct {
        uint8_t header[LINK_HEADER_SIZE];
        int reason;
        unsigned type;
    } cases[] = {
        {{0, 0, 0, 0, 0, 0, 0, 0}, LINK_E_TYPE, 0},
        {{0, 0, 0, 0, 99, 1, 0, 0}, LINK_E_TYPE, 355},
        {{0, 0, 0, 0, LINK_END, 0, 1, 0}, LINK_E_RESERVED, LINK_END},
        {{1, 0, 0, 0, LINK_END, 0, 0, 0}, LINK_E_SIZE, LINK_END},
        {{0xff, 0xff, 0xff, 0xff, LINK_WAYLAND, 0, 0, 0}, LINK_E_SIZE, LINK_WAYLAND},
        {{5, 0, 4, 0, LINK_STREAM_DATA, 0, 0, 0}, LINK_E_SIZE, LINK_STREAM_DATA},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t bytes[100];
        size_t n = link_ping_encode(bytes, 1);
        memcpy(bytes + n, cases[i].header, LINK_HEADER_SIZE);
        n += LINK_HEADER_SIZE;
        n += link_ping_encode(bytes + n, 2);
        if (i > 0)
            link_end_setup(state);
        send_raw(bytes, n);
        turn_times(f.loop, 5);
        assert_int_equal(f.frames, 1); /* what came before counts, what comes behind does not */
        assert_int_equal(f.closed, 1);
        assert_int_equal(f.reason, cases[i].reason);
        assert_int_equal(f.closed_type, cases[i].type);
        if (i + 1 < sizeof(cases) / sizeof(*cases))
            assert_int_equal(link_end_teardown(state), 0);
    }
}

static void test_malformed_rows(void **state)
{
    (void)state;
    uint8_t bytes[100];
    struct link_mem_write w = {.id = 1, .row = 10, .rows = 5, .stride = 10};
    size_t n = link_mem_write_encode(bytes, &w);
    bytes[LINK_HEADER_SIZE + 8] = 6; /* more rows than the frame has bytes for */
    send_raw(bytes, n);
    turn_times(f.loop, 5);
    assert_int_equal(f.writes, 0);
    assert_int_equal(f.closed, 1);
    assert_int_equal(f.reason, LINK_E_SIZE);
    assert_int_equal(f.closed_type, LINK_MEM_WRITE);
}

static void test_end_of_connection(void **state)
{
    (void)state;
    uint8_t bytes[100];
    size_t n = link_ping_encode(bytes, 1);
    send_raw(bytes, n);
    f.raw = fd_close(f.raw);
    turn_times(f.loop, 5);
    assert_int_equal(f.frames, 1);
    assert_int_equal(f.closed, 1);
    assert_int_equal(f.reason, 0);
}

static void test_end_amid_a_frame(void **state)
{
    (void)state;
    uint8_t bytes[100], unused[100];
    struct link_mem_write w = {.id = 9, .row = 10, .rows = 5, .stride = 10};
    link_ping_encode(bytes, 1);
    send_raw(bytes, 9);
    f.raw = fd_close(f.raw);
    turn_times(f.loop, 5);
    assert_int_equal(f.frames, 0);
    assert_int_equal(f.closed, 1);
    assert_int_equal(f.reason, 0);
    assert_int_equal(link_end_teardown(state), 0);
    link_end_setup(state);
    put_rows(bytes, &w, unused, 1);
    send_raw(bytes, 50);
    f.raw = fd_close(f.raw);
    turn_times(f.loop, 5);
    assert_int_equal(f.closed, 1);
}

static void test_refusing_a_frame(void **state)
{
    (void)state;
    uint8_t bytes[600];
    f.refuse = -EPROTO;
    link_stop(f.link); /* as an owner does who ends the connection */
    send_raw(bytes, put_several(bytes));
    turn_times(f.loop, 3);
    assert_int_equal(f.frames, 0);
    link_ping_encode(bytes, 1);
    link_queue(f.link, link_ping_encode, 3); /* its last words still go out */
    assert_int_equal(link_flush(f.link), 0);
    assert_int_equal(recv(f.raw, bytes, sizeof(bytes), MSG_DONTWAIT), 16);
    f.raw = fd_close(f.raw);
    turn_times(f.loop, 3);
    assert_int_equal(f.closed, 0); /* it knows */
}

static int frame_then_stop(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    on_frame(user, type, payload, size);
    link_stop(f.link);
    return -EPROTO;
}

static void test_stopping_from_a_frame(void **state)
{
    (void)state;
    struct link_ops other = ops;
    other.frame = frame_then_stop;
    link_adopt(f.link, &other, &f);
    uint8_t bytes[600];
    send_raw(bytes, put_several(bytes));
    turn_times(f.loop, 3);
    assert_int_equal(f.frames, 1);
    assert_int_equal(f.closed, 0);
}

static int frame_then_adopt(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    on_frame(user, type, payload, size);
    link_adopt(f.link, &ops, &f);
    return 0;
}

static void test_another_owner_takes_over(void **state)
{
    (void)state;
    struct link_ops first = {.frame = frame_then_adopt, .closed = on_closed};
    link_adopt(f.link, &first, &f);
    uint8_t bytes[600];
    send_raw(bytes, put_several(bytes));
    turn_times(f.loop, 3);
    check_several();
    assert_int_equal(f.batches, 1);
}

/* Rows and stream bytes go to frame() when nobody takes them: it knows what does not belong. */
static void test_bulk_that_nobody_takes(void **state)
{
    (void)state;
    static const struct link_ops first = {.frame = on_frame, .closed = on_closed};
    link_adopt(f.link, &first, &f);
    uint8_t bytes[600], unused[100];
    size_t n = link_stream_data_encode(bytes, 2, 50);
    memset(bytes + n, 7, 50);
    n += 50;
    n += put_rows(bytes + n, &(struct link_mem_write){1, 100, 1, 100, 0}, unused, 1);
    send_raw(bytes, n);
    turn_times(f.loop, 3);
    assert_int_equal(f.frames, 3);
    assert_int_equal(f.types[0], LINK_STREAM_DATA);
    assert_int_equal(f.types[1], LINK_MEM_WRITE);
    assert_int_equal(f.types[2], LINK_PING);
    assert_int_equal(f.payload_n, 8); /* of the PING alone */
}

static void test_unwanted_descriptors_are_not_kept(void **state)
{
    (void)state;
    struct sendq q;
    uint8_t bytes[100];
    sendq_init(&q, NULL, NULL);
    sendq_fd(&q, fd_memfd("surplus", 0), NULL);
    sendq_copy(&q, bytes, link_ping_encode(bytes, 1));
    assert_int_equal(sendq_flush(&q, f.raw), 0);
    sendq_finish(&q);
    turn_times(f.loop, 3);
    assert_int_equal(f.frames, 1); /* and it is closed: the link_end_teardown counts */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_malformed_headers),
        LINK_TEST(test_malformed_rows),
        LINK_TEST(test_end_of_connection),
        LINK_TEST(test_end_amid_a_frame),
        LINK_TEST(test_refusing_a_frame),
        LINK_TEST(test_stopping_from_a_frame),
        LINK_TEST(test_another_owner_takes_over),
        LINK_TEST(test_bulk_that_nobody_takes),
        LINK_TEST(test_unwanted_descriptors_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
