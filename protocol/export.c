/* SPDX-License-Identifier: MIT */
/* Each type is described once, in the table @packets; what is written, read and refused follows
 * from it. Only COPY has data after its fields: the rectangles. */
#include "protocol/export.h"

#include <assert.h>
#include <stdbool.h>

#include "protocol/fields.h"

#define BUFFER_SIZE 96
#define COPY_SIZE 48
#define RECT_SIZE 16

static_assert(EXPORT_E_OK == (int)FRAME_OK && EXPORT_E_TYPE == (int)FRAME_E_TYPE &&
                  EXPORT_E_SIZE == (int)FRAME_E_SIZE &&
                  EXPORT_E_RESERVED == (int)FRAME_E_RESERVED &&
                  EXPORT_E_VALUE == (int)FRAME_E_VALUE,
              "the same results");
static_assert(EXPORT_HEADER_SIZE + COPY_SIZE + RECT_SIZE * EXPORT_RECTS_MAX <= EXPORT_PACKET_MAX,
              "every packet fits");

/* Any type's struct, as far as fields fill it. */
union value {
    struct export_hello hello;
    struct export_welcome welcome;
    struct export_bind bind;
    struct export_export export;
    struct export_exported exported;
    struct export_mirror mirror;
    struct export_gone gone;
    struct export_reset reset;
    struct export_offer offer;
    uint32_t word;
};

static bool hello_rule(const void *value)
{
    const struct export_hello *h = value;
    return h->version_min <= h->version_max;
}

static bool buffer_valid(const struct export_buffer *b)
{
    return b->kind < _EXPORT_KIND_N && b->memory > 0 && b->memory < _EXPORT_MEMORY_N &&
           b->reason < _EXPORT_REASON_N && b->n_planes <= EXPORT_PLANES_MAX && b->size > 0 &&
           b->size <= INT64_MAX && b->id != 0;
}

static bool exported_rule(const void *value)
{
    const struct export_exported *e = value;
    return e->status != EXPORT_OK || buffer_valid(&e->buffer);
}

static bool offer_rule(const void *value)
{
    const struct export_offer *o = value;
    return buffer_valid(&o->buffer) && o->buffer.kind != EXPORT_KIND_NONE;
}

/* clang-format off */
#define FIELDS_OF_BUFFER(type)                                                                     \
    FIELD(type, buffer.id),                                                                        \
    FIELD(type, buffer.kind),                                                                      \
    FIELD(type, buffer.generation),                                                                \
    FIELD(type, buffer.size),                                                                      \
    FIELD(type, buffer.memory),                                                                    \
    FIELD(type, buffer.reason),                                                                    \
    FIELD(type, buffer.runs),                                                                      \
    FIELD(type, buffer.width),                                                                     \
    FIELD(type, buffer.height),                                                                    \
    FIELD(type, buffer.fourcc),                                                                    \
    FIELD(type, buffer.modifier),                                                                  \
    FIELD(type, buffer.n_planes),                                                                  \
    FIELD_ZERO(4),                                                                                 \
    FIELD_X4(type, buffer.offset),                                                                 \
    FIELD_X4(type, buffer.stride)
static_assert(EXPORT_PLANES_MAX == 4, "all planes");

static const struct frame packets[_EXPORT_TYPE_N] = {
    [EXPORT_HELLO] = FRAME("HELLO", 16, struct export_hello, hello_rule,
        FIELD_FIXED(4, EXPORT_MAGIC),
        FIELD_IN(struct export_hello, version_min, 1, UINT16_MAX),
        FIELD(struct export_hello, version_max),
        FIELD(struct export_hello, features),
        FIELD_ZERO(4)),
    [EXPORT_WELCOME] = FRAME("WELCOME", 56, struct export_welcome, NULL,
        FIELD_IN(struct export_welcome, status, 0, _EXPORT_STATUS_N - 1),
        FIELD(struct export_welcome, version),
        FIELD_ZERO(2),
        FIELD(struct export_welcome, features),
        FIELD_IN(struct export_welcome, driver, 0, 1),
        FIELD(struct export_welcome, epoch),
        FIELD(struct export_welcome, udmabuf_size_limit),
        FIELD(struct export_welcome, udmabuf_list_limit),
        FIELD_ZERO(4),
        FIELD(struct export_welcome, device)),
    [EXPORT_BIND] = FRAME("BIND", 16, struct export_bind, NULL,
        FIELD_IN(struct export_bind, resource, 1, UINT32_MAX),
        FIELD_IN(struct export_bind, timeout_ms, 0, EXPORT_TIMEOUT_MAX_MS),
        FIELD_ZERO(8)),
    [EXPORT_BOUND] = FRAME("BOUND", 8 + EXPORT_NONCE_SIZE, struct export_bound, NULL,
        FIELD_IN(struct export_bound, status, 0, _EXPORT_STATUS_N - 1),
        FIELD_ZERO(4),
        FIELD(struct export_bound, found)),
    [EXPORT_EXPORT] = FRAME("EXPORT", 16, struct export_export, NULL,
        FIELD_IN(struct export_export, resource, 1, UINT32_MAX),
        FIELD_IN(struct export_export, timeout_ms, 0, EXPORT_TIMEOUT_MAX_MS),
        FIELD_ZERO(8)),
    [EXPORT_EXPORTED] = FRAME("EXPORTED", 8 + BUFFER_SIZE, struct export_exported, exported_rule,
        FIELD_IN(struct export_exported, status, 0, _EXPORT_STATUS_N - 1),
        FIELD_ZERO(4),
        FIELDS_OF_BUFFER(struct export_exported)),
    [EXPORT_MIRROR] = FRAME("MIRROR", 16, struct export_mirror, NULL,
        FIELD(struct export_mirror, id),
        FIELD_ZERO(4),
        FIELD_IN(struct export_mirror, size, 1, INT64_MAX)),
    [EXPORT_COPY] = FRAME_DATA("COPY", COPY_SIZE, RECT_SIZE, RECT_SIZE * EXPORT_RECTS_MAX,
        struct export_copy, NULL,
        FIELD(struct export_copy, id),
        FIELD_IN(struct export_copy, flags, 0, EXPORT_TO_GUEST),
        FIELD(struct export_copy, generation),
        FIELD(struct export_copy, source),
        FIELD(struct export_copy, target),
        FIELD(struct export_copy, source_stride),
        FIELD(struct export_copy, target_stride),
        FIELD_IN(struct export_copy, n_rects, 1, EXPORT_RECTS_MAX),
        FIELD_ZERO(4)),
    [EXPORT_RELEASE] = FRAME("RELEASE", 8, uint32_t, NULL,
        FIELD(union value, word),
        FIELD_ZERO(4)),
    [EXPORT_STATUS] = FRAME("STATUS", 8, uint32_t, NULL,
        FIELD_IN(union value, word, 0, _EXPORT_STATUS_N - 1),
        FIELD_ZERO(4)),
    [EXPORT_GONE] = FRAME("GONE", 16, struct export_gone, NULL,
        FIELD(struct export_gone, id),
        FIELD_ZERO(4),
        FIELD(struct export_gone, generation)),
    [EXPORT_RESET] = FRAME("RESET", 16, struct export_reset, NULL,
        FIELD(struct export_reset, epoch),
        FIELD_IN(struct export_reset, driver, 0, 1),
        FIELD_ZERO(4)),
    [EXPORT_OFFER] = FRAME("OFFER", EXPORT_TOKEN_SIZE + BUFFER_SIZE, struct export_offer,
        offer_rule,
        FIELD(struct export_offer, token),
        FIELDS_OF_BUFFER(struct export_offer)),
};
/* clang-format on */

static const struct field header_fields[] = {
    FIELD(struct export_header, size),
    FIELD(struct export_header, type),
    FIELD_ZERO(2),
    FIELD(struct export_header, serial),
};

static const struct field rect_fields[] = {
    FIELD(struct export_rect, x),
    FIELD(struct export_rect, y),
    FIELD(struct export_rect, width),
    FIELD(struct export_rect, height),
};

const char *export_type_name(unsigned type)
{
    return type < _EXPORT_TYPE_N && packets[type].name ? packets[type].name : "unknown";
}

const char *export_status_name(unsigned status)
{
    static const char *const names[] = {
        [EXPORT_OK] = "ok",
        [EXPORT_UNKNOWN] = "no such resource",
        [EXPORT_UNMARKED] = "the guest has not shared it",
        [EXPORT_EMPTY] = "it has no memory",
        [EXPORT_UNBOUND] = "not bound to this device",
        [EXPORT_MISMATCH] = "other bytes than expected",
        [EXPORT_STALE] = "the resource is gone or has other memory now",
        [EXPORT_RANGE] = "out of range",
        [EXPORT_MEMORY] = "the mirror does not serve",
        [EXPORT_LIMIT] = "too many",
        [EXPORT_FAILED] = "out of memory or descriptors",
    };
    static_assert(sizeof(names) / sizeof(*names) == _EXPORT_STATUS_N, "a name per status");
    return status < _EXPORT_STATUS_N ? names[status] : "unknown status";
}

const char *export_reason_name(unsigned reason)
{
    static const char *const names[] = {
        [EXPORT_REASON_NONE] = "none",
        [EXPORT_REASON_NO_UDMABUF] = "no access to /dev/udmabuf",
        [EXPORT_REASON_LIST_LIMIT] = "more pieces than udmabuf's list_limit",
        [EXPORT_REASON_SIZE_LIMIT] = "larger than udmabuf's size_limit_mb",
        [EXPORT_REASON_ALIGNMENT] = "not made of whole pages",
        [EXPORT_REASON_REFUSED] = "the kernel refuses the VM's memory",
        [EXPORT_REASON_QUOTA] = "enough is exported already",
    };
    static_assert(sizeof(names) / sizeof(*names) == _EXPORT_REASON_N, "a name per reason");
    return reason < _EXPORT_REASON_N ? names[reason] : "unknown reason";
}

int export_header_decode(const uint8_t *packet, size_t size, struct export_header *ret)
{
    struct export_header h;
    if (size < EXPORT_HEADER_SIZE)
        return EXPORT_E_SIZE;
    int e = fields_read(header_fields, 4, packet, &h);
    if (h.size != size - EXPORT_HEADER_SIZE)
        return EXPORT_E_SIZE;
    if (e != FRAME_OK)
        return e;
    if (h.type >= _EXPORT_TYPE_N || !packets[h.type].name)
        return EXPORT_E_TYPE;
    if (h.size < packets[h.type].min || h.size > packets[h.type].max)
        return EXPORT_E_SIZE;
    bool event = h.type == EXPORT_GONE || h.type == EXPORT_RESET || h.type == EXPORT_OFFER;
    if (event != (h.serial == 0))
        return EXPORT_E_VALUE;
    *ret = h;
    return EXPORT_E_OK;
}

FIELD_INLINE int decode(enum export_type type, const uint8_t *payload, size_t size, void *ret)
{
    union value v;
    return frame_decode(&packets[type], payload, size, &v, ret);
}

/* Header and fields; @data_size bytes are to follow. */
FIELD_INLINE size_t encode(uint8_t *packet, enum export_type type, uint32_t serial,
                           const void *value, size_t data_size)
{
    const struct frame *f = &packets[type];
    struct export_header h = {(uint32_t)(f->head + data_size), (uint16_t)type, serial};
    uint8_t *end = fields_write(header_fields, 4, &h, packet);
    end = fields_write(f->fields, f->n, value, end);
    assert(end == packet + EXPORT_HEADER_SIZE + f->head);
    return (size_t)(end - packet);
}

int export_copy_decode(const uint8_t *payload, size_t size, struct export_copy *ret)
{
    struct export_copy v; /* most of its rectangles are not there, and not touched */
    if (size < COPY_SIZE)
        return EXPORT_E_SIZE;
    int e = frame_read(&packets[EXPORT_COPY], payload, &v);
    if (v.n_rects < 1 || v.n_rects > EXPORT_RECTS_MAX)
        return EXPORT_E_VALUE;
    if (size != COPY_SIZE + RECT_SIZE * (size_t)v.n_rects)
        return EXPORT_E_SIZE;
    if (e != FRAME_OK)
        return e;
    memcpy(ret, &v, offsetof(struct export_copy, rects));
    for (uint32_t i = 0; i < v.n_rects; i++)
        fields_read(rect_fields, 4, payload + COPY_SIZE + RECT_SIZE * (size_t)i, &ret->rects[i]);
    return EXPORT_E_OK;
}

size_t export_copy_encode(uint8_t *packet, uint32_t serial, const struct export_copy *copy)
{
    assert(copy->n_rects >= 1 && copy->n_rects <= EXPORT_RECTS_MAX);
    size_t n = encode(packet, EXPORT_COPY, serial, copy, RECT_SIZE * (size_t)copy->n_rects);
    for (uint32_t i = 0; i < copy->n_rects; i++, n += RECT_SIZE)
        fields_write(rect_fields, 4, &copy->rects[i], packet + n);
    return n;
}

size_t export_exported_encode(uint8_t *packet, uint32_t serial,
                              const struct export_exported *exported)
{
    struct export_exported refused = {.status = exported->status};
    return encode(packet, EXPORT_EXPORTED, serial,
                  exported->status == EXPORT_OK ? exported : &refused, 0);
}

size_t export_bound_encode(uint8_t *packet, uint32_t serial, const struct export_bound *bound)
{
    struct export_bound refused = {.status = bound->status};
    return encode(packet, EXPORT_BOUND, serial, bound->status == EXPORT_OK ? bound : &refused, 0);
}

uint32_t export_bound_verdict(const struct export_bound *bound,
                              const uint8_t nonce[EXPORT_NONCE_SIZE])
{
    uint8_t difference = 0;
    if (bound->status != EXPORT_OK)
        return bound->status;
    for (size_t i = 0; i < sizeof(bound->found); i++) /* says nothing by the time that it takes */
        difference |= bound->found[i] ^ nonce[i];
    return difference ? EXPORT_MISMATCH : EXPORT_OK;
}

size_t export_release_encode(uint8_t *packet, uint32_t serial, uint32_t id)
{
    return encode(packet, EXPORT_RELEASE, serial, &id, 0);
}

size_t export_status_encode(uint8_t *packet, uint32_t serial, uint32_t status)
{
    return encode(packet, EXPORT_STATUS, serial, &status, 0);
}

/* The others are their fields and nothing else. */
#define DECODER(function, type, value_type)                                                        \
    int function(const uint8_t *payload, size_t size, value_type *ret)                             \
    {                                                                                              \
        return decode(type, payload, size, ret);                                                   \
    }
#define ENCODER(function, type, value_type)                                                        \
    size_t function(uint8_t *packet, uint32_t serial, const value_type *value)                     \
    {                                                                                              \
        return encode(packet, type, serial, value, 0);                                             \
    }
#define EVENT_ENCODER(function, type, value_type)                                                  \
    size_t function(uint8_t *packet, const value_type *value)                                      \
    {                                                                                              \
        return encode(packet, type, 0, value, 0);                                                  \
    }
DECODER(export_hello_decode, EXPORT_HELLO, struct export_hello)
ENCODER(export_hello_encode, EXPORT_HELLO, struct export_hello)
DECODER(export_welcome_decode, EXPORT_WELCOME, struct export_welcome)
ENCODER(export_welcome_encode, EXPORT_WELCOME, struct export_welcome)
DECODER(export_bind_decode, EXPORT_BIND, struct export_bind)
ENCODER(export_bind_encode, EXPORT_BIND, struct export_bind)
DECODER(export_bound_decode, EXPORT_BOUND, struct export_bound)
DECODER(export_export_decode, EXPORT_EXPORT, struct export_export)
ENCODER(export_export_encode, EXPORT_EXPORT, struct export_export)
DECODER(export_exported_decode, EXPORT_EXPORTED, struct export_exported)
DECODER(export_mirror_decode, EXPORT_MIRROR, struct export_mirror)
ENCODER(export_mirror_encode, EXPORT_MIRROR, struct export_mirror)
DECODER(export_release_decode, EXPORT_RELEASE, uint32_t)
DECODER(export_status_decode, EXPORT_STATUS, uint32_t)
DECODER(export_gone_decode, EXPORT_GONE, struct export_gone)
EVENT_ENCODER(export_gone_encode, EXPORT_GONE, struct export_gone)
DECODER(export_reset_decode, EXPORT_RESET, struct export_reset)
EVENT_ENCODER(export_reset_encode, EXPORT_RESET, struct export_reset)
DECODER(export_offer_decode, EXPORT_OFFER, struct export_offer)
EVENT_ENCODER(export_offer_encode, EXPORT_OFFER, struct export_offer)
