/* SPDX-License-Identifier: MIT */
#pragma once
/* spawner: the process that starts others for those that may not: it is made before anything
 * hostile is read, reads numbers from its parent and nothing else, and so need not be limited. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum spawner_kind {
    SPAWNER_START = 1, /* process @number, with the descriptor beside the request as its channel */
    SPAWNER_KILL,      /* at once */
    SPAWNER_ASSIST, /* one beside process @number, for its @what; the descriptor is for answers */
};

#define SPAWNER_ASSISTANTS_MAX 256 /* beside one process, at a time */

/* What the parent sends, one packet each. Nothing becomes of a START before the end of the process
 * with that number was told, or of what is no request. */
struct spawner_request {
    uint32_t kind, number, what;
};

/* What it hears: a process or an assistant (@kind START, ASSIST) that has ended, or was not
 * started.
 */
struct spawner_report {
    uint32_t kind, number;
    int32_t status; /* as waitpid() has it, or -errno: it was not started */
};

struct spawner_ops {
    /* In the spawner's process, first of all; @socket (borrowed) is what it needs. */
    void (*begun)(void *user, int socket);
    /* In the new process: its exit status. Takes @channel. */
    int (*run)(void *user, uint32_t number, int channel);
    /* In the spawner's: the process with that number has started, or has ended. */
    void (*started)(void *user, uint32_t number);
    void (*ended)(void *user, uint32_t number);
    /* How many assistants process @number may have at a time for its @what; 0: there is no such.
     * NULL, with assist(): nobody has any. */
    uint32_t (*assistants)(void *user, uint32_t number, uint32_t what);
    /* In an assistant, which is to end when the other end of @fd (taken) is closed, and has all
     * signals that can be caught ignored: its exit status. */
    int (*assist)(void *user, uint32_t number, uint32_t what, int fd);
    /* The parent is gone, and all processes are. */
    void (*finished)(void *user);
};

struct spawner {
    pid_t pid;
    int fd; /* owned; requests and reports */
};

enum spawner_side {
    SPAWNER_PARENT, /* go on */
    SPAWNER_OVER,   /* this is the spawner's process, or one of those that it started: end */
};

/* Forks the spawner, which starts processes 0 to @numbers - 1, one of each at a time. In the parent
 * it returns SPAWNER_PARENT at once. In the other processes it returns when they are to end:
 * SPAWNER_OVER with the exit status. A parent that ends in any way ends the spawner: the processes
 * have a few seconds for what they have to do when their channel is at its end. If the spawner is
 * killed, they are, too. Or -errno. */
int spawner_fork(uint32_t numbers, const struct spawner_ops *ops, void *user,
                 struct spawner *ret_spawner, int *ret_status);
/* In the parent, when it has closed all channels: waits until all processes have ended. */
void spawner_stop(struct spawner *spawner);
