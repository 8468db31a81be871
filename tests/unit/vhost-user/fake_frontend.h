/* SPDX-License-Identifier: MIT */
#pragma once
/* fake_frontend: a hypervisor and its guest's driver, as a device sees them: a vhost-user
 * connection, memory in two regions, and a driver that puts requests into rings. */
#include "tests/unit/turn.h"

#include <linux/virtio_ring.h>

#include "common/vhost-user/vhost-user-message.h"

#define PAGE 4096u
#define RAM_LOW_GPA 0x100000u
#define RAM_HIGH_GPA 0x100000000ull
#define RAM_LOW_UADDR 0x7f0000000000ull
#define RAM_HIGH_UADDR 0x7e0000000000ull
#define RAM_REGION (1u << 20)
#define RING_SIZE 128u
#define FEATURE(n) (1ull << (n))
#define FRONTEND_QUEUES_MAX 4
#define FRONTEND_FEATURES                                                                          \
    (FEATURE(32) | FEATURE(VHOST_USER_F_PROTOCOL_FEATURES) | FEATURE(VIRTIO_RING_F_EVENT_IDX) |    \
     FEATURE(VIRTIO_RING_F_INDIRECT_DESC))

/* In the low region, per queue: rings, requests, answers. */
enum {
    Q_STRIDE = 0x20000,
    Q_AVAIL = 0x1000,
    Q_USED = 0x2000,
    Q_IN = 0x4000,
    Q_OUT = 0x14000,
    SLOT_IN = 0x400,
    SLOT_OUT = 0x200,
    SLOTS = 48
};

struct frontend_queue {
    struct vring_desc *desc;
    struct vring_avail *avail;
    struct vring_used *used;
    uint16_t seen; /* answers taken */
    unsigned slot;
    int kick, call;
};

/* Whatever hands @fd to the device: 0 or -errno. */
typedef int frontend_connect_fn(void *device, int fd, void (*closed)(void *user, int reason),
                                void *user);

struct fake_frontend {
    struct loop *loop;
    frontend_connect_fn *connect;
    void *device;
    unsigned n_queues;
    int socket;
    int ram_fd;
    uint8_t *ram; /* of both regions */
    uint64_t features;
    struct frontend_queue q[FRONTEND_QUEUES_MAX];
    bool closed;
    int closed_reason;
};

/* Connects to @device through @connect. */
void frontend_init(struct fake_frontend *f, struct loop *loop, unsigned n_queues,
                   frontend_connect_fn *connect, void *device);
void frontend_finish(struct fake_frontend *f);
/* Again, after a connection has ended and its socket is closed. */
void frontend_connect(struct fake_frontend *f);
/* For devices: tells that the connection is gone. */
void frontend_was_closed(void *user, int reason);
bool frontend_is_closed(void *user);

void frontend_send(struct fake_frontend *f, uint32_t request, uint32_t flags, const void *payload,
                   uint32_t size, const int *fds, unsigned n_fds);
/* The answer to @request; its size. 0: the connection ended instead. */
uint32_t frontend_receive(struct fake_frontend *f, uint32_t request, void *payload, uint32_t room);
/* Sends with NEED_REPLY: 0 done, 1 failed, -1 the connection ended. */
int frontend_try(struct fake_frontend *f, uint32_t request, const void *payload, uint32_t size,
                 const int *fds, unsigned n_fds);
#define frontend_set(f, request, payload, size, fds, n_fds)                                        \
    assert_int_equal(frontend_try(f, request, payload, size, fds, n_fds), 0)
/* Requests that have a number for an answer, or are one. */
uint64_t frontend_get(struct fake_frontend *f, uint32_t request);
void frontend_set_u64(struct fake_frontend *f, uint32_t request, uint64_t value);
void frontend_set_state(struct fake_frontend *f, uint32_t request, uint32_t index, uint32_t value);
/* Stops the queue; its base. */
uint32_t frontend_get_base(struct fake_frontend *f, uint32_t index);
void frontend_negotiate(struct fake_frontend *f, uint64_t features);
void frontend_set_memory(struct fake_frontend *f);
/* Sets queue @i up: for a new driver (@base 0) its rings are empty. */
void frontend_start_queue(struct fake_frontend *f, unsigned i, uint16_t base, bool fresh);
/* Memory and all queues, for a new driver. */
void frontend_start(struct fake_frontend *f);

/* The guest's memory. */
uint8_t *gpa(struct fake_frontend *f, uint64_t address);
/* Puts a request into the ring; its slot. The answer has room for @room bytes. */
unsigned frontend_put(struct fake_frontend *f, unsigned i, const void *request, size_t size,
                      size_t room);
void frontend_kick(struct fake_frontend *f, unsigned i);
bool frontend_answered(void *queue);
/* The next answer that comes: its slot and bytes written. */
unsigned frontend_take(struct fake_frontend *f, unsigned i, uint32_t *ret_written);
/* Where the answer to a slot's request is. */
uint8_t *frontend_answer(struct fake_frontend *f, unsigned i, unsigned slot);
