#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wayvsock-host behind the VM's own vsock device (vsock-device:PATH): who gets through without a token, and who does not."""

import os
import signal
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402
from harness.compositors import NOBODY  # noqa: E402

from vm import BOOT, device_of  # noqa: E402

AS_NOBODY = f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups"
INFO = '"$GUEST" --connect vsock:2:1100 --log-level debug -- timeout 10 wayland-info'


class Vm:
    def __init__(self, t, vm="work:3"):
        self.t, self.dir = t, t.mkdir("vm", 0o755)
        compositor = t.weston()
        self.address = f"{self.dir}/host"
        self.argv = [os.environ["WAYVSOCK_HOST"], "--listen", f"vsock-device:{self.address}", "--vm", vm,
                     "--compositor", compositor.socket, "--log-level", "debug"]
        self.start_host()

    def start_host(self):
        self.host = self.t.spawn(self.argv, name="wayvsock-host")
        self.host.is_daemon = True
        self.t.wait(lambda: os.path.exists(self.address) or not self.host.alive, "the host's daemon listens")

    def spawn(self, command):
        return self.t.spawn([BOOT, "-d", self.dir, "-t", "150", "-o", f"--host {self.address} --log-level debug",
                             "-e", f"GUEST={os.environ['WAYVSOCK_GUEST']}", "--", "sh", "-c", command],
                            dict(os.environ), name="guest")

    def run(self, command):
        guest = self.spawn(command)
        return guest.wait(180), guest.log()


@test(timeout=240)
def root_gets_through(t):
    """A source port below 1024 is root's, as over the kernel's vsock; others are told what is missing."""
    vm = Vm(t)
    status, output = vm.run(f"""chmod 777 $XDG_RUNTIME_DIR; {AS_NOBODY} {INFO} >nobody 2>&1 & nobody=$!
        for i in $(seq 300); do grep -q 'refused us' nobody && break; sleep 0.2; done; kill $nobody
        {INFO}; s=$?; chmod 644 nobody; exit $s""")
    t.eq(status, 0, f"root's status:\n{output}\n{vm.host.log()}")
    t.has("wl_compositor", output, "globals")
    with open(f"{vm.dir}/nobody") as f:
        said = f.read()
    t.lacks("wl_compositor", said, "what another user got")
    t.has("no privileged source port", vm.host.log(), "the host's log")


@test(timeout=240)
def another_cid(t):
    """The device's guest is not the VM that this socket is of: the log names both CIDs."""
    vm = Vm(t, "work:4")
    status, output = vm.run(f"timeout 20 {INFO}")
    t.ok(status != 0, "its status")
    t.lacks("wl_compositor", output, "globals")
    t.has("the VM's vsock device says that its CID is 3, the configuration 4", vm.host.log(), "the host's log")


@test(timeout=240)
def strangers(t):
    """Whoever else connects there is no guest's connection, whatever it says."""
    vm = Vm(t, "work")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(vm.address)
        t.eq(s.recv(10), b"", "the end")
    t.has("is no vsock device's", vm.host.log(), "the host's log")
    status, output = vm.run(INFO)
    t.eq(status, 0, f"the VM's status:\n{output}\n{vm.host.log()}")


@test(timeout=300)
def either_side_starts_anew(t):
    """The host's daemon, and the device, die and come back: the guest's daemon goes on."""
    vm = Vm(t)
    guest = vm.spawn('"$GUEST" --connect vsock:2:1100 -- sh -c "'
                     'until [ -e end ]; do timeout 10 wayland-info >info 2>&1 && touch good; sleep 0.3; done"')

    def works():
        if os.path.exists(f"{vm.dir}/good"):
            os.unlink(f"{vm.dir}/good")
        t.wait(lambda: os.path.exists(f"{vm.dir}/good") or not guest.alive, "an application works", 60)
    works()
    works()
    vm.host.kill()
    vm.start_host()
    works()
    works()
    os.kill(device_of(guest), signal.SIGKILL)
    works()
    works()
    open(f"{vm.dir}/end", "w").close()
    guest.wait(60)


if __name__ == "__main__":
    if os.environ.get("WAYVSOCK_GUEST_TESTS"):
        main()
    else:
        print("1..0 # SKIP scripts/test runs this, it needs Debian packages of a guest kernel")
