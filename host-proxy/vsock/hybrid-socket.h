/* SPDX-License-Identifier: MIT */
#pragma once
/* hybrid-socket: which Unix sockets the guest's ports are, as Firecracker has it: PATH_N is port N
 * of the host, and who connects to PATH and says "CONNECT N" reaches port N of the guest. */
#include <stddef.h>
#include <stdint.h>

#include "host-proxy/vsock/vsock-device.h"

struct hybrid_socket;
struct loop;

enum hybrid_port_kind {
    HYBRID_SOCKET, /* a stream or a message socket, as the guest asks */
    HYBRID_HOST,   /* a listener at vsock-device:PATH, which is told of the guest's CID and port */
    HYBRID_VM,     /* a port of another VM, by that one's hybrid socket */
};

/* A port of the host that is a socket of another name. */
struct hybrid_port {
    enum hybrid_port_kind kind;
    uint32_t port;
    const char *path; /* borrowed */
    uint32_t vm_port; /* VM */
};

/* @path may be NULL: there are only the @n @ports (borrowed), for the guest with this CID. NULL:
 * errno. */
struct hybrid_socket *hybrid_socket_create(struct loop *loop, uint32_t guest_cid, const char *path,
                                           const struct hybrid_port *ports, size_t n);
/* Accepts nobody any more. Before the device goes. */
void hybrid_socket_destroy(struct hybrid_socket *hybrid); /* accepts NULL */
/* The host's ports, for a device; the hybrid socket is its @user. */
extern const struct vsock_device_ops hybrid_socket_ports;
/* Lets others ask for ports of @device's guest, if there is a path. 0 or -errno, with a message. */
int hybrid_socket_listen(struct hybrid_socket *hybrid, struct vsock_device *device, char *error,
                         size_t error_size);
