/* SPDX-License-Identifier: MIT */
#pragma once
/* import-copies: rows that the device copies out of the guest's memory into a mirror, and back. */
#include "host-proxy/pixels/import.h"

/* Rows of a resource into @memory (referenced until it is done), whose bounds were checked.
 * IMPORT_OK, or the rule that forbids it, with *why. */
int imports_copy(struct imports *imports, struct memory *memory, const struct link_mem_copy *copy,
                 struct refusal *why);
/* The compositor wrote @rows into memory that is import @id; where is it for the guest? In its
 * resource; there soon (copied_back() follows); or nowhere but in @memory (LOST: not even there:
 * the client has to end). */
enum imports_back { IMPORTS_BACK, IMPORTS_BACK_SOON, IMPORTS_BACK_NOT, IMPORTS_BACK_LOST };
enum imports_back imports_copy_back(struct imports *imports, uint32_t id, struct memory *memory,
                                    const struct link_mem_write *rows);
/* Those that waited for the device's answer to EXPORT begin; @possible: it is held. */
void import_copies_start(struct import *import, bool possible);
