/* SPDX-License-Identifier: MIT */
/* Later the gate removes what it listens on, for VMs and for the host's programs, and the folder of
 * security contexts. A VM's process connects to the compositor and to GPU devices, which may be new
 * ones under the same names, and makes its contexts' sockets in its own part of that folder.
 * What its eventfds hold it reads from its own part of /proc. */
#include "host-proxy/host-sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/fdinfo.h"
#include "common/base/log.h"
#include "common/base/number.h"
#include "common/control/control-socket.h"
#include "common/sandbox/filter-rules.h"
#include "common/sandbox/sandbox.h"
#include "common/services/settings-text.h"
#include "common/transport/address.h"
#include "host-proxy/config.h"
#include "host-proxy/context-folder.h"

static int allow_listeners(struct landlock *paths, const struct address *listen, size_t n)
{
    int r = 0;
    for (size_t i = 0; i < n && r == 0; i++)
        if (listen[i].kind != ADDRESS_VSOCK)
            r = landlock_allow_folder_of(paths, listen[i].path, LANDLOCK_REMOVE_FILE);
    return r;
}

/* What processes that were killed have left there. */
static int allow_contexts(struct landlock *paths)
{
    const char *folder = context_folder();
    if (!folder) { /* each VM that would have one says so */
        log_debug(NULL, "no folder for security contexts: %s", strerror(errno));
        return 0;
    }
    int r = landlock_allow(paths, folder,
                           LANDLOCK_LIST | LANDLOCK_REMOVE_FILE | LANDLOCK_REMOVE_FOLDER);
    return r < 0 ? r : landlock_allow_folder_of(paths, folder, LANDLOCK_REMOVE_FOLDER);
}

/* Where the host's programs come to what @vm serves. */
static int allow_service(struct landlock *paths, const struct service_settings *service,
                         const struct vm_config *vm)
{
    char path[sizeof(((struct address *)0)->path)], error[256];
    if (!service || service->direction != SERVICE_TO_GUEST ||
        service_path(service->listen, vm->name, path, sizeof(path), error, sizeof(error)) < 0)
        return 0;
    return landlock_allow_folder_of(paths, path, LANDLOCK_REMOVE_FILE);
}

static int allow_gate(struct landlock *paths, const struct host_config *config)
{
    bool contexts = false;
    char control[CONTROL_PATH_MAX];
    int r = allow_listeners(paths, config->listen, config->n_listen);
    if (r == 0 && control_folder(control) == 0)
        r = landlock_allow(paths, control, LANDLOCK_REMOVE_FILE);
    for (size_t i = 0; i < config->n_vms && r == 0; i++) {
        contexts |= config->vms[i].security_context;
        r = allow_listeners(paths, config->vms[i].listen, config->vms[i].n_listen);
        for (char **name = config->vms[i].forward; name && *name && r == 0; name++)
            r = allow_service(paths, host_config_service(config, *name), &config->vms[i]);
    }
    return r == 0 && contexts ? allow_contexts(paths) : r;
}

static int allow_vm(struct landlock *paths, const struct vm_config *vm)
{
    const char *folder = vm->security_context ? context_folder() : NULL;
    fdinfo_prepare();
    int r = landlock_allow(paths, "/proc/self/fdinfo", LANDLOCK_READ);
    if (r == 0 && folder)
        r = landlock_allow(paths, folder, LANDLOCK_MAKE_SOCKET | LANDLOCK_REMOVE_FILE);
    /* A folder of devices may come later, or again. */
    return r == 0 && vm->gpu ? landlock_allow_folder_of(paths, vm->gpu, LANDLOCK_LIST) : r;
}

int host_sandbox_wayland_socket(void)
{
    const char *text = getenv("WAYLAND_SOCKET");
    uint64_t fd;
    return text && number_parse(text, strlen(text), INT32_MAX, &fd) ? (int)fd : -1;
}

/* @r: what became of preparing @paths, which are taken. */
static int host_sandbox_enter(int r, struct landlock *paths, int keep,
                              const struct filter_rule *const *tables)
{
    if (r == 0)
        r = sandbox_close_inherited(keep);
    if (r < 0) {
        log_error(NULL, "cannot prepare to give up rights: %s", strerror(-r));
        landlock_drop(paths);
        return r;
    }
    r = sandbox_enter(paths);
    return r < 0 ? r : sandbox_filter(tables, 0);
}

int host_sandbox_gate(const struct host_config *config)
{
    static const struct filter_rule waits[] = {FILTER_CALL("wait4"), FILTER_END};
    static const struct filter_rule *const tables[] = {filter_rules_base,
                                                       filter_rules_sockets,
                                                       filter_rules_no_code,
                                                       filter_rules_signals,
                                                       waits,
                                                       NULL};
    struct landlock paths;
    int r = landlock_begin(&paths, sandbox_wishes());
    return host_sandbox_enter(r < 0 ? r : allow_gate(&paths, config), &paths, -1, tables);
}

int host_sandbox_vm(const struct vm_config *vm)
{
    static const struct filter_rule *const tables[] = {
        filter_rules_base,    filter_rules_sockets, filter_rules_no_code, filter_rules_signals,
        filter_rules_sharing, filter_rules_streams, filter_rules_threads, NULL};
    struct landlock paths;
    int r = landlock_begin(&paths, sandbox_wishes());
    return host_sandbox_enter(r < 0 ? r : allow_vm(&paths, vm), &paths,
                              host_sandbox_wayland_socket(), tables);
}
