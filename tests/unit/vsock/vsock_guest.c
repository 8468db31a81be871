/* SPDX-License-Identifier: MIT */
/* vsock_guest: one packet at a time. Buffers are posted again as soon as they have been looked at,
 * so that there are as many as a test has posted. */
#include "tests/unit/vsock/vsock_guest.h"

#include <errno.h>

#include "common/base/fd.h"

static int fds_before;

static int device_of_frontend(void *device, int fd, void (*closed)(void *user, int reason),
                              void *user)
{
    return vsock_device_connect(device, fd, closed, user);
}

static int host_connect(void *user, uint32_t port, uint16_t type, uint32_t guest_port,
                        bool *ret_asks)
{
    struct guest *g = user;
    int ends[2];
    g->asked_port = port;
    g->asked_type = type;
    g->asked_guest_port = guest_port;
    *ret_asks = g->asks;
    if (g->refuse)
        return g->refuse;
    if (type == STREAM) {
        make_sockets(ends, g->buffer);
    } else {
        int large = 2 * GUEST_MESSAGE_MAX;
        assert_int_equal(
            socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends), 0);
        assert_int_equal(setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &large, sizeof(large)), 0);
    }
    g->host = ends[0];
    return ends[1];
}

static const struct vsock_device_ops host_ops = {host_connect};

void guest_create_device(struct guest *g, struct vsock_record *record)
{
    g->device = vsock_device_create(g->loop, GUEST_CID, record, &host_ops, g);
    assert_non_null(g->device);
}

struct guest *guest_create(struct vsock_record *record)
{
    struct guest *g = calloc(1, sizeof(*g));
    g->loop = loop_create();
    g->room = GUEST_ROOM;
    guest_create_device(g, record);
    frontend_init(&g->f, g->loop, 3, device_of_frontend, g->device);
    return g;
}

int guest_setup(void **state)
{
    fds_before = count_fds();
    *state = guest_create(NULL);
    return 0;
}

void guest_destroy(struct guest *g)
{
    frontend_finish(&g->f);
    vsock_device_destroy(g->device);
    loop_destroy(g->loop);
    free(g);
}

int guest_teardown(void **state)
{
    guest_destroy(*state);
    assert_int_equal(count_fds(), fds_before);
    return 0;
}

void guest_post(struct guest *g, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        frontend_put(&g->f, RX, "", 0, SLOT_OUT);
    frontend_kick(&g->f, RX);
}

void guest_start(struct guest *g)
{
    frontend_negotiate(&g->f, FRONTEND_FEATURES | FEATURE(VSOCK_FEATURE_SEQPACKET));
    frontend_start(&g->f);
    guest_post(g, GUEST_BUFFERS);
}

struct vsock_packet guest_packet(const struct guest *g, uint16_t op, uint32_t port)
{
    return (struct vsock_packet){
        .src_cid = GUEST_CID,
        .dst_cid = VSOCK_HOST_CID,
        .src_port = port,
        .dst_port = 1100,
        .type = STREAM,
        .op = op,
        .room = g->room,
        .forwarded = g->forwarded,
    };
}

void guest_send(struct guest *g, struct vsock_packet packet, const void *data, size_t size)
{
    uint8_t bytes[SLOT_IN];
    uint32_t written;
    vsock_packet_encode(&packet, bytes);
    if (size > 0)
        memcpy(bytes + VSOCK_HEADER_SIZE, data, size);
    unsigned slot = frontend_put(&g->f, TX, bytes, VSOCK_HEADER_SIZE + size, 0);
    frontend_kick(&g->f, TX);
    assert_int_equal(frontend_take(&g->f, TX, &written), slot);
    assert_int_equal(written, 0);
}

void guest_say(struct guest *g, uint16_t op, uint32_t port)
{
    guest_send(g, guest_packet(g, op, port), NULL, 0);
}

void guest_write(struct guest *g, uint32_t port, const void *data, size_t size)
{
    struct vsock_packet p = guest_packet(g, OP(RW), port);
    p.size = (uint32_t)size;
    guest_send(g, p, data, size);
}

void guest_shut(struct guest *g, uint32_t port, uint32_t flags)
{
    struct vsock_packet p = guest_packet(g, OP(SHUTDOWN), port);
    p.flags = flags;
    guest_send(g, p, NULL, 0);
}

unsigned guest_put_large(struct guest *g, uint32_t port, size_t size)
{
    struct vsock_packet p = guest_packet(g, OP(RW), port);
    struct frontend_queue *q = &g->f.q[TX];
    uint8_t header[VSOCK_HEADER_SIZE];
    p.size = (uint32_t)size;
    vsock_packet_encode(&p, header);
    unsigned slot = frontend_put(&g->f, TX, header, sizeof(header), 0);
    q->desc[2 * slot].flags = VRING_DESC_F_NEXT;
    q->desc[2 * slot + 1] = (struct vring_desc){RAM_HIGH_GPA, (uint32_t)size, 0, 0};
    frontend_kick(&g->f, TX);
    return slot;
}

void guest_write_large(struct guest *g, uint32_t port, size_t size)
{
    uint32_t written;
    unsigned slot = guest_put_large(g, port, size);
    assert_int_equal(frontend_take(&g->f, TX, &written), slot);
}

void guest_take(struct guest *g, uint32_t port)
{
    uint32_t written;
    unsigned slot = frontend_take(&g->f, RX, &written);
    const uint8_t *at = frontend_answer(&g->f, RX, slot);
    assert_true(written >= VSOCK_HEADER_SIZE);
    vsock_packet_decode(at, &g->got);
    assert_int_equal(g->got.src_cid, VSOCK_HOST_CID);
    assert_int_equal(g->got.dst_cid, GUEST_CID);
    assert_int_equal(g->got.dst_port, port);
    assert_int_equal(g->got.size, written - VSOCK_HEADER_SIZE);
    memcpy(g->data, at + VSOCK_HEADER_SIZE, g->got.size);
    guest_post(g, 1);
}

void guest_expect(struct guest *g, uint16_t op, uint32_t port)
{
    guest_take(g, port);
    assert_int_equal(g->got.op, op);
}

void guest_expect_nothing(struct guest *g)
{
    turn_times(g->loop, 5);
    assert_false(frontend_answered(&g->f.q[RX]));
}

int guest_connect(struct guest *g, uint32_t port, uint16_t type)
{
    struct vsock_packet p = guest_packet(g, OP(REQUEST), port);
    p.type = type;
    guest_send(g, p, NULL, 0);
    guest_expect(g, OP(RESPONSE), port);
    assert_int_equal(g->got.src_port, 1100);
    assert_int_equal(g->got.type, type);
    return g->host;
}

void host_expect(int fd, const void *data, size_t size)
{
    uint8_t *got = malloc(size + 1);
    size_t n = 0;
    while (n < size) {
        ssize_t r = recv(fd, got + n, size - n, MSG_DONTWAIT);
        assert_true(r > 0);
        n += (size_t)r;
    }
    assert_memory_equal(got, data, size);
    free(got);
}

void host_expect_end(int fd)
{
    uint8_t byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), 0);
}

void host_expect_nothing(int fd)
{
    uint8_t byte;
    assert_int_equal(recv(fd, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
}
