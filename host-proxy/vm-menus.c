/* SPDX-License-Identifier: MIT */
/* vm-menus: the process is to the VM's as wayvsock is that runs a program: its connection is handed
 * over with a request. What it wrote stays when the VM goes, as the entries start it again. */
#include "host-proxy/vm-menus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "host-proxy/config.h"
#include "host-proxy/menu/menu-folder.h"
#include "host-proxy/menu/menu-process.h"
#include "host-proxy/vm-process.h"

#define AGAIN_MS 5000 /* another daemon of the VM may tell it when the first one is gone */
#define TRIES_MAX 7   /* where it is not told: each time after twice as long, 10 minutes in all */
#define RUN_MS 1000   /* after somebody has wanted a program, which may be allowed by now */

struct vm_menu {
    struct vm_menus *all;
    size_t number;
    bool alive;
    unsigned tries; /* in which it was not told */
    struct loop_timer *again;
};

struct vm_menus {
    const struct host_config *config;
    struct vm_processes *processes;
    struct vm_menu *at;
    size_t n;
};

static int has_menu(void *user, const char *vm)
{
    const struct host_config *config = user;
    for (size_t i = 0; i < config->n_vms; i++)
        if (config->vms[i].menu && strcmp(config->vms[i].name, vm) == 0)
            return 1;
    return 0;
}

void vm_menus_clear(const struct host_config *config)
{
    menu_folders_clear(has_menu, (void *)config);
}

static void menu_ended(void *user, int status)
{
    struct vm_menu *m = user;
    m->alive = false;
    if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == MENU_SERVED) {
        m->tries = 0;
        loop_timer_arm(m->again, AGAIN_MS);
    } else if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == MENU_REFUSED) {
        if (m->tries < TRIES_MAX)
            loop_timer_arm(m->again, (uint64_t)AGAIN_MS << m->tries++);
    } else if (status < 0 || !WIFEXITED(status))
        log_warn(vm_process_subject(vm_processes_number(m->all->processes, m->number)),
                 "the process of its menu has ended badly");
}

static void menu_begin(void *user)
{
    struct vm_menu *m = user;
    char line[128];
    struct vm_process *process = vm_processes_number(m->all->processes, m->number);
    if (m->alive || vm_process_unasked(process, true))
        return;
    int fd = vm_process_run(process, VM_PROCESS_MENU, menu_ended, m);
    if (fd < 0)
        return;
    m->alive = true;
    int n = snprintf(line, sizeof(line), "{\"command\":\"run\",\"vm\":\"%s\"}",
                     m->all->config->vms[m->number].name);
    vm_process_ask(process, line, (size_t)n, false, fd); /* it starts no VM */
}

void vm_menus_came(struct vm_menus *menus, size_t number)
{
    struct vm_menu *m = &menus->at[number];
    m->tries = 0;
    if (menus->config->vms[number].menu)
        menu_begin(m);
}

void vm_menus_run(struct vm_menus *menus, size_t number)
{
    const struct vm_menu *m = &menus->at[number];
    if (menus->config->vms[number].menu && !m->alive)
        loop_timer_arm(m->again, RUN_MS);
}

struct vm_menus *vm_menus_create(struct loop *loop, const struct host_config *config,
                                 struct vm_processes *processes)
{
    struct vm_menus *menus = calloc(1, sizeof(*menus));
    if (!menus)
        return NULL;
    *menus = (struct vm_menus){.config = config, .processes = processes};
    menus->at = calloc(config->n_vms ? config->n_vms : 1, sizeof(*menus->at));
    bool good = menus->at;
    while (good && menus->n < config->n_vms) {
        struct vm_menu *m = &menus->at[menus->n];
        *m = (struct vm_menu){.all = menus, .number = menus->n++};
        m->again = loop_timer_create(loop, menu_begin, m);
        good = m->again;
    }
    if (good)
        return menus;
    vm_menus_destroy(menus);
    return NULL;
}

void vm_menus_destroy(struct vm_menus *menus)
{
    if (!menus)
        return;
    for (size_t i = 0; i < menus->n; i++)
        loop_timer_destroy(menus->at[i].again);
    free(menus->at);
    free(menus);
}
