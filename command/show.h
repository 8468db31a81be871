/* SPDX-License-Identifier: MIT */
#pragma once
/* show: a status for people. */
#include <stdio.h>

#include "common/control/json.h"

/* Writes it to @out, in lines of @columns (0: as long as they are). */
void show_status(FILE *out, const json_t *status, size_t columns);
