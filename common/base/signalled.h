/* SPDX-License-Identifier: MIT */
#pragma once
/* signalled: sync files of which nothing has to be waited for, without a driver. */

#include <stdbool.h>

/* Makes what they come from, before a process may not open it any more. Once. */
void signalled_prepare(void);
/* True: signalled_make() gives sync files; needs /dev/udmabuf and Linux 6.0. */
bool signalled_is_real(void);
/* A sync file that is signalled or, where there can be none, an eventfd that can be read, as poll()
 * tells of the other. Owned, or -errno. */
int signalled_make(void);
