/* SPDX-License-Identifier: MIT */
#pragma once
/* streams: two links over a socket pair, each with a table of streams as a relay has one, and
 * applications at both ends. */
#include "tests/unit/turn.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/base/fd.h"
#include "common/transport/link.h"
#include "common/carrier/stream.h"
#include "common/base/waiters.h"

#define STREAMS_MAX 128

struct side {
    struct link *link;
    struct stream *streams[STREAMS_MAX]; /* by id */
    unsigned ended, refused;
    unsigned types[_LINK_TYPE_N];
};

extern struct loop *loop;
extern struct waiters *waiters;
extern struct side sides[2];
extern int before;

void on_ended(void *user, struct stream *s);
int streams_setup(void **state);
int streams_setup_copying(void **state);
int streams_teardown(void **state);

#define STREAMS_TEST(name) cmocka_unit_test_setup_teardown(name, streams_setup, streams_teardown)
#define STREAMS_TEST_COPYING(name)                                                                 \
    cmocka_unit_test_setup_teardown(name, streams_setup_copying, streams_teardown)

/* The two halves of stream @id: side 0 reads @from, side 1 writes to @to. */
void join(uint32_t id, int from, bool ours_from, int to, bool ours_to);

/* One application's end of each: what is written to *ret_write comes out of *ret_read. */
void join_pipes(uint32_t id, int *ret_write, int *ret_read);

/* An application that writes @size bytes of pattern and closes, and one that reads and checks. */
struct transfer {
    int write, read;
    uint32_t seed;
    size_t size, written, got;
    uint8_t *bytes, *back;
    bool ended, slow;
};

void transfer_start(struct transfer *t, int write, int read, size_t size, uint32_t seed);
bool transfer_step(void *user);
void transfer_check(struct transfer *t);
bool both_ended(void *user);
bool writer_sees_it(void *user);
