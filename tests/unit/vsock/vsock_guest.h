/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock_guest: a guest's vsock driver as the device sees it, and the sockets of the host that its
 * connections reach. */
#include "tests/unit/vhost-user/fake_frontend.h"

#include "host-proxy/vsock/vsock-device.h"

#define GUEST_CID 7u
#define GUEST_ROOM 8192u /* what the guest takes in all, unless a test says another */
#define GUEST_BUFFERS 16u
#define GUEST_MESSAGE_MAX (256 << 10)              /* the largest that a host's socket takes */
#define BUFFER_ROOM (SLOT_OUT - VSOCK_HEADER_SIZE) /* data of one packet to the guest */
#define STREAM VIRTIO_VSOCK_TYPE_STREAM
#define SEQPACKET VIRTIO_VSOCK_TYPE_SEQPACKET
#define OP(name) VIRTIO_VSOCK_OP_##name

enum { RX, TX, EVENT };

struct guest {
    struct loop *loop;
    struct fake_frontend f;
    struct vsock_device *device;
    int refuse; /* what the host answers to a request: 0, or -errno */
    bool asks;  /* another VM has to say OK first */
    int buffer; /* of the sockets; 0: the default */
    int host;   /* our end of the last connection's socket */
    uint32_t asked_port, asked_guest_port;
    uint16_t asked_type;
    uint32_t room, forwarded; /* what the guest's packets say */
    struct vsock_packet got;  /* the last packet to the guest, and its data */
    uint8_t data[SLOT_OUT];
};

int guest_setup(void **state);
int guest_teardown(void **state); /* also checks that no descriptor is left */
/* The same, whose device has a record. */
struct guest *guest_create(struct vsock_record *record);
void guest_destroy(struct guest *g);
/* Another device, instead of one that is destroyed. */
void guest_create_device(struct guest *g, struct vsock_record *record);
void guest_start(struct guest *g);
/* Posts @n buffers. */
void guest_post(struct guest *g, unsigned n);

/* From guest port @port to 1100 of the host. */
struct vsock_packet guest_packet(const struct guest *g, uint16_t op, uint32_t port);
/* Sends it with @data, and waits until the device has taken it. */
void guest_send(struct guest *g, struct vsock_packet packet, const void *data, size_t size);
void guest_say(struct guest *g, uint16_t op, uint32_t port);
void guest_write(struct guest *g, uint32_t port, const void *data, size_t size);
void guest_shut(struct guest *g, uint32_t port, uint32_t flags);
/* A packet of @size data bytes (at most 64 KiB), whatever they are; its slot. */
unsigned guest_put_large(struct guest *g, uint32_t port, size_t size);
/* The same, and waits until the device has taken it. */
void guest_write_large(struct guest *g, uint32_t port, size_t size);
/* The next packet to the guest, into @got and @data; its buffer is posted again. */
void guest_take(struct guest *g, uint32_t port);
/* It has this op. */
void guest_expect(struct guest *g, uint16_t op, uint32_t port);
/* Nothing comes to the guest. */
void guest_expect_nothing(struct guest *g);
/* A stream from @port, accepted; our end of the host's socket, which is the caller's. */
int guest_connect(struct guest *g, uint32_t port, uint16_t type);

/* The host's end: bytes that come, and whether it has ended. */
void host_expect(int fd, const void *data, size_t size);
void host_expect_end(int fd);
void host_expect_nothing(int fd);
