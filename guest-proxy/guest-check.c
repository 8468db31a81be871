/* SPDX-License-Identifier: MIT */
/* --check: everything is tried as the daemon would do it, with an uplink of its own that announces
 * a trial, and one application (struct probe) on the other end of a socket pair. The display is
 * there for a moment, and a daemon that is connected is left alone. The loop runs until the probe
 * has its answer, a problem is known, or the time is over. */
#include "guest-proxy/guest-check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/virtio_ids.h>
#include <linux/vm_sockets.h>

#include "common/base/checks.h"
#include "common/base/fd.h"
#include "common/base/loop.h"
#include "common/sandbox/sandbox.h"
#include "common/transport/inherited.h"
#include "common/transport/socket-check.h"
#include "common/wayland/wl-message.h"
#include "guest-proxy/approach.h"
#include "guest-proxy/cures.h"
#include "guest-proxy/display.h"
#include "guest-proxy/guest-client.h"
#include "guest-proxy/guest-services-check.h"
#include "guest-proxy/pixels/gpu.h"
#include "guest-proxy/x-display.h"

#define CHECK_MS 15000

/* One application of our own: asks for the globals, and for an answer after them. */
struct probe {
    struct loop *loop;
    struct uplink *uplink;
    struct approaches approaches;
    struct clients clients;
    int fd;
    struct loop_io *io;
    struct loop_timer *timer;
    uint8_t buffer[64 << 10];
    size_t n;
    unsigned globals;
    bool compositor, shm, shell, seat, reached, answered;
    bool services_only; /* there is to be no display */
    char problem[512];
};

static void probe_message(struct probe *p, struct wl_message *m)
{
    const struct wl_iface *registry = wl_iface_find("wl_registry", 11),
                          *display = wl_iface_find("wl_display", 10);
    if (m->object == 2 && m->opcode == 0 &&
        wl_message_arguments(m, &registry->events[0]) == WL_MESSAGE_OK) {
        const char *name = m->args[1].s.text;
        p->globals++;
        p->compositor |= strcmp(name, "wl_compositor") == 0;
        p->shm |= strcmp(name, "wl_shm") == 0;
        p->shell |= strcmp(name, "xdg_wm_base") == 0;
        p->seat |= strcmp(name, "wl_seat") == 0;
    } else if (m->object == 3) {
        p->answered = true;
        loop_stop(p->loop);
    } else if (m->object == 1 && m->opcode == 0 &&
               wl_message_arguments(m, &display->events[0]) == WL_MESSAGE_OK) {
        snprintf(p->problem, sizeof(p->problem), "%s", m->args[2].s.text);
        loop_stop(p->loop);
    }
}

static void probe_ready(void *user, unsigned events)
{
    struct probe *p = user;
    (void)events;
    ssize_t n = recv(p->fd, p->buffer + p->n, sizeof(p->buffer) - p->n, MSG_DONTWAIT);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN)
            return;
        if (!*p->problem)
            snprintf(p->problem, sizeof(p->problem), "the connection was closed without a reason");
        loop_stop(p->loop);
        return;
    }
    p->n += (size_t)n;
    size_t at = 0;
    struct wl_message m;
    while (wl_message_header(p->buffer + at, p->n - at, &m) == WL_MESSAGE_OK) {
        probe_message(p, &m);
        at += m.size;
    }
    p->n -= at;
    memmove(p->buffer, p->buffer + at, p->n);
}

static void check_ready(void *user)
{
    struct probe *p = user;
    int ends[2];
    p->reached = true;
    if (p->services_only) {
        loop_stop(p->loop);
        return;
    }
    /* wl_display.get_registry(2), wl_display.sync(3) */
    uint32_t requests[] = {1, 12u << 16 | 1, 2, 1, 12u << 16 | 0, 3};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0 ||
        send(ends[0], requests, sizeof(requests), MSG_NOSIGNAL) != sizeof(requests)) {
        snprintf(p->problem, sizeof(p->problem), "%s", strerror(errno));
        loop_stop(p->loop);
        return;
    }
    p->fd = ends[0];
    p->io = loop_io_create(p->loop, p->fd, LOOP_READ, probe_ready, p);
    clients_accept(&p->clients, ends[1]);
}

static void check_failed(void *user, const char *reason)
{
    struct probe *p = user;
    snprintf(p->problem, sizeof(p->problem), "%s", reason);
    loop_stop(p->loop);
}

static void check_expired(void *user)
{
    struct probe *p = user;
    snprintf(p->problem, sizeof(p->problem), "no answer within %d s", CHECK_MS / 1000);
    loop_stop(p->loop);
}

static const struct uplink_ops uplink_ops = {
    .ready = check_ready, .lost = check_failed, .failed = check_failed};

/* The kernel's driver takes one vsock device, and says nothing of another. */
static bool check_vsock_devices(void)
{
    static const char folder[] = "/sys/bus/virtio/devices";
    char path[PATH_MAX], kind[16];
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    unsigned n = 0, driven = 0;
    while (dir && (entry = readdir(dir))) {
        snprintf(path, sizeof(path), "%s/%s/device", folder, entry->d_name);
        _cleanup_(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t size = fd < 0 ? -1 : read(fd, kind, sizeof(kind) - 1);
        if (size <= 0)
            continue;
        kind[size] = '\0';
        if (strtoul(kind, NULL, 16) != VIRTIO_ID_VSOCK)
            continue;
        n++;
        snprintf(path, sizeof(path), "%s/%s/driver", folder, entry->d_name);
        driven += access(path, F_OK) == 0;
    }
    if (dir)
        closedir(dir);
    if (n > 1)
        checks_line(false, "one vsock device",
                    "this VM has several, and its kernel uses the first: take the others away "
                    "(with wayvsock-vsock, no vhost-vsock)");
    else if (n > driven)
        checks_line(false, "the vsock device's driver",
                    "it did not start (see dmesg): load vmw_vsock_virtio_transport; or the VM's "
                    "memory is not shared with the device");
    return n <= 1 && n == driven;
}

static bool check_vsock(const struct address *address, const struct token *token)
{
    uint32_t cid = cures_own_cid();
    char error[256];
    bool devices = check_vsock_devices();
    int fd = address_connect(address, true, error, sizeof(error));
    if (fd == -EAFNOSUPPORT || fd == -ESOCKTNOSUPPORT || fd == -ENODEV) {
        checks_line(false, "AF_VSOCK",
                    "give the VM a vsock device and load vmw_vsock_virtio_transport");
        return false;
    }
    if (cid != VMADDR_CID_ANY)
        checks_note("this machine's CID is %" PRIu32, cid);
    else
        checks_note("this machine's CID is not known: /dev/vsock is not there, or not for this "
                    "user");
    if (fd == -EACCES && !token)
        checks_line(
            false, "proof for the host",
            "neither CAP_NET_BIND_SERVICE (run as the system service, or with setcap) nor a "
            "--token");
    else
        checks_line(true,
                    fd == -EACCES ? "proof for the host: the token"
                                  : "proof for the host: a privileged source port",
                    "");
    bool proof = fd != -EACCES || token;
    fd_close(fd);
    return proof && devices;
}

static int check_report(const struct probe *p)
{
    if (uplink_busy(p->uplink)) {
        checks_line(true, "the host's daemon answers and knows this VM", "");
        checks_note("it has no place for another daemon of this VM now; stop one to have the rest "
                    "looked at");
        return 0;
    }
    checks_line(p->reached, "the host's daemon answers and knows this VM", p->problem);
    if (!p->reached)
        return 1;
    if (p->services_only) {
        checks_note("the host calls this VM \"%s\"", uplink_vm_name(p->uplink));
        return 0;
    }
    const struct gpu *gpu = uplink_gpu(p->uplink);
    if (gpu_device(gpu))
        checks_note("the host looks into %s (%s): pixels do not cross the link; %s",
                    virtgpu_path(gpu_device(gpu)),
                    virtgpu_has_blobs(gpu_device(gpu)) ? "guest blobs" : "2D resources",
                    gpu_how(gpu));
    else
        checks_note("pixels go over the link as bytes: %s", gpu->why);
    checks_note("the host calls this VM \"%s\"", uplink_vm_name(p->uplink));
    checks_line(p->answered, "the host's compositor answers", p->problem);
    if (!p->answered)
        return 1;
    checks_note("%u globals are offered", p->globals);
    checks_line(p->compositor, "wl_compositor", "the host's policy or compositor withholds it");
    checks_line(p->shm, "wl_shm", "the host's policy or compositor withholds it");
    checks_line(p->shell, "xdg_wm_base",
                "the host's policy or compositor withholds it: no windows");
    if (!p->seat)
        checks_note("wl_seat is not offered: no keyboard, no pointer");
    return p->compositor && p->shm && p->shell ? 0 : 1;
}

static void check_node(void *user, const char *path)
{
    unsigned *n = user;
    char text[300], advice[512];
    int fd = checks_open(path, advice, sizeof(advice));
    fd_close(fd);
    if (fd < 0) {
        checks_note("a GPU that cannot be looked at: %s", advice);
        return;
    }
    struct virtgpu *gpu = virtgpu_open(path, advice, sizeof(advice));
    if (!gpu) /* another kind of GPU */
        return;
    snprintf(text, sizeof(text), "%s is a virtio-gpu that gives memory as %s", path,
             virtgpu_has_blobs(gpu) ? "guest blobs" : "2D resources");
    checks_line(true, text, "");
    virtgpu_close(gpu);
    ++*n;
}

/* Whether the host looks into one of them is told later, when it has said so. */
static void check_gpus(const char *choice)
{
    unsigned n = 0;
    if (strcmp(choice, "off") == 0)
        return;
    if (strcmp(choice, "auto") == 0)
        virtgpu_each_node(check_node, &n);
    else
        check_node(&n, choice);
    if (n == 0)
        checks_note("no virtio-gpu here: the VM wants one that wayvsock-gpu serves on the host");
}

static void check_came(void *user, int fd)
{
    (void)user;
    fd_close(fd); /* the display is there for a moment only */
}

/* Who has the display of that name, if it is taken: our own daemon, or its socket unit. */
static bool check_holder(const struct address *address)
{
    const struct passwd *user = getpwuid(getuid());
    char unit[128];
    struct socket_owner owner = {.program = "wayvsock-guest"};
    if (user && (size_t)snprintf(unit, sizeof(unit), "wayvsock-guest@%s.socket", user->pw_name) <
                    sizeof(unit))
        owner.unit = unit;
    return socket_check_address(&owner, "the display", address);
}

/* As display_create() would do it, and by it where no name may be taken. */
static bool check_display(struct loop *loop, const struct guest_options *options)
{
    struct address address = {.kind = ADDRESS_UNIX};
    char error[512];
    bool named = !getenv("LISTEN_FDS") && (options->display || !options->command);
    if (named) {
        if (address_display_path(options->display ? options->display : "wayland-0", address.path,
                                 sizeof(address.path), error, sizeof(error)) == 0)
            return check_holder(&address);
        checks_line(false, "the display", error);
        return false;
    }
    struct inherited inherited;
    if (inherited_get(&inherited, error, sizeof(error)) < 0) {
        checks_line(false, "the display", error);
        return false;
    }
    struct display *display =
        display_create(loop, &inherited, options->display, options->command != NULL, check_came,
                       NULL, error, sizeof(error));
    checks_line(display, "the display", error);
    if (display)
        checks_note("the display is %s",
                    options->command ? "the command's own" : display_path(display));
    display_destroy(display);
    inherited_finish(&inherited);
    return display;
}

/* Whether execvp() would find it. */
static bool check_command(const struct guest_options *options)
{
    const char *name = options->command ? options->command[0] : NULL, *search = getenv("PATH");
    char path[4096], text[160];
    if (!name)
        return true;
    bool found = strchr(name, '/') && access(name, X_OK) == 0;
    if (!search)
        search = "/bin:/usr/bin";
    while (!found && *search && !strchr(name, '/')) {
        size_t n = strcspn(search, ":");
        int length = snprintf(path, sizeof(path), "%.*s/%s", (int)n, search, name);
        found = length > 0 && (size_t)length < sizeof(path) && access(path, X_OK) == 0;
        search += n + (search[n] == ':');
    }
    snprintf(text, sizeof(text), "the command %.80s", name);
    checks_line(found, text, "it is not there, or may not be executed");
    return found;
}

int check_run(const struct guest_options *options, const struct uplink_config *config)
{
    static struct probe probe;
    struct probe *p = &probe;
    char text[256];
    p->fd = -1;
    p->loop = loop_create();
    if (!p->loop)
        return 1;
    checks_note("connecting to %s", address_format(config->address, text, sizeof(text)));
    bool proof = config->address->kind != ADDRESS_VSOCK || config->no_auth ||
                 check_vsock(config->address, config->token);
    if (config->address->kind == ADDRESS_VSOCK_MUX && !config->token && !config->no_auth) {
        checks_line(false, "proof for the host",
                    "hybrid sockets need a --token, the same as on the host");
        proof = false;
    }
    p->services_only = options->display && strcmp(options->display, "none") == 0;
    if (!p->services_only)
        check_gpus(options->gpu);
    bool local = p->services_only || check_display(p->loop, options);
    local &= guest_services_check(options);
    local &= check_command(options);
    if (options->x11)
        local &= x_display_check();
    sandbox_check();
    p->timer = loop_timer_create(p->loop, check_expired, p);
    struct uplink_config trial = *config;
    trial.trial = true;
    trial.services = options->forward_n + options->serve_n > 0;
    p->uplink = uplink_create(p->loop, &trial, &uplink_ops, p);
    int result = 1;
    if (p->timer && p->uplink) {
        p->approaches = (struct approaches){.loop = p->loop, .uplink = p->uplink};
        p->clients = (struct clients){
            .loop = p->loop, .approaches = &p->approaches, .subject = {.name = "display"}};
        loop_timer_arm(p->timer, CHECK_MS);
        loop_run(p->loop);
        loop_timer_disarm(p->timer);
        result = check_report(p) || !proof || !local;
        if (p->reached && !uplink_busy(p->uplink) &&
            !guest_services_check_host(options, p->loop, &p->approaches))
            result = 1;
    }
    loop_io_destroy(p->io);
    fd_close(p->fd);
    clients_finish(&p->clients);
    uplink_destroy(p->uplink);
    loop_timer_destroy(p->timer);
    loop_destroy(p->loop);
    puts(result == 0 ? "Applications would work." : "Applications would not work.");
    return result;
}
