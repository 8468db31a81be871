/* SPDX-License-Identifier: MIT */
#pragma once
/* link_end: one end of the link with an owner that writes down what it is told; the other end is a
 * raw socket. */
#include "tests/unit/turn.h"

#include <errno.h>

#include "common/base/fd.h"
#include "common/transport/link.h"
#include "common/base/memory.h"
#include "common/carrier/stream.h"

extern struct fixture {
    struct loop *loop;
    struct link *link;
    int raw; /* the other end of its socket */
    int before;

    unsigned frames, batches, drained, closed, faults;
    int reason;
    unsigned closed_type;
    uint16_t types[256];
    uint8_t payload[600000]; /* of all frames, one behind the other */
    size_t payload_n;
    size_t sizes[256];

    struct memory *memory; /* for MEM_WRITE 1; others are dropped */
    unsigned writes;
    struct stream *stream; /* for STREAM_DATA 2; others are dropped */
    size_t announced;
    int refuse; /* frame() answers this */
} f;

int on_frame(void *user, enum link_type type, const uint8_t *payload, size_t size);
void on_closed(void *user, int reason, unsigned type);

extern const struct link_ops ops;

int link_end_setup(void **state);
int link_end_splice(void **state);
int link_end_teardown(void **state);

#define LINK_TEST(name) cmocka_unit_test_setup_teardown(name, link_end_setup, link_end_teardown)
#define LINK_TEST_SPLICE(name)                                                                     \
    cmocka_unit_test_setup_teardown(name, link_end_splice, link_end_teardown)

void send_raw(const void *bytes, size_t n);

/* Sends in pieces of @step bytes, each of them read on its own. */
void send_split(const void *bytes, size_t n, size_t step);

/* A WAYLAND frame of @n bytes of pattern. */
size_t put_wayland(uint8_t *at, size_t n, uint32_t seed);
size_t put_several(uint8_t *at);
void check_several(void);

/* A frame of rows with pattern, a PING behind it; what the memory then holds goes to @expected. */
size_t put_rows(uint8_t *at, const struct link_mem_write *w, uint8_t *expected, uint32_t seed);
