/* SPDX-License-Identifier: MIT */
/* wl-message: owns nothing. What is said of a message here holds for its bytes, so a table that
 * says otherwise is a peer's lie and an error; arguments point into the message. */
#include "common/wayland/wl-message.h"

#include <string.h>

static uint32_t word(const uint8_t *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

int wl_message_header(const void *bytes, size_t size, struct wl_message *ret)
{
    if (size < WL_HEADER_SIZE)
        return WL_MESSAGE_E_PARTIAL;
    uint32_t second = word((const uint8_t *)bytes + 4);
    ret->object = word(bytes);
    ret->opcode = second & 0xffff;
    ret->size = (uint16_t)(second >> 16);
    ret->bytes = bytes;
    if (ret->size < WL_HEADER_SIZE || ret->size % 4)
        return WL_MESSAGE_E_SIZE;
    return ret->size > size ? WL_MESSAGE_E_PARTIAL : WL_MESSAGE_OK;
}

void wl_message_poke(struct wl_message *message, size_t offset, uint32_t value)
{
    /* The bytes are in a receive buffer of ours, const only for those who have no business changing
     * them. */
    memcpy((uint8_t *)message->bytes + offset, &value, sizeof(value));
}

void wl_message_map_ids(struct wl_message *m, uint32_t (*map)(void *user, uint32_t id), void *user)
{
    size_t at = WL_HEADER_SIZE;
    union wl_arg *arg = m->args;
    for (const char *s = m->info->signature; *s; s++, arg++) {
        uint32_t *id = NULL;
        switch (*s) {
        case 'h':
            continue;
        case 'a':
            at += 4 + (((size_t)arg->a.size + 3) & ~(size_t)3);
            continue;
        case 's':
        case 'S':
            at += 4;
            if (arg->s.text)
                at += ((size_t)arg->s.length + 4) & ~(size_t)3;
            continue;
        case 'N':
            at += 4 + (((size_t)arg->n.length + 4) & ~(size_t)3) + 4;
            id = &arg->n.id;
            break;
        case 'o':
        case 'O':
        case 'n':
            id = &arg->u;
        }
        if (id) {
            *id = map(user, *id);
            wl_message_poke(m, at, *id);
        }
        at += 4;
    }
}

struct cursor {
    const uint8_t *at, *end;
};

static bool take(struct cursor *c, size_t n, const uint8_t **ret)
{
    if ((size_t)(c->end - c->at) < n)
        return false;
    *ret = c->at;
    c->at += n;
    return true;
}

/* A string: u32 length with its NUL, the bytes, padding to 4. Length 0 is the null string. */
static int take_string(struct cursor *c, bool nullable, const char **ret_text, uint32_t *ret_length)
{
    const uint8_t *at;
    if (!take(c, 4, &at))
        return WL_MESSAGE_E_SIZE;
    uint64_t length = word(at);
    if (length == 0) {
        *ret_text = NULL;
        *ret_length = 0;
        return nullable ? WL_MESSAGE_OK : WL_MESSAGE_E_STRING;
    }
    if (!take(c, (length + 3) & ~3ull, &at))
        return WL_MESSAGE_E_STRING;
    if (memchr(at, 0, length) != at + length - 1)
        return WL_MESSAGE_E_STRING;
    *ret_text = (const char *)at;
    *ret_length = (uint32_t)length - 1;
    return WL_MESSAGE_OK;
}

int wl_message_arguments(struct wl_message *m, const struct wl_msg_info *info)
{
    m->info = info;
    if (m->size < info->min_size || (!info->variable && m->size != info->min_size))
        return WL_MESSAGE_E_SIZE;
    struct cursor c = {m->bytes + WL_HEADER_SIZE, m->bytes + m->size};
    union wl_arg *arg = m->args;
    for (const char *s = info->signature; *s; s++, arg++) {
        const uint8_t *at;
        int r;
        switch (*s) {
        case 'h': /* travels beside the bytes */
            arg->u = 0;
            continue;
        case 's':
        case 'S':
            r = take_string(&c, *s == 'S', &arg->s.text, &arg->s.length);
            if (r != WL_MESSAGE_OK)
                return r;
            break;
        case 'a':
            if (!take(&c, 4, &at))
                return WL_MESSAGE_E_SIZE;
            arg->a.size = word(at);
            if (!take(&c, ((uint64_t)arg->a.size + 3) & ~3ull, &arg->a.bytes))
                return WL_MESSAGE_E_ARRAY;
            break;
        case 'N': {
            const char *name;
            uint32_t length;
            r = take_string(&c, false, &name, &length);
            if (r != WL_MESSAGE_OK)
                return r;
            if (!take(&c, 8, &at))
                return WL_MESSAGE_E_SIZE;
            arg->n.interface = name;
            arg->n.length = length;
            arg->n.version = word(at);
            arg->n.id = word(at + 4);
            if (!arg->n.id)
                return WL_MESSAGE_E_OBJECT;
            break;
        }
        default:
            if (!take(&c, 4, &at))
                return WL_MESSAGE_E_SIZE;
            arg->u = word(at);
            if (!arg->u && (*s == 'o' || *s == 'n'))
                return WL_MESSAGE_E_OBJECT;
        }
    }
    return c.at == c.end ? WL_MESSAGE_OK : WL_MESSAGE_E_SIZE;
}

const char *wl_message_error_name(int error)
{
    static const char *const names[] = {
        "ok",          "wrong size",        "malformed string", "malformed array",
        "null object", "incomplete message"};
    return error >= 0 && error < (int)(sizeof(names) / sizeof(*names)) ? names[error]
                                                                       : "unknown error";
}

static size_t put_header(uint8_t *at, size_t room, uint32_t object, uint16_t opcode, size_t size)
{
    if (size > room || size > WL_MESSAGE_MAX)
        return 0;
    uint32_t head[2] = {object, (uint32_t)size << 16 | opcode};
    memset(at, 0, size);
    memcpy(at, head, sizeof(head));
    return size;
}

/* A u32 length, @size bytes that are there already, and padding. */
static void put_length(uint8_t *at, size_t *n, size_t size)
{
    uint32_t length = (uint32_t)size;
    size_t padded = (size + 3) & ~(size_t)3;
    memcpy(at + *n, &length, 4);
    memset(at + *n + 4 + size, 0, padded - size);
    *n += 4 + padded;
}

size_t wl_message_map_strings(uint8_t *at, size_t room, const struct wl_message *m,
                              size_t (*map)(void *user, const char *text, char *at, size_t room),
                              void *user)
{
    const union wl_arg *arg = m->args;
    size_t n = WL_HEADER_SIZE;
    if (room > WL_MESSAGE_MAX)
        room = WL_MESSAGE_MAX;
    room &= ~(size_t)3; /* whatever fits, fits with its padding */
    for (const char *s = m->info->signature; *s; s++, arg++) {
        if (*s == 'h')
            continue;
        if (n + 4 > room)
            return 0;
        if (*s == 'a') {
            if (arg->a.size > room - n - 4)
                return 0;
            memcpy(at + n + 4, arg->a.bytes, arg->a.size);
            put_length(at, &n, arg->a.size);
        } else if ((*s == 's' || *s == 'S') && arg->s.text) {
            if (n + 4 == room)
                return 0;
            put_length(at, &n, map(user, arg->s.text, (char *)at + n + 4, room - n - 4) + 1);
        } else {
            uint32_t value = *s == 'S' ? 0 : arg->u;
            memcpy(at + n, &value, 4);
            n += 4;
        }
    }
    uint32_t head[2] = {m->object, (uint32_t)n << 16 | m->opcode};
    memcpy(at, head, sizeof(head));
    return n;
}

size_t wl_message_empty(uint8_t *at, size_t room, uint32_t object, uint16_t opcode)
{
    return put_header(at, room, object, opcode, WL_HEADER_SIZE);
}

size_t wl_message_string(uint8_t *at, size_t room, uint32_t object, uint16_t opcode,
                         const char *text)
{
    size_t n = strlen(text) + 1;
    size_t size = put_header(at, room, object, opcode, WL_HEADER_SIZE + 4 + ((n + 3) & ~(size_t)3));
    if (!size)
        return 0;
    uint32_t length = (uint32_t)n;
    memcpy(at + 8, &length, 4);
    memcpy(at + 12, text, n);
    return size;
}

size_t wl_message_display_error(uint8_t *at, size_t room, uint32_t object, uint32_t code,
                                const char *text)
{
    if (room < 24)
        return 0;
    if (room > WL_MESSAGE_MAX)
        room = WL_MESSAGE_MAX;
    size_t n = strlen(text);
    if (n > room - 24)
        n = room - 24;
    size_t size = put_header(at, room, 1, 0, 20 + ((n + 4) & ~(size_t)3));
    if (!size)
        return 0;
    uint32_t words[3] = {object, code, (uint32_t)n + 1};
    memcpy(at + 8, words, sizeof(words));
    memcpy(at + 20, text, n);
    return size;
}
