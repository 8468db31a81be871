/* SPDX-License-Identifier: MIT */
#pragma once
/* cures: what a person can do about a host that is not reached, or that says no. */
#include <stddef.h>
#include <stdint.h>

struct address;

#define CURE_MAX 320 /* bytes of any of these texts */

/* This machine's CID for other machines, or VMADDR_CID_ANY where nobody tells. */
uint32_t cures_own_cid(void);
/* What to append to a text that says that nobody answered at @address, for @error (-errno); "" if
 * there is nothing to say. Returns @buffer. */
const char *cures_connect(const struct address *address, int error, char buffer[CURE_MAX]);
/* The same for what the host said when it refused us. */
const char *cures_refused(const char *text, char buffer[CURE_MAX]);
