/* SPDX-License-Identifier: MIT */
#pragma once
/* render: the packets between a VM's GPU device and its renderer, a process that has nothing of the
 * VM. docs/gpu.md tells the story; this is the reference.
 *
 * A SOCK_SEQPACKET socket; one packet is one message. Everything is little-endian. A packet is a
 * header {u32 size; u16 type; u16 zero; u32 serial} and exactly @size bytes of payload. What the
 * device asks is done in its order. TRANSFER, SUBMIT and EXPORT have a serial that is not 0 and are
 * answered in that order, too; everything else has serial 0. Descriptors come with the packet that
 * they belong to.
 *
 * Pixels and drawing commands are in memory that both have: the device puts what it copied of the
 * guest's pages there, and takes from there what the guest gets. Ids of memory are given once. */
#include <stddef.h>
#include <stdint.h>

#define RENDER_MAGIC 0x52535657u /* "WVSR" */
#define RENDER_VERSION 1u

#define RENDER_HEADER_SIZE 12
#define RENDER_CAPSET_SIZE_MAX 4096u
#define RENDER_CAPSETS_MAX 8u
#define RENDER_CAPSET_VERSION_MAX 15u
#define RENDER_TEXT_SIZE 256u
#define RENDER_PACKET_MAX (RENDER_HEADER_SIZE + 16 + RENDER_CAPSET_SIZE_MAX)
#define RENDER_PLANES_MAX 4
#define RENDER_MEMORIES_MAX 65536u          /* that the renderer has at a time */
#define RENDER_MEMORY_SIZE_MAX (4ull << 30) /* bytes of one */
#define RENDER_CONTEXTS_MAX 256u
#define RENDER_RESOURCES_MAX 65536u
#define RENDER_WORDS_MAX (1u << 20) /* of one SUBMIT */

enum render_type {
    /* from the renderer: HELLO, CAPSETs, READY; or FAILED, and its end */
    RENDER_HELLO = 1,
    RENDER_CAPSET, /* and its bytes */
    RENDER_READY,
    RENDER_FAILED, /* why it cannot draw */
    RENDER_DONE,   /* of TRANSFER and SUBMIT */
    RENDER_FENCED,
    RENDER_EXPORTED, /* with a dmabuf where the status is OK */
    /* from the device */
    RENDER_MEMORY, /* with a memfd that cannot shrink */
    RENDER_FORGET, /* that memory */
    RENDER_CONTEXT_CREATE,
    RENDER_CONTEXT_DESTROY,
    RENDER_CONTEXT_ATTACH,
    RENDER_CONTEXT_DETACH,
    RENDER_RESOURCE_CREATE,
    RENDER_RESOURCE_DESTROY,
    RENDER_TRANSFER, /* → DONE */
    RENDER_SUBMIT,   /* → DONE */
    RENDER_FENCE,    /* → FENCED, once everything before it is drawn */
    RENDER_EXPORT,   /* → EXPORTED */
    _RENDER_TYPE_N,
};

enum render_status {
    RENDER_OK,
    RENDER_REFUSED, /* it makes no sense to the renderer, or there is no memory for it */
    _RENDER_STATUS_N,
};

/* HELLO {u32 magic, version, capsets, zero} */
struct render_hello {
    uint32_t version, capsets; /* how many packets CAPSET follow */
};

/* CAPSET {u32 id, version, version_max, zero} and the bytes of that version. The sets follow each
 * other, of each the versions 0 to @version_max, all of the same size. */
struct render_capset {
    uint32_t id, version, version_max;
};

/* READY {u64 zero} */

/* FAILED {u8 text[256]}, which ends with a zero. */
struct render_failed {
    char text[RENDER_TEXT_SIZE];
};

/* DONE {u32 status, zero} */
struct render_done {
    uint32_t status;
};

/* FENCE {u32 context, ring, number, zero} and FENCED {u32 number, zero}: numbers count up and
 * wrap, and the last one told stands for those before it. There is one ring yet, 0, which is that
 * of all contexts. */
struct render_fence {
    uint32_t context, ring, number;
};
struct render_fenced {
    uint32_t number;
};

/* How pixels lie in a descriptor's memory; the first row is the guest's first. */
struct render_layout {
    uint32_t fourcc; /* DRM_FORMAT_*, as the driver has it: the guest's may have another order */
    uint64_t modifier;
    uint32_t n_planes, offset[RENDER_PLANES_MAX], stride[RENDER_PLANES_MAX];
};

/* EXPORTED {u32 status, fourcc; u64 modifier; u32 n_planes, zero; u32 offset[4], stride[4]} */
struct render_exported {
    uint32_t status;
    struct render_layout layout;
};

/* MEMORY {u32 id, zero; u64 size}, FORGET {u32 id, zero} */
struct render_memory {
    uint32_t id; /* not 0, and none that was there before */
    uint64_t size;
};
struct render_id {
    uint32_t id;
};

/* CONTEXT_CREATE {u32 id, capset}: 0 (of its choice) or a set that it told */
struct render_context {
    uint32_t id, capset;
};

/* CONTEXT_ATTACH, CONTEXT_DETACH {u32 context, resource} */
struct render_attachment {
    uint32_t context, resource;
};

/* RESOURCE_CREATE {u32 × 11, zero}: as in virtio-gpu's command */
struct render_resource {
    uint32_t id, target, format, bind, width, height, depth, array_size, last_level, nr_samples,
        flags;
};

struct render_box {
    uint32_t x, y, z, width, height, depth;
};

/* A part of a memory. */
struct render_range {
    uint32_t memory;
    uint64_t offset, size;
};

/* TRANSFER {u32 resource, context, level, stride, layer_stride, to_renderer, x, y, z, width,
 * height, depth, memory, zero; u64 offset, size}: between a box of a resource's level and memory,
 * where row 0 is at its begin. @context: 0, or one that is there. */
struct render_transfer {
    uint32_t resource, context, level, stride, layer_stride, to_renderer;
    struct render_box box;
    struct render_range range;
};

/* SUBMIT {u32 context, memory; u64 offset, size}: drawing commands, whole words of 32 bits. */
struct render_submit {
    uint32_t context;
    struct render_range range;
};

/* EXPORT {u32 id, zero}: of a resource */

struct render_header {
    uint32_t size;
    uint16_t type;
    uint32_t serial;
};

enum { RENDER_E_OK, RENDER_E_TYPE, RENDER_E_SIZE, RENDER_E_RESERVED, RENDER_E_VALUE };

/* Whatever a packet says, decoded: the member that its type names. */
union render_message {
    struct render_hello hello;
    struct render_capset capset;
    struct render_failed failed;
    struct render_done done;
    struct render_fence fence;
    struct render_fenced fenced;
    struct render_exported exported;
    struct render_memory memory;
    struct render_id id; /* FORGET, CONTEXT_DESTROY, RESOURCE_DESTROY, EXPORT */
    struct render_context context;
    struct render_attachment attachment;
    struct render_resource resource;
    struct render_transfer transfer;
    struct render_submit submit;
};

const char *render_type_name(unsigned type);
/* Whether the renderer sends it, and not the device. */
int render_is_renderers(unsigned type);

/* Decodes a whole packet. Of CAPSET, the bytes are what is behind the fixed part: *ret_data, in
 * @packet. RENDER_E_*; on anything but OK nothing is written. */
int render_decode(const uint8_t *packet, size_t size, struct render_header *ret_header,
                  union render_message *ret_message, const uint8_t **ret_data,
                  uint32_t *ret_data_size);
/* Writes a packet of at most RENDER_PACKET_MAX bytes and returns its size. @data: the bytes of a
 * CAPSET, otherwise NULL and 0. */
size_t render_encode(uint8_t *packet, unsigned type, uint32_t serial,
                     const union render_message *message, const void *data, uint32_t data_size);
