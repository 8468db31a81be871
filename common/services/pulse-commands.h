/* SPDX-License-Identifier: MIT */
#pragma once
/* pulse-commands: the commands of PulseAudio's native protocol, and what becomes of each. */
#include <stdint.h>

enum pulse_command {
#define PULSE(name, client, server) PULSE_##name,
#include "common/services/pulse-commands.def"
#undef PULSE
    _PULSE_COMMAND_N
};

/* The objects that a client owns. */
enum pulse_object { PULSE_NOTHING, PULSE_CLIENT, PULSE_PLAYBACK, PULSE_RECORDING };

/* What becomes of a command: one of these, perhaps with PULSE_RULE_RECORD. */
enum pulse_rule {
    PULSE_RULE_REFUSE,
    PULSE_RULE_PASS,
    PULSE_RULE_AUTH,
    PULSE_RULE_NAMED,
    PULSE_RULE_ANSWER,
    PULSE_RULE_OWN, /* and an enum pulse_object above it */
    PULSE_RULE_KIND = 0x0f,
    PULSE_RULE_OBJECT = 0x30,
    PULSE_RULE_RECORD = 0x40,
};

struct pulse_command_info {
    const char *name;
    uint8_t client, server; /* enum pulse_rule */
};

/* NULL: there is no such command. */
const struct pulse_command_info *pulse_command_get(uint32_t command);
