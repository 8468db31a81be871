/* SPDX-License-Identifier: MIT */
/* cures: owns nothing. The line to type on the host is told with what is known here; the name of
 * the VM is its owner's to choose. */
#include "guest-proxy/cures.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/base/fd.h"
#include "common/transport/address.h"

uint32_t cures_own_cid(void)
{
    unsigned cid = VMADDR_CID_ANY;
    _cleanup_(fd_closep) int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
    if (fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0)
        return VMADDR_CID_ANY;
    return cid;
}

/* "NAME:42", as --vm takes it. */
static const char *vm_option(char buffer[32])
{
    uint32_t cid = cures_own_cid();
    if (cid == VMADDR_CID_ANY || cid <= VMADDR_CID_HOST)
        snprintf(buffer, 32, "NAME:CID");
    else
        snprintf(buffer, 32, "NAME:%" PRIu32, cid);
    return buffer;
}

const char *cures_connect(const struct address *address, int error, char buffer[CURE_MAX])
{
    char where[sizeof(address->path) + 32], vm[32];
    *buffer = 0;
    switch (-error) {
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT:
    case ETIMEDOUT:
    case ENODEV:
    case EHOSTUNREACH:
    case EPROTO:
        break;
    default:
        return buffer;
    }
    if (address->kind == ADDRESS_VSOCK)
        snprintf(buffer, CURE_MAX,
                 "%s (is wayvsock-host running there? Start it on the host: wayvsock-host --listen "
                 "vsock:%" PRIu32 " --vm %s)",
                 error == -ENODEV ? ": this machine has no vsock device that leads there" : "",
                 address->port, vm_option(vm));
    else
        snprintf(buffer, CURE_MAX,
                 " (is wayvsock-host running there? Start it on the host: wayvsock-host --listen "
                 "%s --vm NAME%s)",
                 address_format(address, where, sizeof(where)),
                 address->kind == ADDRESS_VSOCK_MUX ? " --token FILE" : "");
    return buffer;
}

const char *cures_refused(const char *text, char buffer[CURE_MAX])
{
    char vm[32];
    *buffer = 0;
    if (strstr(text, "wrong token"))
        snprintf(buffer, CURE_MAX,
                 " (the file that --token names here and the one on the host, --token or \"token "
                 "= FILE\" of this VM, must have the same content)");
    else if (strstr(text, "does not name this VM"))
        snprintf(buffer, CURE_MAX, " (start wayvsock-host with --vm %s)", vm_option(vm));
    return buffer;
}
