/* SPDX-License-Identifier: MIT */
/* pulse-names: owns nothing; which properties of a guest's pass. The host's server does more with
 * them than to show them: PipeWire makes properties of its nodes of them (which may capture, drive
 * the graph or fix its rate), session managers restore volumes and mute other programs by a role or
 * an id, and desktops look up programs and pictures. So this is a list of what passes. */
#include "common/services/pulse-names.h"

#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

#define NAME_MAX_CHARACTERS 256
#define APPLICATION_NAME "application.name"

enum kind {
    NAME, /* is shown by itself: gets the prefix */
    TEXT, /* is shown beside a name */
    WORD, /* of a file or program: no path */
};

static const struct {
    const char *key;
    enum kind kind;
} keys[] = {
    {APPLICATION_NAME, NAME},
    {"application.icon_name", WORD},
    {"application.language", TEXT},
    {"application.process.binary", WORD},
    {"application.version", TEXT},
    {"event.description", NAME},
    {"event.id", WORD},
    {"media.artist", TEXT},
    {"media.copyright", TEXT},
    {"media.icon_name", WORD},
    {"media.language", TEXT},
    {"media.name", NAME},
    {"media.software", TEXT},
    {"media.title", NAME},
};
#define KEYS_N (sizeof(keys) / sizeof(*keys))

/* Writes what becomes of @text into @at, which has room for it. */
static void pulse_names_clean(char *at, size_t room, const char *text, enum kind kind,
                              const char *prefix)
{
    size_t n = 0;
    if (kind == NAME && prefix)
        n = (size_t)snprintf(at, room, "%s", prefix);
    if (n >= room)
        return;
    text_clean(at + n, room - n, text, NAME_MAX_CHARACTERS);
    for (char *c = at; kind == WORD && *c; c++)
        if (*c == '/')
            *c = '_';
}

static void pulse_names_property(const struct pulse_property *property, struct pulse_writer *to,
                                 const char *prefix, bool *named)
{
    char text[NAME_MAX_CHARACTERS * 4 + 256];
    size_t i = 0;
    while (i < KEYS_N && strcmp(keys[i].key, property->key) != 0)
        i++;
    /* Texts end with a zero, and have no other. */
    if (i == KEYS_N || !property->size ||
        memchr(property->value, 0, property->size) != property->value + property->size - 1)
        return;
    pulse_names_clean(text, sizeof(text), (const char *)property->value, keys[i].kind, prefix);
    pulse_write_property(to, keys[i].key, text);
    if (strcmp(keys[i].key, APPLICATION_NAME) == 0)
        *named = true;
}

bool pulse_names_copy(struct pulse_reader *from, struct pulse_writer *to, const char *prefix,
                      enum pulse_texts texts, bool unnamed)
{
    while (from->at < from->end) {
        const uint8_t *start = from->at;
        struct pulse_reader inside = *from;
        if (!pulse_read_any(from))
            return false;
        if (*start == PULSE_PROPERTIES) {
            struct pulse_property property;
            bool named = false;
            inside.at++;
            pulse_write(to, start, 1);
            while (pulse_read_property(&inside, &property) > 0)
                pulse_names_property(&property, to, prefix, &named);
            if (!named && unnamed && prefix)
                pulse_write_property(to, APPLICATION_NAME, prefix);
            pulse_write(to, (const uint8_t[]){PULSE_NO_STRING}, 1);
        } else if (*start == PULSE_STRING && texts == PULSE_TEXTS_NAMES) {
            char text[NAME_MAX_CHARACTERS * 4 + 256];
            pulse_names_clean(text, sizeof(text), (const char *)start + 1, NAME, prefix);
            pulse_write_string(to, text);
        } else {
            pulse_write(to, start, (size_t)(from->at - start));
        }
    }
    return true;
}
