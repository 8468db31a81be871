/* SPDX-License-Identifier: MIT */
/* A guest's driver that does what the input says: packets, buffers, and whatever bytes in its rings
 * and their tables, beside a host that reads, writes and hangs up. Whatever comes, nothing is
 * touched outside of the guest's memory, no descriptor leaks, and what is kept stays bounded. */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/vhost-user/vhost-user-message.h"
#include "host-proxy/vsock/vsock-device.h"
#include "tests/support/send_fds.h"

#define CID 3u
#define RING 16u
#define QUEUES 3u
#define RAM_SIZE (64u * 4096)
#define HOSTS 8u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Per queue, at its own 16 pages: the table, both rings, and a page of memory for each entry that
 * is used, in turns. */
enum { STRIDE = 0x10000, AVAIL = 0x400, USED = 0x600, BUFFERS = 0x1000, BUFFER = 0xe00 };

struct world {
    struct loop *loop;
    struct loop_timer *timer;
    struct vsock_device *device;
    uint8_t *ram;
    int socket, kick[QUEUES];
    int hosts[HOSTS]; /* our ends; -1: none */
    unsigned next_host;
    const uint8_t *data;
    size_t left;
};

/* The next byte of the input; 0 after its end. */
static uint8_t next(struct world *w)
{
    if (w->left == 0)
        return 0;
    w->left--;
    return *w->data++;
}

static void stop(void *user)
{
    loop_stop(((struct world *)user)->loop);
}

static void turn(struct world *w)
{
    uint8_t sink[4096];
    loop_timer_arm(w->timer, 0);
    if (loop_run(w->loop) < 0)
        abort();
    while (recv(w->socket, sink, sizeof(sink), MSG_DONTWAIT) > 0)
        ;
}

static int host_connect(void *user, uint32_t port, uint16_t type, uint32_t guest_port,
                        bool *ret_asks)
{
    struct world *w = user;
    int ends[2], *mine = &w->hosts[w->next_host++ % HOSTS], small = 4096;
    (void)guest_port;
    if (port % 4 == 3)
        return -ECONNREFUSED;
    *ret_asks = port % 16 == 8;
    if (socketpair(AF_UNIX,
                   (type == VIRTIO_VSOCK_TYPE_STREAM ? SOCK_STREAM : SOCK_SEQPACKET) |
                       SOCK_NONBLOCK | SOCK_CLOEXEC,
                   0, ends) < 0)
        return -errno;
    setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    fd_close(*mine);
    *mine = ends[0];
    return ends[1];
}

static const struct vsock_device_ops host_ops = {host_connect};

static void closed(void *user, int reason)
{
    (void)user;
    (void)reason;
}

static void tell(struct world *w, uint32_t request, const void *payload, uint32_t size, int fd)
{
    uint8_t bytes[VHOST_USER_HEADER_SIZE + 64];
    const uint32_t header[3] = {request, VHOST_USER_VERSION, size};
    memcpy(bytes, header, sizeof(header));
    memcpy(bytes + sizeof(header), payload, size);
    if (send_fds(w->socket, bytes, sizeof(header) + size, &fd, fd >= 0 ? 1 : 0) < 0)
        abort();
}

static void start(struct world *w, int ram)
{
    const struct {
        uint32_t n, zero;
        struct vhost_user_region region;
    } table = {1, 0, {0, RAM_SIZE, 0, 0}};
    const uint64_t features = 1ull << 32 | 1ull << VHOST_USER_F_PROTOCOL_FEATURES |
                              1ull << VSOCK_FEATURE_SEQPACKET | 1ull << VIRTIO_RING_F_INDIRECT_DESC;
    tell(w, VHOST_USER_SET_FEATURES, &features, sizeof(features), -1);
    tell(w, VHOST_USER_SET_MEM_TABLE, &table, sizeof(table), ram);
    for (unsigned i = 0; i < QUEUES; i++) {
        const uint64_t index = i;
        const struct vhost_user_state size = {i, RING}, base = {i, 0}, on = {i, 1};
        const struct vhost_user_addr addr = {
            .index = i, .desc = i * STRIDE, .avail = i * STRIDE + AVAIL, .used = i * STRIDE + USED};
        w->kick[i] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        tell(w, VHOST_USER_SET_VRING_NUM, &size, sizeof(size), -1);
        tell(w, VHOST_USER_SET_VRING_BASE, &base, sizeof(base), -1);
        tell(w, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), -1);
        tell(w, VHOST_USER_SET_VRING_KICK, &index, sizeof(index), w->kick[i]);
        tell(w, VHOST_USER_SET_VRING_ENABLE, &on, sizeof(on), -1);
        turn(w);
    }
    turn(w);
}

/* Puts an entry of @size bytes at @at into the ring; the table may be what the input made it. */
static void put(struct world *w, unsigned queue, uint16_t flags, uint32_t size)
{
    struct vring_desc *desc = (void *)(w->ram + queue * STRIDE);
    struct vring_avail *avail = (void *)(w->ram + queue * STRIDE + AVAIL);
    uint16_t i = avail->idx % RING;
    desc[i] = (struct vring_desc){queue * STRIDE + BUFFERS + i * BUFFER, size, flags, 0};
    avail->ring[i] = i;
    __atomic_store_n(&avail->idx, (uint16_t)(avail->idx + 1), __ATOMIC_RELEASE);
}

static void kick(struct world *w, unsigned queue)
{
    const uint64_t one = 1;
    if (write(w->kick[queue], &one, sizeof(one)) < 0 && errno != EAGAIN)
        abort();
}

/* A packet whose fields are small where that gets further. */
static void send_packet(struct world *w)
{
    struct vring_avail *avail = (void *)(w->ram + STRIDE + AVAIL);
    uint8_t how = next(w);
    uint32_t bytes = next(w) * (how & 128 ? 14u : 1u);
    struct vsock_packet p = {
        .src_cid = how & 64 ? next(w) : CID,
        .dst_cid = how & 32 ? next(w) : VSOCK_HOST_CID,
        .src_port = next(w) % 16u,
        .dst_port = how & 16 ? 1u << 30 | next(w) % 16u : next(w) % 8u,
        .size = how & 8 ? (uint32_t)next(w) << 8 | next(w) : bytes,
        .type = how & 4 ? next(w) : VIRTIO_VSOCK_TYPE_STREAM + (how >> 1 & 1),
        .op = next(w) % 9u,
        .flags = next(w),
        .room = (uint32_t)next(w) << 12 | next(w),
        .forwarded = next(w),
    };
    uint8_t header[VSOCK_HEADER_SIZE];
    vsock_packet_encode(&p, header);
    memcpy(w->ram + STRIDE + BUFFERS + avail->idx % RING * BUFFER, header, sizeof(header));
    put(w, 1, 0, how & 1 ? bytes : VSOCK_HEADER_SIZE + bytes);
    kick(w, 1);
}

static void post_buffers(struct world *w)
{
    uint8_t n = next(w) % RING;
    uint32_t size = next(w) * 14u;
    while (n-- > 0)
        put(w, 0, VRING_DESC_F_WRITE, size);
    kick(w, 0);
}

static void act_as_host(struct world *w)
{
    static uint8_t bytes[20000];
    uint8_t what = next(w);
    int *fd = &w->hosts[what % HOSTS], ends[2];
    switch (what / HOSTS % 6) {
    case 0:
        if (send(*fd, bytes, next(w) * 70u, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            break;
        break;
    case 1:
        if (recv(*fd, bytes, sizeof(bytes), MSG_DONTWAIT) < 0)
            break;
        break;
    case 2:
        shutdown(*fd, SHUT_WR);
        break;
    case 3:
        shutdown(*fd, SHUT_RD);
        break;
    case 4:
        *fd = fd_close(*fd);
        break;
    default:
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0)
            abort();
        fd_close(*fd);
        *fd = ends[0];
        vsock_device_ask(w->device, next(w) % 16u, ends[1]);
    }
}

/* Whatever the guest likes in the first page of a queue: tables and rings. */
static void scribble(struct world *w)
{
    unsigned queue = next(w) % QUEUES, at = (next(w) % 8u) << 8 | next(w);
    for (uint8_t n = next(w) % 32; n > 0 && w->left > 0; n--)
        w->ram[queue * STRIDE + at++ % 0x800] = next(w);
    kick(w, queue);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int ends[2], ram = fd_memfd("ram", RAM_SIZE);
    struct world w = {.data = data, .left = size, .loop = loop_create()};
    log_init("fuzz", LOG_LEVEL_ERROR);
    w.timer = w.loop ? loop_timer_create(w.loop, stop, &w) : NULL;
    w.device = w.timer ? vsock_device_create(w.loop, CID, NULL, &host_ops, &w) : NULL;
    w.ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ram, 0);
    memset(w.hosts, -1, sizeof(w.hosts));
    if (!w.device || w.ram == MAP_FAILED ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0 ||
        vsock_device_connect(w.device, ends[1], closed, NULL) < 0)
        abort();
    w.socket = ends[0];
    start(&w, ram);
    for (unsigned actions = 0; w.left > 0 && actions < 400; actions++) {
        switch (next(&w) % 8) {
        case 0:
        case 1:
        case 2:
            send_packet(&w);
            break;
        case 3:
            post_buffers(&w);
            break;
        case 4:
        case 5:
            act_as_host(&w);
            break;
        case 6:
            scribble(&w);
            break;
        default:
            turn(&w);
        }
    }
    turn(&w);
    vsock_device_destroy(w.device);
    loop_timer_destroy(w.timer);
    loop_destroy(w.loop);
    for (unsigned i = 0; i < QUEUES; i++)
        close(w.kick[i]);
    for (unsigned i = 0; i < HOSTS; i++)
        fd_close(w.hosts[i]);
    munmap(w.ram, RAM_SIZE);
    close(w.socket);
    close(ram);
    return 0;
}
