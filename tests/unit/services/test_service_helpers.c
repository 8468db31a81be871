/* SPDX-License-Identifier: MIT */
/* Helpers at work between both halves: descriptors stay with their message, what is refused is
 * answered by the host's half, what breaks the protocol ends the connection. */
#include "tests/unit/services/pair.h"

#include <errno.h>
#include <sys/mman.h>

#include "common/base/fd.h"
#include "common/services/helper-dbus.h"
#include "common/services/helper-pulse.h"
#include "tests/unit/services/pulse_build.h"

static struct pair A;

static void open_as(const struct service_helper_ops *helper)
{
    struct service_settings settings;
    service_settings_init(&settings, "helped");
    settings.helper = helper;
    pair_open(&A, &settings);
}

static void expect(int fd, const void *bytes, size_t n)
{
    uint8_t got[4096];
    assert_true(n <= sizeof(got));
    pair_read(fd, got, n);
    assert_memory_equal(got, bytes, n);
}

#define MESSAGE_SIZE 24

/* A D-Bus message with a body of eight bytes. */
static void message(uint8_t bytes[MESSAGE_SIZE], uint8_t number)
{
    memset(bytes, number, MESSAGE_SIZE);
    memcpy(bytes, "l\1\0\1\x08\0\0\0\1\0\0\0\0\0\0\0", 16);
}

static void handshake(void)
{
    open_as(&helper_dbus);
    pair_write(A.client, "\0AUTH EXTERNAL\r\nBEGIN\r\n", 23);
    expect(A.server, "\0AUTH EXTERNAL\r\nBEGIN\r\n", 23);
    pair_write(A.server, "OK 00\r\n", 7);
    expect(A.client, "OK 00\r\n", 7);
}

static void test_dbus_descriptors(void **state)
{
    (void)state;
    handshake();
    int ways[2][2] = {{A.client, A.server}, {A.server, A.client}};
    for (int way = 0; way < 2; way++) {
        for (uint8_t i = 0; i < 20; i++) {
            uint8_t bytes[MESSAGE_SIZE];
            int ends[2];
            message(bytes, i);
            assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
            assert_int_equal(send_fds(ways[way][0], bytes, sizeof(bytes), ends, i % 5 == 4),
                             MESSAGE_SIZE);
            fd_close(ends[0]);
            fd_close(ends[1]);
        }
        for (uint8_t i = 0; i < 20; i++) { /* whoever reads head and body sees them there */
            uint8_t bytes[MESSAGE_SIZE], expected[MESSAGE_SIZE];
            int fds[SEND_FDS_MAX];
            size_t in_head, in_body;
            message(expected, i);
            assert_int_equal(pair_receive(ways[way][1], bytes, 16, fds, &in_head), 16);
            assert_int_equal(in_head, i % 5 == 4);
            if (in_head)
                fd_close(fds[0]);
            assert_int_equal(pair_receive(ways[way][1], bytes + 16, 8, fds, &in_body), 8);
            assert_int_equal(in_body, 0);
            assert_memory_equal(bytes, expected, MESSAGE_SIZE);
        }
    }
    pair_close(&A);
}

static void test_dbus_ends(void **state)
{
    (void)state;
    handshake();
    pair_write(A.client, "what", 4);
    pair_until_end(A.client);
    pair_until_end(A.server);
    pair_close(&A);
}

/* The other way of authentication is answered at once; the service hears nothing of it. */
static void test_dbus_answer(void **state)
{
    char text[32];
    (void)state;
    open_as(&helper_dbus);
    pair_write(A.client, "\0AUTH ANONYMOUS\r\n", 17);
    expect(A.client, "REJECTED EXTERNAL\r\n", 19);
    pair_write(A.client, "CANCEL\r\n", 8);
    pair_read(A.server, text, 9);
    assert_memory_equal(text, "\0CANCEL\r\n", 9);
    pair_close(&A);
}

static void greet(void)
{
    static struct built b;
    uint8_t got[512];
    open_as(&helper_pulse);
    build_auth(&b, 0, 35 | 0xc0000000, 0x11);
    pair_write(A.client, b.bytes, b.n);
    pair_read(A.server, got, b.n);
    build_command(&b, PULSE_REPLY, pulse_get_be32(got + 26));
    build_u32(&b, 35 | 0x80000000);
    pair_write(A.server, b.bytes, b.n);
    build_command(&b, PULSE_REPLY, 0);
    build_u32(&b, 35);
    expect(A.client, b.bytes, b.n);
}

static void test_pulse_refusals(void **state)
{
    static struct built b, sound;
    (void)state;
    greet();
    build_sound(&sound, 0, 0, 4000);
    for (uint32_t i = 0; i < 50; i++) {
        pair_write(A.client, sound.bytes, sound.n);
        build_command(&b, PULSE_LOAD_MODULE, i);
        build_string(&b, "module-cli");
        pair_write(A.client, b.bytes, b.n);
    }
    for (uint32_t i = 0; i < 50; i++) {
        expect(A.server, sound.bytes, sound.n < 4096 ? sound.n : 4096);
        build_command(&b, PULSE_ERROR, i);
        build_u32(&b, 1);
        expect(A.client, b.bytes, b.n);
    }
    pair_close(&A);
}

/* An answer of the helper's own stands between two of the service's messages, never in one. */
static void test_pulse_answer_waits(void **state)
{
    static struct built b, sound;
    (void)state;
    greet();
    build_sound(&sound, 0, 0, 1000);
    pair_write(A.server, sound.bytes, 500);
    expect(A.client, sound.bytes, 500);
    build_command(&b, PULSE_EXIT, 7);
    pair_write(A.client, b.bytes, b.n);
    turn_times(P.loop, 50);
    pair_write(A.server, sound.bytes + 500, sound.n - 500);
    expect(A.client, sound.bytes + 500, sound.n - 500);
    build_command(&b, PULSE_ERROR, 7);
    build_u32(&b, 1);
    expect(A.client, b.bytes, b.n);
    pair_close(&A);
}

/* A descriptor that no protocol asked for is refused with its message: none is carried in silence.
 */
static void test_pulse_descriptor(void **state)
{
    static struct built b;
    (void)state;
    greet();
    int fd = memfd_create("shared", MFD_CLOEXEC);
    build_command(&b, PULSE_REGISTER_MEMFD_SHMID, UINT32_MAX);
    build_u32(&b, 1);
    assert_int_equal(send_fds(A.client, b.bytes, b.n, &fd, 1), (ssize_t)b.n);
    fd_close(fd);
    build_command(&b, PULSE_ERROR, UINT32_MAX);
    build_u32(&b, 1);
    expect(A.client, b.bytes, b.n);
    uint8_t byte;
    turn_times(P.loop, 50);
    assert_int_equal(recv(A.server, &byte, 1, MSG_DONTWAIT), -1);
    assert_int_equal(errno, EAGAIN);
    pair_close(&A);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, pairs_setup, pairs_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_dbus_descriptors), TEST(test_dbus_ends),          TEST(test_dbus_answer),
        TEST(test_pulse_refusals),   TEST(test_pulse_answer_waits), TEST(test_pulse_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
