/* SPDX-License-Identifier: MIT */
#include "protocol/export.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

#include "protocol/bytes.h"

#define BUFFER_SIZE 96
#define COPY_SIZE 48
#define RECT_SIZE 16

/* Payload bounds and name of each type. */
static const struct {
    const char *name;
    uint32_t min, max;
} types[_EXPORT_TYPE_N] = {
    [EXPORT_HELLO] = {"HELLO", 16, 16},
    [EXPORT_WELCOME] = {"WELCOME", 56, 56},
    [EXPORT_BIND] = {"BIND", 8 + EXPORT_NONCE_SIZE, 8 + EXPORT_NONCE_SIZE},
    [EXPORT_EXPORT] = {"EXPORT", 16, 16},
    [EXPORT_EXPORTED] = {"EXPORTED", 8 + BUFFER_SIZE, 8 + BUFFER_SIZE},
    [EXPORT_MIRROR] = {"MIRROR", 16, 16},
    [EXPORT_COPY] = {"COPY", COPY_SIZE + RECT_SIZE, COPY_SIZE + RECT_SIZE *EXPORT_RECTS_MAX},
    [EXPORT_RELEASE] = {"RELEASE", 8, 8},
    [EXPORT_STATUS] = {"STATUS", 8, 8},
    [EXPORT_GONE] = {"GONE", 16, 16},
    [EXPORT_RESET] = {"RESET", 16, 16},
    [EXPORT_OFFER] = {"OFFER", EXPORT_TOKEN_SIZE + BUFFER_SIZE, EXPORT_TOKEN_SIZE + BUFFER_SIZE},
};
static_assert(EXPORT_HEADER_SIZE + COPY_SIZE + RECT_SIZE * EXPORT_RECTS_MAX <= EXPORT_PACKET_MAX,
              "every packet fits");

const char *export_type_name(unsigned type)
{
    return type < _EXPORT_TYPE_N && types[type].name ? types[type].name : "unknown";
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
    struct bytes_reader r = bytes_reader(packet, size);
    struct export_header h = {.size = bytes_get32(&r), .type = bytes_get16(&r)};
    uint16_t zero = bytes_get16(&r);
    h.serial = bytes_get32(&r);
    if (r.failed || h.size != bytes_left(&r))
        return EXPORT_E_SIZE;
    if (zero)
        return EXPORT_E_RESERVED;
    if (h.type >= _EXPORT_TYPE_N || !types[h.type].name)
        return EXPORT_E_TYPE;
    if (h.size < types[h.type].min || h.size > types[h.type].max)
        return EXPORT_E_SIZE;
    bool event = h.type == EXPORT_GONE || h.type == EXPORT_RESET || h.type == EXPORT_OFFER;
    if (event != (h.serial == 0))
        return EXPORT_E_VALUE;
    *ret = h;
    return EXPORT_E_OK;
}

/* The payload is all read and was all there; @reserved fields are zero; @valid says the rest. */
static int outcome(const struct bytes_reader *r, uint64_t reserved, bool valid)
{
    if (!bytes_done(r))
        return EXPORT_E_SIZE;
    if (reserved)
        return EXPORT_E_RESERVED;
    return valid ? EXPORT_E_OK : EXPORT_E_VALUE;
}

#define RETURN(reader, reserved, valid)                                                            \
    do {                                                                                           \
        int outcome_ = outcome(reader, reserved, valid);                                           \
        if (outcome_ == EXPORT_E_OK)                                                               \
            *ret = v;                                                                              \
        return outcome_;                                                                           \
    } while (0)

int export_hello_decode(const uint8_t *payload, size_t size, struct export_hello *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    uint32_t magic = bytes_get32(&r);
    struct export_hello v = {.version_min = bytes_get16(&r), .version_max = bytes_get16(&r)};
    v.features = bytes_get32(&r);
    uint32_t zero = bytes_get32(&r);
    RETURN(&r, zero, magic == EXPORT_MAGIC && v.version_min > 0 && v.version_min <= v.version_max);
}

int export_welcome_decode(const uint8_t *payload, size_t size, struct export_welcome *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct export_welcome v = {.status = bytes_get32(&r)};
    v.version = bytes_get16(&r);
    uint32_t zero = bytes_get16(&r);
    v.features = bytes_get32(&r);
    v.driver = bytes_get32(&r);
    v.epoch = bytes_get64(&r);
    v.udmabuf_size_limit = bytes_get64(&r);
    v.udmabuf_list_limit = bytes_get32(&r);
    zero |= bytes_get32(&r);
    const uint8_t *device = bytes_take(&r, sizeof(v.device));
    if (device)
        memcpy(v.device, device, sizeof(v.device));
    RETURN(&r, zero, v.status < _EXPORT_STATUS_N && v.driver <= 1);
}

int export_bind_decode(const uint8_t *payload, size_t size, struct export_bind *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct export_bind v = {.resource = bytes_get32(&r)};
    v.timeout_ms = bytes_get32(&r);
    const uint8_t *nonce = bytes_take(&r, sizeof(v.nonce));
    if (nonce)
        memcpy(v.nonce, nonce, sizeof(v.nonce));
    RETURN(&r, 0, v.resource != 0 && v.timeout_ms <= EXPORT_TIMEOUT_MAX_MS);
}

int export_export_decode(const uint8_t *payload, size_t size, struct export_export *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct export_export v = {.resource = bytes_get32(&r)};
    v.timeout_ms = bytes_get32(&r);
    uint64_t zero = bytes_get64(&r);
    RETURN(&r, zero, v.resource != 0 && v.timeout_ms <= EXPORT_TIMEOUT_MAX_MS);
}

static void buffer_get(struct bytes_reader *r, struct export_buffer *b, uint32_t *zero)
{
    b->id = bytes_get32(r);
    b->kind = bytes_get32(r);
    b->generation = bytes_get64(r);
    b->size = bytes_get64(r);
    b->memory = bytes_get32(r);
    b->reason = bytes_get32(r);
    b->runs = bytes_get32(r);
    b->width = bytes_get32(r);
    b->height = bytes_get32(r);
    b->fourcc = bytes_get32(r);
    b->modifier = bytes_get64(r);
    b->n_planes = bytes_get32(r);
    *zero |= bytes_get32(r);
    for (unsigned i = 0; i < EXPORT_PLANES_MAX; i++)
        b->offset[i] = bytes_get32(r);
    for (unsigned i = 0; i < EXPORT_PLANES_MAX; i++)
        b->stride[i] = bytes_get32(r);
}

static bool buffer_valid(const struct export_buffer *b)
{
    return b->kind < _EXPORT_KIND_N && b->memory > 0 && b->memory < _EXPORT_MEMORY_N &&
           b->reason < _EXPORT_REASON_N && b->n_planes <= EXPORT_PLANES_MAX && b->size > 0 &&
           b->size <= INT64_MAX && b->id != 0;
}

int export_exported_decode(const uint8_t *payload, size_t size, struct export_exported *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct export_exported v = {.status = bytes_get32(&r)};
    uint32_t zero = bytes_get32(&r);
    buffer_get(&r, &v.buffer, &zero);
    RETURN(&r, zero,
           v.status < _EXPORT_STATUS_N && (v.status != EXPORT_OK || buffer_valid(&v.buffer)));
}

int export_mirror_decode(const uint8_t *payload, size_t size, struct export_mirror *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct export_mirror v = {.id = bytes_get32(&r)};
    uint32_t zero = bytes_get32(&r);
    v.size = bytes_get64(&r);
    RETURN(&r, zero, v.size > 0 && v.size <= INT64_MAX);
}

int export_copy_decode(const uint8_t *payload, size_t size, struct export_copy *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct export_copy v;
    v.id = bytes_get32(&r);
    v.flags = bytes_get32(&r);
    v.generation = bytes_get64(&r);
    v.source = bytes_get64(&r);
    v.target = bytes_get64(&r);
    v.source_stride = bytes_get32(&r);
    v.target_stride = bytes_get32(&r);
    v.n_rects = bytes_get32(&r);
    uint32_t zero = bytes_get32(&r);
    if (v.n_rects < 1 || v.n_rects > EXPORT_RECTS_MAX)
        return r.failed ? EXPORT_E_SIZE : EXPORT_E_VALUE;
    for (uint32_t i = 0; i < v.n_rects; i++) {
        v.rects[i].x = bytes_get32(&r);
        v.rects[i].y = bytes_get32(&r);
        v.rects[i].width = bytes_get32(&r);
        v.rects[i].height = bytes_get32(&r);
    }
    int result = outcome(&r, zero, !(v.flags & ~EXPORT_TO_GUEST));
    if (result == EXPORT_E_OK) /* not the whole of it: most of the rectangles are not there */
        memcpy(ret, &v, offsetof(struct export_copy, rects) + v.n_rects * sizeof(*v.rects));
    return result;
}

static int pair_decode(const uint8_t *payload, size_t size, bool valid_below, uint32_t below,
                       uint32_t *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    uint32_t v = bytes_get32(&r);
    uint32_t zero = bytes_get32(&r);
    RETURN(&r, zero, !valid_below || v < below);
}

int export_release_decode(const uint8_t *payload, size_t size, uint32_t *ret_id)
{
    return pair_decode(payload, size, false, 0, ret_id);
}

int export_status_decode(const uint8_t *payload, size_t size, uint32_t *ret_status)
{
    return pair_decode(payload, size, true, _EXPORT_STATUS_N, ret_status);
}

int export_gone_decode(const uint8_t *payload, size_t size, struct export_gone *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct export_gone v = {.id = bytes_get32(&r)};
    uint32_t zero = bytes_get32(&r);
    v.generation = bytes_get64(&r);
    RETURN(&r, zero, true);
}

int export_reset_decode(const uint8_t *payload, size_t size, struct export_reset *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct export_reset v = {.epoch = bytes_get64(&r)};
    v.driver = bytes_get32(&r);
    uint32_t zero = bytes_get32(&r);
    RETURN(&r, zero, v.driver <= 1);
}

int export_offer_decode(const uint8_t *payload, size_t size, struct export_offer *ret)
{
    struct bytes_reader r = bytes_reader(payload, size);
    struct export_offer v = {0};
    uint32_t zero = 0;
    const uint8_t *token = bytes_take(&r, sizeof(v.token));
    if (token)
        memcpy(v.token, token, sizeof(v.token));
    buffer_get(&r, &v.buffer, &zero);
    RETURN(&r, zero, buffer_valid(&v.buffer) && v.buffer.kind != EXPORT_KIND_NONE);
}

static struct bytes_writer begin(uint8_t *packet, enum export_type type, uint32_t serial,
                                 size_t size)
{
    struct bytes_writer w = bytes_writer(packet, EXPORT_HEADER_SIZE + size);
    bytes_put(&w, size, 4);
    bytes_put(&w, type, 2);
    bytes_put(&w, 0, 2);
    bytes_put(&w, serial, 4);
    return w;
}

static size_t finish(const struct bytes_writer *w, const uint8_t *packet)
{
    assert(!w->failed && w->at == w->end);
    return (size_t)(w->at - packet);
}

size_t export_hello_encode(uint8_t *packet, uint32_t serial, const struct export_hello *hello)
{
    struct bytes_writer w = begin(packet, EXPORT_HELLO, serial, 16);
    bytes_put(&w, EXPORT_MAGIC, 4);
    bytes_put(&w, hello->version_min, 2);
    bytes_put(&w, hello->version_max, 2);
    bytes_put(&w, hello->features, 4);
    bytes_put(&w, 0, 4);
    return finish(&w, packet);
}

size_t export_welcome_encode(uint8_t *packet, uint32_t serial, const struct export_welcome *welcome)
{
    struct bytes_writer w = begin(packet, EXPORT_WELCOME, serial, 56);
    bytes_put(&w, welcome->status, 4);
    bytes_put(&w, welcome->version, 2);
    bytes_put(&w, 0, 2);
    bytes_put(&w, welcome->features, 4);
    bytes_put(&w, welcome->driver, 4);
    bytes_put(&w, welcome->epoch, 8);
    bytes_put(&w, welcome->udmabuf_size_limit, 8);
    bytes_put(&w, welcome->udmabuf_list_limit, 4);
    bytes_put(&w, 0, 4);
    bytes_put_data(&w, welcome->device, sizeof(welcome->device));
    return finish(&w, packet);
}

size_t export_bind_encode(uint8_t *packet, uint32_t serial, const struct export_bind *bind)
{
    struct bytes_writer w = begin(packet, EXPORT_BIND, serial, 8 + EXPORT_NONCE_SIZE);
    bytes_put(&w, bind->resource, 4);
    bytes_put(&w, bind->timeout_ms, 4);
    bytes_put_data(&w, bind->nonce, sizeof(bind->nonce));
    return finish(&w, packet);
}

size_t export_export_encode(uint8_t *packet, uint32_t serial, const struct export_export *request)
{
    struct bytes_writer w = begin(packet, EXPORT_EXPORT, serial, 16);
    bytes_put(&w, request->resource, 4);
    bytes_put(&w, request->timeout_ms, 4);
    bytes_put(&w, 0, 8);
    return finish(&w, packet);
}

static void buffer_put(struct bytes_writer *w, const struct export_buffer *b)
{
    bytes_put(w, b->id, 4);
    bytes_put(w, b->kind, 4);
    bytes_put(w, b->generation, 8);
    bytes_put(w, b->size, 8);
    bytes_put(w, b->memory, 4);
    bytes_put(w, b->reason, 4);
    bytes_put(w, b->runs, 4);
    bytes_put(w, b->width, 4);
    bytes_put(w, b->height, 4);
    bytes_put(w, b->fourcc, 4);
    bytes_put(w, b->modifier, 8);
    bytes_put(w, b->n_planes, 4);
    bytes_put(w, 0, 4);
    for (unsigned i = 0; i < EXPORT_PLANES_MAX; i++)
        bytes_put(w, b->offset[i], 4);
    for (unsigned i = 0; i < EXPORT_PLANES_MAX; i++)
        bytes_put(w, b->stride[i], 4);
}

size_t export_exported_encode(uint8_t *packet, uint32_t serial,
                              const struct export_exported *exported)
{
    static const struct export_buffer none;
    struct bytes_writer w = begin(packet, EXPORT_EXPORTED, serial, 8 + BUFFER_SIZE);
    bytes_put(&w, exported->status, 4);
    bytes_put(&w, 0, 4);
    buffer_put(&w, exported->status == EXPORT_OK ? &exported->buffer : &none);
    return finish(&w, packet);
}

size_t export_mirror_encode(uint8_t *packet, uint32_t serial, const struct export_mirror *mirror)
{
    struct bytes_writer w = begin(packet, EXPORT_MIRROR, serial, 16);
    bytes_put(&w, mirror->id, 4);
    bytes_put(&w, 0, 4);
    bytes_put(&w, mirror->size, 8);
    return finish(&w, packet);
}

size_t export_copy_encode(uint8_t *packet, uint32_t serial, const struct export_copy *copy)
{
    assert(copy->n_rects >= 1 && copy->n_rects <= EXPORT_RECTS_MAX);
    struct bytes_writer w =
        begin(packet, EXPORT_COPY, serial, COPY_SIZE + RECT_SIZE * (size_t)copy->n_rects);
    bytes_put(&w, copy->id, 4);
    bytes_put(&w, copy->flags, 4);
    bytes_put(&w, copy->generation, 8);
    bytes_put(&w, copy->source, 8);
    bytes_put(&w, copy->target, 8);
    bytes_put(&w, copy->source_stride, 4);
    bytes_put(&w, copy->target_stride, 4);
    bytes_put(&w, copy->n_rects, 4);
    bytes_put(&w, 0, 4);
    for (uint32_t i = 0; i < copy->n_rects; i++) {
        bytes_put(&w, copy->rects[i].x, 4);
        bytes_put(&w, copy->rects[i].y, 4);
        bytes_put(&w, copy->rects[i].width, 4);
        bytes_put(&w, copy->rects[i].height, 4);
    }
    return finish(&w, packet);
}

static size_t pair_encode(uint8_t *packet, enum export_type type, uint32_t serial, uint32_t value)
{
    struct bytes_writer w = begin(packet, type, serial, 8);
    bytes_put(&w, value, 4);
    bytes_put(&w, 0, 4);
    return finish(&w, packet);
}

size_t export_release_encode(uint8_t *packet, uint32_t serial, uint32_t id)
{
    return pair_encode(packet, EXPORT_RELEASE, serial, id);
}

size_t export_status_encode(uint8_t *packet, uint32_t serial, uint32_t status)
{
    return pair_encode(packet, EXPORT_STATUS, serial, status);
}

size_t export_gone_encode(uint8_t *packet, const struct export_gone *gone)
{
    struct bytes_writer w = begin(packet, EXPORT_GONE, 0, 16);
    bytes_put(&w, gone->id, 4);
    bytes_put(&w, 0, 4);
    bytes_put(&w, gone->generation, 8);
    return finish(&w, packet);
}

size_t export_reset_encode(uint8_t *packet, const struct export_reset *reset)
{
    struct bytes_writer w = begin(packet, EXPORT_RESET, 0, 16);
    bytes_put(&w, reset->epoch, 8);
    bytes_put(&w, reset->driver, 4);
    bytes_put(&w, 0, 4);
    return finish(&w, packet);
}

size_t export_offer_encode(uint8_t *packet, const struct export_offer *offer)
{
    struct bytes_writer w = begin(packet, EXPORT_OFFER, 0, EXPORT_TOKEN_SIZE + BUFFER_SIZE);
    bytes_put_data(&w, offer->token, sizeof(offer->token));
    buffer_put(&w, &offer->buffer);
    return finish(&w, packet);
}
