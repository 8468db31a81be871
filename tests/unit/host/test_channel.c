/* SPDX-License-Identifier: MIT */
/* Packets of the channel come back as they were, without what the other end need not have, and what
 * is no packet is none. */
#include "tests/unit/support.h"

#include <errno.h>
#include <string.h>

#include "host-proxy/channel.h"

static struct channel_packet arrival(uint16_t role, uint16_t proof_kind, const uint8_t *proof,
                                     size_t proof_size)
{
    return (struct channel_packet){.kind = CHANNEL_ARRIVAL,
                                   .unix_socket = true,
                                   .hello = {.version_min = 1,
                                             .version_max = 4,
                                             .features = 2,
                                             .role = role,
                                             .proof_kind = proof_kind,
                                             .proof_size = (uint16_t)proof_size,
                                             .label_size = 3,
                                             .proof = proof,
                                             .label = "vim"}};
}

static void test_arrivals(void **state)
{
    (void)state;
    uint8_t bytes[CHANNEL_PACKET_MAX], key[LINK_KEY_SIZE];
    struct channel_packet back, sent;
    memset(key, 7, sizeof(key));
    sent = arrival(LINK_ROLE_CLIENT, LINK_PROOF_KEY, key, sizeof(key));
    size_t n = channel_encode(bytes, &sent);
    assert_int_equal(channel_decode(bytes, n, &back), 0);
    assert_int_equal(back.kind, CHANNEL_ARRIVAL);
    assert_true(back.unix_socket);
    assert_int_equal(back.hello.version_max, 4);
    assert_int_equal(back.hello.features, 2);
    assert_int_equal(back.hello.proof_size, sizeof(key));
    assert_memory_equal(back.hello.proof, key, sizeof(key));
    assert_memory_equal(back.hello.label, "vim", 3);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(channel_decode(bytes, i, &back), -EPROTO);
    assert_int_equal(channel_decode(bytes, n + 1, &back), -EPROTO);
}

static void test_a_token_stays_at_the_gate(void **state)
{
    (void)state;
    uint8_t bytes[CHANNEL_PACKET_MAX], token[LINK_PROOF_MAX];
    struct channel_packet back, sent;
    memset(token, 0x5a, sizeof(token));
    sent = arrival(LINK_ROLE_CONTROL, LINK_PROOF_TOKEN, token, sizeof(token));
    size_t n = channel_encode(bytes, &sent);
    assert_null(memchr(bytes, 0x5a, n));
    assert_int_equal(channel_decode(bytes, n, &back), 0);
    assert_int_equal(back.hello.proof_kind, LINK_PROOF_NONE);
    assert_int_equal(back.hello.proof_size, 0);
    assert_memory_equal(back.hello.label, "vim", 3);
}

static void test_reports(void **state)
{
    (void)state;
    uint8_t bytes[CHANNEL_PACKET_MAX];
    struct channel_packet back, sent = {.kind = CHANNEL_REPORT, .taken = 70000, .idle = true};
    size_t n = channel_encode(bytes, &sent);
    assert_int_equal(channel_decode(bytes, n, &back), 0);
    assert_int_equal(back.kind, CHANNEL_REPORT);
    assert_int_equal(back.taken, 70000);
    assert_true(back.idle);
    assert_int_equal(channel_decode(bytes, n - 1, &back), -EPROTO);
    bytes[n - 1] = 1; /* neither idle nor not */
    assert_int_equal(channel_decode(bytes, n, &back), -EPROTO);
}

static void test_devices(void **state)
{
    (void)state;
    uint8_t bytes[CHANNEL_PACKET_MAX];
    struct channel_packet back,
        sent = {.kind = CHANNEL_DEVICE, .number = 3, .device = "sixteen bytes.."};
    size_t n = channel_encode(bytes, &sent);
    assert_int_equal(channel_decode(bytes, n, &back), 0);
    assert_int_equal(back.number, 3);
    assert_memory_equal(back.device, sent.device, sizeof(sent.device));
    assert_int_equal(channel_decode(bytes, n - 1, &back), -EPROTO);
    assert_int_equal(channel_decode(bytes, n + 1, &back), -EPROTO);
}

static void test_nonsense(void **state)
{
    (void)state;
    uint8_t bytes[CHANNEL_PACKET_MAX] = {0};
    struct channel_packet back;
    for (unsigned kind = 0; kind < 300; kind++)
        for (size_t n = 0; n < 40; n++) {
            memcpy(bytes, &kind, sizeof(kind));
            bool fits = (kind == CHANNEL_REPORT && n == 12) ||
                        (kind == CHANNEL_DEVICE && n == 8 + CHANNEL_DEVICE_SIZE);
            assert_int_equal(channel_decode(bytes, n, &back), fits ? 0 : -EPROTO);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrivals), cmocka_unit_test(test_a_token_stays_at_the_gate),
        cmocka_unit_test(test_reports),  cmocka_unit_test(test_devices),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
