/* SPDX-License-Identifier: MIT */
#pragma once
/* attacker: the other proxy, replaced by somebody who may send any frame, for the tests of what one
 * relay does about it. */
#include "tests/unit/wayland/relays.h"

enum { REGISTRY = 2, SHM, DATA, SEAT, NEXT };

/* What is sent as the other proxy. */
static uint8_t bytes[6 << 20];
static size_t n_bytes;

static inline void put_wayland(size_t n, const uint8_t *messages)
{
    n_bytes += link_header_encode(bytes + n_bytes, LINK_WAYLAND, n);
    memcpy(bytes + n_bytes, messages, n);
    n_bytes += n;
}

#define MESSAGE(...)                                                                               \
    do {                                                                                           \
        uint8_t message_[1024];                                                                    \
        put_wayland(put_message(message_, __VA_ARGS__), message_);                                 \
    } while (0)

static inline void vfd(uint32_t id, uint16_t kind, uint16_t flags, uint64_t size)
{
    n_bytes += link_vfd_encode(bytes + n_bytes, &(struct link_vfd){id, kind, flags, size});
}

static inline void memory(uint32_t id, uint64_t size)
{
    vfd(id, LINK_VFD_MEMORY, 0, size);
}

static inline void sink(uint32_t id)
{
    vfd(id, LINK_VFD_STREAM, LINK_VFD_SINK, 0);
}

static inline void source(uint32_t id)
{
    vfd(id, LINK_VFD_STREAM, LINK_VFD_SOURCE, 0);
}

static inline void mem_write(uint32_t id, uint64_t offset, uint32_t row, uint32_t rows,
                             uint32_t stride)
{
    n_bytes += link_mem_write_encode(bytes + n_bytes,
                                     &(struct link_mem_write){id, row, rows, stride, offset});
    memset(bytes + n_bytes, 0x77, (size_t)row * rows);
    n_bytes += (size_t)row * rows;
}

static inline void mem_size(uint32_t id, uint64_t size)
{
    n_bytes += link_mem_size_encode(bytes + n_bytes, &(struct link_mem_size){id, size});
}

static inline void punch(uint32_t id, uint64_t offset, uint64_t length)
{
    n_bytes += link_mem_punch_encode(bytes + n_bytes, &(struct link_mem_punch){id, offset, length});
}

static inline void with_id(enum link_type type, uint32_t id)
{
    n_bytes += link_id_encode(bytes + n_bytes, type, id);
}

static inline void credit(uint32_t id, uint32_t n)
{
    n_bytes += link_stream_credit_encode(bytes + n_bytes, id, n);
}

static inline void data(uint32_t id, size_t n)
{
    n_bytes += link_stream_data_encode(bytes + n_bytes, id, n);
    memset(bytes + n_bytes, 0x55, n);
    n_bytes += n;
}

static inline void empty(enum link_type type)
{
    n_bytes += link_header_encode(bytes + n_bytes, type, 0);
}

static inline void create_pool(int32_t size)
{
    MESSAGE(SHM, SHM_CREATE_POOL, "uu", NEXT, size);
}

static inline void ready(void)
{
    n_bytes = 0;
}

static inline void deliver(void)
{
    struct wire *w = &R.link;
    wire_send_fds(w, bytes, n_bytes, NULL, 0);
    ready();
}

/* --- the other end of the link --- */

static inline bool next_frame(struct link_header *ret, const uint8_t **ret_payload)
{
    struct wire *w = &R.link;
    wire_receive(w);
    if (w->n < LINK_HEADER_SIZE)
        return false;
    assert_int_equal(link_header_decode(w->in + w->first, ret),
                     LINK_OK); /* it never sends nonsense itself */
    if (w->n < LINK_HEADER_SIZE + ret->size)
        return false;
    *ret_payload = w->in + w->first + LINK_HEADER_SIZE;
    w->first += LINK_HEADER_SIZE + ret->size;
    w->n -= LINK_HEADER_SIZE + ret->size;
    return true;
}

static char reason[LINK_TEXT_MAX + 1];
static struct link_error_frame error;

static inline bool error_came(void *user)
{
    (void)user;
    struct link_header header;
    const uint8_t *payload;
    while (next_frame(&header, &payload)) {
        if (header.type != LINK_ERROR)
            continue;
        assert_int_equal(link_error_decode(payload, header.size, &error), LINK_OK);
        snprintf(reason, sizeof(reason), "%.*s", (int)error.text_size, error.text);
        return true;
    }
    return R.link.eof;
}

/* --- attacks --- */

struct attack {
    const char *name;
    void (*build)(void);
    const char *reason;
};

#define BROKE "the other proxy broke the link protocol: "

/* For both sides. */
static inline void half_message(void)
{
    uint8_t m[64];
    put_wayland(put_message(m, 1, DISPLAY_SYNC, "u", NEXT) - 4, m);
}

/* --- a host to attack --- */

static inline void start_host(void)
{
    relays_start(false, true);
    ready();
    MESSAGE(1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    deliver();
    wire_expect(&R.compositor, 1, "wl_display", "get_registry");
    static const char *const globals[] = {"wl_shm", "wl_data_device_manager", "wl_seat"};
    for (uint32_t i = 0; i < 3; i++)
        wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", i + 1, globals[i], 1);
    turn_times(R.loop, 5);
    for (uint32_t i = 0; i < 3; i++)
        MESSAGE(REGISTRY, REGISTRY_BIND, "uN", i + 1, globals[i], 1, SHM + i);
    deliver();
    for (uint32_t i = 0; i < 3; i++)
        wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
}
