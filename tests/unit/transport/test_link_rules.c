/* SPDX-License-Identifier: MIT */
/* The rules of the link's fields: what a decoder refuses, by name. */
#include "tests/unit/transport/link_samples.h"

static const struct rule {
    const char *name;
    enum link_type type;
    unsigned offset, width; /* in the payload */
    uint64_t value;
    int expected;
} rules[] = {
    {"magic", LINK_HELLO, 0, 4, LINK_MAGIC ^ 1, LINK_E_VALUE},
    {"version 0", LINK_HELLO, 4, 2, 0, LINK_E_VALUE},
    {"version range turned round", LINK_HELLO, 4, 2, 4, LINK_E_VALUE},
    {"one version", LINK_HELLO, 4, 2, 3, LINK_OK},
    {"unknown features", LINK_HELLO, 8, 4, UINT32_MAX & ~8u, LINK_OK},
    {"an instance that is not there", LINK_HELLO, 8, 4, LINK_FEATURE_INSTANCE, LINK_E_SIZE},
    {"role 0", LINK_HELLO, 12, 2, 0, LINK_E_VALUE},
    {"role 4", LINK_HELLO, 12, 2, 4, LINK_E_VALUE},
    {"unknown kind of proof", LINK_HELLO, 14, 2, _LINK_PROOF_N, LINK_E_VALUE},
    {"a proof where none belongs", LINK_HELLO, 14, 2, LINK_PROOF_NONE, LINK_E_VALUE},
    {"bytes beside a descriptor", LINK_HELLO, 14, 2, LINK_PROOF_DESCRIPTOR, LINK_E_VALUE},
    {"a token instead of a key", LINK_HELLO, 14, 2, LINK_PROOF_TOKEN, LINK_OK},
    {"a key of another size", LINK_HELLO, 16, 2, LINK_KEY_SIZE - 1, LINK_E_VALUE},
    {"no key", LINK_HELLO, 16, 2, 0, LINK_E_VALUE},
    {"proof beyond its cap", LINK_HELLO, 16, 2, LINK_PROOF_MAX + 1, LINK_E_VALUE},
    {"label beyond its cap", LINK_HELLO, 18, 2, LINK_LABEL_MAX + 1, LINK_E_VALUE},
    {"label longer than the frame", LINK_HELLO, 18, 2, 5, LINK_E_SIZE},
    {"label shorter than the frame", LINK_HELLO, 18, 2, 3, LINK_E_SIZE},
    {"newline in the label", LINK_HELLO, 52, 1, '\n', LINK_E_VALUE},
    {"escape in the label", LINK_HELLO, 53, 1, 0x1b, LINK_E_VALUE},
    {"DEL in the label", LINK_HELLO, 54, 1, 0x7f, LINK_E_VALUE},
    {"high byte in the label", LINK_HELLO, 55, 1, 0x80, LINK_E_VALUE},
    {"NUL in the label", LINK_HELLO, 55, 1, 0, LINK_E_VALUE},

    {"version 0", LINK_WELCOME, 0, 2, 0, LINK_E_VALUE},
    {"first reserved word", LINK_WELCOME, 2, 2, 1, LINK_E_RESERVED},
    {"second reserved word", LINK_WELCOME, 42, 2, 0x8000, LINK_E_RESERVED},
    {"name longer than the frame", LINK_WELCOME, 40, 2, 5, LINK_E_SIZE},
    {"name shorter than the frame", LINK_WELCOME, 40, 2, 0, LINK_E_SIZE},
    {"newline in the name", LINK_WELCOME, 44, 1, '\n', LINK_E_VALUE},

    {"code 0", LINK_ERROR, 0, 2, 0, LINK_E_VALUE},
    {"unknown code", LINK_ERROR, 0, 2, _LINK_ERROR_N, LINK_E_VALUE},
    {"text longer than the frame", LINK_ERROR, 2, 2, 9, LINK_E_SIZE},
    {"text shorter than the frame", LINK_ERROR, 2, 2, 7, LINK_E_SIZE},
    {"newline in the text", LINK_ERROR, 12, 1, '\n', LINK_E_VALUE},

    {"kind 0", LINK_VFD, 4, 2, 0, LINK_E_VALUE},
    {"unknown kind", LINK_VFD, 4, 2, _LINK_VFD_KIND_N, LINK_E_VALUE},
    {"memory with flags", LINK_VFD, 6, 2, LINK_VFD_SINK, LINK_E_VALUE},
    {"memory of no bytes", LINK_VFD, 8, 8, 0, LINK_E_VALUE},
    {"memory beyond its cap", LINK_VFD, 8, 8, LINK_MEMORY_MAX + 1, LINK_E_VALUE},
    {"memory of 2^64 - 1 bytes", LINK_VFD, 8, 8, UINT64_MAX, LINK_E_VALUE},
    {"a file of memory's size", LINK_VFD, 4, 2, LINK_VFD_FILE, LINK_E_VALUE},
    {"a stream with a size", LINK_VFD, 4, 4, LINK_VFD_STREAM | LINK_VFD_SINK << 16, LINK_E_VALUE},

    {"row 0", LINK_MEM_WRITE, 4, 4, 0, LINK_E_VALUE},
    {"no rows", LINK_MEM_WRITE, 8, 4, 0, LINK_E_VALUE},
    {"stride below the row", LINK_MEM_WRITE, 12, 4, 2, LINK_E_VALUE},
    {"stride 0", LINK_MEM_WRITE, 12, 4, 0, LINK_E_VALUE},
    {"stride as the row", LINK_MEM_WRITE, 12, 4, 3, LINK_OK},
    {"largest stride", LINK_MEM_WRITE, 12, 4, UINT32_MAX, LINK_OK},
    {"offset beyond its cap", LINK_MEM_WRITE, 16, 8, LINK_MEMORY_MAX + 1, LINK_E_VALUE},
    {"offset 2^64 - 1", LINK_MEM_WRITE, 16, 8, UINT64_MAX, LINK_E_VALUE},
    {"more data than rows", LINK_MEM_WRITE, 8, 4, 1, LINK_E_SIZE},
    {"more rows than data", LINK_MEM_WRITE, 8, 4, 3, LINK_E_SIZE},
    {"rows that wrap 32 bits", LINK_MEM_WRITE, 8, 4, 0x55555557,
     LINK_E_SIZE}, /* 3 times it is 2^32 + 5 */

    {"reserved word", LINK_MEM_SIZE, 4, 4, 1, LINK_E_RESERVED},
    {"size 0", LINK_MEM_SIZE, 8, 8, 0, LINK_E_VALUE},
    {"size beyond its cap", LINK_MEM_SIZE, 8, 8, LINK_MEMORY_MAX + 1, LINK_E_VALUE},

    {"reserved word", LINK_MEM_PUNCH, 4, 4, 1u << 31, LINK_E_RESERVED},
    {"offset beyond its cap", LINK_MEM_PUNCH, 8, 8, LINK_MEMORY_MAX + 1, LINK_E_VALUE},
    {"length 0", LINK_MEM_PUNCH, 16, 8, 0, LINK_E_VALUE},
    {"length beyond its cap", LINK_MEM_PUNCH, 16, 8, UINT64_MAX, LINK_E_VALUE},

    {"no credit", LINK_STREAM_CREDIT, 4, 4, 0, LINK_E_VALUE},

    {"no import", LINK_MEM_IMPORT, 4, 4, 0, LINK_E_VALUE},
    {"size 0", LINK_MEM_IMPORT, 8, 8, 0, LINK_E_VALUE},
    {"size beyond its cap", LINK_MEM_IMPORT, 8, 8, LINK_MEMORY_MAX + 1, LINK_E_VALUE},

    {"unknown socket type", LINK_OPEN, 0, 2, _LINK_SOCKET_TYPE_N, LINK_E_VALUE},
    {"how 0", LINK_OPEN, 2, 2, 0, LINK_E_VALUE},
    {"unknown how", LINK_OPEN, 2, 2, _LINK_OPEN_N, LINK_E_VALUE},
    {"a name with a ticket's how", LINK_OPEN, 2, 2, LINK_OPEN_ACCEPT, LINK_E_VALUE},
    {"a name and a ticket", LINK_OPEN, 8, 8, 7, LINK_E_VALUE},
    {"no name", LINK_OPEN, 4, 2, 0, LINK_E_SIZE},
    {"name longer than the frame", LINK_OPEN, 4, 2, 6, LINK_E_SIZE},
    {"reserved word", LINK_OPEN, 6, 2, 1, LINK_E_RESERVED},
    {"a slash in the name", LINK_OPEN, 17, 1, '/', LINK_E_VALUE},
    {"a space in the name", LINK_OPEN, 17, 1, ' ', LINK_E_VALUE},
    {"files that are neither", LINK_OPENED, 0, 2, 2, LINK_E_VALUE},
    {"unknown memory", LINK_OPENED, 2, 2, _LINK_MEMORY_N, LINK_E_VALUE},
    {"unknown signals", LINK_OPENED, 4, 2, _LINK_SIGNALS_N, LINK_E_VALUE},
    {"unknown dmabufs", LINK_SHARING, 0, 2, _LINK_DMABUFS_N, LINK_E_VALUE},
    {"memory that is neither", LINK_SHARING, 2, 2, 2, LINK_E_VALUE},
    {"sync files that are neither", LINK_SHARING, 4, 2, 2, LINK_E_VALUE},
    {"reserved word", LINK_SHARING, 6, 2, 1, LINK_E_RESERVED},
    {"id 0", LINK_IMPORTED, 0, 4, 0, LINK_E_VALUE},
    {"unknown answer", LINK_IMPORTED, 4, 2, _LINK_IMPORTED_N, LINK_E_VALUE},
    {"reserved word", LINK_IMPORTED, 6, 2, 1, LINK_E_RESERVED},
    {"no ticket", LINK_INCOMING, 0, 8, 0, LINK_E_VALUE},
    {"unknown socket type", LINK_INCOMING, 8, 2, _LINK_SOCKET_TYPE_N, LINK_E_VALUE},
    {"name shorter than the frame", LINK_INCOMING, 10, 2, 4, LINK_E_SIZE},
    {"a newline in the name", LINK_INCOMING, 12, 1, '\n', LINK_E_VALUE},
    {"no ticket", LINK_REJECTED, 0, 8, 0, LINK_E_VALUE},
    {"text longer than the frame", LINK_REJECTED, 8, 2, 16, LINK_E_SIZE},
    {"reserved word", LINK_REJECTED, 10, 2, 1, LINK_E_RESERVED},
    {"a newline in the text", LINK_REJECTED, 12, 1, '\n', LINK_E_VALUE},
    {"no path", LINK_DISPLAY, 0, 2, 0, LINK_E_SIZE},
    {"path shorter than the frame", LINK_DISPLAY, 0, 2, 23, LINK_E_SIZE},
    {"path longer than the frame", LINK_DISPLAY, 0, 2, 25, LINK_E_SIZE},
    {"reserved word", LINK_DISPLAY, 2, 2, 1, LINK_E_RESERVED},
    {"an escape in the path", LINK_DISPLAY, 4, 1, 0x1b, LINK_E_VALUE},
    {"NUL in the path", LINK_DISPLAY, 27, 1, 0, LINK_E_VALUE},
    {"id 0", LINK_VFD_FORM, 0, 4, 0, LINK_E_VALUE},
    {"unknown seal", LINK_VFD_FORM, 4, 2, LINK_SEALS_ALL + 1, LINK_E_VALUE},
    {"no access", LINK_VFD_FORM, 6, 2, 0, LINK_E_VALUE},
    {"unknown access", LINK_VFD_FORM, 6, 2, 4, LINK_E_VALUE},
    {"offset beyond any", LINK_VFD_FORM, 8, 8, UINT64_MAX, LINK_E_VALUE},
    {"a mirror beyond its cap", LINK_OPENED, 8, 4, LINK_MIRROR_MAX + 1, LINK_E_VALUE},
    {"id 0", LINK_VFD_REF, 0, 4, 0, LINK_E_VALUE},
    {"how 0", LINK_VFD_REF, 4, 2, 0, LINK_E_VALUE},
    {"unknown how", LINK_VFD_REF, 4, 2, _LINK_REF_N, LINK_E_VALUE},
    {"unknown access", LINK_VFD_REF, 6, 2, 4, LINK_E_VALUE},
    {"id 0", LINK_VFD_IDLE, 0, 4, 0, LINK_E_VALUE},
    {"reserved word", LINK_VFD_IDLE, 12, 4, 1, LINK_E_RESERVED},
    {"id 0", LINK_VFD_GONE, 0, 4, 0, LINK_E_VALUE},
    {"reserved word", LINK_VFD_GONE, 4, 4, 1, LINK_E_RESERVED},
    {"id 0", LINK_EVENT, 0, 4, 0, LINK_E_VALUE},
    {"reserved word", LINK_EVENT, 4, 4, 1, LINK_E_RESERVED},
    {"no signal", LINK_EVENT, 8, 8, 0, LINK_E_VALUE},
    {"more than an eventfd can have", LINK_EVENT, 8, 8, UINT64_MAX, LINK_E_VALUE},
    {"id 0", LINK_MEM_ROLE, 0, 4, 0, LINK_E_VALUE},
    {"a node's without its eventfd", LINK_MEM_ROLE, 4, 4, 0, LINK_E_VALUE},
    {"a node's without the node", LINK_MEM_ROLE, 8, 4, 0, LINK_E_VALUE},
    {"nobody's with a node", LINK_MEM_ROLE, 12, 2, LINK_ROLE_SHARED, LINK_E_VALUE},
    {"no role", LINK_MEM_ROLE, 12, 2, 0, LINK_E_VALUE},
    {"unknown role", LINK_MEM_ROLE, 12, 2, _LINK_MEM_ROLE_N, LINK_E_VALUE},
    {"reserved word", LINK_MEM_ROLE, 14, 2, 1, LINK_E_RESERVED},
    {"node 0", LINK_CYCLE, 0, 4, 0, LINK_E_VALUE},
    {"no state", LINK_CYCLE, 4, 2, 0, LINK_E_VALUE},
    {"unknown state", LINK_CYCLE, 4, 2, _LINK_CYCLE_N, LINK_E_VALUE},
    {"reserved word", LINK_CYCLE, 6, 2, 1, LINK_E_RESERVED},
};

static void test_each_rule(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        const struct rule *rule = &rules[i];
        uint8_t frame[LINK_FRAME_SMALL_MAX];
        const struct codec *codec = codec_of(rule->type);
        size_t n = codec->encode(frame) - LINK_HEADER_SIZE;
        for (unsigned b = 0; b < rule->width; b++)
            frame[LINK_HEADER_SIZE + rule->offset + b] = (uint8_t)(rule->value >> (8 * b));
        int result = decode_exact(codec, frame + LINK_HEADER_SIZE, n, n);
        if (result != rule->expected)
            fail_msg("%s, %s: %s", link_type_name(rule->type), rule->name,
                     link_decode_error_name(result));
    }
}

/* Any bytes may follow its fields, so it is the one whose size says nothing. */
static void test_data(void **state)
{
    (void)state;
    static const struct {
        uint16_t vfds, flags;
        size_t size;
        int expected;
    } cases[] = {
        {0, 0, 1, LINK_OK},
        {0, 0, 0, LINK_E_SIZE},
        {0, LINK_DATA_END, 0, LINK_OK},
        {LINK_DATA_VFDS_MAX, LINK_DATA_END, 6, LINK_OK},
        {LINK_DATA_VFDS_MAX + 1, 0, 6, LINK_E_VALUE},
        {0, LINK_DATA_END + 1, 6, LINK_E_VALUE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t frame[LINK_HEADER_SIZE + LINK_DATA_SIZE + 6] = {0};
        struct link_data data = {cases[i].vfds, cases[i].flags}, got = {0};
        assert_int_equal(link_data_encode(frame, &data, 6), LINK_HEADER_SIZE + LINK_DATA_SIZE);
        assert_int_equal(
            link_data_decode(frame + LINK_HEADER_SIZE, LINK_DATA_SIZE + cases[i].size, &got),
            cases[i].expected);
        if (cases[i].expected == LINK_OK)
            assert_true(got.vfds == data.vfds && got.flags == data.flags);
    }
    assert_int_equal(link_data_decode("", 3, &(struct link_data){0}), LINK_E_SIZE);
}

static void test_vfd_kinds(void **state)
{
    (void)state;
    static const struct {
        uint16_t kind, flags;
        uint64_t size;
        int expected;
    } cases[] = {
        {LINK_VFD_MEMORY, 0, 1, LINK_OK},
        {LINK_VFD_FILE, 0, 0, LINK_OK},
        {LINK_VFD_FILE, 0, LINK_FILE_MAX, LINK_OK},
        {LINK_VFD_FILE, 0, LINK_FILE_MAX + 1, LINK_E_VALUE},
        {LINK_VFD_FILE, LINK_VFD_SOURCE, 1, LINK_E_VALUE},
        {LINK_VFD_STREAM, LINK_VFD_SINK, 0, LINK_OK},
        {LINK_VFD_STREAM, LINK_VFD_SOURCE, 0, LINK_OK},
        {LINK_VFD_STREAM, 0, 0, LINK_E_VALUE},
        {LINK_VFD_STREAM, LINK_VFD_SINK | LINK_VFD_SOURCE, 0, LINK_E_VALUE},
        {LINK_VFD_STREAM, 4, 0, LINK_E_VALUE},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t frame[LINK_FRAME_SMALL_MAX];
        struct link_vfd vfd = {
            .id = 1, .kind = cases[i].kind, .flags = cases[i].flags, .size = cases[i].size};
        struct link_vfd back = {.id = 77};
        link_vfd_encode(frame, &vfd);
        int result = link_vfd_decode(frame + 8, 16, &back);
        if (result != cases[i].expected)
            fail_msg("case %zu: %s", i, link_decode_error_name(result));
        assert_int_equal(back.id,
                         result == LINK_OK ? 1 : 77); /* a failure leaves the output alone */
    }
}

static void test_import_rules(void **state)
{
    (void)state;
    static const struct link_import wrong[] = {
        {0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {1, 1, LINK_MEMORY_MAX + 1}, {1, 1, UINT64_MAX}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        uint8_t frame[LINK_FRAME_SMALL_MAX];
        struct link_import import;
        size_t n = link_import_encode(frame, &wrong[i]);
        assert_int_equal(
            link_import_decode(frame + LINK_HEADER_SIZE, n - LINK_HEADER_SIZE, &import),
            LINK_E_VALUE);
    }
}

static void test_mem_copy_rules(void **state)
{
    (void)state;
    static const struct link_mem_copy wrong[] = {
        {{1, 0, 2, 5, 0}, 4, 6, 0}, /* no bytes */
        {{1, 3, 0, 5, 0}, 4, 6, 0}, /* no rows */
        {{1, 6, 2, 5, 0}, 4, 6, 0}, /* rows that overlap in the memory */
        {{1, 5, 2, 5, 0}, 4, 4, 0}, /* and in the resource */
        {{1, 3, 2, 5, LINK_MEMORY_MAX + 1}, 4, 6, 0},
        {{1, 3, 2, 5, 0}, 4, 6, LINK_MEMORY_MAX + 1},
        {{1, 3, 2, 5, 0}, 0, 6, 0}, /* no import */
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        uint8_t frame[LINK_FRAME_SMALL_MAX];
        struct link_mem_copy copy;
        size_t n = link_mem_copy_encode(frame, &wrong[i]);
        assert_int_equal(
            link_mem_copy_decode(frame + LINK_HEADER_SIZE, n - LINK_HEADER_SIZE, &copy),
            LINK_E_VALUE);
    }
}

static void test_header_bounds_of_each_type(void **state)
{
    (void)state;
    static const struct {
        enum link_type type;
        uint32_t min, max;
    } bounds[] = {
        {LINK_HELLO, 20, 20 + 1024 + 64 + 16},
        {LINK_WELCOME, 44, 44 + 64},
        {LINK_ERROR, 12, 12 + 1024},
        {LINK_PING, 8, 8},
        {LINK_PONG, 40, 40},
        {LINK_WAYLAND, 8, 256 << 10},
        {LINK_END, 0, 0},
        {LINK_VFD, 16, 16},
        {LINK_VFD_CLOSE, 4, 4},
        {LINK_MEM_WRITE, 25, UINT32_MAX},
        {LINK_MEM_SIZE, 16, 16},
        {LINK_MEM_PUNCH, 24, 24},
        {LINK_STREAM_DATA, 5, 4 + (256 << 10)},
        {LINK_STREAM_CREDIT, 8, 8},
        {LINK_STREAM_END, 4, 4},
        {LINK_PROBE, 32, 32},
        {LINK_PROBED, 8, 8},
        {LINK_BOUND, 4, 4 + 1024},
        {LINK_IMPORT, 16, 16},
        {LINK_IMPORT_RELEASE, 4, 4},
        {LINK_IMPORT_RELEASED, 4, 4},
        {LINK_MEM_COPY, 40, 40},
        {LINK_MEM_IMPORT, 16, 16},
        {LINK_OPEN, 16, 16 + 32},
        {LINK_OPENED, 16, 16},
        {LINK_INCOMING, 13, 12 + 32},
        {LINK_REJECTED, 12, 12 + 1024},
        {LINK_DISPLAY, 4 + 1, 4 + 108},
        {LINK_VFD_FORM, 16, 16},
        {LINK_DATA, 4, 256 << 10},
        {LINK_VFD_REF, 16, 16},
        {LINK_VFD_IDLE, 24, 24},
        {LINK_VFD_GONE, 16, 16},
        {LINK_MEM_DELTA, 21, 8 + (64 << 10)},
        {LINK_EVENT, 16, 16},
        {LINK_SHARING, 8, 8},
        {LINK_IMPORTED, 8, 8},
        {LINK_MEM_ROLE, 16, 16},
        {LINK_CYCLE, 8, 8},
    };
    assert_int_equal(sizeof(bounds) / sizeof(*bounds), _LINK_TYPE_N - 1);
    for (size_t i = 0; i < sizeof(bounds) / sizeof(*bounds); i++) {
        for (int edge = 0; edge < 4; edge++) {
            bool low = edge < 2, outside = edge % 2;
            if (outside && (low ? bounds[i].min == 0 : bounds[i].max == UINT32_MAX))
                continue;
            uint32_t size = low ? bounds[i].min - outside : bounds[i].max + outside;
            uint8_t bytes[LINK_HEADER_SIZE] = {(uint8_t)size, (uint8_t)(size >> 8),
                                               (uint8_t)(size >> 16), (uint8_t)(size >> 24),
                                               (uint8_t)bounds[i].type};
            struct link_header header = {0};
            int result = link_header_decode(bytes, &header);
            if (result != (outside ? LINK_E_SIZE : LINK_OK))
                fail_msg("%s of %u bytes: %s", link_type_name(bounds[i].type), size,
                         link_decode_error_name(result));
            if (!outside)
                assert_true(header.size == size && header.type == bounds[i].type);
        }
    }
}

static void test_header_rules(void **state)
{
    (void)state;
    struct link_header header;
    assert_int_equal(link_header_decode((const uint8_t[8]){0, 0, 0, 0, LINK_END, 0, 0, 0}, &header),
                     LINK_OK);
    assert_int_equal(link_header_decode((const uint8_t[8]){0, 0, 0, 0, LINK_END, 0, 1, 0}, &header),
                     LINK_E_RESERVED);
    assert_int_equal(
        link_header_decode((const uint8_t[8]){0, 0, 0, 0, LINK_END, 0, 0, 0x80}, &header),
        LINK_E_RESERVED);
    assert_int_equal(link_header_decode((const uint8_t[8]){0, 0, 0, 0, 0, 0, 0, 0}, &header),
                     LINK_E_TYPE);
    assert_int_equal(
        link_header_decode((const uint8_t[8]){0, 0, 0, 0, _LINK_TYPE_N, 0, 0, 0}, &header),
        LINK_E_TYPE);
    assert_int_equal(link_header_decode((const uint8_t[8]){0, 0, 0, 0, LINK_END, 1, 0, 0}, &header),
                     LINK_E_TYPE);
    assert_int_equal(link_header_decode((const uint8_t[8]){0, 0, 0, 0, 0xff, 0xff, 0, 0}, &header),
                     LINK_E_TYPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_rule),      cmocka_unit_test(test_data),
        cmocka_unit_test(test_vfd_kinds),      cmocka_unit_test(test_import_rules),
        cmocka_unit_test(test_mem_copy_rules), cmocka_unit_test(test_header_bounds_of_each_type),
        cmocka_unit_test(test_header_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
