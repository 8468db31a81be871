/* SPDX-License-Identifier: MIT */
/* inject: what is sent by itself is made from the tables, as what passes is checked with them. So
 * nobody writes an opcode by hand, or has to remember which words are ids. */
#include "common/wayland/inject.h"

#include <assert.h>
#include <string.h>

struct builder {
    uint8_t *at;
    size_t n;
    const struct wl_ids *ids; /* NULL: ids stay as they are */
};

static void inject_put(struct builder *b, uint32_t word)
{
    assert(b->n + 4 <= INJECT_MAX);
    memcpy(b->at + b->n, &word, 4);
    b->n += 4;
}

static void inject_put_id(struct builder *b, uint32_t id)
{
    inject_put(b, b->ids && id ? wl_ids_host(b->ids, id) : id);
}

static void inject_put_array(struct builder *b, const void *bytes, uint32_t size)
{
    uint32_t padded = (size + 3) & ~3u;
    inject_put(b, size);
    assert(padded <= INJECT_MAX && b->n + padded <= INJECT_MAX);
    memset(b->at + b->n, 0, padded);
    memcpy(b->at + b->n, bytes, size);
    b->n += padded;
}

static void inject_put_string(struct builder *b, const char *text)
{
    inject_put_array(b, text, (uint32_t)strlen(text) + 1);
}

/* Returns the message's size in bytes. */
static size_t inject_build(struct builder *b, uint32_t object, enum wl_named what, va_list args)
{
    const struct wl_named_message *named = &wl_named[what];
    assert(named->info); /* only for objects of an interface that the tables have */
    inject_put_id(b, object);
    inject_put(b, 0);
    for (const char *s = named->info->signature; *s; s++) {
        uint32_t word;
        switch (*s) {
        case 'h':
            break;
        case 's':
            inject_put_string(b, va_arg(args, const char *));
            break;
        case 'a':
            word = va_arg(args, uint32_t);
            inject_put_array(b, va_arg(args, const void *), word);
            break;
        case 'N':
            inject_put_string(b, va_arg(args, const char *));
            inject_put(b, va_arg(args, uint32_t));
            inject_put_id(b, va_arg(args, uint32_t));
            break;
        case 'o':
        case 'O':
        case 'n':
            inject_put_id(b, va_arg(args, uint32_t));
            break;
        default:
            inject_put(b, va_arg(args, uint32_t));
        }
    }
    uint32_t head = (uint32_t)b->n << 16 | named->opcode;
    memcpy(b->at + 4, &head, 4);
    return b->n;
}

size_t inject_build_plain(uint8_t at[INJECT_MAX], uint32_t object, enum wl_named what, va_list args)
{
    struct builder b = {.at = at};
    return inject_build(&b, object, what, args);
}

void inject_local(struct relay *r, uint32_t object, enum wl_named what, ...)
{
    uint8_t message[INJECT_MAX];
    struct builder b = {.at = message};
    va_list args;
    va_start(args, what);
    relay_inject_local(r, message, inject_build(&b, object, what, args));
    va_end(args);
}

void inject_host(struct relay *r, uint32_t object, enum wl_named what, ...)
{
    uint8_t message[INJECT_MAX];
    struct builder b = {.at = message, .ids = &r->ids};
    va_list args;
    va_start(args, what);
    relay_inject_link(r, message, inject_build(&b, object, what, args));
    va_end(args);
}

size_t inject_build_host(struct relay *r, uint8_t at[INJECT_MAX], uint32_t object,
                         enum wl_named what, ...)
{
    struct builder b = {.at = at, .ids = &r->ids};
    va_list args;
    va_start(args, what);
    size_t n = inject_build(&b, object, what, args);
    va_end(args);
    return n;
}

bool message_is(const struct wl_message *m, enum wl_named what)
{
    return wl_named[what].info && m->opcode == wl_named[what].opcode;
}
