/* SPDX-License-Identifier: MIT */
#pragma once
/* inject: Wayland messages of our own, to whoever is at either end of a relay. A message is named
 * (MSG_…); its signature says what follows, and which of it are ids:
 *
 *   i u f o O n   uint32_t (or int32_t)
 *   s             const char *, terminated
 *   N             const char *interface, uint32_t version, uint32_t id
 *   a             uint32_t bytes, const void *
 *   h             nothing: the descriptor is queued before */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "common/wayland/relay.h"

#define INJECT_MAX 640 /* bytes of one message */

/* To the application or compositor at this end. Ids are the ones that are known here. */
void inject_local(struct relay *relay, uint32_t object, enum wl_named what, ...);
/* guest: to the host's compositor. Ids are those that the application knows: they become the
 * host's. */
void inject_host(struct relay *relay, uint32_t object, enum wl_named what, ...);
/* The same at @at, for several in one frame (relay_inject_link()). Returns the bytes that it took.
 */
size_t inject_build_host(struct relay *relay, uint8_t at[INJECT_MAX], uint32_t object,
                         enum wl_named what, ...);
/* The same for one that is no relay's: ids stay as they are. */
size_t inject_build_plain(uint8_t at[INJECT_MAX], uint32_t object, enum wl_named what,
                          va_list args);
/* True if @message, whose object is of the interface that has it, and in the right direction, is
 * that one. */
bool message_is(const struct wl_message *message, enum wl_named what);
