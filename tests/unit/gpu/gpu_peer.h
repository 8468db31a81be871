/* SPDX-License-Identifier: MIT */
#pragma once
/* gpu_peer: the export socket with a guest behind the device, and a client that asks for its
 * buffers. */
#include "tests/unit/gpu/gpu_frontend.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "host-proxy/gpu/export-client.h"
#include "host-proxy/gpu/exports.h"
#include "protocol/export.h"

#define FIRST (RAM_HIGH_GPA + 5 * PAGE) /* the pages of driver_make() */
#define SECOND (RAM_LOW_GPA + 0x80000)

struct peer {
    struct loop *loop;
    int socket;
    uint32_t serial;
    uint8_t packet[EXPORT_PACKET_MAX];
    struct export_header header;
    int fd; /* that came with the last packet */
};

struct world {
    struct loop *loop;
    struct device *device;
    struct exports *exports;
    struct fake_frontend f;
    struct peer p;
};

extern int peer_fds_before; /* what peer_teardown() expects */

/* Another client. */
void peer_connect(struct world *w, struct peer *p);

/* *state: a struct world. The impatient one's device answers an UNREF after 20 ms at the latest. */
int peer_setup(void **state);
int peer_setup_impatient(void **state);
int peer_teardown(void **state);

/* Any packet, with @fd (-1: none), which stays the caller's. */
void peer_send_raw(struct peer *p, const void *bytes, size_t size, int fd);

/* For turn_until(): there is a packet or the end. */
bool peer_readable(void *user);

/* The next packet's payload; NULL at the end of the connection. */
const uint8_t *peer_receive(struct peer *p);

#define peer_request(p, fd, encoder, ...)                                                          \
    do {                                                                                           \
        uint8_t packet_[EXPORT_PACKET_MAX];                                                        \
        peer_send_raw(p, packet_, encoder(packet_, ++(p)->serial, __VA_ARGS__), fd);               \
    } while (0)

/* The payload of the next packet, which must be of that type. */
const uint8_t *peer_answer(struct peer *p, enum export_type type);

/* Asks, and takes the answer: where there is no more to it, its status. */
struct export_welcome peer_hello(struct peer *p);
uint32_t peer_bind(struct peer *p, uint32_t resource, const char *nonce, uint32_t timeout_ms);
struct export_exported peer_export(struct peer *p, uint32_t resource);
uint32_t peer_mirror(struct peer *p, uint32_t id, int fd, uint64_t size);
uint32_t peer_copy(struct peer *p, const struct export_copy *copy);

/* The next packet says that @id is gone. */
void peer_gone(struct peer *p, uint32_t id);

/* That introduce() binds with. */
extern const char peer_nonce[EXPORT_NONCE_SIZE + 1];

/* The probe is resource 1000. */
void introduce(struct world *w);

/* Resource 7 is two pages, which the client asks for. */
struct export_exported export_two_pages(struct world *w);

/* Its own page count's worth of memory, filled. */
int make_mirror(uint64_t size, uint8_t **ret_bytes);

#define PEER_TEST(name) cmocka_unit_test_setup_teardown(name, peer_setup, peer_teardown)
