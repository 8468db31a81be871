/* SPDX-License-Identifier: MIT */
#pragma once
/* pipewire-messages: the head of a message of PipeWire's native protocol, and the numbers of those
 * that somebody here looks into. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIPEWIRE_HEAD 16u
#define PIPEWIRE_NO_ID UINT32_MAX

struct pipewire_head {
    uint32_t id; /* of the object */
    uint8_t opcode;
    uint32_t size; /* bytes that follow */
    uint32_t seq, fds;
};

/* @bytes has PIPEWIRE_HEAD of them. */
void pipewire_head_read(const uint8_t *bytes, struct pipewire_head *ret);
void pipewire_head_write(uint8_t *bytes, const struct pipewire_head *head);

enum {
    CORE_HELLO = 1,
    CORE_SYNC,
    CORE_PONG,
    CORE_ERROR,
    CORE_GET_REGISTRY,
    CORE_CREATE_OBJECT,
    CORE_DESTROY
};
enum {
    CORE_INFO_EVENT,
    CORE_DONE_EVENT,
    CORE_PING_EVENT,
    CORE_ERROR_EVENT,
    CORE_REMOVE_ID_EVENT,
    CORE_BOUND_ID_EVENT,
    CORE_ADD_MEM_EVENT,
    CORE_REMOVE_MEM_EVENT,
};
enum {
    CLIENT_ERROR = 1,
    CLIENT_UPDATE_PROPERTIES,
    CLIENT_GET_PERMISSIONS,
    CLIENT_UPDATE_PERMISSIONS
};
enum { REGISTRY_BIND = 1, REGISTRY_DESTROY };
enum { REGISTRY_GLOBAL_EVENT, REGISTRY_GLOBAL_REMOVE_EVENT };
enum {
    CLIENT_NODE_GET_NODE = 1,
    CLIENT_NODE_UPDATE,
    CLIENT_NODE_PORT_UPDATE,
    CLIENT_NODE_SET_ACTIVE,
    CLIENT_NODE_EVENT,
    CLIENT_NODE_PORT_BUFFERS,
};
enum {
    CLIENT_NODE_TRANSPORT_EVENT,
    CLIENT_NODE_SET_PARAM_EVENT,
    CLIENT_NODE_SET_IO_EVENT,
    CLIENT_NODE_EVENT_EVENT,
    CLIENT_NODE_COMMAND_EVENT,
    CLIENT_NODE_ADD_PORT_EVENT,
    CLIENT_NODE_REMOVE_PORT_EVENT,
    CLIENT_NODE_PORT_SET_PARAM_EVENT,
    CLIENT_NODE_USE_BUFFERS_EVENT,
    CLIENT_NODE_PORT_SET_IO_EVENT,
    CLIENT_NODE_SET_ACTIVATION_EVENT,
};
enum { NODE_SUBSCRIBE_PARAMS = 1, NODE_ENUM_PARAMS, NODE_SET_PARAM, NODE_SEND_COMMAND };

enum { DIRECTION_INPUT, DIRECTION_OUTPUT };
/* Areas that a port and its peer exchange with each other; the others are the driver's. */
enum { IO_BUFFERS = 1, IO_CLOCK = 3, IO_POSITION = 7 };
enum { DATA_MEM_FD = 2, DATA_DMABUF, DATA_MEM_ID };
