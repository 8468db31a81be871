/* SPDX-License-Identifier: MIT */
/* A service's connection through both halves: bytes, ends, back-pressure; descriptors that arrive
 * with their byte. */
#include "tests/unit/services/pair.h"

#include <errno.h>
#include <sys/mman.h>

#include "common/base/fd.h"

static struct pair A;

static void open_type(enum link_socket_type type)
{
    struct service_settings settings;
    service_settings_init(&settings, "echo");
    settings.type = type;
    pair_open(&A, &settings);
}

static void close_and_end(void)
{
    A.client = fd_close(A.client);
    pair_until_end(A.server);
    A.server = fd_close(A.server);
    for (int i = 0; i < 100 && (A.guest || A.host); i++)
        turn_times(P.loop, 1);
    assert_null(A.guest);
    assert_null(A.host);
    pair_close(&A);
}

static void test_bytes(void **state)
{
    char text[16];
    (void)state;
    open_type(LINK_SOCKET_STREAM);
    pair_write(A.client, "question", 8);
    pair_read(A.server, text, 8);
    assert_memory_equal(text, "question", 8);
    pair_write(A.server, "answer", 6);
    pair_read(A.client, text, 6);
    assert_memory_equal(text, "answer", 6);
    close_and_end();
}

static void test_half_close(void **state)
{
    char text[16];
    (void)state;
    open_type(LINK_SOCKET_STREAM);
    pair_write(A.client, "last", 4);
    shutdown(A.client, SHUT_WR);
    pair_read(A.server, text, 4);
    int fds[1];
    size_t n;
    assert_int_equal(pair_receive(A.server, text, sizeof(text), fds, &n), 0);
    pair_write(A.server, "still there", 11);
    pair_read(A.client, text, 11);
    assert_non_null(A.guest);
    shutdown(A.server, SHUT_WR);
    pair_until_end(A.client);
    pair_until_end(A.server);
    close_and_end();
}

#define MUCH (8u << 20)

/* Each of both writes more than all queues hold before the other reads. */
static void test_back_pressure(void **state)
{
    (void)state;
    uint8_t *sent = malloc(MUCH), *got = malloc(MUCH);
    fill_pattern(sent, MUCH, 7);
    open_type(LINK_SOCKET_STREAM);
    int from[2] = {A.client, A.server}, to[2] = {A.server, A.client};
    size_t wrote[2] = {0};
    for (int way = 0; way < 2; way++) {
        for (int idle = 0; idle < 50;) { /* until nobody takes more */
            ssize_t n = send(from[way], sent + wrote[way], MUCH - wrote[way], MSG_DONTWAIT);
            wrote[way] += n > 0 ? (size_t)n : 0;
            idle = n > 0 ? 0 : idle + 1;
            turn_times(P.loop, 1);
        }
        assert_true(wrote[way] < 4u << 20);
    }
    for (int way = 0; way < 2; way++) {
        for (size_t have = 0; have < MUCH;) {
            ssize_t n = recv(to[way], got + have, MUCH - have, MSG_DONTWAIT);
            have += n > 0 ? (size_t)n : 0;
            n = wrote[way] < MUCH
                    ? send(from[way], sent + wrote[way], MUCH - wrote[way], MSG_DONTWAIT)
                    : 0;
            wrote[way] += n > 0 ? (size_t)n : 0;
            turn_times(P.loop, 1);
        }
        assert_memory_equal(sent, got, MUCH);
    }
    free(sent);
    free(got);
    close_and_end();
}

static int pipe_with(char letter)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], &letter, 1), 1);
    fd_close(ends[1]);
    return ends[0];
}

static char letter_of(int pipe)
{
    char letter = 0;
    fcntl(pipe, F_SETFL, O_NONBLOCK);
    for (int i = 0; i < 1000 && read(pipe, &letter, 1) != 1; i++)
        turn_times(P.loop, 1);
    fd_close(pipe);
    return letter;
}

/* Messages of five bytes, of which every third has a pipe, written glued; whoever reads message by
 * message gets each descriptor with its own. */
static void alignment(int from, int to, size_t step)
{
    int fds[SEND_FDS_MAX];
    size_t n;
    for (int i = 0; i < 30; i++) {
        char message[6];
        snprintf(message, sizeof(message), "%05d", i);
        int pipe = i % 3 == 2 ? pipe_with((char)('A' + i)) : -1;
        assert_int_equal(send_fds(from, message, 5, &pipe, pipe >= 0), 5);
        fd_close(pipe);
    }
    for (int i = 0; i < 30; i++) {
        char message[6] = "", expected[6];
        size_t have = 0;
        snprintf(expected, sizeof(expected), "%05d", i);
        while (have < 5) {
            ssize_t r =
                pair_receive(to, message + have, step < 5 - have ? step : 5 - have, fds, &n);
            assert_true(r > 0);
            assert_int_equal(n, i % 3 == 2 && have == 0);
            if (n)
                assert_int_equal(letter_of(fds[0]), 'A' + i);
            have += (size_t)r;
        }
        assert_string_equal(message, expected);
    }
}

static void test_alignment(void **state)
{
    (void)state;
    open_type(LINK_SOCKET_STREAM);
    alignment(A.client, A.server, 5);
    alignment(A.server, A.client, 5);
    alignment(A.client, A.server, 1);
    close_and_end();
}

/* It is sent when some of what is before it has been read, and the rest has been looked at. */
static void test_descriptor_behind_much(void **state)
{
    static uint8_t bytes[180000], got[sizeof(bytes)];
    int fds[SEND_FDS_MAX], ends[2];
    size_t n;
    (void)state;
    open_type(LINK_SOCKET_STREAM);
    ends[0] = A.client;
    ends[1] = A.server;
    fill_pattern(bytes, sizeof(bytes), 5);
    for (int way = 0; way < 4; way++) {
        int from = ends[way % 2], to = ends[1 - way % 2], pipe = pipe_with('P');
        assert_int_equal(send(from, bytes, sizeof(bytes), MSG_DONTWAIT), sizeof(bytes));
        turn_times(P.loop, way < 2 ? 1 : 0);
        assert_int_equal(send_fds(from, "P", 1, &pipe, 1), 1);
        fd_close(pipe);
        for (size_t have = 0; have < sizeof(got);) {
            ssize_t r = pair_receive(to, got + have, sizeof(got) - have, fds, &n);
            assert_true(r > 0 && n == 0);
            have += (size_t)r;
        }
        assert_memory_equal(bytes, got, sizeof(bytes));
        assert_int_equal(pair_receive(to, got, sizeof(got), fds, &n), 1);
        assert_int_equal(n, 1);
        assert_int_equal(letter_of(fds[0]), 'P');
    }
    close_and_end();
}

static void test_many_descriptors(void **state)
{
    int fds[SEND_FDS_MAX], got[SEND_FDS_MAX];
    size_t n;
    char byte;
    (void)state;
    open_type(LINK_SOCKET_STREAM);
    for (int i = 0; i < SEND_FDS_MAX; i++)
        fds[i] = pipe_with((char)i);
    assert_int_equal(send_fds(A.client, "x", 1, fds, SEND_FDS_MAX), 1);
    for (int i = 0; i < SEND_FDS_MAX; i++)
        fd_close(fds[i]);
    assert_int_equal(pair_receive(A.server, &byte, 1, got, &n), 1);
    assert_int_equal(n, SEND_FDS_MAX);
    for (int i = 0; i < SEND_FDS_MAX; i++)
        assert_int_equal((uint8_t)letter_of(got[i]), i);
    close_and_end();
}

static int memfd_with(const char *text, int seals)
{
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    if (seals)
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
    return fd;
}

static void test_file(void **state)
{
    int got[SEND_FDS_MAX];
    size_t n;
    char text[16] = "";
    (void)state;
    open_type(LINK_SOCKET_STREAM);
    int fd = memfd_with("content", F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    assert_int_equal(send_fds(A.server, "file", 4, &fd, 1), 4);
    fd_close(fd);
    assert_int_equal(pair_receive(A.client, text, 4, got, &n), 4);
    assert_int_equal(n, 1);
    assert_int_equal(pread(got[0], text, sizeof(text), 0), 7);
    assert_memory_equal(text, "content", 7);
    fd_close(got[0]);
    close_and_end();
}

/* A kind that is not carried ends the connection, after the bytes before it. */
static void test_refused(void **state)
{
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), got[1];
    size_t n;
    char text[16];
    (void)state;
    open_type(LINK_SOCKET_STREAM);
    pair_write(A.client, "before", 6);
    pair_read(A.server, text, 6);
    assert_int_equal(send_fds(A.client, "bad", 3, &null, 1), 3);
    fd_close(null);
    pair_until_end(A.server);
    assert_int_equal(pair_receive(A.server, text, sizeof(text), got, &n), 0);
    pair_until_end(A.client);
    close_and_end();
}

/* @from's socket pairs arrive at @to as sockets that speak with each other, @deep more inside. */
static void sockets(int from, int to, int type, unsigned deep)
{
    int pair[2], got[SEND_FDS_MAX];
    size_t n;
    char text[16];
    assert_int_equal(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    assert_int_equal(send_fds(from, "s", 1, &pair[1], 1), 1);
    fd_close(pair[1]);
    assert_int_equal(pair_receive(to, text, 1, got, &n), 1);
    assert_int_equal(n, 1);
    int there = got[0], kind = 0;
    fcntl(there, F_SETFL, O_NONBLOCK);
    socklen_t size = sizeof(kind);
    assert_int_equal(getsockopt(there, SOL_SOCKET, SO_TYPE, &kind, &size), 0);
    assert_int_equal(kind, type);
    assert_int_equal(send(pair[0], "down", 4, 0), 4);
    assert_int_equal(pair_receive(there, text, sizeof(text), got, &n), 4);
    assert_int_equal(send(there, "up", 2, 0), 2);
    assert_int_equal(pair_receive(pair[0], text, sizeof(text), got, &n), 2);
    if (deep)
        sockets(there, pair[0], type, deep - 1);
    fd_close(there);
    if (type != SOCK_DGRAM)
        pair_until_end(pair[0]);
    fd_close(pair[0]);
}

static void test_sockets(void **state)
{
    (void)state;
    open_type(LINK_SOCKET_STREAM);
    for (int i = 0; i < 2; i++) {
        sockets(A.client, A.server, SOCK_STREAM, 3);
        sockets(A.server, A.client, SOCK_SEQPACKET, 3);
        sockets(A.server, A.client, SOCK_DGRAM, 3);
    }
    close_and_end();
}

/* One too deep ends the connection that it is passed on, and no other. */
static void test_too_deep(void **state)
{
    int pair[2], inner[2], got[SEND_FDS_MAX];
    size_t n;
    char text[16];
    (void)state;
    struct service_settings settings;
    service_settings_init(&settings, "echo");
    settings.max_depth = 1;
    pair_open(&A, &settings);
    make_sockets(pair, 0);
    make_sockets(inner, 0);
    assert_int_equal(send_fds(A.client, "s", 1, &pair[1], 1), 1);
    pair[1] = fd_close(pair[1]);
    assert_int_equal(pair_receive(A.server, text, 1, got, &n), 1);
    assert_int_equal(send_fds(got[0], "x", 1, &inner[1], 1), 1);
    pair_until_end(pair[0]);
    pair_until_end(got[0]);
    pair_write(A.client, "still", 5);
    pair_read(A.server, text, 5);
    fd_close(got[0]);
    for (int i = 0; i < 2; i++) {
        fd_close(pair[i]);
        fd_close(inner[i]);
    }
    close_and_end();
}

static void packets(enum link_socket_type type)
{
    int got[SEND_FDS_MAX];
    size_t n;
    char *large = malloc(1 << 20), text[16];
    open_type(type);
    fill_pattern((uint8_t *)large, 1 << 20, 3);
    int pipe = pipe_with('p');
    assert_int_equal(send(A.client, "one", 3, 0), 3);
    assert_int_equal(send(A.client, "", 0, 0), 0);
    assert_int_equal(send_fds(A.client, "", 0, &pipe, 1), 0);
    assert_int_equal(send(A.client, "four", 4, 0), 4);
    fd_close(pipe);
    assert_int_equal(pair_receive(A.server, text, sizeof(text), got, &n), 3);
    assert_int_equal(n, 0);
    assert_int_equal(pair_receive(A.server, text, sizeof(text), got, &n), 0);
    assert_int_equal(n, 0);
    assert_int_equal(pair_receive(A.server, text, sizeof(text), got, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(letter_of(got[0]), 'p');
    assert_int_equal(pair_receive(A.server, text, sizeof(text), got, &n), 4);
    int room = 4 << 20;
    setsockopt(A.server, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (send(A.server, large, 200 << 10, 0) == 200 << 10) {
        char *whole = malloc(1 << 20);
        assert_int_equal(pair_receive(A.client, whole, 1 << 20, got, &n), 200 << 10);
        assert_memory_equal(large, whole, 200 << 10);
        free(whole);
    }
    free(large);
}

static void test_seqpacket(void **state)
{
    (void)state;
    packets(LINK_SOCKET_SEQPACKET);
    close_and_end();
}

static void test_dgram(void **state)
{
    (void)state;
    packets(LINK_SOCKET_DGRAM);
    pair_close(&A);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pairs_setup, pairs_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_bytes),
        TEST(test_half_close),
        TEST(test_back_pressure),
        TEST(test_alignment),
        TEST(test_descriptor_behind_much),
        TEST(test_many_descriptors),
        TEST(test_file),
        TEST(test_refused),
        TEST(test_sockets),
        TEST(test_too_deep),
        TEST(test_seqpacket),
        TEST(test_dgram),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
