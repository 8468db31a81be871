/* SPDX-License-Identifier: MIT */
/* The link's decoders: what one accepts, its encoder writes back byte for byte. The first byte says
 * which. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "protocol/frames.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Decodes a payload of @type; the encoder's frame goes to @frame. Returns its size, 0: refused. */
static size_t again(unsigned type, const uint8_t *payload, size_t size, uint8_t *frame)
{
    struct link_hello hello;
    struct link_welcome welcome;
    struct link_error_frame error;
    struct link_pong pong;
    struct link_vfd vfd;
    struct link_mem_write write;
    struct link_mem_size mem_size;
    struct link_mem_punch punch;
    struct link_stream_credit credit;
    struct link_import import;
    struct link_mem_copy copy;
    struct link_mem_import mem_import;
    struct link_open open;
    struct link_opened opened;
    struct link_incoming incoming;
    struct link_display display;
    struct link_vfd_form form;
    struct link_vfd_ref ref;
    struct link_vfd_idle idle;
    struct link_vfd_gone gone;
    struct link_event event;
    struct link_sharing sharing;
    struct link_imported imported;
    struct link_mem_role_frame role;
    struct link_cycle cycle;
    uint64_t serial;
    uint32_t id;
    char text[LINK_TEXT_MAX + 1];
    switch (type) {
    case LINK_HELLO:
        return link_hello_decode(payload, size, &hello) == LINK_OK
                   ? link_hello_encode(frame, &hello)
                   : 0;
    case LINK_WELCOME:
        return link_welcome_decode(payload, size, &welcome) == LINK_OK
                   ? link_welcome_encode(frame, &welcome)
                   : 0;
    case LINK_ERROR:
        if (link_error_decode(payload, size, &error) != LINK_OK)
            return 0;
        memcpy(text, error.text, error.text_size);
        text[error.text_size] = 0;
        return link_error_encode(frame, error.code, error.object, error.wl_code, text);
    case LINK_PING:
        return link_ping_decode(payload, size, &serial) == LINK_OK ? link_ping_encode(frame, serial)
                                                                   : 0;
    case LINK_PONG:
        return link_pong_decode(payload, size, &pong) == LINK_OK ? link_pong_encode(frame, &pong)
                                                                 : 0;
    case LINK_VFD:
        return link_vfd_decode(payload, size, &vfd) == LINK_OK ? link_vfd_encode(frame, &vfd) : 0;
    case LINK_VFD_CLOSE:
    case LINK_STREAM_END:
        return link_id_decode(payload, size, &id) == LINK_OK ? link_id_encode(frame, type, id) : 0;
    case LINK_MEM_WRITE:
        if (link_mem_write_decode(payload, size, &write) != LINK_OK)
            return 0;
        id = (uint32_t)link_mem_write_encode(frame, &write);
        memcpy(frame + id, payload + LINK_MEM_WRITE_SIZE, size - LINK_MEM_WRITE_SIZE);
        return LINK_HEADER_SIZE + size;
    case LINK_MEM_SIZE:
        return link_mem_size_decode(payload, size, &mem_size) == LINK_OK
                   ? link_mem_size_encode(frame, &mem_size)
                   : 0;
    case LINK_MEM_PUNCH:
        return link_mem_punch_decode(payload, size, &punch) == LINK_OK
                   ? link_mem_punch_encode(frame, &punch)
                   : 0;
    case LINK_STREAM_CREDIT:
        return link_stream_credit_decode(payload, size, &credit) == LINK_OK
                   ? link_stream_credit_encode(frame, credit.id, credit.bytes)
                   : 0;
    case LINK_IMPORT:
        return link_import_decode(payload, size, &import) == LINK_OK
                   ? link_import_encode(frame, &import)
                   : 0;
    case LINK_MEM_COPY:
        return link_mem_copy_decode(payload, size, &copy) == LINK_OK
                   ? link_mem_copy_encode(frame, &copy)
                   : 0;
    case LINK_MEM_IMPORT:
        return link_mem_import_decode(payload, size, &mem_import) == LINK_OK
                   ? link_mem_import_encode(frame, &mem_import)
                   : 0;
    case LINK_OPEN:
        return link_open_decode(payload, size, &open) == LINK_OK ? link_open_encode(frame, &open)
                                                                 : 0;
    case LINK_OPENED:
        return link_opened_decode(payload, size, &opened) == LINK_OK
                   ? link_opened_encode(frame, &opened)
                   : 0;
    case LINK_INCOMING:
        return link_incoming_decode(payload, size, &incoming) == LINK_OK
                   ? link_incoming_encode(frame, &incoming)
                   : 0;
    case LINK_DISPLAY:
        if (link_display_decode(payload, size, &display) != LINK_OK)
            return 0;
        snprintf(text, sizeof(text), "%.*s", (int)display.path_size, display.path);
        return link_display_encode(frame, text);
    case LINK_VFD_FORM:
        return link_vfd_form_decode(payload, size, &form) == LINK_OK
                   ? link_vfd_form_encode(frame, &form)
                   : 0;
    case LINK_VFD_REF:
        return link_vfd_ref_decode(payload, size, &ref) == LINK_OK
                   ? link_vfd_ref_encode(frame, &ref)
                   : 0;
    case LINK_VFD_IDLE:
        return link_vfd_idle_decode(payload, size, &idle) == LINK_OK
                   ? link_vfd_idle_encode(frame, &idle)
                   : 0;
    case LINK_VFD_GONE:
        return link_vfd_gone_decode(payload, size, &gone) == LINK_OK
                   ? link_vfd_gone_encode(frame, &gone)
                   : 0;
    case LINK_MEM_ROLE:
        return link_mem_role_decode(payload, size, &role) == LINK_OK
                   ? link_mem_role_encode(frame, &role)
                   : 0;
    case LINK_CYCLE:
        return link_cycle_decode(payload, size, &cycle) == LINK_OK
                   ? link_cycle_encode(frame, &cycle)
                   : 0;
    case LINK_EVENT:
        return link_event_decode(payload, size, &event) == LINK_OK
                   ? link_event_encode(frame, &event)
                   : 0;
    case LINK_SHARING:
        return link_sharing_decode(payload, size, &sharing) == LINK_OK
                   ? link_sharing_encode(frame, &sharing)
                   : 0;
    case LINK_IMPORTED:
        return link_imported_decode(payload, size, &imported) == LINK_OK
                   ? link_imported_encode(frame, &imported)
                   : 0;
    default:
        return 0;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct link_header header;
    if (size >= LINK_HEADER_SIZE && link_header_decode(data, &header) == LINK_OK) {
        uint8_t head[LINK_HEADER_SIZE];
        link_header_encode(head, header.type, header.size);
        if (memcmp(head, data, LINK_HEADER_SIZE) != 0)
            abort();
    }
    if (size < 1)
        return 0;
    uint8_t *frame = malloc(LINK_FRAME_SMALL_MAX + size);
    size_t n = again(data[0] % _LINK_TYPE_N, data + 1, size - 1, frame);
    if (n && (n != LINK_HEADER_SIZE + size - 1 ||
              memcmp(frame + LINK_HEADER_SIZE, data + 1, size - 1) != 0 ||
              link_header_decode(frame, &header) != LINK_OK))
        abort();
    free(frame);
    return 0;
}
