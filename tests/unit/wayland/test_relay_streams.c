/* SPDX-License-Identifier: MIT */
/* Keymaps and pipes that cross both relays with their messages. */
#include "tests/unit/wayland/session.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

/* --- files --- */

static void keymap(int fd, size_t size)
{
    bind_all();
    wire_send(&R.client, SEAT, SEAT_GET_KEYBOARD, "u", NEXT);
    wire_expect(&R.compositor, SEAT, "wl_seat", "get_keyboard");
    wire_send_fd(&R.compositor, fd, NEXT, KEYBOARD_KEYMAP, "uu", 1, (uint32_t)size);
    wire_send(&R.compositor, NEXT, KEYBOARD_REPEAT_INFO, "uu", 25, 600);
    assert_int_equal(wire_expect(&R.client, NEXT, "wl_keyboard", "keymap").args[2].u, size);
    int got = wire_fd(&R.client);
    uint8_t *expected = malloc(size + 1), *back = malloc(size + 1);
    fill_pattern(expected, size, 5);
    assert_int_equal(pread(got, back, size + 1, 0), size);
    assert_memory_equal(back, expected, size);
    fd_close(got);
    free(expected);
    free(back);
    wire_expect(&R.client, NEXT, "wl_keyboard", "repeat_info"); /* life goes on */
    wire_send(&R.compositor, NEXT, KEYBOARD_REPEAT_INFO, "uu", 25, 601);
    wire_expect(&R.client, NEXT, "wl_keyboard", "repeat_info");
    sync_with(NEXT + 1);
}

static int content_file(int fd, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    fill_pattern(bytes, size, 5);
    assert_int_equal(write(fd, bytes, size), size);
    free(bytes);
    return fd;
}

static void test_a_keymap(void **state)
{
    (void)state;
    keymap(content_file(fd_memfd("keymap", 0), 50000), 50000);
}

static void test_a_keymap_on_disk(void **state)
{
    (void)state;
    struct fd_info info;
    char path[] = "./wayvsock-test-XXXXXX";
    int fd = mkostemp(path, O_CLOEXEC);
    assert_true(fd >= 0);
    unlink(path);
    assert_int_equal(fd_inspect(fd, &info), 0);
    if (info.kind != FD_KIND_FILE)
        skip();
    keymap(content_file(fd, 50000), 50000);
}

/* The client gets something that it cannot map, whatever the message says of its size. */
static void no_keymap(int fd, uint32_t format, uint32_t size)
{
    bind_all();
    wire_send(&R.client, SEAT, SEAT_GET_KEYBOARD, "u", NEXT);
    wire_expect(&R.compositor, SEAT, "wl_seat", "get_keyboard");
    wire_send_fd(&R.compositor, fd, NEXT, KEYBOARD_KEYMAP, "uu", format, size);
    assert_int_equal(wire_expect(&R.client, NEXT, "wl_keyboard", "keymap").args[2].u, size);
    int got = wire_fd(&R.client);
    char byte;
    assert_int_equal(read(got, &byte, 1), 0);
    assert_ptr_equal(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, got, 0), MAP_FAILED);
    fd_close(got);
    sync_with(NEXT + 1);
}

static void test_no_keymap(void **state)
{
    (void)state;
    no_keymap(open("/dev/null", O_RDONLY | O_CLOEXEC), 0, 0);
}

static void test_no_keymap_of_a_socket(void **state)
{
    (void)state;
    int ends[2];
    make_sockets(ends, 0);
    fd_close(ends[1]);
    no_keymap(ends[0], 0, 10);
}

static void test_no_keymap_of_a_path(void **state)
{
    (void)state;
    no_keymap(open("/", O_PATH | O_CLOEXEC), 0, 0);
}

static void test_a_keymap_that_cannot_be_read(void **state)
{
    (void)state;
    no_keymap(open("/proc/self/mem", O_RDONLY | O_CLOEXEC), 1, 4096);
}

/* Some forget the NUL behind the text: a mapping has it. */
static void test_a_keymap_without_its_last_byte(void **state)
{
    (void)state;
    bind_all();
    wire_send(&R.client, SEAT, SEAT_GET_KEYBOARD, "u", NEXT);
    wire_expect(&R.compositor, SEAT, "wl_seat", "get_keyboard");
    wire_send_fd(&R.compositor, content_file(fd_memfd("keymap", 0), 100), NEXT, KEYBOARD_KEYMAP,
                 "uu", 1, 101);
    assert_int_equal(wire_expect(&R.client, NEXT, "wl_keyboard", "keymap").args[2].u, 101);
    int got = wire_fd(&R.client);
    const uint8_t *map = mmap(NULL, 101, PROT_READ, MAP_PRIVATE, got, 0);
    assert_ptr_not_equal(map, MAP_FAILED);
    assert_int_equal(map[100], 0);
    munmap((void *)map, 101);
    fd_close(got);
    sync_with(NEXT + 1);
}

/* --- streams --- */

static bool readable(void *user)
{
    char byte;
    int fd = *(int *)user;
    ssize_t n = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && errno == ENOTSOCK) {
        int waiting = 0;
        return ioctl(fd, FIONREAD, &waiting) == 0 && waiting > 0;
    }
    return n >= 0;
}

static void test_descriptors_keep_their_order(void **state)
{
    (void)state;
    enum { N = 100 };
    uint32_t id = start_offer();
    int mine[N];
    static uint8_t bytes[N * 64];
    size_t n = 0;
    int fds[28], n_fds = 0;
    for (int i = 0; i < N;
         i++) { /* in one go, the descriptors ahead of their messages as libwayland sends them */
        int ends[2];
        char mime[32];
        make_pipe(ends);
        mine[i] = ends[0];
        fds[n_fds++] = ends[1];
        snprintf(mime, sizeof(mime), "type/%d", i);
        n += wl_build(bytes + n, id, OFFER_RECEIVE, "s", mime);
        if (n_fds == 28 || i == N - 1) {
            wire_send_fds(&R.client, bytes, n, fds, (size_t)n_fds);
            n = 0;
            n_fds = 0;
        }
    }
    for (int i = 0; i < N; i++) {
        char mime[32];
        snprintf(mime, sizeof(mime), "type/%d", i);
        assert_string_equal(
            wire_expect(&R.compositor, id, "wl_data_offer", "receive").args[0].s.text, mime);
        int theirs = wire_fd(&R.compositor);
        assert_int_equal(write(theirs, &i, sizeof(i)), sizeof(i));
        fd_close(theirs);
    }
    for (int i = 0; i < N; i++) {
        int got = -1;
        turn_until(R.loop, readable, &mine[i]);
        assert_int_equal(read(mine[i], &got, sizeof(got)), sizeof(got));
        assert_int_equal(got, i);
        fd_close(mine[i]);
    }
}

static bool hung_up(void *user)
{
    struct pollfd p = {.fd = *(int *)user};
    return poll(&p, 1, 0) > 0 && p.revents & (POLLERR | POLLHUP);
}

/* Nobody can write to it: that is for the one who tries to see. */
static void stream_of_no_use(int fd)
{
    uint32_t id = start_offer();
    wire_send_fd(&R.client, fd, id, OFFER_RECEIVE, "s", "a/b");
    wire_expect(&R.compositor, id, "wl_data_offer", "receive");
    int theirs = wire_fd(&R.compositor);
    turn_until(R.loop, hung_up, &theirs);
    fd_close(theirs);
    sync_with(NEXT + 1);
}

static void test_a_stream_of_a_directory(void **state)
{
    (void)state;
    stream_of_no_use(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void test_a_stream_of_a_path(void **state)
{
    (void)state;
    stream_of_no_use(open("/dev/null", O_PATH | O_CLOEXEC));
}

static void test_surplus_descriptors(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < 60 && !R.ended; i++) {
        int fds[20];
        uint8_t bytes[64];
        for (int f = 0; f < 20; f++)
            fds[f] = open("/dev/null", O_RDONLY | O_CLOEXEC);
        wire_send_fds(&R.client, bytes, wl_build(bytes, 1, DISPLAY_SYNC, "u", 2 + i), fds, 20);
        turn_times(R.loop, 2);
    }
    expect_error(1, WL_DISPLAY_NO_MEMORY, "too many descriptors");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(test_a_keymap),
        SESSION_TEST(test_a_keymap_on_disk),
        SESSION_TEST(test_no_keymap),
        SESSION_TEST(test_no_keymap_of_a_socket),
        SESSION_TEST(test_no_keymap_of_a_path),
        SESSION_TEST(test_a_keymap_that_cannot_be_read),
        SESSION_TEST(test_a_keymap_without_its_last_byte),
        SESSION_TEST(test_descriptors_keep_their_order),
        SESSION_TEST(test_a_stream_of_a_directory),
        SESSION_TEST(test_a_stream_of_a_path),
        SESSION_TEST(test_surplus_descriptors),
    };
    return cmocka_run_group_tests(tests, session_fill_cache, NULL);
}
