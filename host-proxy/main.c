/* SPDX-License-Identifier: MIT */
/* wayvsock-host: shows the windows of virtual machines on this desktop. It is several processes:
 * this one, the gate, to which everybody comes; one for each VM that is there; and the spawner,
 * which starts those. The configuration is the same for all, and outlives what refers to it. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/refused.h"
#include "common/base/sd.h"
#include "common/sandbox/sandbox.h"
#include "host-proxy/context-folder.h"
#include "host-proxy/gate.h"
#include "host-proxy/host-check.h"
#include "host-proxy/host-options.h"
#include "host-proxy/host-sandbox.h"
#include "host-proxy/program-keeper.h"
#include "common/base/spawner.h"
#include "host-proxy/menu/menu-process.h"
#include "host-proxy/start-command.h"
#include "host-proxy/vm-main.h"
#include "host-proxy/vm-menus.h"
#include "host-proxy/vm-process.h"

/* What the processes of one VM share, one after the other: how much it has been in the log, and
 * what was refused. */
struct shared {
    struct log_subject subject;
    struct refused refused;
};
#define SHARED_SIZE sizeof(struct shared)

struct host {
    struct host_config config;
    struct shared **shared; /* one for each VM, in memory of its own */
};

static void host_free_shared(struct host *host)
{
    for (size_t i = 0; host->shared && i < host->config.n_vms; i++)
        if (host->shared[i])
            munmap(host->shared[i], SHARED_SIZE);
    free(host->shared);
    host->shared = NULL;
}

static int host_make_shared(struct host *host)
{
    size_t n = host->config.n_vms;
    host->shared = calloc(n ? n : 1, sizeof(*host->shared));
    for (size_t i = 0; host->shared && i < n; i++) {
        void *page =
            mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED)
            return -errno;
        host->shared[i] = page;
    }
    return host->shared ? 0 : -ENOMEM;
}

/* --- in the spawner's process, and those that it starts --- */

static void host_spawner_begun(void *user, int socket)
{
    (void)user;
    (void)socket; /* closed by exec, as all of ours */
    sandbox_close_inherited(host_sandbox_wayland_socket());
}

/* The first numbers are the VMs', the next ones those of what runs beside them, by its kind. */
#define NUMBERS_OF_A_VM (1 + _VM_PROCESS_KIND_N)

static int host_run_beside(const struct vm_config *vm, enum vm_process_kind kind, int channel)
{
    char name[80];
    struct log_subject subject = {.name = name};
    const struct menu_style style = {
        .vm = vm->name, .title_prefix = vm->title_prefix, .app_id_prefix = vm->app_id_prefix};
    if (kind == VM_PROCESS_START)
        return start_command_run(vm->start, channel);
    snprintf(name, sizeof(name), "vm %s", vm->name);
    return menu_process_run(&style, channel, &subject);
}

static int host_run_number(void *user, uint32_t number, int channel)
{
    struct host *host = user;
    const size_t n_vms = host->config.n_vms;
    if (number >= n_vms) {
        host_free_shared(host);
        return host_run_beside(&host->config.vms[number % n_vms], number / (uint32_t)n_vms - 1,
                               channel);
    }
    struct shared *shared = host->shared[number];
    host->shared[number] = NULL;
    host_free_shared(host);
    refused_take_over(&shared->refused);
    shared->subject.refused = &shared->refused;
    int status = vm_main(&host->config, number, channel, &shared->subject);
    munmap(shared, SHARED_SIZE);
    return status;
}

/* A connection to the compositor that we were given is the first process's. */
static void host_started(void *user, uint32_t number)
{
    const struct host *host = user;
    if (number >= host->config.n_vms)
        return;
    fd_close(host_sandbox_wayland_socket());
    unsetenv("WAYLAND_SOCKET");
}

static void host_ended(void *user, uint32_t number)
{
    const struct host *host = user;
    if (number < host->config.n_vms)
        context_folder_clear(number);
}

static void host_finished(void *user)
{
    (void)user;
    context_folder_remove();
}

/* The service that is number @what of VM @number's; NULL: that has no command, or is not there. */
static const struct service_settings *host_command(const struct host *host, uint32_t number,
                                                   uint32_t what)
{
    const struct service_settings *service = NULL;
    if (number >= host->config.n_vms)
        return NULL;
    const struct vm_config *vm = &host->config.vms[number];
    for (uint32_t i = 0; vm->forward && vm->forward[i]; i++)
        if (i == what)
            service = host_config_service(&host->config, vm->forward[i]);
    return service && service_is_kept(service) ? service : NULL;
}

static uint32_t host_assistants(void *user, uint32_t number, uint32_t what)
{
    const struct service_settings *service = host_command(user, number, what);
    return service ? service->max_connections : 0;
}

static int host_assist(void *user, uint32_t number, uint32_t what, int fd)
{
    struct host *host = user;
    const char *vm = host->config.vms[number].name;
    return program_keep(host_command(host, number, what), vm, fd);
}

static const struct spawner_ops spawner_ops = {.begun = host_spawner_begun,
                                               .run = host_run_number,
                                               .assistants = host_assistants,
                                               .assist = host_assist,
                                               .started = host_started,
                                               .ended = host_ended,
                                               .finished = host_finished};

/* --- in the gate's --- */

static int main_run(const struct host_config *config, const struct spawner *spawner)
{
    char error[512];
    struct gate *gate = NULL;
    struct loop *loop = loop_create();
    if (!loop) {
        log_error(NULL, "cannot make an event loop: %s", strerror(errno));
        return 1;
    }
    fd_raise_limit();
    int r = sd_catch_signals(loop); /* before there is anything to see, or to be removed */
    if (r < 0)
        log_error(NULL, "cannot catch signals: %s", strerror(-r));
    if (r == 0) {
        gate = gate_create(loop, config, spawner, error, sizeof(error));
        if (!gate) {
            log_error(NULL, "%s", error);
            r = -EINVAL;
        }
    }
    if (r == 0)
        r = host_sandbox_gate(config);
    if (r == 0)
        r = sd_run(loop);
    if (r == 0 && gate_has_failed(gate))
        r = -ECHILD;
    gate_destroy(gate);
    loop_destroy(loop);
    return r < 0 ? 1 : 0;
}

static bool has_contexts(const struct host_config *config)
{
    for (size_t i = 0; i < config->n_vms; i++)
        if (config->vms[i].security_context)
            return true;
    return false;
}

/* Returns in each of the processes when it is to end, with its status. */
static int host_run(struct host *host)
{
    struct spawner spawner;
    int status = 1;
    int r = host_make_shared(host);
    vm_menus_clear(&host->config);
    if (r == 0 && has_contexts(&host->config))
        context_folder();
    if (r == 0)
        r = spawner_fork(NUMBERS_OF_A_VM * (uint32_t)host->config.n_vms, &spawner_ops, host,
                         &spawner, &status);
    if (r == SPAWNER_PARENT) {
        host_free_shared(host);
        status = main_run(&host->config, &spawner);
        spawner_stop(&spawner);
        context_folder_remove();
    } else if (r < 0) {
        log_error(NULL, "cannot start the process that starts others: %s", strerror(-r));
        context_folder_remove();
    }
    host_free_shared(host);
    return status;
}

int main(int argc, char **argv)
{
    struct host host = {.shared = NULL};
    int r = host_options_parse(argc, argv, &host.config);
    if (r == 0) {
        log_init("wayvsock-host", host.config.check && host.config.log_level < LOG_LEVEL_DEBUG
                                      ? LOG_LEVEL_WARN
                                      : host.config.log_level);
        signal(SIGPIPE, SIG_IGN);
        sandbox_hide(); /* tokens, clipboards */
        if (host.config.no_auth)
            log_warn(
                NULL,
                "--no-auth: whoever connects is taken for the VM's daemon; for development only");
        r = host.config.check ? check_run(&host.config) : host_run(&host);
    } else {
        r = r == OPTIONS_DONE ? 0 : 2;
    }
    host_config_finish(&host.config);
    return r;
}
