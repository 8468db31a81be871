/* SPDX-License-Identifier: MIT */
#pragma once
/* show: a status for people. */
#include <stdio.h>

#include "common/control/json.h"

/* What crossed the link of an application or a service, both ways. */
uint64_t show_bytes(const json_t *one);
/* Writes it to @out, in lines of @columns (0: as long as they are); also how much
 * crosses in a second, where clients and services have a "rate". */
void show_status(FILE *out, const json_t *status, size_t columns);
