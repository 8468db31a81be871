/* SPDX-License-Identifier: MIT */
/* Later the daemon connects to the compositor and to GPU devices, which may be new ones under the
 * same names, makes security contexts' sockets in a folder of its own, and removes what it listens
 * on. */
#include "host-proxy/host-sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/log.h"
#include "common/base/number.h"
#include "common/sandbox/filter-rules.h"
#include "common/sandbox/sandbox.h"
#include "common/transport/address.h"
#include "host-proxy/compositor.h"
#include "host-proxy/config.h"

static int allow_listeners(struct landlock *paths, const struct address *listen, size_t n)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        if (listen[i].kind != ADDRESS_VSOCK)
            r = landlock_allow_folder_of(paths, listen[i].path, LANDLOCK_REMOVE_FILE);
    return r;
}

static int allow_contexts(struct landlock *paths)
{
    const char *folder = compositor_folder();
    if (!folder) { /* each VM that would have one says so */
        log_debug(NULL, "no folder for security contexts: %s", strerror(errno));
        return 0;
    }
    int r = landlock_allow(paths, folder, LANDLOCK_MAKE_SOCKET | LANDLOCK_REMOVE_FILE);
    return r < 0 ? r : landlock_allow_folder_of(paths, folder, LANDLOCK_REMOVE_FOLDER);
}

static int allow_paths(struct landlock *paths, const struct host_config *config)
{
    bool contexts = false;
    int r = allow_listeners(paths, config->listen, config->n_listen);
    for (size_t i = 0; i < config->n_vms && r == 0; i++) {
        const struct vm_config *vm = &config->vms[i];
        contexts |= vm->security_context;
        r = allow_listeners(paths, vm->listen, vm->n_listen);
        /* A folder of devices may come later, or again. */
        if (r == 0 && vm->gpu)
            r = landlock_allow_folder_of(paths, vm->gpu, LANDLOCK_LIST);
    }
    return r == 0 && contexts ? allow_contexts(paths) : r;
}

/* The compositor's connection that we were given, which is taken over with the first client. */
static int wayland_socket(void)
{
    const char *text = getenv("WAYLAND_SOCKET");
    uint64_t fd;
    return text && number_parse(text, strlen(text), INT32_MAX, &fd) ? (int)fd : -1;
}

int host_sandbox_enter(const struct host_config *config)
{
    static const struct filter_rule *const tables[] = {filter_rules_base,
                                                       filter_rules_no_code,
                                                       filter_rules_signals,
                                                       filter_rules_streams,
                                                       filter_rules_threads,
                                                       filter_rules_vsock,
                                                       NULL};
    struct landlock paths;
    int r = landlock_begin(&paths, sandbox_wishes());
    if (r == 0)
        r = allow_paths(&paths, config);
    if (r == 0)
        r = sandbox_close_inherited(wayland_socket());
    if (r < 0) {
        log_error(NULL, "cannot prepare to give up rights: %s", strerror(-r));
        landlock_drop(&paths);
        return r;
    }
    r = sandbox_enter(&paths);
    return r < 0 ? r : sandbox_filter(tables, 0);
}
