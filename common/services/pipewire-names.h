/* SPDX-License-Identifier: MIT */
#pragma once
/* pipewire-names: which properties of a guest's client or node pass, and what becomes of texts that
 * a person reads. */
#include <stdbool.h>

#include "common/services/pod.h"

/* Copies a number of properties and that many pairs of strings, as far as they pass; texts are
 * cleaned, and names begin with @prefix (NULL: none). @record: it may record. False: these are no
 * properties. */
bool pipewire_names_copy(struct pod_reader *from, struct pod_writer *to, const char *prefix,
                         bool record);
