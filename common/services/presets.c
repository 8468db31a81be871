/* SPDX-License-Identifier: MIT */
/* presets: owns the table, which wayvsock-host.conf(5) has in words. */
#include "common/services/presets.h"

#include <stddef.h>
#include <string.h>

static const struct preset presets[] = {
    {"agent", "path = $SSH_AUTH_SOCK\n", "SSH_AUTH_SOCK", ""},
    {"notify",
     "exec = xdg-dbus-proxy unix:path=%t/bus %s --filter --talk=org.freedesktop.Notifications\n"
     "protocol = dbus\n",
     NULL, ""},
    {"pipewire", "path = %t/pipewire-0\nprotocol = pipewire\nmemory = mirror\n", "PIPEWIRE_REMOTE",
     ""},
    {"sound", "path = %t/pulse/native\nprotocol = pulse\n", "PULSE_SERVER", "unix:"},
};

const struct preset *preset_find(const char *name)
{
    for (size_t i = 0; i < sizeof(presets) / sizeof(*presets); i++)
        if (strcmp(presets[i].name, name) == 0)
            return &presets[i];
    return NULL;
}
