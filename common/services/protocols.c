/* SPDX-License-Identifier: MIT */
/* protocols: owns the table. A new helper is a row here. */
#include "common/services/protocols.h"

#include <string.h>

#include "common/services/helper-dbus.h"
#include "common/services/helper-pipewire.h"
#include "common/services/helper-pulse.h"

static const struct {
    const char *name;
    const struct service_helper_ops *ops;
} protocols[] = {
    {"none", NULL},
    {"dbus", &helper_dbus},
    {"pipewire", &helper_pipewire},
    {"pulse", &helper_pulse},
};
#define PROTOCOLS_N (sizeof(protocols) / sizeof(*protocols))

bool protocol_find(const char *name, const struct service_helper_ops **ret)
{
    for (size_t i = 0; i < PROTOCOLS_N; i++) {
        if (strcmp(protocols[i].name, name) != 0)
            continue;
        *ret = protocols[i].ops;
        return true;
    }
    return false;
}

const char *protocol_next(const char *at)
{
    size_t i = 0;
    while (at && i < PROTOCOLS_N && strcmp(protocols[i++].name, at) != 0)
        ;
    return i < PROTOCOLS_N ? protocols[i].name : NULL;
}
