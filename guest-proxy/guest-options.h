/* SPDX-License-Identifier: MIT */
#pragma once
/* guest-options: the guest daemon's command line. */
#include <stdbool.h>

#include "common/transport/address.h"
#include "common/base/log.h"
#include "common/base/options.h"

#define GUEST_OPTION_LIST_MAX 32

/* Strings are borrowed from argv and the environment. */
struct guest_options {
    struct address connect; /* --connect, WAYVSOCK_CONNECT, or vsock:2:1100 */
    const char *display;    /* NULL: none was named; "none": there is to be none */
    const char *token_file; /* NULL: see token_default() */
    const char *gpu;        /* "auto", "off", or a render node */
    bool x11, no_auth, check, allow_run, run_service;
    enum log_level log_level;
    const char *forward[GUEST_OPTION_LIST_MAX]; /* as they are written */
    unsigned forward_n;
    const char *serve[GUEST_OPTION_LIST_MAX];
    unsigned serve_n;
    char **command; /* NULL-terminated; NULL: none */
};

/* 0: go on. OPTIONS_DONE: --help or --version was answered, exit with 0. -EINVAL: said on stderr,
 * exit with 2. */
int guest_options_parse(int argc, char **argv, struct guest_options *ret_options);
