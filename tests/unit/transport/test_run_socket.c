/* SPDX-License-Identifier: MIT */
/* What the host's program and the guest's say to each other about a program: what is written can be
 * read, in any pieces and with its descriptors, and nothing else can. */
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/transport/run-socket.h"

static struct {
    struct run_socket here, there;
    int fds;
} T;

static int set_up(void **state)
{
    int ends[2];
    (void)state;
    T.fds = count_fds();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(run_socket_init(&T.here, ends[0]), 0);
    assert_int_equal(run_socket_init(&T.there, ends[1]), 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    run_socket_finish(&T.here);
    run_socket_finish(&T.there);
    assert_int_equal(count_fds(), T.fds);
    return 0;
}

static const uint8_t pixels[64];
static const char words[] = "sh\0-c\0exit 7\0A=b";

static union run_message command(void)
{
    return (union run_message){.command = {.words = 3, .variables = 1, .rows = 24}};
}

static void test_a_command_with_its_pipes(void **state)
{
    union run_message m = command(), got;
    const uint8_t *data;
    uint32_t size;
    unsigned type;
    int fds[RUN_FDS] = {0, 1, 2};
    (void)state;
    assert_int_equal(run_socket_send(&T.here, RUN_COMMAND, &m, words, sizeof(words), fds, 3), 0);
    assert_int_equal(run_socket_wait(&T.there, 5000, &type, &got, &data, &size), 1);
    assert_int_equal(type, RUN_COMMAND);
    assert_int_equal(got.command.words, 3);
    assert_int_equal(got.command.rows, 24);
    assert_int_equal(size, sizeof(words));
    assert_memory_equal(data, words, size);
    assert_int_equal(T.there.fds_n, RUN_FDS);
}

/* The stream cuts where it likes. */
static void test_byte_by_byte(void **state)
{
    uint8_t bytes[200];
    union run_message m = command(), got;
    const uint8_t *data;
    uint32_t size;
    unsigned type;
    (void)state;
    size_t n = run_encode(bytes, RUN_COMMAND, &m, words, sizeof(words));
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(run_socket_next(&T.there, &type, &got, &data, &size), 0);
        assert_int_equal(send(T.here.fd, bytes + i, 1, 0), 1);
        assert_int_equal(run_socket_read(&T.there), 1);
    }
    assert_int_equal(run_socket_next(&T.there, &type, &got, &data, &size), 1);
    assert_int_equal(run_socket_next(&T.there, &type, &got, &data, &size), 0);
}

static void test_the_largest(void **state)
{
    char *texts = calloc(1, RUN_TEXTS_MAX);
    union run_message m = {.command = {.words = 1}}, got;
    const uint8_t *data;
    uint32_t size;
    unsigned type;
    (void)state;
    memset(texts, 'x', RUN_TEXTS_MAX - 1);
    int room = 1 << 20;
    setsockopt(T.here.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    assert_int_equal(run_socket_send(&T.here, RUN_COMMAND, &m, texts, RUN_TEXTS_MAX, NULL, 0), 0);
    assert_int_equal(run_socket_wait(&T.there, 5000, &type, &got, &data, &size), 1);
    assert_int_equal(size, RUN_TEXTS_MAX);
    free(texts);
}

static void expect_refused(const void *bytes, size_t n)
{
    union run_message got;
    const uint8_t *data;
    uint32_t size;
    unsigned type;
    assert_int_equal(send(T.here.fd, bytes, n, 0), n);
    assert_int_equal(run_socket_wait(&T.there, 5000, &type, &got, &data, &size), -EPROTO);
}

#define REFUSED(name, ...)                                                                         \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        uint8_t bytes[200] = {0};                                                                  \
        union run_message m = command();                                                           \
        size_t n;                                                                                  \
        (void)m;                                                                                   \
        (void)state;                                                                               \
        __VA_ARGS__;                                                                               \
        expect_refused(bytes, n);                                                                  \
    }
REFUSED(too_few_words, m.command.words = 4,
        n = run_encode(bytes, RUN_COMMAND, &m, words, sizeof(words)))
REFUSED(too_many_words, m.command.words = 2,
        n = run_encode(bytes, RUN_COMMAND, &m, words, sizeof(words)))
REFUSED(no_words, m.command.words = 0, n = run_encode(bytes, RUN_COMMAND, &m, words, sizeof(words)))
REFUSED(an_open_text, n = run_encode(bytes, RUN_COMMAND, &m, words, sizeof(words) - 1))
REFUSED(unknown_flags, m.command.flags = 2,
        n = run_encode(bytes, RUN_COMMAND, &m, words, sizeof(words)))
REFUSED(two_words_of_an_entry, n = run_encode(bytes, RUN_ENTRY, &m, words, sizeof(words)))
REFUSED(an_unknown_type, n = run_encode(bytes, RUN_COMMAND, &m, words, sizeof(words)),
        bytes[4] = 99)
REFUSED(a_reserved_field, n = run_encode(bytes, RUN_MENU, NULL, NULL, 0), bytes[10] = 1)
REFUSED(a_size_beyond_all, n = run_encode(bytes, RUN_COMMAND, &m, words, sizeof(words)),
        bytes[3] = 1)
REFUSED(status_and_signal, m.exited = (struct run_exited){1, 1},
        n = run_encode(bytes, RUN_EXITED, &m, NULL, 0))
REFUSED(signal_65, m.signal.number = 65, n = run_encode(bytes, RUN_SIGNAL, &m, NULL, 0))
REFUSED(pixels_that_are_not_there, m.icon = (struct run_icon){8, 4},
        n = run_encode(bytes, RUN_ICON, &m, pixels, 64))
REFUSED(an_edge_beyond_all, m.icon = (struct run_icon){65, 1},
        n = run_encode(bytes, RUN_ICON, &m, pixels, 4))
REFUSED(json, strcpy((char *)bytes, "{\"error\": \"no VM\"}\n"), n = 19)

static void test_too_many_descriptors(void **state)
{
    int fds[RUN_FDS] = {0, 1, 2};
    (void)state;
    assert_int_equal(run_socket_send(&T.here, RUN_MENU, NULL, NULL, 0, fds, 3), 0);
    assert_int_equal(run_socket_send(&T.here, RUN_MENU, NULL, NULL, 0, fds, 3), 0);
    int r = run_socket_read(&T.there);
    assert_int_equal(r == 1 ? run_socket_read(&T.there) : r, -EPROTO);
    assert_int_equal(T.there.fds_n, RUN_FDS);
}

static void test_a_failure_is_told(void **state)
{
    union run_message got;
    const uint8_t *data;
    uint32_t size;
    unsigned type;
    (void)state;
    run_fail(T.here.fd, 127, "it is not there");
    assert_int_equal(run_socket_wait(&T.there, 5000, &type, &got, &data, &size), 1);
    assert_int_equal(type, RUN_FAILED);
    assert_int_equal(got.failed.status, 127);
    assert_string_equal(data, "it is not there");
    shutdown(T.here.fd, SHUT_WR);
    assert_int_equal(run_socket_wait(&T.there, 5000, &type, &got, &data, &size), -ECONNRESET);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_command_with_its_pipes),
        TEST(test_byte_by_byte),
        TEST(test_the_largest),
        TEST(test_too_few_words),
        TEST(test_too_many_words),
        TEST(test_no_words),
        TEST(test_an_open_text),
        TEST(test_unknown_flags),
        TEST(test_two_words_of_an_entry),
        TEST(test_an_unknown_type),
        TEST(test_a_reserved_field),
        TEST(test_a_size_beyond_all),
        TEST(test_status_and_signal),
        TEST(test_signal_65),
        TEST(test_pixels_that_are_not_there),
        TEST(test_an_edge_beyond_all),
        TEST(test_json),
        TEST(test_too_many_descriptors),
        TEST(test_a_failure_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
