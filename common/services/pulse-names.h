/* SPDX-License-Identifier: MIT */
#pragma once
/* pulse-names: what a VM may call its programs and streams on the host's sound server. */
#include <stdbool.h>

#include "common/services/pulse-values.h"

enum pulse_texts {
    PULSE_TEXTS_KEPT,  /* strings outside property lists name devices: they pass */
    PULSE_TEXTS_NAMES, /* they are names for people */
};

/* Copies the values that are left in @from, behind what @to has. Property lists keep only the keys
 * that say who plays and what, cleaned for people's eyes; names get @prefix (NULL: none). Where
 * @unnamed and a list has no name of a program, @prefix alone becomes that. False: they are
 * malformed (see @to->full for too long). */
bool pulse_names_copy(struct pulse_reader *from, struct pulse_writer *to, const char *prefix,
                      enum pulse_texts texts, bool unnamed);
