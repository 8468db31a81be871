/* SPDX-License-Identifier: MIT */
/* How connections end: each direction by itself, and nothing that was sent before is lost. */
#include "tests/unit/vsock/vsock_guest.h"

#include <errno.h>

#include "host-proxy/vsock/vsock-connection.h"

/* The guest sends no more, and still receives. */
static void test_guest_half_closes(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    guest_write(g, 5000, "question", 8);
    guest_shut(g, 5000, VSOCK_SHUT_SEND);
    host_expect(host, "question", 8);
    host_expect_end(host);
    assert_int_equal(send(host, "answer", 6, 0), 6);
    guest_expect(g, OP(RW), 5000);
    assert_memory_equal(g->data, "answer", 6);
    guest_shut(g, 5000, VSOCK_SHUT_RECEIVE); /* and that is all */
    guest_expect(g, OP(RST), 5000);
    guest_expect_nothing(g);
    close(host);
}

/* The host sends no more, and still receives. */
static void test_host_half_closes(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    assert_int_equal(send(host, "question", 8, 0), 8);
    shutdown(host, SHUT_WR);
    guest_expect(g, OP(RW), 5000);
    assert_memory_equal(g->data, "question", 8);
    guest_expect(g, OP(SHUTDOWN), 5000);
    assert_int_equal(g->got.flags, VSOCK_SHUT_SEND);
    guest_write(g, 5000, "answer", 6);
    host_expect(host, "answer", 6);
    guest_shut(g, 5000, VSOCK_SHUT_BOTH);
    guest_expect(g, OP(RST), 5000);
    host_expect_end(host);
    close(host);
}

/* The host is gone: the guest gets all that it sent, hears that nobody reads either, and confirms.
 */
static void test_host_closes(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    assert_int_equal(send(host, "bye", 3, 0), 3);
    close(host);
    guest_expect(g, OP(RW), 5000);
    assert_memory_equal(g->data, "bye", 3);
    guest_expect(g, OP(SHUTDOWN), 5000);
    assert_int_equal(g->got.flags, VSOCK_SHUT_BOTH);
    guest_say(g, OP(RST), 5000);
    guest_expect_nothing(g);
    close(guest_connect(g, 5000, STREAM)); /* the ports are free */
}

/* The other way to confirm. */
static void test_both_close(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    close(guest_connect(g, 5000, STREAM));
    guest_expect(g, OP(SHUTDOWN), 5000);
    guest_shut(g, 5000, VSOCK_SHUT_BOTH);
    guest_expect(g, OP(RST), 5000);
    guest_expect_nothing(g);
}

static void test_guest_writes_to_nobody(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    close(guest_connect(g, 5000, STREAM));
    guest_expect(g, OP(SHUTDOWN), 5000);
    guest_write(g, 5000, "x", 1);
    guest_expect(g, OP(RST), 5000);
    guest_expect_nothing(g);
}

/* A host that goes away with bytes unread resets. */
static void test_host_resets(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    guest_write(g, 5000, "unread", 6);
    close(host);
    guest_expect(g, OP(RST), 5000);
    guest_expect_nothing(g);
}

/* Fills @host's socket, from a guest that has @size bytes for it. */
static uint8_t *fill_host(struct guest *g, size_t size)
{
    uint8_t *bytes = malloc(size);
    fill_pattern(bytes, size, 3);
    for (size_t at = 0; at < size; at += 900)
        guest_write(g, 5000, bytes + at, size - at < 900 ? size - at : 900);
    return bytes;
}

static void read_all(struct guest *g, int host, const uint8_t *bytes, size_t size)
{
    for (size_t at = 0; at < size;) {
        uint8_t got[4096];
        ssize_t n = recv(host, got, sizeof(got), MSG_DONTWAIT);
        if (n < 0) {
            turn_times(g->loop, 2);
            continue;
        }
        assert_true(n > 0 && at + (size_t)n <= size);
        assert_memory_equal(got, bytes + at, n);
        at += (size_t)n;
    }
    turn_times(g->loop, 2);
    host_expect_end(host);
}

#define MUCH 200000u

/* A guest that has shut everything is answered when the host has got everything. */
static void test_guest_closes_with_bytes_waiting(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    g->buffer = 4096;
    g->room = VSOCK_ROOM;
    int host = guest_connect(g, 5000, STREAM);
    uint8_t *bytes = fill_host(g, MUCH);
    guest_shut(g, 5000, VSOCK_SHUT_BOTH);
    guest_expect_nothing(g);
    read_all(g, host, bytes, MUCH);
    do /* credit, before that */
        guest_take(g, 5000);
    while (g->got.op == OP(CREDIT_UPDATE));
    assert_int_equal(g->got.op, OP(RST));
    guest_expect_nothing(g);
    free(bytes);
    close(host);
}

/* One that does not wait so long, and takes the port again, loses nothing. */
static void check_impatient(struct guest *g, bool asks)
{
    guest_start(g);
    g->buffer = 4096;
    g->room = VSOCK_ROOM;
    int host = guest_connect(g, 5000, STREAM);
    uint8_t *bytes = fill_host(g, MUCH);
    guest_shut(g, 5000, VSOCK_SHUT_BOTH);
    if (!asks)
        guest_say(g, OP(RST), 5000);
    int second = guest_connect(g, 5000, STREAM);
    guest_write(g, 5000, "second", 6);
    host_expect(second, "second", 6);
    read_all(g, host, bytes, MUCH);
    guest_expect_nothing(g);
    free(bytes);
    close(host);
    close(second);
}

static void test_guest_does_not_wait(void **state)
{
    check_impatient(*state, false);
}

static void test_guest_connects_again(void **state)
{
    check_impatient(*state, true);
}

/* A reset is one, whatever waits. */
static void test_guest_resets(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    g->buffer = 4096;
    g->room = VSOCK_ROOM;
    int host = guest_connect(g, 5000, STREAM);
    uint8_t *bytes = fill_host(g, MUCH), got[MUCH];
    guest_say(g, OP(RST), 5000);
    size_t n = 0;
    for (ssize_t r; (r = recv(host, got, sizeof(got), MSG_DONTWAIT)) > 0;)
        n += (size_t)r;
    assert_true(n < MUCH);
    host_expect_end(host);
    guest_expect_nothing(g);
    free(bytes);
    close(host);
}

/* A host that is gone cannot be given what waits. */
static void test_host_closes_with_bytes_waiting(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    g->buffer = 4096;
    g->room = VSOCK_ROOM;
    int host = guest_connect(g, 5000, STREAM);
    free(fill_host(g, MUCH));
    close(host);
    guest_expect(g, OP(RST), 5000);
    guest_expect_nothing(g);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_guest_half_closes),
        TEST(test_host_half_closes),
        TEST(test_host_closes),
        TEST(test_both_close),
        TEST(test_guest_writes_to_nobody),
        TEST(test_host_resets),
        TEST(test_guest_closes_with_bytes_waiting),
        TEST(test_guest_does_not_wait),
        TEST(test_guest_connects_again),
        TEST(test_guest_resets),
        TEST(test_host_closes_with_bytes_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
