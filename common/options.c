/* SPDX-License-Identifier: MIT */
/* options: see the header. These are the only lines for people that do not go through the log:
 * nobody has asked for a daemon yet. */
#include "common/options.h"

#include <errno.h>
#include <getopt.h>
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

int options_error_getopt(const char *program, int returned, char **argv)
{
    const char *at = argv[optind - 1];
    if (returned == ':')
        return options_error(program, "%s needs a value", at);
    if (optopt >= OPTIONS_FIRST)
        return options_error(program, "%s: the option takes no value", at);
    if (optopt != 0)
        return options_error(program, "unknown option -%c", optopt);
    return options_error(program, "unknown option %s", at);
}

int options_version(const char *program)
{
    printf("%s " WAYVSOCK_VERSION "\n", program);
    return OPTIONS_DONE;
}

int options_help(const char *text)
{
    fputs(text, stdout);
    return OPTIONS_DONE;
}
