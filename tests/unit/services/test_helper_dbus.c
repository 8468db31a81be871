/* SPDX-License-Identifier: MIT */
/* D-Bus through its helper: who the client is, and where messages end. */
#include "tests/unit/support.h"

#include <string.h>

#include "common/services/helper-dbus.h"
#include "tests/support/helper_feed.h"

static struct service_settings settings;
static struct feed feed;

static int begin(void **state)
{
    (void)state;
    feed_init(&feed, &helper_dbus, &settings);
    return 0;
}

static int end(void **state)
{
    (void)state;
    feed_finish(&feed);
    return 0;
}

static void again(void)
{
    feed_finish(&feed);
    feed_init(&feed, &helper_dbus, &settings);
}

static void client(const char *text)
{
    feed_say(&feed, SERVICE_FROM_CLIENT, text, strlen(text), 0);
}

static void server(const char *text)
{
    feed_say(&feed, SERVICE_FROM_SERVER, text, strlen(text), 0);
}

static void zero(void)
{
    feed_say(&feed, SERVICE_FROM_CLIENT, "", 1, 0);
    assert_int_equal(feed.said[0].n, 1);
    feed_clear(&feed);
}

static void assert_said(enum service_way way, const char *text)
{
    assert_false(feed.failed);
    assert_int_equal(feed.said[way].n, strlen(text));
    if (*text)
        assert_memory_equal(feed.said[way].bytes, text, strlen(text));
    assert_int_equal(feed.said[!way].n, 0);
    feed_clear(&feed);
}

static void assert_ended(const char *text)
{
    assert_true(feed.failed);
    assert_string_equal(feed.text, text);
    again();
}

/* @command with the user that this program runs as. */
static const char *as_us(const char *command)
{
    static char line[128];
    char user[16];
    snprintf(user, sizeof(user), "%u", (unsigned)geteuid());
    int n = snprintf(line, sizeof(line), "%s ", command);
    for (char *c = user; *c; c++)
        n += snprintf(line + n, sizeof(line) - (size_t)n, "%02x", (unsigned)*c);
    snprintf(line + n, sizeof(line) - (size_t)n, "\r\n");
    return line;
}

static void test_external(void **state)
{
    (void)state;
    zero();
    client("AUTH EXTERNAL 31303030\r\n");
    assert_said(SERVICE_FROM_CLIENT, as_us("AUTH EXTERNAL"));
    client("AUTH EXTERNAL  34323934393637323935\r\n"); /* the largest, and two spaces */
    assert_said(SERVICE_FROM_CLIENT, as_us("AUTH EXTERNAL"));
    client("AUTH EXTERNAL what\r\n");
    assert_said(SERVICE_FROM_CLIENT, as_us("AUTH EXTERNAL"));
    /* In two: the bus asks for it. */
    client("AUTH EXTERNAL\r\n");
    assert_said(SERVICE_FROM_CLIENT, "AUTH EXTERNAL\r\n");
    server("DATA\r\n");
    assert_said(SERVICE_FROM_SERVER, "DATA\r\n");
    client("DATA 31303030\r\n");
    assert_said(SERVICE_FROM_CLIENT, as_us("DATA"));
    client("DATA\r\n"); /* whoever the socket's end belongs to: we */
    assert_said(SERVICE_FROM_CLIENT, "DATA\r\n");
}

static void test_other_ways(void **state)
{
    (void)state;
    zero();
    client("AUTH DBUS_COOKIE_SHA1 31303030\r\n");
    assert_said(SERVICE_FROM_SERVER, "REJECTED EXTERNAL\r\n");
    client("AUTH ANONYMOUS\r\n");
    assert_said(SERVICE_FROM_SERVER, "REJECTED EXTERNAL\r\n");
    client("DATA 31303030\r\n"); /* of nothing: the bus refuses it */
    assert_said(SERVICE_FROM_CLIENT, "DATA 31303030\r\n");
    client("AUTH\r\n");
    assert_said(SERVICE_FROM_CLIENT, "AUTH\r\n");
    client("CANCEL\r\n");
    assert_said(SERVICE_FROM_CLIENT, "CANCEL\r\n");
    client("ERROR no\r\n");
    assert_said(SERVICE_FROM_CLIENT, "ERROR no\r\n");
    client("NEGOTIATE_UNIX_FD\r\n");
    assert_said(SERVICE_FROM_CLIENT, "NEGOTIATE_UNIX_FD\r\n");
    client("SOMETHING\r\n");
    assert_said(SERVICE_FROM_SERVER, "ERROR\r\n");
    client("auth EXTERNAL 30\r\n");
    assert_said(SERVICE_FROM_SERVER, "ERROR\r\n");
    client("\r\n");
    assert_said(SERVICE_FROM_SERVER, "ERROR\r\n");
}

static void test_bad_lines(void **state)
{
    (void)state;
    client("AUTH EXTERNAL 30\r\n");
    assert_ended("dbus: a client that does not begin with a zero");
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {{"AUTH\n", 5},     {"\n", 1},       {"AUTH\rX", 6},     {"AU\0TH", 5},
               {"AUTH\t\r\n", 7}, {"AU\x80TH", 5}, {"AUTH \x1b[2J", 9}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        zero();
        feed_say(&feed, SERVICE_FROM_CLIENT, bad[i].bytes, bad[i].n, 0);
        assert_ended("dbus: a line with bytes that are no text");
        zero();
        feed_say(&feed, SERVICE_FROM_CLIENT, bad[i].bytes, bad[i].n, 1);
        assert_ended("dbus: a line with bytes that are no text");
    }
    zero();
    char line[65];
    memset(line, 'A', 64);
    line[64] = 0;
    client(line);
    assert_ended("dbus: a line that is too long");
    zero();
    memcpy(line, "ERROR", 5);
    line[5] = ' ';
    memcpy(line + 62, "\r\n", 3);
    client(line);
    assert_said(SERVICE_FROM_CLIENT, line);
}

static void test_server_lines(void **state)
{
    (void)state;
    zero();
    server("REJECTED EXTERNAL DBUS_COOKIE_SHA1 ANONYMOUS AND_MANY_MORE_THAT_NOBODY_KNOWS_OF\r\n");
    assert_said(
        SERVICE_FROM_SERVER,
        "REJECTED EXTERNAL DBUS_COOKIE_SHA1 ANONYMOUS AND_MANY_MORE_THAT_NOBODY_KNOWS_OF\r\n");
    static char endless[20000];
    memset(endless, 'x', sizeof(endless) - 1);
    server(endless);
    assert_ended("dbus: a line that is too long");
}

/* A message of @fields and @body bytes; its first 16 bytes. */
static void header(uint8_t *bytes, bool big, uint32_t fields, uint32_t body)
{
    memset(bytes, 0, 16);
    bytes[0] = big ? 'B' : 'l';
    bytes[1] = bytes[3] = 1;
    for (int i = 0; i < 4; i++) {
        bytes[4 + i] = (uint8_t)(body >> (big ? 24 - 8 * i : 8 * i));
        bytes[12 + i] = (uint8_t)(fields >> (big ? 24 - 8 * i : 8 * i));
    }
}

static void handshake(void)
{
    zero();
    client("AUTH EXTERNAL 30\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n"); /* at once, as systemd does */
    server("OK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n");
    assert_false(feed.failed);
    feed_clear(&feed);
}

static void test_messages(void **state)
{
    (void)state;
    uint8_t bytes[200];
    for (int way = 0; way < _SERVICE_WAY_N; way++)
        for (int big = 0; big < 2; big++)
            for (size_t step = 0; step < 3; step++) {
                size_t n = 0;
                again();
                handshake();
                memset(bytes, 'A', sizeof(bytes)); /* a message that says AUTH is one */
                header(bytes, big, 9, 11);         /* 16 + 16 + 11 */
                header(bytes + 43, !big, 0, 5);
                header(bytes + 64, big, 8, 0);
                n = 64 + 24;
                feed_say(&feed, way, bytes, n, step);
                assert_false(feed.failed);
                assert_int_equal(feed.said[way].n, n);
                assert_memory_equal(feed.said[way].bytes, bytes, n);
                /* It was all read: what follows is judged as a beginning. */
                feed_say(&feed, way, "A", 1, 0);
                assert_ended("dbus: what begins as no message does");
            }
}

static void test_bad_messages(void **state)
{
    (void)state;
    uint8_t bytes[16];
    for (int way = 0; way < _SERVICE_WAY_N; way++) {
        static const struct {
            uint32_t fields, body;
            bool fine;
        } sizes[] = {
            {64u << 20, (64u << 20) - 16, true},
            {64u << 20, (64u << 20) - 15, false},
            {(64u << 20) + 1, 0, false},
            {UINT32_MAX, 0, false},
            {0, UINT32_MAX, false},
            {UINT32_MAX, UINT32_MAX, false},
            {0, (128u << 20) - 16, true},
            {0, (128u << 20) - 15, false},
        };
        for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
            handshake();
            if (way == SERVICE_FROM_SERVER) {
                header(bytes, false, 0, 0);
                feed_say(&feed, way, bytes, 16, 0);
            }
            header(bytes, i % 2, sizes[i].fields, sizes[i].body);
            feed_say(&feed, way, bytes, 16, 0);
            if (sizes[i].fine) {
                assert_false(feed.failed);
                again();
            } else {
                assert_ended("dbus: a message that is longer than D-Bus lets it be");
            }
        }
        handshake();
        header(bytes, false, 0, 0);
        bytes[1] = 0;
        feed_say(&feed, way, bytes, 16, 0);
        assert_ended("dbus: a message of a type or version that there is not");
        handshake();
        header(bytes, false, 0, 0);
        bytes[3] = 2;
        feed_say(&feed, way, bytes, 16, 0);
        assert_ended("dbus: a message of a type or version that there is not");
    }
}

/* A guest's bus is asked by whoever the guest's daemon is, which nobody here knows. */
static void test_guests_bus(void **state)
{
    (void)state;
    settings.direction = SERVICE_TO_GUEST;
    again();
    settings.direction = SERVICE_TO_HOST;
    zero();
    client("AUTH EXTERNAL 31303030\r\nBEGIN\r\n");
    assert_said(SERVICE_FROM_CLIENT, "AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n");
    server("DATA\r\n"); /* it was not the client who has to answer that */
    assert_said(SERVICE_FROM_SERVER, "");
    server("OK 0123456789abcdef0123456789abcdef\r\n");
    assert_said(SERVICE_FROM_SERVER, "OK 0123456789abcdef0123456789abcdef\r\n");
    server("DATA\r\n");
    assert_said(SERVICE_FROM_SERVER, "DATA\r\n");
    settings.direction = SERVICE_TO_GUEST;
    again();
    settings.direction = SERVICE_TO_HOST;
    zero();
    client("AUTH EXTERNAL\r\n");
    assert_said(SERVICE_FROM_CLIENT, "AUTH EXTERNAL\r\n");
    server("DATA\r\n");
    assert_said(SERVICE_FROM_SERVER, "DATA\r\n");
    client("DATA 31303030\r\n");
    assert_said(SERVICE_FROM_CLIENT, "DATA\r\n");
    client("AUTH EXTERNAL 31\r\n");
    assert_said(SERVICE_FROM_CLIENT, "AUTH EXTERNAL\r\nDATA\r\n");
    server("REJECTED EXTERNAL\r\n");
    assert_said(SERVICE_FROM_SERVER, "REJECTED EXTERNAL\r\n");
}

/* Lines of the bus that come after the client has begun. */
static void test_late_lines(void **state)
{
    (void)state;
    uint8_t bytes[16];
    zero();
    client("AUTH EXTERNAL 30\r\nBEGIN\r\n");
    header(bytes, false, 0, 0);
    feed_say(&feed, SERVICE_FROM_CLIENT, bytes, 16, 0);
    feed_clear(&feed);
    server("OK 0123456789abcdef0123456789abcdef\r\n");
    feed_say(&feed, SERVICE_FROM_SERVER, bytes, 16, 0);
    assert_false(feed.failed);
    assert_int_equal(feed.said[1].n, 37 + 16);
    /* And a message before that is a line to the client: nobody takes it for one. */
    again();
    zero();
    feed_say(&feed, SERVICE_FROM_SERVER, bytes, 16, 0);
    assert_int_equal(feed.said[1].n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_external, begin, end),
        cmocka_unit_test_setup_teardown(test_other_ways, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_lines, begin, end),
        cmocka_unit_test_setup_teardown(test_server_lines, begin, end),
        cmocka_unit_test_setup_teardown(test_messages, begin, end),
        cmocka_unit_test_setup_teardown(test_bad_messages, begin, end),
        cmocka_unit_test_setup_teardown(test_guests_bus, begin, end),
        cmocka_unit_test_setup_teardown(test_late_lines, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
