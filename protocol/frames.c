/* SPDX-License-Identifier: MIT */
/* Each frame is described once, in the table @frames; what is written, read and refused follows
 * from it. A text or a proof comes after the fields, of which one says how long it is. */
#include "protocol/frames.h"

#include <assert.h>

#include "protocol/fields.h"

static_assert(LINK_OK == (int)FRAME_OK && LINK_E_TYPE == (int)FRAME_E_TYPE &&
                  LINK_E_SIZE == (int)FRAME_E_SIZE && LINK_E_RESERVED == (int)FRAME_E_RESERVED &&
                  LINK_E_VALUE == (int)FRAME_E_VALUE,
              "the same results");

/* A BOUND as it is on the wire. */
struct bound {
    uint16_t bound, text_size;
};

/* Any frame's struct. */
union value {
    struct link_hello hello;
    struct link_welcome welcome;
    struct link_error_frame error;
    struct link_pong pong;
    struct link_vfd vfd;
    struct link_mem_write write;
    struct link_mem_size size;
    struct link_mem_punch punch;
    struct link_stream_credit credit;
    struct bound bound;
    struct link_import import;
    struct link_mem_copy copy;
    struct link_mem_import mem_import;
    struct link_open open;
    struct link_opened opened;
    struct link_incoming incoming;
    struct link_rejected rejected;
    struct link_display display;
    struct link_vfd_form form;
    struct link_data data;
    struct link_vfd_ref ref;
    struct link_vfd_idle idle;
    struct link_vfd_gone gone;
    struct link_event event;
    struct link_sharing sharing;
    struct link_imported imported;
    struct link_mem_role_frame role;
    struct link_cycle cycle;
    uint64_t serial;
    uint32_t id;
    uint8_t nonce[LINK_NONCE_SIZE];
};

static const struct field header_fields[] = {
    FIELD(struct link_header, size),
    FIELD(struct link_header, type),
    FIELD_ZERO(2),
};

static bool hello_rule(const void *value)
{
    const struct link_hello *h = value;
    bool has_proof = h->proof_kind == LINK_PROOF_TOKEN || h->proof_kind == LINK_PROOF_KEY;
    return h->version_min <= h->version_max && has_proof == (h->proof_size > 0) &&
           (h->proof_kind != LINK_PROOF_KEY || h->proof_size == LINK_KEY_SIZE);
}

static bool event_flags_are_valid(uint16_t flags)
{
    unsigned way = flags & (LINK_VFD_SINK | LINK_VFD_SOURCE);
    return (way == LINK_VFD_SINK || way == LINK_VFD_SOURCE) &&
           flags <= (LINK_VFD_SINK | LINK_VFD_SOURCE | LINK_VFD_SEMAPHORE | LINK_VFD_NONBLOCK);
}

static bool vfd_rule(const void *value)
{
    const struct link_vfd *v = value;
    switch (v->kind) {
    case LINK_VFD_MEMORY:
        return !v->flags && v->size > 0 && v->size <= LINK_MEMORY_MAX;
    case LINK_VFD_FILE:
        return !v->flags && v->size <= LINK_FILE_MAX;
    case LINK_VFD_STREAM:
        return v->size == 0 && (v->flags == LINK_VFD_SINK || v->flags == LINK_VFD_SOURCE);
    case LINK_VFD_SOCKET:
        return v->size != 0 && v->flags < _LINK_SOCKET_TYPE_N;
    case LINK_VFD_MIRROR:
        return v->size != 0 && v->size <= LINK_MIRROR_MAX && v->flags <= LINK_VFD_WRITABLE;
    case LINK_VFD_EVENT:
        return event_flags_are_valid(v->flags) && (v->flags & LINK_VFD_SOURCE || !v->size) &&
               v->size != UINT64_MAX;
    case LINK_VFD_SYNC:
        return !v->flags && !v->size;
    case LINK_VFD_SHARED:
        return !v->flags && v->size != 0 && v->size <= UINT32_MAX;
    default:
        return false;
    }
}

static bool open_rule(const void *value)
{
    const struct link_open *o = value;
    return o->how == LINK_OPEN_CONNECT ? o->name_size && !o->ticket : !o->name_size && o->ticket;
}

static bool mem_role_rule(const void *value)
{
    const struct link_mem_role_frame *r = value;
    bool of_node = r->role == LINK_ROLE_NODE || r->role == LINK_ROLE_PEER;
    return of_node ? r->event && r->node : !r->event && !r->node;
}

static bool mem_write_rule(const void *value)
{
    const struct link_mem_write *w = value;
    return w->stride >= w->row;
}

static bool mem_copy_rule(const void *value)
{
    const struct link_mem_copy *c = value;
    return c->to.stride >= c->to.row && c->source_stride >= c->to.row;
}

/* clang-format off */
/* Where rows of bytes go to. @member: "" or ends with a dot. */
#define FIELDS_OF_ROWS(type, member)                                                               \
    FIELD(type, member id), FIELD_IN(type, member row, 1, UINT32_MAX),                             \
        FIELD_IN(type, member rows, 1, UINT32_MAX), FIELD(type, member stride),                    \
        FIELD_IN(type, member offset, 0, LINK_MEMORY_MAX)
#define FRAME_ID(name) FRAME(name, 4, uint32_t, NULL, FIELD(union value, id))

static_assert(_LINK_CLOCK_N == 4, "PONG has all clocks");
static const struct frame frames[_LINK_TYPE_N] = {
    [LINK_HELLO] = FRAME_DATA("HELLO", 20, 0, LINK_PROOF_MAX + LINK_LABEL_MAX + LINK_INSTANCE_SIZE, struct link_hello,
        hello_rule,
        FIELD_FIXED(4, LINK_MAGIC),
        FIELD_IN(struct link_hello, version_min, 1, UINT16_MAX),
        FIELD(struct link_hello, version_max),
        FIELD(struct link_hello, features),
        FIELD_IN(struct link_hello, role, LINK_ROLE_CONTROL, LINK_ROLE_SERVICE),
        FIELD_IN(struct link_hello, proof_kind, 0, _LINK_PROOF_N - 1),
        FIELD_IN(struct link_hello, proof_size, 0, LINK_PROOF_MAX),
        FIELD_IN(struct link_hello, label_size, 0, LINK_LABEL_MAX)),
    [LINK_WELCOME] = FRAME_DATA("WELCOME", 44, 0, LINK_LABEL_MAX, struct link_welcome, NULL,
        FIELD_IN(struct link_welcome, version, 1, UINT16_MAX),
        FIELD_ZERO(2),
        FIELD(struct link_welcome, features),
        FIELD(struct link_welcome, key),
        FIELD_IN(struct link_welcome, name_size, 0, LINK_LABEL_MAX),
        FIELD_ZERO(2)),
    [LINK_ERROR] = FRAME_DATA("ERROR", 12, 0, LINK_TEXT_MAX, struct link_error_frame, NULL,
        FIELD_IN(struct link_error_frame, code, 1, _LINK_ERROR_N - 1),
        FIELD_IN(struct link_error_frame, text_size, 0, LINK_TEXT_MAX),
        FIELD(struct link_error_frame, object),
        FIELD(struct link_error_frame, wl_code)),
    [LINK_PING] = FRAME("PING", 8, uint64_t, NULL,
        FIELD(union value, serial)),
    [LINK_PONG] = FRAME("PONG", 40, struct link_pong, NULL,
        FIELD(struct link_pong, serial),
        FIELD_X4(struct link_pong, ns)),
    [LINK_WAYLAND] = {.name = "WAYLAND", .min = 8, .max = LINK_WAYLAND_MAX},
    [LINK_END] = {.name = "END"},
    [LINK_VFD] = FRAME("VFD", 16, struct link_vfd, vfd_rule,
        FIELD(struct link_vfd, id),
        FIELD(struct link_vfd, kind),
        FIELD(struct link_vfd, flags),
        FIELD(struct link_vfd, size)),
    [LINK_VFD_CLOSE] = FRAME_ID("VFD_CLOSE"),
    [LINK_MEM_WRITE] = FRAME_DATA("MEM_WRITE", LINK_MEM_WRITE_SIZE, 1,
        UINT32_MAX - LINK_MEM_WRITE_SIZE, struct link_mem_write, mem_write_rule,
        FIELDS_OF_ROWS(struct link_mem_write, )),
    [LINK_MEM_SIZE] = FRAME("MEM_SIZE", 16, struct link_mem_size, NULL,
        FIELD(struct link_mem_size, id),
        FIELD_ZERO(4),
        FIELD_IN(struct link_mem_size, size, 1, LINK_MEMORY_MAX)),
    [LINK_MEM_PUNCH] = FRAME("MEM_PUNCH", 24, struct link_mem_punch, NULL,
        FIELD(struct link_mem_punch, id),
        FIELD_ZERO(4),
        FIELD_IN(struct link_mem_punch, offset, 0, LINK_MEMORY_MAX),
        FIELD_IN(struct link_mem_punch, length, 1, LINK_MEMORY_MAX)),
    [LINK_STREAM_DATA] = FRAME_DATA("STREAM_DATA", LINK_STREAM_DATA_SIZE, 1, LINK_STREAM_MAX,
        uint32_t, NULL,
        FIELD(union value, id)),
    [LINK_STREAM_CREDIT] = FRAME("STREAM_CREDIT", 8, struct link_stream_credit, NULL,
        FIELD(struct link_stream_credit, id),
        FIELD_IN(struct link_stream_credit, bytes, 1, UINT32_MAX)),
    [LINK_STREAM_END] = FRAME_ID("STREAM_END"),
    [LINK_PROBE] = FRAME("PROBE", LINK_NONCE_SIZE, uint8_t[LINK_NONCE_SIZE], NULL,
        FIELD(union value, nonce)),
    [LINK_PROBED] = FRAME("PROBED", 8, uint32_t, NULL,
        FIELD(union value, id),
        FIELD_ZERO(4)),
    [LINK_BOUND] = FRAME_DATA("BOUND", 4, 0, LINK_TEXT_MAX, struct bound, NULL,
        FIELD_IN(struct bound, bound, 0, 1),
        FIELD_IN(struct bound, text_size, 0, LINK_TEXT_MAX)),
    [LINK_IMPORT] = FRAME("IMPORT", 16, struct link_import, NULL,
        FIELD_IN(struct link_import, id, 1, UINT32_MAX),
        FIELD_IN(struct link_import, resource, 1, UINT32_MAX),
        FIELD_IN(struct link_import, size, 1, LINK_MEMORY_MAX)),
    [LINK_IMPORT_RELEASE] = FRAME_ID("IMPORT_RELEASE"),
    [LINK_IMPORT_RELEASED] = FRAME_ID("IMPORT_RELEASED"),
    [LINK_MEM_COPY] = FRAME("MEM_COPY", 40, struct link_mem_copy, mem_copy_rule,
        FIELDS_OF_ROWS(struct link_mem_copy, to.),
        FIELD_IN(struct link_mem_copy, import, 1, UINT32_MAX),
        FIELD(struct link_mem_copy, source_stride),
        FIELD_IN(struct link_mem_copy, source_offset, 0, LINK_MEMORY_MAX)),
    [LINK_MEM_IMPORT] = FRAME("MEM_IMPORT", 16, struct link_mem_import, NULL,
        FIELD(struct link_mem_import, id),
        FIELD_IN(struct link_mem_import, import, 1, UINT32_MAX),
        FIELD_IN(struct link_mem_import, size, 1, LINK_MEMORY_MAX)),
    [LINK_OPEN] = FRAME_DATA("OPEN", 16, 0, LINK_NAME_MAX, struct link_open, open_rule,
        FIELD_IN(struct link_open, type, 0, _LINK_SOCKET_TYPE_N - 1),
        FIELD_IN(struct link_open, how, LINK_OPEN_CONNECT, _LINK_OPEN_N - 1),
        FIELD_IN(struct link_open, name_size, 0, LINK_NAME_MAX),
        FIELD_ZERO(2),
        FIELD(struct link_open, ticket)),
    [LINK_OPENED] = FRAME("OPENED", 16, struct link_opened, NULL,
        FIELD_IN(struct link_opened, files, 0, 1),
        FIELD_IN(struct link_opened, memory, 0, _LINK_MEMORY_N - 1),
        FIELD_IN(struct link_opened, eventfds, 0, _LINK_SIGNALS_N - 1),
        FIELD(struct link_opened, depth),
        FIELD_IN(struct link_opened, mirror, 0, LINK_MIRROR_MAX),
        FIELD(struct link_opened, mirrors)),
    [LINK_INCOMING] = FRAME_DATA("INCOMING", 12, 1, LINK_NAME_MAX, struct link_incoming, NULL,
        FIELD_IN(struct link_incoming, ticket, 1, UINT64_MAX),
        FIELD_IN(struct link_incoming, type, 0, _LINK_SOCKET_TYPE_N - 1),
        FIELD_IN(struct link_incoming, name_size, 1, LINK_NAME_MAX)),
    [LINK_REJECTED] = FRAME_DATA("REJECTED", 12, 0, LINK_TEXT_MAX, struct link_rejected, NULL,
        FIELD_IN(struct link_rejected, ticket, 1, UINT64_MAX),
        FIELD_IN(struct link_rejected, text_size, 0, LINK_TEXT_MAX),
        FIELD_ZERO(2)),
    [LINK_VFD_FORM] = FRAME("VFD_FORM", 16, struct link_vfd_form, NULL,
        FIELD_IN(struct link_vfd_form, id, 1, UINT32_MAX),
        FIELD_IN(struct link_vfd_form, seals, 0, LINK_SEALS_ALL),
        FIELD_IN(struct link_vfd_form, access, LINK_ACCESS_READ, LINK_ACCESS_BOTH),
        FIELD_IN(struct link_vfd_form, offset, 0, INT64_MAX)),
    [LINK_DATA] = FRAME_DATA("DATA", LINK_DATA_SIZE, 0, LINK_DATA_MAX, struct link_data, NULL,
        FIELD_IN(struct link_data, vfds, 0, LINK_DATA_VFDS_MAX),
        FIELD_IN(struct link_data, flags, 0, LINK_DATA_END)),
    [LINK_VFD_REF] = FRAME("VFD_REF", 16, struct link_vfd_ref, NULL,
        FIELD_IN(struct link_vfd_ref, id, 1, UINT32_MAX),
        FIELD_IN(struct link_vfd_ref, how, LINK_REF_AGAIN, _LINK_REF_N - 1),
        FIELD_IN(struct link_vfd_ref, access, 0, LINK_ACCESS_BOTH),
        FIELD(struct link_vfd_ref, ticket)),
    [LINK_VFD_IDLE] = FRAME("VFD_IDLE", 24, struct link_vfd_idle, NULL,
        FIELD_IN(struct link_vfd_idle, id, 1, UINT32_MAX),
        FIELD(struct link_vfd_idle, passes),
        FIELD(struct link_vfd_idle, homes),
        FIELD_ZERO(4),
        FIELD(struct link_vfd_idle, ticket)),
    [LINK_VFD_GONE] = FRAME("VFD_GONE", 16, struct link_vfd_gone, NULL,
        FIELD_IN(struct link_vfd_gone, id, 1, UINT32_MAX),
        FIELD_ZERO(4),
        FIELD(struct link_vfd_gone, ticket)),
    [LINK_MEM_DELTA] = FRAME_DATA("MEM_DELTA", LINK_DELTA_SIZE, 13, LINK_DELTA_MAX, uint32_t, NULL,
        FIELD(union value, id),
        FIELD_ZERO(4)),
    [LINK_EVENT] = FRAME("EVENT", 16, struct link_event, NULL,
        FIELD_IN(struct link_event, id, 1, UINT32_MAX),
        FIELD_ZERO(4),
        FIELD_IN(struct link_event, value, 1, UINT64_MAX - 1)),
    [LINK_DISPLAY] = FRAME_DATA("DISPLAY", 4, 1, LINK_DISPLAY_MAX, struct link_display, NULL,
        FIELD_IN(struct link_display, path_size, 1, LINK_DISPLAY_MAX),
        FIELD_ZERO(2)),
    [LINK_SHARING] = FRAME("SHARING", 8, struct link_sharing, NULL,
        FIELD_IN(struct link_sharing, dmabufs, 0, _LINK_DMABUFS_N - 1),
        FIELD_IN(struct link_sharing, memory, 0, 1),
        FIELD_IN(struct link_sharing, sync_files, 0, 1),
        FIELD_ZERO(2)),
    [LINK_IMPORTED] = FRAME("IMPORTED", 8, struct link_imported, NULL,
        FIELD_IN(struct link_imported, id, 1, UINT32_MAX),
        FIELD_IN(struct link_imported, how, 0, _LINK_IMPORTED_N - 1),
        FIELD_ZERO(2)),
    [LINK_MEM_ROLE] = FRAME("MEM_ROLE", 16, struct link_mem_role_frame, mem_role_rule,
        FIELD_IN(struct link_mem_role_frame, id, 1, UINT32_MAX),
        FIELD(struct link_mem_role_frame, event),
        FIELD(struct link_mem_role_frame, node),
        FIELD_IN(struct link_mem_role_frame, role, LINK_ROLE_SHOWN, _LINK_MEM_ROLE_N - 1),
        FIELD_ZERO(2)),
    [LINK_CYCLE] = FRAME("CYCLE", 8, struct link_cycle, NULL,
        FIELD_IN(struct link_cycle, node, 1, UINT32_MAX),
        FIELD_IN(struct link_cycle, state, LINK_CYCLE_DONE, _LINK_CYCLE_N - 1),
        FIELD_ZERO(2)),
};
/* clang-format on */

const char *link_type_name(unsigned type)
{
    return type < _LINK_TYPE_N && frames[type].name ? frames[type].name : "unknown";
}

const char *link_decode_error_name(int error)
{
    static const char *const names[] = {"ok", "unknown frame type", "wrong size",
                                        "reserved field is not zero", "field out of range"};
    return error >= 0 && error < (int)(sizeof(names) / sizeof(*names)) ? names[error]
                                                                       : "unknown error";
}

const char *link_error_name(enum link_error error)
{
    static const char *const names[_LINK_ERROR_N] = {
        [LINK_ERROR_PROTOCOL] = "protocol", [LINK_ERROR_VERSION] = "version",
        [LINK_ERROR_REFUSED] = "refused",   [LINK_ERROR_LIMIT] = "limit",
        [LINK_ERROR_WAYLAND] = "wayland",   [LINK_ERROR_COMPOSITOR] = "compositor",
        [LINK_ERROR_INTERNAL] = "internal", [LINK_ERROR_BUSY] = "busy",
    };
    return error < _LINK_ERROR_N && names[error] ? names[error] : "unknown";
}

int link_header_decode(const uint8_t bytes[LINK_HEADER_SIZE], struct link_header *ret)
{
    struct link_header h;
    if (fields_read(header_fields, 3, bytes, &h) != FRAME_OK)
        return LINK_E_RESERVED;
    if (h.type >= _LINK_TYPE_N || !frames[h.type].name)
        return LINK_E_TYPE;
    if (h.size < frames[h.type].min || h.size > frames[h.type].max)
        return LINK_E_SIZE;
    *ret = h;
    return LINK_OK;
}

size_t link_header_encode(uint8_t *buffer, enum link_type type, size_t payload_size)
{
    assert(payload_size >= frames[type].min && payload_size <= frames[type].max);
    struct link_header h = {.size = (uint32_t)payload_size, .type = (uint16_t)type};
    fields_write(header_fields, 3, &h, buffer);
    return LINK_HEADER_SIZE;
}

/* Header and fields; @data_size bytes are to follow. */
FIELD_INLINE size_t encode(uint8_t *buffer, enum link_type type, const void *value,
                           size_t data_size)
{
    const struct frame *f = &frames[type];
    link_header_encode(buffer, type, f->head + data_size);
    uint8_t *end = fields_write(f->fields, f->n, value, buffer + LINK_HEADER_SIZE);
    assert(end == buffer + LINK_HEADER_SIZE + f->head);
    return (size_t)(end - buffer);
}

FIELD_INLINE int decode(enum link_type type, const void *payload, size_t size, void *ret)
{
    union value v;
    return frame_decode(&frames[type], payload, size, &v, ret);
}

/* Text that goes to logs and to other programs: printable ASCII only. */
static bool printable(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            return false;
    return true;
}

/* What ends with a text: @text_size is in @value, too. */
FIELD_INLINE int decode_text(enum link_type type, const void *payload, size_t size, void *value,
                             const uint16_t *text_size, const char **ret_text)
{
    const struct frame *f = &frames[type];
    if (size < f->head)
        return LINK_E_SIZE;
    int e = frame_read(f, payload, value);
    if (size - f->head != *text_size)
        return LINK_E_SIZE;
    *ret_text = (const char *)payload + f->head;
    return e == LINK_OK && !printable(*ret_text, *text_size) ? LINK_E_VALUE : e;
}

static size_t put_text(uint8_t *at, const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        at[i] = printable(&text[i], 1) ? (uint8_t)text[i] : '?';
    return size;
}

static size_t put_bytes(uint8_t *at, const void *bytes, size_t size)
{
    if (size)
        memcpy(at, bytes, size);
    return size;
}

static size_t hello_data_size(const struct link_hello *h)
{
    return (size_t)h->proof_size + h->label_size +
           (h->features & LINK_FEATURE_INSTANCE ? LINK_INSTANCE_SIZE : 0);
}

int link_hello_decode(const void *payload, size_t size, struct link_hello *ret)
{
    const struct frame *f = &frames[LINK_HELLO];
    struct link_hello h = {0};
    if (size < f->head)
        return LINK_E_SIZE;
    int e = frame_read(f, payload, &h);
    if (e != LINK_OK)
        return e;
    if (size - f->head != hello_data_size(&h))
        return LINK_E_SIZE;
    h.proof = (const uint8_t *)payload + f->head;
    h.label = (const char *)h.proof + h.proof_size;
    if (!printable(h.label, h.label_size))
        return LINK_E_VALUE;
    if (h.features & LINK_FEATURE_INSTANCE)
        h.instance = (const uint8_t *)h.label + h.label_size;
    *ret = h;
    return LINK_OK;
}

size_t link_hello_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], const struct link_hello *hello)
{
    struct link_hello h = *hello;
    h.features &= ~(uint32_t)LINK_FEATURE_INSTANCE;
    h.features |= h.instance ? LINK_FEATURE_INSTANCE : 0;
    size_t n = encode(buffer, LINK_HELLO, &h, hello_data_size(&h));
    n += put_bytes(buffer + n, h.proof, h.proof_size);
    n += put_bytes(buffer + n, h.label, h.label_size);
    return n + (h.instance ? put_bytes(buffer + n, h.instance, LINK_INSTANCE_SIZE) : 0);
}

int link_welcome_decode(const void *payload, size_t size, struct link_welcome *ret)
{
    struct link_welcome w = {0};
    int e = decode_text(LINK_WELCOME, payload, size, &w, &w.name_size, &w.name);
    if (e == LINK_OK)
        *ret = w;
    return e;
}

size_t link_welcome_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], const struct link_welcome *welcome)
{
    size_t n = encode(buffer, LINK_WELCOME, welcome, welcome->name_size);
    return n + put_bytes(buffer + n, welcome->name, welcome->name_size);
}

int link_error_decode(const void *payload, size_t size, struct link_error_frame *ret)
{
    struct link_error_frame error = {0};
    int e = decode_text(LINK_ERROR, payload, size, &error, &error.text_size, &error.text);
    if (e == LINK_OK)
        *ret = error;
    return e;
}

size_t link_error_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], enum link_error code,
                         uint32_t object, uint32_t wl_code, const char *text)
{
    struct link_error_frame error = {.code = (uint16_t)code,
                                     .text_size = (uint16_t)strnlen(text, LINK_TEXT_MAX),
                                     .object = object,
                                     .wl_code = wl_code};
    size_t n = encode(buffer, LINK_ERROR, &error, error.text_size);
    return n + put_text(buffer + n, text, error.text_size);
}

int link_bound_decode(const void *payload, size_t size, struct link_bound *ret)
{
    struct bound b = {0};
    const char *text;
    int e = decode_text(LINK_BOUND, payload, size, &b, &b.text_size, &text);
    if (e == LINK_OK)
        *ret = (struct link_bound){.bound = b.bound, .text_size = b.text_size, .text = text};
    return e;
}

size_t link_bound_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], bool bound, const char *text)
{
    struct bound b = {bound, (uint16_t)strnlen(text, LINK_TEXT_MAX)};
    size_t n = encode(buffer, LINK_BOUND, &b, b.text_size);
    return n + put_text(buffer + n, text, b.text_size);
}
static_assert(LINK_FRAME_SMALL_MAX >= LINK_HEADER_SIZE + 12 + LINK_TEXT_MAX, "any text fits");

/* What a service may be called: it stands in logs and configurations. */
static bool is_name(const char *text, size_t size)
{
    static const char marks[] = "._-";
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && !memchr(marks, c, sizeof(marks) - 1))
            return false;
    }
    return true;
}

int link_open_decode(const void *payload, size_t size, struct link_open *ret)
{
    struct link_open o = {0};
    int e = decode_text(LINK_OPEN, payload, size, &o, &o.name_size, &o.name);
    if (e == LINK_OK && !is_name(o.name, o.name_size))
        e = LINK_E_VALUE;
    if (e == LINK_OK)
        *ret = o;
    return e;
}

size_t link_open_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], const struct link_open *open)
{
    size_t n = encode(buffer, LINK_OPEN, open, open->name_size);
    return n + put_bytes(buffer + n, open->name, open->name_size);
}

int link_incoming_decode(const void *payload, size_t size, struct link_incoming *ret)
{
    struct link_incoming i = {0};
    int e = decode_text(LINK_INCOMING, payload, size, &i, &i.name_size, &i.name);
    if (e == LINK_OK && !is_name(i.name, i.name_size))
        e = LINK_E_VALUE;
    if (e == LINK_OK)
        *ret = i;
    return e;
}

size_t link_incoming_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX],
                            const struct link_incoming *incoming)
{
    size_t n = encode(buffer, LINK_INCOMING, incoming, incoming->name_size);
    return n + put_bytes(buffer + n, incoming->name, incoming->name_size);
}

int link_rejected_decode(const void *payload, size_t size, struct link_rejected *ret)
{
    struct link_rejected r = {0};
    int e = decode_text(LINK_REJECTED, payload, size, &r, &r.text_size, &r.text);
    if (e == LINK_OK)
        *ret = r;
    return e;
}

size_t link_rejected_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], uint64_t ticket, const char *text)
{
    struct link_rejected r = {.ticket = ticket,
                              .text_size = (uint16_t)strnlen(text, LINK_TEXT_MAX)};
    size_t n = encode(buffer, LINK_REJECTED, &r, r.text_size);
    return n + put_text(buffer + n, text, r.text_size);
}

int link_display_decode(const void *payload, size_t size, struct link_display *ret)
{
    struct link_display d = {0};
    int e = decode_text(LINK_DISPLAY, payload, size, &d, &d.path_size, &d.path);
    if (e == LINK_OK)
        *ret = d;
    return e;
}

size_t link_display_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], const char *path)
{
    struct link_display d = {.path_size = (uint16_t)strnlen(path, LINK_DISPLAY_MAX)};
    size_t n = encode(buffer, LINK_DISPLAY, &d, d.path_size);
    return n + put_text(buffer + n, path, d.path_size);
}

int link_data_decode(const void *payload, size_t size, struct link_data *ret)
{
    struct link_data d;
    if (size < LINK_DATA_SIZE)
        return LINK_E_SIZE;
    int e = frame_read(&frames[LINK_DATA], payload, &d);
    if (e != LINK_OK)
        return e;
    if (size == LINK_DATA_SIZE && !(d.flags & LINK_DATA_END))
        return LINK_E_SIZE;
    *ret = d;
    return LINK_OK;
}

size_t link_data_encode(uint8_t *buffer, const struct link_data *data, size_t data_size)
{
    return encode(buffer, LINK_DATA, data, data_size);
}

int link_mem_delta_decode(const void *payload, size_t size, uint32_t *ret_id)
{
    uint32_t id;
    if (size < LINK_DELTA_SIZE + 13)
        return LINK_E_SIZE;
    int e = frame_read(&frames[LINK_MEM_DELTA], payload, &id);
    if (e == LINK_OK)
        *ret_id = id;
    return e;
}

size_t link_mem_delta_encode(uint8_t *buffer, uint32_t id, size_t data_size)
{
    return encode(buffer, LINK_MEM_DELTA, &id, data_size);
}

int link_mem_write_decode(const void *payload, size_t size, struct link_mem_write *ret)
{
    struct link_mem_write w;
    if (size < LINK_MEM_WRITE_SIZE)
        return LINK_E_SIZE;
    int e = frame_read(&frames[LINK_MEM_WRITE], payload, &w);
    if (e != LINK_OK)
        return e;
    if (size - LINK_MEM_WRITE_SIZE != (uint64_t)w.row * w.rows)
        return LINK_E_SIZE;
    *ret = w;
    return LINK_OK;
}

size_t link_mem_write_encode(uint8_t *buffer, const struct link_mem_write *write)
{
    uint64_t data = (uint64_t)write->row * write->rows;
    assert(data <= UINT32_MAX - LINK_MEM_WRITE_SIZE);
    return encode(buffer, LINK_MEM_WRITE, write, data);
}

size_t link_stream_data_encode(uint8_t *buffer, uint32_t id, size_t data_size)
{
    return encode(buffer, LINK_STREAM_DATA, &id, data_size);
}

size_t link_stream_credit_encode(uint8_t *buffer, uint32_t id, uint32_t bytes)
{
    return encode(buffer, LINK_STREAM_CREDIT, &(struct link_stream_credit){id, bytes}, 0);
}

size_t link_id_encode(uint8_t *buffer, enum link_type type, uint32_t id)
{
    assert(frames[type].head == 4 && frames[type].max == 4);
    encode(buffer, LINK_VFD_CLOSE, &id, 0);
    return link_header_encode(buffer, type, 4) + 4;
}

size_t link_ping_encode(uint8_t *buffer, uint64_t serial)
{
    return encode(buffer, LINK_PING, &serial, 0);
}

size_t link_probed_encode(uint8_t *buffer, uint32_t resource)
{
    return encode(buffer, LINK_PROBED, &resource, 0);
}

int link_probe_decode(const void *payload, size_t size, uint8_t ret_nonce[LINK_NONCE_SIZE])
{
    return decode(LINK_PROBE, payload, size, ret_nonce);
}

size_t link_probe_encode(uint8_t *buffer, const uint8_t nonce[LINK_NONCE_SIZE])
{
    return encode(buffer, LINK_PROBE, nonce, 0);
}

/* The others are their fields and nothing else. */
#define DECODER(function, frame_type, value_type)                                                  \
    int function(const void *payload, size_t size, value_type *ret)                                \
    {                                                                                              \
        return decode(frame_type, payload, size, ret);                                             \
    }
#define ENCODER(function, frame_type, value_type)                                                  \
    size_t function(uint8_t *buffer, const value_type *value)                                      \
    {                                                                                              \
        return encode(buffer, frame_type, value, 0);                                               \
    }
DECODER(link_ping_decode, LINK_PING, uint64_t)
DECODER(link_id_decode, LINK_VFD_CLOSE, uint32_t) /* or any other of an id alone */
DECODER(link_probed_decode, LINK_PROBED, uint32_t)
DECODER(link_stream_credit_decode, LINK_STREAM_CREDIT, struct link_stream_credit)
DECODER(link_pong_decode, LINK_PONG, struct link_pong)
ENCODER(link_pong_encode, LINK_PONG, struct link_pong)
DECODER(link_vfd_decode, LINK_VFD, struct link_vfd)
ENCODER(link_vfd_encode, LINK_VFD, struct link_vfd)
DECODER(link_mem_size_decode, LINK_MEM_SIZE, struct link_mem_size)
ENCODER(link_mem_size_encode, LINK_MEM_SIZE, struct link_mem_size)
DECODER(link_mem_punch_decode, LINK_MEM_PUNCH, struct link_mem_punch)
ENCODER(link_mem_punch_encode, LINK_MEM_PUNCH, struct link_mem_punch)
DECODER(link_import_decode, LINK_IMPORT, struct link_import)
ENCODER(link_import_encode, LINK_IMPORT, struct link_import)
DECODER(link_mem_copy_decode, LINK_MEM_COPY, struct link_mem_copy)
ENCODER(link_mem_copy_encode, LINK_MEM_COPY, struct link_mem_copy)
DECODER(link_mem_import_decode, LINK_MEM_IMPORT, struct link_mem_import)
ENCODER(link_mem_import_encode, LINK_MEM_IMPORT, struct link_mem_import)
DECODER(link_opened_decode, LINK_OPENED, struct link_opened)
ENCODER(link_opened_encode, LINK_OPENED, struct link_opened)
DECODER(link_vfd_form_decode, LINK_VFD_FORM, struct link_vfd_form)
ENCODER(link_vfd_form_encode, LINK_VFD_FORM, struct link_vfd_form)
DECODER(link_vfd_ref_decode, LINK_VFD_REF, struct link_vfd_ref)
ENCODER(link_vfd_ref_encode, LINK_VFD_REF, struct link_vfd_ref)
DECODER(link_vfd_idle_decode, LINK_VFD_IDLE, struct link_vfd_idle)
ENCODER(link_vfd_idle_encode, LINK_VFD_IDLE, struct link_vfd_idle)
DECODER(link_vfd_gone_decode, LINK_VFD_GONE, struct link_vfd_gone)
ENCODER(link_vfd_gone_encode, LINK_VFD_GONE, struct link_vfd_gone)
DECODER(link_event_decode, LINK_EVENT, struct link_event)
ENCODER(link_event_encode, LINK_EVENT, struct link_event)
DECODER(link_sharing_decode, LINK_SHARING, struct link_sharing)
ENCODER(link_sharing_encode, LINK_SHARING, struct link_sharing)
DECODER(link_imported_decode, LINK_IMPORTED, struct link_imported)
ENCODER(link_imported_encode, LINK_IMPORTED, struct link_imported)
DECODER(link_mem_role_decode, LINK_MEM_ROLE, struct link_mem_role_frame)
ENCODER(link_mem_role_encode, LINK_MEM_ROLE, struct link_mem_role_frame)
DECODER(link_cycle_decode, LINK_CYCLE, struct link_cycle)
ENCODER(link_cycle_encode, LINK_CYCLE, struct link_cycle)
