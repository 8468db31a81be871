/* SPDX-License-Identifier: MIT */
#pragma once
/* command-options: the command line of wayvsock. */
#include <stdbool.h>
#include <stdint.h>

#include "common/base/options.h"
#include "common/control/control-request.h"

struct command_options {
    const struct command *command;
    const char *socket;  /* NULL: where daemons have theirs */
    const char *display; /* of which guest's daemon; NULL: any */
    bool json, contents, no_terminal;
    const char *entry; /* run: the id of an entry of the menu, instead of words */
    char **words;      /* run: the program and its arguments, NULL-terminated; NULL: none */
    char vm[CONTROL_VM_MAX + 1]; /* "": none was named */
    uint64_t client;             /* 0: none */
};

/* One command; what it does gives the exit status. */
struct command {
    const char *name;
    int (*run)(const struct command_options *options);
    enum { TARGET_NONE, TARGET_VM_MAY, TARGET_CLIENT, TARGET_PROGRAM } target;
};

/* 0: go on. OPTIONS_DONE: exit with 0. -EINVAL: said on stderr, exit with 2. @commands end with one
 * without a name. */
int command_options_parse(int argc, char **argv, const struct command *commands,
                          struct command_options *ret);
