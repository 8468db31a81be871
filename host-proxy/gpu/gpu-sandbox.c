/* SPDX-License-Identifier: MIT */
/* Sockets are removed at the end, and udmabuf's limits read. What draws is a process of its own,
 * with a sandbox of its own. */
#include "host-proxy/gpu/gpu-sandbox.h"

#include <string.h>

#include <linux/udmabuf.h>

#include "common/base/log.h"
#include "common/sandbox/filter-rules.h"
#include "common/sandbox/sandbox.h"
#include "host-proxy/gpu/gpu-options.h"

#define LIMITS "/sys/module/udmabuf/parameters"

static const struct filter_rule udmabuf_calls[] = {
    FILTER_CALL_WITH("ioctl", 1, UDMABUF_CREATE_LIST),
    FILTER_END,
};

static int allow_paths(struct landlock *paths, const struct gpu_options *options,
                       const char *export_path)
{
    int r = landlock_allow(paths, "/dev/udmabuf", LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_DEVICE);
    if (r == 0)
        r = landlock_allow(paths, LIMITS, LANDLOCK_READ);
    if (r == 0 && *export_path)
        r = landlock_allow_folder_of(paths, export_path, LANDLOCK_REMOVE_FILE);
    if (r == 0 && options->socket_path)
        r = landlock_allow_folder_of(paths, options->socket_path, LANDLOCK_REMOVE_FILE);
    return r;
}

int gpu_sandbox_enter(const struct gpu_options *options, const char *export_path)
{
    static const struct filter_rule *const tables[] = {filter_rules_base,    filter_rules_sockets,
                                                       filter_rules_no_code, filter_rules_signals,
                                                       udmabuf_calls,        NULL};
    struct landlock paths;
    int r = landlock_begin(&paths, sandbox_wishes());
    if (r == 0)
        r = allow_paths(&paths, options, export_path);
    if (r < 0) {
        log_error(NULL, "cannot prepare to give up rights: %s", strerror(-r));
        landlock_drop(&paths);
        return r;
    }
    r = sandbox_enter(&paths);
    return r < 0 ? r : sandbox_filter(tables, 0);
}
