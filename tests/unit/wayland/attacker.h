/* SPDX-License-Identifier: MIT */
#pragma once
/* attacker: the other proxy, replaced by somebody who may send any frame, for the tests of what one
 * relay does about it. */
#include "tests/unit/wayland/relays.h"

enum { REGISTRY = 2, SHM, DATA, SEAT, NEXT };

/* What is sent as the other proxy, with attack_deliver(): the functions below append to it. */
extern uint8_t attack_bytes[6 << 20];
extern size_t attack_n;

/* Wayland messages of @n bytes in one frame. */
void attack_wayland(size_t n, const uint8_t *messages);

#define ATTACK_MESSAGE(...)                                                                        \
    do {                                                                                           \
        uint8_t message_[1024];                                                                    \
        attack_wayland(wl_build(message_, __VA_ARGS__), message_);                                 \
    } while (0)

void attack_vfd(uint32_t id, uint16_t kind, uint16_t flags, uint64_t size);
void attack_memory(uint32_t id, uint64_t size);
void attack_sink(uint32_t id);
void attack_source(uint32_t id);

/* Its bytes follow. */
void attack_mem_write(uint32_t id, uint64_t offset, uint32_t row, uint32_t rows, uint32_t stride);

void attack_mem_size(uint32_t id, uint64_t size);
void attack_punch(uint32_t id, uint64_t offset, uint64_t length);

/* Any frame that is no more than an id. */
void attack_with_id(enum link_type type, uint32_t id);

void attack_credit(uint32_t id, uint32_t n);
void attack_data(uint32_t id, size_t n);

/* A frame without payload. */
void attack_empty(enum link_type type);

/* As NEXT. */
void attack_create_pool(int32_t size);

/* Nothing is to be sent so far. */
void attack_ready(void);
void attack_deliver(void);

/* --- the other end of the link --- */

/* The next frame that has come whole; false: there is none. */
bool attack_next_frame(struct link_header *ret, const uint8_t **ret_payload);

/* What the relay said of why it ends; the second is the text of the first. */
extern struct link_error_frame attack_error;
extern char attack_reason[LINK_TEXT_MAX + 1];

/* For turn_until(): it said so, or just ended. */
bool attack_error_came(void *user);

/* --- attacks --- */

struct attack {
    const char *name;
    void (*build)(void);
    const char *reason;
};

#define BROKE "the other proxy broke the link protocol: "

/* A message that its frame cuts off. */
void attack_half_message(void);

/* --- a host to attack --- */

/* Its client has bound wl_shm, wl_data_device_manager and wl_seat. */
void attack_start_host(void);
