#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the programs take from themselves once they have started, and that a command keeps what the daemon gave up."""

import os
import signal
import subprocess

from harness import Skip, main, test
from harness.proc import alive
from harness.stack import Notify

SANITIZED = bool(os.environ.get("WAYVSOCK_SANITIZED"))
GPU, VSOCK = os.environ.get("WAYVSOCK_GPU", ""), os.environ.get("WAYVSOCK_VSOCK", "")
INHERITED = 9
# Started with one descriptor more than anybody wants.
WITH_ONE_MORE = ("sh", "-c", f'exec "$@" {INHERITED}</dev/zero', "sh")


def kernel_filters():
    with open("/proc/self/status") as f:
        return "\nSeccomp:" in f.read()


def limits(t, proc):
    base = f"/proc/{proc.pid}"
    with open(f"{base}/status") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
    with open(f"{base}/limits") as f:
        core = next(line.split()[4:6] for line in f if line.startswith("Max core file size"))
    t.eq(status["NoNewPrivs"], "1", f"{proc.name}: no new privileges")
    t.eq(core, ["0", "0"], f"{proc.name}: core dumps")
    t.ok("/dev/zero" not in proc.fds(), f"{proc.name}: what was inherited is closed: {proc.fds()}")
    if not SANITIZED:
        if kernel_filters():
            t.eq(status["Seccomp"], "2", f"{proc.name}: a filter of system calls")
        for thread in os.listdir(f"{base}/task"):
            with open(f"{base}/task/{thread}/status") as f:
                t.has("NoNewPrivs:\t1\n", f.read(), f"{proc.name}: thread {thread}")
        # Root's, as of every process that nobody may look into.
        t.eq(os.stat(f"{base}/environ").st_uid, 0, f"{proc.name}: whose /proc is")


@test(direct=False)
def daemons(t):
    stack = t.stack(t.fake(), wrapper=WITH_ONE_MORE)
    gate, spawner, vm = stack.host.family
    limits(t, gate)
    limits(t, vm)
    limits(t, stack.guest)
    # It starts what others ask for by a number, and reads nothing else.
    t.ok("/dev/zero" not in spawner.fds(), f"{spawner.name}: what was inherited is closed: {spawner.fds()}")
    t.eq([f for f in spawner.fds() if not f.startswith("/")], ["socket"], f"{spawner.name}'s descriptors")


def device(t, *options, program=None):
    notify, program = Notify(t.path("notify")), program or (GPU, "--export", t.path("export"))
    name = os.path.basename(program[0])
    proc = t.spawn([*WITH_ONE_MORE, *program, "--socket-path", t.path("vhost"), *options],
                   t.env(NOTIFY_SOCKET=notify.path), name=name)
    proc.is_daemon = True
    t.wait(lambda: notify.ready() or not proc.alive, f"{name} is ready")
    return proc


@test(direct=False)
def gpu(t):
    if not GPU:
        raise Skip("WAYVSOCK_GPU must name wayvsock-gpu")
    proc = device(t)
    t.ok(proc.alive, "it runs")
    limits(t, proc)
    proc.stop()
    t.eq([p for p in ("vhost", "vhost.lock", "export", "export.lock") if os.path.exists(t.path(p))], [], "what is left")


def children(pid):
    """The processes that it has started, by what they are called."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8", errors="replace") as f:
                state, parent = f.read().rpartition(")")[2].split()[:2]
            with open(f"/proc/{entry}/cmdline", "rb") as f:
                name = f.read().split(b"\0")[0].decode()
        except OSError:
            continue
        if int(parent) == pid and state != "Z":
            found[os.path.basename(name)] = int(entry)
    return found


class Process:
    """One that a test has not started itself."""

    def __init__(self, pid, name):
        self.pid, self.name = pid, name

    def fds(self):
        base = f"/proc/{self.pid}/fd"
        return [os.readlink(f"{base}/{fd}") for fd in os.listdir(base)]


def renderer_of(t, proc):
    """The process that draws for a device, once it has limited itself."""
    def found():
        spawner = children(proc.pid).get("wayvsock-gpu")
        return spawner and children(spawner).get("wayvsock-gpu-renderer")
    t.wait(found, "there is a renderer")
    return Process(found(), "renderer")


@test(direct=False)
def vsock(t):
    if not VSOCK:
        raise Skip("WAYVSOCK_VSOCK must name wayvsock-vsock")
    proc = device(t, program=(VSOCK, "--guest-cid", "3", "--uds-path", t.path("hybrid")))
    t.ok(proc.alive, "it runs")
    limits(t, proc)
    proc.stop()
    t.eq([p for p in ("vhost", "vhost.lock", "hybrid", "hybrid.lock") if os.path.exists(t.path(p))], [], "what is left")


@test(direct=False)
def gpu_that_draws(t):
    """What draws is another process, which has nothing of the device; with its driver's threads, too. What they leave
    behind is nothing."""
    if not GPU:
        raise Skip("WAYVSOCK_GPU must name wayvsock-gpu")
    proc = device(t, "--virgl")
    if not proc.alive:
        raise Skip(f"3D does not start here: {proc.log().strip()[-200:]}")
    limits(t, proc)
    renderer = renderer_of(t, proc)
    limits(t, renderer)
    fds = renderer.fds()
    t.eq(len([name for name in fds if name.startswith("socket:")]), 1, f"sockets of what draws: {fds}")
    t.eq([name for name in fds if "memfd" in name or "udmabuf" in name], [], "memory that it has by a descriptor")
    if not SANITIZED:
        with open(f"/proc/{renderer.pid}/limits") as f:
            data = next(line.split()[3:5] for line in f if line.startswith("Max data size"))
        t.ok("unlimited" not in data, f"its memory: {data}")
    # It may be killed: the device is not, and has another one.
    os.kill(renderer.pid, signal.SIGKILL)
    t.wait(lambda: "there is a renderer again" in proc.log() or not proc.alive, "another one draws")
    t.ok(proc.alive, "the device lives")
    limits(t, renderer_of(t, proc))
    last = renderer_of(t, proc)
    proc.stop()
    t.wait(lambda: not alive(last.pid), "with the device, it ends")
    t.eq([p for p in ("vhost", "vhost.lock", "export", "export.lock") if os.path.exists(t.path(p))], [], "what is left")


@test(direct=False)
def command(t):
    """The command of wayvsock-guest is limited in nothing, and has the descriptors that it was started with."""
    stack = t.stack(t.fake(), start=False, wrapper=WITH_ONE_MORE)
    stack.start_host()
    script = (f"ulimit -c; grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status; readlink /proc/self/fd/{INHERITED}; "
              "cat /etc/hostname >/dev/null && echo opened; stat -c %u /proc/$$/environ")
    plain, limited = (subprocess.run([*argv, "sh", "-c", script], capture_output=True, text=True, timeout=60, env=t.env())
                      for argv in (WITH_ONE_MORE, [*stack.guest_argv(), "--"]))
    t.eq(limited.stdout, plain.stdout, f"what the command has: {limited.stderr}")
    t.has("/dev/zero", limited.stdout, "what it inherited")


@test(direct=False)
def checked(t):
    """--check tells what the kernel can do."""
    stack = t.stack(t.fake())
    for argv in ([*stack.host_argv(), "--check"], [*stack.guest_argv(), "--check"],
                 *([[GPU, "--check", "--export", t.path("export")]] if GPU else []), *([[VSOCK, "--check"]] if VSOCK else [])):
        r = subprocess.run(argv, capture_output=True, text=True, timeout=60, env=t.env())
        t.ok("seccomp" in r.stdout and "Landlock" in r.stdout, f"{argv[0]} --check: {r.stdout}{r.stderr}")


if __name__ == "__main__":
    main()
