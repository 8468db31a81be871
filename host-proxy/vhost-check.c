/* SPDX-License-Identifier: MIT */
/* vhost-check: a listener on vsock is of no use where no VM of this kernel's can exist. Which user
 * starts the VM nobody tells, so what this user may not open counts as missing until a VM is seen
 * to be there. The nodes are opened as a hypervisor does, which has the kernel load its module. */
#include "host-proxy/vhost-check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <linux/vm_sockets.h>

#include "common/base/checks.h"
#include "common/base/fd.h"
#include "host-proxy/config.h"

#define DEVICE "/dev/vhost-vsock"
#define NS_MODE "/proc/sys/net/vsock/ns_mode"
#define NOBODYS_PORT 1 /* a VM whose kernel answers, for instance by refusing, is there */

/* Whether this machine is a VM itself: what it has no way to goes to its own host then. */
static bool is_guest(void)
{
    unsigned cid = VMADDR_CID_ANY;
    _cleanup_(fd_closep) int fd = open("/dev/vsock", O_RDONLY | O_CLOEXEC);
    return fd < 0 || ioctl(fd, IOCTL_VM_SOCKETS_GET_LOCAL_CID, &cid) < 0 || cid > VMADDR_CID_HOST;
}

/* Whether the kernel has a way to that CID. */
static bool is_there(uint32_t cid)
{
    if (cid > VMADDR_CID_HOST && is_guest())
        return false;
    struct sockaddr_vm svm = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = NOBODYS_PORT};
    _cleanup_(fd_closep) int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return fd >= 0 && (connect(fd, (struct sockaddr *)&svm, sizeof(svm)) == 0 ||
                       errno == EINPROGRESS || errno == ECONNRESET);
}

static bool is_local(void)
{
    char mode[16] = "";
    FILE *f = fopen(NS_MODE, "re");
    bool local = f && fgets(mode, sizeof(mode), f) && strcmp(mode, "local\n") == 0;
    if (f)
        fclose(f);
    return local;
}

/* Whether VMs are to come by the kernel's device, by this machine's own CID, and whether all of the
 * former are there. */
static void look(const struct host_config *config, bool *ret_vms, bool *ret_self, bool *ret_there)
{
    *ret_vms = config->n_vms == 0;
    *ret_self = *ret_there = false;
    bool missing = false;
    for (size_t i = 0; i < config->n_vms; i++) {
        const struct vm_config *vm = &config->vms[i];
        *ret_self |= vm->has_cid && vm->cid == VMADDR_CID_LOCAL;
        if (vm->has_cid ? vm->cid <= VMADDR_CID_HOST : vm->n_listen > 0)
            continue;
        *ret_vms = true;
        *ret_there |= vm->has_cid && is_there(vm->cid);
        missing |= !vm->has_cid || !is_there(vm->cid);
    }
    *ret_there &= !missing;
}

bool vhost_check(const struct host_config *config)
{
    bool vms, self, there, good = true;
    char advice[512], text[768];
    look(config, &vms, &self, &there);
    if (self && !is_there(VMADDR_CID_LOCAL)) {
        checks_line(false, "vsock on this machine itself (CID 1)",
                    "the kernel's part is not there: modprobe vsock_loopback");
        good = false;
    }
    if (!vms)
        return good;
    int fd = checks_open(DEVICE, advice, sizeof(advice));
    bool have = fd >= 0 || (there && (fd == -EACCES || fd == -EPERM));
    fd_close(fd);
    if (fd == -ENOENT || fd == -ENODEV || fd == -ENXIO)
        snprintf(text, sizeof(text),
                 "%s: modprobe vhost_vsock; a VMM with a hybrid socket needs no such device, but "
                 "--listen vsock-mux:PATH:1100",
                 advice);
    else
        snprintf(text, sizeof(text), "%s; if another user starts the VM, check again while it runs",
                 advice);
    checks_line(have, "vsock for VMs (" DEVICE ")", text);
    if (is_local() && !there) {
        checks_line(false, "VMs reach this network namespace",
                    "its vsock is its own (" NS_MODE " is \"local\"): run wayvsock-host in the "
                    "namespace in which the VM's hypervisor runs, and check again while it runs");
        good = false;
    }
    return good && have;
}
