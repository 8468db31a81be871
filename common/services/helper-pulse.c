/* SPDX-License-Identifier: MIT */
/* helper-pulse: PulseAudio's native protocol. Owns which requests wait for an answer, and which of
 * the server's objects are this client's.
 *
 * A frame is a head of 20 bytes and what it says: sound of a stream, or a command. No descriptor
 * ever comes, since neither side hears from the other that it knows shared memory. What a command
 * may do is in pulse-commands.def.
 *
 * A request has a number (tag), and the answer has it, too. The server gets numbers of ours, none
 * twice, so that no client can have one answer taken for another: from answers we learn what
 * belongs to it. */
#include "common/services/helper-pulse.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/refused.h"
#include "common/services/pulse-commands.h"
#include "common/services/pulse-cookie.h"
#include "common/services/pulse-names.h"
#include "common/services/pulse-values.h"
#include "common/services/settings.h"

#define HEAD_SIZE 20u
#define FRAME_MAX (16u << 20)
#define CHANNEL_COMMAND UINT32_MAX
#define FLAGS_MEMORY 0xff000000u /* of a frame: it is about shared memory */
#define COMMAND_MIN 10u          /* its number and its tag */
#define TAG_AT (HEAD_SIZE + 6)
#define VERSION_MASK 0xffffu /* above it: what of shared memory the speaker knows */
#define VERSION_MIN 13u      /* from here on, names are in property lists */

#define PENDING_N 256u /* a power of two */
#define OWN_MAX 128u
#define UPDATE_SET 0u /* a property list that replaces all of the one before */

/* What is wrong, in the protocol's numbers. */
enum { WRONG_ACCESS = 1, WRONG_ENTITY = 5, WRONG_VERSION = 17, WRONG_SIZE = 18 };

/* What somebody hears of; the rest is other programs'. */
enum {
    ABOUT_SINK,
    ABOUT_SOURCE,
    ABOUT_PLAYBACK,
    ABOUT_RECORDING,
    ABOUT_CLIENT = 5,
    ABOUT_SERVER = 7
};

struct pending {
    bool used;
    uint8_t command;
    uint32_t tag, theirs;
};

struct own {
    enum pulse_object object;
    uint32_t channel, index; /* what the connection and the whole server call it */
};

struct service_helper {
    const struct service_settings *settings;
    const struct service_sink *sink;
    struct log_subject *subject;
    bool greeted; /* AUTH has passed */
    uint32_t next_tag;
    struct pending pending[PENDING_N];
    struct own own[OWN_MAX];
    size_t n_own;
    bool told[_PULSE_COMMAND_N + 1]; /* which refusals the log has */
};

/* A command, behind its number and tag. */
struct command {
    uint8_t *bytes;
    size_t *size, room;
    uint32_t number, tag;
    struct pulse_reader values;
};

static int malformed(struct service_helper *h)
{
    return helper_fail(h->sink, "pulse: a malformed command");
}

static int pulse_prepare(struct service_settings *settings, char *error, size_t error_size)
{
    free(settings->cookie);
    settings->cookie = NULL;
    return pulse_cookie_read(settings->cookie_file, &settings->cookie, error, error_size);
}

static struct service_helper *pulse_create(const struct service_settings *settings,
                                           const struct service_sink *sink,
                                           struct log_subject *subject)
{
    struct service_helper *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->settings = settings;
    h->sink = sink;
    h->subject = subject;
    return h;
}

static void pulse_destroy(struct service_helper *h)
{
    free(h);
}

static int pulse_frame(struct service_helper *h, enum service_way way, const uint8_t *bytes,
                       size_t size, struct service_frame *ret)
{
    if (size < HEAD_SIZE)
        return 0;
    uint32_t length = pulse_get_be32(bytes), channel = pulse_get_be32(bytes + 4);
    uint64_t whole = (uint64_t)HEAD_SIZE + length;
    if (pulse_get_be32(bytes + 16) & FLAGS_MEMORY)
        return helper_fail(h->sink, "pulse: shared memory, which was not agreed on");
    if (!length || length > FRAME_MAX)
        return helper_fail(h->sink, "pulse: a frame of a size that there is not");
    *ret = (struct service_frame){.size = whole};
    if (channel != CHANNEL_COMMAND)
        return 1;
    if (length < COMMAND_MIN)
        return malformed(h);
    if (way == SERVICE_FROM_CLIENT && whole > SERVICE_LOOK_MAX)
        return helper_fail(h->sink, "pulse: a command that is too long");
    ret->look = whole < SERVICE_LOOK_MAX ? (size_t)whole : SERVICE_LOOK_MAX;
    return 1;
}

/* The client hears that it may not, and goes on. */
static int refuse(struct service_helper *h, const struct command *c, uint32_t wrong)
{
    const struct pulse_command_info *info = pulse_command_get(c->number);
    bool *told = &h->told[info ? c->number : _PULSE_COMMAND_N];
    if (!*told) {
        char text[128];
        snprintf(text, sizeof(text), "pulse: refused %s%s",
                 info ? info->name : "an unknown command",
                 info && (info->client & PULSE_RULE_RECORD) && !h->settings->record
                     ? " (record = yes would allow it)"
                     : "");
        log_info(h->subject, "%s", text);
        refused_note(h->subject, "service", text);
    }
    *told = true;
    uint8_t bytes[HEAD_SIZE + 15] = {0};
    struct pulse_writer w = {.bytes = bytes, .room = sizeof(bytes), .n = HEAD_SIZE};
    pulse_write_u32(&w, PULSE_ERROR);
    pulse_write_u32(&w, c->tag);
    pulse_write_u32(&w, wrong);
    pulse_put_be32(bytes, (uint32_t)(w.n - HEAD_SIZE));
    pulse_put_be32(bytes + 4, CHANNEL_COMMAND);
    int error = h->sink->say(h->sink->user, SERVICE_FROM_SERVER, bytes, w.n);
    return error < 0 ? error : SERVICE_DROP;
}

/* Requests from whose answers something is learnt, or in whose answers something is changed. */
static bool answer_matters(uint32_t command)
{
    return command == PULSE_AUTH || command == PULSE_SET_CLIENT_NAME ||
           command == PULSE_GET_SERVER_INFO || command == PULSE_CREATE_PLAYBACK_STREAM ||
           command == PULSE_CREATE_RECORD_STREAM;
}

/* Gives the request a number of ours. One whose answer never came, and does not matter, makes room.
 * False: too many wait. */
static bool pending_add(struct service_helper *h, const struct command *c)
{
    for (unsigned i = 0; i < PENDING_N; i++) {
        uint32_t tag = h->next_tag++ & (UINT32_MAX >> 1);
        struct pending *p = &h->pending[tag % PENDING_N];
        if (p->used && answer_matters(p->command))
            continue;
        *p = (struct pending){
            .used = true, .command = (uint8_t)c->number, .tag = tag, .theirs = c->tag};
        pulse_put_be32(c->bytes + TAG_AT, tag);
        return true;
    }
    return false;
}

static struct own *own_find(struct service_helper *h, enum pulse_object object, uint32_t index)
{
    for (size_t i = 0; i < h->n_own; i++)
        if (h->own[i].object == object && h->own[i].index == index)
            return &h->own[i];
    return NULL;
}

static void own_remove(struct service_helper *h, enum pulse_object object, uint32_t channel)
{
    for (size_t i = 0; i < h->n_own; i++)
        if (h->own[i].object == object && h->own[i].channel == channel) {
            h->own[i] = h->own[--h->n_own];
            return;
        }
}

static void own_add(struct service_helper *h, struct own own)
{
    own_remove(h, own.object, own.channel);
    if (h->n_own < OWN_MAX)
        h->own[h->n_own++] = own;
}

/* Those that are asked for count. */
static bool own_room(const struct service_helper *h)
{
    size_t n = h->n_own;
    for (unsigned i = 0; i < PENDING_N; i++)
        n += h->pending[i].used && answer_matters(h->pending[i].command);
    return n < OWN_MAX;
}

static int auth(struct service_helper *h, struct command *c)
{
    static const uint8_t none[PULSE_COOKIE_SIZE];
    uint8_t *version_at = c->bytes + (c->values.at - c->bytes) + 1;
    uint32_t version, size;
    const uint8_t *cookie;
    if (!pulse_read_u32(&c->values, &version) || !pulse_read_bytes(&c->values, &cookie, &size) ||
        size != PULSE_COOKIE_SIZE || c->values.at != c->values.end)
        return malformed(h);
    version &= VERSION_MASK;
    if (version < VERSION_MIN)
        return refuse(h, c, WRONG_VERSION);
    pulse_put_be32(version_at, version);
    memcpy(c->bytes + (cookie - c->bytes), h->settings->cookie ? h->settings->cookie : none,
           PULSE_COOKIE_SIZE);
    h->greeted = true;
    return SERVICE_PASS;
}

/* The values again, with other names. */
static int named(struct service_helper *h, struct command *c)
{
    uint8_t bytes[SERVICE_LOOK_MAX + 4096];
    size_t head = (size_t)(c->values.at - c->bytes);
    struct pulse_writer w = {.bytes = bytes, .room = c->room};
    if (w.room > sizeof(bytes))
        w.room = sizeof(bytes);
    bool strings =
        c->number == PULSE_SET_PLAYBACK_STREAM_NAME || c->number == PULSE_SET_RECORD_STREAM_NAME;
    struct pulse_reader values = c->values;
    uint32_t mode = UPDATE_SET;
    if (c->number == PULSE_UPDATE_CLIENT_PROPLIST && !pulse_read_u32(&values, &mode))
        return malformed(h);
    bool unnamed = c->number == PULSE_SET_CLIENT_NAME ||
                   (c->number == PULSE_UPDATE_CLIENT_PROPLIST && mode == UPDATE_SET);
    pulse_write(&w, c->bytes, head);
    if (!pulse_names_copy(&c->values, &w, h->settings->prefix,
                          strings ? PULSE_TEXTS_NAMES : PULSE_TEXTS_KEPT, unnamed))
        return malformed(h);
    if (w.full)
        return refuse(h, c, WRONG_SIZE);
    memcpy(c->bytes, bytes, w.n);
    pulse_put_be32(c->bytes, (uint32_t)(w.n - HEAD_SIZE));
    *c->size = w.n;
    return SERVICE_PASS;
}

static int client_says(struct service_helper *h, struct command *c)
{
    const struct pulse_command_info *info = pulse_command_get(c->number);
    unsigned rule = info ? info->client : PULSE_RULE_REFUSE;
    unsigned kind = rule & PULSE_RULE_KIND;
    uint32_t first;
    int verdict = SERVICE_PASS;
    /* What is said before anything is agreed on would be read by other rules. */
    if (kind == PULSE_RULE_REFUSE || (!h->greeted && kind != PULSE_RULE_AUTH) ||
        ((rule & PULSE_RULE_RECORD) && !h->settings->record))
        return refuse(h, c, WRONG_ACCESS);
    bool creates =
        c->number == PULSE_CREATE_PLAYBACK_STREAM || c->number == PULSE_CREATE_RECORD_STREAM;
    if (creates && !own_room(h))
        return refuse(h, c, WRONG_SIZE);
    struct pulse_reader values = c->values;
    if (kind == PULSE_RULE_OWN) {
        if (!pulse_read_u32(&values, &first))
            return malformed(h);
        if (!own_find(h, (enum pulse_object)((rule & PULSE_RULE_OBJECT) >> 4), first))
            return refuse(h, c, WRONG_ENTITY);
    }
    if (kind == PULSE_RULE_AUTH)
        verdict = auth(h, c);
    else if (kind == PULSE_RULE_NAMED)
        verdict = named(h, c);
    if (verdict != SERVICE_PASS)
        return verdict;
    if ((c->number == PULSE_DELETE_PLAYBACK_STREAM || c->number == PULSE_DELETE_RECORD_STREAM) &&
        pulse_read_u32(&values, &first))
        own_remove(h, c->number == PULSE_DELETE_PLAYBACK_STREAM ? PULSE_PLAYBACK : PULSE_RECORDING,
                   first);
    return pending_add(h, c) ? SERVICE_PASS : refuse(h, c, WRONG_SIZE);
}

/* Name and version of the server; then the user and the host. */
static bool hide_host(struct command *c)
{
    uint8_t bytes[SERVICE_LOOK_MAX];
    struct pulse_writer w = {.bytes = bytes, .room = sizeof(bytes)};
    struct pulse_reader *r = &c->values;
    const char *text;
    if (!pulse_read_string(r, &text) || !pulse_read_string(r, &text))
        return false;
    pulse_write(&w, c->bytes, (size_t)(r->at - c->bytes));
    if (!pulse_read_string(r, &text) || !pulse_read_string(r, &text))
        return false;
    pulse_write_string(&w, "user");
    pulse_write_string(&w, "host");
    pulse_write(&w, r->at, (size_t)(r->end - r->at));
    if (w.full || w.n > c->room)
        return false;
    memcpy(c->bytes, bytes, w.n);
    pulse_put_be32(c->bytes, (uint32_t)(w.n - HEAD_SIZE));
    *c->size = w.n;
    return true;
}

/* The answer to @request: what it says belongs to the client from now on. */
static bool learn(struct service_helper *h, struct command *c, uint32_t request)
{
    struct own own = {0};
    uint32_t version;
    const uint8_t *at = c->values.at;
    switch (request) {
    case PULSE_AUTH:
        if (!pulse_read_u32(&c->values, &version) || (version & VERSION_MASK) < VERSION_MIN)
            return false;
        pulse_put_be32(c->bytes + (at + 1 - c->bytes), version & VERSION_MASK);
        return true;
    case PULSE_GET_SERVER_INFO:
        return hide_host(c);
    case PULSE_SET_CLIENT_NAME:
        own.object = PULSE_CLIENT;
        break;
    case PULSE_CREATE_PLAYBACK_STREAM:
        own.object = PULSE_PLAYBACK;
        break;
    case PULSE_CREATE_RECORD_STREAM:
        own.object = PULSE_RECORDING;
        break;
    default:
        return true;
    }
    if ((own.object != PULSE_CLIENT && !pulse_read_u32(&c->values, &own.channel)) ||
        !pulse_read_u32(&c->values, &own.index))
        return false;
    own_add(h, own);
    return true;
}

static int server_answers(struct service_helper *h, struct command *c)
{
    struct pending *p = &h->pending[c->tag % PENDING_N];
    if (!p->used || p->tag != c->tag)
        return SERVICE_DROP;
    p->used = false;
    pulse_put_be32(c->bytes + TAG_AT, p->theirs);
    if (c->number != PULSE_REPLY || !answer_matters(p->command))
        return SERVICE_PASS;
    /* What is not here whole has other answers' size. */
    if (pulse_get_be32(c->bytes) + HEAD_SIZE != *c->size || !learn(h, c, p->command))
        return helper_fail(h->sink, "pulse: an answer of a form that is not known");
    return SERVICE_PASS;
}

/* Of what belongs to others, a client hears nothing. */
static bool event_is_own(struct service_helper *h, struct command *c)
{
    uint32_t event, index;
    if (!pulse_read_u32(&c->values, &event) || !pulse_read_u32(&c->values, &index))
        return false;
    switch (event & 0xf) {
    case ABOUT_SINK:
    case ABOUT_SOURCE:
    case ABOUT_SERVER:
        return true;
    case ABOUT_PLAYBACK:
        return own_find(h, PULSE_PLAYBACK, index);
    case ABOUT_RECORDING:
        return own_find(h, PULSE_RECORDING, index);
    case ABOUT_CLIENT:
        return own_find(h, PULSE_CLIENT, index);
    default:
        return false;
    }
}

static int server_says(struct service_helper *h, struct command *c)
{
    const struct pulse_command_info *info = pulse_command_get(c->number);
    uint32_t channel;
    if (!info || info->server == PULSE_RULE_REFUSE)
        return SERVICE_DROP;
    if (info->server == PULSE_RULE_ANSWER)
        return server_answers(h, c);
    if (c->number == PULSE_SUBSCRIBE_EVENT)
        return event_is_own(h, c) ? SERVICE_PASS : SERVICE_DROP;
    bool played = c->number == PULSE_PLAYBACK_STREAM_KILLED;
    if ((played || c->number == PULSE_RECORD_STREAM_KILLED) && pulse_read_u32(&c->values, &channel))
        own_remove(h, played ? PULSE_PLAYBACK : PULSE_RECORDING, channel);
    return SERVICE_PASS;
}

static int pulse_message(struct service_helper *h, enum service_way way, uint8_t *bytes,
                         size_t *size, size_t room)
{
    struct command c = {.bytes = bytes,
                        .size = size,
                        .room = room,
                        .values = {.at = bytes + HEAD_SIZE, .end = bytes + *size}};
    if (!pulse_read_u32(&c.values, &c.number) || !pulse_read_u32(&c.values, &c.tag))
        return malformed(h);
    return way == SERVICE_FROM_CLIENT ? client_says(h, &c) : server_says(h, &c);
}

const struct service_helper_ops helper_pulse = {
    .name = "pulse",
    .prepare = pulse_prepare,
    .create = pulse_create,
    .destroy = pulse_destroy,
    .frame = pulse_frame,
    .message = pulse_message,
};
