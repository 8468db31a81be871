/* SPDX-License-Identifier: MIT */
#pragma once
/* control-app: what status says of one application, or of a service's connection. */
#include "common/control/json.h"

struct ends;
struct refused;
struct relay;

/* {"title", "app_id"} of each of its windows, the oldest first, APP_WINDOWS_MAX at most. */
json_t *app_windows(const struct relay *relay);
#define APP_WINDOWS_MAX 64

/* What crossed the link, by kind, both ways; and in which way pixels went mostly. */
json_t *app_bytes(const struct ends *ends);
const char *app_pixels(const struct ends *ends);

/* {"when", "times", "rule", "who", "text"} of what was refused, the oldest first. NULL: nothing. */
json_t *app_refused(const struct refused *refused);

/* What the label says that a guest's daemon gives to a connection: "client 3 (foot)" is foot. */
json_t *app_name(const char *label);
