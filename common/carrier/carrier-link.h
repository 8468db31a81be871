/* SPDX-License-Identifier: MIT */
#pragma once
/* carrier-link: what comes over the link of a connection. */
#include "common/carrier/carrier-state.h"

/* For link_adopt() with the carrier. */
extern const struct link_ops carrier_link_ops;
