/* SPDX-License-Identifier: MIT */
#pragma once
/* options: what the command lines of all our programs have in common. Long options only; getopt's
 * own messages are off. */
#include <getopt.h>

#include "common/base/log.h"

enum { OPTIONS_DONE = 1 };

/* What getopt_long() returns for them: OPTIONS_FIRST is the first of a program's own. */
enum { OPTIONS_LOG_LEVEL = 256, OPTIONS_HELP, OPTIONS_VERSION, OPTIONS_FIRST };
/* Their rows in a program's table. */
/* clang-format off */
#define OPTIONS_COMMON                                              \
    {"log-level", required_argument, NULL, OPTIONS_LOG_LEVEL},      \
    {"help", no_argument, NULL, OPTIONS_HELP},                      \
    {"version", no_argument, NULL, OPTIONS_VERSION}
/* clang-format on */

/* Says on stderr what is wrong and how to get help. Returns -EINVAL. */
int options_error(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Does what getopt_long() has @returned, which is no option of the program's own: sets the level,
 * prints @help or the version, or says what is wrong. 0, OPTIONS_DONE or -EINVAL. */
int options_common(const char *program, const char *help, int returned, char **argv,
                   enum log_level *log_level);
