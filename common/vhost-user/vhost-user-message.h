/* SPDX-License-Identifier: MIT */
#pragma once
/* vhost-user-message: the messages of a vhost-user frontend, as QEMU's docs/interop/vhost-user.rst
 * and vhost-user-gpu.rst define them: {u32 request, flags, size} and @size bytes, in the machine's
 * byte order. */
#include <stddef.h>
#include <stdint.h>

#define VHOST_USER_HEADER_SIZE 12
#define VHOST_USER_PAYLOAD_MAX 1024u
#define VHOST_USER_FDS_MAX 8
#define VHOST_USER_REGIONS_MAX 8 /* in one message */
#define VHOST_USER_CONFIG_MAX 256u

enum vhost_user_request {
    VHOST_USER_GET_FEATURES = 1,
    VHOST_USER_SET_FEATURES = 2,
    VHOST_USER_SET_OWNER = 3,
    VHOST_USER_RESET_OWNER = 4,
    VHOST_USER_SET_MEM_TABLE = 5,
    VHOST_USER_SET_VRING_NUM = 8,
    VHOST_USER_SET_VRING_ADDR = 9,
    VHOST_USER_SET_VRING_BASE = 10,
    VHOST_USER_GET_VRING_BASE = 11,
    VHOST_USER_SET_VRING_KICK = 12,
    VHOST_USER_SET_VRING_CALL = 13,
    VHOST_USER_SET_VRING_ERR = 14,
    VHOST_USER_GET_PROTOCOL_FEATURES = 15,
    VHOST_USER_SET_PROTOCOL_FEATURES = 16,
    VHOST_USER_GET_QUEUE_NUM = 17,
    VHOST_USER_SET_VRING_ENABLE = 18,
    VHOST_USER_SET_BACKEND_REQ_FD = 21,
    VHOST_USER_GET_CONFIG = 24,
    VHOST_USER_SET_CONFIG = 25,
    VHOST_USER_GPU_SET_SOCKET = 33,
    VHOST_USER_RESET_DEVICE = 34,
    VHOST_USER_GET_MAX_MEM_SLOTS = 36,
    VHOST_USER_ADD_MEM_REG = 37,
    VHOST_USER_REM_MEM_REG = 38,
    _VHOST_USER_REQUEST_N,
};

enum {
    VHOST_USER_VERSION = 1,
    VHOST_USER_VERSION_MASK = 3,
    VHOST_USER_REPLY = 4,
    VHOST_USER_NEED_REPLY = 8,
};

enum {
    VHOST_USER_PROTOCOL_F_MQ = 0,
    VHOST_USER_PROTOCOL_F_REPLY_ACK = 3,
    VHOST_USER_PROTOCOL_F_BACKEND_REQ = 5,
    VHOST_USER_PROTOCOL_F_CONFIG = 9,
    VHOST_USER_PROTOCOL_F_RESET_DEVICE = 13,
    VHOST_USER_PROTOCOL_F_CONFIGURE_MEM_SLOTS = 15,
};

#define VHOST_USER_F_PROTOCOL_FEATURES 30
#define VHOST_USER_VRING_INDEX_MASK 0xffu
#define VHOST_USER_VRING_NO_FD 0x100u

struct vhost_user_region {
    uint64_t gpa, size, uaddr, offset;
};

struct vhost_user_state {
    uint32_t index, value;
};

struct vhost_user_addr {
    uint32_t index, flags;
    uint64_t desc, used, avail, log;
};

struct vhost_user_config {
    uint32_t offset, size, flags; /* @size bytes follow */
};

/* A message being received. */
struct vhost_user_message {
    uint32_t request, flags, size;
    uint8_t header[VHOST_USER_HEADER_SIZE];
    uint8_t payload[VHOST_USER_PAYLOAD_MAX];
    size_t received;             /* bytes of header and payload */
    int fds[VHOST_USER_FDS_MAX]; /* owned */
    size_t n_fds;
};

/* Receives what is there of one message. 1: it is complete; 0: end of the connection; -EAGAIN;
 * -EPROTO: it is too long, of another version, or has too many descriptors; or -errno. */
int vhost_user_message_receive(struct vhost_user_message *message, int socket);
/* Closes descriptors that were not taken; ready for the next one. */
void vhost_user_message_clear(struct vhost_user_message *message);
/* The only descriptor, owned by the caller from now on, or -1 if there is none or are several. */
int vhost_user_message_take_fd(struct vhost_user_message *message);
/* Answers @request. 0 or -errno. */
int vhost_user_message_reply(int socket, uint32_t request, const void *payload, uint32_t size);
const char *vhost_user_request_name(uint32_t request);
