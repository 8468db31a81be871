/* SPDX-License-Identifier: MIT */
/* One end of the link, fed through a real socket: whole and byte by byte. */
#include "tests/unit/transport/link_end.h"

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

static void rows(const struct link_mem_write *w, size_t step)
{
    static uint32_t seed;
    size_t size = 1 << 20;
    uint8_t *bytes = malloc(size + 100), *expected = malloc(size);
    f.memory = memory_create(size, NULL);
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
        f.memory = memory_import(fcntl(client, F_DUPFD_CLOEXEC, 0), size, true, 1, 1, NULL);
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
    f.memory = memory_create(100, NULL);
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
    f.stream = stream_create(f.loop, f.link, 2, ends[1], false, NULL, NULL, on_ended, &f);
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
    f.stream = stream_create(f.loop, f.link, 2, ends[1], false, NULL, NULL, on_ended, &f);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_frames_in_one_piece),
        LINK_TEST(test_frames_in_pieces),
        LINK_TEST_SPLICE(test_frames_in_pieces),
        LINK_TEST(test_largest_frame),
        LINK_TEST(test_two_links),
        LINK_TEST(test_bytes_that_were_read_before),
        LINK_TEST(test_rows),
        LINK_TEST_SPLICE(test_rows),
        LINK_TEST(test_many_rows),
        LINK_TEST(test_rows_for_nobody),
        LINK_TEST(test_rows_into_a_file_that_shrank),
        LINK_TEST(test_destroyed_amid_rows),
        LINK_TEST(test_stream_data),
        LINK_TEST_SPLICE(test_stream_data),
        LINK_TEST(test_stream_data_for_nobody),
        LINK_TEST_SPLICE(test_stream_data_for_nobody),
        LINK_TEST(test_stream_forgotten_amid_a_frame),
        LINK_TEST_SPLICE(test_stream_forgotten_amid_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
