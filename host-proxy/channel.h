/* SPDX-License-Identifier: MIT */
#pragma once
/* channel: what the gate and the process of a VM say to each other, a packet each. Connections that
 * have proven whose they are, and those of people who ask about the VM, go one way, how many of
 * them were taken the other, and both ways which GPU device is whose. Both ends are of one program,
 * but the gate believes nothing that comes from there. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/control/control-request.h"
#include "protocol/frames.h"

#define CHANNEL_DEVICE_SIZE 16
#define CHANNEL_PACKET_MAX (8 + CONTROL_REQUEST_MAX)

enum channel_kind {
    CHANNEL_ARRIVAL = 1, /* gate → process, with the connection's descriptor */
    CHANNEL_REPORT,      /* process → gate */
    CHANNEL_DEVICE,      /* either */
    CHANNEL_CONTROL,     /* gate → process, with the descriptor of who asks */
    CHANNEL_HEARD,       /* process → gate: the next one of those was taken */
    CHANNEL_ABSENT,      /* process → gate: or it wants a program, and no daemon is there */
    CHANNEL_CALL,        /* gate → process, with the connection of a program of the host's */
    CHANNEL_PROGRAM,     /* process → gate, with the descriptor that the program's keeper gets */
};

struct channel_packet {
    enum channel_kind kind;
    /* ARRIVAL */
    bool unix_socket;
    struct link_hello hello; /* of a control connection: less the proof, which was good */
    /* REPORT */
    uint32_t taken; /* arrivals in all */
    bool idle;      /* there is no session and nothing to deliver: the channel may be closed */
    /* CALL, PROGRAM: of the VM's service number so and so, as its configuration lists them */
    /* DEVICE: it is this VM's; from the gate: of VM number so and so */
    /* ABSENT: how many daemons had come (channel_is_daemon()) */
    uint32_t number;
    uint8_t device[CHANNEL_DEVICE_SIZE];
    /* CONTROL: the request's line, less its end */
    const char *line;
    size_t line_size; /* below CONTROL_REQUEST_MAX */
};

/* Whether that is the arrival of a guest's daemon, which may start programs. */
bool channel_is_daemon(const struct channel_packet *packet);
/* The number of bytes. */
size_t channel_encode(uint8_t buffer[CHANNEL_PACKET_MAX], const struct channel_packet *packet);
/* 0 or -EPROTO; *ret_packet refers to @bytes. */
int channel_decode(const uint8_t *bytes, size_t n, struct channel_packet *ret_packet);
