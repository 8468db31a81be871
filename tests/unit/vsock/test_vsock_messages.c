/* SPDX-License-Identifier: MIT */
/* SEQPACKET: messages stay what they are, in both directions, however they are cut on the way. */
#include "tests/unit/vsock/vsock_guest.h"

#include <errno.h>

#include "host-proxy/vsock/vsock-connection.h"

static void write_part(struct guest *g, const void *bytes, size_t n, bool end)
{
    struct vsock_packet p = guest_packet(g, OP(RW), 5000);
    p.type = SEQPACKET;
    p.size = (uint32_t)n;
    p.flags = end ? VSOCK_END_OF_MESSAGE : 0;
    guest_send(g, p, bytes, n);
}

static void expect_message(int host, const void *bytes, size_t n)
{
    static uint8_t got[VSOCK_ROOM];
    assert_int_equal(recv(host, got, sizeof(got), MSG_DONTWAIT), n);
    assert_memory_equal(got, bytes, n);
}

static void test_to_host(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, SEQPACKET);
    assert_int_equal(g->asked_type, SEQPACKET);
    write_part(g, "one", 3, true);
    write_part(g, "two", 3, true);
    write_part(g, "thr", 3, false);
    expect_message(host, "one", 3);
    expect_message(host, "two", 3);
    host_expect_nothing(host);
    write_part(g, "ee", 2, true);
    expect_message(host, "three", 5);
    write_part(g, "four", 4, false);
    write_part(g, NULL, 0, true);
    expect_message(host, "four", 4);
    write_part(g, NULL, 0, true); /* the host would take an empty one for the end */
    host_expect_nothing(host);
    write_part(g, "five", 4, true);
    expect_message(host, "five", 4);
    close(host);
}

/* More than the socket takes at once. */
static void test_to_busy_host(void **state)
{
    struct guest *g = *state;
    uint8_t bytes[900];
    unsigned n = VSOCK_ROOM / sizeof(bytes);
    int small = 4096;
    guest_start(g);
    g->room = 2 * VSOCK_ROOM;
    int host = guest_connect(g, 5000, SEQPACKET);
    assert_int_equal(setsockopt(host, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
    for (unsigned i = 0; i < n; i++) {
        fill_pattern(bytes, sizeof(bytes), i);
        write_part(g, bytes, sizeof(bytes), true);
    }
    for (unsigned i = 0; i < n; i++) {
        fill_pattern(bytes, sizeof(bytes), i);
        turn_times(g->loop, 2);
        expect_message(host, bytes, sizeof(bytes));
    }
    close(host);
}

/* A message as large as the room, of a guest that was not told of all the room before it. */
static void test_large_to_host(void **state)
{
    struct guest *g = *state;
    static uint8_t bytes[VSOCK_ROOM];
    uint8_t small[900];
    size_t before = 0, sent = 0, free_bytes = VSOCK_ROOM;
    guest_start(g);
    g->room = 2 * VSOCK_ROOM;
    int host = guest_connect(g, 5000, SEQPACKET);
    fill_pattern(bytes, sizeof(bytes), 1);
    for (; before < VSOCK_ROOM / 3; before += sizeof(small)) {
        write_part(g, small, sizeof(small), true);
        assert_int_equal(recv(host, bytes, sizeof(bytes), MSG_DONTWAIT), sizeof(small));
    }
    guest_expect_nothing(g);
    fill_pattern(bytes, sizeof(bytes), 1);
    free_bytes -= before;
    while (sent < sizeof(bytes)) {
        size_t n = sizeof(bytes) - sent < 900 ? sizeof(bytes) - sent : 900;
        if (frontend_answered(&g->f.q[RX])) {
            guest_expect(g, OP(CREDIT_UPDATE), 5000);
            free_bytes = VSOCK_ROOM - (before + sent - g->got.forwarded);
        }
        assert_true(n <= free_bytes);
        write_part(g, bytes + sent, n, sent + n == sizeof(bytes));
        sent += n;
        free_bytes -= n;
    }
    expect_message(host, bytes, sizeof(bytes));
    close(host);
}

static void test_to_guest(void **state)
{
    struct guest *g = *state;
    uint8_t bytes[1000];
    guest_start(g);
    int host = guest_connect(g, 5000, SEQPACKET);
    assert_int_equal(send(host, "one", 3, 0), 3);
    assert_int_equal(send(host, "two", 3, 0), 3);
    fill_pattern(bytes, sizeof(bytes), 1);
    assert_int_equal(send(host, bytes, sizeof(bytes), 0), sizeof(bytes));
    guest_expect(g, OP(RW), 5000);
    assert_int_equal(g->got.flags, VSOCK_END_OF_MESSAGE);
    assert_int_equal(g->got.size, 3);
    assert_memory_equal(g->data, "one", 3);
    guest_expect(g, OP(RW), 5000);
    assert_memory_equal(g->data, "two", 3);
    for (size_t at = 0; at < sizeof(bytes); at += g->got.size) {
        guest_expect(g, OP(RW), 5000);
        assert_memory_equal(g->data, bytes + at, g->got.size);
        assert_int_equal(g->got.flags,
                         at + g->got.size == sizeof(bytes) ? VSOCK_END_OF_MESSAGE : 0);
    }
    close(host);
    guest_expect(g, OP(SHUTDOWN), 5000);
    guest_say(g, OP(RST), 5000);
}

/* Credit and buffers run out in the middle of one. */
static void test_to_busy_guest(void **state)
{
    struct guest *g = *state;
    uint8_t bytes[GUEST_ROOM];
    size_t at = 0;
    fill_pattern(bytes, sizeof(bytes), 5);
    frontend_negotiate(&g->f, FRONTEND_FEATURES | FEATURE(VSOCK_FEATURE_SEQPACKET));
    frontend_start(&g->f);
    guest_post(g, 3);
    int host = guest_connect(g, 5000, SEQPACKET);
    assert_int_equal(send(host, "before", 6, 0), 6);
    assert_int_equal(send(host, bytes, sizeof(bytes), 0), sizeof(bytes));
    guest_expect(g, OP(RW), 5000);
    while (at < sizeof(bytes)) {
        if (at + 6 == GUEST_ROOM) {
            guest_expect_nothing(g);
            g->forwarded = 6;
            struct vsock_packet p = guest_packet(g, OP(CREDIT_UPDATE), 5000);
            p.type = SEQPACKET;
            guest_send(g, p, NULL, 0);
        }
        guest_expect(g, OP(RW), 5000);
        assert_memory_equal(g->data, bytes + at, g->got.size);
        at += g->got.size;
        assert_int_equal(g->got.flags, at == sizeof(bytes) ? VSOCK_END_OF_MESSAGE : 0);
    }
    guest_expect_nothing(g);
    close(host);
}

/* What the guest could never take ends the connection. */
static void test_too_large_for_guest(void **state)
{
    struct guest *g = *state;
    uint8_t bytes[GUEST_ROOM + 1];
    guest_start(g);
    int host = guest_connect(g, 5000, SEQPACKET);
    assert_int_equal(send(host, bytes, sizeof(bytes), 0), sizeof(bytes));
    guest_expect(g, OP(RST), 5000);
    close(host);
}

/* A driver that has not asked for it gets none. */
static void test_not_negotiated(void **state)
{
    struct guest *g = *state;
    frontend_negotiate(&g->f, FRONTEND_FEATURES);
    frontend_start(&g->f);
    guest_post(g, 4);
    struct vsock_packet p = guest_packet(g, OP(REQUEST), 5000);
    p.type = SEQPACKET;
    guest_send(g, p, NULL, 0);
    guest_expect(g, OP(RST), 5000);
    assert_int_equal(g->asked_port, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_to_host),        TEST(test_to_busy_host),  TEST(test_large_to_host),
        TEST(test_to_guest),       TEST(test_to_busy_guest), TEST(test_too_large_for_guest),
        TEST(test_not_negotiated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
