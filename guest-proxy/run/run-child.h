/* SPDX-License-Identifier: MIT */
#pragma once
/* run-child: one program, started with pipes or on a terminal of its own. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct run_child_spec {
    char *const *words;     /* NULL-terminated */
    char *const *variables; /* NAME=VALUE, beside what this process has; NULL-terminated */
    const char *folder;     /* where it starts; NULL: the home */
    bool terminal;
    uint16_t rows, columns; /* of the terminal; 0: not known */
    const int *fds;         /* else: standard input, output and error, borrowed */
};

struct run_child {
    pid_t pid;    /* also its process group's */
    int terminal; /* the other side of its terminal, owned, or -1 */
};

/* 0, or -errno: it cannot be executed, or there is not enough of something. */
int run_child_start(const struct run_child_spec *spec, struct run_child *ret);
/* To all of its process group. */
void run_child_signal(const struct run_child *child, int number);
void run_child_resize(const struct run_child *child, uint16_t rows, uint16_t columns);
