/* SPDX-License-Identifier: MIT */
#pragma once
/* export_fake: a VM's GPU device as wayvsock-host sees it, in the same process: it answers as it is
 * told to. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/transport/address.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/transport/packets.h"
#include "host-proxy/pixels/handles.h"
#include "host-proxy/pixels/imports.h"
#include "protocol/export.h"

#define FAKE_PACKETS 512

extern struct fake {
    struct loop *loop;
    char folder[64], path[96];
    int listener;
    struct loop_io *io;
    struct packets *packets;
    /* What it does. */
    bool silent; /* answers nothing, but keeps it for fake_answer_all() */
    bool deaf;   /* not even HELLO */
    struct export_welcome welcome;
    uint32_t resource, bind_resource; /* the only ones that it knows */
    uint8_t nonce[EXPORT_NONCE_SIZE]; /* in bind_resource */
    struct export_bound bound;        /* its last answer to a BIND */
    uint32_t export_status, copy_status, mirror_status;
    struct export_buffer buffer; /* of @resource; its id is counted up */
    int pages; /* a memfd in a udmabuf's place, which exports come with; -1: they come without */
    /* What it saw. */
    unsigned seen[_EXPORT_TYPE_N];
    struct export_export asked;
    struct export_copy copy;
    uint32_t released[FAKE_PACKETS];
    uint8_t kept[FAKE_PACKETS][64];
    uint32_t next_id;
    uint8_t *mirror;
    uint64_t mirror_size;
    unsigned pending_n;
    struct {
        uint8_t packet[EXPORT_PACKET_MAX];
        size_t size;
    } pending[FAKE_PACKETS];
} F;

void fake_answer_all(void);
void fake_hang_up(void);

/* A device that knows resource 7, of 64 KiB, and is content with everything. */
void fake_start(void);
void fake_stop(void);
void fake_event_gone(uint32_t id);
void fake_event_reset(uint64_t epoch, bool driver);

/* --- the session around it --- */

extern struct session {
    struct handles *handles;
    struct log_subject subject;
    unsigned probes, answers;
    uint8_t nonce[LINK_NONCE_SIZE];
    bool bound;
    char why[256];
} S;

bool session_probed(void *user);
bool session_answered(void *user);

/* A session that waits for the guest's answer to the first probe. */
void session_start(void);
void session_bind(void);
void session_stop(void);
