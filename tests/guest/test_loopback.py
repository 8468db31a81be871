#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Both daemons in a guest kernel, the host daemon on AF_VSOCK: who gets through, and who does not.

Runs in the guest, as root; CID 1 is the guest itself."""

import os
import socket
import stat
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "integration"))

from harness import main, test  # noqa: E402
from harness.compositors import NOBODY  # noqa: E402
from harness.stack import TOKEN  # noqa: E402

NS_MODE = "/proc/sys/net/vsock/ns_mode"
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]


def start_host(t, *arguments, vm="test:1", address="vsock:1100", compositor=None, **more):
    compositor = compositor or t.weston()
    host = t.spawn([os.environ["WAYVSOCK_HOST"], "--listen", address, "--vm", vm, "--compositor", compositor.socket,
                    "--log-level", "debug", *arguments], name="wayvsock-host", **more)
    host.is_daemon = True
    t.wait(lambda: listening() or not host.alive, "the host daemon listens")
    return host


def listening():
    """Whether somebody listens on vsock port 1100."""
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
        try:
            s.connect((1, 1100))
            return True
        except OSError:
            return False


def run_guest(t, *arguments, wrapper=(), command="timeout 10 wayland-info"):
    """The guest daemon running one application: (status, output of both)."""
    run = t.mkdir("guest-run")
    os.chmod(run, 0o777)
    guest = t.spawn([*wrapper, os.environ["WAYVSOCK_GUEST"], "--connect", "vsock:1:1100", "--log-level", "debug",
                     *arguments, "--", "sh", "-c", command], t.env(XDG_RUNTIME_DIR=run), name="wayvsock-guest")
    try:
        status = guest.wait(40)
    except AssertionError:
        guest.kill()
        status = None
    return status, guest.log()


@test(timeout=120)
def root_gets_through(t):
    """A privileged source port proves that the guest daemon is root's: no token is needed."""
    start_host(t)
    status, output = run_guest(t)
    t.eq(status, 0, "wayland-info's status")
    t.has("wl_compositor", output, "globals")


@test(timeout=120)
def checks_of_a_host_on_vsock(t):
    """--check of a listener that is free, our own daemon's, and another program's; and of VMs that this kernel could not have."""
    compositor = t.weston()

    def check(vm="test:1", wrapper=()):
        argv = [*wrapper, os.environ["WAYVSOCK_HOST"], "--listen", "vsock:1100", "--vm", vm, "--compositor", compositor.socket]
        r = subprocess.run([*argv, "--check"], capture_output=True, text=True, timeout=60, env=t.env())
        return r.returncode, r.stdout + r.stderr

    def told(seen, status, *parts):
        t.eq(seen[0], status, f"its status:\n{seen[1]}")
        for part in parts:
            t.has(part, seen[1], "what it says")
    told(check(), 0, "ok    listening on vsock:1100")
    device = "/dev/vhost-vsock"     # this kernel's own, or another that can be opened, by root
    if os.path.exists(device):
        os.rename(device, device + ".away")
        t.closers.append(lambda: os.rename(device + ".away", device))
    told(check("test:42"), 1, f"FAIL  vsock for VMs ({device})", "modprobe vhost_vsock")
    os.mknod(device, 0o600 | stat.S_IFCHR, os.makedev(1, 3))
    t.closers.append(lambda: os.unlink(device))
    told(check("test:42"), 0, "ok    vsock for VMs")
    if os.path.exists(NS_MODE):
        with open(os.path.join(os.path.dirname(NS_MODE), "child_ns_mode"), "w") as f:
            f.write("local")
        told(check("test:42", ["unshare", "-n"]), 1, "FAIL  VMs reach this network namespace", NS_MODE)
    os.chmod(os.path.dirname(compositor.socket), 0o755)
    os.chmod(compositor.socket, 0o666)
    told(check("test:42", AS_NOBODY), 1, "FAIL  vsock for VMs", "belongs to root alone", "check again while it runs")
    with socket.socket(socket.AF_VSOCK) as other:
        other.bind((socket.VMADDR_CID_ANY, 1100))
        other.listen()
        told(check(), 1, "FAIL  listening on vsock:1100", "another program has it", "choose another address")
    start_host(t, compositor=compositor)
    told(check(), 0, "note  listening on vsock:1100: a running wayvsock-host has it")
    status, output = run_guest(t)
    t.eq(status, 0, f"a window:\n{output}")


@test(timeout=120)
def others_do_not(t):
    """A process without privileges gets nothing, and the log says why."""
    host = start_host(t)
    _, output = run_guest(t, wrapper=AS_NOBODY)
    t.lacks("wl_compositor", output, "globals")
    t.has("token", output + host.log(), "the logs")
    t.ok(host.alive, "the host daemon lives")
    status, output = run_guest(t)
    t.eq(status, 0, "root's status after that")


@test(timeout=120)
def others_with_the_token_do(t):
    """A token does without the privileged port."""
    start_host(t, "--token", t.write("host.token", TOKEN + "\n"))
    token = t.write("guest.token", TOKEN + "\n")
    os.chown(token, NOBODY, NOBODY)
    status, output = run_guest(t, "--token", token, wrapper=AS_NOBODY)
    t.eq(status, 0, "wayland-info's status")
    t.has("wl_compositor", output, "globals")


@test(timeout=120)
def unnamed_cid_is_refused(t):
    """The log says what to add for a VM that nothing names; 1 is this machine, and no exception."""
    host = start_host(t, vm="other:42")
    _, output = run_guest(t)
    t.lacks("wl_compositor", output, "globals")
    t.wait(lambda: any("CID 1" in line and "--vm" in line for line in host.log().splitlines()),
           "the host's log says what to add")


@test(timeout=120)
def a_raw_connection_gets_nothing(t):
    """Whoever connects and says nothing, or anything else than the protocol, is neither served nor kept for ever."""
    host = start_host(t)
    for data in (b"", b"GET / HTTP/1.0\r\n\r\n", bytes(4096), b"\xff" * 65536):
        with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as s:
            s.settimeout(60)
            s.connect((1, 1100))
            try:
                s.sendall(data)
                while s.recv(65536):
                    pass
            except (ConnectionError, BrokenPipeError):
                pass
    t.ok(host.alive, "the host daemon lives")
    status, _ = run_guest(t)
    t.eq(status, 0, "the next application's status")


@test(timeout=120)
def inherited_listener(t):
    """A listening vsock socket from the service manager is used as it is."""
    weston = t.weston()
    with socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as listener:
        listener.bind((socket.VMADDR_CID_ANY, 1100))
        listener.listen(16)

        def become_fd_3():
            os.dup2(listener.fileno(), 3)
        host = t.spawn(["sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@"', "sh", os.environ["WAYVSOCK_HOST"],
                        "--vm", "test:1", "--compositor", weston.socket, "--log-level", "debug"],
                       name="wayvsock-host", pass_fds=(3,), preexec=become_fd_3)
        host.is_daemon = True
        status, output = run_guest(t)
    t.eq(status, 0, "wayland-info's status")
    t.has("wl_compositor", output, "globals")


if __name__ == "__main__":
    main()
