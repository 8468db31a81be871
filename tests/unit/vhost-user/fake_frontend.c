/* SPDX-License-Identifier: MIT */
/* fake_frontend: everything that it asks for is acknowledged before it goes on, so that a test
 * knows what the device has seen. */
#include "tests/unit/vhost-user/fake_frontend.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "common/base/fd.h"

uint8_t *gpa(struct fake_frontend *f, uint64_t address)
{
    return address >= RAM_HIGH_GPA ? f->ram + RAM_REGION + (address - RAM_HIGH_GPA)
                                   : f->ram + (address - RAM_LOW_GPA);
}

void frontend_send(struct fake_frontend *f, uint32_t request, uint32_t flags, const void *payload,
                   uint32_t size, const int *fds, unsigned n_fds)
{
    uint32_t words[3] = {request, VHOST_USER_VERSION | flags, size};
    union {
        char bytes[CMSG_SPACE(16 * sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec iov[2] = {{words, sizeof(words)}, {(void *)payload, size}};
    struct msghdr m = {.msg_iov = iov, .msg_iovlen = 2};
    if (n_fds) {
        m.msg_control = control.bytes;
        m.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&m);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
    }
    assert_int_equal(sendmsg(f->socket, &m, MSG_NOSIGNAL), sizeof(words) + size);
}

static bool frontend_readable(void *user)
{
    struct fake_frontend *f = user;
    uint8_t byte;
    return recv(f->socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

uint32_t frontend_receive(struct fake_frontend *f, uint32_t request, void *payload, uint32_t room)
{
    uint32_t words[3];
    turn_until(f->loop, frontend_readable, f);
    ssize_t n = recv(f->socket, words, sizeof(words), MSG_WAITALL);
    if (n == 0)
        return 0;
    assert_int_equal(n, sizeof(words));
    assert_int_equal(words[0], request);
    assert_int_equal(words[1], VHOST_USER_VERSION | VHOST_USER_REPLY);
    assert_true(words[2] <= room);
    if (words[2])
        assert_int_equal(recv(f->socket, payload, words[2], MSG_WAITALL), words[2]);
    return words[2];
}

uint64_t frontend_get(struct fake_frontend *f, uint32_t request)
{
    uint64_t value = 0;
    frontend_send(f, request, 0, NULL, 0, NULL, 0);
    assert_int_equal(frontend_receive(f, request, &value, sizeof(value)), 8);
    return value;
}

int frontend_try(struct fake_frontend *f, uint32_t request, const void *payload, uint32_t size,
                 const int *fds, unsigned n_fds)
{
    uint64_t value = 0;
    frontend_send(f, request, VHOST_USER_NEED_REPLY, payload, size, fds, n_fds);
    return frontend_receive(f, request, &value, sizeof(value)) == 0 ? -1 : (int)value;
}

void frontend_set_u64(struct fake_frontend *f, uint32_t request, uint64_t value)
{
    frontend_set(f, request, &value, sizeof(value), NULL, 0);
}

void frontend_set_state(struct fake_frontend *f, uint32_t request, uint32_t index, uint32_t value)
{
    struct vhost_user_state s = {index, value};
    frontend_set(f, request, &s, sizeof(s), NULL, 0);
}

uint32_t frontend_get_base(struct fake_frontend *f, uint32_t index)
{
    struct vhost_user_state s = {index, 0};
    frontend_send(f, VHOST_USER_GET_VRING_BASE, 0, &s, sizeof(s), NULL, 0);
    assert_int_equal(frontend_receive(f, VHOST_USER_GET_VRING_BASE, &s, sizeof(s)), sizeof(s));
    assert_int_equal(s.index, index);
    return s.value;
}

void frontend_set_memory(struct fake_frontend *f)
{
    struct {
        uint32_t n, zero;
        struct vhost_user_region r[2];
    } table = {
        .n = 2,
        .r = {{RAM_LOW_GPA, RAM_REGION, RAM_LOW_UADDR, 0},
              {RAM_HIGH_GPA, RAM_REGION, RAM_HIGH_UADDR, RAM_REGION}},
    };
    const int fds[2] = {f->ram_fd, f->ram_fd};
    frontend_set(f, VHOST_USER_SET_MEM_TABLE, &table, sizeof(table), fds, 2);
}

void frontend_negotiate(struct fake_frontend *f, uint64_t features)
{
    f->features = features;
    assert_int_equal(frontend_get(f, VHOST_USER_GET_FEATURES) & features, features);
    uint64_t protocol = frontend_get(f, VHOST_USER_GET_PROTOCOL_FEATURES);
    assert_true(protocol & FEATURE(VHOST_USER_PROTOCOL_F_REPLY_ACK));
    frontend_send(f, VHOST_USER_SET_PROTOCOL_FEATURES, 0, &protocol, sizeof(protocol), NULL, 0);
    frontend_send(f, VHOST_USER_SET_OWNER, 0, NULL, 0, NULL, 0);
    frontend_set_u64(f, VHOST_USER_SET_FEATURES, features);
}

void frontend_start_queue(struct fake_frontend *f, unsigned i, uint16_t base, bool fresh)
{
    struct frontend_queue *q = &f->q[i];
    uint8_t *at = f->ram + i * Q_STRIDE;
    struct vhost_user_addr addr = {
        .index = i,
        .desc = RAM_LOW_UADDR + i * Q_STRIDE,
        .avail = RAM_LOW_UADDR + i * Q_STRIDE + Q_AVAIL,
        .used = RAM_LOW_UADDR + i * Q_STRIDE + Q_USED,
    };
    uint64_t index = i;
    q->desc = (void *)at;
    q->avail = (void *)(at + Q_AVAIL);
    q->used = (void *)(at + Q_USED);
    if (fresh) {
        memset(at, 0, Q_IN);
        q->seen = 0;
        q->slot = 0;
    }
    fd_close(q->kick);
    fd_close(q->call);
    q->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    q->call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    frontend_set(f, VHOST_USER_SET_VRING_CALL, &index, 8, &q->call, 1);
    frontend_set_state(f, VHOST_USER_SET_VRING_NUM, i, RING_SIZE);
    frontend_set_state(f, VHOST_USER_SET_VRING_BASE, i, base);
    frontend_set(f, VHOST_USER_SET_VRING_ADDR, &addr, sizeof(addr), NULL, 0);
    frontend_set(f, VHOST_USER_SET_VRING_KICK, &index, 8, &q->kick, 1);
    frontend_set_state(f, VHOST_USER_SET_VRING_ENABLE, i, 1);
}

void frontend_start(struct fake_frontend *f)
{
    frontend_set_memory(f);
    for (unsigned i = 0; i < f->n_queues; i++)
        frontend_start_queue(f, i, 0, true);
}

void frontend_was_closed(void *user, int reason)
{
    struct fake_frontend *f = user;
    f->closed = true;
    f->closed_reason = reason;
}

bool frontend_is_closed(void *user)
{
    return ((struct fake_frontend *)user)->closed;
}

void frontend_connect(struct fake_frontend *f)
{
    int ends[2];
    make_sockets(ends, 0);
    f->closed = false;
    f->socket = ends[0];
    assert_int_equal(f->connect(f->device, ends[1], frontend_was_closed, f), 0);
}

void frontend_init(struct fake_frontend *f, struct loop *loop, unsigned n_queues,
                   frontend_connect_fn *connect, void *device)
{
    assert_true(n_queues <= FRONTEND_QUEUES_MAX);
    *f = (struct fake_frontend){
        .loop = loop, .connect = connect, .device = device, .n_queues = n_queues, .socket = -1};
    for (unsigned i = 0; i < n_queues; i++)
        f->q[i].kick = f->q[i].call = -1;
    f->ram_fd = fd_memfd("ram", 2 * RAM_REGION);
    /* As QEMU's memory-backend-memfd does: without it there are no udmabufs. */
    assert_int_equal(fcntl(f->ram_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    f->ram = mmap(NULL, 2 * RAM_REGION, PROT_READ | PROT_WRITE, MAP_SHARED, f->ram_fd, 0);
    frontend_connect(f);
}

void frontend_finish(struct fake_frontend *f)
{
    for (unsigned i = 0; i < f->n_queues; i++) {
        fd_close(f->q[i].kick);
        fd_close(f->q[i].call);
    }
    fd_close(f->socket);
    fd_close(f->ram_fd);
    munmap(f->ram, 2 * RAM_REGION);
}

unsigned frontend_put(struct fake_frontend *f, unsigned i, const void *request, size_t size,
                      size_t room)
{
    struct frontend_queue *q = &f->q[i];
    unsigned slot = q->slot++ % SLOTS;
    uint64_t base = RAM_LOW_GPA + i * Q_STRIDE;
    assert_true(size <= SLOT_IN && room <= SLOT_OUT);
    memcpy(gpa(f, base + Q_IN + slot * SLOT_IN), request, size);
    memset(gpa(f, base + Q_OUT + slot * SLOT_OUT), 0, SLOT_OUT);
    q->desc[2 * slot] = (struct vring_desc){base + Q_IN + slot * SLOT_IN, (uint32_t)size,
                                            room ? VRING_DESC_F_NEXT : 0, (uint16_t)(2 * slot + 1)};
    q->desc[2 * slot + 1] =
        (struct vring_desc){base + Q_OUT + slot * SLOT_OUT, (uint32_t)room, VRING_DESC_F_WRITE, 0};
    q->avail->ring[q->avail->idx % RING_SIZE] = (uint16_t)(2 * slot);
    __atomic_store_n(&q->avail->idx, (uint16_t)(q->avail->idx + 1), __ATOMIC_RELEASE);
    return slot;
}

void frontend_kick(struct fake_frontend *f, unsigned i)
{
    uint64_t one = 1;
    assert_int_equal(write(f->q[i].kick, &one, sizeof(one)), sizeof(one));
}

bool frontend_answered(void *queue)
{
    struct frontend_queue *q = queue;
    return __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) != q->seen;
}

unsigned frontend_take(struct fake_frontend *f, unsigned i, uint32_t *ret_written)
{
    struct frontend_queue *q = &f->q[i];
    turn_until(f->loop, frontend_answered, q);
    struct vring_used_elem e = q->used->ring[q->seen++ % RING_SIZE];
    q->avail->ring[RING_SIZE] = q->seen; /* tell me of the next */
    *ret_written = e.len;
    return e.id / 2;
}

uint8_t *frontend_answer(struct fake_frontend *f, unsigned i, unsigned slot)
{
    return gpa(f, RAM_LOW_GPA + i * Q_STRIDE + Q_OUT + slot * SLOT_OUT);
}
