/* SPDX-License-Identifier: MIT */
/* Bytes that wait come out as they went in, however they are cut, and the memory goes with them. */
#include "tests/unit/turn.h"

#include <errno.h>

#include "host-proxy/vsock/byte-ring.h"

#define ALL 100000u
#define MAX 20000u

static void test_in_and_out(void **state)
{
    (void)state;
    struct byte_ring ring = {0};
    uint8_t *in = malloc(ALL), *out = malloc(ALL);
    size_t put = 0, got = 0;
    uint32_t seed = 1;
    fill_pattern(in, ALL, 1);
    while (got < ALL) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = (seed >> 16) % 5000;
        if (seed >> 31) {
            if (n > ALL - put)
                n = ALL - put;
            int r = byte_ring_put(&ring, in + put, n, MAX);
            assert_int_equal(r, ring.n + (r < 0 ? n : 0) > MAX ? -EOVERFLOW : 0);
            put += r == 0 ? n : 0;
        } else {
            struct iovec pieces[2];
            n = n < ring.n ? n : ring.n;
            unsigned count = byte_ring_pieces(&ring, 0, n, pieces);
            size_t at = got;
            for (unsigned i = 0; i < count; i++) {
                memcpy(out + at, pieces[i].iov_base, pieces[i].iov_len);
                at += pieces[i].iov_len;
            }
            assert_int_equal(at - got, n);
            byte_ring_drop(&ring, n);
            got += n;
        }
        assert_int_equal(ring.n, put - got);
        assert_int_equal(ring.n == 0, ring.bytes == NULL);
    }
    assert_memory_equal(in, out, ALL);
    assert_int_equal(ring.room, 0);
    free(in);
    free(out);
}

/* What is written over later, also where it is cut. */
static void test_set(void **state)
{
    (void)state;
    struct byte_ring ring = {0};
    uint32_t value;
    assert_int_equal(byte_ring_put(&ring, NULL, 4094, 5000), 0);
    byte_ring_drop(&ring, 4090);
    assert_int_equal(byte_ring_put(&ring, "abcd", 4, 5000), 0);
    byte_ring_set(&ring, 4, &(uint32_t){0x12345678}, 4);
    byte_ring_get(&ring, 4, &value, 4);
    assert_int_equal(value, 0x12345678);
    assert_int_equal(ring.room, 4096);
    byte_ring_finish(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_and_out),
        cmocka_unit_test(test_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
