/* SPDX-License-Identifier: MIT */
/* Each type is described once, in the table @kinds; what is written, read and refused follows from
 * it. Only CAPSET has data after its fields. */
#include "protocol/render.h"

#include <assert.h>
#include <stdbool.h>

#include "protocol/fields.h"

static_assert(RENDER_E_OK == (int)FRAME_OK && RENDER_E_TYPE == (int)FRAME_E_TYPE &&
                  RENDER_E_SIZE == (int)FRAME_E_SIZE &&
                  RENDER_E_RESERVED == (int)FRAME_E_RESERVED &&
                  RENDER_E_VALUE == (int)FRAME_E_VALUE,
              "the same results");

static bool capset_rule(const void *value)
{
    const struct render_capset *c = value;
    return c->version <= c->version_max;
}

static bool failed_rule(const void *value)
{
    const struct render_failed *f = value;
    return f->text[sizeof(f->text) - 1] == 0;
}

/* Only one of whose memory something is told. */
static bool exported_rule(const void *value)
{
    const struct render_exported *e = value;
    return e->status != RENDER_OK || e->layout.n_planes > 0;
}

static bool range_valid(const struct render_range *r)
{
    return r->size > 0 && r->size <= RENDER_MEMORY_SIZE_MAX &&
           r->offset <= RENDER_MEMORY_SIZE_MAX - r->size;
}

/* Its last row begins in the range. */
static bool transfer_rule(const void *value)
{
    const struct render_transfer *t = value;
    if (!t->box.width || !t->box.height || !t->box.depth || !range_valid(&t->range))
        return false;
    uint64_t rows = (uint64_t)(t->box.height - 1) * t->stride;
    uint64_t layers = (uint64_t)(t->box.depth - 1) * t->layer_stride;
    return rows < t->range.size && layers < t->range.size - rows;
}

static bool submit_rule(const void *value)
{
    const struct render_submit *s = value;
    return range_valid(&s->range) && s->range.size % 4 == 0 &&
           s->range.size / 4 <= RENDER_WORDS_MAX;
}

/* clang-format off */
#define ID(label)                                                                                  \
    FRAME(label, 8, struct render_id, NULL, FIELD_IN(struct render_id, id, 1, UINT32_MAX), FIELD_ZERO(4))
#define ATTACHMENT(label)                                                                          \
    FRAME(label, 8, struct render_attachment, NULL,                                                \
        FIELD_IN(struct render_attachment, context, 1, UINT32_MAX),                                \
        FIELD_IN(struct render_attachment, resource, 1, UINT32_MAX))

static const struct frame kinds[_RENDER_TYPE_N] = {
    [RENDER_HELLO] = FRAME("HELLO", 16, struct render_hello, NULL,
        FIELD_FIXED(4, RENDER_MAGIC),
        FIELD_IN(struct render_hello, version, RENDER_VERSION, RENDER_VERSION),
        FIELD_IN(struct render_hello, capsets, 1, RENDER_CAPSETS_MAX * (RENDER_CAPSET_VERSION_MAX + 1)),
        FIELD_ZERO(4)),
    [RENDER_CAPSET] = FRAME_DATA("CAPSET", 16, 1, RENDER_CAPSET_SIZE_MAX, struct render_capset, capset_rule,
        FIELD_IN(struct render_capset, id, 1, UINT32_MAX),
        FIELD(struct render_capset, version),
        FIELD_IN(struct render_capset, version_max, 0, RENDER_CAPSET_VERSION_MAX),
        FIELD_ZERO(4)),
    [RENDER_READY] = { .name = "READY", .min = 8, .max = 8, .head = 8, FRAME_FIELDS(FIELD_ZERO(8)) },
    [RENDER_FAILED] = FRAME("FAILED", RENDER_TEXT_SIZE, struct render_failed, failed_rule,
        FIELD(struct render_failed, text)),
    [RENDER_DONE] = FRAME("DONE", 8, struct render_done, NULL,
        FIELD_IN(struct render_done, status, 0, _RENDER_STATUS_N - 1),
        FIELD_ZERO(4)),
    [RENDER_FENCED] = FRAME("FENCED", 8, struct render_fenced, NULL,
        FIELD(struct render_fenced, number),
        FIELD_ZERO(4)),
    [RENDER_EXPORTED] = FRAME("EXPORTED", 56, struct render_exported, exported_rule,
        FIELD_IN(struct render_exported, status, 0, _RENDER_STATUS_N - 1),
        FIELD(struct render_exported, layout.fourcc),
        FIELD(struct render_exported, layout.modifier),
        FIELD_IN(struct render_exported, layout.n_planes, 0, RENDER_PLANES_MAX),
        FIELD_ZERO(4),
        FIELD_X4(struct render_exported, layout.offset),
        FIELD_X4(struct render_exported, layout.stride)),
    [RENDER_MEMORY] = FRAME("MEMORY", 16, struct render_memory, NULL,
        FIELD_IN(struct render_memory, id, 1, UINT32_MAX),
        FIELD_ZERO(4),
        FIELD_IN(struct render_memory, size, 1, RENDER_MEMORY_SIZE_MAX)),
    [RENDER_FORGET] = ID("FORGET"),
    [RENDER_CONTEXT_CREATE] = FRAME("CONTEXT_CREATE", 8, struct render_context, NULL,
        FIELD_IN(struct render_context, id, 1, UINT32_MAX),
        FIELD(struct render_context, capset)),
    [RENDER_CONTEXT_DESTROY] = ID("CONTEXT_DESTROY"),
    [RENDER_CONTEXT_ATTACH] = ATTACHMENT("CONTEXT_ATTACH"),
    [RENDER_CONTEXT_DETACH] = ATTACHMENT("CONTEXT_DETACH"),
    [RENDER_RESOURCE_CREATE] = FRAME("RESOURCE_CREATE", 48, struct render_resource, NULL,
        FIELD_IN(struct render_resource, id, 1, UINT32_MAX),
        FIELD(struct render_resource, target),
        FIELD(struct render_resource, format),
        FIELD(struct render_resource, bind),
        FIELD(struct render_resource, width),
        FIELD(struct render_resource, height),
        FIELD(struct render_resource, depth),
        FIELD(struct render_resource, array_size),
        FIELD(struct render_resource, last_level),
        FIELD(struct render_resource, nr_samples),
        FIELD(struct render_resource, flags),
        FIELD_ZERO(4)),
    [RENDER_RESOURCE_DESTROY] = ID("RESOURCE_DESTROY"),
    [RENDER_TRANSFER] = FRAME("TRANSFER", 72, struct render_transfer, transfer_rule,
        FIELD_IN(struct render_transfer, resource, 1, UINT32_MAX),
        FIELD(struct render_transfer, context),
        FIELD(struct render_transfer, level),
        FIELD(struct render_transfer, stride),
        FIELD(struct render_transfer, layer_stride),
        FIELD_IN(struct render_transfer, to_renderer, 0, 1),
        FIELD(struct render_transfer, box.x),
        FIELD(struct render_transfer, box.y),
        FIELD(struct render_transfer, box.z),
        FIELD(struct render_transfer, box.width),
        FIELD(struct render_transfer, box.height),
        FIELD(struct render_transfer, box.depth),
        FIELD_IN(struct render_transfer, range.memory, 1, UINT32_MAX),
        FIELD_ZERO(4),
        FIELD(struct render_transfer, range.offset),
        FIELD(struct render_transfer, range.size)),
    [RENDER_SUBMIT] = FRAME("SUBMIT", 24, struct render_submit, submit_rule,
        FIELD_IN(struct render_submit, context, 1, UINT32_MAX),
        FIELD_IN(struct render_submit, range.memory, 1, UINT32_MAX),
        FIELD(struct render_submit, range.offset),
        FIELD(struct render_submit, range.size)),
    [RENDER_FENCE] = FRAME("FENCE", 16, struct render_fence, NULL,
        FIELD(struct render_fence, context),
        FIELD_IN(struct render_fence, ring, 0, 0),
        FIELD(struct render_fence, number),
        FIELD_ZERO(4)),
    [RENDER_EXPORT] = ID("EXPORT"),
};
/* clang-format on */

static const struct field header_fields[] = {
    FIELD(struct render_header, size),
    FIELD(struct render_header, type),
    FIELD_ZERO(2),
    FIELD(struct render_header, serial),
};

const char *render_type_name(unsigned type)
{
    return type < _RENDER_TYPE_N && kinds[type].name ? kinds[type].name : "unknown";
}

int render_is_renderers(unsigned type)
{
    return type >= RENDER_HELLO && type <= RENDER_EXPORTED;
}

/* Requests that are answered, and their answers. */
static bool has_serial(unsigned type)
{
    return type == RENDER_TRANSFER || type == RENDER_SUBMIT || type == RENDER_DONE ||
           type == RENDER_EXPORT || type == RENDER_EXPORTED;
}

static int render_decode_header(const uint8_t *packet, size_t size, struct render_header *ret)
{
    struct render_header h;
    if (size < RENDER_HEADER_SIZE)
        return RENDER_E_SIZE;
    int e = fields_read(header_fields, 4, packet, &h);
    if (h.size != size - RENDER_HEADER_SIZE)
        return RENDER_E_SIZE;
    if (e != FRAME_OK)
        return e;
    if (h.type >= _RENDER_TYPE_N || !kinds[h.type].name)
        return RENDER_E_TYPE;
    if (h.size < kinds[h.type].min || h.size > kinds[h.type].max)
        return RENDER_E_SIZE;
    if (has_serial(h.type) != (h.serial != 0))
        return RENDER_E_VALUE;
    *ret = h;
    return RENDER_E_OK;
}

int render_decode(const uint8_t *packet, size_t size, struct render_header *ret_header,
                  union render_message *ret_message, const uint8_t **ret_data,
                  uint32_t *ret_data_size)
{
    struct render_header h;
    union render_message m = {0};
    int e = render_decode_header(packet, size, &h);
    if (e != RENDER_E_OK)
        return e;
    const struct frame *kind = &kinds[h.type];
    e = frame_read(kind, packet + RENDER_HEADER_SIZE, &m);
    if (e != RENDER_E_OK)
        return e;
    *ret_header = h;
    memcpy(ret_message, &m, kind->held);
    *ret_data = packet + RENDER_HEADER_SIZE + kind->head;
    *ret_data_size = h.size - kind->head;
    return RENDER_E_OK;
}

size_t render_encode(uint8_t *packet, unsigned type, uint32_t serial,
                     const union render_message *message, const void *data, uint32_t data_size)
{
    assert(type < _RENDER_TYPE_N && kinds[type].name);
    const struct frame *kind = &kinds[type];
    assert(data_size >= kind->min - kind->head && data_size <= kind->max - kind->head);
    struct render_header h = {kind->head + data_size, (uint16_t)type, serial};
    uint8_t *end = fields_write(header_fields, 4, &h, packet);
    end = fields_write(kind->fields, kind->n, message, end);
    assert(end == packet + RENDER_HEADER_SIZE + kind->head);
    if (data_size > 0)
        memcpy(end, data, data_size);
    return (size_t)(end - packet) + data_size;
}
