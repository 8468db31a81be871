/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock-device: the VM's virtio-vsock: its queues, and whose packet it is. */
#include <stdbool.h>
#include <stdint.h>

#include "host-proxy/vsock/vsock-packet.h"

struct loop;

struct keeper;
struct vsock_device;
struct vsock_record;

struct vsock_device_ops {
    /* The guest's port @guest_port wants a connection to the host's @port, of @type
     * (VIRTIO_VSOCK_TYPE_…). An owned, non-blocking, connected socket, or -errno: it is refused.
     * *@ret_asks, false before: an "OK PORT\n" has to come from it first, or it is refused. */
    int (*connect)(void *user, uint32_t port, uint16_t type, uint32_t guest_port, bool *ret_asks);
};

/* For a guest with this CID (above 2); @record (may be NULL) and @ops are borrowed. NULL: errno. */
struct vsock_device *vsock_device_create(struct loop *loop, uint32_t guest_cid,
                                         struct vsock_record *record,
                                         const struct vsock_device_ops *ops, void *user);
void vsock_device_destroy(struct vsock_device *device); /* accepts NULL */
/* Takes @fd, a frontend's connection; @closed is called when it is gone (0 or -errno), and with it
 * all connections. 0; -EBUSY: there is one already; or -errno. */
int vsock_device_connect(struct vsock_device *device, int fd,
                         void (*closed)(void *user, int reason), void *user);
/* Goes on where a process before this one has ended, with the frontend that it had: its connections
 * are reset, and @closed is called as above. 1; 0: it had none; or -errno. */
int vsock_device_resume(struct vsock_device *device, struct keeper *keeper,
                        void (*closed)(void *user, int reason), void *user);
/* Connects @fd (taken; non-blocking) with the guest's @port: "OK PORT\n" comes when it accepts, and
 * the end if not. 0; -ENOTCONN: there is no guest; or -errno. */
int vsock_device_ask(struct vsock_device *device, uint32_t port, int fd);
