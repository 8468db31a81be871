/* SPDX-License-Identifier: MIT */
/* Packets of the export socket, in both directions: what is understood is written back as the same
 * bytes. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t packet[EXPORT_PACKET_MAX];
    static struct export_copy copy;
    struct export_header h;
    struct export_hello hello;
    struct export_welcome welcome;
    struct export_bind bind;
    struct export_bound bound;
    struct export_export export;
    struct export_exported exported;
    struct export_mirror mirror;
    struct export_gone gone;
    struct export_reset reset;
    struct export_offer offer;
    uint32_t word;
    size_t n = 0;
    if (export_header_decode(data, size, &h) != EXPORT_E_OK)
        return 0;
    const uint8_t *payload = data + EXPORT_HEADER_SIZE;
#define CASE(type, name)                                                                           \
    case type:                                                                                     \
        if (export_##name##_decode(payload, h.size, &name) != EXPORT_E_OK)                         \
            return 0;                                                                              \
        n = export_##name##_encode(packet, h.serial, &name);                                       \
        break;
#define EVENT(type, name)                                                                          \
    case type:                                                                                     \
        if (export_##name##_decode(payload, h.size, &name) != EXPORT_E_OK)                         \
            return 0;                                                                              \
        n = export_##name##_encode(packet, &name);                                                 \
        break;
    switch (h.type) {
        CASE(EXPORT_HELLO, hello)
        CASE(EXPORT_WELCOME, welcome)
        CASE(EXPORT_BIND, bind)
        CASE(EXPORT_EXPORT, export)
        CASE(EXPORT_MIRROR, mirror)
        CASE(EXPORT_COPY, copy)
        EVENT(EXPORT_GONE, gone)
        EVENT(EXPORT_RESET, reset)
        EVENT(EXPORT_OFFER, offer)
    case EXPORT_BOUND:
        if (export_bound_decode(payload, h.size, &bound) != EXPORT_E_OK ||
            bound.status != EXPORT_OK)
            return 0;
        n = export_bound_encode(packet, h.serial, &bound);
        break;
    case EXPORT_EXPORTED:
        if (export_exported_decode(payload, h.size, &exported) != EXPORT_E_OK ||
            exported.status != EXPORT_OK)
            return 0;
        n = export_exported_encode(packet, h.serial, &exported);
        break;
    case EXPORT_RELEASE:
        if (export_release_decode(payload, h.size, &word) != EXPORT_E_OK)
            return 0;
        n = export_release_encode(packet, h.serial, word);
        break;
    case EXPORT_STATUS:
        if (export_status_decode(payload, h.size, &word) != EXPORT_E_OK)
            return 0;
        n = export_status_encode(packet, h.serial, word);
        break;
    default:
        abort();
    }
    if (n != size || memcmp(packet, data, n) != 0)
        abort();
    return 0;
}
