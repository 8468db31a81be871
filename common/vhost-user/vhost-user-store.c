/* SPDX-License-Identifier: MIT */
/* vhost-user-store: owns nothing but the knowledge of what the keeper has. A descriptor is kept
 * under a new number before a snapshot has that number, and forgotten when no snapshot has it any
 * more. Which of two snapshots counts is one store.
 *
 * A queue's position is not kept: the guest's own ring has it. Whatever was taken and not given
 * back is taken again, so a device has to give back in order, and what it has done twice must be
 * as good as done once. */
#include "common/vhost-user/vhost-user-store.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_ring.h>

#include "common/base/fd.h"

#define CONNECTION "vhost"

static const char *name_of(uint32_t number, char name[KEEPER_NAME_MAX])
{
    snprintf(name, KEEPER_NAME_MAX, "%u", number);
    return name;
}

/* The number that @fd is kept by; it is kept now if it was not. 0: none, or it cannot be. */
static uint32_t store_number(struct vhost_user_store *s, int fd, uint64_t dev, uint64_t ino)
{
    char name[KEEPER_NAME_MAX];
    for (size_t i = 0; i < s->n && fd >= 0; i++) {
        if (ino ? s->kept[i].dev == dev && s->kept[i].ino == ino
                : !s->kept[i].ino && s->kept[i].fd == fd) {
            s->kept[i].used = true;
            return s->kept[i].number;
        }
    }
    if (fd < 0 || s->n == KEEPER_MAX)
        return 0;
    uint32_t number = ++s->record->next_number;
    if (keeper_keep(name_of(number, name), fd) < 0)
        return 0;
    s->kept[s->n].number = number;
    s->kept[s->n].fd = fd;
    s->kept[s->n].dev = dev;
    s->kept[s->n].ino = ino;
    s->kept[s->n++].used = true;
    return number;
}

static void forget_unused(struct vhost_user_store *s)
{
    char name[KEEPER_NAME_MAX];
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (s->kept[i].used)
            s->kept[n++] = s->kept[i];
        else
            keeper_forget(name_of(s->kept[i].number, name));
    }
    s->n = n;
}

void vhost_user_store_save(struct vhost_user_store *s, const struct vhost_user *vu)
{
    uint32_t next = s->record->current == 1 ? 2 : 1;
    struct vhost_user_snapshot *to = &s->record->snapshots[next - 1];
    assert(vu->device.n_queues <= VHOST_USER_STORE_QUEUES);
    *to = (struct vhost_user_snapshot){
        .features = vu->features,
        .protocol_features = vu->protocol_features,
        .has_protocol_features = vu->has_protocol_features,
    };
    for (size_t i = 0; i < s->n; i++)
        s->kept[i].used = false;
    if (s->record->current == 0)
        keeper_keep(CONNECTION, vu->fd);
    for (size_t i = 0; i < vu->ram.n; i++) {
        const struct guest_region *r = &vu->ram.regions[i];
        to->regions[i].region = (struct vhost_user_region){r->gpa, r->size, r->uaddr, r->offset};
        to->regions[i].number = store_number(s, r->fd, r->dev, r->ino);
    }
    to->n_regions = (uint32_t)vu->ram.n;
    for (unsigned i = 0; i < vu->device.n_queues; i++) {
        const struct vhost_user_queue *q = &vu->queues[i];
        to->queues[i].addr = (struct vhost_user_addr){.index = i,
                                                      .desc = q->vring.desc_uaddr,
                                                      .avail = q->vring.avail_uaddr,
                                                      .used = q->vring.used_uaddr};
        to->queues[i].size = q->vring.size;
        to->queues[i].base = q->base;
        to->queues[i].started = q->started;
        to->queues[i].enabled = q->enabled;
        to->queues[i].kick = store_number(s, q->kick, 0, 0);
        to->queues[i].call = store_number(s, q->vring.call, 0, 0);
        to->queues[i].error = store_number(s, q->error, 0, 0);
    }
    __atomic_store_n(&s->record->current, next, __ATOMIC_RELEASE);
    forget_unused(s);
}

void vhost_user_store_clear(struct vhost_user_store *s)
{
    __atomic_store_n(&s->record->current, 0, __ATOMIC_RELEASE);
    for (size_t i = 0; i < s->n; i++)
        s->kept[i].used = false;
    forget_unused(s);
    keeper_forget(CONNECTION);
}

int vhost_user_store_take(struct vhost_user_store *s, struct keeper *keeper)
{
    return s->record->current > 0 ? keeper_take(keeper, CONNECTION) : -1;
}

/* The descriptor of this number, the caller's, which counts as kept. */
static int retake(struct vhost_user_store *s, struct keeper *keeper, uint32_t number, bool memory)
{
    char name[KEEPER_NAME_MAX];
    struct stat st = {0};
    int fd = number ? keeper_take(keeper, name_of(number, name)) : -1;
    if (fd < 0 || s->n == KEEPER_MAX)
        return fd;
    if (memory && fstat(fd, &st) < 0)
        return fd_close(fd);
    s->kept[s->n].number = number;
    s->kept[s->n].fd = fd;
    s->kept[s->n].dev = st.st_dev;
    s->kept[s->n++].ino = memory ? st.st_ino : 0;
    return fd;
}

/* As if the frontend said it; takes @fd. */
static int say(struct vhost_user *vu, uint32_t request, const void *payload, size_t size, int fd)
{
    struct vhost_user_message m = {
        .request = request, .flags = VHOST_USER_VERSION, .size = (uint32_t)size};
    memcpy(m.payload, payload, size);
    if (fd >= 0)
        m.fds[m.n_fds++] = fd;
    int r = vhost_user_handle(vu, &m);
    vhost_user_message_clear(&m);
    return r;
}

static int say_u64(struct vhost_user *vu, uint32_t request, uint64_t value, int fd)
{
    return say(vu, request, &value, sizeof(value), fd);
}

static int say_state(struct vhost_user *vu, uint32_t request, uint32_t index, uint32_t value)
{
    const struct vhost_user_state state = {index, value};
    return say(vu, request, &state, sizeof(state), -1);
}

static int replay_regions(struct vhost_user_store *s, const struct vhost_user_snapshot *from,
                          struct vhost_user *vu, struct keeper *keeper)
{
    for (uint32_t i = 0; i < from->n_regions; i++) {
        struct {
            uint64_t zero;
            struct vhost_user_region region;
        } payload = {0, from->regions[i].region};
        int fd = retake(s, keeper, (uint32_t)from->regions[i].number, true);
        for (uint32_t k = 0; k < i && fd < 0; k++) { /* a part of a file that was there */
            if (from->regions[k].number == from->regions[i].number)
                fd = dup(vu->ram.regions[k].fd);
        }
        if (fd < 0)
            return -EBADF;
        int r = say(vu, VHOST_USER_ADD_MEM_REG, &payload, sizeof(payload), fd);
        if (r < 0 || vu->ram.n != i + 1)
            return r < 0 ? r : -EINVAL;
    }
    return 0;
}

static void replay_queue(struct vhost_user_store *s, const struct vhost_user_snapshot *from,
                         unsigned i, struct vhost_user *vu, struct keeper *keeper)
{
    const struct vring_used *used =
        guest_ram_at_uaddr(&vu->ram, from->queues[i].addr.used, sizeof(*used));
    uint32_t base = from->queues[i].base;
    int kick = retake(s, keeper, from->queues[i].kick, false);
    if (from->queues[i].size == 0)
        return;
    if (from->queues[i].started && used)
        base = __atomic_load_n(&used->idx, __ATOMIC_ACQUIRE);
    say_state(vu, VHOST_USER_SET_VRING_NUM, i, from->queues[i].size);
    say(vu, VHOST_USER_SET_VRING_ADDR, &from->queues[i].addr, sizeof(from->queues[i].addr), -1);
    say_state(vu, VHOST_USER_SET_VRING_BASE, i, base);
    int error = retake(s, keeper, from->queues[i].error, false);
    if (error >= 0)
        say_u64(vu, VHOST_USER_SET_VRING_ERR, i, error);
    if (from->queues[i].started)
        say_u64(vu, VHOST_USER_SET_VRING_KICK, i | (kick < 0 ? VHOST_USER_VRING_NO_FD : 0), kick);
    else
        fd_close(kick);
    if (vu->has_protocol_features || !from->queues[i].enabled)
        say_state(vu, VHOST_USER_SET_VRING_ENABLE, i, from->queues[i].enabled);
    /* The last: the guest may not have been told of all that it was given. */
    int call = retake(s, keeper, from->queues[i].call, false);
    if (call >= 0)
        say_u64(vu, VHOST_USER_SET_VRING_CALL, i, call);
}

int vhost_user_store_replay(struct vhost_user_store *s, struct vhost_user *vu,
                            struct keeper *keeper)
{
    const struct vhost_user_snapshot *from = &s->record->snapshots[s->record->current - 1];
    say_u64(vu, VHOST_USER_SET_FEATURES, from->features, -1);
    say_u64(vu, VHOST_USER_SET_PROTOCOL_FEATURES, from->protocol_features, -1);
    int r = replay_regions(s, from, vu, keeper);
    for (unsigned i = 0; i < vu->device.n_queues && r == 0; i++)
        replay_queue(s, from, i, vu, keeper);
    return r;
}
