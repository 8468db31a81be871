/* SPDX-License-Identifier: MIT */
/* Each frame of the link reads back as it was written, and at no other size. */
#include "tests/unit/transport/link_samples.h"

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
                               .label = label,
                               .instance = proof};
    uint8_t *frame = malloc(LINK_FRAME_SMALL_MAX); /* ASan: the cap is enough for the largest */
    assert_int_equal(link_hello_encode(frame, &hello), LINK_FRAME_SMALL_MAX);
    struct link_header header;
    assert_int_equal(link_header_decode(frame, &header), LINK_OK);
    struct link_hello h;
    assert_int_equal(link_hello_decode(frame + 8, header.size, &h), LINK_OK);
    assert_int_equal(h.proof_size, LINK_PROOF_MAX);
    assert_memory_equal(h.instance, proof, LINK_INSTANCE_SIZE);
    free(frame);
    hello = (struct link_hello){.version_min = 1,
                                .version_max = 1,
                                .role = LINK_ROLE_CONTROL,
                                .proof_kind = LINK_PROOF_DESCRIPTOR};
    uint8_t small[LINK_FRAME_SMALL_MAX];
    assert_int_equal(link_hello_encode(small, &hello), 28);
    assert_int_equal(link_hello_decode(small + 8, 20, &h), LINK_OK);
    assert_int_equal(h.label_size, 0);
    assert_null(h.instance);
}

/* The feature says that it is there, and nothing else does. */
static void test_hello_with_an_instance(void **state)
{
    (void)state;
    uint8_t frame[LINK_FRAME_SMALL_MAX];
    struct link_hello h, hello = {.version_min = 1,
                                  .version_max = 1,
                                  .features = LINK_FEATURE_HANDLES,
                                  .role = LINK_ROLE_CONTROL,
                                  .label = "vm",
                                  .label_size = 2,
                                  .instance = key};
    size_t n = link_hello_encode(frame, &hello);
    assert_int_equal(n, 8 + 20 + 2 + LINK_INSTANCE_SIZE);
    assert_int_equal(link_hello_decode(frame + 8, n - 8, &h), LINK_OK);
    assert_int_equal(h.features, LINK_FEATURE_HANDLES | LINK_FEATURE_INSTANCE);
    assert_memory_equal(h.label, "vm", 2);
    assert_memory_equal(h.instance, key, LINK_INSTANCE_SIZE);
    assert_int_equal(link_hello_decode(frame + 8, n - 9, &h), LINK_E_SIZE);
    frame[16] &= (uint8_t)~LINK_FEATURE_INSTANCE; /* a byte of the features */
    assert_int_equal(link_hello_decode(frame + 8, n - 8, &h), LINK_E_SIZE);
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
        cmocka_unit_test(test_hello_with_an_instance),
        cmocka_unit_test(test_welcome_fields),
        cmocka_unit_test(test_error_fields_and_text),
        cmocka_unit_test(test_numbers_read_back),
        cmocka_unit_test(test_stream_data_head),
        cmocka_unit_test(test_gpu_frames_read_back),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
