/* SPDX-License-Identifier: MIT */
#pragma once
/* wl-message: one Wayland message checked against its table. Wayland is in host byte order, as on
 * the wire of libwayland. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wayland/wl-tables.h"

union wl_arg {
    uint32_t u;
    int32_t i; /* also wl_fixed, 24.8 */
    struct {
        const char *text; /* into the message, terminated; NULL for a null string */
        uint32_t length;  /* without the NUL */
    } s;
    struct {
        const uint8_t *bytes;
        uint32_t size;
    } a;
    struct { /* N */
        const char *interface;
        uint32_t length, version, id;
    } n;
};

struct wl_message {
    uint32_t object;
    uint16_t opcode;
    uint16_t size;
    const uint8_t *bytes;         /* header included */
    const struct wl_iface *iface; /* of its object, once info is known */
    const struct wl_msg_info *info;
    union wl_arg args[WL_ARGS_MAX];
};

enum {
    WL_MESSAGE_OK,
    WL_MESSAGE_E_SIZE, /* header's size below 8, no multiple of 4, or not what the arguments take */
    WL_MESSAGE_E_STRING,  /* too long, without NUL at the end or with one inside, or null where it
                             must not be */
    WL_MESSAGE_E_ARRAY,   /* too long */
    WL_MESSAGE_E_OBJECT,  /* null where it must not be */
    WL_MESSAGE_E_PARTIAL, /* the message goes on after the bytes given */
};

/* Reads a header at @bytes. OK, E_SIZE, or E_PARTIAL when @size is less than the message. Fills
 * object, opcode, size, bytes. */
int wl_message_header(const void *bytes, size_t size, struct wl_message *ret);
/* Checks the whole message (header read before) against @info and fills the arguments. */
int wl_message_arguments(struct wl_message *message, const struct wl_msg_info *info);
const char *wl_message_error_name(int error);

/* Changes a word of a message in its receive buffer; @offset counts from its header. */
void wl_message_poke(struct wl_message *message, size_t offset, uint32_t value);

/* Changes each object and each new id among the arguments of a message that was checked to what
 * @map makes of it. */
void wl_message_map_ids(struct wl_message *message, uint32_t (*map)(void *user, uint32_t id),
                        void *user);

/* Writes into @at what @map makes of the strings of a message that was checked, the rest as it is
 * (without N among its arguments). @map writes into @at, within @room bytes with the NUL, and
 * returns the length. Returns the message's size, or 0 if it doesn't fit. */
size_t wl_message_map_strings(uint8_t *at, size_t room, const struct wl_message *message,
                              size_t (*map)(void *user, const char *text, char *at, size_t room),
                              void *user);

/* Building messages: each writes at @at, within @room bytes, and returns the message's size, or 0
 * if it doesn't fit. */
size_t wl_message_string(uint8_t *at, size_t room, uint32_t object, uint16_t opcode,
                         const char *text);
size_t wl_message_empty(uint8_t *at, size_t room, uint32_t object, uint16_t opcode);
/* wl_display.error; texts are cut so that it fits in @room. */
size_t wl_message_display_error(uint8_t *at, size_t room, uint32_t object, uint32_t code,
                                const char *text);
