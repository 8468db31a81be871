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

/* Who asks about the VM: any line, as it is. */
static void test_requests(void **state)
{
    (void)state;
    uint8_t bytes[CHANNEL_PACKET_MAX];
    char line[CONTROL_REQUEST_MAX];
    struct channel_packet back, sent = {.kind = CHANNEL_CONTROL, .line = line};
    memset(line, 'x', sizeof(line));
    for (size_t n = 0; n < sizeof(line); n += n < 3 ? 1 : 1023) {
        sent.line_size = n;
        size_t size = channel_encode(bytes, &sent);
        assert_int_equal(channel_decode(bytes, size, &back), 0);
        assert_int_equal(back.kind, CHANNEL_CONTROL);
        assert_int_equal(back.line_size, n);
        assert_memory_equal(back.line, line, n);
    }
    uint8_t more[CHANNEL_PACKET_MAX + 1];
    memcpy(more, bytes, 8);
    assert_int_equal(channel_decode(more, 8 + CONTROL_REQUEST_MAX, &back), -EPROTO);
    sent = (struct channel_packet){.kind = CHANNEL_ABSENT, .number = 70000};
    assert_int_equal(channel_decode(bytes, channel_encode(bytes, &sent), &back), 0);
    assert_int_equal(back.kind, CHANNEL_ABSENT);
    assert_int_equal(back.number, 70000);
    sent = (struct channel_packet){.kind = CHANNEL_HEARD};
    assert_int_equal(channel_decode(bytes, channel_encode(bytes, &sent), &back), 0);
    assert_int_equal(back.kind, CHANNEL_HEARD);
}

static void test_programs(void **state)
{
    (void)state;
    uint8_t bytes[CHANNEL_PACKET_MAX];
    struct channel_packet back, sent = {.kind = CHANNEL_PROGRAM, .number = 3};
    size_t n = channel_encode(bytes, &sent);
    assert_int_equal(channel_decode(bytes, n, &back), 0);
    assert_int_equal(back.kind, CHANNEL_PROGRAM);
    assert_int_equal(back.number, 3);
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
            bool fits =
                (kind == CHANNEL_REPORT && n == 12) ||
                ((kind == CHANNEL_PROGRAM || kind == CHANNEL_CALL || kind == CHANNEL_ABSENT) &&
                 n == 8) ||
                (kind == CHANNEL_DEVICE && n == 8 + CHANNEL_DEVICE_SIZE) ||
                (kind == CHANNEL_CONTROL && n >= 8) || (kind == CHANNEL_HEARD && n == 8);
            assert_int_equal(channel_decode(bytes, n, &back), fits ? 0 : -EPROTO);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arrivals), cmocka_unit_test(test_a_token_stays_at_the_gate),
        cmocka_unit_test(test_reports),  cmocka_unit_test(test_devices),
        cmocka_unit_test(test_requests), cmocka_unit_test(test_programs),
        cmocka_unit_test(test_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
