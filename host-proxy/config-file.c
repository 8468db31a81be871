/* SPDX-License-Identifier: MIT */
/* config-file: [host], [vm NAME] and [forward NAME] sections of "key = value" lines. One table of
 * keys per kind of section; whatever is in none of them is an error, so that a mistyped restriction
 * does not go unnoticed. */
#include "host-proxy/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/error.h"
#include "common/base/fd.h"
#include "common/base/number.h"
#include "common/services/settings-text.h"

#define FILE_MAX_BYTES (1 << 20)
#define LINE_MAX_BYTES 4096
#define PREFIX_MAX_BYTES 128
#define SPACE " \t\r\v\f"

struct reader {
    struct host_config *config;
    const char *name; /* the file's */
    unsigned line;
    struct vm_config *vm;             /* whose section it is; NULL in [host] and before any */
    const struct key *keys;           /* of this kind of section; NULL before any */
    struct service_settings *service; /* whose section it is, instead */
    uint32_t seen;                    /* of @keys, in this section */
    char *error;
    size_t error_size;
};

struct key {
    const char *name;
    int (*set)(struct reader *reader, const char *value);
    bool repeats;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reader *reader, const char *format,
                                                        ...)
{
    char text[768];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    snprintf(reader->error, reader->error_size, "%s:%u: %s", reader->name, reader->line, text);
    return -EINVAL;
}

/* In front of a text that another function wrote into @error. */
static int refuse_text(struct reader *reader, const char *error)
{
    return refuse(reader, "%s", error);
}

static int set_string(struct reader *reader, char **string, const char *value)
{
    char *copy = strdup(value);
    if (!copy)
        return refuse(reader, "out of memory");
    free(*string);
    *string = copy;
    return 0;
}

static int set_prefix(struct reader *reader, char **string, const char *value)
{
    if (strlen(value) > PREFIX_MAX_BYTES)
        return refuse(reader, "the prefix is longer than %d bytes", PREFIX_MAX_BYTES);
    for (const char *c = value; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return refuse(reader, "the prefix has control characters");
    }
    if (!*value) {
        free(*string);
        *string = NULL;
        return 0;
    }
    return set_string(reader, string, value);
}

static int set_globs(struct reader *reader, char ***list, const char *value)
{
    char words[LINE_MAX_BYTES], error[256], *rest = words, *word;
    bool any = false;
    snprintf(words, sizeof(words), "%s", value);
    while ((word = strsep(&rest, " \t,"))) {
        if (!*word)
            continue;
        if (host_config_add_glob(list, word, error, sizeof(error)) < 0)
            return refuse_text(reader, error);
        any = true;
    }
    return any ? 0 : refuse(reader, "write interface names, with * for any characters");
}

/* Bytes, or a count where @unit_allowed is false. */
static int parse_amount(struct reader *reader, const char *value, bool unit_allowed, uint64_t min,
                        uint64_t max, uint64_t *ret_amount)
{
    uint64_t amount = 0;
    bool good = unit_allowed ? number_parse_size(value, max, &amount)
                             : number_parse(value, strlen(value), max, &amount);
    if (!good || amount < min)
        return refuse(reader,
                      "\"%.32s\" is no %s: write a number from %" PRIu64 " to %" PRIu64 "%s", value,
                      unit_allowed ? "size" : "count", min, max,
                      unit_allowed ? ", in bytes or with K, M or G" : "");
    *ret_amount = amount;
    return 0;
}

static int host_listen(struct reader *reader, const char *value)
{
    char error[512];
    if (host_config_add_listen(&reader->config->listen, &reader->config->n_listen,
                               &reader->config->listen_room, value, error, sizeof(error)) < 0)
        return refuse_text(reader, error);
    return 0;
}

static int host_compositor(struct reader *reader, const char *value)
{
    if (!*value)
        return refuse(reader, "write a display's name, such as wayland-1, or its path");
    return set_string(reader, &reader->config->compositor, value);
}

static int host_peer_timeout(struct reader *reader, const char *value)
{
    char error[256];
    if (host_config_parse_timeout(value, &reader->config->peer_timeout_s, error, sizeof(error)) < 0)
        return refuse_text(reader, error);
    return 0;
}

static int vm_cid(struct reader *reader, const char *value)
{
    char error[256];
    if (host_config_set_cid(reader->config, reader->vm, value, error, sizeof(error)) < 0)
        return refuse_text(reader, error);
    return 0;
}

static int vm_listen(struct reader *reader, const char *value)
{
    char error[512];
    if (host_config_add_listen(&reader->vm->listen, &reader->vm->n_listen, &reader->vm->listen_room,
                               value, error, sizeof(error)) < 0)
        return refuse_text(reader, error);
    return 0;
}

/* A path, "~/" being the user's home. */
static int set_path(struct reader *reader, char **string, const char *value, const char *advice)
{
    char path[LINE_MAX_BYTES];
    const char *home = getenv("HOME");
    if (!*value)
        return refuse(reader, "%s", advice);
    if (strncmp(value, "~/", 2) != 0 || !home)
        return set_string(reader, string, value);
    int n = snprintf(path, sizeof(path), "%s%s", home, value + 1);
    if (n < 0 || (size_t)n >= sizeof(path))
        return refuse(reader, "the path is too long");
    return set_string(reader, string, path);
}

static int vm_token(struct reader *reader, const char *value)
{
    char *path = NULL;
    int r = set_path(reader, &path, value, "write the path of the token's file");
    if (r == 0 && host_config_add_path(&reader->vm->token_files, path) < 0)
        r = refuse(reader, "out of memory");
    free(path);
    return r;
}

static int vm_gpu(struct reader *reader, const char *value)
{
    return set_path(reader, &reader->vm->gpu, value,
                    "write the path that the VM's wayvsock-gpu was given with --export, or auto");
}

static int vm_allow(struct reader *reader, const char *value)
{
    return set_globs(reader, &reader->vm->allow, value);
}

static int vm_deny(struct reader *reader, const char *value)
{
    return set_globs(reader, &reader->vm->deny, value);
}

static int vm_clipboard(struct reader *reader, const char *value)
{
    static const char *const names[] = {
        [CLIPBOARD_OFF] = "off",
        [CLIPBOARD_TO_VM] = "to-vm",
        [CLIPBOARD_FROM_VM] = "from-vm",
        [CLIPBOARD_BOTH] = "both",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            reader->vm->clipboard = (enum clipboard_policy)i;
            return 0;
        }
    }
    return refuse(reader, "\"%.32s\" is no clipboard policy: write both, to-vm, from-vm or off",
                  value);
}

static int vm_title_prefix(struct reader *reader, const char *value)
{
    return set_prefix(reader, &reader->vm->title_prefix, value);
}

static int vm_app_id_prefix(struct reader *reader, const char *value)
{
    return set_prefix(reader, &reader->vm->app_id_prefix, value);
}

static int set_yes_or_no(struct reader *reader, bool *ret, const char *value)
{
    bool yes = strcmp(value, "yes") == 0;
    if (!yes && strcmp(value, "no") != 0)
        return refuse(reader, "\"%.32s\" is neither yes nor no", value);
    *ret = yes;
    return 0;
}

static int vm_security_context(struct reader *reader, const char *value)
{
    return set_yes_or_no(reader, &reader->vm->security_context, value);
}

static int vm_menu(struct reader *reader, const char *value)
{
    return set_yes_or_no(reader, &reader->vm->menu, value);
}

static int vm_output_names(struct reader *reader, const char *value)
{
    bool real = strcmp(value, "real") == 0;
    if (!real && strcmp(value, "plain") != 0)
        return refuse(reader, "\"%.32s\" is neither plain nor real", value);
    reader->vm->output_names = real;
    return 0;
}

static int vm_dmabuf(struct reader *reader, const char *value)
{
    static const char *const names[] = {
        [DMABUF_NO] = "no", [DMABUF_YES] = "yes", [DMABUF_LINEAR] = "linear"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(value, names[i]) == 0) {
            reader->vm->dmabuf = (enum dmabuf_policy)i;
            return 0;
        }
    }
    return refuse(reader, "\"%.32s\" is none of yes, no and linear", value);
}

static int vm_max_daemons(struct reader *reader, const char *value)
{
    uint64_t amount = 0;
    int result = parse_amount(reader, value, false, 1, 1024, &amount);
    if (result == 0)
        reader->vm->limits.daemons = (uint32_t)amount;
    return result;
}

static int vm_max_clients(struct reader *reader, const char *value)
{
    uint64_t amount = 0;
    int result = parse_amount(reader, value, false, 1, 65536, &amount);
    if (result == 0)
        reader->vm->limits.clients = (uint32_t)amount;
    return result;
}

static int vm_max_memory(struct reader *reader, const char *value)
{
    return parse_amount(reader, value, true, UINT64_C(1) << 20, UINT64_C(1) << 42,
                        &reader->vm->limits.memory);
}

static int vm_max_fds(struct reader *reader, const char *value)
{
    return parse_amount(reader, value, false, 8, 1 << 30, &reader->vm->limits.fds);
}

static int vm_max_queue(struct reader *reader, const char *value)
{
    return parse_amount(reader, value, true, UINT64_C(1) << 16, UINT64_C(1) << 30,
                        &reader->vm->limits.queue);
}

static int vm_start(struct reader *reader, const char *value)
{
    if (!*value)
        return refuse(reader, "write the command that starts the VM");
    return set_string(reader, &reader->vm->start, value);
}

static int vm_forward(struct reader *reader, const char *value)
{
    char words[LINE_MAX_BYTES], error[256], *rest = words, *word;
    bool any = false;
    snprintf(words, sizeof(words), "%s", value);
    while ((word = strsep(&rest, " \t"))) {
        if (!*word)
            continue;
        if (!service_name_is_valid(word, strlen(word)))
            return refuse(reader, "\"%.64s\" is no name of a service", word);
        if (host_config_add_forward(reader->vm, word, error, sizeof(error)) < 0)
            return refuse_text(reader, error);
        any = true;
    }
    return any ? 0 : refuse(reader, "write names of services, with spaces between them");
}

static const struct key host_keys[] = {
    {"listen", host_listen, true},
    {"compositor", host_compositor, false},
    {"peer-timeout", host_peer_timeout, false},
    {0},
};

static const struct key vm_keys[] = {
    {"cid", vm_cid, false},
    {"listen", vm_listen, true},
    {"token", vm_token, true},
    {"gpu", vm_gpu, false},
    {"dmabuf", vm_dmabuf, false},
    {"allow", vm_allow, true},
    {"deny", vm_deny, true},
    {"clipboard", vm_clipboard, false},
    {"title-prefix", vm_title_prefix, false},
    {"app-id-prefix", vm_app_id_prefix, false},
    {"security-context", vm_security_context, false},
    {"output-names", vm_output_names, false},
    {"max-daemons", vm_max_daemons, false},
    {"max-clients", vm_max_clients, false},
    {"max-memory", vm_max_memory, false},
    {"max-fds", vm_max_fds, false},
    {"max-queue", vm_max_queue, false},
    {"forward", vm_forward, true},
    {"start", vm_start, false},
    {"menu", vm_menu, false},
    {0},
};

static int refuse_key(struct reader *reader, const char *name)
{
    char known[400] = "";
    size_t n = 0;
    for (const struct key *key = reader->keys; key && key->name; key++)
        n += (size_t)snprintf(known + n, sizeof(known) - n, " %s", key->name);
    for (const char *const *key = service_keys; !reader->keys && *key; key++)
        n += (size_t)snprintf(known + n, sizeof(known) - n, " %s", *key);
    return refuse(reader, "unknown key \"%.64s\"; this section has:%s", name, known);
}

/* The NAME of "[KIND NAME]", in @line; or NULL. */
static char *section_name(char *line, const char *kind)
{
    size_t n = strlen(line), k = strlen(kind);
    if (strncmp(line + 1, kind, k) != 0 || !line[1 + k] || !strchr(SPACE, line[1 + k]) ||
        line[n - 1] != ']')
        return NULL;
    line[n - 1] = '\0';
    char *name = line + 1 + k + strspn(line + 1 + k, SPACE);
    for (n = strlen(name); n > 0 && strchr(SPACE, name[n - 1]); n--)
        name[n - 1] = '\0';
    return name;
}

/* @line: "[host]", "[vm NAME]" or "[forward NAME]", without spaces around. */
static int read_section(struct reader *reader, char *line)
{
    char error[256];
    reader->seen = 0;
    reader->vm = NULL;
    reader->service = NULL;
    reader->keys = NULL;
    if (strcmp(line, "[host]") == 0) {
        reader->keys = host_keys;
        return 0;
    }
    char *name = section_name(line, "forward");
    if (name) {
        reader->service = host_config_add_service(reader->config, name, error, sizeof(error));
        return reader->service ? 0 : refuse_text(reader, error);
    }
    name = section_name(line, "vm");
    if (!name)
        return refuse(reader,
                      "unknown section \"%.80s\"; there are [host], [vm NAME] and [forward NAME]",
                      line);
    reader->vm = host_config_add_vm(reader->config, name, error, sizeof(error));
    if (!reader->vm)
        return refuse_text(reader, error);
    reader->keys = vm_keys;
    return 0;
}

static char *trim(char *text)
{
    text += strspn(text, SPACE);
    for (size_t n = strlen(text); n > 0 && strchr(SPACE, text[n - 1]); n--)
        text[n - 1] = '\0';
    return text;
}

static int read_service_key(struct reader *reader, const char *name, const char *value)
{
    char error[400];
    uint32_t places = 0;
    for (unsigned i = 0; service_keys[i]; i++) {
        if (strcmp(service_keys[i], "path") == 0 || strcmp(service_keys[i], "exec") == 0)
            places |= UINT32_C(1) << i;
        if (strcmp(service_keys[i], name) != 0)
            continue;
        if (reader->seen & UINT32_C(1) << i)
            return refuse(reader, "\"%s\" is set twice in this section", name);
        reader->seen |= UINT32_C(1) << i;
    }
    if ((reader->seen & places) == places)
        return refuse(reader, "\"path\" and \"exec\" are two places: write one of them");
    int r = service_set(reader->service, name, value, error, sizeof(error));
    return r == -ENOENT ? refuse_key(reader, name) : r < 0 ? refuse_text(reader, error) : 0;
}

static int read_line(struct reader *reader, char *line)
{
    line = trim(line);
    if (!*line || *line == '#' || *line == ';')
        return 0;
    if (*line == '[')
        return read_section(reader, line);
    char *equals = strchr(line, '=');
    if (!equals)
        return refuse(reader, "\"%.80s\" is no setting: write \"key = value\"", line);
    if (!reader->keys && !reader->service)
        return refuse(reader, "a setting before any section: write [host] or [vm NAME] first");
    *equals = '\0';
    char *name = trim(line), *value = trim(equals + 1);
    size_t n = strlen(value);
    bool words = reader->service && strcmp(name, "exec") == 0; /* which have their own quotes */
    if (!words && n >= 2 && value[0] == '"' && value[n - 1] == '"') {
        value[n - 1] = '\0';
        value++;
    }
    if (reader->service)
        return read_service_key(reader, name, value);
    for (const struct key *key = reader->keys; key->name; key++) {
        if (strcmp(key->name, name) != 0)
            continue;
        uint32_t bit = UINT32_C(1) << (key - reader->keys);
        if (reader->seen & bit && !key->repeats)
            return refuse(reader, "\"%s\" is set twice in this section", name);
        reader->seen |= bit;
        return key->set(reader, value);
    }
    return refuse_key(reader, name);
}

int host_config_read_text(struct host_config *config, const char *name, const char *text, size_t n,
                          char *error, size_t error_size)
{
    struct reader reader = {
        .config = config, .name = name, .error = error, .error_size = error_size};
    char line[LINE_MAX_BYTES];
    int result = 0;
    while (n > 0 && result == 0) {
        const char *newline = memchr(text, '\n', n);
        size_t length = newline ? (size_t)(newline - text) : n;
        size_t step = length + (newline ? 1 : 0);
        reader.line++;
        if (length >= sizeof(line))
            return refuse(&reader, "the line is longer than %d bytes", LINE_MAX_BYTES - 1);
        if (memchr(text, '\0', length))
            return refuse(&reader, "the line has a NUL byte; this is no text file");
        memcpy(line, text, length);
        line[length] = '\0';
        result = read_line(&reader, line);
        text += step;
        n -= step;
    }
    return result;
}

int host_config_read(struct host_config *config, const char *path, char *error, size_t error_size)
{
    struct stat st;
    _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int result = -errno;
        snprintf(error, error_size, "cannot read %s: %s", path, strerror(-result));
        return result;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > FILE_MAX_BYTES)
        return error_set(-EINVAL, error, error_size, "cannot read %s: it is %s", path,
                         S_ISREG(st.st_mode) ? "larger than 1 MiB" : "no regular file");
    char *text = malloc(FILE_MAX_BYTES);
    size_t n = 0;
    int result = text ? 0 : -ENOMEM;
    while (result == 0 && n < FILE_MAX_BYTES) {
        ssize_t got = read(fd, text + n, FILE_MAX_BYTES - n);
        if (got == 0)
            break;
        if (got > 0)
            n += (size_t)got;
        else if (errno != EINTR)
            result = -errno;
    }
    if (result < 0)
        snprintf(error, error_size, "cannot read %s: %s", path, strerror(-result));
    else
        result = host_config_read_text(config, path, text, n, error, error_size);
    free(text);
    return result;
}
