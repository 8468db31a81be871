/* SPDX-License-Identifier: MIT */
#include "protocol/frames.h"

#include <assert.h>

#include "protocol/bytes.h"

/* Payload bounds and name of each frame type. */
static const struct {
    const char *name;
    uint32_t min, max;
} types[_LINK_TYPE_N] = {
    [LINK_HELLO] = {"HELLO", 20, 20 + LINK_PROOF_MAX + LINK_LABEL_MAX},
    [LINK_WELCOME] = {"WELCOME", 44, 44 + LINK_LABEL_MAX},
    [LINK_ERROR] = {"ERROR", 12, 12 + LINK_TEXT_MAX},
    [LINK_PING] = {"PING", 8, 8},
    [LINK_PONG] = {"PONG", 8 + 8 * _LINK_CLOCK_N, 8 + 8 * _LINK_CLOCK_N},
    [LINK_WAYLAND] = {"WAYLAND", 8, LINK_WAYLAND_MAX},
    [LINK_END] = {"END", 0, 0},
    [LINK_VFD] = {"VFD", 16, 16},
    [LINK_VFD_CLOSE] = {"VFD_CLOSE", 4, 4},
    [LINK_MEM_WRITE] = {"MEM_WRITE", LINK_MEM_WRITE_SIZE + 1, UINT32_MAX},
    [LINK_MEM_SIZE] = {"MEM_SIZE", 16, 16},
    [LINK_MEM_PUNCH] = {"MEM_PUNCH", 24, 24},
    [LINK_STREAM_DATA] = {"STREAM_DATA", LINK_STREAM_DATA_SIZE + 1,
                          LINK_STREAM_DATA_SIZE + LINK_STREAM_MAX},
    [LINK_STREAM_CREDIT] = {"STREAM_CREDIT", 8, 8},
    [LINK_STREAM_END] = {"STREAM_END", 4, 4},
    [LINK_PROBE] = {"PROBE", LINK_NONCE_SIZE, LINK_NONCE_SIZE},
    [LINK_PROBED] = {"PROBED", 8, 8},
    [LINK_BOUND] = {"BOUND", 4, 4 + LINK_TEXT_MAX},
    [LINK_IMPORT] = {"IMPORT", 16, 16},
    [LINK_IMPORT_RELEASE] = {"IMPORT_RELEASE", 4, 4},
    [LINK_IMPORT_RELEASED] = {"IMPORT_RELEASED", 4, 4},
    [LINK_MEM_COPY] = {"MEM_COPY", 40, 40},
    [LINK_MEM_IMPORT] = {"MEM_IMPORT", 16, 16},
};

const char *link_type_name(unsigned type)
{
    return type < _LINK_TYPE_N && types[type].name ? types[type].name : "unknown";
}

const char *link_decode_error_name(int error)
{
    static const char *const names[] = {"ok", "unknown frame type", "wrong size",
                                        "reserved field is not zero", "field out of range"};
    return error >= 0 && error < (int)(sizeof(names) / sizeof(*names)) ? names[error]
                                                                       : "unknown error";
}

int link_header_decode(const uint8_t bytes[LINK_HEADER_SIZE], struct link_header *ret)
{
    struct bytes_reader r = bytes_reader(bytes, LINK_HEADER_SIZE);
    struct link_header h = {.size = bytes_get32(&r), .type = bytes_get16(&r)};
    if (bytes_get16(&r))
        return LINK_E_RESERVED;
    if (h.type >= _LINK_TYPE_N || !types[h.type].name)
        return LINK_E_TYPE;
    if (h.size < types[h.type].min || h.size > types[h.type].max)
        return LINK_E_SIZE;
    *ret = h;
    return LINK_OK;
}

/* Text that goes to logs and to other programs: printable ASCII only. */
static bool printable(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    return true;
}

int link_hello_decode(const void *payload, size_t size, struct link_hello *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    uint32_t magic = bytes_get32(&r);
    struct link_hello h = {0};
    h.version_min = bytes_get16(&r);
    h.version_max = bytes_get16(&r);
    h.features = bytes_get32(&r);
    h.role = bytes_get16(&r);
    h.proof_kind = bytes_get16(&r);
    h.proof_size = bytes_get16(&r);
    h.label_size = bytes_get16(&r);
    if (r.failed)
        return LINK_E_SIZE;
    if (magic != LINK_MAGIC || h.version_min > h.version_max || h.version_min == 0 ||
        (h.role != LINK_ROLE_CONTROL && h.role != LINK_ROLE_CLIENT) ||
        h.proof_kind >= _LINK_PROOF_N || h.proof_size > LINK_PROOF_MAX ||
        h.label_size > LINK_LABEL_MAX)
        return LINK_E_VALUE;
    bool has_proof = h.proof_kind == LINK_PROOF_TOKEN || h.proof_kind == LINK_PROOF_KEY;
    if (has_proof != (h.proof_size > 0) ||
        (h.proof_kind == LINK_PROOF_KEY && h.proof_size != LINK_KEY_SIZE))
        return LINK_E_VALUE;
    h.proof = bytes_take(&r, h.proof_size);
    h.label = (const char *)bytes_take(&r, h.label_size);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (!printable(h.label, h.label_size))
        return LINK_E_VALUE;
    *ret = h;
    return LINK_OK;
}

size_t link_header_encode(uint8_t *buffer, enum link_type type, size_t payload_size)
{
    assert(payload_size >= types[type].min && payload_size <= types[type].max);
    struct bytes_writer w = bytes_writer(buffer, LINK_HEADER_SIZE);
    bytes_put(&w, payload_size, 4);
    bytes_put(&w, type, 2);
    bytes_put(&w, 0, 2);
    return LINK_HEADER_SIZE;
}

size_t link_hello_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], const struct link_hello *h)
{
    size_t size = 20u + h->proof_size + h->label_size;
    link_header_encode(buffer, LINK_HELLO, size);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, size);
    bytes_put(&w, LINK_MAGIC, 4);
    bytes_put(&w, h->version_min, 2);
    bytes_put(&w, h->version_max, 2);
    bytes_put(&w, h->features, 4);
    bytes_put(&w, h->role, 2);
    bytes_put(&w, h->proof_kind, 2);
    bytes_put(&w, h->proof_size, 2);
    bytes_put(&w, h->label_size, 2);
    bytes_put_data(&w, h->proof, h->proof_size);
    bytes_put_data(&w, h->label, h->label_size);
    assert(!w.failed);
    return LINK_HEADER_SIZE + size;
}

int link_welcome_decode(const void *payload, size_t size, struct link_welcome *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct link_welcome h = {.version = bytes_get16(&r)};
    uint16_t zero = bytes_get16(&r);
    h.features = bytes_get32(&r);
    const uint8_t *key = bytes_take(&r, LINK_KEY_SIZE);
    h.name_size = bytes_get16(&r);
    zero |= bytes_get16(&r);
    h.name = (const char *)bytes_take(&r, h.name_size);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (zero)
        return LINK_E_RESERVED;
    if (h.version == 0 || h.name_size > LINK_LABEL_MAX || !printable(h.name, h.name_size))
        return LINK_E_VALUE;
    memcpy(h.key, key, LINK_KEY_SIZE);
    *ret = h;
    return LINK_OK;
}

size_t link_welcome_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], const struct link_welcome *h)
{
    size_t size = 44u + h->name_size;
    link_header_encode(buffer, LINK_WELCOME, size);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, size);
    bytes_put(&w, h->version, 2);
    bytes_put(&w, 0, 2);
    bytes_put(&w, h->features, 4);
    bytes_put_data(&w, h->key, LINK_KEY_SIZE);
    bytes_put(&w, h->name_size, 2);
    bytes_put(&w, 0, 2);
    bytes_put_data(&w, h->name, h->name_size);
    assert(!w.failed);
    return LINK_HEADER_SIZE + size;
}

int link_error_decode(const void *payload, size_t size, struct link_error_frame *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct link_error_frame h = {0};
    h.code = bytes_get16(&r);
    h.text_size = bytes_get16(&r);
    h.object = bytes_get32(&r);
    h.wl_code = bytes_get32(&r);
    h.text = (const char *)bytes_take(&r, h.text_size);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (h.code == 0 || h.code >= _LINK_ERROR_N || h.text_size > LINK_TEXT_MAX ||
        !printable(h.text, h.text_size))
        return LINK_E_VALUE;
    *ret = h;
    return LINK_OK;
}

size_t link_error_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], enum link_error code,
                         uint32_t object, uint32_t wl_code, const char *text)
{
    size_t n = strnlen(text, LINK_TEXT_MAX);
    if (n > LINK_FRAME_SMALL_MAX - LINK_HEADER_SIZE - 12)
        n = LINK_FRAME_SMALL_MAX - LINK_HEADER_SIZE - 12;
    link_header_encode(buffer, LINK_ERROR, 12 + n);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 12 + n);
    bytes_put(&w, code, 2);
    bytes_put(&w, n, 2);
    bytes_put(&w, object, 4);
    bytes_put(&w, wl_code, 4);
    for (size_t i = 0; i < n; i++)
        bytes_put(&w, text[i] < 0x20 || text[i] > 0x7e ? '?' : (uint8_t)text[i], 1);
    assert(!w.failed);
    return LINK_HEADER_SIZE + 12 + n;
}

int link_ping_decode(const void *payload, size_t size, uint64_t *ret_serial)
{
    struct bytes_reader r = bytes_reader(payload, size);
    uint64_t serial = bytes_get64(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    *ret_serial = serial;
    return LINK_OK;
}

size_t link_ping_encode(uint8_t *buffer, uint64_t serial)
{
    link_header_encode(buffer, LINK_PING, 8);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 8);
    bytes_put(&w, serial, 8);
    return LINK_HEADER_SIZE + 8;
}

int link_pong_decode(const void *payload, size_t size, struct link_pong *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct link_pong pong = {.serial = bytes_get64(&r)};
    for (int i = 0; i < _LINK_CLOCK_N; i++)
        pong.ns[i] = (int64_t)bytes_get64(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    *ret = pong;
    return LINK_OK;
}

size_t link_pong_encode(uint8_t *buffer, const struct link_pong *pong)
{
    size_t size = 8 + 8 * _LINK_CLOCK_N;
    link_header_encode(buffer, LINK_PONG, size);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, size);
    bytes_put(&w, pong->serial, 8);
    for (int i = 0; i < _LINK_CLOCK_N; i++)
        bytes_put(&w, (uint64_t)pong->ns[i], 8);
    return LINK_HEADER_SIZE + size;
}

int link_vfd_decode(const void *payload, size_t size, struct link_vfd *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct link_vfd vfd = {0};
    vfd.id = bytes_get32(&r);
    vfd.kind = bytes_get16(&r);
    vfd.flags = bytes_get16(&r);
    vfd.size = bytes_get64(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    switch (vfd.kind) {
    case LINK_VFD_MEMORY:
        if (vfd.flags || vfd.size == 0 || vfd.size > LINK_MEMORY_MAX)
            return LINK_E_VALUE;
        break;
    case LINK_VFD_FILE:
        if (vfd.flags || vfd.size > LINK_FILE_MAX)
            return LINK_E_VALUE;
        break;
    case LINK_VFD_STREAM:
        if (vfd.size || (vfd.flags != LINK_VFD_SINK && vfd.flags != LINK_VFD_SOURCE))
            return LINK_E_VALUE;
        break;
    default:
        return LINK_E_VALUE;
    }
    *ret = vfd;
    return LINK_OK;
}

size_t link_vfd_encode(uint8_t *buffer, const struct link_vfd *vfd)
{
    link_header_encode(buffer, LINK_VFD, 16);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 16);
    bytes_put(&w, vfd->id, 4);
    bytes_put(&w, vfd->kind, 2);
    bytes_put(&w, vfd->flags, 2);
    bytes_put(&w, vfd->size, 8);
    return LINK_HEADER_SIZE + 16;
}

int link_mem_write_decode(const void *payload, size_t size, struct link_mem_write *ret)
{
    if (size < LINK_MEM_WRITE_SIZE)
        return LINK_E_SIZE;
    struct bytes_reader r = bytes_reader(payload, LINK_MEM_WRITE_SIZE);
    struct link_mem_write w = {0};
    w.id = bytes_get32(&r);
    w.row = bytes_get32(&r);
    w.rows = bytes_get32(&r);
    w.stride = bytes_get32(&r);
    w.offset = bytes_get64(&r);
    if (w.row == 0 || w.rows == 0 || w.stride < w.row || w.offset > LINK_MEMORY_MAX)
        return LINK_E_VALUE;
    if (size - LINK_MEM_WRITE_SIZE != (uint64_t)w.row * w.rows)
        return LINK_E_SIZE;
    *ret = w;
    return LINK_OK;
}

size_t link_mem_write_encode(uint8_t *buffer, const struct link_mem_write *write)
{
    uint64_t data = (uint64_t)write->row * write->rows;
    assert(data <= UINT32_MAX - LINK_MEM_WRITE_SIZE);
    link_header_encode(buffer, LINK_MEM_WRITE, LINK_MEM_WRITE_SIZE + data);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, LINK_MEM_WRITE_SIZE);
    bytes_put(&w, write->id, 4);
    bytes_put(&w, write->row, 4);
    bytes_put(&w, write->rows, 4);
    bytes_put(&w, write->stride, 4);
    bytes_put(&w, write->offset, 8);
    return LINK_HEADER_SIZE + LINK_MEM_WRITE_SIZE;
}

int link_mem_size_decode(const void *payload, size_t size, struct link_mem_size *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct link_mem_size s = {.id = bytes_get32(&r)};
    uint32_t zero = bytes_get32(&r);
    s.size = bytes_get64(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (zero)
        return LINK_E_RESERVED;
    if (s.size == 0 || s.size > LINK_MEMORY_MAX)
        return LINK_E_VALUE;
    *ret = s;
    return LINK_OK;
}

size_t link_mem_size_encode(uint8_t *buffer, const struct link_mem_size *size)
{
    link_header_encode(buffer, LINK_MEM_SIZE, 16);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 16);
    bytes_put(&w, size->id, 8); /* and the reserved word */
    bytes_put(&w, size->size, 8);
    return LINK_HEADER_SIZE + 16;
}

int link_mem_punch_decode(const void *payload, size_t size, struct link_mem_punch *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct link_mem_punch p = {.id = bytes_get32(&r)};
    uint32_t zero = bytes_get32(&r);
    p.offset = bytes_get64(&r);
    p.length = bytes_get64(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (zero)
        return LINK_E_RESERVED;
    if (p.length == 0 || p.length > LINK_MEMORY_MAX || p.offset > LINK_MEMORY_MAX)
        return LINK_E_VALUE;
    *ret = p;
    return LINK_OK;
}

size_t link_mem_punch_encode(uint8_t *buffer, const struct link_mem_punch *punch)
{
    link_header_encode(buffer, LINK_MEM_PUNCH, 24);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 24);
    bytes_put(&w, punch->id, 8); /* and the reserved word */
    bytes_put(&w, punch->offset, 8);
    bytes_put(&w, punch->length, 8);
    return LINK_HEADER_SIZE + 24;
}

int link_id_decode(const void *payload, size_t size, uint32_t *ret_id)
{
    struct bytes_reader r = bytes_reader(payload, size);
    uint32_t id = bytes_get32(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    *ret_id = id;
    return LINK_OK;
}

size_t link_id_encode(uint8_t *buffer, enum link_type type, uint32_t id)
{
    link_header_encode(buffer, type, 4);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 4);
    bytes_put(&w, id, 4);
    return LINK_HEADER_SIZE + 4;
}

size_t link_stream_data_encode(uint8_t *buffer, uint32_t id, size_t data_size)
{
    link_header_encode(buffer, LINK_STREAM_DATA, LINK_STREAM_DATA_SIZE + data_size);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, LINK_STREAM_DATA_SIZE);
    bytes_put(&w, id, 4);
    return LINK_HEADER_SIZE + LINK_STREAM_DATA_SIZE;
}

int link_stream_credit_decode(const void *payload, size_t size, struct link_stream_credit *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct link_stream_credit c = {.id = bytes_get32(&r)};
    c.bytes = bytes_get32(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (c.bytes == 0)
        return LINK_E_VALUE;
    *ret = c;
    return LINK_OK;
}

size_t link_stream_credit_encode(uint8_t *buffer, uint32_t id, uint32_t bytes)
{
    link_header_encode(buffer, LINK_STREAM_CREDIT, 8);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 8);
    bytes_put(&w, id, 4);
    bytes_put(&w, bytes, 4);
    return LINK_HEADER_SIZE + 8;
}

int link_probe_decode(const void *payload, size_t size, uint8_t ret_nonce[LINK_NONCE_SIZE])
{
    if (size != LINK_NONCE_SIZE)
        return LINK_E_SIZE;
    memcpy(ret_nonce, payload, LINK_NONCE_SIZE);
    return LINK_OK;
}

size_t link_probe_encode(uint8_t *buffer, const uint8_t nonce[LINK_NONCE_SIZE])
{
    link_header_encode(buffer, LINK_PROBE, LINK_NONCE_SIZE);
    memcpy(buffer + LINK_HEADER_SIZE, nonce, LINK_NONCE_SIZE);
    return LINK_HEADER_SIZE + LINK_NONCE_SIZE;
}

int link_probed_decode(const void *payload, size_t size, uint32_t *ret_resource)
{
    struct bytes_reader r = bytes_reader(payload, size);
    uint32_t resource = bytes_get32(&r), zero = bytes_get32(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (zero)
        return LINK_E_RESERVED;
    *ret_resource = resource;
    return LINK_OK;
}

size_t link_probed_encode(uint8_t *buffer, uint32_t resource)
{
    link_header_encode(buffer, LINK_PROBED, 8);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 8);
    bytes_put(&w, resource, 8); /* and the reserved word */
    return LINK_HEADER_SIZE + 8;
}

int link_bound_decode(const void *payload, size_t size, struct link_bound *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    uint16_t bound = bytes_get16(&r);
    struct link_bound b = {.bound = bound == 1, .text_size = bytes_get16(&r)};
    b.text = (const char *)bytes_take(&r, b.text_size);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (bound > 1 || b.text_size > LINK_TEXT_MAX || !printable(b.text, b.text_size))
        return LINK_E_VALUE;
    *ret = b;
    return LINK_OK;
}

size_t link_bound_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], bool bound, const char *text)
{
    size_t n = strnlen(text, LINK_TEXT_MAX);
    link_header_encode(buffer, LINK_BOUND, 4 + n);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 4 + n);
    bytes_put(&w, bound, 2);
    bytes_put(&w, n, 2);
    for (size_t i = 0; i < n; i++)
        bytes_put(&w, text[i] < 0x20 || text[i] > 0x7e ? '?' : (uint8_t)text[i], 1);
    assert(!w.failed);
    return LINK_HEADER_SIZE + 4 + n;
}

int link_import_decode(const void *payload, size_t size, struct link_import *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct link_import import = {.id = bytes_get32(&r)};
    import.resource = bytes_get32(&r);
    import.size = bytes_get64(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (import.id == 0 || import.resource == 0 || import.size == 0 || import.size > LINK_MEMORY_MAX)
        return LINK_E_VALUE;
    *ret = import;
    return LINK_OK;
}

size_t link_import_encode(uint8_t *buffer, const struct link_import *import)
{
    link_header_encode(buffer, LINK_IMPORT, 16);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 16);
    bytes_put(&w, import->id, 4);
    bytes_put(&w, import->resource, 4);
    bytes_put(&w, import->size, 8);
    return LINK_HEADER_SIZE + 16;
}

int link_mem_copy_decode(const void *payload, size_t size, struct link_mem_copy *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct link_mem_copy c = {0};
    c.to.id = bytes_get32(&r);
    c.to.row = bytes_get32(&r);
    c.to.rows = bytes_get32(&r);
    c.to.stride = bytes_get32(&r);
    c.to.offset = bytes_get64(&r);
    c.import = bytes_get32(&r);
    c.source_stride = bytes_get32(&r);
    c.source_offset = bytes_get64(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (c.to.row == 0 || c.to.rows == 0 || c.to.stride < c.to.row ||
        c.to.offset > LINK_MEMORY_MAX || c.import == 0 || c.source_stride < c.to.row ||
        c.source_offset > LINK_MEMORY_MAX)
        return LINK_E_VALUE;
    *ret = c;
    return LINK_OK;
}

size_t link_mem_copy_encode(uint8_t *buffer, const struct link_mem_copy *copy)
{
    link_header_encode(buffer, LINK_MEM_COPY, 40);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 40);
    bytes_put(&w, copy->to.id, 4);
    bytes_put(&w, copy->to.row, 4);
    bytes_put(&w, copy->to.rows, 4);
    bytes_put(&w, copy->to.stride, 4);
    bytes_put(&w, copy->to.offset, 8);
    bytes_put(&w, copy->import, 4);
    bytes_put(&w, copy->source_stride, 4);
    bytes_put(&w, copy->source_offset, 8);
    return LINK_HEADER_SIZE + 40;
}

int link_mem_import_decode(const void *payload, size_t size, struct link_mem_import *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct link_mem_import m = {.id = bytes_get32(&r)};
    m.import = bytes_get32(&r);
    m.size = bytes_get64(&r);
    if (!bytes_done(&r))
        return LINK_E_SIZE;
    if (m.import == 0 || m.size == 0 || m.size > LINK_MEMORY_MAX)
        return LINK_E_VALUE;
    *ret = m;
    return LINK_OK;
}

size_t link_mem_import_encode(uint8_t *buffer, const struct link_mem_import *import)
{
    link_header_encode(buffer, LINK_MEM_IMPORT, 16);
    struct bytes_writer w = bytes_writer(buffer + LINK_HEADER_SIZE, 16);
    bytes_put(&w, import->id, 4);
    bytes_put(&w, import->import, 4);
    bytes_put(&w, import->size, 8);
    return LINK_HEADER_SIZE + 16;
}
