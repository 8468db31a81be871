/* SPDX-License-Identifier: MIT */
/* pulse-commands: owns nothing; the table of the commands. */
#include "common/services/pulse-commands.h"

#include <stddef.h>

#define REFUSE PULSE_RULE_REFUSE
#define PASS PULSE_RULE_PASS
#define AUTH PULSE_RULE_AUTH
#define NAMED PULSE_RULE_NAMED
#define ANSWER PULSE_RULE_ANSWER
#define OWN(object) (PULSE_RULE_OWN | PULSE_##object << 4)
#define RECORD PULSE_RULE_RECORD

static const struct pulse_command_info commands[] = {
#define PULSE(name, client, server) {#name, client, server},
#include "common/services/pulse-commands.def"
#undef PULSE
};

const struct pulse_command_info *pulse_command_get(uint32_t command)
{
    return command < sizeof(commands) / sizeof(*commands) ? &commands[command] : NULL;
}
