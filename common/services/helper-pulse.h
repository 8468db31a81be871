/* SPDX-License-Identifier: MIT */
#pragma once
/* helper-pulse: sound by PulseAudio's native protocol, to pulseaudio or pipewire-pulse. */
#include "common/services/helper.h"

extern const struct service_helper_ops helper_pulse;
