/* SPDX-License-Identifier: MIT */
/* helper-dbus: D-Bus. Owns how far each side is: a zero byte (the client), lines, messages.
 *
 * A client says with EXTERNAL which user it is, and the bus compares that with the owner of the
 * socket's other end: with us. So the guest's user becomes ours, whoever that was; no other way of
 * authentication passes. Who asks for a guest's bus becomes whoever the guest's daemon is, which
 * only the bus knows: it is told nothing, and looks. Each of the client's lines gets one line, so
 * the bus may still have some to say when the client has begun with messages; no line begins as a
 * message does. */
#include "common/services/helper-dbus.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/base/log.h"
#include "common/base/refused.h"
#include "common/services/settings.h"

#define LINE_MAX_CLIENT 64u /* with its end; EXTERNAL and a user take 40 */
#define LINE_MAX_SERVER (16u << 10)
#define HEADER_SIZE 16u
#define FIELDS_MAX (64u << 20)
#define MESSAGE_MAX (128u << 20)

_Static_assert(LINE_MAX_CLIENT <= SERVICE_HEAD_MAX, "frame() sees a whole line");

enum phase { PHASE_ZERO, PHASE_LINES, PHASE_MESSAGES };

struct service_helper {
    const struct service_sink *sink;
    struct log_subject *subject;
    enum phase client, server;
    bool unknown;       /* which user the bus expects */
    bool external;      /* what the client was asked for is a user */
    unsigned asked;     /* times that the bus will ask for a user which the client has told */
    size_t server_line; /* bytes of a line of the server's that are on their way already */
    bool told;
};

static struct service_helper *dbus_create(const struct service_settings *settings,
                                          const struct service_sink *sink,
                                          struct log_subject *subject)
{
    struct service_helper *h = calloc(1, sizeof(*h));
    if (!h)
        return NULL;
    h->unknown = settings->direction == SERVICE_TO_GUEST;
    h->sink = sink;
    h->subject = subject;
    h->server = PHASE_LINES;
    return h;
}

static void dbus_destroy(struct service_helper *h)
{
    free(h);
}

static uint32_t get_u32(const uint8_t *bytes, bool big)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value |= (uint32_t)bytes[i] << (big ? 24 - 8 * i : 8 * i);
    return value;
}

static bool begins_message(uint8_t byte)
{
    return byte == 'l' || byte == 'B';
}

static int frame_message(struct service_helper *h, const uint8_t *bytes, size_t size,
                         struct service_frame *ret)
{
    if (!begins_message(bytes[0]))
        return helper_fail(h->sink, "dbus: what begins as no message does");
    if (size < HEADER_SIZE)
        return 0;
    bool big = bytes[0] == 'B';
    uint32_t body = get_u32(bytes + 4, big), fields = get_u32(bytes + 12, big);
    uint64_t whole = HEADER_SIZE + (((uint64_t)fields + 7) & ~(uint64_t)7) + body;
    if (!bytes[1] || bytes[3] != 1)
        return helper_fail(h->sink, "dbus: a message of a type or version that there is not");
    if (fields > FIELDS_MAX || whole > MESSAGE_MAX)
        return helper_fail(h->sink, "dbus: a message that is longer than D-Bus lets it be");
    *ret = (struct service_frame){.size = whole};
    return 1;
}

/* Text, and \r\n at its end. Others look for both, or read on behind a zero. */
static bool is_line(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] == '\r'   ? i + 1 < n && bytes[i + 1] != '\n'
            : bytes[i] == '\n' ? !i || bytes[i - 1] != '\r'
                               : bytes[i] < 0x20 || bytes[i] > 0x7e)
            return false;
    return true;
}

static int frame_client_line(struct service_helper *h, const uint8_t *bytes, size_t size,
                             struct service_frame *ret)
{
    size_t n = size < LINE_MAX_CLIENT ? size : LINE_MAX_CLIENT;
    const uint8_t *end = memchr(bytes, '\n', n);
    if (end)
        n = (size_t)(end - bytes) + 1;
    if (!is_line(bytes, n))
        return helper_fail(h->sink, "dbus: a line with bytes that are no text");
    if (!end && n == LINE_MAX_CLIENT)
        return helper_fail(h->sink, "dbus: a line that is too long");
    if (!end)
        return 0;
    *ret = (struct service_frame){.size = n, .look = n};
    return 1;
}

static int frame_server_line(struct service_helper *h, const uint8_t *bytes, size_t size,
                             struct service_frame *ret)
{
    const uint8_t *end = memchr(bytes, '\n', size < SERVICE_HEAD_MAX ? size : SERVICE_HEAD_MAX);
    if (!end && size < SERVICE_HEAD_MAX)
        return 0;
    size_t n = end ? (size_t)(end - bytes) + 1 : SERVICE_HEAD_MAX;
    if (h->server_line + n > LINE_MAX_SERVER)
        return helper_fail(h->sink, "dbus: a line that is too long");
    *ret = (struct service_frame){.size = n, .look = n};
    return 1;
}

static int dbus_frame(struct service_helper *h, enum service_way way, const uint8_t *bytes,
                      size_t size, struct service_frame *ret)
{
    if (!size)
        return 0;
    if (way == SERVICE_FROM_SERVER) {
        if (h->client == PHASE_MESSAGES && !h->server_line && begins_message(bytes[0]))
            h->server = PHASE_MESSAGES;
        return h->server == PHASE_MESSAGES ? frame_message(h, bytes, size, ret)
                                           : frame_server_line(h, bytes, size, ret);
    }
    switch (h->client) {
    case PHASE_ZERO:
        if (bytes[0])
            return helper_fail(h->sink, "dbus: a client that does not begin with a zero");
        *ret = (struct service_frame){.size = 1, .look = 1};
        return 1;
    case PHASE_LINES:
        return frame_client_line(h, bytes, size, ret);
    default:
        return frame_message(h, bytes, size, ret);
    }
}

/* The client's line without its end, to be taken apart. */
struct line {
    const char *at;
};

/* The next word, or "". */
static void line_word(struct line *line, char *word, size_t room)
{
    size_t n = strcspn(line->at, " ");
    snprintf(word, room, "%.*s", (int)n, line->at);
    line->at += n;
    line->at += strspn(line->at, " ");
}

static int dbus_answer(struct service_helper *h, const char *text)
{
    int error = h->sink->say(h->sink->user, SERVICE_FROM_SERVER, text, strlen(text));
    return error < 0 ? error : SERVICE_DROP;
}

/* The same with the user that we are, in the digits of its digits; or with none where that is not
 * known: then the bus asks, and nothing is an answer that has it look. */
static int dbus_as_us(struct service_helper *h, bool data, uint8_t *bytes, size_t *size,
                      size_t room)
{
    char user[16], line[LINE_MAX_CLIENT + 1];
    const char *command = data ? "DATA" : "AUTH EXTERNAL";
    int n = snprintf(line, sizeof(line), "%s", command);
    if (!h->unknown) {
        snprintf(user, sizeof(user), "%u", (unsigned)geteuid());
        line[n++] = ' ';
        for (const char *digit = user; *digit; digit++)
            n += snprintf(line + n, sizeof(line) - (size_t)n, "%02x", (unsigned)*digit);
    } else if (!data) {
        n += snprintf(line + n, sizeof(line) - (size_t)n, "\r\nDATA");
        h->asked++;
    }
    n += snprintf(line + n, sizeof(line) - (size_t)n, "\r\n");
    if ((size_t)n > room)
        return -ENOBUFS;
    memcpy(bytes, line, (size_t)n);
    *size = (size_t)n;
    return SERVICE_PASS;
}

static int client_line(struct service_helper *h, uint8_t *bytes, size_t *size, size_t room)
{
    char text[LINE_MAX_CLIENT + 1], command[LINE_MAX_CLIENT + 1], word[LINE_MAX_CLIENT + 1];
    snprintf(text, sizeof(text), "%.*s", (int)(*size - 2), (const char *)bytes);
    struct line line = {.at = text};
    line_word(&line, command, sizeof(command));
    line_word(&line, word, sizeof(word));
    if (strcmp(command, "AUTH") == 0) {
        h->external = strcmp(word, "EXTERNAL") == 0;
        if (!*word)
            return SERVICE_PASS; /* the bus tells which ways there are */
        if (!h->external) {
            if (!h->told) {
                log_info(h->subject, "dbus: refused AUTH %.20s: only EXTERNAL passes", word);
                refused_note(h->subject, "service", "dbus: only EXTERNAL passes");
            }
            h->told = true;
            return dbus_answer(h, "REJECTED EXTERNAL\r\n");
        }
        return *line.at ? dbus_as_us(h, false, bytes, size, room) : SERVICE_PASS;
    }
    if (strcmp(command, "DATA") == 0)
        return *word && h->external ? dbus_as_us(h, true, bytes, size, room) : SERVICE_PASS;
    if (strcmp(command, "BEGIN") == 0)
        h->client = PHASE_MESSAGES;
    else if (strcmp(command, "CANCEL") != 0 && strcmp(command, "ERROR") != 0 &&
             strcmp(command, "NEGOTIATE_UNIX_FD") != 0)
        return dbus_answer(h, "ERROR\r\n");
    return SERVICE_PASS;
}

static int dbus_message(struct service_helper *h, enum service_way way, uint8_t *bytes,
                        size_t *size, size_t room)
{
    if (way == SERVICE_FROM_SERVER) {
        bool whole = !h->server_line && bytes[*size - 1] == '\n';
        h->server_line = bytes[*size - 1] == '\n' ? 0 : h->server_line + *size;
        bool asks = h->asked && whole && *size >= 4 && memcmp(bytes, "DATA", 4) == 0;
        if (whole)
            h->asked -= h->asked > 0;
        return asks ? SERVICE_DROP : SERVICE_PASS;
    }
    if (h->client == PHASE_ZERO) {
        h->client = PHASE_LINES;
        return SERVICE_PASS;
    }
    return client_line(h, bytes, size, room);
}

const struct service_helper_ops helper_dbus = {
    .name = "dbus",
    .create = dbus_create,
    .destroy = dbus_destroy,
    .frame = dbus_frame,
    .message = dbus_message,
};
