/* SPDX-License-Identifier: MIT */
/* The packets of the export socket: what is written can be read, and nothing else can. */
#include "tests/unit/support.h"

#include <stdbool.h>
#include <string.h>

#include "protocol/export.h"

static uint8_t packet[EXPORT_PACKET_MAX];

union message {
    struct export_hello hello;
    struct export_welcome welcome;
    struct export_bind bind;
    struct export_bound bound;
    struct export_export export;
    struct export_exported exported;
    struct export_mirror mirror;
    struct export_copy copy;
    struct export_gone gone;
    struct export_reset reset;
    struct export_offer offer;
    uint32_t word;
};

static int decode(unsigned type, const uint8_t *payload, size_t size, union message *m)
{
    switch (type) {
    case EXPORT_HELLO:
        return export_hello_decode(payload, size, &m->hello);
    case EXPORT_WELCOME:
        return export_welcome_decode(payload, size, &m->welcome);
    case EXPORT_BIND:
        return export_bind_decode(payload, size, &m->bind);
    case EXPORT_BOUND:
        return export_bound_decode(payload, size, &m->bound);
    case EXPORT_EXPORT:
        return export_export_decode(payload, size, &m->export);
    case EXPORT_EXPORTED:
        return export_exported_decode(payload, size, &m->exported);
    case EXPORT_MIRROR:
        return export_mirror_decode(payload, size, &m->mirror);
    case EXPORT_COPY:
        return export_copy_decode(payload, size, &m->copy);
    case EXPORT_RELEASE:
        return export_release_decode(payload, size, &m->word);
    case EXPORT_STATUS:
        return export_status_decode(payload, size, &m->word);
    case EXPORT_GONE:
        return export_gone_decode(payload, size, &m->gone);
    case EXPORT_RESET:
        return export_reset_decode(payload, size, &m->reset);
    default:
        return export_offer_decode(payload, size, &m->offer);
    }
}

static const struct export_buffer buffer = {
    .id = 1,
    .kind = EXPORT_KIND_UDMABUF,
    .generation = 0x1122334455667788,
    .size = 1 << 20,
    .memory = EXPORT_MEMORY_GUEST,
    .reason = EXPORT_REASON_NONE,
    .runs = 9,
    .width = 64,
    .height = 32,
    .fourcc = 0x34325258,
    .modifier = 5,
    .n_planes = 2,
    .offset = {0, 100},
    .stride = {256, 128},
};

/* One packet of each type; its size. */
static size_t encode(unsigned type)
{
    const struct export_copy copy = {.id = 3,
                                     .flags = EXPORT_TO_GUEST,
                                     .generation = 7,
                                     .source = 1,
                                     .target = 2,
                                     .source_stride = 4,
                                     .target_stride = 8,
                                     .n_rects = 2,
                                     .rects = {{1, 2, 3, 4}, {5, 6, 7, 8}}};
    switch (type) {
    case EXPORT_HELLO:
        return export_hello_encode(packet, 1, &(struct export_hello){1, 3, 5});
    case EXPORT_WELCOME:
        return export_welcome_encode(packet, 1,
                                     &(struct export_welcome){.version = 1,
                                                              .features = 3,
                                                              .driver = 1,
                                                              .epoch = 9,
                                                              .udmabuf_size_limit = 64 << 20,
                                                              .udmabuf_list_limit = 1024,
                                                              .device = "0123456789abcde"});
    case EXPORT_BIND:
        return export_bind_encode(packet, 1, &(struct export_bind){7, 100});
    case EXPORT_BOUND:
        return export_bound_encode(packet, 1, &(struct export_bound){EXPORT_OK, "found"});
    case EXPORT_EXPORT:
        return export_export_encode(packet, 1, &(struct export_export){7, 1000});
    case EXPORT_EXPORTED:
        return export_exported_encode(packet, 1, &(struct export_exported){EXPORT_OK, buffer});
    case EXPORT_MIRROR:
        return export_mirror_encode(packet, 1, &(struct export_mirror){7, 4096});
    case EXPORT_COPY:
        return export_copy_encode(packet, 1, &copy);
    case EXPORT_RELEASE:
        return export_release_encode(packet, 1, 7);
    case EXPORT_STATUS:
        return export_status_encode(packet, 1, EXPORT_RANGE);
    case EXPORT_GONE:
        return export_gone_encode(packet, &(struct export_gone){7, 8});
    case EXPORT_RESET:
        return export_reset_encode(packet, &(struct export_reset){9, 1});
    default:
        return export_offer_encode(packet, &(struct export_offer){"token", buffer});
    }
}

static void test_round_trips(void **state)
{
    struct export_header h;
    union message m;
    (void)state;
    for (unsigned type = 1; type < _EXPORT_TYPE_N; type++) {
        size_t size = encode(type);
        assert_int_equal(export_header_decode(packet, size, &h), EXPORT_E_OK);
        assert_int_equal(h.type, type);
        assert_int_equal(h.size, size - EXPORT_HEADER_SIZE);
        assert_int_equal(decode(type, packet + EXPORT_HEADER_SIZE, h.size, &m), EXPORT_E_OK);
    }
    encode(EXPORT_EXPORTED);
    decode(EXPORT_EXPORTED, packet + EXPORT_HEADER_SIZE, 104, &m);
    assert_memory_equal(&m.exported.buffer, &buffer, sizeof(buffer));
    encode(EXPORT_COPY);
    decode(EXPORT_COPY, packet + EXPORT_HEADER_SIZE, 80, &m);
    assert_int_equal(m.copy.source, 1);
    assert_int_equal(m.copy.target_stride, 8);
    assert_int_equal(m.copy.n_rects, 2);
    assert_int_equal(m.copy.rects[1].height, 8);
    encode(EXPORT_WELCOME);
    decode(EXPORT_WELCOME, packet + EXPORT_HEADER_SIZE, 56, &m);
    assert_int_equal(m.welcome.epoch, 9);
    assert_int_equal(m.welcome.udmabuf_list_limit, 1024);
}

static void test_sizes_are_exact(void **state)
{
    struct export_header h;
    union message m;
    (void)state;
    for (unsigned type = 1; type < _EXPORT_TYPE_N; type++) {
        size_t size = encode(type);
        for (size_t cut = 0; cut < size; cut++) {
            assert_int_equal(export_header_decode(packet, cut, &h), EXPORT_E_SIZE);
            if (cut < size - EXPORT_HEADER_SIZE)
                assert_int_not_equal(decode(type, packet + EXPORT_HEADER_SIZE, cut, &m),
                                     EXPORT_E_OK);
        }
        packet[size] = 0;
        assert_int_equal(export_header_decode(packet, size + 1, &h), EXPORT_E_SIZE);
        assert_int_not_equal(
            decode(type, packet + EXPORT_HEADER_SIZE, size - EXPORT_HEADER_SIZE + 1, &m),
            EXPORT_E_OK);
    }
}

static void test_headers(void **state)
{
    struct export_header h;
    (void)state;
    size_t size = encode(EXPORT_RELEASE);
    packet[6] = 1;
    assert_int_equal(export_header_decode(packet, size, &h), EXPORT_E_RESERVED);
    packet[6] = 0;
    packet[4] = _EXPORT_TYPE_N;
    assert_int_equal(export_header_decode(packet, size, &h), EXPORT_E_TYPE);
    packet[4] = 0;
    assert_int_equal(export_header_decode(packet, size, &h), EXPORT_E_TYPE);
    packet[4] = EXPORT_RELEASE;
    packet[8] = 0; /* a request without a serial */
    assert_int_equal(export_header_decode(packet, size, &h), EXPORT_E_VALUE);
    size = encode(EXPORT_GONE);
    packet[8] = 1; /* an event with one */
    assert_int_equal(export_header_decode(packet, size, &h), EXPORT_E_VALUE);
}

/* Every byte that must be zero, and fields out of their range. */
static void test_values(void **state)
{
    union message m;
    (void)state;
    static const struct {
        unsigned type;
        size_t at; /* in the payload */
        uint32_t value;
        int expected;
    } cases[] = {
        {EXPORT_HELLO, 0, 1, EXPORT_E_VALUE},
        {EXPORT_HELLO, 4, 0, EXPORT_E_VALUE},
        {EXPORT_HELLO, 4, 0x00010002, EXPORT_E_VALUE},
        {EXPORT_HELLO, 12, 1, EXPORT_E_RESERVED},
        {EXPORT_WELCOME, 0, _EXPORT_STATUS_N, EXPORT_E_VALUE},
        {EXPORT_WELCOME, 12, 2, EXPORT_E_VALUE},
        {EXPORT_WELCOME, 36, 1, EXPORT_E_RESERVED},
        {EXPORT_BIND, 0, 0, EXPORT_E_VALUE},
        {EXPORT_BIND, 4, EXPORT_TIMEOUT_MAX_MS + 1, EXPORT_E_VALUE},
        {EXPORT_BIND, 8, 1, EXPORT_E_RESERVED},
        {EXPORT_BOUND, 0, _EXPORT_STATUS_N, EXPORT_E_VALUE},
        {EXPORT_BOUND, 4, 1, EXPORT_E_RESERVED},
        {EXPORT_EXPORT, 0, 0, EXPORT_E_VALUE},
        {EXPORT_EXPORT, 4, EXPORT_TIMEOUT_MAX_MS + 1, EXPORT_E_VALUE},
        {EXPORT_EXPORT, 8, 1, EXPORT_E_RESERVED},
        {EXPORT_EXPORT, 12, 1, EXPORT_E_RESERVED},
        {EXPORT_EXPORTED, 0, _EXPORT_STATUS_N, EXPORT_E_VALUE},
        {EXPORT_EXPORTED, 4, 1, EXPORT_E_RESERVED},
        {EXPORT_EXPORTED, 8, 0, EXPORT_E_VALUE},
        {EXPORT_EXPORTED, 12, _EXPORT_KIND_N, EXPORT_E_VALUE},
        {EXPORT_EXPORTED, 28, 0x80000000, EXPORT_E_VALUE},
        {EXPORT_EXPORTED, 32, 0, EXPORT_E_VALUE},
        {EXPORT_EXPORTED, 36, _EXPORT_REASON_N, EXPORT_E_VALUE},
        {EXPORT_EXPORTED, 64, 5, EXPORT_E_VALUE},
        {EXPORT_EXPORTED, 68, 1, EXPORT_E_RESERVED},
        {EXPORT_MIRROR, 4, 1, EXPORT_E_RESERVED},
        {EXPORT_MIRROR, 8, 0, EXPORT_E_VALUE},
        {EXPORT_MIRROR, 12, 0x80000000, EXPORT_E_VALUE},
        {EXPORT_COPY, 4, 2, EXPORT_E_VALUE},
        {EXPORT_COPY, 40, 0, EXPORT_E_VALUE},
        {EXPORT_COPY, 40, 1, EXPORT_E_SIZE},
        {EXPORT_COPY, 40, 3, EXPORT_E_SIZE},
        {EXPORT_COPY, 40, EXPORT_RECTS_MAX + 1, EXPORT_E_VALUE},
        {EXPORT_COPY, 44, 1, EXPORT_E_RESERVED},
        {EXPORT_RELEASE, 4, 1, EXPORT_E_RESERVED},
        {EXPORT_STATUS, 0, _EXPORT_STATUS_N, EXPORT_E_VALUE},
        {EXPORT_GONE, 4, 1, EXPORT_E_RESERVED},
        {EXPORT_RESET, 8, 2, EXPORT_E_VALUE},
        {EXPORT_RESET, 12, 1, EXPORT_E_RESERVED},
        {EXPORT_OFFER, 36, EXPORT_KIND_NONE, EXPORT_E_VALUE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        size_t size = encode(cases[i].type);
        memcpy(packet + EXPORT_HEADER_SIZE + cases[i].at, &cases[i].value, 4);
        int r = decode(cases[i].type, packet + EXPORT_HEADER_SIZE, size - EXPORT_HEADER_SIZE, &m);
        if (r != cases[i].expected)
            fail_msg("%s at %zu: %d", export_type_name(cases[i].type), cases[i].at, r);
    }
    /* A refusal says nothing of a buffer. */
    struct export_exported refused = {.status = EXPORT_UNKNOWN, .buffer = buffer};
    size_t size = export_exported_encode(packet, 1, &refused);
    assert_int_equal(
        decode(EXPORT_EXPORTED, packet + EXPORT_HEADER_SIZE, size - EXPORT_HEADER_SIZE, &m),
        EXPORT_E_OK);
    assert_int_equal(m.exported.buffer.size, 0);
}

/* What the device found counts, not what it says of it. */
static void test_verdicts(void **state)
{
    uint8_t nonce[EXPORT_NONCE_SIZE] = "found";
    struct export_bound bound = {.status = EXPORT_OK, .found = "found"};
    (void)state;
    assert_int_equal(export_bound_verdict(&bound, nonce), EXPORT_OK);
    for (size_t i = 0; i < sizeof(nonce); i++) {
        nonce[i] ^= 0x80;
        assert_int_equal(export_bound_verdict(&bound, nonce), EXPORT_MISMATCH);
        nonce[i] ^= 0x80;
    }
    bound.status = EXPORT_EMPTY;
    assert_int_equal(export_bound_verdict(&bound, nonce), EXPORT_EMPTY);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trips), cmocka_unit_test(test_sizes_are_exact),
        cmocka_unit_test(test_headers),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
