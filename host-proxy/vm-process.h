/* SPDX-License-Identifier: MIT */
#pragma once
/* vm-process: what the gate knows of the process of each VM: whether there is one, and what it has
 * been given. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct channel_packet;
struct log_subject;
struct loop;
struct spawner;
struct vm_process;
struct vm_processes;

/* Called from the loop. */
struct vm_processes_ops {
    /* No more processes can be started; once. */
    void (*lost)(void *user);
    /* Somebody asked VM @number's process for a program, and no daemon of the VM is there; or one
     * has come since (@again). @fd: to be taken, as in vm_process_ask(). May be NULL. */
    void (*absent)(void *user, size_t number, bool again, const char *line, size_t n, int fd);
};

/* For @n VMs, none of which has a process yet. @spawner and @ops are borrowed. NULL: errno. */
struct vm_processes *vm_processes_create(struct loop *loop, const struct spawner *spawner, size_t n,
                                         const struct vm_processes_ops *ops, void *user);
/* Closes the channels: the processes end, which spawner_stop() waits for. Accepts NULL. */
void vm_processes_destroy(struct vm_processes *processes);

/* The process with that number; @subject (borrowed) is whom lines are about. */
struct vm_process *vm_processes_at(struct vm_processes *processes, size_t number,
                                   struct log_subject *subject);

/* The same again. */
struct vm_process *vm_processes_number(struct vm_processes *processes, size_t number);
/* "running", "starting" or "absent". */
const char *vm_process_state(const struct vm_process *process);

/* Whom lines are about. */
struct log_subject *vm_process_subject(const struct vm_process *process);

/* Whether it may have a session, which a client's connection needs. */
bool vm_process_is_there(const struct vm_process *process);
/* Whether it may be given one more connection. */
bool vm_process_has_room(const struct vm_process *process);
/* Why nobody may ask it anything now, for people, or NULL: who does is taken. @run: it is a program
 * to be started, of which many may come at once. */
const char *vm_process_unasked(const struct vm_process *process, bool run);
/* Then hands it the connection of somebody who asks (takes @fd), with the request's line. @keep: it
 * is for absent(), if need be. */
void vm_process_ask(struct vm_process *process, const char *line, size_t n, bool keep, int fd);
/* What the spawner runs beside the VM's process. Of each VM, the number of that kind is the VM's
 * own behind those of all VMs before it. */
enum vm_process_kind {
    VM_PROCESS_START, /* what starts the VM */
    VM_PROCESS_MENU,  /* what writes its menu */
    _VM_PROCESS_KIND_N
};
/* Has it run that. The channel (owned) that the process has, or -errno; -EBUSY: it runs already.
 * @ended: with a status as waitpid() has it, or -errno. */
int vm_process_run(struct vm_process *process, enum vm_process_kind kind,
                   void (*ended)(void *user, int status), void *user);
/* Gives it a connection, an ARRIVAL or a CALL (takes @fd), and starts it if it is not there. 0 or
 * -errno. */
int vm_process_give(struct vm_process *process, const struct channel_packet *packet, int fd);
