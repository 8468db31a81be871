/* SPDX-License-Identifier: MIT */
/* Guests that want too much, or two things at once: what it costs is bounded, and others go on. */
#include "tests/unit/vsock/vsock_guest.h"

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/fd.h"
#include "host-proxy/vsock/vsock-connection.h"

#define MANY 20000u /* in the end, each is refused as the one before it */
#define TRIES 3000u

/* Whatever the guest has got; how many of it were resets. */
static unsigned take_all(struct guest *g)
{
    struct vsock_packet p;
    unsigned resets = 0;
    uint32_t written;
    turn_times(g->loop, 1);
    while (frontend_answered(&g->f.q[RX])) {
        unsigned slot = frontend_take(&g->f, RX, &written);
        vsock_packet_decode(frontend_answer(&g->f, RX, slot), &p);
        resets += p.op == OP(RST);
        guest_post(g, 1);
    }
    return resets;
}

static void test_very_many(void **state)
{
    struct guest *g = *state;
    static int hosts[VSOCK_CONNECTIONS_MAX];
    unsigned n = 0, resets = 0;
    fd_raise_limit();
    guest_start(g);
    int before = count_fds();
    for (unsigned i = 0; i < MANY; i++) {
        g->host = -1;
        guest_say(g, OP(REQUEST), i);
        if (g->host >= 0) {
            assert_true(n < VSOCK_CONNECTIONS_MAX);
            hosts[n++] = g->host;
        }
        resets += take_all(g);
    }
    assert_int_equal(n, VSOCK_CONNECTIONS_MAX);
    assert_int_equal(resets, MANY - VSOCK_CONNECTIONS_MAX);
    assert_true(count_fds() <= before + 2 * (int)VSOCK_CONNECTIONS_MAX);
    guest_write(g, 7, "fine", 4);
    host_expect(hosts[7], "fine", 4);
    for (unsigned i = 0; i < n; i++)
        close(hosts[i]);
    take_all(g);
    for (unsigned i = 0; i < n; i++)
        guest_say(g, OP(RST), i);
    take_all(g);
    int host = guest_connect(g, 7, STREAM); /* and there is room again */
    guest_write(g, 7, "fine", 4);
    host_expect(host, "fine", 4);
    close(host);
}

struct writer {
    uint8_t *_Atomic header; /* of the packet at hand */
    atomic_bool ends;
};

/* Another processor of the guest. */
static void *rewrite(void *user)
{
    static const uint16_t ops[] = {OP(RW),           OP(REQUEST), OP(RESPONSE), OP(SHUTDOWN),
                                   OP(RST),          0xffff,      OP(RW),       OP(CREDIT_REQUEST),
                                   OP(CREDIT_UPDATE)};
    struct writer *w = user;
    for (unsigned i = 0; !w->ends; i++) {
        uint8_t header[VSOCK_HEADER_SIZE];
        const struct vsock_packet p = {
            .src_cid = i % 7 ? GUEST_CID : 9,
            .dst_cid = i % 11 ? VSOCK_HOST_CID : 9,
            .src_port = 1 + i % 3,
            .dst_port = 1100,
            .size = i % 5 ? 100 : UINT32_MAX - i,
            .type = i % 13 ? STREAM : SEQPACKET,
            .op = ops[i % (sizeof(ops) / sizeof(*ops))],
            .flags = i,
            .room = i % 4 ? GUEST_ROOM : i,
            .forwarded = i % 8 ? 0 : i,
        };
        vsock_packet_encode(&p, header);
        uint8_t *at = w->header;
        for (unsigned k = 0; at && k < sizeof(header); k++)
            *(volatile uint8_t *)(at + k) = header[k];
    }
    return NULL;
}

/* A header is read once: what is checked is what is done. */
static void test_header_changes(void **state)
{
    struct guest *g = *state;
    struct writer writer = {.header = NULL};
    uint8_t bytes[VSOCK_HEADER_SIZE + 100] = {0};
    pthread_t thread;
    uint32_t written;
    guest_start(g);
    int other = guest_connect(g, 5000, STREAM);
    assert_int_equal(pthread_create(&thread, NULL, rewrite, &writer), 0);
    for (unsigned i = 0; i < TRIES; i++) {
        struct vsock_packet p = guest_packet(g, i % 2 ? OP(RW) : OP(REQUEST), 1 + i % 3);
        p.size = i % 2 ? 100 : 0;
        vsock_packet_encode(&p, bytes);
        g->host = -1;
        unsigned slot = frontend_put(&g->f, TX, bytes, sizeof(bytes), 0);
        writer.header = gpa(&g->f, g->f.q[TX].desc[2 * slot].addr);
        frontend_kick(&g->f, TX);
        assert_int_equal(frontend_take(&g->f, TX, &written), slot);
        if (g->host >= 0)
            close(g->host);
        take_all(g);
    }
    writer.ends = true;
    pthread_join(thread, NULL);
    guest_write(g, 5000, "fine", 4);
    host_expect(other, "fine", 4);
    close(other);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, guest_setup, guest_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_very_many),
        TEST(test_header_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
