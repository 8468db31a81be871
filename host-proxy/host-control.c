/* SPDX-License-Identifier: MIT */
/* host-control: owns the socket, and what the gate answers itself. It waits for no VM: one that
 * hangs keeps nobody but who asked about it, who may leave. */
#include "host-proxy/host-control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/control/control-answer.h"
#include "common/control/control-app.h"
#include "common/control/control-request.h"
#include "common/control/control-socket.h"
#include "host-proxy/config.h"
#include "host-proxy/vm-menus.h"
#include "host-proxy/vm-process.h"
#include "host-proxy/vm-starts.h"

struct host_control {
    const struct host_config *config;
    struct vm_processes *processes;
    const struct refused *refused;
    struct control_socket *socket;
    struct answers answers;
    struct vm_starts *starts;
    struct vm_menus *menus;
};

static json_t *control_vms(const struct host_control *h)
{
    json_t *list = json_array();
    for (size_t i = 0; i < h->config->n_vms; i++) {
        const struct vm_process *p = vm_processes_number(h->processes, i);
        json_array_append_new(list,
                              json_pack("{so ss so}", "name", json_words(h->config->vms[i].name),
                                        "state", vm_process_state(p), "refused",
                                        app_refused(vm_process_subject(p)->refused)));
    }
    return list;
}

/* Of all VMs, less what their processes know. */
static void control_status(struct host_control *h, int fd)
{
    struct answer *answer = answer_create(&h->answers, fd, NULL, NULL);
    if (!answer)
        return;
    answer_say_all(answer, json_pack("{ss so so so}", "version", WAYVSOCK_VERSION, "when",
                                     json_time(json_now()), "vms", control_vms(h), "refused",
                                     app_refused(h->refused)));
    answer_end(answer);
}

/* Somebody asks about one; @fd is taken. */
static void control_hand_over(struct host_control *h, size_t number, bool run, const char *line,
                              size_t n, int fd)
{
    struct vm_process *process = vm_processes_number(h->processes, number);
    const char *unasked = vm_process_unasked(process, run);
    if (unasked)
        control_refuse(fd, unasked);
    else
        vm_process_ask(process, line, n, run, fd);
}

/* Who it is the kernel tells; what he wants, he says himself. */
static void control_note_run(struct host_control *h, size_t number,
                             const struct control_request *request, int fd)
{
    struct ucred peer = {0};
    socklen_t size = sizeof(peer);
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size);
    log_info(vm_process_subject(vm_processes_number(h->processes, number)),
             "run: process %ld of user %lu wants a program%s%s", (long)peer.pid,
             (unsigned long)peer.uid, *request->what ? ": " : "", request->what);
}

static void control_came(void *user, const struct control_request *request, const char *line,
                         size_t n, int fd)
{
    struct host_control *h = user;
    if (!*request->vm && request->command == CONTROL_STATUS) {
        control_status(h, fd);
        return;
    }
    if (!*request->vm) {
        control_refuse(fd, "which VM? none is named");
        return;
    }
    for (size_t i = 0; i < h->config->n_vms; i++) {
        if (strcmp(h->config->vms[i].name, request->vm) != 0)
            continue;
        if (request->command == CONTROL_RUN) {
            control_note_run(h, i, request, fd);
            vm_menus_run(h->menus, i);
        }
        if (request->command == CONTROL_RUN &&
            !vm_process_is_there(vm_processes_number(h->processes, i)))
            vm_starts_wait(h->starts, i, line, n, fd);
        else
            control_hand_over(h, i, request->command == CONTROL_RUN, line, n, fd);
        return;
    }
    control_refuse(fd, "no VM has that name");
}

struct host_control *host_control_create(struct loop *loop, const struct host_config *config,
                                         struct vm_processes *processes,
                                         const struct refused *refused, int inherited)
{
    _cleanup_(fd_closep) int made = inherited;
    char error[512] = "out of memory";
    struct host_control *h = calloc(1, sizeof(*h));
    if (h) {
        *h = (struct host_control){.config = config, .processes = processes, .refused = refused};
        answers_init(&h->answers, loop);
        h->starts = vm_starts_create(loop, config, processes);
        h->menus = vm_menus_create(loop, config, processes);
    }
    if (h && h->starts && h->menus)
        h->socket = made < 0 ? control_socket_create(loop, CONTROL_HOST, NULL, control_came, h,
                                                     error, sizeof(error))
                             : control_socket_take(loop, fd_steal(&made), control_came, h);
    if (h && h->socket)
        return h;
    log_info(NULL, "\"wayvsock status\" will not find this daemon: %s", error);
    if (h) {
        vm_starts_destroy(h->starts);
        vm_menus_destroy(h->menus);
    }
    free(h);
    return NULL;
}

void host_control_absent(struct host_control *h, size_t number, bool again, const char *line,
                         size_t n, int fd)
{
    if (!h)
        fd_close(fd);
    else if (again)
        control_hand_over(h, number, true, line, n, fd);
    else
        vm_starts_wait(h->starts, number, line, n, fd);
}

void host_control_came(struct host_control *h, size_t number)
{
    if (!h)
        return;
    vm_starts_came(h->starts, number);
    vm_menus_came(h->menus, number);
}

void host_control_destroy(struct host_control *h)
{
    if (!h)
        return;
    control_socket_destroy(h->socket);
    answers_finish(&h->answers);
    vm_starts_destroy(h->starts);
    vm_menus_destroy(h->menus);
    free(h);
}
