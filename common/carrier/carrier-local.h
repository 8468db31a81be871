/* SPDX-License-Identifier: MIT */
#pragma once
/* carrier-local: what comes from the local side of a connection. */
#include "common/carrier/carrier-state.h"

/* @user is the carrier: the local socket can be read, or written (LOOP_…). */
void carrier_local_ready(void *user, unsigned events);
/* What the first message waited for is there. */
void carrier_resume_local(struct carrier *carrier);
/* The link's queue has room again: the same if that was it, and what a user that reads by itself
 * has waiting; @user is the carrier. */
void carrier_resume_crowded(void *user);
