/* SPDX-License-Identifier: MIT */
#pragma once
/* pipewire-client: what a guest's program asks for of PipeWire. */
#include "common/services/pipewire-session.h"

/* A whole message, which may be written anew in place, where there is @room. As message() of
 * service_helper_ops. */
int pipewire_client_message(struct service_helper *helper, const struct pipewire_head *head,
                            uint8_t *bytes, size_t *size, size_t room);
