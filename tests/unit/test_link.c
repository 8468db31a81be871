/* SPDX-License-Identifier: MIT */
/* One end of the link, fed through a real socket: whole, byte by byte, and with what nobody should
 * send. */
#include "tests/unit/turn.h"

#include <errno.h>

#include "common/fd.h"
#include "common/link.h"
#include "common/memory.h"
#include "common/stream.h"

static struct fixture {
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

static void alive(void)
{
    assert_int_equal(f.closed, 0); /* closed() is the last call */
}

static int on_frame(void *user, enum link_type type, const uint8_t *payload, size_t size)
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

static void on_closed(void *user, int reason, unsigned type)
{
    (void)user;
    alive();
    f.closed++;
    f.reason = reason;
    f.closed_type = type;
}

static const struct link_ops ops = {on_frame,   on_write, on_stream, on_batch_end,
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

static int setup(void **state)
{
    (void)state;
    return start(false);
}

static int setup_splice(void **state)
{
    (void)state;
    return start(true);
}

static int teardown(void **state)
{
    (void)state;
    stream_destroy(f.stream);
    link_destroy(f.link);
    memory_unref(f.memory);
    fd_close(f.raw);
    loop_destroy(f.loop);
    return count_fds() == f.before ? 0 : -1;
}

static void send_raw(const void *bytes, size_t n)
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

/* Sends in pieces of @step bytes, each of them read on its own. */
static void send_split(const void *bytes, size_t n, size_t step)
{
    for (size_t at = 0; at < n; at += step) {
        send_raw((const uint8_t *)bytes + at, n - at < step ? n - at : step);
        turn_times(f.loop, 2);
    }
    turn_times(f.loop, 4);
}

/* A WAYLAND frame of @n bytes of pattern. */
static size_t put_wayland(uint8_t *at, size_t n, uint32_t seed)
{
    link_header_encode(at, LINK_WAYLAND, n);
    fill_pattern(at + LINK_HEADER_SIZE, n, seed);
    return LINK_HEADER_SIZE + n;
}

static size_t put_several(uint8_t *at)
{
    size_t n = link_ping_encode(at, 7);
    n += put_wayland(at + n, 400, 1);
    n += link_header_encode(at + n, LINK_END, 0);
    n += link_id_encode(at + n, LINK_STREAM_END, 5);
    return n;
}

static void check_several(void)
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

static void test_frames_in_one_piece(void **state)
{
    (void)state;
    uint8_t bytes[600];
    size_t n = put_several(bytes);
    send_raw(bytes, n);
    turn_times(f.loop, 3);
    check_several();
    assert_int_equal(f.batches, 1);
    assert_int_equal(f.link->received, n);
}

static void test_frames_in_pieces(void **state)
{
    (void)state;
    uint8_t bytes[600];
    size_t n = put_several(bytes);
    for (size_t step = 1; step < 30; step++) {
        f.frames = 0;
        f.payload_n = 0;
        send_split(bytes, n, step);
        check_several();
        assert_null(f.link->pending); /* an idle connection holds nothing */
    }
}

static void test_largest_frame(void **state)
{
    (void)state;
    size_t room = LINK_HEADER_SIZE + LINK_WAYLAND_MAX;
    uint8_t *bytes = malloc(room + 16);
    size_t n = put_wayland(bytes, LINK_WAYLAND_MAX, 3);
    n += link_ping_encode(bytes + n, 1);
    send_split(bytes, n, 50000);
    assert_int_equal(f.frames, 2);
    assert_int_equal(f.sizes[0], LINK_WAYLAND_MAX);
    assert_memory_equal(f.payload, bytes + LINK_HEADER_SIZE, LINK_WAYLAND_MAX);
    free(bytes);
}

static void test_two_links(void **state)
{
    (void)state;
    /* What one queues, the other delivers. */
    struct fixture *other = &f;
    static const struct link_ops none = {.closed = on_closed};
    struct link *sender = link_create(f.loop, f.raw, false, &none, other);
    f.raw = -1;
    link_queue(sender, link_ping_encode, 7);
    uint8_t bytes[600];
    size_t n = put_wayland(bytes, 400, 1);
    sendq_borrow(&sender->out, bytes, n);
    uint8_t head[LINK_HEADER_SIZE];
    sendq_copy(&sender->out, head, link_header_encode(head, LINK_END, 0));
    link_queue(sender, link_id_encode, LINK_STREAM_END, 5);
    assert_int_equal(link_flush(sender), 0);
    turn_times(f.loop, 3);
    check_several();
    link_destroy(sender);
    turn_times(f.loop, 3);
    assert_int_equal(f.closed, 1);
    assert_int_equal(f.reason, 0);
}

static void test_bytes_that_were_read_before(void **state)
{
    (void)state;
    uint8_t bytes[600];
    size_t n = put_several(bytes);
    assert_int_equal(link_feed(f.link, bytes, 13), 0); /* ends amid a frame */
    send_raw(bytes + 13, n - 13);
    turn_times(f.loop, 3);
    check_several();
}

/* --- MEM_WRITE --- */

/* A frame of rows with pattern, a PING behind it; what the memory then holds goes to @expected. */
static size_t put_rows(uint8_t *at, const struct link_mem_write *w, uint8_t *expected,
                       uint32_t seed)
{
    size_t n = link_mem_write_encode(at, w);
    fill_pattern(at + n, (size_t)w->row * w->rows, seed);
    for (uint32_t i = 0; i < w->rows; i++)
        memcpy(expected + w->offset + (size_t)i * w->stride, at + n + (size_t)i * w->row, w->row);
    n += (size_t)w->row * w->rows;
    return n + link_ping_encode(at + n, seed);
}

static void rows(const struct link_mem_write *w, size_t step)
{
    static uint32_t seed;
    size_t size = 1 << 20;
    uint8_t *bytes = malloc(size + 100), *expected = malloc(size);
    f.memory = memory_create(size);
    memset(f.memory->map, 0xcc, size);
    memset(expected, 0xcc, size);
    f.frames = f.writes = 0;
    f.payload_n = 0;
    size_t n = put_rows(bytes, w, expected, ++seed);
    send_split(bytes, n, step);
    assert_int_equal(f.writes, 1);
    assert_int_equal(f.frames, 1); /* what follows is read as a frame again */
    assert_int_equal(f.payload[0], (uint8_t)seed);
    assert_memory_equal(f.memory->map, expected, size);
    assert_int_equal(f.memory->refs, 1);
    memory_unref(f.memory);
    f.memory = NULL;
    free(bytes);
    free(expected);
}

static void test_rows(void **state)
{
    (void)state;
    static const struct link_mem_write writes[] = {
        {.id = 1, .row = 1, .rows = 1, .stride = 1, .offset = 0},
        {.id = 1, .row = 7, .rows = 5, .stride = 11, .offset = 3},
        {.id = 1, .row = 7, .rows = 5, .stride = 7, .offset = (1 << 20) - 35},
    };
    for (size_t i = 0; i < sizeof(writes) / sizeof(*writes); i++)
        for (size_t step = 1; step < 60; step += 3)
            rows(&writes[i], step);
}

static void test_many_rows(void **state)
{
    (void)state;
    struct link_mem_write narrow = {.id = 1, .row = 4, .rows = 3000, .stride = 300, .offset = 1};
    struct link_mem_write wide = {.id = 1, .row = 1 << 20, .rows = 1, .stride = 1 << 20};
    struct link_mem_write picture = {
        .id = 1, .row = 400, .rows = 1000, .stride = 1024, .offset = 100};
    rows(&narrow, 100000);
    rows(&narrow, 1001);
    rows(&wide, 100001);
    rows(&picture, 65536);
    rows(&picture, 999);
}

static void test_rows_for_nobody(void **state)
{
    (void)state;
    uint8_t bytes[200], unused[100];
    struct link_mem_write w = {.id = 9, .row = 10, .rows = 5, .stride = 10};
    size_t n = put_rows(bytes, &w, unused, 5);
    send_split(bytes, n, 17);
    assert_int_equal(f.writes, 1);
    assert_int_equal(f.frames, 1);
}

static void test_rows_into_a_file_that_shrank(void **state)
{
    (void)state;
    for (size_t step = 100; step < 40000; step += 39000) {
        size_t size = 1 << 15;
        int client = fd_memfd("client", size);
        f.memory = memory_import(fcntl(client, F_DUPFD_CLOEXEC, 0), size, true, 1, 1);
        assert_int_equal(ftruncate(client, 4096), 0);
        uint8_t *bytes = malloc(2 * size), *unused = malloc(size);
        struct link_mem_write w = {.id = 1, .row = 1024, .rows = 32, .stride = 1024};
        f.frames = 0;
        size_t n = put_rows(bytes, &w, unused, 5);
        send_split(bytes, n, step);
        assert_int_equal(f.closed, 0); /* its own loss */
        assert_int_equal(f.frames, 1);
        assert_int_equal(f.memory->refs, 1);
        assert_int_equal(lseek(client, 0, SEEK_END), 4096);
        free(bytes);
        free(unused);
        memory_unref(f.memory);
        f.memory = NULL;
        fd_close(client);
    }
}

static void test_destroyed_amid_rows(void **state)
{
    (void)state;
    uint8_t bytes[200], unused[100];
    struct link_mem_write w = {.id = 1, .row = 10, .rows = 5, .stride = 10};
    f.memory = memory_create(100);
    put_rows(bytes, &w, unused, 5);
    send_split(bytes, 50, 50);
    assert_int_equal(f.memory->refs, 2);
    link_destroy(f.link);
    f.link = NULL;
    assert_int_equal(f.memory->refs, 1);
}

/* --- STREAM_DATA --- */

static void on_ended(void *user, struct stream *stream)
{
    (void)user;
    (void)stream;
}

static void stream_data(size_t step, size_t frames, size_t each)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    f.stream = stream_create(f.loop, f.link, 2, ends[1], false, true, on_ended, &f);
    assert_non_null(f.stream);
    uint8_t *bytes = malloc(frames * (each + 100)), *expected = malloc(frames * each),
            *got = malloc(frames * each);
    size_t n = 0;
    for (size_t i = 0; i < frames; i++) {
        n += link_stream_data_encode(bytes + n, 2, each);
        fill_pattern(expected + i * each, each, (uint32_t)i);
        memcpy(bytes + n, expected + i * each, each);
        n += each;
        n += link_ping_encode(bytes + n, i);
    }
    f.frames = 0;
    f.payload_n = f.announced = 0;
    send_split(bytes, n, step);
    for (size_t have = 0; have < frames * each;) {
        ssize_t r = read(ends[0], got + have, frames * each - have);
        if (r < 0)
            turn_times(f.loop, 2);
        else
            have += (size_t)r;
    }
    assert_memory_equal(got, expected, frames * each);
    assert_int_equal(f.frames, frames);
    assert_int_equal(f.announced, frames * each);
    stream_destroy(f.stream);
    f.stream = NULL;
    fd_close(ends[0]);
    free(bytes);
    free(expected);
    free(got);
}

static void test_stream_data(void **state)
{
    (void)state;
    for (size_t step = 1; step < 40; step += 5)
        stream_data(step, 3, 20);
    stream_data(1 << 20, 20, 5000);
    stream_data(3333, 3, 100000);
}

static void test_stream_data_for_nobody(void **state)
{
    (void)state;
    uint8_t bytes[200];
    size_t n = link_stream_data_encode(bytes, 77, 50);
    memset(bytes + n, 1, 50);
    n += 50;
    n += link_ping_encode(bytes + n, 3);
    send_split(bytes, n, 9);
    assert_int_equal(f.frames, 1);
}

static void test_stream_forgotten_amid_a_frame(void **state)
{
    (void)state;
    int ends[2];
    uint8_t bytes[200];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    f.stream = stream_create(f.loop, f.link, 2, ends[1], false, true, on_ended, &f);
    size_t n = link_stream_data_encode(bytes, 2, 50);
    memset(bytes + n, 1, 50);
    n += 50;
    n += link_ping_encode(bytes + n, 3);
    send_split(bytes, 30, 30);
    stream_destroy(f.stream);
    f.stream = NULL;
    send_split(bytes + 30, n - 30, 10);
    assert_int_equal(f.frames, 1);
    fd_close(ends[0]);
}

/* --- what nobody should send --- */

static void test_malformed_headers(void **state)
{
    static const struct {
        uint8_t header[LINK_HEADER_SIZE];
        int reason;
        unsigned type;
    } cases[] = {
        {{0, 0, 0, 0, 0, 0, 0, 0}, LINK_E_TYPE, 0},
        {{0, 0, 0, 0, 99, 1, 0, 0}, LINK_E_TYPE, 355},
        {{0, 0, 0, 0, LINK_END, 0, 1, 0}, LINK_E_RESERVED, LINK_END},
        {{1, 0, 0, 0, LINK_END, 0, 0, 0}, LINK_E_SIZE, LINK_END},
        {{0xff, 0xff, 0xff, 0xff, LINK_WAYLAND, 0, 0, 0}, LINK_E_SIZE, LINK_WAYLAND},
        {{5, 0, 4, 0, LINK_STREAM_DATA, 0, 0, 0}, LINK_E_SIZE, LINK_STREAM_DATA},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t bytes[100];
        size_t n = link_ping_encode(bytes, 1);
        memcpy(bytes + n, cases[i].header, LINK_HEADER_SIZE);
        n += LINK_HEADER_SIZE;
        n += link_ping_encode(bytes + n, 2);
        if (i > 0)
            setup(state);
        send_raw(bytes, n);
        turn_times(f.loop, 5);
        assert_int_equal(f.frames, 1); /* what came before counts, what comes behind does not */
        assert_int_equal(f.closed, 1);
        assert_int_equal(f.reason, cases[i].reason);
        assert_int_equal(f.closed_type, cases[i].type);
        if (i + 1 < sizeof(cases) / sizeof(*cases))
            assert_int_equal(teardown(state), 0);
    }
}

static void test_malformed_rows(void **state)
{
    (void)state;
    uint8_t bytes[100];
    struct link_mem_write w = {.id = 1, .row = 10, .rows = 5, .stride = 10};
    size_t n = link_mem_write_encode(bytes, &w);
    bytes[LINK_HEADER_SIZE + 8] = 6; /* more rows than the frame has bytes for */
    send_raw(bytes, n);
    turn_times(f.loop, 5);
    assert_int_equal(f.writes, 0);
    assert_int_equal(f.closed, 1);
    assert_int_equal(f.reason, LINK_E_SIZE);
    assert_int_equal(f.closed_type, LINK_MEM_WRITE);
}

static void test_end_of_connection(void **state)
{
    (void)state;
    uint8_t bytes[100];
    size_t n = link_ping_encode(bytes, 1);
    send_raw(bytes, n);
    f.raw = fd_close(f.raw);
    turn_times(f.loop, 5);
    assert_int_equal(f.frames, 1);
    assert_int_equal(f.closed, 1);
    assert_int_equal(f.reason, 0);
}

static void test_end_amid_a_frame(void **state)
{
    (void)state;
    uint8_t bytes[100], unused[100];
    struct link_mem_write w = {.id = 9, .row = 10, .rows = 5, .stride = 10};
    link_ping_encode(bytes, 1);
    send_raw(bytes, 9);
    f.raw = fd_close(f.raw);
    turn_times(f.loop, 5);
    assert_int_equal(f.frames, 0);
    assert_int_equal(f.closed, 1);
    assert_int_equal(f.reason, 0);
    assert_int_equal(teardown(state), 0);
    setup(state);
    put_rows(bytes, &w, unused, 1);
    send_raw(bytes, 50);
    f.raw = fd_close(f.raw);
    turn_times(f.loop, 5);
    assert_int_equal(f.closed, 1);
}

static void test_refusing_a_frame(void **state)
{
    (void)state;
    uint8_t bytes[600];
    f.refuse = -EPROTO;
    link_stop(f.link); /* as an owner does who ends the connection */
    send_raw(bytes, put_several(bytes));
    turn_times(f.loop, 3);
    assert_int_equal(f.frames, 0);
    link_ping_encode(bytes, 1);
    link_queue(f.link, link_ping_encode, 3); /* its last words still go out */
    assert_int_equal(link_flush(f.link), 0);
    assert_int_equal(recv(f.raw, bytes, sizeof(bytes), MSG_DONTWAIT), 16);
    f.raw = fd_close(f.raw);
    turn_times(f.loop, 3);
    assert_int_equal(f.closed, 0); /* it knows */
}

static int frame_then_stop(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    on_frame(user, type, payload, size);
    link_stop(f.link);
    return -EPROTO;
}

static void test_stopping_from_a_frame(void **state)
{
    (void)state;
    struct link_ops other = ops;
    other.frame = frame_then_stop;
    link_adopt(f.link, &other, &f);
    uint8_t bytes[600];
    send_raw(bytes, put_several(bytes));
    turn_times(f.loop, 3);
    assert_int_equal(f.frames, 1);
    assert_int_equal(f.closed, 0);
}

static int frame_then_adopt(void *user, enum link_type type, const uint8_t *payload, size_t size)
{
    on_frame(user, type, payload, size);
    link_adopt(f.link, &ops, &f);
    return 0;
}

static void test_another_owner_takes_over(void **state)
{
    (void)state;
    struct link_ops first = {.frame = frame_then_adopt, .closed = on_closed};
    link_adopt(f.link, &first, &f);
    uint8_t bytes[600];
    send_raw(bytes, put_several(bytes));
    turn_times(f.loop, 3);
    check_several();
    assert_int_equal(f.batches, 1);
}

/* --- flow --- */

static void test_pause(void **state)
{
    (void)state;
    uint8_t bytes[600];
    link_pause(f.link, true);
    send_raw(bytes, put_several(bytes));
    turn_times(f.loop, 5);
    assert_int_equal(f.frames, 0);
    link_pause(f.link, false);
    turn_times(f.loop, 5);
    check_several();
}

static bool is_drained(void *user)
{
    (void)user;
    uint8_t bytes[4096];
    while (recv(f.raw, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        ;
    return f.drained > 0;
}

static void test_high_water_and_drained(void **state)
{
    (void)state;
    static uint8_t bytes[LINK_HEADER_SIZE + 100000];
    put_wayland(bytes, 100000, 1);
    sendq_copy(&f.link->out, bytes, sizeof(bytes));
    assert_int_equal(link_flush(f.link), 0);
    assert_false(f.link->high);
    for (int i = 0; i < 20; i++)
        sendq_copy(&f.link->out, bytes, sizeof(bytes));
    assert_int_equal(link_flush(f.link), 0);
    assert_true(f.link->high);
    assert_int_equal(f.drained, 0);
    turn_times(f.loop, 5);
    assert_int_equal(f.drained, 0); /* nobody reads */
    turn_until(f.loop, is_drained, NULL);
    assert_false(f.link->high);
}

static void test_no_drained_without_progress(void **state)
{
    (void)state;
    static uint8_t bytes[LINK_HEADER_SIZE + 10000];
    put_wayland(bytes, 10000, 1);
    while (!sendq_size(&f.link->out)) { /* until the socket is full */
        sendq_copy(&f.link->out, bytes, sizeof(bytes));
        assert_int_equal(link_flush(f.link), 0);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(link_flush(f.link), 0);
    assert_int_equal(f.drained, 0); /* whose owner may flush from there */
    turn_until(f.loop, is_drained, NULL);
}

static void test_sending_to_nobody(void **state)
{
    (void)state;
    f.raw = fd_close(f.raw);
    link_queue(f.link, link_ping_encode, 3);
    assert_true(link_flush(f.link) < 0);
    turn_times(f.loop, 3);
    assert_int_equal(f.closed, 1);
}

static void test_last_words_of_a_peer_that_left(void **state)
{
    (void)state;
    uint8_t bytes[LINK_FRAME_SMALL_MAX];
    send_raw(bytes, link_error_encode(bytes, LINK_ERROR_LIMIT, 0, 0, "enough"));
    f.raw = fd_close(f.raw);
    link_queue(f.link, link_ping_encode, 3);
    link_flush(f.link);
    turn_times(f.loop, 3);
    assert_int_equal(f.frames, 1);
    assert_int_equal(f.types[0], LINK_ERROR);
    assert_int_equal(f.closed, 1);
}

static void test_fault_reaches_the_owner(void **state)
{
    (void)state;
    int client = fd_memfd("client", 4096);
    f.memory = memory_import(client, 4096, true, 1, 1);
    assert_int_equal(ftruncate(client, 0), 0);
    sendq_rows(&f.link->out, f.memory, 0, 64, 64, 64, 42);
    assert_int_equal(link_flush(f.link), 0);
    assert_int_equal(f.faults, 42);
    uint8_t bytes[8192];
    assert_int_equal(recv(f.raw, bytes, sizeof(bytes), MSG_DONTWAIT), 4096);
}

static void test_descriptor_with_the_first_bytes(void **state)
{
    (void)state;
    f.link->wants_descriptor = true;
    struct sendq q;
    uint8_t bytes[100];
    sendq_init(&q, NULL, NULL);
    sendq_fd(&q, fd_memfd("proof", 0));
    sendq_fd(&q, fd_memfd("proof", 0));
    sendq_copy(&q, bytes, link_ping_encode(bytes, 1));
    assert_int_equal(sendq_flush(&q, f.raw), 0);
    sendq_finish(&q);
    turn_times(f.loop, 3);
    assert_int_equal(f.frames, 1);
    assert_true(f.link->got_descriptor); /* and closed: the teardown counts */
}

static void test_unwanted_descriptors_are_not_kept(void **state)
{
    (void)state;
    struct sendq q;
    uint8_t bytes[100];
    sendq_init(&q, NULL, NULL);
    sendq_fd(&q, fd_memfd("surplus", 0));
    sendq_copy(&q, bytes, link_ping_encode(bytes, 1));
    assert_int_equal(sendq_flush(&q, f.raw), 0);
    sendq_finish(&q);
    turn_times(f.loop, 3);
    assert_int_equal(f.frames, 1);
    assert_false(f.link->got_descriptor);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define TEST_SPLICE(name) cmocka_unit_test_setup_teardown(name, setup_splice, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_frames_in_one_piece),
        TEST(test_frames_in_pieces),
        TEST_SPLICE(test_frames_in_pieces),
        TEST(test_largest_frame),
        TEST(test_two_links),
        TEST(test_bytes_that_were_read_before),
        TEST(test_rows),
        TEST_SPLICE(test_rows),
        TEST(test_many_rows),
        TEST(test_rows_for_nobody),
        TEST(test_rows_into_a_file_that_shrank),
        TEST(test_destroyed_amid_rows),
        TEST(test_stream_data),
        TEST_SPLICE(test_stream_data),
        TEST(test_stream_data_for_nobody),
        TEST_SPLICE(test_stream_data_for_nobody),
        TEST(test_stream_forgotten_amid_a_frame),
        TEST_SPLICE(test_stream_forgotten_amid_a_frame),
        TEST(test_malformed_headers),
        TEST(test_malformed_rows),
        TEST(test_end_of_connection),
        TEST(test_end_amid_a_frame),
        TEST(test_refusing_a_frame),
        TEST(test_stopping_from_a_frame),
        TEST(test_another_owner_takes_over),
        TEST(test_pause),
        TEST(test_high_water_and_drained),
        TEST(test_no_drained_without_progress),
        TEST(test_sending_to_nobody),
        TEST(test_last_words_of_a_peer_that_left),
        TEST(test_fault_reaches_the_owner),
        TEST(test_descriptor_with_the_first_bytes),
        TEST(test_unwanted_descriptors_are_not_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
