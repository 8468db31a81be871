/* SPDX-License-Identifier: MIT */
/* Numbers are checked here, so that nothing was made when one of them is wrong. */
#include "guest-proxy/x11/x-options.h"

#include <string.h>

#include "common/base/number.h"

#define PROGRAM "wayvsock-x11"
#define DISPLAY_MAX 65535
#define FD_MAX 1024

enum { OPTION_DISPLAY = OPTIONS_FIRST, OPTION_DISPLAY_FD };

static const struct option options[] = {
    {"display", required_argument, NULL, OPTION_DISPLAY},
    {"display-fd", required_argument, NULL, OPTION_DISPLAY_FD},
    OPTIONS_COMMON,
    {0},
};

static const char help[] =
    "Usage: wayvsock-x11 [OPTION...]\n"
    "Offers an X display whose windows are windows of the Wayland display in WAYLAND_DISPLAY. An\n"
    "X server (Xwayland) runs while there are X programs.\n"
    "\n"
    "  --display N             the display's number (the first one that is free)\n"
    "  --display-fd FD         write the number to this pipe; when nobody can read there any "
    "more,\n"
    "                          end with the last X program\n"
    "  --log-level LEVEL       error, warn, info or debug (info)\n"
    "  --help                  print this\n"
    "  --version               print the version\n";

int x_options_parse(int argc, char **argv, struct x_options *ret_options)
{
    struct x_options o = {.display = -1, .display_fd = -1, .log_level = LOG_LEVEL_INFO};
    uint64_t number;
    int option;
    optind = 0; /* glibc: start anew */
    opterr = 0;
    while ((option = getopt_long(argc, argv, "+:", options, NULL)) != -1) {
        switch (option) {
        case OPTION_DISPLAY: {
            const char *text = optarg + (*optarg == ':');
            if (!number_parse(text, strlen(text), DISPLAY_MAX, &number))
                return options_error(PROGRAM, "--display: \"%s\" is no number, as 1 is", optarg);
            o.display = (int)number;
            break;
        }
        case OPTION_DISPLAY_FD:
            if (!number_parse(optarg, strlen(optarg), FD_MAX, &number))
                return options_error(PROGRAM, "--display-fd: \"%s\" is no descriptor", optarg);
            o.display_fd = (int)number;
            break;
        default: {
            int r = options_common(PROGRAM, help, option, argv, &o.log_level);
            if (r != 0)
                return r;
        }
        }
    }
    if (argc > 0 && optind < argc)
        return options_error(PROGRAM, "unexpected \"%s\"", argv[optind]);
    *ret_options = o;
    return 0;
}
