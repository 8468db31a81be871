/* SPDX-License-Identifier: MIT */
#pragma once
/* pipewire-session: what is known of one connection that speaks PipeWire's native protocol, for
 * helper-pipewire and its two halves: what the client asks for, and what the server says. */
#include <stddef.h>
#include <stdint.h>

#include "common/services/helper.h"
#include "common/services/pipewire-messages.h"
#include "common/services/pipewire-objects.h"
#include "common/services/pod.h"

#define PIPEWIRE_FDS_MAX 253u
#define PIPEWIRE_GLOBALS_MAX 4096u
#define PIPEWIRE_TYPE_CORE "PipeWire:Interface:Core"
#define PIPEWIRE_TYPE_NODE "PipeWire:Interface:Node"
#define PIPEWIRE_TYPE_METADATA "PipeWire:Interface:Metadata"

/* What has to wait until the descriptors of the server's message are VFDs. */
struct pipewire_passing {
    enum { PASSING_NOTHING, PASSING_MEMORY, PASSING_NODE, PASSING_PEER } what;
    uint32_t node, peer, memory;
    int64_t fd; /* which of the message's */
};

struct service_helper {
    const struct service_settings *settings;
    const struct service_sink *sink;
    struct log_subject *subject;
    struct pipewire_objects objects;
    uint8_t globals[PIPEWIRE_GLOBALS_MAX / 8]; /* a bit for each that the client was shown */
    uint64_t whole[_SERVICE_WAY_N];            /* bytes of the message that is looked at */
    struct pipewire_passing passing;
    uint32_t vfds[PIPEWIRE_FDS_MAX]; /* of that message's descriptors, */
    uint32_t vfds_n;                 /* so many */
    int64_t to_guest;                /* which of them is signalled by the host; -1: none */
    unsigned told;                   /* what the log has already: bits */
};

/* Ends the connection: negative. */
int pipewire_malformed(const struct service_helper *helper);
