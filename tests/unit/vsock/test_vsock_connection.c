/* SPDX-License-Identifier: MIT */
/* Connections are made and refused, in both directions, and whoever breaks a rule loses one. */
#include "tests/unit/vsock/vsock_guest.h"

#include <errno.h>

#include "common/base/fd.h"
#include "host-proxy/vsock/vsock-connection.h"

static void test_guest_to_host(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    assert_int_equal(g->asked_port, 1100);
    assert_int_equal(g->asked_guest_port, 5000);
    assert_int_equal(g->asked_type, STREAM);
    assert_int_equal(g->got.room, VSOCK_ROOM);
    guest_write(g, 5000, "hello", 5);
    host_expect(host, "hello", 5);
    assert_int_equal(send(host, "welcome", 7, 0), 7);
    guest_expect(g, OP(RW), 5000);
    assert_memory_equal(g->data, "welcome", 7);
    assert_int_equal(g->got.size, 7);
    assert_int_equal(g->got.forwarded, 5);
    close(host);
}

/* Two of one host port, and two of one guest port, are different ones. */
static void test_pairs(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int a = guest_connect(g, 1, STREAM), b = guest_connect(g, 2, STREAM);
    struct vsock_packet p = guest_packet(g, OP(REQUEST), 1);
    p.dst_port = 1101;
    guest_send(g, p, NULL, 0);
    guest_expect(g, OP(RESPONSE), 1);
    assert_int_equal(g->got.src_port, 1101);
    guest_write(g, 1, "a", 1);
    guest_write(g, 2, "b", 1);
    p.op = OP(RW);
    p.size = 1;
    guest_send(g, p, "c", 1);
    host_expect(a, "a", 1);
    host_expect(b, "b", 1);
    host_expect(g->host, "c", 1);
    close(a);
    close(b);
    close(g->host);
}

static void test_refused(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    g->refuse = -ECONNREFUSED;
    guest_say(g, OP(REQUEST), 5000);
    guest_expect(g, OP(RST), 5000);
    assert_int_equal(g->got.src_port, 1100);
    g->refuse = 0;
    close(guest_connect(g, 5000, STREAM));
}

/* Everything of a connection that is none is answered by RST, but an RST. */
static void test_unknown(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    for (uint16_t op = OP(RESPONSE); op <= OP(CREDIT_REQUEST); op++) {
        struct vsock_packet p = guest_packet(g, op, 5000);
        p.flags = VSOCK_SHUT_BOTH;
        guest_send(g, p, NULL, 0);
        if (op != OP(RST))
            guest_expect(g, OP(RST), 5000);
        guest_expect_nothing(g);
    }
}

/* Nobody hears of these, and nothing is harmed by them. */
static void test_dropped(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    struct vsock_packet p = guest_packet(g, OP(RW), 5000);
    p.size = 1;
    p.src_cid = GUEST_CID + 1;
    guest_send(g, p, "x", 1);
    p = guest_packet(g, OP(RW), 5000);
    p.size = 1;
    p.dst_cid = 3;
    guest_send(g, p, "x", 1);
    p.op = OP(REQUEST);
    p.src_port = 5001;
    g->asked_port = 0;
    guest_send(g, p, "x", 1);
    assert_int_equal(g->asked_port, 0);
    unsigned slot = frontend_put(&g->f, TX, "short", 5, 0);
    uint32_t written;
    frontend_kick(&g->f, TX);
    assert_int_equal(frontend_take(&g->f, TX, &written), slot);
    guest_expect_nothing(g);
    host_expect_nothing(host);
    guest_write(g, 5000, "y", 1);
    host_expect(host, "y", 1);
    close(host);
}

/* Breaks @p's rule on a connection: both sides lose it, others do not. */
static void check_broken(struct guest *g, struct vsock_packet p)
{
    int other = guest_connect(g, 4000, STREAM);
    int host = guest_connect(g, 5000, STREAM);
    guest_send(g, p, NULL, 0);
    guest_expect(g, OP(RST), 5000);
    host_expect_end(host);
    close(host);
    guest_write(g, 4000, "z", 1);
    host_expect(other, "z", 1);
    guest_say(g, OP(RST), 4000);
    host_expect_end(other);
    close(other);
    guest_expect_nothing(g);
}

static void test_rules(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    struct vsock_packet p = guest_packet(g, OP(RW), 5000);
    p.type = SEQPACKET;
    check_broken(g, p); /* another type than the connection's */
    p.type = 9;
    check_broken(g, p); /* no type */
    p = guest_packet(g, 99, 5000);
    check_broken(g, p); /* no operation */
    p = guest_packet(g, OP(RW), 5000);
    p.size = 1;
    check_broken(g, p);                                   /* more than there is */
    check_broken(g, guest_packet(g, OP(RESPONSE), 5000)); /* nobody has asked */
    check_broken(g, guest_packet(g, OP(REQUEST), 5000));  /* it is there already */
    check_broken(g, guest_packet(g, OP(SHUTDOWN), 5000)); /* of what? */
}

static void test_write_after_shutdown(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    guest_shut(g, 5000, VSOCK_SHUT_SEND);
    host_expect_end(host);
    guest_write(g, 5000, "x", 1);
    guest_expect(g, OP(RST), 5000);
    close(host);
}

/* The host asks: the guest's port accepts. */
static void test_ask(void **state)
{
    struct guest *g = *state;
    int ends[2];
    make_sockets(ends, 0);
    assert_int_equal(vsock_device_ask(g->device, 22, ends[1]), -ENOTCONN);
    host_expect_end(ends[0]);
    close(ends[0]);

    guest_start(g);
    make_sockets(ends, 0);
    assert_int_equal(vsock_device_ask(g->device, 22, ends[1]), 0);
    assert_int_equal(send(ends[0], "early", 5, 0), 5);
    guest_expect(g, OP(REQUEST), 22);
    uint32_t port = g->got.src_port;
    guest_expect_nothing(g); /* nothing is sent before it has accepted */
    struct vsock_packet p = guest_packet(g, OP(RESPONSE), 22);
    p.dst_port = port;
    guest_send(g, p, NULL, 0);
    char line[32];
    snprintf(line, sizeof(line), "OK %u\n", port);
    host_expect(ends[0], line, strlen(line));
    guest_expect(g, OP(RW), 22);
    assert_memory_equal(g->data, "early", 5);
    p.op = OP(RW);
    p.size = 2;
    guest_send(g, p, "hi", 2);
    host_expect(ends[0], "hi", 2);

    /* Another one has another port. */
    int more[2];
    make_sockets(more, 0);
    assert_int_equal(vsock_device_ask(g->device, 22, more[1]), 0);
    guest_expect(g, OP(REQUEST), 22);
    assert_int_not_equal(g->got.src_port, port);
    /* The guest refuses. */
    p = guest_packet(g, OP(RST), 22);
    p.dst_port = g->got.src_port;
    guest_send(g, p, NULL, 0);
    host_expect_end(more[0]);
    close(more[0]);
    close(ends[0]);
}

/* Whoever hangs up while the guest thinks, and packets that do not fit to that. */
static void test_ask_state(void **state)
{
    struct guest *g = *state;
    int ends[2];
    guest_start(g);
    for (unsigned i = 0; i < 2; i++) {
        make_sockets(ends, 0);
        assert_int_equal(vsock_device_ask(g->device, 22, ends[1]), 0);
        guest_expect(g, OP(REQUEST), 22);
        struct vsock_packet p = guest_packet(g, i ? OP(RW) : OP(SHUTDOWN), 22);
        p.dst_port = g->got.src_port;
        p.flags = VSOCK_SHUT_BOTH;
        guest_send(g, p, NULL, 0);
        guest_expect(g, OP(RST), 22);
        host_expect_end(ends[0]);
        close(ends[0]);
    }
}

/* Another VM has to accept before the guest hears that, and what it says then is the guest's. */
static void test_other_vm(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    g->asks = true;
    guest_say(g, OP(REQUEST), 5000);
    guest_expect_nothing(g);
    assert_int_equal(send(g->host, "OK 10", 5, 0), 5);
    guest_expect_nothing(g);
    assert_int_equal(send(g->host, "73\nhello", 8, 0), 8);
    guest_expect(g, OP(RESPONSE), 5000);
    guest_expect(g, OP(RW), 5000);
    assert_int_equal(g->got.size, 5);
    assert_memory_equal(g->data, "hello", 5);
    guest_write(g, 5000, "hi", 2);
    host_expect(g->host, "hi", 2);
    close(g->host);
}

/* It refuses, or says something else, or the guest does not wait. */
static void test_other_vm_refuses(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    g->asks = true;
    guest_say(g, OP(REQUEST), 1);
    close(g->host);
    guest_expect(g, OP(RST), 1);
    guest_say(g, OP(REQUEST), 2);
    assert_int_equal(send(g->host, "NO\n", 3, 0), 3);
    guest_expect(g, OP(RST), 2);
    assert_true(recv(g->host, &(char){0}, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET);
    close(g->host);
    static const uint16_t ops[] = {OP(RW), OP(SHUTDOWN), OP(RESPONSE), OP(REQUEST)};
    for (unsigned i = 0; i < 4; i++) {
        guest_say(g, OP(REQUEST), 3 + i);
        struct vsock_packet p = guest_packet(g, ops[i], 3 + i);
        p.flags = ops[i] == OP(SHUTDOWN) ? VSOCK_SHUT_BOTH : 0;
        guest_send(g, p, NULL, 0);
        guest_expect(g, OP(RST), 3 + i);
        host_expect_end(g->host);
        close(g->host);
    }
    guest_say(g, OP(REQUEST), 9);
    guest_say(g, OP(RST), 9);
    host_expect_end(g->host);
    close(g->host);
    guest_expect_nothing(g);
}

static void test_driver_starts_anew(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    frontend_set(&g->f, VHOST_USER_RESET_DEVICE, NULL, 0, NULL, 0);
    host_expect_end(host);
    close(host);
    frontend_start(&g->f);
    guest_post(g, GUEST_BUFFERS);
    close(guest_connect(g, 5000, STREAM));
}

/* A VM that is paused and goes on keeps its connections. */
static void test_pause(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    uint32_t base[3];
    for (unsigned i = 0; i < 3; i++)
        base[i] = frontend_get_base(&g->f, i);
    assert_int_equal(base[RX], g->f.q[RX].seen);
    assert_int_equal(base[TX], g->f.q[TX].seen);
    assert_int_equal(send(host, "later", 5, 0), 5);
    turn_times(g->loop, 5);
    for (unsigned i = 0; i < 3; i++)
        frontend_start_queue(&g->f, i, (uint16_t)base[i], false);
    guest_expect(g, OP(RW), 5000);
    assert_memory_equal(g->data, "later", 5);
    guest_write(g, 5000, "back", 4);
    host_expect(host, "back", 4);
    close(host);
}

static void test_hypervisor_gone(void **state)
{
    struct guest *g = *state;
    guest_start(g);
    int host = guest_connect(g, 5000, STREAM);
    close(g->f.socket);
    turn_until(g->loop, frontend_is_closed, &g->f);
    host_expect_end(host);
    close(host);
    frontend_connect(&g->f);
    guest_start(g);
    close(guest_connect(g, 5000, STREAM));
}

/* So many and no more; those that are there work. */
static void test_too_many(void **state)
{
    struct guest *g = *state;
    static int hosts[VSOCK_CONNECTIONS_MAX];
    fd_raise_limit();
    guest_start(g);
    for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
        hosts[i] = guest_connect(g, i, STREAM);
    guest_say(g, OP(REQUEST), 5000);
    guest_expect(g, OP(RST), 5000);
    guest_write(g, 0, "a", 1);
    host_expect(hosts[0], "a", 1);
    guest_say(g, OP(RST), 0);
    close(hosts[0]);
    hosts[0] = guest_connect(g, 5000, STREAM);
    for (unsigned i = 0; i < VSOCK_CONNECTIONS_MAX; i++)
        close(hosts[i]);
}

static void test_config(void **state)
{
    struct guest *g = *state;
    struct {
        struct vhost_user_config c;
        uint32_t cid[2];
    } m = {.c = {.size = 8}};
    frontend_negotiate(&g->f, FRONTEND_FEATURES);
    frontend_send(&g->f, VHOST_USER_GET_CONFIG, 0, &m, sizeof(m.c) + 8, NULL, 0);
    assert_int_equal(frontend_receive(&g->f, VHOST_USER_GET_CONFIG, &m, sizeof(m)),
                     sizeof(m.c) + 8);
    assert_int_equal(m.cid[0], GUEST_CID);
    assert_int_equal(m.cid[1], 0);
}

/* Whether the log says that there is no memory. */
static bool misses_memory(void *user)
{
    char text[4096];
    ssize_t n = pread(*(int *)user, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return strstr(text, "shares no memory") != NULL;
}

/* A driver that starts while the hypervisor shares no memory: the log says what to do. */
static void test_no_memory(void **state)
{
    struct guest *g = *state;
    int log = fd_memfd("log", 0), before = dup(STDERR_FILENO);
    assert_true(log >= 0 && before >= 0);
    dup2(log, STDERR_FILENO);
    frontend_negotiate(&g->f, FRONTEND_FEATURES);
    turn_until(g->loop, misses_memory, &log);
    frontend_start(&g->f); /* now it does */
    dup2(before, STDERR_FILENO);
    close(before);
    close(log);
    guest_post(g, GUEST_BUFFERS);
    close(guest_connect(g, 5000, STREAM));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_guest_to_host),
        TEST(test_pairs),
        TEST(test_refused),
        TEST(test_unknown),
        TEST(test_dropped),
        TEST(test_rules),
        TEST(test_write_after_shutdown),
        TEST(test_ask),
        TEST(test_ask_state),
        TEST(test_other_vm),
        TEST(test_other_vm_refuses),
        TEST(test_driver_starts_anew),
        TEST(test_pause),
        TEST(test_hypervisor_gone),
        TEST(test_too_many),
        TEST(test_config),
        TEST(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
