/* SPDX-License-Identifier: MIT */
/* The packets between a device and its renderer: what is written can be read, and nothing else can.
 */
#include "tests/unit/support.h"

#include <stdbool.h>
#include <string.h>

#include "protocol/render.h"

static uint8_t packet[RENDER_PACKET_MAX];
static const uint8_t bytes[100] = {1, 2, 3};

/* One that is right, of each type. */
static union render_message sample(unsigned type)
{
    union render_message m = {0};
    switch (type) {
    case RENDER_HELLO:
        m.hello = (struct render_hello){RENDER_VERSION, 5};
        break;
    case RENDER_CAPSET:
        m.capset = (struct render_capset){2, 1, 2};
        break;
    case RENDER_FAILED:
        strcpy(m.failed.text, "no EGL");
        break;
    case RENDER_DONE:
        m.done.status = RENDER_REFUSED;
        break;
    case RENDER_FENCE:
        m.fence = (struct render_fence){1, 0, 99};
        break;
    case RENDER_FENCED:
        m.fenced.number = 99;
        break;
    case RENDER_EXPORTED:
        m.exported = (struct render_exported){
            RENDER_OK, {0x34325258, 0x0123456789abcdef, 1, {4, 0, 0, 0}, {256, 0, 0, 0}}};
        break;
    case RENDER_MEMORY:
        m.memory = (struct render_memory){7, 4096};
        break;
    case RENDER_CONTEXT_CREATE:
        m.context = (struct render_context){1, 2};
        break;
    case RENDER_CONTEXT_ATTACH:
    case RENDER_CONTEXT_DETACH:
        m.attachment = (struct render_attachment){1, 5};
        break;
    case RENDER_RESOURCE_CREATE:
        m.resource = (struct render_resource){5, 2, 1, 2, 64, 32, 1, 1, 0, 0, 1};
        break;
    case RENDER_TRANSFER:
        m.transfer =
            (struct render_transfer){5, 1, 0, 256, 100, 1, {1, 2, 3, 4, 5, 6}, {7, 100, 2000}};
        break;
    case RENDER_SUBMIT:
        m.submit = (struct render_submit){1, {7, 100, 400}};
        break;
    case RENDER_READY:
        break;
    default:
        m.id.id = 5;
        break;
    }
    return m;
}

static bool answered(unsigned type)
{
    return type == RENDER_TRANSFER || type == RENDER_SUBMIT || type == RENDER_EXPORT ||
           type == RENDER_DONE || type == RENDER_EXPORTED;
}

static size_t encode(unsigned type, const union render_message *m)
{
    uint32_t data = type == RENDER_CAPSET ? sizeof(bytes) : 0;
    return render_encode(packet, type, answered(type) ? 3 : 0, m, data ? bytes : NULL, data);
}

static int decode(size_t size)
{
    struct render_header h;
    union render_message m;
    const uint8_t *data;
    uint32_t data_size;
    return render_decode(packet, size, &h, &m, &data, &data_size);
}

static void test_what_is_written_is_read(void **state)
{
    (void)state;
    for (unsigned type = 1; type < _RENDER_TYPE_N; type++) {
        const union render_message m = sample(type);
        uint8_t again[RENDER_PACKET_MAX];
        struct render_header h;
        union render_message back;
        const uint8_t *data;
        uint32_t data_size;
        size_t n = encode(type, &m);
        assert_int_equal(render_decode(packet, n, &h, &back, &data, &data_size), RENDER_E_OK);
        assert_int_equal(h.type, type);
        assert_int_equal(h.serial, answered(type) ? 3 : 0);
        assert_int_equal(data_size, type == RENDER_CAPSET ? sizeof(bytes) : 0);
        assert_int_equal(render_encode(again, type, h.serial, &back, data, data_size), n);
        assert_memory_equal(again, packet, n);
    }
    assert_string_equal(render_type_name(RENDER_SUBMIT), "SUBMIT");
    assert_string_equal(render_type_name(_RENDER_TYPE_N), "unknown");
    assert_true(render_is_renderers(RENDER_HELLO) && render_is_renderers(RENDER_EXPORTED));
    assert_false(render_is_renderers(RENDER_MEMORY));
}

static void test_sizes(void **state)
{
    (void)state;
    for (unsigned type = 1; type < _RENDER_TYPE_N; type++) {
        const union render_message m = sample(type);
        size_t n = encode(type, &m);
        for (size_t size = 0; size < n; size++) /* cut off */
            assert_int_equal(decode(size), RENDER_E_SIZE);
        assert_int_equal(decode(n + 1), RENDER_E_SIZE);
        /* Honest about a length that is not its type's. */
        if (type == RENDER_CAPSET)
            continue;
        packet[0] += 4;
        assert_int_equal(decode(n + 4), RENDER_E_SIZE);
        packet[0] -= 8;
        assert_int_equal(decode(n - 4), RENDER_E_SIZE);
    }
    /* A set without bytes, or with too many. */
    const union render_message m = sample(RENDER_CAPSET);
    encode(RENDER_CAPSET, &m);
    packet[0] = 16;
    assert_int_equal(decode(RENDER_HEADER_SIZE + 16), RENDER_E_SIZE);
    packet[0] = (16 + RENDER_CAPSET_SIZE_MAX + 1) & 0xff;
    packet[1] = (16 + RENDER_CAPSET_SIZE_MAX + 1) >> 8;
    uint8_t large[RENDER_PACKET_MAX + 1] = {0};
    memcpy(large, packet, 28);
    struct render_header h;
    union render_message back;
    const uint8_t *data;
    uint32_t data_size;
    assert_int_equal(render_decode(large, sizeof(large), &h, &back, &data, &data_size),
                     RENDER_E_SIZE);
}

static void test_headers(void **state)
{
    (void)state;
    union render_message m = sample(RENDER_FORGET);
    size_t n = encode(RENDER_FORGET, &m);
    const struct {
        unsigned at;
        uint8_t value;
        int error;
    } wrong[] = {{4, 0, RENDER_E_TYPE},
                 {4, _RENDER_TYPE_N, RENDER_E_TYPE},
                 {5, 1, RENDER_E_TYPE},
                 {6, 1, RENDER_E_RESERVED},
                 {8, 1, RENDER_E_VALUE} /* nobody answers it */};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        uint8_t before = packet[wrong[i].at];
        packet[wrong[i].at] = wrong[i].value;
        assert_int_equal(decode(n), wrong[i].error);
        packet[wrong[i].at] = before;
    }
    m = sample(RENDER_SUBMIT);
    n = encode(RENDER_SUBMIT, &m);
    packet[8] = 0; /* no serial */
    assert_int_equal(decode(n), RENDER_E_VALUE);
}

/* Bytes that are no field's are zero. */
static void test_reserved(void **state)
{
    (void)state;
    static const struct {
        unsigned type, at;
    } zeros[] = {{RENDER_HELLO, 12},    {RENDER_CAPSET, 12}, {RENDER_READY, 0},
                 {RENDER_DONE, 4},      {RENDER_FENCED, 4},  {RENDER_EXPORTED, 20},
                 {RENDER_MEMORY, 4},    {RENDER_FORGET, 4},  {RENDER_RESOURCE_CREATE, 44},
                 {RENDER_TRANSFER, 52}, {RENDER_FENCE, 12},  {RENDER_EXPORT, 4}};
    for (size_t i = 0; i < sizeof(zeros) / sizeof(*zeros); i++) {
        const union render_message m = sample(zeros[i].type);
        size_t n = encode(zeros[i].type, &m);
        packet[RENDER_HEADER_SIZE + zeros[i].at] = 1;
        if (decode(n) != RENDER_E_RESERVED)
            fail_msg("%s, byte %u", render_type_name(zeros[i].type), zeros[i].at);
    }
}

/* Each rule, broken alone. */
#define BROKEN(type, change)                                                                       \
    do {                                                                                           \
        union render_message m = sample(type);                                                     \
        change;                                                                                    \
        size_t n = encode(type, &m);                                                               \
        if (decode(n) != RENDER_E_VALUE)                                                           \
            fail_msg("%s", #change);                                                               \
    } while (0)

static void test_values(void **state)
{
    (void)state;
    BROKEN(RENDER_HELLO, m.hello.version = RENDER_VERSION + 1);
    BROKEN(RENDER_HELLO, m.hello.version = 0);
    BROKEN(RENDER_HELLO, m.hello.capsets = 0);
    BROKEN(RENDER_HELLO,
           m.hello.capsets = RENDER_CAPSETS_MAX * (RENDER_CAPSET_VERSION_MAX + 1) + 1);
    BROKEN(RENDER_CAPSET, m.capset.id = 0);
    BROKEN(RENDER_CAPSET, m.capset.version = m.capset.version_max + 1);
    BROKEN(RENDER_CAPSET, m.capset.version_max = RENDER_CAPSET_VERSION_MAX + 1);
    BROKEN(RENDER_FAILED, memset(m.failed.text, 'x', sizeof(m.failed.text)));
    BROKEN(RENDER_DONE, m.done.status = _RENDER_STATUS_N);
    BROKEN(RENDER_EXPORTED, m.exported.status = _RENDER_STATUS_N);
    BROKEN(RENDER_EXPORTED, m.exported.layout.n_planes = 0);
    BROKEN(RENDER_EXPORTED, m.exported.layout.n_planes = RENDER_PLANES_MAX + 1);
    BROKEN(RENDER_MEMORY, m.memory.id = 0);
    BROKEN(RENDER_MEMORY, m.memory.size = 0);
    BROKEN(RENDER_MEMORY, m.memory.size = RENDER_MEMORY_SIZE_MAX + 1);
    BROKEN(RENDER_FORGET, m.id.id = 0);
    BROKEN(RENDER_CONTEXT_CREATE, m.context.id = 0);
    BROKEN(RENDER_CONTEXT_DESTROY, m.id.id = 0);
    BROKEN(RENDER_CONTEXT_ATTACH, m.attachment.context = 0);
    BROKEN(RENDER_CONTEXT_ATTACH, m.attachment.resource = 0);
    BROKEN(RENDER_CONTEXT_DETACH, m.attachment.context = 0);
    BROKEN(RENDER_CONTEXT_DETACH, m.attachment.resource = 0);
    BROKEN(RENDER_RESOURCE_CREATE, m.resource.id = 0);
    BROKEN(RENDER_RESOURCE_DESTROY, m.id.id = 0);
    BROKEN(RENDER_TRANSFER, m.transfer.resource = 0);
    BROKEN(RENDER_TRANSFER, m.transfer.to_renderer = 2);
    BROKEN(RENDER_TRANSFER, m.transfer.box.width = 0);
    BROKEN(RENDER_TRANSFER, m.transfer.box.height = 0);
    BROKEN(RENDER_TRANSFER, m.transfer.box.depth = 0);
    BROKEN(RENDER_TRANSFER, m.transfer.stride = 375); /* the last row begins at the range's end */
    BROKEN(RENDER_TRANSFER, m.transfer.layer_stride = UINT32_MAX);
    BROKEN(RENDER_TRANSFER, m.transfer.box.height = UINT32_MAX);
    BROKEN(RENDER_TRANSFER, m.transfer.box.depth = UINT32_MAX);
    BROKEN(RENDER_TRANSFER, m.transfer.range.memory = 0);
    BROKEN(RENDER_TRANSFER, m.transfer.range.size = 0);
    BROKEN(RENDER_TRANSFER, m.transfer.range.size = UINT64_MAX);
    BROKEN(RENDER_TRANSFER, m.transfer.range.offset = UINT64_MAX);
    BROKEN(RENDER_TRANSFER, m.transfer.range.offset = RENDER_MEMORY_SIZE_MAX - 1999);
    BROKEN(RENDER_SUBMIT, m.submit.context = 0);
    BROKEN(RENDER_SUBMIT, m.submit.range.memory = 0);
    BROKEN(RENDER_SUBMIT, m.submit.range.size = 0);
    BROKEN(RENDER_SUBMIT, m.submit.range.size = 401);
    BROKEN(RENDER_SUBMIT, m.submit.range.size = 4 * (RENDER_WORDS_MAX + 1ull));
    BROKEN(RENDER_SUBMIT, m.submit.range.offset = UINT64_MAX - 3);
    BROKEN(RENDER_FENCE, m.fence.ring = 1);
    BROKEN(RENDER_EXPORT, m.id.id = 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_written_is_read),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_headers),
        cmocka_unit_test(test_reserved),
        cmocka_unit_test(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
