/* SPDX-License-Identifier: MIT */
/* Owns nothing. Numbers are in the machine's own order: nobody else hears this. */
#include "host-proxy/channel.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

bool channel_is_daemon(const struct channel_packet *p)
{
    return p->kind == CHANNEL_ARRIVAL && p->hello.role == LINK_ROLE_CONTROL &&
           !(p->hello.features & LINK_FEATURE_TRIAL);
}

size_t channel_encode(uint8_t buffer[CHANNEL_PACKET_MAX], const struct channel_packet *p)
{
    static_assert(LINK_FRAME_SMALL_MAX <= CHANNEL_PACKET_MAX - 8, "a HELLO fits");
    struct link_hello hello = p->hello;
    uint32_t words[3] = {p->kind};
    switch (p->kind) {
    case CHANNEL_ARRIVAL:
        if (hello.role == LINK_ROLE_CONTROL) {
            hello.proof_kind = LINK_PROOF_NONE;
            hello.proof_size = 0;
        }
        words[1] = p->unix_socket;
        memcpy(buffer, words, 8);
        return 8 + link_hello_encode(buffer + 8, &hello);
    case CHANNEL_REPORT:
        words[1] = p->taken;
        words[2] = p->idle;
        memcpy(buffer, words, 12);
        return 12;
    case CHANNEL_CONTROL:
        memcpy(buffer, words, 8);
        memcpy(buffer + 8, p->line, p->line_size);
        return 8 + p->line_size;
    case CHANNEL_CALL:
    case CHANNEL_PROGRAM:
    case CHANNEL_ABSENT:
        words[1] = p->number;
        memcpy(buffer, words, 8);
        return 8;
    case CHANNEL_HEARD:
        memcpy(buffer, words, 8);
        return 8;
    default:
        words[1] = p->number;
        memcpy(buffer, words, 8);
        memcpy(buffer + 8, p->device, CHANNEL_DEVICE_SIZE);
        return 8 + CHANNEL_DEVICE_SIZE;
    }
}

static int decode_hello(const uint8_t *bytes, size_t n, struct link_hello *ret)
{
    struct link_header header;
    return n >= LINK_HEADER_SIZE && link_header_decode(bytes, &header) == LINK_OK &&
                   header.type == LINK_HELLO && header.size == n - LINK_HEADER_SIZE &&
                   link_hello_decode(bytes + LINK_HEADER_SIZE, header.size, ret) == LINK_OK
               ? 0
               : -EPROTO;
}

int channel_decode(const uint8_t *bytes, size_t n, struct channel_packet *ret)
{
    uint32_t words[3] = {0};
    if (n < 8)
        return -EPROTO;
    memcpy(words, bytes, n < sizeof(words) ? n : sizeof(words));
    *ret = (struct channel_packet){.kind = words[0]};
    switch (words[0]) {
    case CHANNEL_ARRIVAL:
        ret->unix_socket = words[1];
        return words[1] <= 1 ? decode_hello(bytes + 8, n - 8, &ret->hello) : -EPROTO;
    case CHANNEL_REPORT:
        ret->taken = words[1];
        ret->idle = words[2];
        return n == 12 && words[2] <= 1 ? 0 : -EPROTO;
    case CHANNEL_CALL:
    case CHANNEL_PROGRAM:
    case CHANNEL_ABSENT:
        ret->number = words[1];
        return n == 8 ? 0 : -EPROTO;
    case CHANNEL_DEVICE:
        if (n != 8 + CHANNEL_DEVICE_SIZE)
            return -EPROTO;
        ret->number = words[1];
        memcpy(ret->device, bytes + 8, CHANNEL_DEVICE_SIZE);
        return 0;
    case CHANNEL_CONTROL:
        ret->line = (const char *)bytes + 8;
        ret->line_size = n - 8;
        return words[1] == 0 && ret->line_size < CONTROL_REQUEST_MAX ? 0 : -EPROTO;
    case CHANNEL_HEARD:
        return n == 8 && words[1] == 0 ? 0 : -EPROTO;
    default:
        return -EPROTO;
    }
}
