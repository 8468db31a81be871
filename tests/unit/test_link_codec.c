/* SPDX-License-Identifier: MIT */
/* The codec of the link: every frame type there and back, cut short anywhere, too long, and with
 * each field that it may not have. Payloads lie in memory of exactly their size, so that ASan sees
 * a look beyond. */
#include "tests/unit/support.h"

#include <string.h>

#include "protocol/link.h"

static const uint8_t key[LINK_KEY_SIZE] = {1, 2, 3, 0xff, 5, [31] = 32};

/* --- one sample of each type --- */

static size_t encode_hello(uint8_t *buffer)
{
    struct link_hello hello = {.version_min = 1,
                               .version_max = 3,
                               .features = 0x80000001u,
                               .role = LINK_ROLE_CLIENT,
                               .proof_kind = LINK_PROOF_KEY,
                               .proof_size = LINK_KEY_SIZE,
                               .label_size = 4,
                               .proof = key,
                               .label = "foot"};
    return link_hello_encode(buffer, &hello);
}

static size_t encode_welcome(uint8_t *buffer)
{
    struct link_welcome welcome = {.version = 1, .features = 7, .name_size = 4, .name = "work"};
    memcpy(welcome.key, key, sizeof(key));
    return link_welcome_encode(buffer, &welcome);
}

static size_t encode_error(uint8_t *buffer)
{
    return link_error_encode(buffer, LINK_ERROR_WAYLAND, 0xff000001u, 2, "bad pool");
}

static size_t encode_ping(uint8_t *buffer)
{
    return link_ping_encode(buffer, 0x0123456789abcdefull);
}

static size_t encode_pong(uint8_t *buffer)
{
    struct link_pong pong = {.serial = 5, .ns = {1, -2, INT64_MAX, INT64_MIN}};
    return link_pong_encode(buffer, &pong);
}

static size_t encode_vfd(uint8_t *buffer)
{
    struct link_vfd vfd = {
        .id = LINK_HOST_ID | 3, .kind = LINK_VFD_MEMORY, .size = LINK_MEMORY_MAX};
    return link_vfd_encode(buffer, &vfd);
}

static size_t encode_mem_write(uint8_t *buffer)
{
    struct link_mem_write write = {
        .id = 1, .row = 3, .rows = 2, .stride = 5, .offset = LINK_MEMORY_MAX};
    size_t n = link_mem_write_encode(buffer, &write);
    memset(buffer + n, 0xaa, 6); /* the data is the caller's */
    return n + 6;
}

static size_t encode_mem_size(uint8_t *buffer)
{
    struct link_mem_size size = {9, 4096};
    return link_mem_size_encode(buffer, &size);
}

static size_t encode_mem_punch(uint8_t *buffer)
{
    struct link_mem_punch punch = {9, 8192, LINK_MEMORY_MAX};
    return link_mem_punch_encode(buffer, &punch);
}

static size_t encode_close(uint8_t *buffer)
{
    return link_id_encode(buffer, LINK_VFD_CLOSE, 0xfffffffeu);
}

static size_t encode_end(uint8_t *buffer)
{
    return link_id_encode(buffer, LINK_STREAM_END, 2);
}

static size_t encode_credit(uint8_t *buffer)
{
    return link_stream_credit_encode(buffer, 2, UINT32_MAX);
}

static size_t encode_probe(uint8_t *buffer)
{
    return link_probe_encode(buffer, key);
}

static size_t encode_probed(uint8_t *buffer)
{
    return link_probed_encode(buffer, 0xfffffffeu);
}

static size_t encode_bound(uint8_t *buffer)
{
    return link_bound_encode(buffer, false, "no device");
}

static size_t encode_import(uint8_t *buffer)
{
    struct link_import import = {1, 77, LINK_MEMORY_MAX};
    return link_import_encode(buffer, &import);
}

static size_t encode_release(uint8_t *buffer)
{
    return link_id_encode(buffer, LINK_IMPORT_RELEASE, 3);
}

static size_t encode_released(uint8_t *buffer)
{
    return link_id_encode(buffer, LINK_IMPORT_RELEASED, 3);
}

static size_t encode_copy(uint8_t *buffer)
{
    struct link_mem_copy copy = {{1, 3, 2, 5, LINK_MEMORY_MAX}, 4, 6, LINK_MEMORY_MAX};
    return link_mem_copy_encode(buffer, &copy);
}

static int decode_hello(const void *p, size_t n)
{
    struct link_hello h;
    return link_hello_decode(p, n, &h);
}

static int decode_welcome(const void *p, size_t n)
{
    struct link_welcome w;
    return link_welcome_decode(p, n, &w);
}

static int decode_error(const void *p, size_t n)
{
    struct link_error_frame e;
    return link_error_decode(p, n, &e);
}

static int decode_ping(const void *p, size_t n)
{
    uint64_t serial;
    return link_ping_decode(p, n, &serial);
}

static int decode_pong(const void *p, size_t n)
{
    struct link_pong pong;
    return link_pong_decode(p, n, &pong);
}

static int decode_vfd(const void *p, size_t n)
{
    struct link_vfd vfd;
    return link_vfd_decode(p, n, &vfd);
}

static int decode_mem_write(const void *p, size_t n)
{
    struct link_mem_write write;
    return link_mem_write_decode(p, n, &write);
}

static int decode_mem_size(const void *p, size_t n)
{
    struct link_mem_size size;
    return link_mem_size_decode(p, n, &size);
}

static int decode_mem_punch(const void *p, size_t n)
{
    struct link_mem_punch punch;
    return link_mem_punch_decode(p, n, &punch);
}

static int decode_id(const void *p, size_t n)
{
    uint32_t id;
    return link_id_decode(p, n, &id);
}

static int decode_credit(const void *p, size_t n)
{
    struct link_stream_credit credit;
    return link_stream_credit_decode(p, n, &credit);
}

static int decode_probe(const void *p, size_t n)
{
    uint8_t nonce[LINK_NONCE_SIZE];
    return link_probe_decode(p, n, nonce);
}

static int decode_probed(const void *p, size_t n)
{
    uint32_t resource;
    return link_probed_decode(p, n, &resource);
}

static int decode_bound(const void *p, size_t n)
{
    struct link_bound bound;
    return link_bound_decode(p, n, &bound);
}

static int decode_import(const void *p, size_t n)
{
    struct link_import import;
    return link_import_decode(p, n, &import);
}

static int decode_copy(const void *p, size_t n)
{
    struct link_mem_copy copy;
    return link_mem_copy_decode(p, n, &copy);
}

static const struct codec {
    enum link_type type;
    size_t (*encode)(uint8_t *buffer);
    int (*decode)(const void *payload, size_t size);
} codecs[] = {
    {LINK_HELLO, encode_hello, decode_hello},
    {LINK_WELCOME, encode_welcome, decode_welcome},
    {LINK_ERROR, encode_error, decode_error},
    {LINK_PING, encode_ping, decode_ping},
    {LINK_PONG, encode_pong, decode_pong},
    {LINK_VFD, encode_vfd, decode_vfd},
    {LINK_VFD_CLOSE, encode_close, decode_id},
    {LINK_MEM_WRITE, encode_mem_write, decode_mem_write},
    {LINK_MEM_SIZE, encode_mem_size, decode_mem_size},
    {LINK_MEM_PUNCH, encode_mem_punch, decode_mem_punch},
    {LINK_STREAM_CREDIT, encode_credit, decode_credit},
    {LINK_STREAM_END, encode_end, decode_id},
    {LINK_PROBE, encode_probe, decode_probe},
    {LINK_PROBED, encode_probed, decode_probed},
    {LINK_BOUND, encode_bound, decode_bound},
    {LINK_IMPORT, encode_import, decode_import},
    {LINK_IMPORT_RELEASE, encode_release, decode_id},
    {LINK_IMPORT_RELEASED, encode_released, decode_id},
    {LINK_MEM_COPY, encode_copy, decode_copy},
};

static const struct codec *codec_of(enum link_type type)
{
    for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
        if (codecs[i].type == type)
            return &codecs[i];
    fail_msg("no codec for type %d", (int)type);
    return NULL;
}

/* Decodes the first @size bytes of @payload (zeros beyond @have) in memory of exactly that size. */
static int decode_exact(const struct codec *codec, const uint8_t *payload, size_t have, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memset(exact, 0, size);
    memcpy(exact, payload, have < size ? have : size);
    int result = codec->decode(exact, size);
    free(exact);
    return result;
}

static void test_each_type_reads_back(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
        uint8_t frame[LINK_FRAME_SMALL_MAX];
        struct link_header header;
        size_t n = codecs[i].encode(frame);
        assert_int_equal(link_header_decode(frame, &header), LINK_OK);
        assert_int_equal(header.type, codecs[i].type);
        assert_int_equal(header.size, n - LINK_HEADER_SIZE);
        assert_int_equal(
            decode_exact(&codecs[i], frame + LINK_HEADER_SIZE, header.size, header.size), LINK_OK);
    }
}

static void test_every_prefix_and_surplus_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++) {
        uint8_t frame[LINK_FRAME_SMALL_MAX];
        size_t n = codecs[i].encode(frame) - LINK_HEADER_SIZE;
        for (size_t size = 0; size < n + 9; size++) {
            int result = decode_exact(&codecs[i], frame + LINK_HEADER_SIZE, n, size);
            if (result != (size == n ? LINK_OK : LINK_E_SIZE))
                fail_msg("%s of %zu bytes, cut or stretched to %zu: %s",
                         link_type_name(codecs[i].type), n, size, link_decode_error_name(result));
        }
    }
}

static void test_hello_fields(void **state)
{
    (void)state;
    uint8_t frame[LINK_FRAME_SMALL_MAX];
    struct link_hello h;
    size_t n = encode_hello(frame);
    assert_int_equal(n, 8 + 20 + 32 + 4);
    assert_memory_equal(frame + 8, "WVSK", 4); /* little-endian, whatever we run on */
    assert_int_equal(link_hello_decode(frame + 8, n - 8, &h), LINK_OK);
    assert_int_equal(h.version_min, 1);
    assert_int_equal(h.version_max, 3);
    assert_int_equal(h.features, 0x80000001u);
    assert_int_equal(h.role, LINK_ROLE_CLIENT);
    assert_int_equal(h.proof_kind, LINK_PROOF_KEY);
    assert_int_equal(h.proof_size, LINK_KEY_SIZE);
    assert_memory_equal(h.proof, key, LINK_KEY_SIZE);
    assert_int_equal(h.label_size, 4);
    assert_memory_equal(h.label, "foot", 4);
}

static void test_hello_at_its_caps(void **state)
{
    (void)state;
    static const uint8_t proof[LINK_PROOF_MAX] = {7};
    char label[LINK_LABEL_MAX];
    memset(label, '~', sizeof(label));
    struct link_hello hello = {.version_min = 1,
                               .version_max = 0xffff,
                               .role = LINK_ROLE_CONTROL,
                               .proof_kind = LINK_PROOF_TOKEN,
                               .proof_size = LINK_PROOF_MAX,
                               .label_size = LINK_LABEL_MAX,
                               .proof = proof,
                               .label = label};
    uint8_t *frame = malloc(LINK_FRAME_SMALL_MAX); /* ASan: the cap is enough for the largest */
    assert_int_equal(link_hello_encode(frame, &hello), LINK_FRAME_SMALL_MAX);
    struct link_header header;
    assert_int_equal(link_header_decode(frame, &header), LINK_OK);
    struct link_hello h;
    assert_int_equal(link_hello_decode(frame + 8, header.size, &h), LINK_OK);
    assert_int_equal(h.proof_size, LINK_PROOF_MAX);
    free(frame);
    hello = (struct link_hello){.version_min = 1,
                                .version_max = 1,
                                .role = LINK_ROLE_CONTROL,
                                .proof_kind = LINK_PROOF_DESCRIPTOR};
    uint8_t small[LINK_FRAME_SMALL_MAX];
    assert_int_equal(link_hello_encode(small, &hello), 28);
    assert_int_equal(link_hello_decode(small + 8, 20, &h), LINK_OK);
    assert_int_equal(h.label_size, 0);
}

static void test_welcome_fields(void **state)
{
    (void)state;
    uint8_t frame[LINK_FRAME_SMALL_MAX];
    struct link_welcome w;
    size_t n = encode_welcome(frame);
    assert_int_equal(link_welcome_decode(frame + 8, n - 8, &w), LINK_OK);
    assert_int_equal(w.version, 1);
    assert_int_equal(w.features, 7);
    assert_memory_equal(w.key, key, LINK_KEY_SIZE);
    assert_int_equal(w.name_size, 4);
    assert_memory_equal(w.name, "work", 4);
}

static void test_error_fields_and_text(void **state)
{
    (void)state;
    uint8_t frame[LINK_FRAME_SMALL_MAX];
    struct link_error_frame e;
    size_t n = encode_error(frame);
    assert_int_equal(link_error_decode(frame + 8, n - 8, &e), LINK_OK);
    assert_int_equal(e.code, LINK_ERROR_WAYLAND);
    assert_int_equal(e.object, 0xff000001u);
    assert_int_equal(e.wl_code, 2);
    assert_int_equal(e.text_size, 8);
    assert_memory_equal(e.text, "bad pool", 8);
    /* What is not printable would be refused by the other side: it is replaced. */
    n = link_error_encode(frame, LINK_ERROR_PROTOCOL, 0, 0, "a\n\x1b[0m\xc3\xa9~ ");
    assert_int_equal(link_error_decode(frame + 8, n - 8, &e), LINK_OK);
    assert_int_equal(e.text_size, 10);
    assert_memory_equal(e.text, "a??[0m??~ ", 10);
    /* Too long is cut. */
    char text[3 * LINK_TEXT_MAX];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    uint8_t *exact = malloc(LINK_FRAME_SMALL_MAX);
    n = link_error_encode(exact, LINK_ERROR_PROTOCOL, 0, 0, text);
    assert_in_range(n, 8 + 12 + 512, LINK_FRAME_SMALL_MAX);
    assert_int_equal(link_error_decode(exact + 8, n - 8, &e), LINK_OK);
    assert_int_equal(e.text_size, n - 20);
    n = link_error_encode(exact, LINK_ERROR_PROTOCOL, 0, 0, "");
    assert_int_equal(link_error_decode(exact + 8, n - 8, &e), LINK_OK);
    assert_int_equal(e.text_size, 0);
    free(exact);
}

static void test_numbers_read_back(void **state)
{
    (void)state;
    uint8_t frame[LINK_FRAME_SMALL_MAX];
    uint64_t serial;
    struct link_pong pong;
    struct link_vfd vfd;
    struct link_mem_write write;
    struct link_mem_size size;
    struct link_mem_punch punch;
    struct link_stream_credit credit;
    uint32_t id;
    encode_ping(frame);
    assert_int_equal(link_ping_decode(frame + 8, 8, &serial), LINK_OK);
    assert_true(serial == 0x0123456789abcdefull);
    assert_int_equal(frame[8], 0xef);
    encode_pong(frame);
    assert_int_equal(link_pong_decode(frame + 8, 40, &pong), LINK_OK);
    assert_int_equal(pong.serial, 5);
    assert_true(pong.ns[0] == 1 && pong.ns[1] == -2 && pong.ns[2] == INT64_MAX &&
                pong.ns[3] == INT64_MIN);
    encode_vfd(frame);
    assert_int_equal(link_vfd_decode(frame + 8, 16, &vfd), LINK_OK);
    assert_true(vfd.id == (LINK_HOST_ID | 3) && vfd.kind == LINK_VFD_MEMORY && vfd.flags == 0 &&
                vfd.size == LINK_MEMORY_MAX);
    encode_mem_write(frame);
    assert_int_equal(link_mem_write_decode(frame + 8, 30, &write), LINK_OK);
    assert_true(write.id == 1 && write.row == 3 && write.rows == 2 && write.stride == 5 &&
                write.offset == LINK_MEMORY_MAX);
    encode_mem_size(frame);
    assert_int_equal(link_mem_size_decode(frame + 8, 16, &size), LINK_OK);
    assert_true(size.id == 9 && size.size == 4096);
    encode_mem_punch(frame);
    assert_int_equal(link_mem_punch_decode(frame + 8, 24, &punch), LINK_OK);
    assert_true(punch.id == 9 && punch.offset == 8192 && punch.length == LINK_MEMORY_MAX);
    encode_credit(frame);
    assert_int_equal(link_stream_credit_decode(frame + 8, 8, &credit), LINK_OK);
    assert_true(credit.id == 2 && credit.bytes == UINT32_MAX);
    encode_close(frame);
    assert_int_equal(link_id_decode(frame + 8, 4, &id), LINK_OK);
    assert_int_equal(id, 0xfffffffeu);
}

static void test_stream_data_head(void **state)
{
    (void)state;
    uint8_t frame[LINK_FRAME_SMALL_MAX];
    struct link_header header;
    assert_int_equal(link_stream_data_encode(frame, 0x01020304, LINK_STREAM_MAX),
                     LINK_HEADER_SIZE + LINK_STREAM_DATA_SIZE);
    assert_int_equal(link_header_decode(frame, &header), LINK_OK);
    assert_int_equal(header.type, LINK_STREAM_DATA);
    assert_int_equal(header.size, LINK_STREAM_DATA_SIZE + LINK_STREAM_MAX);
    assert_memory_equal(frame + 8, "\4\3\2\1", 4);
}

/* --- rules --- */

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
    {"unknown features", LINK_HELLO, 8, 4, UINT32_MAX, LINK_OK},
    {"role 0", LINK_HELLO, 12, 2, 0, LINK_E_VALUE},
    {"role 3", LINK_HELLO, 12, 2, 3, LINK_E_VALUE},
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

static void test_gpu_frames_read_back(void **state)
{
    (void)state;
    uint8_t frame[LINK_FRAME_SMALL_MAX], nonce[LINK_NONCE_SIZE];
    const uint8_t *payload = frame + LINK_HEADER_SIZE;
    uint32_t resource;
    struct link_bound bound;
    struct link_import import;
    struct link_mem_copy copy;
    size_t n = encode_probe(frame) - LINK_HEADER_SIZE;
    assert_int_equal(link_probe_decode(payload, n, nonce), LINK_OK);
    assert_memory_equal(nonce, key, sizeof(nonce));
    n = encode_probed(frame) - LINK_HEADER_SIZE;
    assert_int_equal(link_probed_decode(payload, n, &resource), LINK_OK);
    assert_int_equal(resource, 0xfffffffeu);
    frame[LINK_HEADER_SIZE + 4] = 1;
    assert_int_equal(link_probed_decode(payload, n, &resource), LINK_E_RESERVED);
    n = link_bound_encode(frame, true, "") - LINK_HEADER_SIZE;
    assert_int_equal(link_bound_decode(payload, n, &bound), LINK_OK);
    assert_true(bound.bound && bound.text_size == 0);
    n = encode_bound(frame) - LINK_HEADER_SIZE;
    assert_int_equal(link_bound_decode(payload, n, &bound), LINK_OK);
    assert_true(!bound.bound && bound.text_size == 9 && memcmp(bound.text, "no device", 9) == 0);
    frame[LINK_HEADER_SIZE] = 2;
    assert_int_equal(link_bound_decode(payload, n, &bound), LINK_E_VALUE);
    frame[LINK_HEADER_SIZE] = 0;
    frame[LINK_HEADER_SIZE + 4] = '\n';
    assert_int_equal(link_bound_decode(payload, n, &bound), LINK_E_VALUE);
    n = encode_import(frame) - LINK_HEADER_SIZE;
    assert_int_equal(link_import_decode(payload, n, &import), LINK_OK);
    assert_true(import.id == 1 && import.resource == 77 && import.size == LINK_MEMORY_MAX);
    n = encode_copy(frame) - LINK_HEADER_SIZE;
    assert_int_equal(link_mem_copy_decode(payload, n, &copy), LINK_OK);
    assert_true(copy.to.id == 1 && copy.to.row == 3 && copy.to.rows == 2 && copy.to.stride == 5 &&
                copy.to.offset == LINK_MEMORY_MAX);
    assert_true(copy.import == 4 && copy.source_stride == 6 &&
                copy.source_offset == LINK_MEMORY_MAX);
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
        {LINK_HELLO, 20, 20 + 1024 + 64},
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

static void test_names(void **state)
{
    (void)state;
    for (unsigned type = 1; type < _LINK_TYPE_N; type++)
        assert_string_not_equal(link_type_name(type), "unknown");
    assert_string_equal(link_type_name(LINK_MEM_PUNCH), "MEM_PUNCH");
    assert_string_equal(link_type_name(0), "unknown");
    assert_string_equal(link_type_name(_LINK_TYPE_N), "unknown");
    assert_string_equal(link_type_name(UINT32_MAX), "unknown");
    for (int error = LINK_OK; error <= LINK_E_VALUE; error++)
        assert_string_not_equal(link_decode_error_name(error), "unknown error");
    assert_string_equal(link_decode_error_name(-1), "unknown error");
    assert_string_equal(link_decode_error_name(LINK_E_VALUE + 1), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_type_reads_back),
        cmocka_unit_test(test_every_prefix_and_surplus_is_refused),
        cmocka_unit_test(test_hello_fields),
        cmocka_unit_test(test_hello_at_its_caps),
        cmocka_unit_test(test_welcome_fields),
        cmocka_unit_test(test_error_fields_and_text),
        cmocka_unit_test(test_numbers_read_back),
        cmocka_unit_test(test_stream_data_head),
        cmocka_unit_test(test_each_rule),
        cmocka_unit_test(test_vfd_kinds),
        cmocka_unit_test(test_gpu_frames_read_back),
        cmocka_unit_test(test_import_rules),
        cmocka_unit_test(test_mem_copy_rules),
        cmocka_unit_test(test_header_bounds_of_each_type),
        cmocka_unit_test(test_header_rules),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
