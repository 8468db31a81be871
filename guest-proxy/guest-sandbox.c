/* SPDX-License-Identifier: MIT */
/* Later the daemon connects to the host, reads from /proc who its clients are and how large their
 * dmabufs, asks for its CID, opens the GPU again when a driver has left it, and removes its
 * display. Landlock keeps from /proc what tells secrets, as it does not let a process look into
 * others. */
#include "guest-proxy/guest-sandbox.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <linux/udmabuf.h>
#include <linux/vm_sockets.h>

#include "common/base/fdinfo.h"
#include "common/base/log.h"
#include "common/base/signalled.h"
#include "common/sandbox/filter-rules.h"
#include "common/sandbox/sandbox.h"
#include "guest-proxy/display.h"
#include "guest-proxy/guest-services.h"
#include "guest-proxy/pixels/gpu.h"

static const struct filter_rule gpu_calls[] = {
    FILTER_CALL_WITH("ioctl", 1, UDMABUF_CREATE_LIST),
    FILTER_END,
};

/* Its own CID is part of what it says when the host is not there. */
static const struct filter_rule cid_calls[] = {
    FILTER_CALL_WITH("ioctl", 1, IOCTL_VM_SOCKETS_GET_LOCAL_CID),
    FILTER_END,
};

static const struct filter_rule children_calls[] = {
    FILTER_CALL("wait4"),
    FILTER_END,
};

static int allow_services(struct landlock *paths, const struct services *services)
{
    int r = 0;
    for (unsigned i = 0; i < services->n && r == 0; i++)
        if (services->at[i].ours)
            r = landlock_allow_folder_of(paths, services->at[i].path, LANDLOCK_REMOVE_FILE);
    return r;
}

static int allow_paths(struct landlock *paths, const struct display *display,
                       const struct services *services, const char *control, const struct gpu *gpu)
{
    const char *folder = display ? display_folder(display) : "";
    fdinfo_prepare();
    signalled_prepare();
    int r = landlock_allow(paths, "/proc", LANDLOCK_READ);
    if (r == 0)
        r = landlock_allow(paths, "/dev/null", LANDLOCK_READ);
    if (r == 0)
        r = landlock_allow(paths, "/dev/vsock", LANDLOCK_READ | LANDLOCK_DEVICE);
    /* Without a last GPU the kernel removes /dev/dri, and makes another one later. */
    if (r == 0 && gpu->n > 0)
        r = landlock_allow(paths, "/dev",
                           LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_LIST | LANDLOCK_DEVICE);
    if (r == 0 && display)
        r = landlock_allow_folder_of(paths, display_path(display), LANDLOCK_REMOVE_FILE);
    if (r == 0 && *folder)
        r = landlock_allow_folder_of(paths, folder, LANDLOCK_REMOVE_FOLDER);
    if (r == 0 && control)
        r = landlock_allow_folder_of(paths, control, LANDLOCK_REMOVE_FILE);
    return r == 0 ? allow_services(paths, services) : r;
}

int guest_sandbox_enter(const struct display *display, const struct services *services,
                        const char *control, const struct gpu *gpu, pid_t command, bool children)
{
    const struct filter_rule *const tables[] = {filter_rules_base,
                                                filter_rules_sockets,
                                                filter_rules_no_code,
                                                filter_rules_signals,
                                                filter_rules_sharing,
                                                filter_rules_streams,
                                                filter_rules_threads,
                                                filter_rules_vsock,
                                                cid_calls,
                                                gpu_calls,
                                                virtgpu_calls,
                                                children ? children_calls : NULL,
                                                NULL};
    struct landlock paths;
    int r = landlock_begin(&paths, sandbox_wishes() | (command > 0 ? LANDLOCK_KEEP_SIGNALS : 0));
    if (r == 0)
        r = allow_paths(&paths, display, services, control, gpu);
    if (r == 0)
        r = sandbox_close_inherited(-1);
    if (r < 0) {
        log_error(NULL, "cannot prepare to give up rights: %s", strerror(-r));
        landlock_drop(&paths);
        return r;
    }
    r = sandbox_enter(&paths);
    return r < 0 ? r : sandbox_filter(tables, command);
}
