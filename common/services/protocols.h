/* SPDX-License-Identifier: MIT */
#pragma once
/* protocols: the helpers that there are, by the name of their protocol. */
#include <stdbool.h>

#include "common/services/helper.h"

/* False: there is no such protocol. *ret NULL: "none", which needs no helper. */
bool protocol_find(const char *name, const struct service_helper_ops **ret);
/* The next name after @at (NULL: the first), or NULL: for a list of what may be written. */
const char *protocol_next(const char *at);
