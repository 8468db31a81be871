/* SPDX-License-Identifier: MIT */
#pragma once
/* session: both relays in one process, a client that has bound what the compositor offers, and what
 * the two do in many tests: pools, offers, round trips. */
#include "tests/unit/wayland/relays.h"

#include <sys/mman.h>

/* The setup of a SESSION_TEST(). */
int session_setup(void **state);

/* The cache of keymaps keeps descriptors: it is full before anybody counts. */
int session_fill_cache(void **state);

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, session_setup, relays_stop)

/* What the compositor of these tests offers, by name. */
enum {
    GLOBAL_COMPOSITOR = 1,
    GLOBAL_SHM,
    GLOBAL_SEAT,
    GLOBAL_DATA,
    GLOBAL_UNKNOWN,
    GLOBAL_CAPTURE
};
/* The objects that the client makes of it. */
enum { REGISTRY = 2, COMPOSITOR, SHM, SEAT, DATA, NEXT };

/* The compositor offers a global; the client must have heard of it. */
void offer(uint32_t name, const char *interface, uint32_t version);
void expect_offer(uint32_t name, const char *interface, uint32_t version);

/* As REGISTRY. */
void get_registry(void);

/* @interface at @version becomes object @id. */
void bind_global(uint32_t name, const char *interface, uint32_t version, uint32_t id);

/* A registry, and all of those objects. */
void bind_all(void);

/* The client is told why, the compositor only that it is gone, and both relays end. */
void expect_error(uint32_t object, uint32_t code, const char *text);

/* A round trip: everything sent before has arrived. */
void sync_with(uint32_t id);

/* --- a pool --- */

#define POOL_SIZE 65536

enum { POOL = NEXT, BUFFER, SURFACE, AFTER };

/* A pool, a 64 × 64 buffer at offset 4096, and a surface. Returns the compositor's view of the
 * pool. */
uint8_t *start_pool(int *ret_file, uint8_t **ret_map);

/* Unmaps and closes what start_pool() gave. */
void end_pool(int file, uint8_t *map, uint8_t *view);

/* Attaches, damages and commits SURFACE; the compositor must hear of all three. */
void commit(uint32_t buffer, uint32_t x, uint32_t y, uint32_t width, uint32_t height);
void expect_commit(void);

/* --- an offer --- */

/* Non-blocking. */
void make_pipe(int ends[2]);

/* The client's device and an offer of the compositor's. */
uint32_t start_offer(void);
