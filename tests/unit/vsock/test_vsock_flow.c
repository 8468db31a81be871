/* SPDX-License-Identifier: MIT */
/* Credit in both directions, buffers that run out, and whose turn it is. */
#include "tests/unit/vsock/vsock_guest.h"

#include <errno.h>

#include "common/base/fd.h"
#include "host-proxy/vsock/vsock-connection.h"

/* Takes what is there for the guest; how many bytes of @port. Other packets than RW are counted. */
static size_t drain(struct guest *g, uint32_t port, unsigned *ret_others)
{
    size_t bytes = 0;
    turn_times(g->loop, 5);
    while (frontend_answered(&g->f.q[RX])) {
        uint32_t written;
        struct vsock_packet p;
        unsigned slot = frontend_take(&g->f, RX, &written);
        vsock_packet_decode(frontend_answer(&g->f, RX, slot), &p);
        if (p.op != OP(RW))
            ++*ret_others;
        else if (p.dst_port == port)
            bytes += p.size;
        guest_post(g, 1);
        turn_times(g->loop, 5);
    }
    return bytes;
}

/* The guest gets as much as it takes, and goes on where it stopped. */
static void test_guest_credit(void **state)
{
    struct guest *g = *state;
    unsigned others = 0;
    uint8_t bytes[3 * GUEST_ROOM];
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    assert_int_equal(send(host, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(drain(g, 5000, &others), GUEST_ROOM);
    g->forwarded = 100;
    guest_say(g, OP(CREDIT_UPDATE), 5000);
    assert_int_equal(drain(g, 5000, &others), 100);
    g->forwarded = GUEST_ROOM; /* whatever packet says so */
    guest_write(g, 5000, "x", 1);
    assert_int_equal(drain(g, 5000, &others), GUEST_ROOM - 100);
    g->room += 10; /* it has made more room */
    guest_say(g, OP(CREDIT_UPDATE), 5000);
    assert_int_equal(drain(g, 5000, &others), 10);
    assert_int_equal(others, 0);
    close(host);
}

/* Counters wrap. What a guest says that cannot be gives it nothing. */
static void test_guest_lies(void **state)
{
    struct guest *g = *state;
    unsigned others = 0;
    uint8_t bytes[GUEST_ROOM];
    guest_start(g);
    g->room = 1000;
    int host = guest_connect(g, 5000, STREAM);
    assert_int_equal(send(host, bytes, sizeof(bytes), 0), sizeof(bytes));
    assert_int_equal(drain(g, 5000, &others), 1000);
    g->forwarded = 1001; /* more than was sent */
    guest_say(g, OP(CREDIT_UPDATE), 5000);
    g->room = 0;
    guest_say(g, OP(CREDIT_UPDATE), 5000);
    assert_int_equal(drain(g, 5000, &others), 0);
    g->room = UINT32_MAX;
    g->forwarded = 1000;
    guest_say(g, OP(CREDIT_UPDATE), 5000);
    assert_int_equal(drain(g, 5000, &others), GUEST_ROOM - 1000);
    close(host);
}

/* How many bytes the guest may send until it hears of room again. */
static size_t until_update(struct guest *g, int host, uint32_t port)
{
    uint8_t bytes[900] = {0}, got[1000];
    for (size_t sent = 0;;) {
        guest_write(g, port, bytes, sizeof(bytes));
        sent += sizeof(bytes);
        assert_int_equal(recv(host, got, sizeof(got), MSG_DONTWAIT), sizeof(bytes));
        if (frontend_answered(&g->f.q[RX]))
            return sent;
        assert_true(sent < VSOCK_ROOM);
    }
}

/* A guest limits itself by its own room too, and waits without a word: it hears in time. */
static void test_our_credit(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    size_t n = until_update(g, host, 5000);
    assert_true(n >= GUEST_ROOM / 2 && n <= GUEST_ROOM);
    guest_expect(g, OP(CREDIT_UPDATE), 5000);
    assert_int_equal(g->got.forwarded, n);
    assert_int_equal(g->got.room, VSOCK_ROOM);
    g->room = 2 * VSOCK_ROOM;
    guest_say(g, OP(CREDIT_REQUEST), 5000);
    guest_expect(g, OP(CREDIT_UPDATE), 5000);
    n = until_update(g, host, 5000);
    assert_true(n >= VSOCK_ROOM / 2 && n < VSOCK_ROOM / 2 + 900);
    guest_expect(g, OP(CREDIT_UPDATE), 5000);
    guest_expect_nothing(g);
    close(host);
}

/* What the host does not read waits, up to the room; a guest that sends more loses the connection.
 */
static void test_too_much(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    g->room = 2 * VSOCK_ROOM;
    g->buffer = 4096;
    int host = guest_connect(g, 5000, STREAM), other = guest_connect(g, 5001, STREAM);
    for (unsigned i = 0; i < VSOCK_ROOM / 1024; i++)
        guest_write_large(g, 5000, 1024);
    guest_expect_nothing(g);
    guest_write(g, 5001, "fine", 4); /* the other does not wait for it */
    host_expect(other, "fine", 4);
    for (unsigned i = 0; i < 64; i++) /* the socket's buffer had some */
        guest_write_large(g, 5000, 1024);
    guest_expect(g, OP(RST), 5000);
    guest_write(g, 5001, "fine", 4);
    host_expect(other, "fine", 4);
    close(host);
    close(other);
}

/* All of them together may make us keep so much. */
static void test_much_too_much(void **state)
{
    struct guest *g = *state;
    static int hosts[VSOCK_KEPT_MAX / VSOCK_ROOM + 10];
    unsigned n = sizeof(hosts) / sizeof(*hosts), resets = 0;
    fd_raise_limit();
    guest_start(g);
    g->room = 2 * VSOCK_ROOM;
    g->buffer = 4096;
    for (unsigned i = 0; i < n; i++)
        hosts[i] = guest_connect(g, i, STREAM);
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < 4; k++)
            guest_write_large(g, i, VSOCK_ROOM / 4);
        drain(g, i, &resets);
    }
    assert_true(resets > 0);
    for (unsigned i = 0; i < n; i++)
        close(hosts[i]);
}

/* Without buffers nothing is read, nothing is lost, and the loop sleeps. */
static void test_no_buffers(void **state)
{
    struct guest *g = *state;
    uint8_t bytes[5000];
    fill_pattern(bytes, sizeof(bytes), 2);
    frontend_negotiate(&g->f, FRONTEND_FEATURES);
    frontend_start(&g->f);
    guest_say(g, OP(REQUEST), 5000);
    int host = g->host;
    assert_int_equal(send(host, bytes, sizeof(bytes), 0), sizeof(bytes));
    turn_times(g->loop, 5);
    guest_post(g, 1);
    guest_expect(g, OP(RESPONSE), 5000); /* and posts one each time */
    for (size_t at = 0; at < sizeof(bytes); at += g->got.size) {
        guest_expect(g, OP(RW), 5000);
        assert_int_equal(g->got.size,
                         sizeof(bytes) - at < BUFFER_ROOM ? sizeof(bytes) - at : BUFFER_ROOM);
        assert_memory_equal(g->data, bytes + at, g->got.size);
    }
    close(host);
}

/* A guest that cannot be refused anything is not listened to until it can. */
static void test_no_buffers_for_refusals(void **state)
{
    struct guest *g = *state;
    frontend_negotiate(&g->f, FRONTEND_FEATURES);
    frontend_start(&g->f);
    for (uint32_t port = 0; port < VSOCK_INBOX_REFUSALS_MAX; port++)
        guest_say(g, OP(CREDIT_UPDATE), port);
    uint8_t header[VSOCK_HEADER_SIZE];
    struct vsock_packet p = guest_packet(g, OP(CREDIT_UPDATE), 1000);
    vsock_packet_encode(&p, header);
    frontend_put(&g->f, TX, header, sizeof(header), 0);
    frontend_kick(&g->f, TX);
    turn_times(g->loop, 5);
    assert_false(frontend_answered(&g->f.q[TX]));
    guest_post(g, 1);
    for (uint32_t port = 0; port < VSOCK_INBOX_REFUSALS_MAX; port++)
        guest_expect(g, OP(RST), port);
    guest_expect(g, OP(RST), 1000);
    assert_true(frontend_answered(&g->f.q[TX]));
}

/* Of two that have much to say, each gets its turn when buffers are few. */
static void test_turns(void **state)
{
    struct guest *g = *state;
    static uint8_t bytes[60000];
    size_t got[2] = {0};
    frontend_negotiate(&g->f, FRONTEND_FEATURES);
    frontend_start(&g->f);
    g->room = sizeof(bytes);
    guest_post(g, 2);
    int hosts[2] = {guest_connect(g, 0, STREAM), guest_connect(g, 1, STREAM)};
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(send(hosts[i], bytes, sizeof(bytes), 0), sizeof(bytes));
    for (unsigned i = 0; i < 60; i++) {
        uint32_t written;
        struct vsock_packet p;
        unsigned slot = frontend_take(&g->f, RX, &written);
        vsock_packet_decode(frontend_answer(&g->f, RX, slot), &p);
        assert_int_equal(p.op, OP(RW));
        got[p.dst_port] += p.size;
        guest_post(g, 1);
    }
    assert_true(got[0] > 60 * BUFFER_ROOM / 4 && got[1] > 60 * BUFFER_ROOM / 4);
    close(hosts[0]);
    close(hosts[1]);
}

/* Buffers that are too small, and a ringful of them. */
static void test_bad_buffers(void **state)
{
    struct guest *g = *state;
    uint32_t written;
    frontend_negotiate(&g->f, FRONTEND_FEATURES);
    frontend_start(&g->f);
    frontend_put(&g->f, RX, "", 0, VSOCK_HEADER_SIZE);
    frontend_put(&g->f, RX, "", 0, 0);
    guest_post(g, 1);
    guest_say(g, OP(REQUEST), 5000);
    frontend_take(&g->f, RX, &written);
    assert_int_equal(written, 0);
    frontend_take(&g->f, RX, &written);
    assert_int_equal(written, 0);
    guest_expect(g, OP(RESPONSE), 5000);
    close(g->host);
}

static bool was_called(void *user)
{
    struct guest *g = user;
    uint64_t n;
    return read(g->f.q[TX].call, &n, sizeof(n)) == sizeof(n);
}

/* The guest hears that its packets were taken: of much at once, of little in the end. */
static void test_notifications(void **state)
{
    struct guest *g = *state;
    uint32_t written;
    guest_start(g);
    g->room = 2 * VSOCK_ROOM;
    int host = guest_connect(g, 5000, STREAM);
    was_called(g);
    guest_put_large(g, 5000, 1);
    turn_until(g->loop, was_called, g);
    frontend_take(&g->f, TX, &written);
    guest_put_large(g, 5000, 60000);
    turn_until(g->loop, frontend_answered, &g->f.q[TX]);
    assert_true(was_called(g));
    frontend_take(&g->f, TX, &written);
    guest_put_large(g, 5000, 1);
    turn_until(g->loop, frontend_answered, &g->f.q[TX]);
    frontend_get_base(&g->f, TX); /* the queue stops */
    assert_true(was_called(g));
    close(host);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_guest_credit),
        TEST(test_guest_lies),
        TEST(test_our_credit),
        TEST(test_too_much),
        TEST(test_much_too_much),
        TEST(test_no_buffers),
        TEST(test_no_buffers_for_refusals),
        TEST(test_turns),
        TEST(test_bad_buffers),
        TEST(test_notifications),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
