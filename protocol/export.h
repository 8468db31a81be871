/* SPDX-License-Identifier: MIT */
#pragma once
/* export: the packets between a VM's GPU device and wayvsock-host. docs/export.md tells the story;
 * this is the reference.
 *
 * A SOCK_SEQPACKET Unix socket; one packet is one message. Everything is little-endian. A packet is
 * a header {u32 size; u16 type; u16 zero; u32 serial} and exactly @size bytes of payload. Requests
 * have a serial that is not 0, the answer repeats it; events have serial 0. Reserved fields are
 * zero. Descriptors come with the packet that they belong to. */
#include <stddef.h>
#include <stdint.h>

#define EXPORT_MAGIC 0x58535657u /* "WVSX" */
#define EXPORT_VERSION_MIN 2     /* 1: the device was told the nonce, and its word was taken */
#define EXPORT_VERSION_MAX 2

#define EXPORT_HEADER_SIZE 12
#define EXPORT_PACKET_MAX 8192u
#define EXPORT_NONCE_SIZE 32
#define EXPORT_TOKEN_SIZE 32
#define EXPORT_PLANES_MAX 4
#define EXPORT_RECTS_MAX 256
#define EXPORT_TIMEOUT_MAX_MS 1000u
#define EXPORT_PENDING_MAX                                                                         \
    64 /* requests of one connection that wait for the guest's control queue */

enum export_type {
    EXPORT_HELLO = 1, /* request → WELCOME; the first packet */
    EXPORT_WELCOME,
    EXPORT_BIND,     /* request → BOUND: what does this resource begin with? */
    EXPORT_EXPORT,   /* request → EXPORTED */
    EXPORT_EXPORTED, /* with a descriptor, unless the kind is NONE */
    EXPORT_MIRROR,   /* request, with a memfd → STATUS: what COPY fills */
    EXPORT_COPY,     /* request → STATUS */
    EXPORT_RELEASE,  /* no answer: the client has let go of everything that it was given */
    EXPORT_STATUS,
    EXPORT_GONE,  /* event: the guest took the resource away; to be released soon */
    EXPORT_RESET, /* event: the guest's driver starts anew (or went away); every resource is gone */
    EXPORT_OFFER, /* event, with a descriptor: the device pushes a buffer; only with
                     EXPORT_FEATURE_OFFER */
    EXPORT_BOUND,
    _EXPORT_TYPE_N,
};

enum {
    EXPORT_FEATURE_UDMABUF = 1,     /* EXPORTED may come with a udmabuf over the guest's pages */
    EXPORT_FEATURE_COPY = 2,        /* MIRROR and COPY work */
    EXPORT_FEATURE_DMABUF = 4,      /* host memory (3D) may be exported */
    EXPORT_FEATURE_OFFER = 8,       /* the device pushes buffers */
    EXPORT_FEATURE_NEEDS_BIND = 16, /* EXPORT is refused before a BIND */
};

enum export_status {
    EXPORT_OK,
    EXPORT_UNKNOWN,  /* no such resource, also not within the time-out */
    EXPORT_UNMARKED, /* the guest has not shared it */
    EXPORT_EMPTY,    /* it has no memory */
    EXPORT_UNBOUND,  /* BIND comes first (again after RESET) */
    EXPORT_MISMATCH, /* other bytes than the client's: its own verdict on a BOUND */
    EXPORT_STALE,    /* the export is not held, its resource is gone or has other memory now */
    EXPORT_RANGE,    /* a rectangle leaves the resource or the mirror */
    EXPORT_MEMORY,   /* the mirror is no memfd sealed against shrinking, or too small */
    EXPORT_LIMIT,    /* too many exports or waiting requests */
    EXPORT_FAILED,   /* out of memory or descriptors */
    _EXPORT_STATUS_N,
};

/* HELLO {u32 magic; u16 version_min, version_max; u32 features, zero} */
struct export_hello {
    uint16_t version_min, version_max;
    uint32_t features; /* that the client understands */
};

/* WELCOME {u32 status; u16 version, zero; u32 features; u32 driver; u64 epoch; u64
 * udmabuf_size_limit; u32 udmabuf_list_limit, zero; u8 device[16]} */
struct export_welcome {
    uint32_t status;
    uint16_t version;
    uint32_t features;
    uint32_t driver;             /* 1: a guest's driver is there */
    uint64_t epoch;              /* counts the guest's resets */
    uint64_t udmabuf_size_limit; /* bytes in one udmabuf; 0: unknown */
    uint32_t udmabuf_list_limit; /* runs of pages in one udmabuf; 0: unknown */
    uint8_t device[16];          /* random, of the device's process */
};

/* BIND {u32 resource, timeout_ms; u64 zero} */
struct export_bind {
    uint32_t resource, timeout_ms;
};

/* BOUND {u32 status, zero; u8 found[32]}; all zero but the status where that is not OK. */
struct export_bound {
    uint32_t status;
    uint8_t found[EXPORT_NONCE_SIZE]; /* what the resource begins with */
};

/* EXPORT {u32 resource, timeout_ms; u64 zero} */
struct export_export {
    uint32_t resource, timeout_ms;
};

enum export_kind { EXPORT_KIND_NONE, EXPORT_KIND_UDMABUF, EXPORT_KIND_DMABUF, _EXPORT_KIND_N };
enum export_memory { EXPORT_MEMORY_GUEST = 1, EXPORT_MEMORY_HOST, _EXPORT_MEMORY_N };
/* Why guest memory came without a descriptor. */
enum export_reason {
    EXPORT_REASON_NONE,
    EXPORT_REASON_NO_UDMABUF, /* /dev/udmabuf is missing or not allowed */
    EXPORT_REASON_LIST_LIMIT, /* more runs of pages than the kernel's list_limit */
    EXPORT_REASON_SIZE_LIMIT, /* more bytes than the kernel's size_limit_mb */
    EXPORT_REASON_ALIGNMENT,  /* not whole pages */
    EXPORT_REASON_REFUSED,    /* the kernel refuses the VM's memory (its seals) */
    EXPORT_REASON_QUOTA,      /* the VM has descriptors for many times its memory already */
    _EXPORT_REASON_N,
};

/* {u32 id, kind; u64 generation, size; u32 memory, reason, runs, width, height, fourcc; u64
 * modifier; u32 n_planes, zero; u32 offset[4], stride[4]} */
struct export_buffer {
    uint32_t id;         /* of the export, for COPY and RELEASE; never reused on this connection */
    uint32_t kind;       /* enum export_kind */
    uint64_t generation; /* of the resource's memory; never reused by this device */
    uint64_t size;       /* bytes; whoever names a layout is checked against it */
    uint32_t memory;     /* enum export_memory */
    uint32_t reason;     /* enum export_reason */
    uint32_t runs;       /* contiguous pieces that the guest's memory is in */
    uint32_t width, height; /* as the guest created it; 0: a blob */
    uint32_t fourcc;   /* DRM_FORMAT_*; 0: unknown. Of the descriptor for kind DMABUF: the guest's
                          format has as many bits of each channel, and alpha or not as this one, but
                          maybe another order of them. Otherwise the guest's format, which COPY always
                          gives. */
    uint64_t modifier; /* LINEAR for guest memory */
    uint32_t n_planes; /* of the layout that follows; 0: the guest's own word is all there is */
    uint32_t offset[EXPORT_PLANES_MAX], stride[EXPORT_PLANES_MAX];
};

/* EXPORTED {u32 status, zero; buffer}; all zero but the status where that is not OK. */
struct export_exported {
    uint32_t status;
    struct export_buffer buffer;
};

/* MIRROR {u32 id, zero; u64 size} */
struct export_mirror {
    uint32_t id;
    uint64_t size; /* bytes of the memfd that are used */
};

/* COPY {u32 id, flags; u64 generation, source, target; u32 source_stride, target_stride, n_rects,
 * zero; rects}. A rectangle is {u32 x, y, width, height}, x and width in bytes, y and height in
 * rows. */
enum { EXPORT_TO_GUEST = 1 }; /* from the mirror into the resource: source is the mirror */
struct export_rect {
    uint32_t x, y, width, height;
};
struct export_copy {
    uint32_t id, flags;
    uint64_t generation;
    uint64_t source, target; /* where row 0 begins in either */
    uint32_t source_stride, target_stride;
    uint32_t n_rects;
    struct export_rect rects[EXPORT_RECTS_MAX];
};

/* RELEASE {u32 id, zero}   STATUS {u32 status, zero} */
/* GONE {u32 id, zero; u64 generation}   RESET {u64 epoch; u32 driver, zero} */
struct export_gone {
    uint32_t id;
    uint64_t generation;
};
struct export_reset {
    uint64_t epoch;
    uint32_t driver;
};

/* OFFER {u8 token[32]; buffer} */
struct export_offer {
    uint8_t token[EXPORT_TOKEN_SIZE];
    struct export_buffer buffer;
};

struct export_header {
    uint32_t size;
    uint16_t type;
    uint32_t serial;
};

/* What is wrong with a packet. */
enum {
    EXPORT_E_OK,
    EXPORT_E_TYPE = 1,
    EXPORT_E_SIZE,
    EXPORT_E_RESERVED,
    EXPORT_E_VALUE,
};

/* Looks at a whole packet; the payload begins at EXPORT_HEADER_SIZE. EXPORT_E_*. */
int export_header_decode(const uint8_t *packet, size_t size, struct export_header *ret);
/* Each takes the payload. EXPORT_E_*; outputs are written only when it is EXPORT_E_OK. */
int export_hello_decode(const uint8_t *payload, size_t size, struct export_hello *ret);
int export_welcome_decode(const uint8_t *payload, size_t size, struct export_welcome *ret);
int export_bind_decode(const uint8_t *payload, size_t size, struct export_bind *ret);
int export_bound_decode(const uint8_t *payload, size_t size, struct export_bound *ret);
int export_export_decode(const uint8_t *payload, size_t size, struct export_export *ret);
int export_exported_decode(const uint8_t *payload, size_t size, struct export_exported *ret);
int export_mirror_decode(const uint8_t *payload, size_t size, struct export_mirror *ret);
int export_copy_decode(const uint8_t *payload, size_t size, struct export_copy *ret);
int export_release_decode(const uint8_t *payload, size_t size, uint32_t *ret_id);
int export_status_decode(const uint8_t *payload, size_t size, uint32_t *ret_status);
int export_gone_decode(const uint8_t *payload, size_t size, struct export_gone *ret);
int export_reset_decode(const uint8_t *payload, size_t size, struct export_reset *ret);
int export_offer_decode(const uint8_t *payload, size_t size, struct export_offer *ret);

/* Each writes a whole packet into @packet (EXPORT_PACKET_MAX bytes) and returns its size. */
size_t export_hello_encode(uint8_t *packet, uint32_t serial, const struct export_hello *hello);
size_t export_welcome_encode(uint8_t *packet, uint32_t serial,
                             const struct export_welcome *welcome);
size_t export_bind_encode(uint8_t *packet, uint32_t serial, const struct export_bind *bind);
size_t export_bound_encode(uint8_t *packet, uint32_t serial, const struct export_bound *bound);
size_t export_export_encode(uint8_t *packet, uint32_t serial, const struct export_export *request);
size_t export_exported_encode(uint8_t *packet, uint32_t serial,
                              const struct export_exported *exported);
size_t export_mirror_encode(uint8_t *packet, uint32_t serial, const struct export_mirror *mirror);
size_t export_copy_encode(uint8_t *packet, uint32_t serial, const struct export_copy *copy);
size_t export_release_encode(uint8_t *packet, uint32_t serial, uint32_t id);
size_t export_status_encode(uint8_t *packet, uint32_t serial, uint32_t status);
size_t export_gone_encode(uint8_t *packet, const struct export_gone *gone);
size_t export_reset_encode(uint8_t *packet, const struct export_reset *reset);
size_t export_offer_encode(uint8_t *packet, const struct export_offer *offer);

/* Whether a device has shown the nonce: EXPORT_OK, EXPORT_MISMATCH, or why it could not look. */
uint32_t export_bound_verdict(const struct export_bound *bound,
                              const uint8_t nonce[EXPORT_NONCE_SIZE]);

/* For the log. */
const char *export_type_name(unsigned type);
const char *export_status_name(unsigned status);
const char *export_reason_name(unsigned reason);
