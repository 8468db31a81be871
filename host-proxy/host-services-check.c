/* SPDX-License-Identifier: MIT */
/* host-services-check: connects to each service and leaves at once. That nobody is there now is a
 * note, since somebody may come. */
#include "host-proxy/host-services-check.h"

#include <stdio.h>
#include <string.h>

#include "common/base/checks.h"
#include "common/base/fd.h"
#include "common/base/signalled.h"
#include "common/services/command.h"
#include "common/services/settings-text.h"
#include "common/transport/address.h"
#include "common/transport/socket-check.h"
#include "host-proxy/config.h"

#define PATH_BYTES sizeof(((struct address *)0)->path)

static bool check_command(const struct service_settings *s, const char *vm, const char *what)
{
    char error[512], text[320];
    int r = command_check(s->exec, vm, error, sizeof(error));
    snprintf(text, sizeof(text), "%s: %.100s, for each connection", what, s->exec[0]);
    checks_line(r == 0, r == 0 ? text : what, error);
    return r == 0;
}

static bool check_socket(const struct service_settings *s, const char *path, const char *what)
{
    char error[512], text[320];
    int fd = address_connect_type(path, service_type_socket(s->type), error, sizeof(error));
    snprintf(text, sizeof(text), "%s: %s", what, path);
    if (fd >= 0)
        checks_line(true, text, "");
    else
        checks_note("%s: nobody is there yet: %s", what, error);
    fd_close(fd);
    return true;
}

static bool check_listener(const struct service_settings *s, const char *path, const char *what)
{
    static const struct socket_owner owner = {.program = "wayvsock-host"};
    struct address address = {.kind = ADDRESS_UNIX};
    char text[320];
    snprintf(text, sizeof(text), "%s, for programs here:", what);
    if (s->type != LINK_SOCKET_STREAM)
        return socket_check("wayvsock-host", text, path, service_type_socket(s->type));
    snprintf(address.path, sizeof(address.path), "%s", path);
    return socket_check_address(&owner, text, &address);
}

/* Where the VM's memory is to be shared, that takes its GPU. */
static void note_sharing(const struct service_settings *s, const struct vm_config *vm,
                         const char *what)
{
    if (s->share)
        checks_note("%s: memory is %s", what,
                    vm->gpu ? "shared where the VM's GPU device makes a udmabuf of it, and else "
                              "mirrored (each connection's log says which)"
                            : "mirrored: to share it takes the VM's GPU device (gpu = PATH)");
    if (s->dmabufs)
        checks_note("%s: dmabufs are %s", what,
                    !vm->gpu && s->dmabufs == LINK_DMABUFS_ONCE
                        ? "copied: to share them takes the VM's GPU device (gpu = PATH)"
                    : !vm->gpu ? "refused: to share them takes the VM's GPU device (gpu = PATH)"
                    : s->dmabufs == LINK_DMABUFS_ONCE
                        ? "shared where the VM's GPU device can, and else copied (each "
                          "connection's log says which)"
                        : "shared where the VM's GPU device can, and else refused");
}

/* What a sync file is when it gets here. */
static void note_sync_files(const char *what)
{
    signalled_prepare();
    checks_note("%s: sync files arrive as %s", what,
                signalled_is_real() ? "signalled sync files"
                                    : "eventfds that can be read: real ones take /dev/udmabuf and "
                                      "Linux 6.0");
}

static bool check_service(const struct service_settings *s, const struct vm_config *vm)
{
    bool to_guest = s->direction == SERVICE_TO_GUEST;
    char what[160], path[PATH_BYTES], error[512];
    snprintf(what, sizeof(what), "vm %s: the service %s%s", vm->name, s->name,
             to_guest ? " of the VM's" : "");
    note_sharing(s, vm, what);
    if (s->sync_files)
        note_sync_files(what);
    if (s->exec)
        return check_command(s, vm->name, what);
    if (service_path(to_guest ? s->listen : s->path, vm->name, path, sizeof(path), error,
                     sizeof(error)) < 0) {
        checks_line(false, what, error);
        return false;
    }
    return to_guest ? check_listener(s, path, what) : check_socket(s, path, what);
}

bool host_services_check(const struct host_config *config, const struct vm_config *vm)
{
    bool good = true;
    for (char **name = vm->forward; name && *name; name++)
        good &= check_service(host_config_service(config, *name), vm);
    return good;
}
