/* SPDX-License-Identifier: MIT */
#pragma once
/* options: what both command lines have in common. Long options only; getopt's own messages are
 * off. */
#include <stddef.h>

enum { OPTIONS_DONE = 1 };

/* The first value of a program's long options; below are characters. */
#define OPTIONS_FIRST 256

/* Says on stderr what is wrong and how to get help. Returns -EINVAL. */
int options_error(const char *program, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* The same, for getopt_long() having returned '?' or ':'. */
int options_error_getopt(const char *program, int returned, char **argv);
/* Answers --version and --help on stdout. Returns OPTIONS_DONE. */
int options_version(const char *program);
int options_help(const char *text);
