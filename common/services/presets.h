/* SPDX-License-Identifier: MIT */
#pragma once
/* presets: services that need no section of the configuration, only their name. */

struct preset {
    const char *name;
    const char *lines; /* what a section would say: "key = value", each ended by a newline */
    /* guest: the environment of a command gets this variable, with the socket's path behind the
     * prefix; NULL: none */
    const char *variable, *prefix;
};

/* NULL: there is none of that name. */
const struct preset *preset_find(const char *name);
