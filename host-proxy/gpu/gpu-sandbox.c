/* SPDX-License-Identifier: MIT */
/* Without 3D, only sockets are removed and udmabuf's limits read. What draws is another thing: a
 * driver is a large program with threads, which makes code of shaders, loads its parts and looks
 * around in the system when it likes. It may read what libraries are made of, and write nothing:
 * a cache of shaders, above all, would be code that other programs of this user execute. */
#include "host-proxy/gpu/gpu-sandbox.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include <linux/udmabuf.h>

#include "common/base/log.h"
#include "common/sandbox/filter-rules.h"
#include "common/sandbox/sandbox.h"
#include "host-proxy/gpu/gpu-options.h"

#define LIMITS "/sys/module/udmabuf/parameters"

/* The kind of a request is its second byte. */
#define IOCTLS(kind) FILTER_CALL_MASKED("ioctl", 1, 0xff00, (uint64_t)(kind) << 8)

static const struct filter_rule udmabuf_calls[] = {
    FILTER_CALL_WITH("ioctl", 1, UDMABUF_CREATE_LIST),
    FILTER_END,
};

static const struct filter_rule drawing_calls[] = {
    /* devices: DRM, dmabufs, their fences, udmabuf, NVIDIA */
    IOCTLS('d'),
    IOCTLS('b'),
    IOCTLS('>'),
    IOCTLS('u'),
    IOCTLS('F'),
    /* code that is made of shaders, and libraries that are loaded */
    FILTER_CALL("mmap"),
    FILTER_CALL("mprotect"),
    FILTER_CALL("mlock"),
    FILTER_CALL("mlock2"),
    FILTER_CALL("munlock"),
    FILTER_CALL("msync"),
    FILTER_CALL("mincore"),
    FILTER_CALL("membarrier"),
    FILTER_CALL("get_mempolicy"),
    FILTER_CALL("mbind"),
    FILTER_CALL("set_mempolicy"),
    /* threads, which go where and when they like */
    FILTER_CALL("getpriority"),
    FILTER_CALL("setpriority"),
    FILTER_CALL("sched_get_priority_max"),
    FILTER_CALL("sched_get_priority_min"),
    FILTER_CALL("sched_getattr"),
    FILTER_CALL("sched_getparam"),
    FILTER_CALL("sched_getscheduler"),
    FILTER_CALL("sched_setaffinity"),
    FILTER_CALL("sched_setattr"),
    FILTER_CALL("sched_setparam"),
    FILTER_CALL("sched_setscheduler"),
    FILTER_CALL_WITH("prctl", 0, PR_GET_NAME),
    FILTER_CALL_WITH("prctl", 0, PR_SET_NAME),
    FILTER_CALL_WITH("rt_sigaction", 0, SIGFPE),
    FILTER_CALL_WITH("rt_sigaction", 0, SIGILL),
    FILTER_CALL_WITH("rt_sigaction", 0, SIGSEGV),
    /* looking around; what may be opened, Landlock says */
    FILTER_CALL("fadvise64"),
    FILTER_CALL("flock"),
    FILTER_CALL("getrusage"),
    FILTER_CALL("kcmp"),
    FILTER_CALL("mkdir"),
    FILTER_CALL("mkdirat"),
    FILTER_CALL("pselect6"),
    FILTER_CALL("select"),
    FILTER_CALL("statfs"),
    FILTER_CALL("times"),
    FILTER_END,
};

static int allow_list(struct landlock *paths, const char *variable)
{
    const char *at = getenv(variable);
    int r = 0;
    while (r == 0 && at && *at) {
        char path[PATH_MAX];
        size_t n = strcspn(at, ":");
        if (n > 0 && n < sizeof(path)) {
            memcpy(path, at, n);
            path[n] = 0;
            r = landlock_allow(paths, path, LANDLOCK_READ | LANDLOCK_LIST);
        }
        at += n + (at[n] == ':');
    }
    return r;
}

/* Where libraries come from there are more of them. */
static int allow_library(struct dl_phdr_info *info, size_t size, void *paths)
{
    (void)size;
    return *info->dlpi_name == '/'
               ? landlock_allow_folder_of(paths, info->dlpi_name, LANDLOCK_READ | LANDLOCK_LIST)
               : 0;
}

static int allow_drawing(struct landlock *paths, const struct gpu_options *options)
{
    static const char *const system[] = {"/bin",
                                         "/etc",
                                         "/gnu",
                                         "/lib",
                                         "/lib32",
                                         "/lib64",
                                         "/nix",
                                         "/opt",
                                         "/proc",
                                         "/sys",
                                         "/usr",
                                         "/dev/urandom",
                                         "/run/opengl-driver"};
    static const char *const variables[] = {"LD_LIBRARY_PATH",
                                            "LIBGL_DRIVERS_PATH",
                                            "GBM_BACKENDS_PATH",
                                            "__EGL_VENDOR_LIBRARY_DIRS",
                                            "__EGL_VENDOR_LIBRARY_FILENAMES",
                                            "DRIRC_CONFIGDIR"};
    int r = dl_iterate_phdr(allow_library, paths);
    for (size_t i = 0; i < sizeof(system) / sizeof(*system) && r == 0; i++)
        r = landlock_allow(paths, system[i], LANDLOCK_READ | LANDLOCK_LIST);
    for (size_t i = 0; i < sizeof(variables) / sizeof(*variables) && r == 0; i++)
        r = allow_list(paths, variables[i]);
    if (r == 0 && options->render_node)
        r = landlock_allow(paths, "/dev",
                           LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_LIST | LANDLOCK_DEVICE);
    return r;
}

static int allow_paths(struct landlock *paths, const struct gpu_options *options,
                       const char *export_path)
{
    /* With 3D, the hypervisor's socket is made after this, as it connects to what is complete. */
    unsigned socket = options->virgl ? LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_MAKE_FILE |
                                           LANDLOCK_MAKE_SOCKET | LANDLOCK_REMOVE_FILE
                                     : LANDLOCK_REMOVE_FILE;
    int r = landlock_allow(paths, "/dev/udmabuf", LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_DEVICE);
    if (r == 0)
        r = landlock_allow(paths, LIMITS, LANDLOCK_READ);
    if (r == 0 && *export_path)
        r = landlock_allow_folder_of(paths, export_path, LANDLOCK_REMOVE_FILE);
    if (r == 0 && options->socket_path)
        r = landlock_allow_folder_of(paths, options->socket_path, socket);
    return r == 0 && options->virgl ? allow_drawing(paths, options) : r;
}

int gpu_sandbox_enter(const struct gpu_options *options, const char *export_path)
{
    struct landlock paths;
    if (options->virgl) {
        setenv("MESA_SHADER_CACHE_DISABLE", "true", 0);
        setenv("MESA_GLSL_CACHE_DISABLE", "true", 0);
    }
    int r = landlock_begin(&paths, sandbox_wishes());
    if (r == 0)
        r = allow_paths(&paths, options, export_path);
    if (r < 0) {
        log_error(NULL, "cannot prepare to give up rights: %s", strerror(-r));
        landlock_drop(&paths);
        return r;
    }
    return sandbox_enter(&paths);
}

int gpu_sandbox_filter(const struct gpu_options *options)
{
    static const struct filter_rule *const flat[] = {filter_rules_base,    filter_rules_sockets,
                                                     filter_rules_no_code, filter_rules_signals,
                                                     udmabuf_calls,        NULL};
    static const struct filter_rule *const drawing[] = {filter_rules_base,
                                                        filter_rules_sockets,
                                                        filter_rules_signals,
                                                        filter_rules_streams,
                                                        filter_rules_threads,
                                                        drawing_calls,
                                                        NULL};
    return sandbox_filter(options->virgl ? drawing : flat, 0);
}
