/* SPDX-License-Identifier: MIT */
/* One link per test: made by link_end_setup(), gone with every descriptor after
 * link_end_teardown(). The owner's callbacks only write down, and fail the test when one comes
 * after closed(). */
#include "tests/unit/transport/link_end.h"

#include <sys/ioctl.h>

struct fixture f;

static void alive(void)
{
    assert_int_equal(f.closed, 0); /* closed() is the last call */
}

int on_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    assert_ptr_equal(user, &f);
    alive();
    assert_true(f.frames < 256 && f.payload_n + size <= sizeof(f.payload));
    f.types[f.frames] = type;
    f.sizes[f.frames++] = size;
    if (size)
        memcpy(f.payload + f.payload_n, payload, size);
    f.payload_n += size;
    return f.refuse;
}

static int on_write(void *user, const struct link_mem_write *write, struct memory **ret_memory)
{
    assert_ptr_equal(user, &f);
    alive();
    f.writes++;
    if (write->id == 1)
        *ret_memory = f.memory;
    return f.refuse;
}

static int on_stream(void *user, uint32_t id, size_t size, struct link_sink **ret_sink)
{
    assert_ptr_equal(user, &f);
    alive();
    f.announced += size;
    if (id == 2)
        *ret_sink = f.stream ? &f.stream->sink : NULL;
    return f.refuse;
}

static void on_batch_end(void *user)
{
    (void)user;
    alive();
    f.batches++;
}

static void on_drained(void *user)
{
    (void)user;
    f.drained++;
}

static void on_fault(void *user, uint32_t tag)
{
    (void)user;
    f.faults += tag;
}

void on_closed(void *user, int reason, unsigned type)
{
    (void)user;
    alive();
    f.closed++;
    f.reason = reason;
    f.closed_type = type;
}

const struct link_ops ops = {on_frame,   on_write, on_stream, on_batch_end,
                             on_drained, on_fault, on_closed, NULL};

static int start(bool splice)
{
    int ends[2];
    memset(&f, 0, sizeof(f));
    signal(SIGPIPE, SIG_IGN);
    f.before = count_fds();
    f.loop = loop_create();
    make_sockets(ends, 0);
    f.raw = ends[1];
    f.link = link_create(f.loop, ends[0], splice, &ops, &f);
    return f.loop && f.link ? 0 : -1;
}

int link_end_setup(void **state)
{
    (void)state;
    return start(false);
}

int link_end_splice(void **state)
{
    (void)state;
    return start(true);
}

int link_end_teardown(void **state)
{
    (void)state;
    stream_destroy(f.stream);
    link_destroy(f.link);
    memory_unref(f.memory);
    fd_close(f.raw);
    loop_destroy(f.loop);
    return count_fds() == f.before ? 0 : -1;
}

void send_raw(const void *bytes, size_t n)
{
    for (size_t at = 0; at < n;) {
        ssize_t w = send(f.raw, (const uint8_t *)bytes + at, n - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (w < 0) {
            assert_int_equal(errno, EAGAIN);
            turn_times(f.loop, 2);
            continue;
        }
        at += (size_t)w;
    }
}

void send_split(const void *bytes, size_t n, size_t step)
{
    for (size_t at = 0; at < n; at += step) {
        send_raw((const uint8_t *)bytes + at, n - at < step ? n - at : step);
        turn_times(f.loop, 2);
    }
    turn_times(f.loop, 4);
    int unread = 1; /* sparse rows take many turns */
    for (int i = 0; i < 10000 && f.link->state == LINK_READING && (unread || f.link->yielded);
         i++) {
        turn_times(f.loop, 1);
        ioctl(f.link->fd, FIONREAD, &unread);
    }
}

size_t put_wayland(uint8_t *at, size_t n, uint32_t seed)
{
    link_header_encode(at, LINK_WAYLAND, n);
    fill_pattern(at + LINK_HEADER_SIZE, n, seed);
    return LINK_HEADER_SIZE + n;
}

size_t put_several(uint8_t *at)
{
    size_t n = link_ping_encode(at, 7);
    n += put_wayland(at + n, 400, 1);
    n += link_header_encode(at + n, LINK_END, 0);
    n += link_id_encode(at + n, LINK_STREAM_END, 5);
    return n;
}

void check_several(void)
{
    static const uint16_t types[] = {LINK_PING, LINK_WAYLAND, LINK_END, LINK_STREAM_END};
    static const size_t sizes[] = {8, 400, 0, 4};
    uint8_t expected[412];
    assert_int_equal(f.frames, 4);
    assert_memory_equal(f.types, types, sizeof(types));
    assert_memory_equal(f.sizes, sizes, sizeof(sizes));
    memcpy(expected, "\7\0\0\0\0\0\0", 8);
    fill_pattern(expected + 8, 400, 1);
    memcpy(expected + 408, "\5\0\0", 4);
    assert_memory_equal(f.payload, expected, sizeof(expected));
    assert_int_equal(f.closed, 0);
}

size_t put_rows(uint8_t *at, const struct link_mem_write *w, uint8_t *expected, uint32_t seed)
{
    size_t n = link_mem_write_encode(at, w);
    fill_pattern(at + n, (size_t)w->row * w->rows, seed);
    for (uint32_t i = 0; i < w->rows; i++)
        memcpy(expected + w->offset + (size_t)i * w->stride, at + n + (size_t)i * w->row, w->row);
    n += (size_t)w->row * w->rows;
    return n + link_ping_encode(at + n, seed);
}
