/* SPDX-License-Identifier: MIT */
/* A driver is a large program with threads, which makes code of shaders, loads its parts and looks
 * around in the system when it likes. It may read what libraries are made of, and write nothing: a
 * cache of shaders, above all, would be code that other programs of this user execute. It has one
 * socket, that of the device, and makes no other. */
#include "host-proxy/gpu/renderer/renderer-sandbox.h"

#include <errno.h>
#include <limits.h>
#include <link.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "common/base/log.h"
#include "common/sandbox/filter-rules.h"
#include "common/sandbox/sandbox.h"

#define NICE 5 /* what other programs need is more urgent */
#define MEMORY_MAX                                                                                 \
    (8ull << 30) /* bytes: twice of what a guest may have there, as it is estimated */

/* The kind of a request is its second byte. */
#define IOCTLS(kind) FILTER_CALL_MASKED("ioctl", 1, 0xff00, (uint64_t)(kind) << 8)

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
    /* what a driver asks that nobody answers: names of users, a daemon of its own */
    FILTER_CALL_FAILS("socket", EACCES),
    FILTER_CALL_FAILS("socketpair", EACCES),
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

static int allow_drawing(struct landlock *paths, const char *render_node)
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
    if (r == 0 && render_node)
        r = landlock_allow(paths, "/dev",
                           LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_LIST | LANDLOCK_DEVICE);
    return r;
}

int renderer_sandbox_enter(const char *render_node)
{
    struct landlock paths;
    setenv("MESA_SHADER_CACHE_DISABLE", "true", 0);
    setenv("MESA_GLSL_CACHE_DISABLE", "true", 0);
    if (setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICE) < 0)
        log_info(NULL, "drawing is no less urgent than other work: %s", strerror(errno));
    int r = sandbox_limit_memory(MEMORY_MAX);
    if (r == 0)
        r = landlock_begin(&paths, 0);
    if (r < 0) {
        log_error(NULL, "cannot prepare to give up rights: %s", strerror(-r));
        return r;
    }
    /* Mesa makes dmabufs of what it has drawn in software. */
    r = landlock_allow(&paths, "/dev/udmabuf", LANDLOCK_READ | LANDLOCK_WRITE | LANDLOCK_DEVICE);
    if (r == 0)
        r = allow_drawing(&paths, render_node);
    if (r < 0) {
        log_error(NULL, "cannot prepare to give up rights: %s", strerror(-r));
        landlock_drop(&paths);
        return r;
    }
    return sandbox_enter(&paths);
}

int renderer_sandbox_filter(void)
{
    static const struct filter_rule *const tables[] = {filter_rules_base,    filter_rules_signals,
                                                       filter_rules_streams, filter_rules_threads,
                                                       drawing_calls,        NULL};
    return sandbox_filter(tables, 0);
}
