/* SPDX-License-Identifier: MIT */
/* Frames are built with the codec that the proxies have, and may say anything. */
#include "tests/unit/wayland/attacker.h"

uint8_t attack_bytes[6 << 20];
size_t attack_n;
struct link_error_frame attack_error;
char attack_reason[LINK_TEXT_MAX + 1];

void attack_wayland(size_t n, const uint8_t *messages)
{
    attack_n += link_header_encode(attack_bytes + attack_n, LINK_WAYLAND, n);
    memcpy(attack_bytes + attack_n, messages, n);
    attack_n += n;
}

void attack_vfd(uint32_t id, uint16_t kind, uint16_t flags, uint64_t size)
{
    attack_n += link_vfd_encode(attack_bytes + attack_n, &(struct link_vfd){id, kind, flags, size});
}

void attack_memory(uint32_t id, uint64_t size)
{
    attack_vfd(id, LINK_VFD_MEMORY, 0, size);
}

void attack_sink(uint32_t id)
{
    attack_vfd(id, LINK_VFD_STREAM, LINK_VFD_SINK, 0);
}

void attack_source(uint32_t id)
{
    attack_vfd(id, LINK_VFD_STREAM, LINK_VFD_SOURCE, 0);
}

void attack_mem_write(uint32_t id, uint64_t offset, uint32_t row, uint32_t rows, uint32_t stride)
{
    attack_n += link_mem_write_encode(attack_bytes + attack_n,
                                      &(struct link_mem_write){id, row, rows, stride, offset});
    memset(attack_bytes + attack_n, 0x77, (size_t)row * rows);
    attack_n += (size_t)row * rows;
}

void attack_mem_size(uint32_t id, uint64_t size)
{
    attack_n += link_mem_size_encode(attack_bytes + attack_n, &(struct link_mem_size){id, size});
}

void attack_punch(uint32_t id, uint64_t offset, uint64_t length)
{
    attack_n += link_mem_punch_encode(attack_bytes + attack_n,
                                      &(struct link_mem_punch){id, offset, length});
}

void attack_with_id(enum link_type type, uint32_t id)
{
    attack_n += link_id_encode(attack_bytes + attack_n, type, id);
}

void attack_credit(uint32_t id, uint32_t n)
{
    attack_n += link_stream_credit_encode(attack_bytes + attack_n, id, n);
}

void attack_data(uint32_t id, size_t n)
{
    attack_n += link_stream_data_encode(attack_bytes + attack_n, id, n);
    memset(attack_bytes + attack_n, 0x55, n);
    attack_n += n;
}

void attack_empty(enum link_type type)
{
    attack_n += link_header_encode(attack_bytes + attack_n, type, 0);
}

void attack_create_pool(int32_t size)
{
    ATTACK_MESSAGE(SHM, SHM_CREATE_POOL, "uu", NEXT, size);
}

void attack_ready(void)
{
    attack_n = 0;
}

void attack_deliver(void)
{
    struct wire *w = &R.link;
    wire_send_fds(w, attack_bytes, attack_n, NULL, 0);
    attack_ready();
}

/* --- the other end of the link --- */

bool attack_next_frame(struct link_header *ret, const uint8_t **ret_payload)
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

bool attack_error_came(void *user)
{
    (void)user;
    struct link_header header;
    const uint8_t *payload;
    while (attack_next_frame(&header, &payload)) {
        if (header.type != LINK_ERROR)
            continue;
        assert_int_equal(link_error_decode(payload, header.size, &attack_error), LINK_OK);
        snprintf(attack_reason, sizeof(attack_reason), "%.*s", (int)attack_error.text_size,
                 attack_error.text);
        return true;
    }
    return R.link.eof;
}

void attack_half_message(void)
{
    uint8_t m[64];
    attack_wayland(wl_build(m, 1, DISPLAY_SYNC, "u", NEXT) - 4, m);
}

/* --- a host to attack --- */

void attack_start_host(void)
{
    relays_start(false, true);
    attack_ready();
    ATTACK_MESSAGE(1, DISPLAY_GET_REGISTRY, "u", REGISTRY);
    attack_deliver();
    wire_expect(&R.compositor, 1, "wl_display", "get_registry");
    static const char *const globals[] = {"wl_shm", "wl_data_device_manager", "wl_seat"};
    for (uint32_t i = 0; i < 3; i++)
        wire_send(&R.compositor, REGISTRY, REGISTRY_GLOBAL, "usu", i + 1, globals[i], 1);
    turn_times(R.loop, 5);
    for (uint32_t i = 0; i < 3; i++)
        ATTACK_MESSAGE(REGISTRY, REGISTRY_BIND, "uN", i + 1, globals[i], 1, SHM + i);
    attack_deliver();
    for (uint32_t i = 0; i < 3; i++)
        wire_expect(&R.compositor, REGISTRY, "wl_registry", "bind");
}
