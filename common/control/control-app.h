/* SPDX-License-Identifier: MIT */
#pragma once
/* control-app: what status says of one application, or of a service's connection. */
#include "common/carrier/ends.h"
#include "common/control/json.h"

struct refused;
struct relay;

#define APP_WINDOWS_MAX 64

/* Adds to @object "windows", the oldest first, APP_WINDOWS_MAX at most; "bytes": what crossed the
 * link, by kind, both ways; "pixels": the way that most of them went. */
void app_add_relay(json_t *object, const struct relay *relay);

/* "bytes" of any connection. */
json_t *app_bytes(const struct ends *ends);

/* "bytes" of a service, as one side counts them. */
json_t *app_flow(const struct ends_flow *flow, enum carrier_side side);

/* {"when", "times", "rule", "who", "text"} of what was refused, the oldest first. NULL: nothing. */
json_t *app_refused(const struct refused *refused);

/* What the label says that a guest's daemon gives to a connection: "client 3 (foot)" is foot. */
json_t *app_name(const char *label);
