/* SPDX-License-Identifier: MIT */
#pragma once
/* settings: what one service is, as the host's configuration says it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "protocol/frames.h"

struct service_helper_ops;

enum service_direction { SERVICE_TO_HOST, SERVICE_TO_GUEST };

struct service_settings {
    char name[LINK_NAME_MAX + 1]; /* letters, digits, '-', '_' and '.' */
    enum service_direction direction;
    enum link_socket_type type;
    const struct service_helper_ops *helper; /* protocol =; NULL: none */
    char *path;                              /* to-host: the socket that is connected to; or NULL */
    char **exec;  /* to-host: the command that serves one connection; NULL-terminated; or NULL */
    char *listen; /* to-guest: where the host's programs connect to, %t and %v in it */
    enum link_memory memory; /* what becomes of memory that is not sealed against writing */
    bool share;              /* then: what can be shared is not mirrored */
    enum link_dmabufs dmabufs;
    enum link_signals eventfds; /* which way their signals go, where the helper does not say it */
    bool files, sockets, record, sync_files;
    unsigned max_depth, max_connections;
    uint32_t max_mirror, max_mirrored; /* bytes: of one memory, of all of a connection's */
    const char *prefix;                /* of the VM's, for what people read; borrowed; NULL: none */
    char *cookie_file; /* pulse: where the cookie is; NULL: where PulseAudio's programs look */
    uint8_t *cookie;   /* what was in it at the start; NULL: none */
};

/* Whether each connection to it has a process of its own on the host: its command, or who connects
 * it (service_helper_ops.connect). */
bool service_is_kept(const struct service_settings *settings);

#define SERVICE_DEPTH_DEFAULT 4
#define SERVICE_CONNECTIONS_DEFAULT 64
#define SERVICE_MIRROR_DEFAULT (1u << 20)
#define SERVICE_MIRRORED_DEFAULT (16u << 20)

/* What holds where nothing else is said, for the service called @name (at most LINK_NAME_MAX). */
void service_settings_init(struct service_settings *settings, const char *name);
/* Frees what they hold. */
void service_settings_finish(struct service_settings *settings);
/* Whether that can be a service's name. */
bool service_name_is_valid(const char *name, size_t size);
/* "stream", "seqpacket", "dgram"; the socket(2) type. */
const char *service_type_name(enum link_socket_type type);
int service_type_socket(enum link_socket_type type);
