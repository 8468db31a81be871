/* SPDX-License-Identifier: MIT */
/* settings: owns its strings. */
#include "common/services/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/services/command.h"
#include "common/services/helper.h"

#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

void service_settings_init(struct service_settings *s, const char *name)
{
    *s = (struct service_settings){.memory = LINK_MEMORY_ONCE,
                                   .files = true,
                                   .sockets = true,
                                   .max_depth = SERVICE_DEPTH_DEFAULT,
                                   .max_connections = SERVICE_CONNECTIONS_DEFAULT,
                                   .max_mirror = SERVICE_MIRROR_DEFAULT,
                                   .max_mirrored = SERVICE_MIRRORED_DEFAULT};
    snprintf(s->name, sizeof(s->name), "%s", name);
}

void service_settings_finish(struct service_settings *s)
{
    command_free(s->exec);
    free(s->path);
    free(s->listen);
    free(s->cookie_file);
    free(s->cookie);
    s->exec = NULL;
    s->path = s->listen = s->cookie_file = NULL;
    s->cookie = NULL;
}

bool service_is_kept(const struct service_settings *s)
{
    return s->exec || (s->path && s->helper && s->helper->connect);
}

bool service_name_is_valid(const char *name, size_t size)
{
    return size > 0 && size <= LINK_NAME_MAX && name[0] != '.' &&
           strspn(name, NAME_CHARACTERS) >= size;
}

static const struct {
    const char *name;
    int type;
} types[_LINK_SOCKET_TYPE_N] = {
    [LINK_SOCKET_STREAM] = {"stream", SOCK_STREAM},
    [LINK_SOCKET_SEQPACKET] = {"seqpacket", SOCK_SEQPACKET},
    [LINK_SOCKET_DGRAM] = {"dgram", SOCK_DGRAM},
};

const char *service_type_name(enum link_socket_type type)
{
    return types[type].name;
}

int service_type_socket(enum link_socket_type type)
{
    return types[type].type;
}
