/* SPDX-License-Identifier: MIT */
/* Connecting needs no right of Landlock's, so that a port may be anybody's socket, also one that is
 * made later. A parent that keeps descriptors (common/base/keeper) is not limited: it starts
 * processes, and hears from its child only. */
#include "host-proxy/vsock/vsock-sandbox.h"

#include <string.h>

#include "common/base/log.h"
#include "common/sandbox/filter-rules.h"
#include "common/sandbox/sandbox.h"
#include "host-proxy/vsock/vsock-options.h"

int vsock_sandbox_enter(const struct vsock_options *options)
{
    static const struct filter_rule *const tables[] = {
        filter_rules_base, filter_rules_sockets, filter_rules_no_code, filter_rules_signals, NULL};
    struct landlock paths;
    int r = landlock_begin(&paths, sandbox_wishes());
    if (r == 0 && options->socket_path)
        r = landlock_allow_folder_of(&paths, options->socket_path, LANDLOCK_REMOVE_FILE);
    if (r == 0 && options->uds_path)
        r = landlock_allow_folder_of(&paths, options->uds_path, LANDLOCK_REMOVE_FILE);
    if (r < 0) {
        log_error(NULL, "cannot prepare to give up rights: %s", strerror(-r));
        landlock_drop(&paths);
        return r;
    }
    r = sandbox_enter(&paths);
    return r < 0 ? r : sandbox_filter(tables, 0);
}
