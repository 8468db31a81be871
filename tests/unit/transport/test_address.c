/* SPDX-License-Identifier: MIT */
/* Address texts: every accepted form round-trips, every refused one says the right form; the hybrid
 * greeting in every split; which path a display has. */
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

#include "common/transport/address.h"

static char error[512];

static struct address parsed(const char *text)
{
    struct address address;
    char again[160];
    assert_int_equal(address_parse(text, &address, error, sizeof(error)), 0);
    assert_string_equal(address_format(&address, again, sizeof(again)), text);
    return address;
}

/* Refused, leaves the output alone, quotes the text and says @needle. */
static void refused(const char *text, const char *needle)
{
    struct address address, untouched;
    memset(&address, 0x5a, sizeof(address));
    memset(&untouched, 0x5a, sizeof(untouched));
    error[0] = '\0';
    assert_int_equal(address_parse(text, &address, error, sizeof(error)), -EINVAL);
    assert_memory_equal(&address, &untouched, sizeof(address));
    assert_non_null(strstr(error, "bad address"));
    if (!strstr(error, needle))
        fail_msg("\"%s\" does not say \"%s\"", error, needle);
}

static void test_vsock(void **state)
{
    (void)state;
    struct address a = parsed("vsock:2:1100");
    assert_int_equal(a.kind, ADDRESS_VSOCK);
    assert_int_equal(a.cid, 2);
    assert_int_equal(a.port, 1100);
    a = parsed("vsock:1100");
    assert_int_equal(a.cid, VMADDR_CID_ANY);
    assert_int_equal(a.port, 1100);
    assert_int_equal(parsed("vsock:0:1").cid, 0);
    assert_int_equal(parsed("vsock:4294967294:4294967294").cid, 4294967294u);
}

static void test_unix(void **state)
{
    (void)state;
    struct address a = parsed("unix:/run/user/1000/wayvsock.sock");
    assert_int_equal(a.kind, ADDRESS_UNIX);
    assert_string_equal(a.path, "/run/user/1000/wayvsock.sock");
    assert_string_equal(parsed("unix:relative").path, "relative");
    assert_string_equal(parsed("unix:/with:colons:1").path, "/with:colons:1");
}

static void test_mux(void **state)
{
    (void)state;
    struct address a = parsed("vsock-mux:/run/vm/v.sock:1100");
    assert_int_equal(a.kind, ADDRESS_VSOCK_MUX);
    assert_string_equal(a.path, "/run/vm/v.sock");
    assert_int_equal(a.port, 1100);
    a = parsed("vsock-mux:/a:b:7");
    assert_string_equal(a.path, "/a:b");
    assert_int_equal(a.port, 7);
}

static void test_device(void **state)
{
    (void)state;
    struct address a = parsed("vsock-device:/run/vm/host:1");
    assert_int_equal(a.kind, ADDRESS_VSOCK_DEVICE);
    assert_string_equal(a.path, "/run/vm/host:1");
}

static void test_refuse_unknown_scheme(void **state)
{
    static const char *const texts[] = {"",        "vsock",     "unix",       "/run/x",
                                        "tcp:1:2", "VSOCK:2:1", " vsock:2:1", "vsockmux:/x:1"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        refused(texts[i], "vsock:CID:PORT, vsock:PORT, unix:PATH, vsock-mux:PATH:PORT or "
                          "vsock-device:PATH");
}

static void test_refuse_bad_cid(void **state)
{
    static const char *const texts[] = {"vsock::1100",        "vsock:x:1100",
                                        "vsock:-1:1100",      "vsock:+2:1100",
                                        "vsock: 2:1100",      "vsock:4294967295:1",
                                        "vsock:4294967296:1", "vsock:0x2:1",
                                        "vsock:host:1100",    "vsock:99999999999999999999999:1"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        refused(texts[i], "the CID is a number from 0 to 4294967294, as in vsock:2:1100");
}

static void test_refuse_bad_port(void **state)
{
    static const char *const texts[] = {"vsock:",
                                        "vsock:2:",
                                        "vsock:2:x",
                                        "vsock:2:0",
                                        "vsock:0",
                                        "vsock:2:4294967295",
                                        "vsock:2:1 ",
                                        "vsock:2:-1",
                                        "vsock:2:4294967296",
                                        "vsock:2:3:4",
                                        "vsock:18446744073709551617"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        refused(texts[i], "the port is a number from 1 to 4294967294, as in vsock:2:1100");
}

static void test_refuse_bad_mux_port(void **state)
{
    static const char *const texts[] = {"vsock-mux:",      "vsock-mux:/x",
                                        "vsock-mux:/x:",   "vsock-mux:/x:0",
                                        "vsock-mux:/x:y",  "vsock-mux:/x:4294967295",
                                        "vsock-mux:/x:1\n"};
    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        refused(texts[i], "as in vsock-mux:/run/vm/vsock:1100");
}

static void test_refuse_missing_path(void **state)
{
    (void)state;
    refused("unix:", "the path is missing; write unix:PATH");
    refused("vsock-mux::1100", "the path is missing");
    refused("vsock-device:", "the path is missing");
}

static void test_path_length_is_exact(void **state)
{
    char text[300], path[200];
    (void)state;
    memset(path, 'p', sizeof(path));
    snprintf(text, sizeof(text), "unix:%.107s", path); /* and the NUL: 108 */
    parsed(text);
    snprintf(text, sizeof(text), "unix:%.108s", path);
    refused(text, "the path has 108 bytes, and a socket's may have 107 here");
    /* The listening side appends "_1100". */
    snprintf(text, sizeof(text), "vsock-mux:%.102s:1100", path);
    parsed(text);
    snprintf(text, sizeof(text), "vsock-mux:%.103s:1100", path);
    refused(text, "the path has 103 bytes, and a socket's may have 102 here");
}

static void test_long_garbage_fits_the_error(void **state)
{
    static char text[20000];
    struct address address;
    char small[16];
    (void)state;
    memset(text, 'x', sizeof(text) - 1);
    refused(text, "bad address");
    assert_int_equal(address_parse(text, &address, small, sizeof(small)), -EINVAL);
    assert_int_equal(strlen(small), sizeof(small) - 1);
}

static void test_format_is_bounded(void **state)
{
    struct address address = parsed("vsock-mux:/run/vm/v.sock:1100");
    char small[8];
    (void)state;
    assert_string_equal(address_format(&address, small, sizeof(small)), "vsock-m");
}

static void test_mux_request(void **state)
{
    struct address address = parsed("vsock-mux:/v:1100");
    char line[ADDRESS_MUX_LINE_MAX];
    (void)state;
    size_t n = address_mux_request(&address, line);
    assert_int_equal(n, 13);
    assert_memory_equal(line, "CONNECT 1100\n", 13);
    address = parsed("vsock-mux:/v:4294967294");
    assert_int_equal(address_mux_request(&address, line), 19);
}

static void test_mux_greeting_leaves_the_rest(void **state)
{
    int ends[2];
    char rest[8];
    struct address_mux mux = {.n = 0};
    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    assert_int_equal(address_mux_receive(&mux, ends[0]), 0);
    assert_int_equal(send(ends[1], "OK", 2, 0), 2);
    assert_int_equal(address_mux_receive(&mux, ends[0]), 0);
    assert_int_equal(send(ends[1], " 7\nrest", 7, 0), 7);
    assert_int_equal(address_mux_receive(&mux, ends[0]), 1);
    assert_int_equal(recv(ends[0], rest, sizeof(rest), MSG_DONTWAIT), 4);
    mux.n = 0;
    assert_int_equal(send(ends[1], "KO", 2, 0), 2);
    assert_int_equal(address_mux_receive(&mux, ends[0]), -EPROTO);
    assert_int_equal(recv(ends[0], rest, sizeof(rest), MSG_DONTWAIT), 2);
    close(ends[1]);
    assert_int_equal(address_mux_receive(&mux, ends[0]), -ECONNREFUSED);
    close(ends[0]);
}

static void test_mux_greeting_split_everywhere_and_merged(void **state)
{
    static const char stream[] = "OK 1073741824\nrest of the stream";
    const size_t greeting = 14, all = sizeof(stream) - 1;
    (void)state;
    for (size_t first = 0; first <= all; first++) {
        for (size_t second = first; second <= all; second++) {
            struct address_mux mux = {.n = 0};
            const size_t ends[] = {first, second, all};
            size_t at = 0, taken = 0;
            bool done = false;
            for (size_t i = 0; i < 3; i++) {
                ssize_t n = address_mux_feed(&mux, stream + at, ends[i] - at, &done);
                assert_true(n >= 0);
                taken += (size_t)n;
                assert_int_equal(done, ends[i] >= greeting);
                assert_int_equal(taken, ends[i] < greeting ? ends[i] : greeting);
                at = ends[i];
            }
        }
    }
}

static void test_mux_greeting_byte_by_byte(void **state)
{
    static const char line[] = "OK 5\n";
    struct address_mux mux = {.n = 0};
    (void)state;
    for (size_t i = 0; i < sizeof(line) - 1; i++) {
        bool done = true;
        assert_int_equal(address_mux_feed(&mux, &line[i], 1, &done), 1);
        assert_int_equal(done, line[i] == '\n');
    }
}

static void test_mux_greeting_refused(void **state)
{
    static const char *const lines[] = {"ERR\n",
                                        "ok 5\n",
                                        "OK\n",
                                        "OK \n",
                                        "OK  5\n",
                                        "OK x\n",
                                        "OK 5 \n",
                                        "OK -5\n",
                                        "OK 5\r\n",
                                        "OKAY 5\n",
                                        "\n",
                                        "CONNECT 5\n",
                                        "OK 4294967296\n",
                                        "OK 00000000000000000000000000000000000000005\n",
                                        "OK 11111111111111111111111111111111111111111"};
    (void)state;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct address_mux mux = {.n = 0};
        bool done = false;
        assert_int_equal(address_mux_feed(&mux, lines[i], strlen(lines[i]), &done), -EPROTO);
        assert_false(done);

        struct address_mux slow = {.n = 0};
        ssize_t n = 0;
        for (size_t at = 0; n >= 0 && lines[i][at]; at++)
            n = address_mux_feed(&slow, &lines[i][at], 1, &done);
        assert_int_equal(n, -EPROTO);
        assert_false(done);
    }
}

static void test_mux_greeting_wrong_from_the_first_byte(void **state)
{
    struct address_mux mux = {.n = 0};
    bool done = false;
    (void)state;
    assert_int_equal(address_mux_feed(&mux, "\0", 1, &done), -EPROTO); /* no newline awaited */
}

static void test_display_path(void **state)
{
    char path[108], longer[200];
    (void)state;
    setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
    unsetenv("WAYLAND_DISPLAY");
    assert_int_equal(address_display_path(NULL, path, sizeof(path), error, sizeof(error)), 0);
    assert_string_equal(path, "/run/user/7/wayland-0");
    setenv("WAYLAND_DISPLAY", "wayland-5", 1);
    assert_int_equal(address_display_path(NULL, path, sizeof(path), error, sizeof(error)), 0);
    assert_string_equal(path, "/run/user/7/wayland-5");
    assert_int_equal(address_display_path("other", path, sizeof(path), error, sizeof(error)), 0);
    assert_string_equal(path, "/run/user/7/other");
    assert_int_equal(address_display_path("/x/wl", path, sizeof(path), error, sizeof(error)), 0);
    assert_string_equal(path, "/x/wl");
    setenv("WAYLAND_DISPLAY", "/y/wl", 1);
    assert_int_equal(address_display_path(NULL, path, sizeof(path), error, sizeof(error)), 0);
    assert_string_equal(path, "/y/wl");

    memset(longer, 'd', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(address_display_path(longer, path, sizeof(path), error, sizeof(error)),
                     -ENAMETOOLONG);
    longer[0] = '/';
    assert_int_equal(address_display_path(longer, path, sizeof(path), error, sizeof(error)),
                     -ENAMETOOLONG);

    unsetenv("XDG_RUNTIME_DIR");
    assert_int_equal(address_display_path("other", path, sizeof(path), error, sizeof(error)),
                     -ENOENT);
    assert_non_null(strstr(error, "XDG_RUNTIME_DIR is not set"));
    assert_int_equal(address_display_path("/x/wl", path, sizeof(path), error, sizeof(error)), 0);
    unsetenv("WAYLAND_DISPLAY");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vsock),
        cmocka_unit_test(test_unix),
        cmocka_unit_test(test_mux),
        cmocka_unit_test(test_device),
        cmocka_unit_test(test_refuse_unknown_scheme),
        cmocka_unit_test(test_refuse_bad_cid),
        cmocka_unit_test(test_refuse_bad_port),
        cmocka_unit_test(test_refuse_bad_mux_port),
        cmocka_unit_test(test_refuse_missing_path),
        cmocka_unit_test(test_path_length_is_exact),
        cmocka_unit_test(test_long_garbage_fits_the_error),
        cmocka_unit_test(test_format_is_bounded),
        cmocka_unit_test(test_mux_request),
        cmocka_unit_test(test_mux_greeting_leaves_the_rest),
        cmocka_unit_test(test_mux_greeting_split_everywhere_and_merged),
        cmocka_unit_test(test_mux_greeting_byte_by_byte),
        cmocka_unit_test(test_mux_greeting_refused),
        cmocka_unit_test(test_mux_greeting_wrong_from_the_first_byte),
        cmocka_unit_test(test_display_path),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
