/* SPDX-License-Identifier: MIT */
#pragma once
/* run-service: what starts programs for the host where the daemon is a service of the system, which
 * cannot: a service of its own, in the user's session, to which the daemon leads. */

/* Serves whoever connects to the listening sockets @first to @first + @n - 1, until a signal ends
 * this process. Returns in a process for one connection when that is over: its exit status. */
int run_service_serve(int first, int n);
