/* SPDX-License-Identifier: MIT */
/* The first frame is read to its end, however it comes, and what is behind it stays where it is. */
#include "tests/unit/turn.h"

#include <errno.h>

#include "common/base/fd.h"
#include "host-proxy/hello-reader.h"
#include "tests/support/send_fds.h"

static struct {
    int ends[2], fds;
    struct hello_reader reader;
} T;

static int setup(void **state)
{
    (void)state;
    T.fds = count_fds();
    T.reader = (struct hello_reader){0};
    make_sockets(T.ends, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fd_close(T.ends[0]);
    fd_close(T.ends[1]);
    return count_fds() == T.fds ? 0 : -1;
}

static size_t make_hello(uint8_t *bytes, size_t proof_size, const char *label)
{
    uint8_t proof[LINK_PROOF_MAX];
    struct link_hello hello = {.version_min = 1,
                               .version_max = 7,
                               .features = 3,
                               .role = LINK_ROLE_CONTROL,
                               .proof_kind = proof_size ? LINK_PROOF_TOKEN : LINK_PROOF_NONE,
                               .proof_size = (uint16_t)proof_size,
                               .label_size = (uint16_t)strlen(label),
                               .proof = proof,
                               .label = label,
                               .instance = proof_size == LINK_PROOF_MAX ? proof : NULL};
    fill_pattern(proof, sizeof(proof), 5);
    return link_hello_encode(bytes, &hello);
}

static void send_all(const void *bytes, size_t n)
{
    assert_int_equal(send(T.ends[1], bytes, n, MSG_DONTWAIT), n);
}

static int read_on(void)
{
    return hello_reader_read(&T.reader, T.ends[0]);
}

static void expect_rest(const char *rest)
{
    char bytes[100];
    ssize_t n = recv(T.ends[0], bytes, sizeof(bytes), MSG_DONTWAIT);
    assert_int_equal(n < 0 ? 0 : n, strlen(rest));
    assert_memory_equal(bytes, rest, strlen(rest));
}

static void test_what_follows_stays(void **state)
{
    (void)state;
    uint8_t bytes[LINK_FRAME_SMALL_MAX + 20];
    struct link_hello hello;
    size_t n = make_hello(bytes, 40, "name");
    memcpy(bytes + n, "the next frame", 14);
    send_all(bytes, n + 14);
    assert_int_equal(read_on(), HELLO_WHOLE);
    hello_reader_get(&T.reader, &hello);
    assert_int_equal(hello.version_max, 7);
    assert_int_equal(hello.proof_size, 40);
    assert_memory_equal(hello.label, "name", 4);
    assert_false(T.reader.got_descriptor);
    expect_rest("the next frame");
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    uint8_t bytes[LINK_FRAME_SMALL_MAX];
    size_t n = make_hello(bytes, LINK_PROOF_MAX, "label");
    assert_int_equal(read_on(), HELLO_PARTIAL);
    for (size_t i = 0; i + 1 < n; i++) {
        send_all(bytes + i, 1);
        assert_int_equal(read_on(), HELLO_PARTIAL);
    }
    send_all(bytes + n - 1, 1);
    send_all("more", 4);
    assert_int_equal(read_on(), HELLO_WHOLE);
    expect_rest("more");
}

static void test_the_largest(void **state)
{
    (void)state;
    uint8_t bytes[LINK_FRAME_SMALL_MAX];
    char label[LINK_LABEL_MAX + 1];
    memset(label, 'l', LINK_LABEL_MAX);
    label[LINK_LABEL_MAX] = 0;
    size_t n = make_hello(bytes, LINK_PROOF_MAX, label);
    assert_int_equal(n, sizeof(bytes));
    send_all(bytes, n);
    assert_int_equal(read_on(), HELLO_WHOLE);
}

/* One that comes along is proof, more are no more, and none is kept. */
static void test_descriptors(void **state)
{
    (void)state;
    uint8_t bytes[LINK_FRAME_SMALL_MAX];
    int some[3] = {fd_memfd("one", 0), fd_memfd("two", 0), fd_memfd("three", 0)};
    size_t n = make_hello(bytes, 0, "");
    assert_int_equal(send_fds(T.ends[1], bytes, n, some, 3), n);
    assert_int_equal(read_on(), HELLO_WHOLE);
    assert_true(T.reader.got_descriptor);
    for (int i = 0; i < 3; i++)
        fd_close(some[i]);
}

static void test_more_descriptors_than_there_is_room_for(void **state)
{
    (void)state;
    uint8_t bytes[LINK_FRAME_SMALL_MAX];
    int some[SEND_FDS_MAX];
    size_t n = make_hello(bytes, 0, "");
    for (int i = 0; i < SEND_FDS_MAX; i++)
        some[i] = T.ends[1];
    assert_int_equal(send_fds(T.ends[1], bytes, n, some, SEND_FDS_MAX), n);
    assert_int_equal(read_on(), HELLO_WHOLE);
    assert_true(T.reader.got_descriptor);
}

static void test_another_frame(void **state)
{
    (void)state;
    uint8_t bytes[LINK_FRAME_SMALL_MAX];
    size_t n = link_ping_encode(bytes, 1);
    send_all(bytes, n);
    assert_int_equal(read_on(), HELLO_OTHER);
    assert_int_equal(T.reader.type, LINK_PING);
    assert_int_equal(T.reader.error, LINK_E_TYPE);
    assert_int_equal(T.reader.n, LINK_HEADER_SIZE); /* its payload is not read */
}

static void test_no_frame(void **state)
{
    (void)state;
    uint8_t bytes[LINK_HEADER_SIZE] = {0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0};
    send_all(bytes, sizeof(bytes));
    assert_int_equal(read_on(), HELLO_MALFORMED);
    assert_int_equal(T.reader.type, LINK_HELLO);
    assert_int_equal(T.reader.error, LINK_E_SIZE);
}

static void test_no_hello(void **state)
{
    (void)state;
    uint8_t bytes[LINK_FRAME_SMALL_MAX];
    size_t n = make_hello(bytes, 16, "x");
    bytes[LINK_HEADER_SIZE] ^= 1; /* the magic */
    send_all(bytes, n);
    assert_int_equal(read_on(), HELLO_OTHER);
    assert_int_equal(T.reader.type, LINK_HELLO);
    assert_int_not_equal(T.reader.error, LINK_OK);
}

static void test_the_end(void **state)
{
    (void)state;
    uint8_t bytes[LINK_FRAME_SMALL_MAX];
    make_hello(bytes, 16, "x");
    send_all(bytes, 30);
    assert_int_equal(read_on(), HELLO_PARTIAL);
    T.ends[1] = fd_close(T.ends[1]);
    assert_int_equal(read_on(), -ECONNRESET);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_what_follows_stays),
        TEST(test_byte_by_byte),
        TEST(test_the_largest),
        TEST(test_descriptors),
        TEST(test_more_descriptors_than_there_is_room_for),
        TEST(test_another_frame),
        TEST(test_no_frame),
        TEST(test_no_hello),
        TEST(test_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
