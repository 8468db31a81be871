/* SPDX-License-Identifier: MIT */
#pragma once
/* vsock-options: the command line of wayvsock-vsock. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/log.h"
#include "host-proxy/vsock/hybrid-socket.h"

#define VSOCK_PORTS_MAX 64

struct vsock_options {
    const char *socket_path; /* of a socket to make, or NULL */
    int fd;               /* inherited: a frontend's connection or a listening socket; -1: none */
    uint32_t guest_cid;   /* 0: not given */
    const char *uds_path; /* or NULL */
    struct hybrid_port ports[VSOCK_PORTS_MAX];
    size_t n_ports;
    bool print_capabilities, check;
    enum log_level log_level;
};

/* 0, OPTIONS_DONE, or -EINVAL after a message on stderr. */
int vsock_options_parse(int argc, char **argv, struct vsock_options *ret_options);
