/* SPDX-License-Identifier: MIT */
/* vm-starts: owns what waits. The command is run once for all who wait, by the spawner: the gate
 * may not, and tells it a number only. One that has brought the VM, and still runs when that is
 * gone again, has its end waited for: what it says then is about the VM before. */
#include "host-proxy/vm-starts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/control/control-answer.h"
#include "host-proxy/config.h"
#include "host-proxy/vm-process.h"

#define WAITING_MAX 256 /* of a VM */
#define START_MS 120000 /* for a VM to be there */

struct waiting {
    STAILQ_ENTRY(waiting) entry;
    int fd; /* owned */
    size_t n;
    char line[];
};

struct vm_start {
    struct vm_starts *all;
    size_t number;
    STAILQ_HEAD(, waiting) waiting;
    unsigned n;
    int channel; /* to its command, owned; -1: none runs */
    bool came;   /* the VM has, since that was run */
    struct loop_timer *timer;
};

struct vm_starts {
    const struct host_config *config;
    struct vm_processes *processes;
    struct vm_start *at;
    size_t n;
};

static struct log_subject *start_subject(const struct vm_start *s)
{
    return vm_process_subject(vm_processes_number(s->all->processes, s->number));
}

static struct waiting *start_take(struct vm_start *s)
{
    struct waiting *w = STAILQ_FIRST(&s->waiting);
    if (w) {
        STAILQ_REMOVE_HEAD(&s->waiting, entry);
        s->n--;
    }
    return w;
}

static void start_give_up(struct vm_start *s, const char *why)
{
    if (s->n)
        log_warn(start_subject(s), "%s", why);
    for (struct waiting *w; (w = start_take(s));) {
        control_refuse(w->fd, why);
        free(w);
    }
    loop_timer_disarm(s->timer);
}

static void start_expired(void *user)
{
    start_give_up(user, "its daemon has not come within two minutes");
}

static void start_run(struct vm_start *s);

/* The command ended. The VM may still be on its way. */
static void start_ended(void *user, int status)
{
    struct vm_start *s = user;
    char text[160];
    s->channel = fd_close(s->channel);
    if (s->came && s->n) {
        start_run(s);
        return;
    }
    if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return;
    if (status < 0)
        snprintf(text, sizeof(text), "what starts it cannot be run: %s", strerror(-status));
    else
        snprintf(text, sizeof(text),
                 "what starts it (\"start\" in its section) ended with status %d",
                 WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    start_give_up(s, text);
}

static void start_run(struct vm_start *s)
{
    if (s->channel >= 0) {
        if (s->came)
            log_info(start_subject(s), "is not there; what has started it is waited for, as it "
                                       "has not ended, and run again then");
        return;
    }
    s->came = false;
    loop_timer_arm(s->timer, START_MS);
    log_info(start_subject(s), "is not there and is started: %s",
             s->all->config->vms[s->number].start);
    s->channel = vm_process_run(vm_processes_number(s->all->processes, s->number), VM_PROCESS_START,
                                start_ended, s);
    if (s->channel < 0)
        start_ended(s, s->channel);
}

void vm_starts_wait(struct vm_starts *starts, size_t number, const char *line, size_t n, int fd)
{
    struct vm_start *s = &starts->at[number];
    struct waiting *w = NULL;
    if (!starts->config->vms[number].start) {
        control_refuse(fd, "the VM is not there, and nothing says how it is started (\"start = "
                           "COMMAND\" in its section)");
        return;
    }
    if (s->n < WAITING_MAX)
        w = malloc(sizeof(*w) + n);
    if (!w) {
        control_refuse(fd, "too many wait for the VM already");
        return;
    }
    w->fd = fd;
    w->n = n;
    memcpy(w->line, line, n);
    STAILQ_INSERT_TAIL(&s->waiting, w, entry);
    if (s->n++ == 0) /* what runs already brings it, or not */
        loop_timer_arm(s->timer, START_MS);
    log_debug(start_subject(s), "%u wait for it", s->n);
    start_run(s);
}

void vm_starts_came(struct vm_starts *starts, size_t number)
{
    struct vm_start *s = &starts->at[number];
    s->came = true;
    for (struct waiting *w; (w = start_take(s));) {
        struct vm_process *process = vm_processes_number(starts->processes, number);
        const char *unasked = vm_process_unasked(process, true);
        if (unasked)
            control_refuse(w->fd, unasked);
        else
            vm_process_ask(process, w->line, w->n, true, w->fd);
        free(w);
    }
    loop_timer_disarm(s->timer);
}

struct vm_starts *vm_starts_create(struct loop *loop, const struct host_config *config,
                                   struct vm_processes *processes)
{
    struct vm_starts *starts = calloc(1, sizeof(*starts));
    if (!starts)
        return NULL;
    *starts = (struct vm_starts){.config = config, .processes = processes};
    starts->at = calloc(config->n_vms ? config->n_vms : 1, sizeof(*starts->at));
    bool good = starts->at;
    while (good && starts->n < config->n_vms) {
        struct vm_start *s = &starts->at[starts->n];
        *s = (struct vm_start){.all = starts, .number = starts->n++, .channel = -1};
        STAILQ_INIT(&s->waiting);
        s->timer = loop_timer_create(loop, start_expired, s);
        good = s->timer;
    }
    if (good)
        return starts;
    vm_starts_destroy(starts);
    return NULL;
}

void vm_starts_destroy(struct vm_starts *starts)
{
    if (!starts)
        return;
    for (size_t i = 0; i < starts->n; i++) {
        struct vm_start *s = &starts->at[i];
        for (struct waiting *w; (w = start_take(s));) {
            fd_close(w->fd);
            free(w);
        }
        fd_close(s->channel);
        loop_timer_destroy(s->timer);
    }
    free(starts->at);
    free(starts);
}
