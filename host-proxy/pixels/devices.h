/* SPDX-License-Identifier: MIT */
#pragma once
/* devices: which of the GPU devices that export in a folder is a guest's: all are asked at once
 * where the guest's nonce is. */
#include <stdint.h>

#include "protocol/export.h"

struct devices;
struct log_subject;
struct loop;

/* @fd: connected to the device that found the nonce, and bound; owned by the callee. -1: none did,
 * and @why says more. */
typedef void devices_found(void *user, int fd, const char *path,
                           const struct export_welcome *welcome, const char *why);

/* Asks the devices in @folder. @found is called once, from the loop, within a bounded time. NULL:
 * errno. */
struct devices *devices_create(struct loop *loop, struct log_subject *subject, const char *folder,
                               uint32_t resource, const uint8_t nonce[EXPORT_NONCE_SIZE],
                               devices_found *found, void *user);
void devices_destroy(struct devices *devices); /* accepts NULL; also from @found */
