/* SPDX-License-Identifier: MIT */
#pragma once
/* control-request: what a person asks a daemon for, over its control socket: one line of JSON,
 * docs/control.md. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONTROL_REQUEST_MAX 4096 /* bytes of the line with its end */
#define CONTROL_VM_MAX 64
#define CONTROL_WHAT_MAX 80 /* characters */

enum control_command {
    CONTROL_STATUS, /* how are things: of all VMs, or of one */
    CONTROL_TRACE,  /* each message of a VM, or of one application */
    CONTROL_END,    /* a VM's applications, or one */
    CONTROL_RUN,    /* a program in it: what follows on the connection is protocol/run.h's */
    _CONTROL_N
};

struct control_request {
    enum control_command command;
    char vm[CONTROL_VM_MAX + 1]; /* "": none was named */
    uint64_t client;             /* 0: none was named */
    bool contents;               /* TRACE: arguments, too */
    /* RUN: the program, as who asks says; cleaned and cut. "": it was not said. */
    char what[4 * CONTROL_WHAT_MAX + 1];
};

/* The @n bytes of a line, less its end. 0, or -EINVAL with a message: what is not known is not
 * passed over. */
int control_request_parse(const char *line, size_t n, struct control_request *ret, char *error,
                          size_t error_size);
const char *control_command_name(enum control_command command);
