/* SPDX-License-Identifier: MIT */
#pragma once
/* frames: the wire format between the two proxies. docs/protocol.md tells the story; this is the
 * reference.
 *
 * Everything is little-endian. A frame is a header {u32 size; u16 type; u16 zero} and @size bytes
 * of payload. Sizes are exact: a payload that is shorter or longer than its fields is an error.
 * Reserved fields are zero. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LINK_MAGIC 0x4b535657u /* "WVSK" */
#define LINK_VERSION_MIN 1
#define LINK_VERSION_MAX 1

#define LINK_HEADER_SIZE 8
#define LINK_KEY_SIZE 32                 /* the session key */
#define LINK_INSTANCE_SIZE 16            /* what a guest daemon made up at its start */
#define LINK_PROOF_MAX 1024              /* a token or a session key */
#define LINK_LABEL_MAX 64                /* a name for the log */
#define LINK_TEXT_MAX 1024               /* an ERROR's text */
#define LINK_WAYLAND_MAX (256u << 10)    /* Wayland bytes in one frame */
#define LINK_STREAM_MAX (256u << 10)     /* stream bytes in one frame */
#define LINK_DATA_MAX ((256u << 10) - 4) /* bytes of a service in one frame */
#define LINK_DATA_VFDS_MAX 253           /* descriptors with them: as the kernel's SCM_MAX_FD */
#define LINK_NAME_MAX 32                 /* a service's name */
#define LINK_DISPLAY_MAX 108             /* the path of a display's socket */
#define LINK_DELTA_MAX (64u << 10)       /* bytes of changes in one frame */
#define LINK_MIRROR_MAX (64u << 20)      /* bytes of one memory that is mirrored */
#define LINK_STREAM_WINDOW                                                                         \
    (512u << 10)                     /* bytes that may be sent on a new stream before any credit */
#define LINK_MEMORY_MAX (1ull << 31) /* a wl_shm pool's size is an int32 */
#define LINK_FILE_MAX                                                                              \
    (32u << 20) /* wp_color_management_v1's cap for ICC files, the largest we know */
#define LINK_HOST_ID 0x80000000u /* set in ids that the host makes */
#define LINK_TICK_MS 2000        /* one heartbeat */
#define LINK_NONCE_SIZE 32       /* what a PROBE asks for */
#define LINK_PROBES_MAX                                                                            \
    16 /* PROBED frames that answer one PROBE: a guest may have several GPUs                       \
        */

enum { /* bits of HELLO and WELCOME; unknown ones are ignored */
       /* HELLO: the guest has a GPU of the kind that the host could look into. WELCOME: a PROBE or
          a BOUND follows at once. */
       LINK_FEATURE_HANDLES = 1,
       /* HELLO: this is a trial, which takes nobody's place. */
       LINK_FEATURE_TRIAL = 2,
       /* HELLO: the guest may ask for services. WELCOME: it may. */
       LINK_FEATURE_SERVICES = 4,
       /* HELLO: an instance is behind the label. WELCOME: the host knows daemons by it. */
       LINK_FEATURE_INSTANCE = 8,
       /* WELCOME: the host takes a DISPLAY. */
       LINK_FEATURE_DISPLAY = 16,
       /* HELLO: the guest understands SHARING. */
       LINK_FEATURE_SHARING = 32,
};

enum link_type {
    LINK_HELLO = 1, /* both roles, guest → host, first frame of a connection */
    LINK_WELCOME,   /* host → guest, answer to a control connection's HELLO */
    LINK_ERROR,     /* either: the sender ends the connection for this reason */
    LINK_PING,      /* control connection, either */
    LINK_PONG,      /* control connection, either */
    LINK_WAYLAND,   /* whole Wayland messages */
    LINK_END,       /* the Wayland connection ended on the sender's side; streams may go on */
    LINK_VFD,       /* a descriptor for the next Wayland message that takes one */
    LINK_VFD_CLOSE, /* memory: not referred to any more; stream: the reader is gone */
    LINK_MEM_WRITE, /* rows of bytes into memory (or a file) */
    LINK_MEM_SIZE,  /* memory grows */
    LINK_MEM_PUNCH, /* bytes of memory that are not held any more */
    LINK_STREAM_DATA,
    LINK_STREAM_CREDIT,  /* the reader took bytes: so many more may be sent */
    LINK_STREAM_END,     /* the writer is done */
    LINK_PROBE,          /* control, host → guest: write this nonce into a resource of your GPU */
    LINK_PROBED,         /* control, guest → host: it is in this one */
    LINK_BOUND,          /* control, host → guest: whether resources may be named from now on */
    LINK_IMPORT,         /* client, guest → host: a number for a resource of the guest's GPU */
    LINK_IMPORT_RELEASE, /* client, guest → host: it will not be named again */
    LINK_IMPORT_RELEASED, /* client, host → guest: nobody looks into it any more */
    LINK_MEM_COPY,   /* client, either: rows of memory are (to be) copied from or to a resource */
    LINK_MEM_IMPORT, /* client, guest → host: memory that is a resource of the guest's GPU */
    LINK_OPEN,       /* service, guest → host, after HELLO: what the connection is to be */
    LINK_OPENED,     /* service, host → guest: it is open, and what it may carry */
    LINK_INCOMING,   /* control, host → guest: somebody connected to a service of the guest's */
    LINK_REJECTED,   /* control, guest → host: nobody serves that, or not now */
    LINK_VFD_FORM,   /* service, either: how a FILE is to look besides its content */
    LINK_DATA,       /* service, either: bytes of the connection, and who of its VFDs begin there */
    LINK_VFD_REF,    /* service, either: in place of a VFD: one that crossed before */
    LINK_VFD_IDLE,   /* service, either: nobody here has what came as that VFD any more */
    LINK_VFD_GONE,   /* service, either: the answer: it will not be named again */
    LINK_MEM_DELTA,  /* service, either: bytes of a mirror that changed */
    LINK_EVENT,      /* service, either: an eventfd was signalled */
    LINK_DISPLAY,    /* control, guest → host: where the guest's applications find this daemon */
    LINK_SHARING,    /* service, host → guest, before OPENED: what may be more than a copy */
    LINK_IMPORTED,   /* service, host → guest: whether an IMPORT's memory can be handed out */
    LINK_MEM_ROLE,   /* service, host → guest: what a mirror is for, and who writes to it */
    LINK_CYCLE,      /* service, guest → host: how far a node is with what it was woken for */
    _LINK_TYPE_N,
};

struct link_header {
    uint32_t size;
    uint16_t type;
};

enum link_role { LINK_ROLE_CONTROL = 1, LINK_ROLE_CLIENT = 2, LINK_ROLE_SERVICE = 3 };

enum link_proof {
    LINK_PROOF_NONE,       /* the transport says it all (privileged source port) */
    LINK_PROOF_TOKEN,      /* control: the VM's token */
    LINK_PROOF_DESCRIPTOR, /* control, Unix sockets: a descriptor came along */
    LINK_PROOF_KEY,        /* client, service: the session key from WELCOME */
    _LINK_PROOF_N,
};

/* HELLO  guest → host: {u32 magic; u16 version_min, version_max; u32 features; u16 role,
 * proof_kind; u16 proof_size, label_size; proof; label; with FEATURE_INSTANCE u8 instance[16]} */
struct link_hello {
    uint16_t version_min, version_max;
    uint32_t features;
    uint16_t role, proof_kind;
    uint16_t proof_size, label_size;
    const uint8_t *proof;    /* into the frame */
    const char *label;       /* into the frame, not terminated; printable ASCII */
    const uint8_t *instance; /* into the frame; NULL without the feature */
};

/* WELCOME  host → guest: {u16 version, zero; u32 features; u8 key[32]; u16 name_size, zero; name}
 */
struct link_welcome {
    uint16_t version;
    uint32_t features;
    uint8_t key[LINK_KEY_SIZE];
    uint16_t name_size;
    const char *name; /* what the host calls this VM */
};

enum link_error {
    LINK_ERROR_PROTOCOL = 1, /* the peer broke this protocol */
    LINK_ERROR_VERSION,      /* no common version */
    LINK_ERROR_REFUSED,      /* not authenticated, or not named */
    LINK_ERROR_LIMIT,        /* a quota is exceeded */
    LINK_ERROR_WAYLAND,      /* the client gets wl_display.error with @object, @wl_code */
    LINK_ERROR_COMPOSITOR,   /* no compositor, or it went away */
    LINK_ERROR_INTERNAL,     /* out of memory or descriptors */
    LINK_ERROR_BUSY,         /* the answer to a trial: no place is free */
    _LINK_ERROR_N,
};

/* ERROR  either: {u16 code, text_size; u32 object; u32 wl_code; text} */
struct link_error_frame {
    uint16_t code, text_size;
    uint32_t object, wl_code;
    const char *text; /* into the frame, not terminated */
};

/* The clocks that PONG tells, in this order. */
enum link_clock {
    LINK_CLOCK_REALTIME,
    LINK_CLOCK_MONOTONIC,
    LINK_CLOCK_MONOTONIC_RAW,
    LINK_CLOCK_BOOTTIME,
    _LINK_CLOCK_N
};

/* PING {u64 serial}   PONG {u64 serial; i64 nanoseconds[4]} */
struct link_pong {
    uint64_t serial;
    int64_t ns[_LINK_CLOCK_N];
};

enum link_vfd_kind {
    LINK_VFD_MEMORY = 1,
    LINK_VFD_FILE,
    LINK_VFD_STREAM,
    LINK_VFD_SOCKET, /* services: @flags is its type, @size the ticket of its connection */
    LINK_VFD_MIRROR, /* services: memory of @size bytes, all zero until MEM_DELTA says otherwise */
    LINK_VFD_EVENT,  /* services: an eventfd; @size is its value, if signals come from the sender */
    LINK_VFD_SHARED, /* services, guest → host: the memory of the import @size */
    LINK_VFD_SYNC,   /* services: a sync file that has been signalled */
    _LINK_VFD_KIND_N
};
enum {
    LINK_VFD_SINK = 1,      /* stream: data flows to the sender of the VFD (it holds the reading
                               application's descriptor) */
    LINK_VFD_SOURCE = 2,    /* stream: data flows from the sender of the VFD */
    LINK_VFD_SEMAPHORE = 4, /* event (which has SINK or SOURCE, for its signals): EFD_SEMAPHORE */
    LINK_VFD_NONBLOCK = 8,  /* event: O_NONBLOCK */
    LINK_VFD_WRITABLE = 1,  /* mirror: the receiver may write as well */
};

/* VFD {u32 id; u16 kind, flags; u64 size}. Ids count up from 1 (host: LINK_HOST_ID + 1) without
 * gaps and are never used again; a memory id that exists already stands for the same file once
 * more. */
struct link_vfd {
    uint32_t id;
    uint16_t kind, flags;
    uint64_t size;
};

/* MEM_WRITE {u32 id, row, rows, stride; u64 offset; row × rows bytes}. stride ≥ row, and every byte
 * is within the memory. */
struct link_mem_write {
    uint32_t id, row, rows, stride;
    uint64_t offset;
};
#define LINK_MEM_WRITE_SIZE 24
#define LINK_STREAM_DATA_SIZE 4

/* MEM_SIZE {u32 id, zero; u64 size}   MEM_PUNCH {u32 id, zero; u64 offset; u64 length} */
struct link_mem_size {
    uint32_t id;
    uint64_t size;
};
struct link_mem_punch {
    uint32_t id;
    uint64_t offset, length;
};
/* VFD_CLOSE, STREAM_END {u32 id}   STREAM_CREDIT {u32 id; u32 bytes}   STREAM_DATA {u32 id; bytes}
 */
struct link_stream_credit {
    uint32_t id, bytes;
};

/* PROBE {u8 nonce[32]}   PROBED {u32 resource, zero}: 0: there is none   BOUND {u16 bound,
 * text_size; text}: bound is 0 or 1, the text says why not */
struct link_bound {
    bool bound;
    uint16_t text_size;
    const char *text; /* into the frame, not terminated */
};

/* IMPORT {u32 id, resource; u64 size}. Ids count up from 1, per connection, and are never used
 * again. */
struct link_import {
    uint32_t id, resource;
    uint64_t size; /* bytes, from its beginning, that copies may name */
};

/* MEM_COPY {u32 id, row, rows, stride; u64 offset; u32 import, source_stride; u64 source_offset}.
 * As MEM_WRITE, whose bytes are the rows at source_offset in the import. */
struct link_mem_copy {
    struct link_mem_write to;
    uint32_t import, source_stride;
    uint64_t source_offset;
};

/* MEM_IMPORT {u32 id, import; u64 size}: new memory, whose bytes are those of the import from its
 * first on. @id is made like that of a VFD; the VFD that hands it to a message follows. */
struct link_mem_import {
    uint32_t id, import;
    uint64_t size;
};

/* IMPORT_RELEASE, IMPORT_RELEASED {u32 id} */

enum link_socket_type {
    LINK_SOCKET_STREAM,
    LINK_SOCKET_SEQPACKET,
    LINK_SOCKET_DGRAM,
    _LINK_SOCKET_TYPE_N
};

enum link_open_how {
    LINK_OPEN_CONNECT = 1, /* to the service of this name; no ticket */
    LINK_OPEN_ACCEPT,      /* the answer to the INCOMING with this ticket; no name */
    LINK_OPEN_ATTACH,      /* the socket that a VFD with this ticket stands for; no name */
    _LINK_OPEN_N
};

/* OPEN {u16 type, how, name_size, zero; u64 ticket; name}. A name has letters, digits and "._-". */
#define LINK_HOST_TICKET (1ull << 63) /* set in tickets that the host makes */
struct link_open {
    uint16_t type, how, name_size;
    uint64_t ticket;
    const char *name; /* into the frame, not terminated */
};

enum link_memory { LINK_MEMORY_REFUSED, LINK_MEMORY_ONCE, LINK_MEMORY_MIRROR, _LINK_MEMORY_N };
enum link_signals {
    LINK_SIGNALS_NONE,
    LINK_SIGNALS_TO_HOST,
    LINK_SIGNALS_TO_GUEST,
    _LINK_SIGNALS_N
};

/* OPENED {u16 files, memory, eventfds, depth; u32 mirror, mirrors}. What the host's configuration
 * says of descriptors; until it is there the guest's daemon sends none. */
struct link_opened {
    uint16_t files;    /* 1: by content */
    uint16_t memory;   /* enum link_memory: what is not sealed against writing */
    uint16_t eventfds; /* enum link_signals: which way all of them go */
    uint16_t depth;    /* how deep sockets in sockets may go from here; 0: none may come */
    uint32_t mirror;   /* bytes that one memory may have to be mirrored */
    uint32_t mirrors;  /* all of the connection's */
};

enum link_dmabufs { LINK_DMABUFS_REFUSED, LINK_DMABUFS_SHARE, LINK_DMABUFS_ONCE, _LINK_DMABUFS_N };

/* SHARING {u16 dmabufs, memory, sync_files, zero}. Without it (FEATURE_SHARING), nothing of it. */
struct link_sharing {
    uint16_t dmabufs;    /* enum link_dmabufs */
    uint16_t memory;     /* 1: what OPENED says is mirrored is the same memory where that can be */
    uint16_t sync_files; /* 1: signalled ones, either way */
};

enum link_imported_as {
    LINK_IMPORTED_NOT,    /* it can be copied */
    LINK_IMPORTED_SHARED, /* a VFD may name it, once */
    LINK_IMPORTED_DRAWN,  /* its bytes are not in the guest's memory, and cannot be had either */
    _LINK_IMPORTED_N
};

/* IMPORTED {u32 id; u16 how, zero}: the answer to an IMPORT. */
struct link_imported {
    uint32_t id;
    uint16_t how; /* enum link_imported_as */
};

/* INCOMING {u64 ticket; u16 type, name_size; name}   REJECTED {u64 ticket; u16 text_size, zero;
 * text} */
struct link_incoming {
    uint64_t ticket;
    uint16_t type, name_size;
    const char *name; /* into the frame, not terminated */
};
struct link_rejected {
    uint64_t ticket;
    uint16_t text_size;
    const char *text; /* into the frame, not terminated */
};

/* DISPLAY {u16 path_size, zero; path}. For people; printable ASCII. */
struct link_display {
    uint16_t path_size;
    const char *path; /* into the frame, not terminated */
};

enum { /* as F_SEAL_… and O_ACCMODE, which other kernels may number otherwise */
       LINK_SEAL_SEAL = 1,
       LINK_SEAL_SHRINK = 2,
       LINK_SEAL_GROW = 4,
       LINK_SEAL_WRITE = 8,
       LINK_SEAL_FUTURE_WRITE = 16,
       LINK_SEAL_EXEC = 32,
       LINK_SEALS_ALL = 63,
};
enum link_access { LINK_ACCESS_READ = 1, LINK_ACCESS_WRITE = 2, LINK_ACCESS_BOTH = 3 };

/* VFD_FORM {u32 id; u16 seals, access; u64 offset}: of a FILE or a MIRROR that nobody has taken. */
struct link_vfd_form {
    uint32_t id;
    uint16_t seals, access;
    uint64_t offset; /* that reading begins at */
};

enum {
    LINK_DATA_END = 1, /* the packet ends with these bytes; never on streams */
};

/* DATA {u16 vfds, flags; bytes}. @vfds of the VFDs that came belong to the first of these bytes (of
 * a packet: to its first frame). Bytes count against the credit of stream 0, whose STREAM_END is
 * that the writer is done. Without bytes only as a packet's end. */
struct link_data {
    uint16_t vfds, flags;
};
#define LINK_DATA_SIZE 4

/* A descriptor of the same tree of connections that crossed before is named by the VFD that it was
 * then: the ticket of the connection that it came on (0: the service's own), and its id there. */
enum link_ref_how {
    LINK_REF_AGAIN = 1, /* the sender's own, once more */
    LINK_REF_HOME,      /* the receiver's own, which comes back */
    LINK_REF_HOME_LAST, /* the same, and nobody on the sender's side has it any more */
    _LINK_REF_N
};

/* VFD_REF {u32 id; u16 how, access; u64 ticket}. @access: of memory and files, as it was opened
 * there; else 0. */
struct link_vfd_ref {
    uint32_t id;
    uint16_t how, access;
    uint64_t ticket;
};

/* VFD_IDLE {u32 id, passes, homes, zero; u64 ticket}: by who received it: so often it came, so
 * often it went home. Who sent as often and got it back as often lets go of it, and says VFD_GONE
 * where it could be sent AGAIN (mirrors, shared memory). VFD_GONE {u32 id, zero; u64 ticket} */
struct link_vfd_idle {
    uint32_t id, passes, homes;
    uint64_t ticket;
};
struct link_vfd_gone {
    uint32_t id;
    uint64_t ticket;
};

/* MEM_DELTA {u32 id, zero; blocks}. A block: u32 number, of 64 bytes each; u64: which of them (bit
 * 0: the first); those. Numbers ascend. */
#define LINK_DELTA_SIZE 8
#define LINK_DELTA_BLOCK 64

/* EVENT {u32 id, zero; u64 value}: is added to the eventfd, after all MEM_DELTA before it. */
struct link_event {
    uint32_t id;
    uint64_t value;
};

enum link_mem_role {
    LINK_ROLE_SHOWN = 1, /* the host writes; what the guest writes stays there */
    LINK_ROLE_SHARED,    /* both do */
    LINK_ROLE_NODE,      /* the record of a node of the guest's, which @event wakes */
    LINK_ROLE_PEER,      /* the record of a node that is triggered by @event once @node is done */
    _LINK_MEM_ROLE_N
};

/* MEM_ROLE {u32 id, event, node; u16 role, zero}: of a mirror that the host sent as @id. @event: of
 * an eventfd's VFD, and @node: the host's number for a node; 0 where the role has none. */
struct link_mem_role_frame {
    uint32_t id, event, node;
    uint16_t role;
};

enum link_cycle_state {
    LINK_CYCLE_DONE = 1,  /* with all that it was woken for */
    LINK_CYCLE_ACTIVE,    /* it can be woken from now on */
    LINK_CYCLE_INACTIVE,  /* and no more */
    LINK_CYCLE_TRIGGERED, /* by its own program, for which it waits like for others */
    _LINK_CYCLE_N
};

/* CYCLE {u32 node; u16 state, zero}. After all MEM_DELTA before it. */
struct link_cycle {
    uint32_t node;
    uint16_t state;
};

enum { /* what decoding may answer */
       LINK_OK,
       LINK_E_TYPE,     /* unknown frame type */
       LINK_E_SIZE,     /* size outside the type's bounds, or not what the fields say */
       LINK_E_RESERVED, /* a reserved field is not zero */
       LINK_E_VALUE,    /* a field has a value that it cannot have */
};

/* Decoders take a whole payload and check everything that needs no state. They return LINK_OK or
 * LINK_E_*. */
int link_header_decode(const uint8_t bytes[LINK_HEADER_SIZE], struct link_header *ret);
int link_hello_decode(const void *payload, size_t size, struct link_hello *ret);
int link_welcome_decode(const void *payload, size_t size, struct link_welcome *ret);
int link_error_decode(const void *payload, size_t size, struct link_error_frame *ret);
int link_ping_decode(const void *payload, size_t size, uint64_t *ret_serial);
int link_pong_decode(const void *payload, size_t size, struct link_pong *ret);
int link_vfd_decode(const void *payload, size_t size, struct link_vfd *ret);
/* @size is that of the whole payload; the first LINK_MEM_WRITE_SIZE bytes are looked at. */
int link_mem_write_decode(const void *payload, size_t size, struct link_mem_write *ret);
int link_mem_size_decode(const void *payload, size_t size, struct link_mem_size *ret);
int link_mem_punch_decode(const void *payload, size_t size, struct link_mem_punch *ret);
int link_id_decode(const void *payload, size_t size, uint32_t *ret_id);
int link_stream_credit_decode(const void *payload, size_t size, struct link_stream_credit *ret);
int link_probe_decode(const void *payload, size_t size, uint8_t ret_nonce[LINK_NONCE_SIZE]);
int link_probed_decode(const void *payload, size_t size, uint32_t *ret_resource);
int link_bound_decode(const void *payload, size_t size, struct link_bound *ret);
int link_import_decode(const void *payload, size_t size, struct link_import *ret);
int link_mem_copy_decode(const void *payload, size_t size, struct link_mem_copy *ret);
int link_mem_import_decode(const void *payload, size_t size, struct link_mem_import *ret);
int link_open_decode(const void *payload, size_t size, struct link_open *ret);
int link_opened_decode(const void *payload, size_t size, struct link_opened *ret);
int link_incoming_decode(const void *payload, size_t size, struct link_incoming *ret);
int link_rejected_decode(const void *payload, size_t size, struct link_rejected *ret);
int link_display_decode(const void *payload, size_t size, struct link_display *ret);
int link_vfd_form_decode(const void *payload, size_t size, struct link_vfd_form *ret);
/* The bytes are what is behind the first LINK_DATA_SIZE of the payload. */
int link_data_decode(const void *payload, size_t size, struct link_data *ret);
int link_vfd_ref_decode(const void *payload, size_t size, struct link_vfd_ref *ret);
int link_vfd_idle_decode(const void *payload, size_t size, struct link_vfd_idle *ret);
int link_vfd_gone_decode(const void *payload, size_t size, struct link_vfd_gone *ret);
/* The blocks, which nobody has looked at, are behind the first LINK_DELTA_SIZE of the payload. */
int link_mem_delta_decode(const void *payload, size_t size, uint32_t *ret_id);
int link_event_decode(const void *payload, size_t size, struct link_event *ret);
int link_sharing_decode(const void *payload, size_t size, struct link_sharing *ret);
int link_imported_decode(const void *payload, size_t size, struct link_imported *ret);
int link_mem_role_decode(const void *payload, size_t size, struct link_mem_role_frame *ret);
int link_cycle_decode(const void *payload, size_t size, struct link_cycle *ret);

/* Encoders write header and payload into @buffer and return the number of bytes; sizes beyond the
 * caps are cut (texts) or the caller's mistake (asserted). MEM_WRITE, MEM_DELTA, STREAM_DATA and
 * DATA write what comes before the data, and count it in. */
#define LINK_FRAME_SMALL_MAX                                                                       \
    (LINK_HEADER_SIZE + 20 + LINK_PROOF_MAX + LINK_LABEL_MAX + LINK_INSTANCE_SIZE)
size_t link_header_encode(uint8_t *buffer, enum link_type type, size_t payload_size);
size_t link_hello_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], const struct link_hello *hello);
size_t link_welcome_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX],
                           const struct link_welcome *welcome);
size_t link_error_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], enum link_error code,
                         uint32_t object, uint32_t wl_code, const char *text);
size_t link_ping_encode(uint8_t *buffer, uint64_t serial);
size_t link_pong_encode(uint8_t *buffer, const struct link_pong *pong);
size_t link_vfd_encode(uint8_t *buffer, const struct link_vfd *vfd);
size_t link_mem_write_encode(uint8_t *buffer, const struct link_mem_write *write);
size_t link_mem_size_encode(uint8_t *buffer, const struct link_mem_size *size);
size_t link_mem_punch_encode(uint8_t *buffer, const struct link_mem_punch *punch);
size_t link_id_encode(uint8_t *buffer, enum link_type type, uint32_t id);
size_t link_stream_data_encode(uint8_t *buffer, uint32_t id, size_t data_size);
size_t link_stream_credit_encode(uint8_t *buffer, uint32_t id, uint32_t bytes);
size_t link_probe_encode(uint8_t *buffer, const uint8_t nonce[LINK_NONCE_SIZE]);
size_t link_probed_encode(uint8_t *buffer, uint32_t resource);
size_t link_bound_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], bool bound, const char *text);
size_t link_import_encode(uint8_t *buffer, const struct link_import *import);
size_t link_mem_copy_encode(uint8_t *buffer, const struct link_mem_copy *copy);
size_t link_mem_import_encode(uint8_t *buffer, const struct link_mem_import *import);
size_t link_open_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], const struct link_open *open);
size_t link_opened_encode(uint8_t *buffer, const struct link_opened *opened);
size_t link_incoming_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX],
                            const struct link_incoming *incoming);
size_t link_rejected_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], uint64_t ticket,
                            const char *text);
/* @path is not empty. */
size_t link_display_encode(uint8_t buffer[LINK_FRAME_SMALL_MAX], const char *path);
size_t link_vfd_form_encode(uint8_t *buffer, const struct link_vfd_form *form);
size_t link_data_encode(uint8_t *buffer, const struct link_data *data, size_t data_size);
size_t link_vfd_ref_encode(uint8_t *buffer, const struct link_vfd_ref *ref);
size_t link_vfd_idle_encode(uint8_t *buffer, const struct link_vfd_idle *idle);
size_t link_vfd_gone_encode(uint8_t *buffer, const struct link_vfd_gone *gone);
size_t link_mem_delta_encode(uint8_t *buffer, uint32_t id, size_t data_size);
size_t link_event_encode(uint8_t *buffer, const struct link_event *event);
size_t link_sharing_encode(uint8_t *buffer, const struct link_sharing *sharing);
size_t link_imported_encode(uint8_t *buffer, const struct link_imported *imported);
size_t link_mem_role_encode(uint8_t *buffer, const struct link_mem_role_frame *role);
size_t link_cycle_encode(uint8_t *buffer, const struct link_cycle *cycle);

const char *link_type_name(unsigned type);
const char *link_decode_error_name(int error);
const char *link_error_name(enum link_error error);
