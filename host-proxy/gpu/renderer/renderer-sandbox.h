/* SPDX-License-Identifier: MIT */
#pragma once
/* renderer-sandbox: what the renderer may still do: draw, on @render_node (a path; NULL: in
 * software). */

/* No files but a driver's, less urgent than others, and not more memory than a guest may need.
 * Before a driver starts. 0 or -errno, with a line in the log. */
int renderer_sandbox_enter(const char *render_node);
/* Then, once it draws: no system calls but a driver's, no new sockets. 0 or -errno, with a line in
 * the log. */
int renderer_sandbox_filter(void);
