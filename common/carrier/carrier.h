/* SPDX-License-Identifier: MIT */
#pragma once
/* carrier: the life of one connection between a local socket and a link, with the descriptors that
 * cross it. What its bytes mean is its user's affair. */
#include "common/carrier/carrier-state.h"

/* Takes @local_fd and @link; @carrier is the caller's memory, and zeroed; @party is borrowed.
 * Reading starts with the next turn of the loop. 0, -ENOMEM or as budget_take() (both are closed).
 */
int carrier_init(struct carrier *carrier, struct loop *loop, enum carrier_side side, int local_fd,
                 struct link *link, const struct carrier_party *party,
                 const struct carrier_ops *ops, void *user, struct log_subject *subject);
/* Reads what came already, so that it goes out together with what is queued. */
void carrier_start(struct carrier *carrier);
/* Nothing more is delivered or said, to be followed by carrier_finish(): in between, the user lets
 * go of what it has of the connection. */
void carrier_stop(struct carrier *carrier);
void carrier_finish(struct carrier *carrier);
