/* SPDX-License-Identifier: MIT */
/* The samples have a value in every field, so that a field that is lost or moved is seen. */
#include "tests/unit/transport/link_samples.h"

const uint8_t key[LINK_KEY_SIZE] = {1, 2, 3, 0xff, 5, [31] = 32};

size_t encode_hello(uint8_t *buffer)
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

size_t encode_welcome(uint8_t *buffer)
{
    struct link_welcome welcome = {.version = 1, .features = 7, .name_size = 4, .name = "work"};
    memcpy(welcome.key, key, sizeof(key));
    return link_welcome_encode(buffer, &welcome);
}

size_t encode_error(uint8_t *buffer)
{
    return link_error_encode(buffer, LINK_ERROR_WAYLAND, 0xff000001u, 2, "bad pool");
}

size_t encode_ping(uint8_t *buffer)
{
    return link_ping_encode(buffer, 0x0123456789abcdefull);
}

size_t encode_pong(uint8_t *buffer)
{
    struct link_pong pong = {.serial = 5, .ns = {1, -2, INT64_MAX, INT64_MIN}};
    return link_pong_encode(buffer, &pong);
}

size_t encode_vfd(uint8_t *buffer)
{
    struct link_vfd vfd = {
        .id = LINK_HOST_ID | 3, .kind = LINK_VFD_MEMORY, .size = LINK_MEMORY_MAX};
    return link_vfd_encode(buffer, &vfd);
}

size_t encode_mem_write(uint8_t *buffer)
{
    struct link_mem_write write = {
        .id = 1, .row = 3, .rows = 2, .stride = 5, .offset = LINK_MEMORY_MAX};
    size_t n = link_mem_write_encode(buffer, &write);
    memset(buffer + n, 0xaa, 6); /* the data is the caller's */
    return n + 6;
}

size_t encode_mem_size(uint8_t *buffer)
{
    struct link_mem_size size = {9, 4096};
    return link_mem_size_encode(buffer, &size);
}

size_t encode_mem_punch(uint8_t *buffer)
{
    struct link_mem_punch punch = {9, 8192, LINK_MEMORY_MAX};
    return link_mem_punch_encode(buffer, &punch);
}

size_t encode_close(uint8_t *buffer)
{
    return link_id_encode(buffer, LINK_VFD_CLOSE, 0xfffffffeu);
}

static size_t encode_end(uint8_t *buffer)
{
    return link_id_encode(buffer, LINK_STREAM_END, 2);
}

size_t encode_credit(uint8_t *buffer)
{
    return link_stream_credit_encode(buffer, 2, UINT32_MAX);
}

size_t encode_probe(uint8_t *buffer)
{
    return link_probe_encode(buffer, key);
}

size_t encode_probed(uint8_t *buffer)
{
    return link_probed_encode(buffer, 0xfffffffeu);
}

size_t encode_bound(uint8_t *buffer)
{
    return link_bound_encode(buffer, false, "no device");
}

size_t encode_import(uint8_t *buffer)
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

size_t encode_copy(uint8_t *buffer)
{
    struct link_mem_copy copy = {{1, 3, 2, 5, LINK_MEMORY_MAX}, 4, 6, LINK_MEMORY_MAX};
    return link_mem_copy_encode(buffer, &copy);
}

static size_t encode_mem_import(uint8_t *buffer)
{
    struct link_mem_import import = {0xfffffffeu, 4, LINK_MEMORY_MAX};
    return link_mem_import_encode(buffer, &import);
}

static size_t encode_open(uint8_t *buffer)
{
    struct link_open open = {
        .type = LINK_SOCKET_SEQPACKET, .how = LINK_OPEN_CONNECT, .name_size = 5, .name = "sound"};
    return link_open_encode(buffer, &open);
}

static size_t encode_opened(uint8_t *buffer)
{
    struct link_opened opened = {1,       LINK_MEMORY_MIRROR, LINK_SIGNALS_TO_GUEST, 4,
                                 1 << 20, UINT32_MAX};
    return link_opened_encode(buffer, &opened);
}

static size_t encode_incoming(uint8_t *buffer)
{
    struct link_incoming incoming = {.ticket = 0x0123456789abcdefull,
                                     .type = LINK_SOCKET_DGRAM,
                                     .name_size = 5,
                                     .name = "agent"};
    return link_incoming_encode(buffer, &incoming);
}

static size_t encode_rejected(uint8_t *buffer)
{
    return link_rejected_encode(buffer, 0x0123456789abcdefull, "nobody is there");
}

static size_t encode_display(uint8_t *buffer)
{
    return link_display_encode(buffer, "/run/user/1000/wayland-0");
}

static size_t encode_form(uint8_t *buffer)
{
    struct link_vfd_form form = {0xfffffffeu, LINK_SEALS_ALL, LINK_ACCESS_BOTH, INT64_MAX};
    return link_vfd_form_encode(buffer, &form);
}

static size_t encode_ref(uint8_t *buffer)
{
    struct link_vfd_ref ref = {0xfffffffeu, LINK_REF_HOME_LAST, LINK_ACCESS_WRITE, UINT64_MAX - 1};
    return link_vfd_ref_encode(buffer, &ref);
}

static size_t encode_idle(uint8_t *buffer)
{
    struct link_vfd_idle idle = {0xfffffffeu, 3, UINT32_MAX, UINT64_MAX - 1};
    return link_vfd_idle_encode(buffer, &idle);
}

static size_t encode_gone(uint8_t *buffer)
{
    struct link_vfd_gone gone = {0xfffffffeu, UINT64_MAX - 1};
    return link_vfd_gone_encode(buffer, &gone);
}

static size_t encode_event(uint8_t *buffer)
{
    struct link_event event = {0xfffffffeu, UINT64_MAX - 1};
    return link_event_encode(buffer, &event);
}

static size_t encode_sharing(uint8_t *buffer)
{
    struct link_sharing sharing = {LINK_DMABUFS_ONCE, 1, 1};
    return link_sharing_encode(buffer, &sharing);
}

static size_t encode_imported(uint8_t *buffer)
{
    struct link_imported imported = {0xfffffffeu, LINK_IMPORTED_DRAWN};
    return link_imported_encode(buffer, &imported);
}

static size_t encode_role(uint8_t *buffer)
{
    struct link_mem_role_frame role = {0xfffffffeu, 0xfffffffdu, 0xfffffffcu, LINK_ROLE_PEER};
    return link_mem_role_encode(buffer, &role);
}

static size_t encode_cycle(uint8_t *buffer)
{
    struct link_cycle cycle = {0xfffffffeu, LINK_CYCLE_INACTIVE};
    return link_cycle_encode(buffer, &cycle);
}

static int decode_role(const void *p, size_t n)
{
    struct link_mem_role_frame role;
    return link_mem_role_decode(p, n, &role);
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

static int decode_mem_import(const void *p, size_t n)
{
    struct link_mem_import import;
    return link_mem_import_decode(p, n, &import);
}

#define DECODE(name)                                                                               \
    static int decode_##name(const void *p, size_t n)                                              \
    {                                                                                              \
        struct link_##name value;                                                                  \
        return link_##name##_decode(p, n, &value);                                                 \
    }
DECODE(open)
DECODE(opened)
DECODE(incoming)
DECODE(rejected)
DECODE(display)
DECODE(vfd_form)
DECODE(vfd_ref)
DECODE(vfd_idle)
DECODE(vfd_gone)
DECODE(event)
DECODE(sharing)
DECODE(imported)
DECODE(cycle)

const struct codec codecs[CODECS_N] = {
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
    {LINK_MEM_IMPORT, encode_mem_import, decode_mem_import},
    {LINK_OPEN, encode_open, decode_open},
    {LINK_OPENED, encode_opened, decode_opened},
    {LINK_INCOMING, encode_incoming, decode_incoming},
    {LINK_REJECTED, encode_rejected, decode_rejected},
    {LINK_DISPLAY, encode_display, decode_display},
    {LINK_VFD_FORM, encode_form, decode_vfd_form},
    {LINK_VFD_REF, encode_ref, decode_vfd_ref},
    {LINK_VFD_IDLE, encode_idle, decode_vfd_idle},
    {LINK_VFD_GONE, encode_gone, decode_vfd_gone},
    {LINK_EVENT, encode_event, decode_event},
    {LINK_SHARING, encode_sharing, decode_sharing},
    {LINK_IMPORTED, encode_imported, decode_imported},
    {LINK_MEM_ROLE, encode_role, decode_role},
    {LINK_CYCLE, encode_cycle, decode_cycle},
};

const struct codec *codec_of(enum link_type type)
{
    for (size_t i = 0; i < sizeof(codecs) / sizeof(*codecs); i++)
        if (codecs[i].type == type)
            return &codecs[i];
    fail_msg("no codec for type %d", (int)type);
    return NULL;
}

int decode_exact(const struct codec *codec, const uint8_t *payload, size_t have, size_t size)
{
    uint8_t *exact = malloc(size ? size : 1);
    assert_non_null(exact);
    memset(exact, 0, size);
    memcpy(exact, payload, have < size ? have : size);
    int result = codec->decode(exact, size);
    free(exact);
    return result;
}
