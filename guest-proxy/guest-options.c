/* SPDX-License-Identifier: MIT */
/* Texts stay where the command line or the environment has them. What is returned is complete:
 * defaults are filled in and the address is parsed, or nothing is written and the user knows why.
 */
#include "guest-proxy/guest-options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/services/settings-text.h"

#define PROGRAM "wayvsock-guest"

enum {
    OPTION_CONNECT = OPTIONS_FIRST,
    OPTION_DISPLAY,
    OPTION_FORWARD,
    OPTION_SERVE,
    OPTION_ALLOW_RUN,
    OPTION_RUN_SERVICE,
    OPTION_TOKEN,
    OPTION_GPU,
    OPTION_X11,
    OPTION_NO_AUTH,
    OPTION_CHECK,
};

static const struct option options[] = {
    {"connect", required_argument, NULL, OPTION_CONNECT},
    {"display", required_argument, NULL, OPTION_DISPLAY},
    {"forward", required_argument, NULL, OPTION_FORWARD},
    {"serve", required_argument, NULL, OPTION_SERVE},
    {"allow-run", no_argument, NULL, OPTION_ALLOW_RUN},
    {"run-service", no_argument, NULL, OPTION_RUN_SERVICE},
    {"token", required_argument, NULL, OPTION_TOKEN},
    {"gpu", required_argument, NULL, OPTION_GPU},
    {"x11", no_argument, NULL, OPTION_X11},
    {"no-auth", no_argument, NULL, OPTION_NO_AUTH},
    {"check", no_argument, NULL, OPTION_CHECK},
    OPTIONS_COMMON,
    {0},
};

static const char help[] =
    "Usage: wayvsock-guest --connect ADDR [OPTION...] [-- COMMAND [ARG...]]\n"
    "Offers a Wayland display in a virtual machine whose windows appear on the host.\n"
    "\n"
    "  --connect ADDR          where wayvsock-host listens: vsock:CID:PORT, unix:PATH or\n"
    "                          vsock-mux:PATH:PORT; the host's CID is 2, and vsock:2:1100 is\n"
    "                          the default (or WAYVSOCK_CONNECT)\n"
    "  --display NAME-OR-PATH  the display to offer (wayland-0; a display of its own for a\n"
    "                          COMMAND); none: there is no display, only services\n"
    "  --forward NAME[:TYPE][=PATH]\n"
    "                          offer the host's service NAME to the VM's programs, at PATH or\n"
    "                          XDG_RUNTIME_DIR/wayvsock/NAME; TYPE is stream or seqpacket\n"
    "  --serve NAME[:TYPE]=PATH\n"
    "                          let the host's programs reach what listens on PATH in the VM, as\n"
    "                          its service NAME\n"
    "  --allow-run             let the host start programs here, as this user\n"
    "  --run-service           do nothing but start programs for the host, on the socket that\n"
    "                          systemd handed over, which the daemon's --serve wayvsock.run= "
    "names\n"
    "  --token FILE            prove with this file's content that this is the VM's daemon\n"
    "  --gpu DEVICE            let the host take pixels from this virtio-gpu: auto, off, or\n"
    "                          /dev/dri/renderD128 (auto: the one that it knows)\n"
    "  --x11                   offer an X display as well, for X programs: with Xwayland, which\n"
    "                          runs while there are some\n"
    "  --no-auth               offer no proof; for development\n"
    "  --check                 tell what is in place and what is not; exit with 0 if\n"
    "                          applications would work\n"
    "  --log-level LEVEL       error, warn, info or debug (info)\n"
    "  --help                  print this\n"
    "  --version               print the version\n"
    "\n"
    "With a COMMAND: runs it on the display and exits with its exit status.\n";

int guest_options_parse(int argc, char **argv, struct guest_options *ret_options)
{
    struct guest_options o = {.log_level = LOG_LEVEL_INFO, .gpu = "auto"};
    const char *connect = getenv("WAYVSOCK_CONNECT"), *source = "WAYVSOCK_CONNECT: ";
    char error[512];
    int option;
    struct service_settings service;
    const char *path;
    if (!connect || !*connect)
        connect = "vsock:2:1100";
    optind = 0; /* glibc: start anew */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
        switch (option) {
        case OPTION_CONNECT:
            connect = optarg;
            source = "--connect: ";
            break;
        case OPTION_DISPLAY:
            if (!*optarg)
                return options_error(PROGRAM, "--display: give a name such as wayland-1, or a "
                                              "path");
            o.display = optarg;
            break;
        case OPTION_FORWARD:
            if (o.forward_n == GUEST_OPTION_LIST_MAX)
                return options_error(PROGRAM, "--forward: more than %d services",
                                     GUEST_OPTION_LIST_MAX);
            if (service_parse(optarg, &service, &path, error, sizeof(error)) < 0)
                return options_error(PROGRAM, "--forward: %s", error);
            o.forward[o.forward_n++] = optarg;
            break;
        case OPTION_SERVE:
            if (o.serve_n == GUEST_OPTION_LIST_MAX)
                return options_error(PROGRAM, "--serve: more than %d services",
                                     GUEST_OPTION_LIST_MAX);
            if (service_parse(optarg, &service, &path, error, sizeof(error)) < 0)
                return options_error(PROGRAM, "--serve: %s", error);
            if (!path)
                return options_error(PROGRAM, "--serve: say what serves it, as in %s=PATH", optarg);
            o.serve[o.serve_n++] = optarg;
            break;
        case OPTION_ALLOW_RUN:
            o.allow_run = true;
            break;
        case OPTION_RUN_SERVICE:
            o.run_service = true;
            break;
        case OPTION_TOKEN:
            o.token_file = optarg;
            break;
        case OPTION_GPU:
            if (strcmp(optarg, "auto") != 0 && strcmp(optarg, "off") != 0 && *optarg != '/')
                return options_error(
                    PROGRAM,
                    "--gpu: \"%s\" is neither auto nor off nor the path of a render node, as in "
                    "/dev/dri/renderD128",
                    optarg);
            o.gpu = optarg;
            break;
        case OPTION_X11:
            o.x11 = true;
            break;
        case OPTION_NO_AUTH:
            o.no_auth = true;
            break;
        case OPTION_CHECK:
            o.check = true;
            break;
        default: {
            int r = options_common(PROGRAM, help, option, argv, &o.log_level);
            if (r != 0)
                return r;
        }
        }
    }
    if (argc > 0 && optind < argc) {
        if (strcmp(argv[optind - 1], "--") != 0)
            return options_error(PROGRAM,
                                 "unexpected \"%s\"; a command comes after --, as in: -- %s",
                                 argv[optind], argv[optind]);
        o.command = argv + optind;
    } else if (argc > 1 && strcmp(argv[argc - 1], "--") == 0) {
        return options_error(PROGRAM, "there is no command after --");
    }
    if (o.x11 && o.display && strcmp(o.display, "none") == 0)
        return options_error(PROGRAM, "--x11 needs a Wayland display, and --display none has none");
    int parsed = address_parse(connect, &o.connect, error, sizeof(error));
    if (parsed == 0 && o.connect.kind == ADDRESS_VSOCK_DEVICE)
        return options_error(PROGRAM,
                             "%s\"%.128s\" is the host's side: in the VM, write vsock:2:%d", source,
                             connect, ADDRESS_DEFAULT_PORT);
    if (parsed < 0)
        return options_error(PROGRAM, "%s%s", source, error);
    if (o.connect.kind == ADDRESS_VSOCK && o.connect.cid == VMADDR_CID_ANY)
        return options_error(PROGRAM,
                             "%svsock:PORT is for listening; to connect, say vsock:CID:PORT, as in "
                             "vsock:2:%u (2 is the host)",
                             source, o.connect.port);
    *ret_options = o;
    return 0;
}
