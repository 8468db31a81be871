/* SPDX-License-Identifier: MIT */
/* pipewire-names: owns the list of what passes. All else would be for the host to decide: who
 * drives the graph and at which rate, what is linked to what, which rights a client has. */
#include "common/services/pipewire-names.h"

#include <stdio.h>
#include <string.h>

#include "common/base/text.h"

#define NAME_MAX_CHARACTERS 256
#define PROPERTIES_MAX 1024u /* as PipeWire's */

enum kind {
    NAME,    /* is shown by itself: gets the prefix */
    TEXT,    /* is shown beside a name */
    WORD,    /* of a file or program: no path */
    ANY,     /* for programs */
    CLASS,   /* a stream's, no device's */
    RECORDS, /* passes where recording does */
};

/* A key that ends with a dot stands for all that begin so. */
static const struct {
    const char *key;
    enum kind kind;
} keys[] = {
    {"application.icon-name", WORD},
    {"application.icon_name", WORD},
    {"application.id", WORD},
    {"application.language", TEXT},
    {"application.name", NAME},
    {"application.process.binary", WORD},
    {"application.version", TEXT},
    {"adapter.auto-port-config", ANY},
    {"audio.", ANY},
    {"channelmix.", ANY},
    {"client.api", WORD},
    {"client.name", NAME},
    {"core.version", ANY},
    {"format.dsp", ANY},
    {"media.artist", TEXT},
    {"media.category", ANY},
    {"media.class", CLASS},
    {"media.comment", TEXT},
    {"media.copyright", TEXT},
    {"media.date", TEXT},
    {"media.filename", WORD},
    {"media.format", TEXT},
    {"media.icon-name", WORD},
    {"media.language", TEXT},
    {"media.name", NAME},
    {"media.role", WORD},
    {"media.software", TEXT},
    {"media.title", NAME},
    {"media.type", ANY},
    {"node.async", ANY},
    {"node.autoconnect", ANY},
    {"node.description", NAME},
    {"node.dont-reconnect", ANY},
    {"node.latency", ANY},
    {"node.name", NAME},
    {"node.nick", NAME},
    {"node.pause-on-idle", ANY},
    {"node.rate", ANY},
    {"node.stream.dont-remix", ANY},
    {"node.target", ANY},
    {"node.trigger", ANY},
    {"node.want-driver", ANY},
    {"port.", ANY},
    {"resample.", ANY},
    {"stream.capture.sink", RECORDS},
    {"stream.dont-remix", ANY},
    {"stream.is-live", ANY},
    {"stream.monitor", RECORDS},
    {"target.object", ANY},
};
#define KEYS_N (sizeof(keys) / sizeof(*keys))

static bool names(const char *listed, const char *key)
{
    size_t n = strlen(listed);
    return listed[n - 1] == '.' ? strncmp(listed, key, n) == 0 : strcmp(listed, key) == 0;
}

static bool passes(const char *key, const char *value, bool record, enum kind *ret)
{
    for (size_t i = 0; i < KEYS_N; i++) {
        if (!names(keys[i].key, key))
            continue;
        *ret = keys[i].kind;
        return *ret == RECORDS ? record : *ret != CLASS || strncmp(value, "Stream/", 7) == 0;
    }
    return false;
}

static void clean(char *at, size_t room, const char *text, enum kind kind, const char *prefix)
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

bool pipewire_names_copy(struct pod_reader *from, struct pod_writer *to, const char *prefix,
                         bool record)
{
    uint32_t n, kept = 0;
    size_t count = to->n;
    if (!pod_read_int(from, &n) || n > PROPERTIES_MAX)
        return false;
    pod_write_int(to, 0);
    for (uint32_t i = 0; i < n; i++) {
        char text[NAME_MAX_CHARACTERS * 4 + 256];
        const char *key, *value = "";
        enum kind kind;
        struct pod none;
        if (!pod_read_string(from, &key))
            return false;
        if (!pod_read_string(from, &value) && (!pod_read(from, &none) || none.type != POD_NONE))
            return false;
        if (!passes(key, value, record, &kind))
            continue;
        clean(text, sizeof(text), value, kind, prefix);
        pod_write_string(to, key);
        pod_write_string(to, text);
        kept++;
    }
    pod_patch_int(to, count, kept);
    return true;
}
