/* SPDX-License-Identifier: MIT */
#pragma once
/* gpu-options: the command line of wayvsock-gpu, which keeps to QEMU's conventions for vhost-user
 * programs. */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "common/base/log.h"

#define GPU_EXPORT_USERS_MAX 16

struct gpu_options {
    const char *socket_path; /* of a socket to make, or NULL */
    int fd; /* inherited: a frontend's connection or a listening socket; -1: none */
    const char *export_path; /* NULL: export_folder_prepare() */
    uid_t export_users[GPU_EXPORT_USERS_MAX];
    size_t n_export_users;
    bool virgl;
    const char *render_node;
    bool print_capabilities, check;
    enum log_level log_level;
};

/* 0, OPTIONS_DONE, or -EINVAL after a message on stderr. */
int gpu_options_parse(int argc, char **argv, struct gpu_options *ret_options);
