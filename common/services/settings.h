/* SPDX-License-Identifier: MIT */
#pragma once
/* settings: what one service is, as the host's configuration says it. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct service_helper_ops;

#define SERVICE_NAME_MAX 32 /* letters, digits, '-', '_' and '.' */

enum service_direction { SERVICE_TO_HOST, SERVICE_TO_GUEST };
enum service_type { SERVICE_STREAM, SERVICE_SEQPACKET, SERVICE_DGRAM, _SERVICE_TYPE_N };
enum service_memory { SERVICE_MEMORY_ONCE, SERVICE_MEMORY_MIRROR, SERVICE_MEMORY_REFUSE };
enum service_eventfds {
    SERVICE_EVENTFDS_REFUSE,
    SERVICE_EVENTFDS_TO_HOST,
    SERVICE_EVENTFDS_TO_GUEST
};

struct service_settings {
    char name[SERVICE_NAME_MAX + 1];
    enum service_direction direction;
    enum service_type type;
    const struct service_helper_ops *helper; /* protocol =; NULL: none */
    char *path;   /* to-host: the socket that is connected to */
    char **exec;  /* to-host: the command that serves one connection; NULL-terminated; or NULL */
    char *listen; /* to-guest: where the host's programs connect to */
    enum service_memory memory;
    enum service_eventfds eventfds;
    bool files, sockets, record;
    unsigned max_depth, max_connections;
};
