/* SPDX-License-Identifier: MIT */
/* vsock-check: owns nothing and leaves nothing behind. That nobody listens on a port yet is a note:
 * whoever does may come later. What only the running device or the guest can see is said to be
 * there. */
#include "host-proxy/vsock/vsock-check.h"

#include <dirent.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/base/checks.h"
#include "common/base/fd.h"
#include "common/base/number.h"
#include "common/sandbox/sandbox.h"
#include "common/transport/address.h"
#include "common/transport/socket-check.h"
#include "host-proxy/vsock/vsock-options.h"

#define HOST_MS 5000 /* for an answer */

/* Who is let in and says nothing gets no word either; whoever is turned away is told why. */
static bool is_turned_away(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    uint8_t byte;
    return shutdown(fd, SHUT_WR) == 0 && poll(&p, 1, HOST_MS) == 1 &&
           recv(fd, &byte, 1, MSG_DONTWAIT) == 1;
}

static bool check_port(const struct hybrid_port *port, uint32_t cid)
{
    char text[320];
    int n = snprintf(text, sizeof(text), "port %" PRIu32 " of the host is ", port->port);
    if (port->kind == HYBRID_VM)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "port %" PRIu32 " of the VM at ",
                      port->vm_port);
    if (port->kind == HYBRID_HOST)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "wayvsock-host at ");
    snprintf(text + n, sizeof(text) - (size_t)n, "%s", port->path);
    _cleanup_(fd_closep) int fd = port->kind == HYBRID_HOST
                                      ? address_connect_device(port->path, cid, VMADDR_PORT_ANY)
                                      : address_connect_path(port->path, 0);
    if (fd < 0) {
        checks_note("%s, where nobody takes connections now: %s", text, strerror(-fd));
        return true;
    }
    bool good = port->kind != HYBRID_HOST || !cid || !is_turned_away(fd);
    checks_line(good, text,
                "it turns this VM away: the VM's section has to have this as \"listen = "
                "vsock-device:PATH\" and, if a \"cid\", the same one; and this user has to be its "
                "own, or root");
    return good;
}

/* Who listens where the guest's ports are by themselves. */
static void check_hybrid_ports(const char *path)
{
    char text[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    snprintf(text, sizeof(text), "%.*s", slash ? (int)(slash - path) + 1 : 1, slash ? path : ".");
    DIR *dir = opendir(text);
    const struct dirent *entry;
    size_t skip = strlen(name) + 1;
    unsigned n = 0;
    while (dir && (entry = readdir(dir))) {
        uint64_t port;
        const char *digits = entry->d_name + skip;
        if (strncmp(entry->d_name, name, skip - 1) != 0 || entry->d_name[skip - 1] != '_' ||
            !number_parse(digits, strlen(digits), UINT32_MAX, &port))
            continue;
        snprintf(text, sizeof(text), "%s_%" PRIu64, path, port);
        check_port(&(struct hybrid_port){.port = (uint32_t)port, .path = text}, 0);
        n++;
    }
    if (dir)
        closedir(dir);
    if (n == 0)
        checks_note("nobody has made a socket %s_N for a port N of the host yet", path);
}

int vsock_check_run(const struct vsock_options *options)
{
    bool good = true;
    if (options->guest_cid)
        checks_note("the guest's CID is %" PRIu32 "; no other VM may have it", options->guest_cid);
    else
        checks_note("no --guest-cid: the device needs one to run");
    if (options->socket_path)
        good &= socket_check("wayvsock-vsock", "waiting for the hypervisor at",
                             options->socket_path, SOCK_STREAM);
    if (options->uds_path)
        good &= socket_check("wayvsock-vsock", "connections to the guest at", options->uds_path,
                             SOCK_STREAM);
    if (options->uds_path)
        check_hybrid_ports(options->uds_path);
    for (size_t i = 0; i < options->n_ports; i++)
        good &= check_port(&options->ports[i], options->guest_cid);
    if (!options->uds_path && options->n_ports == 0)
        checks_note("the guest reaches nobody: no --uds-path, no --listen-port, no --host");
    checks_note("the VM's memory has to be shared with the device (in QEMU: share=on); if it is "
                "not, the running device's log says so");
    checks_note("no other vsock device may be in the VM: its driver takes one; \"wayvsock-guest "
                "--check\" in there tells");
    sandbox_check();
    puts(good ? "The device would serve." : "The device would not serve.");
    return good ? 0 : 1;
}
