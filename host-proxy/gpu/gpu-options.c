/* SPDX-License-Identifier: MIT */
/* gpu-options: owns nothing; what it returns points into the arguments. */
#include "host-proxy/gpu/gpu-options.h"

#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/base/number.h"
#include "common/base/options.h"

#define PROGRAM "wayvsock-gpu"

enum {
    OPTION_SOCKET_PATH = OPTIONS_FIRST,
    OPTION_FD,
    OPTION_EXPORT,
    OPTION_EXPORT_USER,
    OPTION_VIRGL,
    OPTION_RENDER_NODE,
    OPTION_PRINT_CAPABILITIES,
    OPTION_CHECK,
};

static const struct option options[] = {
    {"socket-path", required_argument, NULL, OPTION_SOCKET_PATH},
    {"fd", required_argument, NULL, OPTION_FD},
    {"export", required_argument, NULL, OPTION_EXPORT},
    {"export-user", required_argument, NULL, OPTION_EXPORT_USER},
    {"virgl", no_argument, NULL, OPTION_VIRGL},
    {"render-node", required_argument, NULL, OPTION_RENDER_NODE},
    {"print-capabilities", no_argument, NULL, OPTION_PRINT_CAPABILITIES},
    {"check", no_argument, NULL, OPTION_CHECK},
    OPTIONS_COMMON,
    {0},
};

static const char help[] =
    "Usage: wayvsock-gpu --socket-path PATH | --fd N [OPTION...]\n"
    "Is the GPU of one virtual machine (virtio-gpu, by vhost-user), whose buffers wayvsock-host\n"
    "can show without copying them over vsock.\n"
    "\n"
    "  --socket-path PATH    wait here for the virtual machine's hypervisor\n"
    "  --fd N                it is connected to this descriptor, or will connect to it\n"
    "  --export PATH         the socket for wayvsock-host\n"
    "                        (wayvsock-gpu/PID.sock in XDG_RUNTIME_DIR or /run)\n"
    "  --export-user USER    let this user's wayvsock-host connect too; may be given several "
    "times\n"
    "  --virgl               draw for the guest (only where it is built in)\n"
    "  --render-node PATH    the host's GPU for that (software without)\n"
    "  --print-capabilities  print what is supported as JSON\n"
    "  --check               tell what is in place, and what to do about what is not\n"
    "  --log-level LEVEL     error, warn, info or debug (info)\n"
    "  --help                print this\n"
    "  --version             print the version\n";

static int add_user(struct gpu_options *o, const char *text)
{
    uint64_t number;
    const struct passwd *entry;
    if (o->n_export_users == GPU_EXPORT_USERS_MAX)
        return options_error(PROGRAM, "--export-user: more than %d users", GPU_EXPORT_USERS_MAX);
    if (number_parse(text, strlen(text), UINT32_MAX - 1, &number))
        o->export_users[o->n_export_users++] = (uid_t)number;
    else if ((entry = getpwnam(text)))
        o->export_users[o->n_export_users++] = entry->pw_uid;
    else
        return options_error(PROGRAM, "--export-user: there is no user \"%s\"", text);
    return 0;
}

static int gpu_options_apply(int option, char **argv, struct gpu_options *o)
{
    uint64_t number;
    switch (option) {
    case OPTION_SOCKET_PATH:
        o->socket_path = optarg;
        return 0;
    case OPTION_FD:
        if (!number_parse(optarg, strlen(optarg), INT32_MAX, &number))
            return options_error(PROGRAM, "--fd: \"%s\" is not the number of a descriptor", optarg);
        o->fd = (int)number;
        return 0;
    case OPTION_EXPORT:
        o->export_path = optarg;
        return 0;
    case OPTION_EXPORT_USER:
        return add_user(o, optarg);
    case OPTION_VIRGL:
        o->virgl = true;
        return 0;
    case OPTION_RENDER_NODE:
        o->render_node = optarg;
        return 0;
    case OPTION_PRINT_CAPABILITIES:
        o->print_capabilities = true;
        return 0;
    case OPTION_CHECK:
        o->check = true;
        return 0;
    default:
        return options_common(PROGRAM, help, option, argv, &o->log_level);
    }
}

int gpu_options_parse(int argc, char **argv, struct gpu_options *ret_options)
{
    struct gpu_options o = {.fd = -1, .log_level = LOG_LEVEL_INFO};
    int option;
    optind = 0; /* glibc: start anew */
    opterr = 0;
    while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
        int r = gpu_options_apply(option, argv, &o);
        if (r != 0)
            return r;
    }
    if (optind < argc)
        return options_error(PROGRAM, "unexpected \"%s\"", argv[optind]);
    if (o.print_capabilities) {
        *ret_options = o;
        return 0;
    }
    if (!o.check && !o.socket_path == (o.fd < 0))
        return options_error(PROGRAM,
                             "give either --socket-path PATH or --fd N: where the hypervisor is");
#if !WITH_VIRGL
    if (o.virgl)
        return options_error(PROGRAM, "--virgl: this build has no 3D");
#endif
    *ret_options = o;
    return 0;
}
