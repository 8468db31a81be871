/* SPDX-License-Identifier: MIT */
#pragma once
/* vhost-user: one connection of a frontend: the VM's memory, its queues, and when they run. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/vhost-user/guest-ram.h"
#include "common/vhost-user/vhost-user-message.h"
#include "common/vhost-user/virtqueue.h"

struct log_subject;
struct loop;
struct loop_io;
struct vhost_user;

#define VHOST_USER_QUEUES_MAX 256u /* so many have a number in the messages */

/* What a device is, to its frontend. */
struct vhost_user_device {
    struct log_subject *subject; /* whom a line is about; borrowed, may be NULL */
    unsigned n_queues;           /* 1 to VHOST_USER_QUEUES_MAX */
    /* Another base here means a new driver. Of all queues that frontends always set up, it must be
     * the first: a reset stops those that were started before it. */
    unsigned driver_queue;
    uint64_t features;     /* its own, beside those of the transport */
    bool takes_gpu_socket; /* the frontend may hand over a display */
};

/* What a device does. Queues are told by their index. */
struct vhost_user_ops {
    /* The driver accepted these. */
    void (*features)(void *user, uint64_t features);
    /* There may be requests in the queue, which runs. */
    void (*kick)(void *user, unsigned queue);
    /* The queue stops after this call: whatever was taken from it is given back now. */
    void (*stopping)(void *user, unsigned queue);
    /* The driver starts anew; no queue runs. */
    void (*reset)(void *user);
    /* The memory was replaced; the queues are found in it again. @before is unmapped after this
     * call. */
    void (*memory)(void *user, const struct guest_ram *before);
    /* Copies the configuration space into @bytes (zeroed, @size from @offset on). NULL: it has
     * none. */
    void (*config)(void *user, uint32_t offset, void *bytes, uint32_t size);
    /* The frontend has said something that holds from now on, and has no answer yet. May be NULL.
     */
    void (*changed)(void *user);
    /* The frontend is gone: 0 or -errno. The last call, after all queues have stopped;
     * vhost_user_destroy() is fine from within. */
    void (*closed)(void *user, int reason);
};

struct vhost_user_queue {
    struct vhost_user *vu; /* that it is part of */
    struct virtqueue vring;
    struct loop_io *kick_io;
    int kick, error; /* owned */
    uint16_t base;
    bool started; /* the frontend gave a kick descriptor and has not asked for the base since */
    bool enabled;
    bool touched; /* requests have been taken since the last reset */
};

struct vhost_user {
    struct loop *loop;
    struct vhost_user_device device;
    const struct vhost_user_ops *ops;
    void *user;
    int fd; /* owned */
    struct loop_io *io;
    int display, backend_req; /* owned; held because frontends want them open */
    uint64_t features, protocol_features;
    bool has_protocol_features;
    struct guest_ram ram;
    struct vhost_user_message message;
    bool ended;
    struct vhost_user_queue queues[]; /* device.n_queues */
};

/* Takes @fd (connected). @device is copied, @ops are borrowed. NULL: errno. */
struct vhost_user *vhost_user_create(struct loop *loop, int fd,
                                     const struct vhost_user_device *device,
                                     const struct vhost_user_ops *ops, void *user);
void vhost_user_destroy(struct vhost_user *vu); /* accepts NULL */

/* The queue, if it runs. */
struct virtqueue *vhost_user_running(struct vhost_user *vu, unsigned queue);
/* The guest's ring makes no sense: tells the frontend. */
void vhost_user_queue_broken(struct vhost_user *vu, unsigned queue);
/* Handles one whole message (used by the tests). Takes the descriptors that it wants. 0 or -errno:
 * the connection ends. */
int vhost_user_handle(struct vhost_user *vu, struct vhost_user_message *message);
