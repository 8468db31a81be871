/* SPDX-License-Identifier: MIT */
#pragma once
/* programs: the commands of a VM's services ("exec ="), as its process knows them: one that is
 * started for a connection lives as long as that, and the sockets that were passed on it. */
struct program;
struct vm_service;

struct program_ops {
    /* It runs: @fd (taken) is the connection to it; or -1, and @why tells why not. Once, from the
     * loop; program_unref() is allowed in it. */
    void (*ready)(void *user, int fd, const char *why);
};

/* Asks for one. @ops and @user until program_leave(). NULL: errno. */
struct program *program_start(struct vm_service *service, const struct program_ops *ops,
                              void *user);
/* Nobody waits for ready() any more. */
void program_leave(struct program *program);
struct program *program_ref(struct program *program); /* accepts NULL, and gives it */
/* With the last one, the command is ended. Accepts NULL. */
void program_unref(struct program *program);
