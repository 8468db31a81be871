/* SPDX-License-Identifier: MIT */
/* Each type is described once, in the table @kinds. Texts are checked where they are read: here
 * only that the last one ends, and how many there are. */
#include "protocol/run.h"

#include <assert.h>

#include "protocol/fields.h"

static_assert(RUN_E_OK == (int)FRAME_OK && RUN_E_TYPE == (int)FRAME_E_TYPE &&
                  RUN_E_SIZE == (int)FRAME_E_SIZE && RUN_E_RESERVED == (int)FRAME_E_RESERVED &&
                  RUN_E_VALUE == (int)FRAME_E_VALUE,
              "the same results");

#define SIGNALS_MAX 64 /* Linux's */
#define STATUS_MAX 255

static bool command_rule(const void *value)
{
    const struct run_command *c = value;
    return !(c->flags & ~RUN_FLAG_TERMINAL);
}

static bool exited_rule(const void *value)
{
    const struct run_exited *e = value;
    return !e->status || !e->signal;
}

/* clang-format off */
#define COMMAND(label, words_max)                                                                  \
    FRAME_DATA(label, 16, 2, RUN_TEXTS_MAX, struct run_command, command_rule,                      \
        FIELD(struct run_command, flags),                                                          \
        FIELD(struct run_command, rows),                                                           \
        FIELD(struct run_command, columns),                                                        \
        FIELD_ZERO(2),                                                                             \
        FIELD_IN(struct run_command, words, 1, words_max),                                         \
        FIELD_IN(struct run_command, variables, 0, RUN_VARIABLES_MAX))
#define NOTHING(label)                                                                             \
    { .name = (label), .min = 8, .max = 8, .head = 8, FRAME_FIELDS(FIELD_ZERO(8)) }

static const struct frame kinds[_RUN_TYPE_N] = {
    [RUN_COMMAND] = COMMAND("COMMAND", RUN_WORDS_MAX),
    [RUN_ENTRY] = COMMAND("ENTRY", 1),
    [RUN_MENU] = NOTHING("MENU"),
    [RUN_SIGNAL] = FRAME("SIGNAL", 8, struct run_signal, NULL,
        FIELD_IN(struct run_signal, number, 1, SIGNALS_MAX),
        FIELD_ZERO(4)),
    [RUN_SIZE] = FRAME("SIZE", 8, struct run_size, NULL,
        FIELD(struct run_size, rows),
        FIELD(struct run_size, columns),
        FIELD_ZERO(4)),
    [RUN_STARTED] = NOTHING("STARTED"),
    [RUN_FAILED] = FRAME_DATA("FAILED", 8, 1, RUN_TEXT_MAX, struct run_failed, NULL,
        FIELD_IN(struct run_failed, status, 1, STATUS_MAX),
        FIELD_ZERO(4)),
    [RUN_EXITED] = FRAME("EXITED", 8, struct run_exited, exited_rule,
        FIELD_IN(struct run_exited, status, 0, STATUS_MAX),
        FIELD_IN(struct run_exited, signal, 0, SIGNALS_MAX)),
    [RUN_ITEM] = FRAME_DATA("ITEM", 8, _RUN_ITEM_TEXT_N, RUN_ENTRY_TEXTS_MAX, struct run_item, NULL,
        FIELD_IN(struct run_item, flags, 0, RUN_ITEM_TERMINAL),
        FIELD_ZERO(2),
        FIELD_ZERO(4)),
    [RUN_ICON] = FRAME_DATA("ICON", 8, 4, RUN_ICON_MAX, struct run_icon, NULL,
        FIELD_IN(struct run_icon, width, 1, RUN_ICON_EDGE_MAX),
        FIELD_IN(struct run_icon, height, 1, RUN_ICON_EDGE_MAX),
        FIELD_ZERO(4)),
    [RUN_LISTED] = NOTHING("LISTED"),
};
/* clang-format on */

struct header {
    uint32_t size;
    uint16_t type;
};
static const struct field header_fields[] = {
    FIELD(struct header, size),
    FIELD(struct header, type),
    FIELD_ZERO(2),
};

int run_decode_header(const uint8_t header[RUN_HEADER_SIZE], unsigned *ret_type, uint32_t *ret_size)
{
    struct header h;
    int e = fields_read(header_fields, 3, header, &h);
    if (e != FRAME_OK)
        return e;
    if (h.type >= _RUN_TYPE_N || !kinds[h.type].name)
        return RUN_E_TYPE;
    if (h.size < kinds[h.type].min || h.size > kinds[h.type].max)
        return RUN_E_SIZE;
    *ret_type = h.type;
    *ret_size = h.size;
    return RUN_E_OK;
}

static bool has_texts(unsigned type)
{
    return type == RUN_COMMAND || type == RUN_ENTRY || type == RUN_FAILED || type == RUN_ITEM;
}

/* How many there ought to be. */
static uint64_t texts_of(unsigned type, const union run_message *m)
{
    return type == RUN_FAILED ? 1
           : type == RUN_ITEM ? _RUN_ITEM_TEXT_N
                              : (uint64_t)m->command.words + m->command.variables;
}

static int check_data(unsigned type, const union run_message *m, const uint8_t *data, uint32_t size)
{
    if (type == RUN_ICON)
        return size == (uint32_t)m->icon.width * m->icon.height * 4 ? RUN_E_OK : RUN_E_SIZE;
    if (!has_texts(type))
        return RUN_E_OK;
    uint64_t n = 0;
    const uint8_t *at = data, *end = data + size;
    while (run_text_next(&at, end))
        n++;
    return at == end && n == texts_of(type, m) ? RUN_E_OK : RUN_E_VALUE;
}

int run_decode(unsigned type, const uint8_t *payload, uint32_t size, union run_message *ret_message,
               const uint8_t **ret_data, uint32_t *ret_data_size)
{
    const struct frame *kind = &kinds[type];
    union run_message m = {0};
    int e = frame_read(kind, payload, &m);
    if (e == RUN_E_OK)
        e = check_data(type, &m, payload + kind->head, size - kind->head);
    if (e != RUN_E_OK)
        return e;
    *ret_message = m;
    *ret_data = payload + kind->head;
    *ret_data_size = size - kind->head;
    return RUN_E_OK;
}

size_t run_encode(uint8_t *bytes, unsigned type, const union run_message *message, const void *data,
                  uint32_t data_size)
{
    static const union run_message nothing;
    assert(type < _RUN_TYPE_N && kinds[type].name);
    const struct frame *kind = &kinds[type];
    assert(data_size >= kind->min - kind->head && data_size <= kind->max - kind->head);
    struct header h = {kind->head + data_size, (uint16_t)type};
    uint8_t *end = fields_write(header_fields, 3, &h, bytes);
    end = fields_write(kind->fields, kind->n, message ? message : &nothing, end);
    if (data_size > 0)
        memcpy(end, data, data_size);
    return (size_t)(end - bytes) + data_size;
}

const char *run_text_next(const uint8_t **at, const uint8_t *end)
{
    const uint8_t *text = *at;
    const uint8_t *zero = text < end ? memchr(text, 0, (size_t)(end - text)) : NULL;
    if (!zero)
        return NULL;
    *at = zero + 1;
    return (const char *)text;
}

bool run_id_is_valid(const char *id)
{
    static const char suffix[] = ".desktop";
    const size_t suffix_n = sizeof(suffix) - 1;
    size_t n = strlen(id);
    return n > suffix_n && n <= RUN_ID_MAX && strcmp(id + n - suffix_n, suffix) == 0 &&
           *id != '-' && *id != '.' &&
           strspn(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+@") == n;
}
