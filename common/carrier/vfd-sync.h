/* SPDX-License-Identifier: MIT */
#pragma once
/* vfd-sync: sync files. A fence is its driver's, and its driver's machine's: what crosses is that
 * it is signalled. */
#include "common/carrier/vfd-kind.h"

/* Whose send() wants one that is signalled. */
extern const struct vfd_kind vfd_kind_sync;
