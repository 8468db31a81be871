/* SPDX-License-Identifier: MIT */
/* vsock-check: owns nothing and leaves nothing behind. That nobody listens on a port yet is a note:
 * whoever does may come later. */
#include "host-proxy/vsock/vsock-check.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/base/checks.h"
#include "common/base/fd.h"
#include "common/transport/address.h"
#include "common/transport/socket-check.h"
#include "host-proxy/vsock/vsock-options.h"

static void check_port(const struct hybrid_port *port)
{
    char text[256];
    int fd = address_connect_path(port->path, 0);
    snprintf(text, sizeof(text), "port %" PRIu32 " of the host is %s", port->port, port->path);
    if (fd < 0)
        checks_note("%s, where nobody takes connections now: %s", text, strerror(-fd));
    else
        checks_line(true, text, "");
    fd_close(fd);
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
    for (size_t i = 0; i < options->n_ports; i++)
        check_port(&options->ports[i]);
    if (!options->uds_path && options->n_ports == 0)
        checks_note("the guest reaches nobody: no --uds-path, no --listen-port");
    checks_note("the VM's memory has to be shared with the device, and no other vsock device may "
                "be in it: its driver takes one");
    puts(good ? "The device would serve." : "The device would not serve.");
    return good ? 0 : 1;
}
