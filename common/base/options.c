/* SPDX-License-Identifier: MIT */
/* options: see the header. These are the only lines for people that do not go through the log:
 * nobody has asked for a daemon yet. */
#include "common/base/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

int options_error(const char *program, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "%s: ", program);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nTry \"%s --help\".\n", program);
    return -EINVAL;
}

int options_common(const char *program, const char *help, int returned, char **argv,
                   enum log_level *log_level)
{
    switch (returned) {
    case OPTIONS_LOG_LEVEL:
        if (log_level_parse(optarg, log_level) == 0)
            return 0;
        return options_error(program, "--log-level: \"%s\" is none of error, warn, info, debug",
                             optarg);
    case OPTIONS_HELP:
        fputs(help, stdout);
        return OPTIONS_DONE;
    case OPTIONS_VERSION:
        printf("%s " WAYVSOCK_VERSION "\n", program);
        return OPTIONS_DONE;
    case ':':
        return options_error(program, "%s needs a value", argv[optind - 1]);
    default:
        if (optopt >= OPTIONS_LOG_LEVEL)
            return options_error(program, "%s: the option takes no value", argv[optind - 1]);
        if (optopt != 0)
            return options_error(program, "unknown option -%c", optopt);
        return options_error(program, "unknown option %s", argv[optind - 1]);
    }
}
