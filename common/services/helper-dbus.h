/* SPDX-License-Identifier: MIT */
#pragma once
/* helper-dbus: D-Bus: who the client is to the host, and where messages end. What a client may say
 * there is for xdg-dbus-proxy to judge, which a service starts with exec =. */
#include "common/services/helper.h"

extern const struct service_helper_ops helper_dbus;
