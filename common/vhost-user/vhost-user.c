/* SPDX-License-Identifier: MIT */
/* vhost-user: owns the connection, the mapping of the VM's memory, and what the frontend said of
 * each queue. A queue runs when it is started (a kick descriptor came), enabled, and found in the
 * memory; the device is told before it stops, whatever the reason. What the frontends differ in:
 *
 * - Linux's virtio_uml sizes SET_MEM_TABLE always for two regions, sends the table again at each
 * probe, and only ever disables its queues, never asks for their base. Its notification descriptors
 * are pipes.
 * - QEMU stops queues with GET_VRING_BASE both when the driver resets the device and when the VM is
 * paused. After a pause it sets the same base again; another base therefore means a reset, for
 * which newer ones also send RESET_DEVICE.
 * - QEMU's vhost-user-gpu negotiates EVENT_IDX by itself. */
#include "common/vhost-user/vhost-user.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"

#define BIT(n) (1ull << (n))
#define TRANSPORT_FEATURES                                                                         \
    (BIT(VIRTIO_F_VERSION_1) | BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX))
#define PROTOCOL_FEATURES                                                                          \
    (BIT(VHOST_USER_PROTOCOL_F_MQ) | BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK) |                        \
     BIT(VHOST_USER_PROTOCOL_F_RESET_DEVICE) | BIT(VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS))

static uint64_t offered_features(const struct vhost_user *vu)
{
    return vu->device.features | TRANSPORT_FEATURES | BIT(VHOST_USER_F_PROTOCOL_FEATURES);
}

static uint64_t offered_protocol_features(const struct vhost_user *vu)
{
    return PROTOCOL_FEATURES | (vu->ops->config ? BIT(VHOST_USER_PROTOCOL_F_CONFIG) : 0);
}

static bool queue_runs(const struct vhost_user_queue *q)
{
    return q->started && q->enabled && q->vring.avail && !q->vring.broken;
}

struct virtqueue *vhost_user_running(struct vhost_user *vu, unsigned queue)
{
    assert(queue < vu->device.n_queues);
    return queue_runs(&vu->queues[queue]) ? &vu->queues[queue].vring : NULL;
}

void vhost_user_queue_broken(struct vhost_user *vu, unsigned queue)
{
    const uint64_t one = 1;
    struct vhost_user_queue *q = &vu->queues[queue];
    q->vring.broken = true;
    log_warn(vu->device.subject,
             "queue %u: the guest's ring makes no sense; it stops until the driver starts anew",
             queue);
    if (q->error >= 0 && write(q->error, &one, sizeof(one)) < 0)
        log_debug(vu->device.subject, "queue %u: cannot tell the frontend: %s", queue,
                  strerror(errno));
}

static void run_queue(struct vhost_user *vu, unsigned queue)
{
    struct vhost_user_queue *q = &vu->queues[queue];
    if (queue_runs(q)) {
        q->touched = true;
        vu->ops->kick(vu->user, queue); /* kicks may have been sent before we listened */
    }
}

static void queue_kicked(void *user, unsigned events)
{
    struct vhost_user_queue *q = user;
    unsigned queue = (unsigned)(q - q->vu->queues);
    uint64_t count;
    (void)events;
    if (q->kick >= 0 && read(q->kick, &count, sizeof(count)) < 0 && errno != EAGAIN &&
        errno != EINTR) {
        loop_io_destroy(q->kick_io);
        q->kick_io = NULL;
        log_debug(q->vu->device.subject, "queue %u: no more kicks: %s", queue, strerror(errno));
    }
    run_queue(q->vu, queue);
}

static void stop_queue(struct vhost_user *vu, unsigned queue)
{
    struct vhost_user_queue *q = &vu->queues[queue];
    if (queue_runs(q))
        vu->ops->stopping(vu->user, queue);
    q->started = false;
    loop_io_destroy(q->kick_io);
    q->kick_io = NULL;
    q->kick = fd_close(q->kick);
    q->base = q->vring.last_avail;
    virtqueue_unmap(&q->vring);
}

static void reset_device(struct vhost_user *vu)
{
    for (unsigned i = 0; i < vu->device.n_queues; i++) {
        stop_queue(vu, i);
        vu->queues[i].vring.last_avail = vu->queues[i].base = 0;
        vu->queues[i].touched = false;
    }
    vu->ops->reset(vu->user);
}

/* The frontend gave a kick descriptor: the ring is complete. */
static int start_queue(struct vhost_user *vu, unsigned queue, int fd)
{
    struct vhost_user_queue *q = &vu->queues[queue];
    if (q->started)
        stop_queue(vu, queue);
    q->kick = fd;
    if (fd >= 0) {
        q->kick_io = loop_io_create(vu->loop, fd, LOOP_READ, queue_kicked, q);
        if (!q->kick_io)
            return -ENOMEM;
    }
    q->started = true;
    if (!vu->has_protocol_features)
        q->enabled = true;
    q->vring.event_index = vu->features & BIT(VIRTIO_RING_F_EVENT_IDX);
    int r = virtqueue_map(&q->vring, &vu->ram);
    if (r < 0) {
        log_warn(vu->device.subject, "queue %u is not in the VM's memory", queue);
        return r;
    }
    virtqueue_start(&q->vring, q->base);
    run_queue(vu, queue);
    return 0;
}

/* After the memory has changed. Queues that are not in it any more do not run. */
static void replace_ram(struct vhost_user *vu, struct guest_ram *ram)
{
    struct guest_ram before = vu->ram;
    for (unsigned i = 0; i < vu->device.n_queues; i++) {
        if (queue_runs(&vu->queues[i]))
            vu->ops->stopping(vu->user, i);
    }
    vu->ram = *ram;
    for (unsigned i = 0; i < vu->device.n_queues; i++) {
        struct vhost_user_queue *q = &vu->queues[i];
        bool was_there = q->vring.avail;
        if (!q->started)
            continue;
        if (virtqueue_map(&q->vring, &vu->ram) < 0)
            log_warn(vu->device.subject, "queue %u is not in the VM's new memory", i);
        else if (!was_there)
            virtqueue_start(&q->vring, q->base);
    }
    vu->ops->memory(vu->user, &before);
    *ram = before;
}

static int set_mem_table(struct vhost_user *vu, struct vhost_user_message *m)
{
    uint32_t n;
    memcpy(&n, m->payload, sizeof(n));
    if (m->size < 8 || n == 0 || n > VHOST_USER_REGIONS_MAX || n != m->n_fds ||
        m->size < 8 + n * sizeof(struct vhost_user_region))
        return -EPROTO;
    struct guest_ram ram = {0};
    int r = 0;
    m->n_fds = 0;
    for (uint32_t i = 0; i < n; i++) {
        struct vhost_user_region region;
        memcpy(&region, m->payload + 8 + i * sizeof(region), sizeof(region));
        if (r < 0)
            fd_close(m->fds[i]);
        else
            r = guest_ram_add(&ram, region.gpa, region.size, region.uaddr, region.offset,
                              m->fds[i]);
    }
    if (r == 0) {
        replace_ram(vu, &ram);
        log_debug(vu->device.subject, "the VM has %llu MiB in %u regions",
                  (unsigned long long)(vu->ram.size >> 20), n);
        for (unsigned i = 0; i < vu->device.n_queues; i++)
            run_queue(vu, i);
    }
    guest_ram_finish(&ram); /* the one before, or what there is of the new one */
    return r;
}

/* A copy that shares nothing with the original, so that both can be unmapped. */
static int clone_ram(const struct guest_ram *from, struct guest_ram *to)
{
    int r = 0;
    *to = (struct guest_ram){0};
    for (size_t i = 0; i < from->n && r == 0; i++) {
        const struct guest_region *g = &from->regions[i];
        int fd = dup(g->fd);
        r = fd < 0 ? -errno : guest_ram_add(to, g->gpa, g->size, g->uaddr, g->offset, fd);
    }
    return r;
}

static int change_region(struct vhost_user *vu, struct vhost_user_message *m, bool add)
{
    struct vhost_user_region region;
    struct guest_ram ram;
    if (m->size != 8 + sizeof(region) || m->n_fds > 1 || (add && m->n_fds != 1))
        return -EPROTO;
    memcpy(&region, m->payload + 8, sizeof(region));
    int r = clone_ram(&vu->ram, &ram);
    if (r == 0)
        r = add ? guest_ram_add(&ram, region.gpa, region.size, region.uaddr, region.offset,
                                vhost_user_message_take_fd(m))
                : guest_ram_remove(&ram, region.gpa, region.size, region.uaddr);
    if (r == 0)
        replace_ram(vu, &ram);
    guest_ram_finish(&ram);
    return r;
}

static int set_vring_fd(struct vhost_user *vu, struct vhost_user_message *m, uint64_t value)
{
    unsigned queue = value & VHOST_USER_VRING_INDEX_MASK;
    bool none = value & VHOST_USER_VRING_NO_FD;
    if (value & ~(uint64_t)(VHOST_USER_VRING_INDEX_MASK | VHOST_USER_VRING_NO_FD) ||
        m->n_fds != (none ? 0 : 1))
        return -EPROTO;
    if (queue >= vu->device.n_queues)
        return -EINVAL;
    struct vhost_user_queue *q = &vu->queues[queue];
    int fd = vhost_user_message_take_fd(m);
    switch (m->request) {
    case VHOST_USER_SET_VRING_KICK:
        return start_queue(vu, queue, fd);
    case VHOST_USER_SET_VRING_CALL:
        fd_close(q->vring.call);
        q->vring.call = fd;
        if (queue_runs(q)) { /* whatever the old one was told may have been missed */
            q->vring.signalled_valid = false;
            virtqueue_notify(&q->vring);
        }
        return 0;
    default:
        fd_close(q->error);
        q->error = fd;
        return 0;
    }
}

static int set_vring_state(struct vhost_user *vu, uint32_t request,
                           const struct vhost_user_state *state)
{
    if (state->index >= vu->device.n_queues)
        return -EINVAL;
    struct vhost_user_queue *q = &vu->queues[state->index];
    switch (request) {
    case VHOST_USER_SET_VRING_NUM:
        if (state->value == 0 || state->value > VIRTQUEUE_SIZE_MAX ||
            state->value & (state->value - 1))
            return -EINVAL;
        stop_queue(vu, state->index);
        q->vring.size = state->value;
        return 0;
    case VHOST_USER_SET_VRING_BASE:
        if (state->value > UINT16_MAX)
            return -EINVAL;
        stop_queue(vu, state->index);
        /* All requests of a driver begin at 0. (After 65536 of them, a resumed queue looks the same
         * as a new one; then the driver counts as new, which is the safe mistake.) */
        if (state->index == vu->device.driver_queue && q->touched &&
            (state->value != q->base || state->value == 0))
            reset_device(vu);
        q->base = (uint16_t)state->value;
        q->vring.last_avail = q->base;
        return 0;
    default: /* SET_VRING_ENABLE */
        if (state->value > 1)
            return -EINVAL;
        if (!state->value && queue_runs(q))
            vu->ops->stopping(vu->user, state->index);
        q->enabled = state->value;
        run_queue(vu, state->index);
        return 0;
    }
}

static int get_config(struct vhost_user *vu, const struct vhost_user_message *m)
{
    struct vhost_user_config config;
    uint8_t reply[sizeof(config) + VHOST_USER_CONFIG_MAX] = {0};
    if (m->size < sizeof(config))
        return -EPROTO;
    memcpy(&config, m->payload, sizeof(config));
    if (!vu->ops->config || config.size > VHOST_USER_CONFIG_MAX ||
        config.offset > VHOST_USER_CONFIG_MAX - config.size ||
        m->size != sizeof(config) + config.size)
        return vhost_user_message_reply(vu->fd, m->request, NULL,
                                        0); /* the specification's way to say no */
    memcpy(reply, &config, sizeof(config));
    vu->ops->config(vu->user, config.offset, reply + sizeof(config), config.size);
    return vhost_user_message_reply(vu->fd, m->request, reply, m->size);
}

/* What each request must be made of, as far as its handler does not look itself. */
static bool well_formed(const struct vhost_user_message *m)
{
    switch (m->request) {
    case VHOST_USER_SET_MEM_TABLE:
    case VHOST_USER_ADD_MEM_REG:
    case VHOST_USER_REM_MEM_REG:
        return m->size >= 8;
    case VHOST_USER_GET_CONFIG:
    case VHOST_USER_SET_CONFIG:
        return m->n_fds == 0;
    case VHOST_USER_SET_VRING_KICK:
    case VHOST_USER_SET_VRING_CALL:
    case VHOST_USER_SET_VRING_ERR:
        return m->size == 8;
    case VHOST_USER_GPU_SET_SOCKET:
    case VHOST_USER_SET_BACKEND_REQ_FD:
        return m->n_fds == 1;
    case VHOST_USER_SET_FEATURES:
    case VHOST_USER_SET_PROTOCOL_FEATURES:
    case VHOST_USER_SET_VRING_NUM:
    case VHOST_USER_SET_VRING_BASE:
    case VHOST_USER_GET_VRING_BASE:
    case VHOST_USER_SET_VRING_ENABLE:
        return m->size == 8 && m->n_fds == 0;
    case VHOST_USER_SET_VRING_ADDR:
        return m->size == sizeof(struct vhost_user_addr) && m->n_fds == 0;
    default:
        return true;
    }
}

static int reply_u64(struct vhost_user *vu, const struct vhost_user_message *m, uint64_t value)
{
    return vhost_user_message_reply(vu->fd, m->request, &value, sizeof(value));
}

static int get_vring_base(struct vhost_user *vu, const struct vhost_user_message *m)
{
    struct vhost_user_state state;
    memcpy(&state, m->payload, sizeof(state));
    if (state.index >= vu->device.n_queues)
        return -EPROTO;
    stop_queue(vu, state.index);
    state.value = vu->queues[state.index].base;
    if (vu->ops->changed)
        vu->ops->changed(vu->user);
    return vhost_user_message_reply(vu->fd, m->request, &state, sizeof(state));
}

/* Requests that have an answer of their own. 1: it was none of these. */
static int handle_get(struct vhost_user *vu, struct vhost_user_message *m)
{
    switch (m->request) {
    case VHOST_USER_GET_FEATURES:
        return reply_u64(vu, m, offered_features(vu));
    case VHOST_USER_GET_PROTOCOL_FEATURES:
        return reply_u64(vu, m, offered_protocol_features(vu));
    case VHOST_USER_GET_QUEUE_NUM:
        return reply_u64(vu, m, vu->device.n_queues);
    case VHOST_USER_GET_MAX_MEM_SLOTS:
        return reply_u64(vu, m, GUEST_RAM_REGIONS_MAX);
    case VHOST_USER_GET_VRING_BASE:
        return get_vring_base(vu, m);
    case VHOST_USER_GET_CONFIG:
        return get_config(vu, m);
    default:
        return 1;
    }
}

static int refuse_unknown(const struct vhost_user *vu, const struct vhost_user_message *m)
{
    log_debug(vu->device.subject, "the frontend's request %u is unknown", m->request);
    return -EOPNOTSUPP;
}

static int handle_set(struct vhost_user *vu, struct vhost_user_message *m)
{
    struct vhost_user_state state;
    struct vhost_user_addr addr;
    uint64_t value;
    memcpy(&value, m->payload, sizeof(value));
    memcpy(&state, m->payload, sizeof(state));
    memcpy(&addr, m->payload, sizeof(addr));
    switch (m->request) {
    case VHOST_USER_SET_FEATURES:
        if (value & ~offered_features(vu))
            log_debug(vu->device.subject,
                      "the frontend sets features 0x%llx, some of which were not offered",
                      (unsigned long long)value);
        vu->features = value;
        vu->has_protocol_features = value & BIT(VHOST_USER_F_PROTOCOL_FEATURES);
        vu->ops->features(vu->user, value & vu->device.features);
        return 0;
    case VHOST_USER_SET_PROTOCOL_FEATURES:
        vu->protocol_features = value;
        return value & ~offered_protocol_features(vu) ? -EINVAL : 0;
    case VHOST_USER_SET_OWNER:
        return 0;
    case VHOST_USER_RESET_OWNER:
    case VHOST_USER_RESET_DEVICE:
        reset_device(vu);
        return 0;
    case VHOST_USER_SET_MEM_TABLE:
        return set_mem_table(vu, m);
    case VHOST_USER_ADD_MEM_REG:
        return change_region(vu, m, true);
    case VHOST_USER_REM_MEM_REG:
        return change_region(vu, m, false);
    case VHOST_USER_SET_VRING_NUM:
    case VHOST_USER_SET_VRING_BASE:
    case VHOST_USER_SET_VRING_ENABLE:
        return set_vring_state(vu, m->request, &state);
    case VHOST_USER_SET_VRING_ADDR:
        if (addr.index >= vu->device.n_queues)
            return -EINVAL;
        stop_queue(vu, addr.index);
        vu->queues[addr.index].vring.desc_uaddr = addr.desc;
        vu->queues[addr.index].vring.avail_uaddr = addr.avail;
        vu->queues[addr.index].vring.used_uaddr = addr.used;
        return 0;
    case VHOST_USER_SET_VRING_KICK:
    case VHOST_USER_SET_VRING_CALL:
    case VHOST_USER_SET_VRING_ERR:
        return set_vring_fd(vu, m, value);
    case VHOST_USER_SET_CONFIG: /* no device has a field that a driver needs to write */
        return vu->ops->config ? 0 : refuse_unknown(vu, m);
    case VHOST_USER_GPU_SET_SOCKET: /* nothing is displayed, but QEMU reads from it until it closes
                                       it itself */
        if (!vu->device.takes_gpu_socket)
            return refuse_unknown(vu, m);
        fd_close(vu->display);
        vu->display = vhost_user_message_take_fd(m);
        return 0;
    case VHOST_USER_SET_BACKEND_REQ_FD:
        fd_close(vu->backend_req);
        vu->backend_req = vhost_user_message_take_fd(m);
        return 0;
    default:
        return refuse_unknown(vu, m);
    }
}

int vhost_user_handle(struct vhost_user *vu, struct vhost_user_message *m)
{
    if (!well_formed(m)) {
        log_warn(vu->device.subject, "malformed %s from the frontend: %u bytes, %zu descriptors",
                 vhost_user_request_name(m->request), m->size, m->n_fds);
        return -EPROTO;
    }
    int r = handle_get(vu, m);
    if (r <= 0)
        return r;
    r = handle_set(vu, m);
    if (r == -EPROTO)
        return r;
    if (vu->ops->changed)
        vu->ops->changed(vu->user);
    if (r < 0)
        log_warn(vu->device.subject, "%s failed: %s", vhost_user_request_name(m->request),
                 strerror(-r));
    if (m->flags & VHOST_USER_NEED_REPLY &&
        vu->protocol_features & BIT(VHOST_USER_PROTOCOL_F_REPLY_ACK))
        return reply_u64(vu, m, r < 0);
    return 0;
}

static void vhost_user_end(struct vhost_user *vu, int reason)
{
    vu->ended = true;
    loop_io_destroy(vu->io);
    vu->io = NULL;
    for (unsigned i = 0; i < vu->device.n_queues; i++)
        stop_queue(vu, i);
    vu->ops->closed(vu->user, reason); /* and @vu may be gone */
}

static void vhost_user_readable(void *user, unsigned events)
{
    struct vhost_user *vu = user;
    (void)events;
    for (unsigned i = 0; i < 16 && !vu->ended; i++) {
        int r = vhost_user_message_receive(&vu->message, vu->fd);
        if (r == -EAGAIN)
            return;
        if (r == 1)
            r = vhost_user_handle(vu, &vu->message);
        else if (r == 0)
            r = 1; /* the end */
        if (r != 0) {
            vhost_user_end(vu, r < 0 ? r : 0);
            return;
        }
        vhost_user_message_clear(&vu->message);
    }
}

struct vhost_user *vhost_user_create(struct loop *loop, int fd,
                                     const struct vhost_user_device *device,
                                     const struct vhost_user_ops *ops, void *user)
{
    assert(device->n_queues >= 1 && device->n_queues <= VHOST_USER_QUEUES_MAX);
    assert(device->driver_queue < device->n_queues);
    struct vhost_user *vu = calloc(1, sizeof(*vu) + device->n_queues * sizeof(*vu->queues));
    if (!vu) {
        fd_close(fd);
        errno = ENOMEM;
        return NULL;
    }
    vu->loop = loop;
    vu->fd = fd;
    vu->device = *device;
    vu->ops = ops;
    vu->user = user;
    vu->display = vu->backend_req = -1;
    for (unsigned i = 0; i < vu->device.n_queues; i++) {
        vu->queues[i].vu = vu;
        virtqueue_init(&vu->queues[i].vring);
        vu->queues[i].kick = vu->queues[i].error = -1;
    }
    vu->io = loop_io_create(loop, fd, LOOP_READ, vhost_user_readable, vu);
    if (!vu->io) {
        vhost_user_destroy(vu);
        errno = ENOMEM;
        return NULL;
    }
    return vu;
}

void vhost_user_destroy(struct vhost_user *vu)
{
    if (!vu)
        return;
    loop_io_destroy(vu->io);
    for (unsigned i = 0; i < vu->device.n_queues; i++) {
        struct vhost_user_queue *q = &vu->queues[i];
        loop_io_destroy(q->kick_io);
        fd_close(q->kick);
        fd_close(q->error);
        virtqueue_finish(&q->vring);
    }
    vhost_user_message_clear(&vu->message);
    guest_ram_finish(&vu->ram);
    fd_close(vu->display);
    fd_close(vu->backend_req);
    fd_close(vu->fd);
    free(vu);
}
