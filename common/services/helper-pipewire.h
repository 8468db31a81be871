/* SPDX-License-Identifier: MIT */
#pragma once
/* helper-pipewire: PipeWire's native protocol, for programs that play and record. */
#include "common/services/helper.h"

extern const struct service_helper_ops helper_pipewire;
