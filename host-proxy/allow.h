/* SPDX-License-Identifier: MIT */
#pragma once
/* allow: which globals a VM may see. */
#include <stdbool.h>

struct vm_config;

/* True if clients of @vm may bind globals of this interface. deny globs win over allow globs, those
 * over the built-in list. */
bool allow_global(const struct vm_config *vm, const char *interface);
/* True if somebody has asked for that: an allow glob names it. */
bool allow_by_hand(const struct vm_config *vm, const char *interface);
