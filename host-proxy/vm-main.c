/* SPDX-License-Identifier: MIT */
/* Whatever the VM can break is in here: this process has no listener, no token and nothing of
 * another VM. */
#include "host-proxy/vm-main.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/base/fd.h"
#include "common/base/guard.h"
#include "common/base/log.h"
#include "common/base/loop.h"
#include "common/base/sd.h"
#include "common/transport/link.h"
#include "common/transport/packets.h"
#include "host-proxy/channel.h"
#include "host-proxy/context-folder.h"
#include "host-proxy/host-client.h"
#include "host-proxy/host-sandbox.h"
#include "host-proxy/host-services.h"
#include "host-proxy/refuse.h"
#include "host-proxy/sessions.h"
#include "host-proxy/vm-control.h"
#include "host-proxy/vm.h"

#define REPORTS_MAX 4096 /* that wait; more than the gate lets come before it hears of them */

struct vm_main {
    struct loop *loop;
    struct packets *channel;
    struct vm vm;
    struct vm_control control;
    uint32_t taken, taken_said;
    uint32_t daemons; /* among those taken */
    bool idle_said;
    struct loop_job report;
    struct device { /* what is known of each VM's */
        bool is_there;
        uint8_t name[CHANNEL_DEVICE_SIZE];
    } * devices;
    size_t n_devices;
};

/* A connection to the compositor that we were given cannot be had twice: whoever has it unused
 * stays. */
static bool main_is_idle(const struct vm_main *m)
{
    return sessions_are_over(&m->vm) && !getenv("WAYLAND_SOCKET");
}

static void main_say(const struct vm_main *m, const struct channel_packet *packet)
{
    uint8_t bytes[CHANNEL_PACKET_MAX];
    packets_send(m->channel, bytes, channel_encode(bytes, packet), -1);
}

static void main_report(void *user)
{
    struct vm_main *m = user;
    struct channel_packet report = {
        .kind = CHANNEL_REPORT, .taken = m->taken, .idle = main_is_idle(m)};
    vm_control_changed(&m->control);
    if (!m->taken || (m->taken == m->taken_said && report.idle <= m->idle_said))
        return;
    m->taken_said = m->taken;
    m->idle_said = report.idle;
    main_say(m, &report);
}

static void main_changed(void *user)
{
    struct vm_main *m = user;
    loop_later(m->loop, &m->report);
}

static void main_had(void *user, const uint8_t device[HANDLES_DEVICE_SIZE])
{
    struct channel_packet packet = {.kind = CHANNEL_DEVICE};
    static_assert(HANDLES_DEVICE_SIZE == CHANNEL_DEVICE_SIZE, "a device's name");
    memcpy(packet.device, device, sizeof(packet.device));
    main_say(user, &packet);
}

static bool main_anothers(void *user, const uint8_t device[HANDLES_DEVICE_SIZE])
{
    const struct vm_main *m = user;
    for (size_t i = 0; i < m->n_devices; i++)
        if (m->devices[i].is_there &&
            memcmp(m->devices[i].name, device, sizeof(m->devices[i].name)) == 0)
            return true;
    return false;
}

static void main_start_program(void *user, uint32_t service, int fd)
{
    const struct vm_main *m = user;
    uint8_t bytes[CHANNEL_PACKET_MAX];
    struct channel_packet packet = {.kind = CHANNEL_PROGRAM, .number = service};
    packets_send(m->channel, bytes, channel_encode(bytes, &packet), fd);
}

static const struct vm_ops vm_ops = {.changed = main_changed,
                                     .had = main_had,
                                     .anothers = main_anothers,
                                     .start_program = main_start_program};

/* Before anybody has it, nothing comes; afterwards its owner's callbacks are called. */
static const struct link_ops nobody = {.frame = NULL};

/* Takes @fd. */
static void main_arrival(struct vm_main *m, const struct channel_packet *arrival, int fd)
{
    const struct link_hello *hello = &arrival->hello;
    char label[LINK_LABEL_MAX + 1];
    m->taken++;
    m->daemons += channel_is_daemon(arrival);
    main_changed(m);
    struct link *link = link_create(m->loop, fd, arrival->unix_socket, &nobody, NULL);
    if (!link)
        return;
    if (hello->role == LINK_ROLE_CONTROL) {
        sessions_begin(&m->vm, link, hello);
        return;
    }
    const char *wrong = NULL;
    struct session *session = sessions_find(&m->vm, hello, &wrong);
    if (!session) {
        refuse(link, m->vm.subject, LINK_ERROR_REFUSED, wrong, NULL);
        return;
    }
    snprintf(label, sizeof(label), "%.*s", (int)hello->label_size, hello->label);
    if (hello->role == LINK_ROLE_SERVICE)
        service_begin(session, link, label);
    else
        client_begin(session, link, label);
}

static void main_asked(struct vm_main *m, const struct channel_packet *asked, int fd)
{
    struct channel_packet answer = {.kind = CHANNEL_HEARD};
    if (vm_control_ask(&m->control, asked->line, asked->line_size, fd) == -ENOENT) {
        fd_close(fd);
        answer.kind = CHANNEL_ABSENT;
        answer.number = m->daemons;
    }
    main_say(m, &answer);
}

static void main_heard(void *user, const uint8_t *bytes, size_t size, int fd)
{
    struct vm_main *m = user;
    struct channel_packet packet;
    int r = channel_decode(bytes, size, &packet);
    if (r == 0 && packet.kind == CHANNEL_ARRIVAL && fd >= 0) {
        main_arrival(m, &packet, fd);
        return;
    }
    if (r == 0 && packet.kind == CHANNEL_CONTROL && fd >= 0) {
        main_asked(m, &packet, fd);
        return;
    }
    if (r == 0 && packet.kind == CHANNEL_CALL && fd >= 0 && packet.number < m->vm.services.n) {
        m->taken++;
        main_changed(m);
        services_call(&m->vm, packet.number, fd);
        return;
    }
    fd_close(fd);
    if (r == 0 && packet.kind == CHANNEL_DEVICE && packet.number < m->n_devices) {
        struct device *device = &m->devices[packet.number];
        device->is_there = true;
        memcpy(device->name, packet.device, sizeof(device->name));
        return;
    }
    log_error(m->vm.subject, "the gate sent what makes no sense");
    loop_stop(m->loop);
}

/* The others go on. */
static void main_bereft(void *user, const uint8_t *bytes, size_t size)
{
    struct vm_main *m = user;
    struct channel_packet packet;
    bool good = channel_decode(bytes, size, &packet) == 0;
    if (good && packet.kind == CHANNEL_CONTROL) {
        main_say(m, &(struct channel_packet){.kind = CHANNEL_HEARD});
        return;
    }
    m->taken++;
    m->daemons += good && channel_is_daemon(&packet);
    main_changed(m);
    log_warn(m->vm.subject, "a connection was lost: its process has no descriptor left for it");
}

static void main_closed(void *user, int reason)
{
    struct vm_main *m = user;
    (void)reason;
    loop_stop(m->loop);
}

static const struct packets_ops channel_ops = {
    .received = main_heard, .bereft = main_bereft, .closed = main_closed};

static int main_serve(struct vm_main *m, const struct host_config *config, uint32_t number,
                      int channel, struct log_subject *subject)
{
    _cleanup_(fd_closep) int owned = channel;
    const struct vm_config *vm = &config->vms[number];
    m->n_devices = config->n_vms;
    m->devices = calloc(m->n_devices, sizeof(*m->devices));
    int r = m->devices ? sd_catch_signals(m->loop) : -ENOMEM;
    if (r < 0)
        return r;
    guard_init(); /* without it, a service's memory that shrinks is our end */
    if (vm->security_context)
        context_folder_enter(number);
    r = vm_init(&m->vm, m->loop, config, vm, subject, &vm_ops, m);
    vm_control_init(&m->control, &m->vm);
    if (r == 0) {
        m->channel = packets_create(m->loop, fd_steal(&owned), CHANNEL_PACKET_MAX, REPORTS_MAX,
                                    &channel_ops, m);
        r = m->channel ? host_sandbox_vm(vm) : -ENOMEM;
    }
    if (r == 0)
        r = loop_run(m->loop);
    vm_control_finish(&m->control);
    sessions_finish(&m->vm);
    vm_finish(&m->vm);
    packets_destroy(m->channel);
    loop_later_cancel(m->loop, &m->report);
    return r;
}

int vm_main(const struct host_config *config, uint32_t number, int channel,
            struct log_subject *subject)
{
    struct vm_main m = {.report = {.run = main_report, .user = &m}};
    char name[80];
    snprintf(name, sizeof(name), "vm %s", config->vms[number].name);
    prctl(PR_SET_NAME, name); /* as much of it as fits */
    subject->name = name;
    subject->parent = NULL;
    unsetenv("NOTIFY_SOCKET"); /* the gate speaks for all */
    m.loop = loop_create();
    if (!m.loop) {
        log_error(subject, "cannot make an event loop: %s", strerror(errno));
        fd_close(channel);
        return 1;
    }
    int r = main_serve(&m, config, number, channel, subject);
    if (r < 0)
        log_error(subject, "its process cannot go on: %s", strerror(-r));
    loop_destroy(m.loop);
    free(m.devices);
    subject->name = NULL;
    return r < 0 ? 1 : 0;
}
