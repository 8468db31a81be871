#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""wayvsock-vsock while the guest's driver goes and comes, the guest sleeps, and the guest reboots.

WAYVSOCK_QEMU_GUEST may name a stock kernel in QEMU, as scripts/guest -k does."""

import errno
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402
from harness.tap import Skip  # noqa: E402

import vsock_peer as peer  # noqa: E402
from vsock_vm import KERNEL, Guest  # noqa: E402

DRIVER = "/sys/bus/virtio/drivers/vmw_vsock_virtio_transport"
FIND = f"cd {DRIVER}; set -- virtio*"


def serve(g):
    def hello(s):
        with s:
            if s.recv(1):
                s.sendall(b"hello")
            s.recv(1)
    g.listen(100, hello)
    g.listen(101, peer.echo)


def works(t, g, what):
    t.eq(g.ask("held", 100), "hello", f"the guest's connection {what}")
    t.eq(g.ask("ping", 101, 20), 20, f"another one {what}")
    with g.connect(peer.ECHO) as s:
        s.sendall(b"x")
        t.eq(s.recv(1), b"x", f"the host's connection {what}")


@test(timeout=300)
def the_driver_goes_and_comes(t):
    """Unbound and bound again, twice: what was open has ended on both sides, what comes works."""
    g = Guest(t)
    serve(g)
    works(t, g, "at first")
    for i in range(2):
        with g.connect(peer.ECHO) as open_one:
            g.ask("in_a_while", f"{FIND}; echo $1 >unbind; sleep 1; echo $1 >bind")
            open_one.settimeout(60)
            try:
                t.eq(open_one.recv(1), b"", "what was open ends")
            except ConnectionResetError:
                pass
        g.dial_control()
        t.ok(g.ask("how_it_ended") in ("", errno.ECONNRESET, errno.ENOTCONN), "what the guest sees of it")
        works(t, g, f"after {i + 1}")


@test(timeout=300)
def the_guest_sleeps(t):
    """Suspended to idle, and awake again."""
    g = Guest(t)
    serve(g)
    # QEMU's clock wakes nobody: there it is the kernel's own test of its drivers, after which it goes on by itself. Once, as the
    # root that it has from us does not outlive that.
    sleep, times = ("echo devices >/sys/power/pm_test; echo freeze >/sys/power/state", 1) if KERNEL else ("rtcwake -m freeze -s 3", 2)
    needed = "/sys/power/pm_test" if KERNEL else "/sys/class/rtc/rtc0/name"
    if "freeze" not in g.ask("can", "/sys/power/state") or not os.path.exists("/usr/sbin/rtcwake") or not g.ask("can", needed):
        raise Skip("this guest cannot sleep, or would not wake up")
    works(t, g, "at first")
    for i in range(times):
        before = g.ask("can", "/sys/power/suspend_stats/success")
        g.ask("in_a_while", sleep)
        t.wait(lambda: g.answers() and awake(g, before), "it is awake again", 90)
        works(t, g, f"after sleep {i + 1}")


def awake(g, before):
    try:
        g.dial_control()
        return g.ask("can", "/sys/power/suspend_stats/success") != before
    except (OSError, ValueError):               # it fell asleep
        return False


@test(timeout=300)
def the_guest_reboots(t):
    """The same device serves the next kernel."""
    g = Guest(t, more=("-r",))
    serve(g)
    for i in range(2):
        works(t, g, f"in life {i + 1}")
        before = g.ask("since_boot")
        with g.connect(peer.ECHO) as open_one:
            g.ask("in_a_while", "exec python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x1234567)'")
            open_one.settimeout(60)
            try:
                t.eq(open_one.recv(1), b"", "what was open ends")
            except ConnectionResetError:
                pass
        t.wait(lambda: g.answers() or not g.process.alive, "it is there again", 120)
        g.dial_control()
        t.ok(g.ask("since_boot") != before, "it is another kernel")
    works(t, g, "in the last life")


if __name__ == "__main__":
    if os.environ.get("WAYVSOCK_GUEST_TESTS"):
        main()
    else:
        print("1..0 # SKIP scripts/test runs this, it needs Debian packages of a guest kernel")
