/* SPDX-License-Identifier: MIT */
/* Headers there and back, and each rule broken alone. */
#include "tests/unit/support.h"

#include "host-proxy/vsock/vsock-packet.h"

#define CID 7u

static const struct vsock_packet good = {
    .src_cid = CID,
    .dst_cid = VSOCK_HOST_CID,
    .src_port = 0x11223344,
    .dst_port = 0x55667788,
    .size = 100,
    .type = VIRTIO_VSOCK_TYPE_STREAM,
    .op = VIRTIO_VSOCK_OP_RW,
    .flags = 3,
    .room = 0x99aabbcc,
    .forwarded = 0xddeeff00,
};

static enum vsock_rule check(struct vsock_packet p, size_t data)
{
    return vsock_packet_check(&p, VSOCK_HEADER_SIZE + data, CID, false);
}

static void test_round_trip(void **state)
{
    (void)state;
    uint8_t header[VSOCK_HEADER_SIZE], again[VSOCK_HEADER_SIZE];
    struct vsock_packet p;
    vsock_packet_encode(&good, header);
    assert_int_equal(header[0], CID); /* little-endian */
    assert_int_equal(header[16], 0x44);
    assert_int_equal(header[24], 100);
    assert_int_equal(header[28], VIRTIO_VSOCK_TYPE_STREAM);
    assert_int_equal(header[30], VIRTIO_VSOCK_OP_RW);
    assert_int_equal(header[43], 0xdd);
    vsock_packet_decode(header, &p);
    vsock_packet_encode(&p, again);
    assert_memory_equal(header, again, sizeof(header));
    assert_int_equal(p.room, good.room);
}

static void test_good(void **state)
{
    (void)state;
    assert_int_equal(check(good, 100), VSOCK_RULE_NONE);
    assert_int_equal(check(good, 200), VSOCK_RULE_NONE);
    for (uint16_t op = VIRTIO_VSOCK_OP_REQUEST; op <= VIRTIO_VSOCK_OP_CREDIT_REQUEST; op++) {
        struct vsock_packet p = good;
        p.op = op;
        assert_int_equal(check(p, 100), VSOCK_RULE_NONE);
    }
}

#define BROKEN(field, value, data, rule)                                                           \
    do {                                                                                           \
        struct vsock_packet p_ = good;                                                             \
        p_.field = value;                                                                          \
        assert_int_equal(check(p_, data), rule);                                                   \
    } while (0)

static void test_header(void **state)
{
    (void)state;
    struct vsock_packet empty = good;
    empty.size = 0;
    for (size_t n = 0; n < VSOCK_HEADER_SIZE; n++)
        assert_int_equal(vsock_packet_check(&empty, n, CID, false), VSOCK_RULE_HEADER);
}

static void test_source(void **state)
{
    (void)state;
    BROKEN(src_cid, CID + 1, 100, VSOCK_RULE_SOURCE);
    BROKEN(src_cid, VSOCK_HOST_CID, 100, VSOCK_RULE_SOURCE);
    BROKEN(src_cid, CID | 1ull << 32, 100, VSOCK_RULE_SOURCE);
}

static void test_destination(void **state)
{
    (void)state;
    BROKEN(dst_cid, CID, 100, VSOCK_RULE_DESTINATION);
    BROKEN(dst_cid, 1, 100, VSOCK_RULE_DESTINATION);
    BROKEN(dst_cid, VSOCK_HOST_CID | 1ull << 32, 100, VSOCK_RULE_DESTINATION);
}

static void test_type(void **state)
{
    (void)state;
    struct vsock_packet p = good;
    BROKEN(type, 0, 100, VSOCK_RULE_TYPE);
    BROKEN(type, 3, 100, VSOCK_RULE_TYPE);
    /* SEQPACKET is one if it was negotiated. */
    BROKEN(type, VIRTIO_VSOCK_TYPE_SEQPACKET, 100, VSOCK_RULE_TYPE);
    p.type = VIRTIO_VSOCK_TYPE_SEQPACKET;
    assert_int_equal(vsock_packet_check(&p, VSOCK_HEADER_SIZE + 100, CID, true), VSOCK_RULE_NONE);
}

static void test_op(void **state)
{
    (void)state;
    BROKEN(op, VIRTIO_VSOCK_OP_INVALID, 100, VSOCK_RULE_OP);
    BROKEN(op, VIRTIO_VSOCK_OP_CREDIT_REQUEST + 1, 100, VSOCK_RULE_OP);
    BROKEN(op, 0xffff, 100, VSOCK_RULE_OP);
}

static void test_size(void **state)
{
    (void)state;
    BROKEN(size, 101, 100, VSOCK_RULE_SIZE);
    BROKEN(size, UINT32_MAX, 100, VSOCK_RULE_SIZE);
    BROKEN(size, 1, 0, VSOCK_RULE_SIZE);
}

static void test_flags(void **state)
{
    (void)state;
    struct vsock_packet p = good;
    p.op = VIRTIO_VSOCK_OP_SHUTDOWN;
    p.flags = 0;
    assert_int_equal(check(p, 100), VSOCK_RULE_FLAGS);
    p.flags = 4;
    assert_int_equal(check(p, 100), VSOCK_RULE_FLAGS);
}

static void test_names(void **state)
{
    (void)state;
    for (int rule = 0; rule < _VSOCK_RULE_N; rule++)
        assert_non_null(vsock_rule_name((enum vsock_rule)rule));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),  cmocka_unit_test(test_good),
        cmocka_unit_test(test_header),      cmocka_unit_test(test_source),
        cmocka_unit_test(test_destination), cmocka_unit_test(test_type),
        cmocka_unit_test(test_op),          cmocka_unit_test(test_size),
        cmocka_unit_test(test_flags),       cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
