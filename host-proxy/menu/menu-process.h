/* SPDX-License-Identifier: MIT */
#pragma once
/* menu-process: writes the menu of a VM on the host, in a process of its own, which may do that and
 * nothing else. */
#include "host-proxy/menu/menu-text.h"

struct log_subject;

enum { MENU_SERVED = 0, MENU_FAILED = 1, MENU_REFUSED = 3 };

/* Asks over @channel (taken), a connection of wayvsock.run, and writes what comes until it ends.
 * The process's exit status: MENU_REFUSED: the guest does not tell. */
int menu_process_run(const struct menu_style *style, int channel, struct log_subject *subject);
