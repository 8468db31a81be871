/* SPDX-License-Identifier: MIT */
/* --check: everything is tried as the daemon would do it, and undone: listeners are closed,
 * contexts destroyed, devices only greeted. A check that fails does not keep the others from being
 * made; only what would keep applications from working makes the result a failure. */
#include "host-proxy/host-check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/checks.h"
#include "common/base/fd.h"
#include "common/transport/export-folder.h"
#include "common/transport/socket-check.h"
#include "common/sandbox/sandbox.h"
#include "common/transport/token.h"
#include "host-proxy/allow.h"
#include "host-proxy/compositor.h"
#include "host-proxy/context-folder.h"
#include "host-proxy/host-services-check.h"
#include "host-proxy/pixels/handles.h"
#include "host-proxy/vhost-check.h"
#include "common/wayland/wl-tables.h"

struct seen {
    const struct vm_config *vm;
    unsigned shown, hidden, unknown;
    bool compositor, shm, shell, seat, context;
    uint32_t dmabuf; /* its version */
};

static void check_saw(void *user, const char *interface, uint32_t version)
{
    struct seen *s = user;
    const struct wl_iface *iface = wl_iface_find(interface, strlen(interface));
    s->context |= strcmp(interface, "wp_security_context_manager_v1") == 0;
    if (strcmp(interface, "zwp_linux_dmabuf_v1") == 0)
        s->dmabuf = version;
    if (!iface || !iface->carried) {
        s->unknown++;
        return;
    }
    if (!allow_global(s->vm, interface)) {
        s->hidden++;
        return;
    }
    s->shown++;
    s->compositor |= strcmp(interface, "wl_compositor") == 0;
    s->shm |= strcmp(interface, "wl_shm") == 0;
    s->shell |= strcmp(interface, "xdg_wm_base") == 0;
    s->seat |= strcmp(interface, "wl_seat") == 0;
}

/* What clients of @vm would see, in the VM's context where there is one. */
static bool check_vm_config(const struct host_config *config, const struct vm_config *vm)
{
    struct compositor_context context;
    struct seen direct = {.vm = vm}, seen = {.vm = vm};
    char error[256], text[256];
    bool good = true;
    int fd = address_connect_display(config->compositor, 2000, error, sizeof(error));
    int r = fd < 0 ? fd : compositor_globals(fd, check_saw, &direct);
    if (r < 0) {
        checks_line(false, "the compositor answers", fd < 0 ? error : strerror(-r));
        return false;
    }
    snprintf(text, sizeof(text),
             config->n_vms ? "vm %s: the compositor answers" : "the compositor answers", vm->name);
    checks_line(true, text, "");
    compositor_context_init(&context, config->compositor, vm, NULL);
    fd = compositor_connect(&context, error, sizeof(error));
    r = fd < 0 ? fd : compositor_globals(fd, check_saw, &seen);
    if (r < 0) {
        checks_line(false, "its clients reach the compositor", fd < 0 ? error : strerror(-r));
        good = false;
    } else {
        checks_note("vm %s: %u globals shown, %u hidden by policy, %u that cannot be carried%s",
                    vm->name, seen.shown, seen.hidden, seen.unknown,
                    context.made ? ", tagged by a security context" : "");
        if (seen.shown < direct.shown)
            checks_note("vm %s: the compositor withholds %u globals from clients in a security "
                        "context (--log-level debug names them)",
                        vm->name, direct.shown - seen.shown);
        if (vm->security_context && !direct.context)
            checks_note("vm %s: the compositor has no wp_security_context_v1, so it cannot tell "
                        "the VM's windows from others",
                        vm->name);
        checks_line(seen.compositor, "wl_compositor", "withheld by policy or compositor");
        checks_line(seen.shm, "wl_shm", "withheld by policy or compositor");
        checks_line(seen.shell, "xdg_wm_base", "withheld by policy or compositor: no windows");
        if (vm->gpu)
            checks_note("vm %s: pictures that its GPU draws (wayvsock-gpu --virgl) are %s",
                        vm->name,
                        vm->dmabuf == DMABUF_NO ? "read back (dmabuf = no)"
                        : seen.dmabuf >= 3      ? "handed to the compositor where it takes them"
                                                : "read back: the compositor takes no dmabufs");
        if (!seen.seat)
            checks_note("wl_seat is not shown: no keyboard, no pointer");
        good = seen.compositor && seen.shm && seen.shell;
    }
    compositor_context_finish(&context);
    return good;
}

static bool check_tokens(const struct vm_config *vm)
{
    struct token token;
    char error[512], text[128];
    bool good = true;
    for (char **file = vm->token_files; file && *file; file++) {
        snprintf(text, sizeof(text), "vm %s: the token%s", vm->name,
                 vm->token_files[1] ? "s, each" : "");
        int r = token_read(*file, &token, error, sizeof(error));
        if (r < 0 || !file[1])
            checks_line(r == 0, text, error);
        if (r < 0)
            good = false;
        else
            token_finish(&token);
    }
    return good;
}

static bool check_device(const char *vm, const char *path)
{
    struct export_welcome welcome;
    char error[512], text[600];
    if (handles_check(path, &welcome, error, sizeof(error)) < 0) {
        checks_note("vm %s: the GPU device: %s", vm, error);
        return false;
    }
    snprintf(text, sizeof(text), "vm %s: the GPU device at %s", vm, path);
    checks_line(true, text, "");
    checks_note("vm %s: its guest's driver is %s", vm,
                welcome.driver ? "there" : "not there (yet)");
    if (welcome.features & EXPORT_FEATURE_UDMABUF) {
        checks_udmabuf_limits(welcome.udmabuf_list_limit, welcome.udmabuf_size_limit, text,
                              sizeof(text));
        checks_note("vm %s: udmabuf: %s", vm, text);
    } else {
        checks_note("vm %s: no udmabuf: the device copies what changed (as its user, "
                    "\"wayvsock-gpu --check\" says why)",
                    vm);
    }
    return true;
}

/* A missing device is no failure: pixels go over the link then. */
static void check_gpu(const struct vm_config *vm)
{
    struct export_folder list;
    size_t there = 0;
    if (!vm->gpu) {
        checks_note("vm %s: no GPU device is named (gpu = PATH): pixels go over the link",
                    vm->name);
        return;
    }
    int r = export_folder_list(vm->gpu, &list);
    if (r == 0) {
        for (size_t i = 0; i < list.n; i++)
            there += check_device(vm->name, list.paths[i]);
        checks_note(
            "vm %s: %zu GPU devices export in %s; the guest's daemon shows which is its own",
            vm->name, there, vm->gpu);
    } else if (r == -ENOTDIR) {
        there = check_device(vm->name, vm->gpu);
    } else {
        checks_note("vm %s: the GPU device: %s: %s", vm->name, vm->gpu, strerror(-r));
    }
    if (there == 0)
        checks_note("vm %s: while it is not there, pixels go over the link", vm->name);
}

/* How VMs can come in. */
struct entrances {
    unsigned vsock, sockets, inherited;
};

static bool check_listen(struct entrances *e, const struct address *address)
{
    static const struct socket_owner owner = {
        .program = "wayvsock-host", .unit = "wayvsock-host.socket", .user_manager = true};
    ++*(address->kind == ADDRESS_VSOCK ? &e->vsock : &e->sockets);
    return socket_check_address(&owner, "listening on", address);
}

/* What systemd has handed over. */
static bool check_inherited(struct entrances *e)
{
    int first, n = address_inherited(&first);
    bool good = n >= 0;
    if (n < 0)
        checks_line(false, "sockets handed over by systemd", "LISTEN_FDS is malformed");
    for (int i = 0; i < n; i++) {
        char text[256], where[160];
        struct address address;
        bool listens = address_of_listener(first + i, &address) == 0;
        snprintf(text, sizeof(text), "descriptor %d, handed over by systemd: %s", first + i,
                 listens ? address_format(&address, where, sizeof(where)) : "no listener");
        checks_line(listens, text, "it is no socket that one can listen on");
        good &= listens;
        if (listens) {
            ++*(address.kind == ADDRESS_VSOCK ? &e->vsock : &e->sockets);
            e->inherited++;
        }
    }
    return good;
}

/* Whether somebody can be this VM. */
static bool check_vm_entrance(const struct host_config *config, const struct vm_config *vm,
                              const struct entrances *e)
{
    char text[128], advice[256];
    bool hybrid = false;
    for (size_t i = 0; i < vm->n_listen; i++)
        hybrid |= vm->listen[i].kind == ADDRESS_VSOCK_MUX;
    if (hybrid && !vm->token_files && !config->no_auth) {
        snprintf(text, sizeof(text), "vm %s: a hybrid socket tells nothing about who connects",
                 vm->name);
        checks_line(false, text, "give it a token (--token FILE), the same in the guest");
        return false;
    }
    if (vm->n_listen || (!e->vsock && !e->sockets)) /* that nobody comes at all is said */
        return true;
    if (vm->has_cid && !e->vsock) {
        snprintf(text, sizeof(text), "vm %s: no vsock: address leads to its CID", vm->name);
        checks_line(false, text, "add --listen vsock:1100, or \"listen = vsock:1100\"");
        return false;
    }
    /* With several VMs, that was found already. */
    if (!vm->has_cid && !e->inherited && config->n_vms == 1) {
        snprintf(text, sizeof(text), "vm %s: it has neither a CID nor an address of its own",
                 vm->name);
        snprintf(advice, sizeof(advice),
                 "nobody can be it: add --vm %s:CID, with the VM's guest-cid", vm->name);
        checks_line(false, text, advice);
        return false;
    }
    return true;
}

static bool check_entrances(const struct host_config *config)
{
    struct entrances e = {0};
    bool good = check_inherited(&e);
    for (size_t i = 0; i < config->n_listen; i++)
        good &= check_listen(&e, &config->listen[i]);
    for (size_t v = 0; v < config->n_vms; v++) {
        const struct vm_config *vm = &config->vms[v];
        for (size_t i = 0; i < vm->n_listen; i++)
            good &= check_listen(&e, &vm->listen[i]);
    }
    if (!e.vsock && !e.sockets) {
        checks_line(false, "an address to listen on",
                    "give --listen vsock:1100; the service of wayvsock-host.socket has that from "
                    "its unit, and is checked with: wayvsock-host --config "
                    "~/.config/wayvsock/host.conf --listen vsock:1100 --check");
        good = false;
    }
    if (e.vsock)
        good &= vhost_check(config);
    for (size_t v = 0; v < config->n_vms; v++)
        good &= check_vm_entrance(config, &config->vms[v], &e);
    return good;
}

int check_run(const struct host_config *config)
{
    static const struct vm_config any = {.name = "vm", .security_context = true};
    bool good = check_entrances(config) && !config->faulty;
    struct rlimit files;
    for (size_t v = 0; v < config->n_vms; v++) {
        good &= check_tokens(&config->vms[v]);
        check_gpu(&config->vms[v]);
        good &= host_services_check(config, &config->vms[v]);
    }
    checks_line(config->n_vms > 0, "a VM is named", "add --vm NAME:CID, or a [vm NAME] section");
    good &= config->n_vms > 0;
    for (size_t v = 0; v < config->n_vms; v++)
        good &= check_vm_config(config, &config->vms[v]);
    if (config->n_vms == 0)
        good &= check_vm_config(config, &any);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_max < 4096)
        checks_note("only %llu open files are allowed; many clients need more (LimitNOFILE)",
                    (unsigned long long)files.rlim_max);
    context_folder_remove();
    sandbox_check();
    puts(good ? "Applications would work." : "Applications would not work.");
    return good ? 0 : 1;
}
