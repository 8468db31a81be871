/* SPDX-License-Identifier: MIT */
/* settings-text: one table of keys. Nothing is kept here. */
#include "common/services/settings-text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/error.h"
#include "common/base/number.h"
#include "common/services/command.h"
#include "common/services/helper.h"
#include "common/services/placeholders.h"
#include "common/services/protocols.h"

#define LINE_MAX_BYTES 256

/* The number of @value among @names, or negative with a message that lists them. */
static int choose(const char *value, const char *const *names, int n, char *error,
                  size_t error_size)
{
    char list[200] = "";
    for (int i = 0; i < n; i++) {
        if (strcmp(value, names[i]) == 0)
            return i;
        size_t have = strlen(list);
        snprintf(list + have, sizeof(list) - have, "%s%s",
                 !i           ? ""
                 : i == n - 1 ? " or "
                              : ", ",
                 names[i]);
    }
    return error_set(-EINVAL, error, error_size, "\"%.32s\" is none of %s", value, list);
}

static const char *const directions[] = {"to-host", "to-guest"};
static const char *const types[] = {"stream", "seqpacket", "dgram"};
static const char *const memories[] = {"refuse", "once", "mirror", "share"};
static const char *const dmabufs[] = {"refuse", "share", "once"};
static const char *const signals[] = {"refuse", "to-host", "to-guest"};
static const char *const files[] = {"refuse", "once"};
static const char *const no_or_yes[] = {"no", "yes"};

static int set_string(char **string, const char *value, char *error, size_t error_size)
{
    if (!*value)
        return error_set(-EINVAL, error, error_size, "write a path");
    char *copy = strdup(value);
    if (!copy)
        return error_set(-EINVAL, error, error_size, "out of memory");
    free(*string);
    *string = copy;
    return 0;
}

/* Who says where a service leads to has said it instead of a preset. */
static int set_path(struct service_settings *s, const char *value, char *error, size_t error_size)
{
    int r = set_string(&s->path, value, error, error_size);
    if (r < 0)
        return r;
    command_free(s->exec);
    s->exec = NULL;
    return 0;
}

static int set_exec(struct service_settings *s, const char *value, char *error, size_t error_size)
{
    char **words = command_split(value, error, error_size);
    if (!words)
        return -EINVAL;
    command_free(s->exec);
    s->exec = words;
    free(s->path);
    s->path = NULL;
    return 0;
}

static int set_listen(struct service_settings *s, const char *value, char *error, size_t error_size)
{
    return set_string(&s->listen, value, error, error_size);
}

static int set_direction(struct service_settings *s, const char *value, char *error,
                         size_t error_size)
{
    int i = choose(value, directions, 2, error, error_size);
    if (i >= 0)
        s->direction = (enum service_direction)i;
    return i < 0 ? i : 0;
}

static int set_protocol(struct service_settings *s, const char *value, char *error,
                        size_t error_size)
{
    char list[200] = "";
    if (protocol_find(value, &s->helper))
        return 0;
    for (const char *name = NULL; (name = protocol_next(name));) {
        size_t n = strlen(list);
        snprintf(list + n, sizeof(list) - n, " %s", name);
    }
    return error_set(-EINVAL, error, error_size, "the protocol \"%.32s\" is none of:%s", value,
                     list);
}

static int set_type(struct service_settings *s, const char *value, char *error, size_t error_size)
{
    int i = choose(value, types, 3, error, error_size);
    if (i >= 0)
        s->type = (enum link_socket_type)i;
    return i < 0 ? i : 0;
}

static int set_memory(struct service_settings *s, const char *value, char *error, size_t error_size)
{
    int i = choose(value, memories, 4, error, error_size);
    s->share = i == _LINK_MEMORY_N; /* and otherwise mirrored */
    if (i >= 0)
        s->memory = s->share ? LINK_MEMORY_MIRROR : (enum link_memory)i;
    return i < 0 ? i : 0;
}

static int set_dmabufs(struct service_settings *s, const char *value, char *error,
                       size_t error_size)
{
    int i = choose(value, dmabufs, _LINK_DMABUFS_N, error, error_size);
    if (i >= 0)
        s->dmabufs = (enum link_dmabufs)i;
    return i < 0 ? i : 0;
}

static int set_eventfds(struct service_settings *s, const char *value, char *error,
                        size_t error_size)
{
    int i = choose(value, signals, 3, error, error_size);
    if (i >= 0)
        s->eventfds = (enum link_signals)i;
    return i < 0 ? i : 0;
}

static int set_size(uint32_t *size, const char *value, uint32_t max, char *error, size_t error_size)
{
    uint64_t n;
    if (!number_parse_size(value, max, &n))
        return error_set(-EINVAL, error, error_size,
                         "\"%.32s\" is no size: write a number up to %u, in bytes or with K, M or "
                         "G",
                         value, max);
    *size = (uint32_t)n;
    return 0;
}

static int set_mirror(struct service_settings *s, const char *value, char *error, size_t error_size)
{
    return set_size(&s->max_mirror, value, LINK_MIRROR_MAX, error, error_size);
}

static int set_mirrored(struct service_settings *s, const char *value, char *error,
                        size_t error_size)
{
    return set_size(&s->max_mirrored, value, 1u << 30, error, error_size);
}

static int set_files(struct service_settings *s, const char *value, char *error, size_t error_size)
{
    int i = choose(value, files, 2, error, error_size);
    if (i >= 0)
        s->files = i == 1;
    return i < 0 ? i : 0;
}

static int set_sync_files(struct service_settings *s, const char *value, char *error,
                          size_t error_size)
{
    int i = choose(value, files, 2, error, error_size);
    if (i >= 0)
        s->sync_files = i == 1;
    return i < 0 ? i : 0;
}

static int set_sockets(struct service_settings *s, const char *value, char *error,
                       size_t error_size)
{
    int i = choose(value, no_or_yes, 2, error, error_size);
    if (i >= 0)
        s->sockets = i == 1;
    return i < 0 ? i : 0;
}

static int set_depth(struct service_settings *s, const char *value, char *error, size_t error_size)
{
    uint64_t n;
    if (!number_parse(value, strlen(value), 16, &n))
        return error_set(-EINVAL, error, error_size,
                         "\"%.32s\" is no depth: write a number from 0 to 16", value);
    s->max_depth = (unsigned)n;
    return 0;
}

static int set_record(struct service_settings *s, const char *value, char *error, size_t error_size)
{
    int i = choose(value, no_or_yes, 2, error, error_size);
    if (i >= 0)
        s->record = i == 1;
    return i < 0 ? i : 0;
}

static int set_cookie(struct service_settings *s, const char *value, char *error, size_t error_size)
{
    return set_string(&s->cookie_file, value, error, error_size);
}

static int set_connections(struct service_settings *s, const char *value, char *error,
                           size_t error_size)
{
    uint64_t n;
    if (!number_parse(value, strlen(value), 4096, &n) || n == 0)
        return error_set(-EINVAL, error, error_size,
                         "\"%.32s\" is no count: write a number from 1 to 4096", value);
    s->max_connections = (unsigned)n;
    return 0;
}

static const struct {
    const char *name;
    int (*set)(struct service_settings *s, const char *value, char *error, size_t error_size);
} keys[] = {
    {"path", set_path},
    {"exec", set_exec},
    {"listen", set_listen},
    {"direction", set_direction},
    {"protocol", set_protocol},
    {"type", set_type},
    {"memory", set_memory},
    {"files", set_files},
    {"sockets", set_sockets},
    {"max-depth", set_depth},
    {"max-connections", set_connections},
    {"record", set_record},
    {"cookie", set_cookie},
    {"eventfds", set_eventfds},
    {"max-mirror", set_mirror},
    {"max-mirrored", set_mirrored},
    {"dmabufs", set_dmabufs},
    {"sync-files", set_sync_files},
};
const char *const service_keys[] = {
    "path",       "exec",         "listen",    "direction",       "protocol", "type",   "memory",
    "files",      "sockets",      "max-depth", "max-connections", "record",   "cookie", "eventfds",
    "max-mirror", "max-mirrored", "dmabufs",   "sync-files",      NULL};

int service_set(struct service_settings *s, const char *key, const char *value, char *error,
                size_t error_size)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(*keys); i++)
        if (strcmp(keys[i].name, key) == 0)
            return keys[i].set(s, value, error, error_size);
    return -ENOENT;
}

int service_set_lines(struct service_settings *s, const char *lines, char *error, size_t error_size)
{
    while (*lines) {
        char line[LINE_MAX_BYTES];
        size_t n = strcspn(lines, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)n, lines);
        char *equals = strstr(line, " = ");
        if (!equals)
            return error_set(-EINVAL, error, error_size, "\"%.80s\" is no setting", line);
        *equals = 0;
        int r = service_set(s, line, equals + 3, error, error_size);
        if (r < 0)
            return r;
        lines += n + (lines[n] != 0);
    }
    return 0;
}

int service_settings_check(const struct service_settings *s, char *error, size_t error_size)
{
    if (s->direction == SERVICE_TO_HOST && !s->path && !s->exec)
        return error_set(-EINVAL, error, error_size,
                         "the service \"%s\" leads nowhere: add \"path = SOCKET\" or \"exec = "
                         "COMMAND\" below [forward %s]",
                         s->name, s->name);
    if (s->direction == SERVICE_TO_GUEST && !s->listen)
        return error_set(-EINVAL, error, error_size,
                         "nobody on the host can reach the guest's service \"%s\": add \"listen = "
                         "SOCKET\" below [forward %s]",
                         s->name, s->name);
    if (s->direction == SERVICE_TO_GUEST ? s->path || s->exec : s->listen != NULL)
        return error_set(-EINVAL, error, error_size,
                         "the service \"%s\" has \"%s\", which does not go with direction = %s",
                         s->name,
                         s->path   ? "path"
                         : s->exec ? "exec"
                                   : "listen",
                         directions[s->direction]);
    if (s->direction == SERVICE_TO_GUEST && s->type == LINK_SOCKET_DGRAM)
        return error_set(-EINVAL, error, error_size,
                         "the service \"%s\" is of type dgram, which goes to the host only",
                         s->name);
    if (s->helper && s->helper->needs_mirrors && s->memory != LINK_MEMORY_MIRROR)
        return error_set(-EINVAL, error, error_size,
                         "the service \"%s\" has protocol = %s, which needs memory = mirror",
                         s->name, s->helper->name);
    if (s->helper && s->type != LINK_SOCKET_STREAM)
        return error_set(-EINVAL, error, error_size,
                         "the service \"%s\": a protocol is known of streams only", s->name);
    return 0;
}

int service_path(const char *written, const char *vm, char *path, size_t size, char *error,
                 size_t error_size)
{
    struct placeholders known = {.vm = vm};
    int r = placeholders_fill(written, &known, path, size, error, error_size);
    if (r == -ENAMETOOLONG)
        return error_set(r, error, error_size, "the path is too long for a socket");
    if (r < 0)
        return r;
    if (*path != '/')
        return error_set(-EINVAL, error, error_size, "\"%.80s\" is no absolute path", path);
    return 0;
}

int service_parse(const char *text, struct service_settings *s, const char **ret_path, char *error,
                  size_t error_size)
{
    const char *equals = strchr(text, '=');
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    const char *colon = memchr(text, ':', n);
    size_t name = colon ? (size_t)(colon - text) : n;
    char copy[LINK_NAME_MAX + 1], type[16];
    if (!service_name_is_valid(text, name))
        return error_set(-EINVAL, error, error_size,
                         "\"%.*s\" is no name for a service: write 1 to %d letters, digits, dots, "
                         "hyphens or underscores",
                         (int)(name < 80 ? name : 80), text, LINK_NAME_MAX);
    if (equals && !equals[1])
        return error_set(-EINVAL, error, error_size, "\"%.80s\" lacks a path behind the =", text);
    snprintf(copy, sizeof(copy), "%.*s", (int)name, text);
    service_settings_init(s, copy);
    *ret_path = equals ? equals + 1 : NULL;
    if (!colon)
        return 0;
    snprintf(type, sizeof(type), "%.*s", (int)(n - name - 1), colon + 1);
    return set_type(s, type, error, error_size);
}
