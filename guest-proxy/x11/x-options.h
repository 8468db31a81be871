/* SPDX-License-Identifier: MIT */
#pragma once
/* x-options: wayvsock-x11's command line. */
#include "common/base/log.h"
#include "common/base/options.h"

struct x_options {
    int display;    /* its number; -1: the first one that is free */
    int display_fd; /* a pipe to write the number to; -1: none */
    enum log_level log_level;
};

/* 0: go on. OPTIONS_DONE: --help or --version was answered, exit with 0. -EINVAL: said on stderr,
 * exit with 2. */
int x_options_parse(int argc, char **argv, struct x_options *ret_options);
